"""What differs between two wheels, or two ELF files: what a repair changed, or why two builds are not the same.

>>> import fastwheel
>>> found = fastwheel.diff("dist/pkg-1.0-…-linux_x86_64.whl", "wheelhouse/pkg-1.0-…")  # doctest: +SKIP
>>> [(change.kind, change.name) for change in found.members][:2]  # doctest: +SKIP
[('changed', 'pkg/_core.so'), ('added', 'pkg.libs/libfoo-01234567.so.3')]
"""

from __future__ import annotations

import os
from collections import Counter
from hashlib import sha256
from pathlib import Path
from posixpath import basename
from typing import TYPE_CHECKING, Final, Literal

from fastwheel import engine
from fastwheel.difference import (
    ArchiveChange,
    Difference,
    ElfChange,
    ElfSummary,
    FieldChange,
    MemberChange,
    Side,
    TextChange,
)
from fastwheel.elfdiff import elf_change, same_libraries
from fastwheel.errors import ElfError, FastwheelError, escape
from fastwheel.named import NamedTuple
from fastwheel.portable import pread
from fastwheel.wheel.archive import Archive
from fastwheel.wheel.names import shown
from fastwheel.wheel.remote import locate
from fastwheel.wheel.zipformat import ZSTD

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fastwheel._elf.model import Facts
    from fastwheel.wheel.limits import Limits
    from fastwheel.wheel.remote import Url
    from fastwheel.wheel.zipformat import Member

__all__ = ["diff"]

_METHODS: Final = {0: "stored", 8: "deflated", 93: "zstd"}
#: Larger contents are not held, if possible; bytes.
_LARGE: Final = 8 << 20
#: Larger text files are only said to differ.
_MOST_TEXT: Final = 64 << 20


def diff(
    before: str | os.PathLike[str],
    after: str | os.PathLike[str],
    *,
    contents: bool = False,
    limits: Limits | None = None,
    jobs: int = 0,
) -> Difference:
    """Say what differs between two wheels, or between two ELF files.

    Members of equal size and CRC-32 are taken for equal without being read. Members of one archive are matched with
    those of the other by name, libraries also by soname without the hash that a repair gives it.

    Args:
        before: a wheel, or its https address, or an ELF file.
        after: another one of the same kind.
        contents: compare the contents of all members by SHA-256.
        limits: bounds on what an archive may claim.
        jobs: threads; 0 is one per processor.

    Raises:
        FastwheelError: one of them cannot be read; FW800 one is a wheel and the other is not.
    """
    first, second = os.fspath(before), os.fspath(after)
    kinds = _kind(locate(first)), _kind(locate(second))
    if kinds[0] != kinds[1]:
        wheel, other = (first, second) if kinds[0] == "wheel" else (second, first)
        raise FastwheelError(
            f"{escape(other)} is an ELF file, {escape(wheel)} is not",
            code="FW800",
            hint="compare two wheels, or two ELF files",
        )
    if kinds[0] == "file":
        return _diff_files(first, second)
    with Archive.open(first, limits) as old, Archive.open(second, limits) as new:
        return _Wheels(first, second, old, new, contents, jobs).difference()


def _kind(path: Path | Url) -> Literal["wheel", "file"]:
    """A file that begins like an ELF file is one, whatever its name; what lies on a server is a wheel."""
    from fastwheel.wheel.archive import open_regular

    if not isinstance(path, Path):
        return "wheel"
    fd = open_regular(path)
    try:
        return "file" if pread(fd, 4, 0) == b"\x7fELF" else "wheel"
    except OSError as error:
        raise FastwheelError(f"cannot read {escape(str(path))}: {error.strerror}", code="FW700") from error
    finally:
        os.close(fd)


# -- ELF files ---------------------------------------------------------------------------------------------------------


def _diff_files(first: str, second: str) -> Difference:
    sides, facts = [], []
    for path in (first, second):
        try:
            facts.append(engine.read_file(path))
        except ElfError as error:
            raise FastwheelError(f"{escape(path)}: {error.message}", code=error.code, hint=error.hint) from error
        sides.append(_side_of_file(path, facts[-1]))
    old, new = sides
    content = old.sha256 != new.sha256
    members: tuple[MemberChange, ...] = ()
    if content or old.mode != new.mode:
        change = elf_change(facts[0], facts[1])
        members = (MemberChange("changed", old, new, content, None if change == ElfChange() else change),)
    return Difference("file", first, second, old.size, new.size, (), members, ArchiveChange())


