"""What the headers of one file say about its chances: rules that need no other file.

Sources: `_dl_map_object_from_fd` and `_dl_open` of glibc's `elf/`, its NEWS (2.41 on executable stacks), the page sizes
of Linux on each processor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastwheel.errors import escape
from fastwheel.loader.model import Finding, Kind, Level
from fastwheel.policy.arch import Arch, Libc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fastwheel._elf.model import Facts, Segment
    from fastwheel.loader.load import Group
    from fastwheel.loader.model import LoadedObject

__all__ = ["check", "check_age", "check_root", "check_tls"]

_PT_LOAD: Final = 1
_PT_TLS: Final = 7
_ET_EXEC: Final = 2
_DF_STATIC_TLS: Final = 0x10
_DF_1_NOOPEN: Final = 0x40
_DF_1_PIE: Final = 0x08000000
#: The smallest page of any kernel, and the largest in use, by processor; 4 KiB for those not listed.
_SMALLEST_PAGE: Final = 4096
_LARGEST_PAGE: Final = {Arch.AARCH64: 65536, Arch.PPC64: 65536, Arch.PPC64LE: 65536, Arch.LOONGARCH64: 16384}
#: What glibc keeps for the thread-local memory of libraries that come by dlopen: `dl_tls_static_surplus` with default
#: tunables (1,664 bytes before 2.32, and about as much since), of which only the smaller part is for all comers.
_TLS_RESERVE: Final = 1664
#: glibc 2.36 takes some 1,700 bytes of one library.
_TLS_SLACK: Final = 128
_TLS_SHARED: Final = 512


def check(item: LoadedObject, libc: Libc, arch: Arch, *, relr: bool) -> tuple[Finding, ...]:
    """Return what is to be said of one file wherever it comes along; `relr`: the baseline knows DT_RELR."""
    return () if item.facts is None else tuple(_check(item, item.facts, libc, arch, relr=relr))


def _check(item: LoadedObject, facts: Facts, libc: Libc, arch: Arch, *, relr: bool) -> Iterator[Finding]:
    name = escape(item.key)
    loads = [segment for segment in facts.segments if segment.type == _PT_LOAD]
    if not loads:
        yield Finding(Kind.BAD_SEGMENTS, Level.ERROR, item.key, f"{name} has no loadable segment")
    elif not facts.dynamic and facts.type != _ET_EXEC:  # a static program needs none
        yield Finding(Kind.BAD_SEGMENTS, Level.ERROR, item.key, f"{name} has no dynamic section")
    yield from _alignment(item, loads, libc, arch)
    if item.relr and not relr:
        message = f"{name} has relocations in the form DT_RELR, which the loader of the baseline does not know"
        yield Finding(Kind.RELATIVE_RELOCATIONS, Level.ERROR, item.key, message)
    if facts.stack_flags is not None and facts.stack_flags & 1 and libc is Libc.GLIBC:
        message = f"{name} asks for an executable stack, which glibc 2.41 and newer refuse to libraries"
        yield Finding(Kind.EXECUTABLE_STACK, Level.WARNING, item.key, message)
    if facts.text_relocations:
        message = f"{name} has text relocations, which hardened systems refuse"
        yield Finding(Kind.TEXT_RELOCATIONS, Level.WARNING, item.key, message)


def _alignment(item: LoadedObject, loads: list[Segment], libc: Libc, arch: Arch) -> Iterator[Finding]:
    """Glibc insists on p_align being a multiple of the page size, and on addresses fitting offsets."""
    name = escape(item.key)
    if libc is not Libc.GLIBC:
        return
    if any(segment.align & (_SMALLEST_PAGE - 1) for segment in loads):
        yield Finding(Kind.BAD_SEGMENTS, Level.ERROR, item.key, f"{name} has segments that are not aligned to pages")
    elif any((segment.address - segment.offset) & (segment.align - 1) for segment in loads if segment.align):
        message = f"{name} has segments whose addresses and file offsets do not fit their alignment"
        yield Finding(Kind.BAD_SEGMENTS, Level.ERROR, item.key, message)
    page = _LARGEST_PAGE.get(arch, _SMALLEST_PAGE)
    small = [segment.align for segment in loads if segment.align & (page - 1)]
    if small and not any(align & (_SMALLEST_PAGE - 1) for align in small):
        message = f"{name} is aligned to pages of {min(small)} bytes; kernels of {arch} with {page} refuse it"
        yield Finding(Kind.PAGE_SIZE, Level.WARNING, item.key, message)


def check_age(item: LoadedObject, system: Iterable[LoadedObject]) -> Iterator[Finding]:
    """Yield what an object needs of newer releases of the C library than the oldest that its tag promises."""
    for libc in system:
        releases: dict[str, list[str]] = {}
        since = libc.symbols.since if libc.symbols is not None else {}
        for name in sorted(name for names in item.references.values() for name in names & since.keys()):
            releases.setdefault(since[name], []).append(name)
        for release, names in sorted(releases.items()):
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            message = (
                f"{escape(item.key)} needs musl {release} or newer (for {', '.join(map(escape, names[:5]))}{more}),"
                " which the tag does not say"
            )
            yield Finding(Kind.NEWER_LIBC, Level.WARNING, item.key, message, needed=libc.soname, version=release)


def check_root(item: LoadedObject, libc: Libc) -> tuple[Finding, ...]:
    """Return why glibc's dlopen refuses a file whatever its needs; musl takes programs too."""
    facts = item.facts
    if facts is None or libc is not Libc.GLIBC:
        return ()
    name = escape(item.key)
    if facts.type == _ET_EXEC:
        message = f"{name} is a program at fixed addresses, which dlopen refuses"
    elif facts.dt_flags_1 & _DF_1_PIE:
        message = f"{name} is a position-independent program, which dlopen refuses"
    elif facts.dt_flags_1 & _DF_1_NOOPEN:
        message = f"{name} has the flag DF_1_NOOPEN, by which dlopen refuses it"
    else:
        return ()
    return (Finding(Kind.NOT_LOADABLE, Level.ERROR, item.key, message),)


def check_tls(group: Group, libc: Libc) -> tuple[Finding, ...]:
    """Return whether the initial-exec thread-local memory of a group fits what the loader keeps for such."""
    if libc is not Libc.GLIBC:
        return ()
    total = 0
    biggest: tuple[int, LoadedObject] | None = None
    for item in group.objects:
        facts = item.facts
        if facts is None or not facts.dt_flags & _DF_STATIC_TLS or item.origin == "system":
            continue
        size = sum(s.memory_size + max(s.align - 1, 0) // 2 for s in facts.segments if s.type == _PT_TLS)
        total += size
        if size and (biggest is None or size > biggest[0]):
            biggest = (size, item)
    if biggest is None or total <= _TLS_SHARED:
        return ()
    level = Level.ERROR if total > _TLS_RESERVE + _TLS_SLACK else Level.WARNING
    message = (
        f"{escape(biggest[1].key)} and what comes with it have {total} bytes of static thread-local memory; glibc keeps"
        f" {_TLS_SHARED} to {_TLS_RESERVE} bytes for all such libraries of a process"
    )
    return (Finding(Kind.STATIC_TLS, level, biggest[1].key, message),)
