"""From the wheel's members to facts: which are ELF files, for which machine and C library, and which are modules.

Nothing is judged here; `fastwheel.audit` does that.
"""

from __future__ import annotations

from posixpath import basename
from typing import TYPE_CHECKING, Final

from fastwheel import engine
from fastwheel.deps.folders import MAX_ENTRIES
from fastwheel.errors import ElfError, FastwheelError, escape
from fastwheel.named import NamedTuple
from fastwheel.policy.arch import Arch, Libc, arch_from_tags, arch_of, libc_from_tags, libc_of, machine_name
from fastwheel.wheel.layout import SITE
from fastwheel.wheel.names import shown
from fastwheel.wheel.source import limit
from fastwheel.wheel.zipformat import ZSTD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastwheel._elf.model import Facts
    from fastwheel.wheel.archive import Member
    from fastwheel.wheel.wheel import Wheel

__all__ = ["Contents", "Survey", "Unit", "read_members", "survey"]

#: How often its ELF files may need each of the libraries that they may need, on average; and how many bytes of a larger
#: wheel allow for one more. Published wheels have hundreds of times as many bytes.
_TIMES: Final = 2
_BYTES_PER_ENTRY: Final = 256
#: Libraries times the folders of the search path of each file that needs them, besides one for each byte of the wheel.
_PLACES: Final = 500_000
#: Files that are named as ignored.
_MOST_IGNORED: Final = 100


class Unit(NamedTuple):
    """One ELF file of the wheel.

    Attributes:
        member: its name in the archive.
        path: where it lies once installed, relative to site-packages; below `../scripts`, `../data` or `../headers` for
            the schemes whose place only the installer knows.
        scheme: the install scheme: "platlib", "scripts", "data" or "headers".
        facts: what the loader would learn of it.
        python: 3 or 2 for a CPython extension module of that major version, else 0.
    """

    member: str
    path: str
    scheme: str
    facts: Facts
    python: int

    @property
    def uses_pyfpe(self) -> bool:
        """Whether it wants symbols that only a Python configured `--with-fpectl` has (PEP 513)."""
        return not {"PyFPE_jbuf", "PyFPE_dummy", "PyFPE_counter"}.isdisjoint(self.facts.undefined)

    @property
    def asks_for_executable_stack(self) -> bool:
        """PT_GNU_STACK with PF_X; without PT_GNU_STACK it is the kernel's default that counts."""
        return self.facts.stack_flags is not None and bool(self.facts.stack_flags & 1)


class Survey(NamedTuple):
    """The ELF files of one wheel, and what they are built for.

    Attributes:
        units: the ELF files of the wheel's machine and C library, in archive order.
        ignored: (member, reason) of the ELF files left out.
        arch: the machine; None when the wheel holds no ELF file of a known one.
        libc: the C library; None when nothing tells it.
        digests: SHA-256 of every member, by name; empty unless asked for.
        notes: what the user should know.
        ucs2: an extension of Python 2 needs a narrow-unicode build, and the wheel's ABI tag does not say so.
    """

    units: tuple[Unit, ...]
    ignored: tuple[tuple[str, str], ...]
    arch: Arch | None
    libc: Libc | None
    digests: Mapping[str, bytes]
    notes: tuple[str, ...]
    ucs2: bool


class Contents(NamedTuple):
    """What reading the members of a wheel tells.

    Attributes:
        found: the ELF files, in archive order.
        digests: SHA-256 of every member, by name; empty unless asked for.
    """

    found: tuple[tuple[Member, Facts], ...]
    digests: Mapping[str, bytes]


def survey(
    wheel: Wheel,
    *,
    digest: bool = False,
    arch: Arch | None = None,
    libc: Libc | None = None,
    jobs: int = 0,
    contents: Contents | None = None,
) -> Survey:
    """Read every ELF member of `wheel`.

    Args:
        wheel: an open wheel.
        digest: also hash every member (then every member is inflated).
        arch: the machine to repair for, when the file name does not tell it.
        libc: the same for the C library.
        jobs: threads; 0 is one per processor.
        contents: of `read_members`, if it was called before.

    Raises:
        FastwheelError: as `read_members`.
    """
    return _sort_out(wheel, contents or read_members(wheel, digest=digest, jobs=jobs), arch, libc)


def read_members(wheel: Wheel, *, digest: bool = False, jobs: int = 0) -> Contents:
    """Read every ELF member of `wheel`; with `digest` hash every member.

    Raises:
        FastwheelError: a member's content contradicts the central directory, or an ELF member is malformed.
    """
    files = [member for member in wheel.archive.members if not member.is_dir]
    _check_elf_sizes(wheel, files)
    # zstd (PEP 784) is the standard library's to inflate, where it has it; the reader refused it elsewhere.
    odd = [member for member in files if member.method == ZSTD]
    plain = [member for member in files if member.method != ZSTD]
    wheel.archive.prepare(plain, whole=digest)
    scanned = engine.scan(wheel.archive.fd, [wheel.archive.span(member) for member in plain], digest=digest, jobs=jobs)
    results = dict(zip((member.name for member in plain), scanned, strict=True))
    results.update({member.name: _scan_content(wheel.archive.read(member)) for member in odd})
    digests: dict[str, bytes] = {}
    found: list[tuple[Member, Facts]] = []
    for member in files:
        result = results[member.name]
        if result.fault is not None:
            raise engine.fault_in(member.name, result.fault)
        if result.error is not None:
            raise _in_member(member, result.error)
        if result.sha256 is not None:
            digests[member.name] = result.sha256
        if result.facts is not None:
            found.append((member, result.facts))
    _check_needed(wheel, found)
    return Contents(tuple(found), digests)