def _side_of_file(path: str, facts: Facts) -> Side:
    hasher, size = sha256(), 0
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o7777
            while piece := file.read(1 << 20):
                hasher.update(piece)
                size += len(piece)
    except OSError as error:
        raise FastwheelError(f"cannot read {escape(path)}: {error.strerror}", code="FW700") from error
    return Side(path, size, None, mode, hasher.hexdigest(), _summary(facts))


def _summary(facts: Facts) -> ElfSummary:
    return ElfSummary(facts.soname, facts.needed, facts.rpath, facts.runpath)


# -- wheels ------------------------------------------------------------------------------------------------------------


class _Content(NamedTuple):
    """What was learnt of one member's content."""

    sha256: str
    facts: Facts | None


class _Wheels:
    """The state of one comparison."""

    def __init__(self, first: str, second: str, old: Archive, new: Archive, contents: bool, jobs: int) -> None:
        self.paths = first, second
        self.archives = old, new
        self.contents = contents
        self.jobs = jobs
        self.notes: list[str] = []
        self.known: dict[str, str] = {}
        self.dist_infos = _dist_info(old), _dist_info(new)

    def difference(self) -> Difference:
        """Match the members, look at those that may differ, and say what does."""
        old, new = self.archives
        before = {self._key(0, member.name): member for member in old.members}
        after = {self._key(1, member.name): member for member in new.members}
        pairs = [(before[key], member) for key, member in after.items() if key in before]
        gone = [member for key, member in before.items() if key not in after]
        fresh = [member for key, member in after.items() if key not in before]
        suspects = pairs if self.contents else [pair for pair in pairs if _differ(*pair)]
        looked = (
            self._look(old, [*(pair[0] for pair in suspects), *gone]),
            self._look(new, [*(pair[1] for pair in suspects), *fresh]),
        )
        moved = self._moved(gone, fresh, looked)
        left, arrived = {a.name for a, _ in moved}, {b.name for _, b in moved}
        gone = [member for member in gone if member.name not in left]
        fresh = [member for member in fresh if member.name not in arrived]
        self.known = self._bill(fresh)
        changes: dict[str, MemberChange] = {}
        for a, b in (*pairs, *moved):
            change = self._changed(a, b, looked)
            if change is not None:
                changes[b.name] = change
        originals = self.known | self._originals(changes.values())
        for member in fresh:
            side = _side(member, looked[1])
            original = originals.get(basename(member.name)) if side.elf is not None else None
            changes[member.name] = MemberChange("added", None, side, True, graft_of=original)
        ordered = [changes[member.name] for member in new.members if member.name in changes]
        ordered += [MemberChange("removed", _side(member, looked[0]), None, True) for member in gone]
        kept = [(a, b) for a, b in pairs if b.name not in changes or not changes[b.name].content]
        return Difference(
            "wheel",
            *self.paths,
            old.size,
            new.size,
            self._name(),
            tuple(ordered),
            self._archive(pairs, kept),
            tuple(self.notes),
        )

    def _key(self, at: int, name: str) -> str:
        """A member's name with the project's version left out of its top folder."""
        info = self.dist_infos[at]
        top, slash, rest = name.partition("/")
        if info is None or not slash:
            return name
        if top == info:
            return f"\0info/{rest}"
        if top == info.removesuffix(".dist-info") + ".data":
            return f"\0data/{rest}"
        return name

    def _name(self) -> tuple[FieldChange, ...]:
        """The parts of the file names that differ."""
        from fastwheel.wheel.filename import WheelFileName

        names = [locate(path).name for path in self.paths]
        if names[0] == names[1]:
            return ()
        try:
            a, b = (WheelFileName.parse(name) for name in names)
        except FastwheelError:
            return (FieldChange("file name", *names),)
        parts: list[tuple[str, str | None, str | None]] = [
            ("project", a.project, b.project),
            ("version", a.version, b.version),
            ("build", a.build or None, b.build or None),
            ("python", ".".join(a.python_tags), ".".join(b.python_tags)),
            ("abi", ".".join(a.abi_tags), ".".join(b.abi_tags)),
            ("platform", ".".join(a.platform_tags), ".".join(b.platform_tags)),
            ("variant", a.variant or None, b.variant or None),
        ]
        return tuple(FieldChange(*part) for part in parts if part[1] != part[2])

    # -- contents ------------------------------------------------------------------------------------------------------

    def _look(self, archive: Archive, members: Sequence[Member]) -> dict[str, _Content]:
        """Hash members, and read the facts of those that are ELF files; a few at a time are in memory."""
        files = [member for member in members if not member.is_dir]
        # What the engine would inflate whole is hashed piece by piece, unless it has to be whole.
        apart = {member.name for member in files if member.method == ZSTD or _is_large_data(archive, member)}
        plain = [member for member in files if member.name not in apart]
        archive.prepare(plain, whole=True)
        scanned = engine.scan(archive.fd, [archive.span(member) for member in plain], digest=True, jobs=self.jobs)
        found: dict[str, _Content] = {}
        for member, result in zip(plain, scanned, strict=True):
            if result.fault is not None or result.sha256 is None:
                raise FastwheelError(
                    f"{archive.label}: '{shown(member.name)}' is damaged: its content is not what the archive says",
                    code="FW112",
                    hint="the wheel was changed or cut after it was made: build or download it again",
                )
            if result.error is not None:
                self.notes.append(f"{archive.label}: {escape(member.name)} is a bad ELF file: {result.error.message}")
            found[member.name] = _Content(result.sha256.hex(), result.facts)
        for member in files:
            if member.name in apart:
                found[member.name] = _content_of(archive, member)
        return found

    def _changed(
        self, a: Member, b: Member, looked: tuple[Mapping[str, _Content], Mapping[str, _Content]]
    ) -> MemberChange | None:
        """What differs between two members that are matched, or None."""
        old, new = looked[0].get(a.name), looked[1].get(b.name)
        content = old is not None and new is not None and old.sha256 != new.sha256
        renamed = self._key(0, a.name) != self._key(1, b.name)
        if not content and not renamed and _mode(a) == _mode(b):
            return None
        elf = None
        text = None
        if content and old and new and old.facts and new.facts:
            elf = elf_change(old.facts, new.facts, self.known)
        elif content and self._is_text(a, b):
            text = self._text(a, b)
        return MemberChange(
            "renamed" if renamed else "changed",
            _side(a, looked[0]),
            _side(b, looked[1]),
            content,
            None if elf == ElfChange() else elf,
            text,
        )

    def _is_text(self, a: Member, b: Member) -> bool:
        name = self._key(1, b.name)
        known = name in ("\0info/WHEEL", "\0info/METADATA", "\0info/RECORD")
        return known and max(a.size, b.size) <= _MOST_TEXT

    def _text(self, a: Member, b: Member) -> TextChange:
        """The lines that only one of two text files has: of RECORD its rows, of the others the headers."""
        texts = [
            archive.read(member).decode("utf-8", "replace").replace("\r\n", "\n")
            for archive, member in zip(self.archives, (a, b), strict=True)
        ]
        if b.name.endswith("/RECORD"):
            return _lines_changed(*(text.rstrip("\n").split("\n") for text in texts), body=False)
        parts = [text.partition("\n\n") for text in texts]
        heads = [part[0].rstrip("\n").split("\n") for part in parts]
        return _lines_changed(*heads, body=parts[0][2] != parts[1][2])

    def _moved(
        self,
        gone: Sequence[Member],
        fresh: Sequence[Member],
        looked: tuple[Mapping[str, _Content], Mapping[str, _Content]],
    ) -> list[tuple[Member, Member]]:
        """Pair what is gone with what is new: the same content, or libraries with the same soname but for the hash."""
        pairs: list[tuple[Member, Member]] = []
        filled = [[member for member in side if member.size and not member.is_dir] for side in (gone, fresh)]
        digests = [Counter(looked[at][member.name].sha256 for member in side) for at, side in enumerate(filled)]
        by_digest = {looked[1][member.name].sha256: member for member in filled[1]}
        taken: set[str] = set()
        for member in filled[0]:
            digest = looked[0][member.name].sha256
            if digests[0][digest] == digests[1][digest] == 1:
                pairs.append((member, by_digest[digest]))
                taken |= {member.name, by_digest[digest].name}
        libraries: list[dict[str, Member]] = []
        for at, side in enumerate((gone, fresh)):
            named: dict[str, Member] = {}
            for member in side:
                content = looked[at].get(member.name)
                if content is not None and content.facts is not None and member.name not in taken:
                    named[content.facts.soname or basename(member.name)] = member
            libraries.append(named)
        pairs += [(libraries[0][a], libraries[1][b]) for a, b in same_libraries(*libraries)]
        return pairs

    @staticmethod
    def _originals(changes: Iterable[MemberChange]) -> dict[str, str]:
        """New names of libraries ▶ the names under which they were needed before."""
        return {new: old for change in changes if change.elf for old, new in change.elf.renamed}

    def _bill(self, fresh: Sequence[Member]) -> dict[str, str]:
        """New names of libraries ▶ sonames before the repair, as the bill of materials of the second wheel says."""
        if not any(member.name.startswith(f"{self.dist_infos[1]}/sboms/") for member in fresh):
            return {}
        from fastwheel.origins import origins

        told = origins(self.archives[1])
        return {basename(item.member): item.soname for item in told if item.member and item.soname}

    # -- the archives --------------------------------------------------------------------------------------------------

    def _archive(self, pairs: Sequence[tuple[Member, Member]], kept: Sequence[tuple[Member, Member]]) -> ArchiveChange:
        """What differs around the contents: of all members in both the order, of equal ones the rest."""
        places = {member.name: place for place, member in enumerate(self.archives[0].members)}
        order = [places[a.name] for a, _ in pairs]
        return ArchiveChange(
            order != sorted(order),
            tuple(FieldChange(b.name, _method(a), _method(b)) for a, b in kept if a.method != b.method),
            tuple(FieldChange(b.name, _time(a), _time(b)) for a, b in kept if a.dos_time != b.dos_time),
            tuple(
                FieldChange(b.name, str(a.compressed_size), str(b.compressed_size))
                for a, b in kept
                if a.compressed_size != b.compressed_size
            ),
        )


