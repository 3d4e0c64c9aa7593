"""Traits of single ELF files that loaders refuse or distributions forbid.

Sources: ld.so(8), elf(5); glibc 2.41's NEWS on executable stacks; Android's changes for developers.
"""

from __future__ import annotations

from posixpath import dirname
from typing import TYPE_CHECKING, Final

from fastwheel._verify.model import Finding, finding
from fastwheel.bind import inside
from fastwheel.deps.folders import split_path
from fastwheel.errors import escape
from fastwheel.policy.arch import Arch, Libc
from fastwheel.wheel.layout import SITE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fastwheel._verify.targets import Target
    from fastwheel.survey import Unit

__all__ = ["object_findings", "other_files"]

_PT_LOAD: Final = 1
_ET_EXEC: Final = 2
_DF_1_PIE: Final = 0x08000000
#: Processors on which glibc takes a file without PT_GNU_STACK for one that wants an executable stack.
_STACK_BY_DEFAULT: Final = (Arch.X86_64, Arch.I686, Arch.ARMV7L, Arch.S390X)
#: The largest pages that kernels of a processor use, bytes.
_LARGEST_PAGE: Final = {Arch.AARCH64: 1 << 16, Arch.PPC64LE: 1 << 16, Arch.PPC64: 1 << 16, Arch.LOONGARCH64: 1 << 14}
#: Android's kernels for 64-bit ARM use these at most.
_ANDROID_PAGE: Final = 1 << 14
_MOST_SHOWN: Final = 200


def object_findings(target: Target) -> Iterator[Finding]:
    """What is wrong with each ELF file of a target, seen alone."""
    for unit in target.found.units:
        yield from _program(unit)
        yield from _search_path(unit, target.libc)
        yield from _relocations(unit, target.libc)
        yield from _stack(unit, target)
        yield from _pages(unit, target)


def _program(unit: Unit) -> Iterator[Finding]:
    """A module that was linked as a program; other programs are started, not loaded."""
    facts = unit.facts
    kind = "a position-independent program" if facts.dt_flags_1 & _DF_1_PIE else "a program at fixed addresses"
    if unit.python and (facts.type == _ET_EXEC or facts.dt_flags_1 & _DF_1_PIE):
        yield finding(
            "FV305",
            f"{escape(unit.member)} is linked as {kind}, which dlopen refuses",
            unit.member,
            hint="link it with -shared, not -pie",
        )


def _search_path(unit: Unit, libc: Libc) -> Iterator[Finding]:
    facts = unit.facts
    for kind, text in (("RPATH", facts.rpath), ("RUNPATH", facts.runpath)):
        if text is None or (kind == "RPATH" and facts.runpath is not None and libc is not Libc.MUSL):
            continue
        bad = [f"{_shown(entry)}: {why}" for entry in split_path(text, libc) if (why := _fault(entry, unit))]
        if bad:
            yield finding(
                "FV401",
                f"the {kind} of {escape(unit.member)} leaves the installed tree",
                unit.member,
                details=bad,
                hint="what lies there on the user's machine is loaded; `fastwheel repair` drops such entries",
            )


def _fault(entry: str, unit: Unit) -> str | None:
    """Why an entry is no place of the installed tree; None if it is one."""
    if not entry:
        return "empty, which is the current folder"
    if entry.startswith("/"):
        return "absolute"
    if not entry.startswith(("$ORIGIN", "${ORIGIN}")):
        return "relative to where the program was started, or not $ORIGIN"
    if unit.scheme != SITE:
        return "below $ORIGIN, but the file lands outside of site-packages"
    return None if inside(entry, dirname(unit.path)) is not None else "leaves site-packages"


def _shown(text: str) -> str:
    return escape(text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "…")


def _relocations(unit: Unit, libc: Libc) -> Iterator[Finding]:
    if unit.facts.text_relocations:
        yield finding(
            "FV402",
            f"{escape(unit.member)} has text relocations: its code is written to while it is loaded",
            unit.member,
            level="error" if libc is Libc.ANDROID else "warning",
            hint="compile all of it with -fPIC; SELinux and Android refuse to load it",
        )


def _stack(unit: Unit, target: Target) -> Iterator[Finding]:
    facts = unit.facts
    missing = facts.stack_flags is None and target.arch in _STACK_BY_DEFAULT and facts.dynamic
    if not unit.asks_for_executable_stack and not missing:
        return
    why = "has no PT_GNU_STACK, which asks for" if missing else "asks for"
    # A program gets its stack from the kernel; only dlopen has to make the stack of a running process executable.
    program = facts.interpreter is not None and not unit.python
    refused = target.libc is Libc.GLIBC and not program
    yield finding(
        "FV403",
        f"{escape(unit.member)} {why} an executable stack" + (": glibc 2.41 refuses to load it" if refused else ""),
        unit.member,
        level="error" if refused else "warning",
        hint="add a .note.GNU-stack section to its assembler files, or link with -z noexecstack",
    )


def _pages(unit: Unit, target: Target) -> Iterator[Finding]:
    largest = _LARGEST_PAGE.get(target.arch)
    if target.libc is Libc.ANDROID and target.arch is Arch.AARCH64:
        largest = _ANDROID_PAGE
    if largest is None:
        return
    small = min((s.align for s in unit.facts.segments if s.type == _PT_LOAD and s.memory_size), default=largest)
    if small < largest:
        yield finding(
            "FV406",
            f"{escape(unit.member)} is aligned to {small} bytes: kernels with pages of {largest // 1024} KiB refuse it",
            unit.member,
            hint=f"link with -z max-page-size={largest}; patchelf before 0.18 also broke the alignment",
        )


def other_files(targets: Sequence[Target], python_suffixes: Sequence[str]) -> Iterator[Finding]:
    """ELF files that no tag of the wheel is about: `python_suffixes` are those that its Pythons import."""
    taken = {unit.member for target in targets for unit in target.found.units}
    seen: set[str] = set()
    for target in targets:
        for member, reason in target.found.ignored:
            if member in taken or member in seen or not target.found.units:
                continue
            seen.add(member)
            module = member.endswith(tuple(python_suffixes))
            unknown = reason.startswith("unknown architecture")
            yield finding(
                "FV404",
                f"{escape(member)} is for another system ({reason}) than the wheel's tags",
                member,
                level="error" if module else ("note" if unknown else "warning"),
                hint="an installer that chose the wheel by its tags cannot use the file",
            )