def _check_elf_sizes(wheel: Wheel, files: Sequence[Member]) -> None:
    """Refuse an ELF file beyond the limit before it is inflated."""
    archive = wheel.archive
    most = archive.limits.elf_size
    for member in files:
        if member.size > most and next(archive.stream(member), b"").startswith(b"\x7fELF"):
            message = f"'{shown(member.name)}' is an ELF file of {member.size} bytes, {most} are allowed"
            limit(archive.label, message, "elf_size")


def _check_needed(wheel: Wheel, found: Sequence[tuple[Member, Facts]]) -> None:
    """Refuse what would take long to look for: every library in every folder of the search path."""
    archive = wheel.archive
    most = archive.limits.needed
    # Together they may need each of them several times, and more in a larger wheel.
    entries = _TIMES * most + archive.size // _BYTES_PER_ENTRY
    places = _PLACES + archive.size
    needed: set[str] = set()
    for member, facts in found:
        own = set(facts.needed)
        needed |= own
        entries -= len(own)
        places -= len(own) * min((facts.runpath or facts.rpath or "").count(":"), MAX_ENTRIES)
        if entries < 0 or places < 0:
            message = f"up to '{shown(member.name)}', its ELF files need more libraries than can be looked for"
            limit(archive.label, message, "needed")
        if len(needed) > most:
            message = f"up to '{shown(member.name)}', its ELF files need {len(needed)} libraries, {most} are allowed"
            limit(archive.label, message, "needed")


def _scan_content(content: bytes) -> engine.Scanned:
    """What `engine.scan` would say of a member with this content."""
    facts, error = None, None
    if content.startswith(b"\x7fELF"):
        try:
            facts = engine.read(content)
        except ElfError as fault:
            error = fault
    return engine.Scanned(facts, error, None, engine.sha256_many([content])[0])


def _sort_out(wheel: Wheel, contents: Contents, arch: Arch | None, libc: Libc | None) -> Survey:
    """Settle the machine and the C library, and leave out the files that are for another one."""
    notes: list[str] = []
    tags = wheel.filename.platform_tags
    named_arch = arch_from_tags(tags)
    named_libc = libc_from_tags(tags)
    arch = named_arch or arch
    libc = named_libc or libc
    if arch is None and tags != ("any",):
        notes.append("the architecture could not be deduced from the wheel's file name")
    units: list[Unit] = []
    ignored: list[tuple[str, str]] = []
    for member, facts in contents.found:
        machine = arch_of(facts)
        if machine is None:
            ignored.append((member.name, f"unknown architecture, {machine_name(facts)}"))
            continue
        if arch is None:
            arch = machine
        if machine is not arch:
            ignored.append((member.name, f"{machine.value} architecture"))
            continue
        own_libc = libc_of(facts, basename(member.name))
        if own_libc is not None:
            if libc is None:
                libc = own_libc
            elif own_libc is not libc and not (libc is Libc.ANDROID and own_libc is Libc.GLIBC):
                ignored.append((member.name, f"{own_libc.value} libc"))
                continue
        scheme, path = wheel.layout.install_path(member.name)
        if scheme != SITE:
            path = f"../{scheme}/{path}"
        units.append(Unit(member.name, path, scheme, facts, _python_module(member.name, facts)))
    notes += [f"ignoring {escape(name)}: {reason}" for name, reason in ignored[:_MOST_IGNORED]]
    if len(ignored) > _MOST_IGNORED:
        notes.append(f"ignoring {len(ignored) - _MOST_IGNORED} more files for other machines, or that are none")
    return Survey(
        tuple(units), tuple(ignored), arch, libc, contents.digests, tuple(notes), _needs_narrow_python(wheel, units)
    )


def _needs_narrow_python(wheel: Wheel, units: Sequence[Unit]) -> bool:
    """PEP 513 forbids such extensions; the ABI tag `cp27m` (not `cp27mu`) keeps other Pythons from installing them."""
    if set(wheel.filename.abi_tags) <= {"cp26m", "cp27m"}:
        return False
    return any(unit.python == 2 and any("PyUnicodeUCS2_" in name for name in unit.facts.undefined) for unit in units)


def _python_module(name: str, facts: Facts) -> int:
    """The major version of CPython (or 3 for PyPy's cffi modules) that would import the file, or 0.

    A module exports `PyInit_<stem>` (PEP 3121), `PyInitU_<punycode>` (PEP 489), `PyModExport_<stem>` (PEP 793),
    `_cffi_pypyinit_<stem>`, or, for Python 2, `init<stem>`.
    """
    stem = basename(name).split(".", 1)[0]
    exported = facts.init_functions
    if f"PyInit_{stem}" in exported or f"PyModExport_{stem}" in exported:
        return 3
    if any(function.startswith(("PyInitU_", "PyModExportU_")) for function in exported) and not stem.isascii():
        return 3
    if f"init{stem}" in exported or f"_cffi_pypyinit_{stem}" in exported:
        return 2
    return 0


def _in_member(member: Member, error: ElfError) -> FastwheelError:
    return FastwheelError(f"{escape(member.name)}: {error.message}", code=error.code, hint=error.hint)