def _dist_info(archive: Archive) -> str | None:
    """The one folder `….dist-info`, if there is one."""
    found = {name.partition("/")[0] for name in archive.names}
    infos = [name for name in found if name.endswith(".dist-info")]
    return infos[0] if len(infos) == 1 else None


def _differ(a: Member, b: Member) -> bool:
    return (a.size, a.crc) != (b.size, b.crc)


def _is_large_data(archive: Archive, member: Member) -> bool:
    """Whether a member is large and no ELF file."""
    return member.size > _LARGE and not next(archive.stream(member), b"").startswith(b"\x7fELF")


def _content_of(archive: Archive, member: Member) -> _Content:
    """What `engine.scan` would say of a member, with less memory, or of one that it cannot inflate."""
    pieces = archive.stream(member)
    first = next(pieces, b"")
    if not first.startswith(b"\x7fELF"):
        hasher = sha256(first)
        for piece in pieces:
            hasher.update(piece)
        return _Content(hasher.hexdigest(), None)
    data = first + b"".join(pieces)
    try:
        return _Content(sha256(data).hexdigest(), engine.read(data))
    except ElfError:
        return _Content(sha256(data).hexdigest(), None)


def _side(member: Member, looked: Mapping[str, _Content]) -> Side:
    content = looked.get(member.name)
    facts = None if content is None else content.facts
    return Side(
        member.name,
        member.size,
        member.compressed_size,
        _mode(member),
        None if content is None else content.sha256,
        None if facts is None else _summary(facts),
    )


def _mode(member: Member) -> int | None:
    return None if member.mode is None else member.mode & 0o7777


def _method(member: Member) -> str:
    return _METHODS.get(member.method, str(member.method))


def _time(member: Member) -> str:
    return "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}".format(*member.date_time)


def _lines_changed(old: Sequence[str], new: Sequence[str], *, body: bool) -> TextChange:
    """The lines that one of two texts has more often than the other, in their order."""
    removed, added = (_more_often(lines, others) for lines, others in ((old, new), (new, old)))
    return TextChange(removed, added, body)


def _more_often(lines: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    spare = Counter(lines) - Counter(others)
    kept: list[str] = []
    for line in lines:
        if spare[line] > 0:
            spare[line] -= 1
            kept.append(line)
    return tuple(kept)
