"""What a repair checks of its own output before anyone can see it; every failure is a fault of fastwheel.

The temporary file is opened again by the reader that also judges foreign wheels. Texts are inflated and hashed. Made
members are compared byte by byte with the streams that were inflated again when they were made (`engine.pack`); what
was copied is compared, entry by entry, with the input whose content was hashed on reading.
"""

from __future__ import annotations

from posixpath import basename, dirname, join
from typing import TYPE_CHECKING, Final, NoReturn

from fastwheel import engine
from fastwheel.bind import inside
from fastwheel.errors import FastwheelError, escape
from fastwheel.policy.match import allowed, is_libpython
from fastwheel.portable import pread
from fastwheel.wheel.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fastwheel.policy.tables import Policy
    from fastwheel.wheel.archive import Member
    from fastwheel.wheel.filename import WheelFileName
    from fastwheel.wheel.wheel import Wheel
    from fastwheel.wheel.writer import Packed
    from fastwheel.workshop import Finished

__all__ = ["prove"]

#: Our own output is not judged by how far it inflates.
_UNLIMITED: Final = Limits.unlimited()
_CHUNK: Final = 1 << 20


def prove(
    path: Path,
    filename: WheelFileName,
    before: Wheel,
    digests: Mapping[str, bytes],
    finished: Mapping[str, Finished],
    *,
    elf_paths: frozenset[str],
    policy: Policy,
    excluded: frozenset[str],
    jobs: int = 0,
) -> None:
    """Check the wheel at `path`, which is to be named `filename`.

    Args:
        path: the temporary file.
        filename: the name that it will bear.
        before: the input, still open.
        digests: SHA-256 of every member of the input, by name.
        finished: what was made, by name.
        elf_paths: install paths of the ELF files whose needs must be met, grafts included.
        policy: what the target is expected to provide.
        excluded: the sonames that the user took upon himself.
        jobs: threads; 0 is one per processor.

    Raises:
        FastwheelError: FW900, with what is wrong.
    """
    from fastwheel.wheel.wheel import Wheel

    try:
        with Wheel.open(path, _UNLIMITED, filename=filename.name) as after:
            hashed, names = _read_new(after, before, digests, finished, jobs)
            for problem in after.check_record(hashed):
                _fault(problem.message)
            if set(after.info.tags) != set(filename.tags):
                _fault("the tags in WHEEL are not those of the file name")
            _check_needs(before, after, names, elf_paths, policy, excluded)
    except FastwheelError as error:
        if error.code.startswith(("FW7", "FW9")):  # the machine is at fault, or it is said already
            raise
        _fault(error.message)


def _fault(message: str) -> NoReturn:
    raise FastwheelError(
        f"the repaired wheel failed its proof and was not written: {message}",
        code="FW900",
        hint="this is a fault of fastwheel: please report it together with the wheel",
    )


def _read_new(
    after: Wheel, before: Wheel, digests: Mapping[str, bytes], finished: Mapping[str, Finished], jobs: int
) -> tuple[dict[str, bytes], dict[str, engine.Names]]:
    """SHA-256 of every member of the output, and the names in the ELF files that were written anew, by install path."""
    hashed: dict[str, bytes] = {}
    names: dict[str, engine.Names] = {}
    new: list[Member] = []
    for member in after.archive.members:
        if member.is_dir:
            continue
        old = before.archive.names.get(member.name)
        made = finished.get(member.name)
        if made is not None:
            if not _same_bytes(after, member, made.packed):
                _fault(f"{escape(member.name)} is not what was made")
            hashed[member.name] = made.sha256
            if made.names is not None:
                names[after.layout.install_path(member.name).path] = made.names
        elif old is not None and _content_key(old) == _content_key(member) and member.name in digests:
            hashed[member.name] = digests[member.name]
        else:
            new.append(member)
    spans = [after.archive.span(member) for member in new]
    for member, result in zip(new, engine.scan(after.archive.fd, spans, digest=True, jobs=jobs), strict=True):
        if result.fault is not None or result.error is not None or result.sha256 is None:
            _fault(f"{escape(member.name)} cannot be read back")
        hashed[member.name] = result.sha256
        if result.facts is not None:
            names[after.layout.install_path(member.name).path] = engine.Names.of(result.facts)
    return hashed, names


def _same_bytes(after: Wheel, member: Member, packed: Packed) -> bool:
    """Whether a member's data are these, of which its content is known."""
    if _content_key(member) != (packed.method, packed.crc, packed.compressed_size, packed.size) or packed.data:
        return False
    at = member.data_offset
    for fd, offset, size in packed.pieces:
        for start in range(0, size, _CHUNK):
            length = min(_CHUNK, size - start)
            theirs = pread(fd, length, offset + start)
            if len(theirs) != length or pread(after.archive.fd, length, at + start) != theirs:
                return False
        at += size
    return True


def _content_key(member: Member) -> tuple[int, int, int, int]:
    return member.method, member.crc, member.compressed_size, member.size


def _check_needs(
    before: Wheel,
    after: Wheel,
    names: Mapping[str, engine.Names],
    elf_paths: frozenset[str],
    policy: Policy,
    excluded: frozenset[str],
) -> None:
    """Every DT_NEEDED of an edited file lies where its own search path leads, or is the target's to provide."""
    site = after.layout.site
    for path, known in names.items():
        if path not in elf_paths:
            continue
        entries = known.runpath if known.runpath is not None else known.rpath
        folders = [inside(entry, dirname(path)) for entry in (entries or "").split(":")]
        for needed in known.needed:
            if allowed(policy, needed) or needed in excluded or is_libpython(needed):
                continue
            if not any(folder is not None and join(folder, needed) in site for folder in folders):
                _fault(f"{escape(path)} would not find {escape(needed)}")
        # A library that the wheel brought along, in whatever folder, may be called otherwise than its file.
        grafted = path.rpartition("/")[0].endswith(".libs") and path not in before.layout.site
        if grafted and known.soname is not None and known.soname != basename(path):
            _fault(f"{escape(path)} has the soname {escape(known.soname)}")
