"""What `fastwheel.diff` answers: plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fastwheel.named import NamedTuple

__all__ = [
    "ArchiveChange",
    "Difference",
    "ElfChange",
    "ElfSummary",
    "FieldChange",
    "MemberChange",
    "Side",
    "TextChange",
]


class FieldChange(NamedTuple):
    """One value before and after; None where there was or is none."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class ElfSummary:
    """The dynamic entries of one ELF file that a repair may change."""

    soname: str | None
    needed: tuple[str, ...]
    rpath: str | None
    runpath: str | None

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {
            "soname": self.soname,
            "needed": list(self.needed),
            "rpath": self.rpath,
            "runpath": self.runpath,
        }


@dataclass(frozen=True, slots=True)
class Side:
    """One file, as a member of a wheel or by itself.

    Attributes:
        name: in the archive, or the path as given.
        size: of the content, bytes.
        compressed_size: in the archive, bytes; None of a file by itself.
        mode: Unix permissions (and set-id bits), or None where the archive tells none.
        sha256: of the content, hex; None where it was not needed.
        elf: of an ELF file whose content was looked at, else None.
    """

    name: str
    size: int
    compressed_size: int | None
    mode: int | None
    sha256: str | None
    elf: ElfSummary | None

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {
            "name": self.name,
            "size": self.size,
            "compressed_size": self.compressed_size,
            "mode": self.mode,
            "sha256": self.sha256,
            "elf": None if self.elf is None else self.elf.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class ElfChange:
    """How two versions of an ELF file differ, as the loader sees them.

    Attributes:
        fields: "soname", "rpath", "runpath", "interpreter", "build_id" and others that differ.
        renamed: pairs (old, new) of DT_NEEDED names that stand for one library.
        removed: DT_NEEDED names that are gone.
        added: DT_NEEDED names that are new.
        reordered: the same DT_NEEDED names come in another order.
        versions_removed: pairs (library, version) that are no longer needed; a renamed library is the same one.
        versions_added: pairs that are newly needed.
        symbols_removed: names of undefined symbols that are gone.
        symbols_added: names of undefined symbols that are new.
    """

    fields: tuple[FieldChange, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    reordered: bool = False
    versions_removed: tuple[tuple[str, str], ...] = ()
    versions_added: tuple[tuple[str, str], ...] = ()
    symbols_removed: tuple[str, ...] = ()
    symbols_added: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {
            "fields": [field._asdict() for field in self.fields],
            "needed": {
                "renamed": [list(pair) for pair in self.renamed],
                "removed": list(self.removed),
                "added": list(self.added),
                "reordered": self.reordered,
            },
            "versions": {
                "removed": [list(pair) for pair in self.versions_removed],
                "added": [list(pair) for pair in self.versions_added],
            },
            "symbols": {"removed": list(self.symbols_removed), "added": list(self.symbols_added)},
        }


@dataclass(frozen=True, slots=True)
class TextChange:
    """How two versions of WHEEL, METADATA or RECORD differ: lines, in their order; `body` past the headers."""

    removed: tuple[str, ...]
    added: tuple[str, ...]
    body: bool = False

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {"removed": list(self.removed), "added": list(self.added), "body": self.body}


@dataclass(frozen=True, slots=True)
class MemberChange:
    """One file that differs.

    Attributes:
        kind: "added", "removed", "changed" (content or mode), "renamed" (perhaps changed as well).
        before: as it was; None if added.
        after: as it is; None if removed.
        content: whether the content differs.
        elf: of ELF files on both sides whose dynamic sections differ.
        text: of WHEEL, METADATA and RECORD.
        graft_of: of an added library: the name under which it was needed before.
    """

    kind: Literal["added", "removed", "changed", "renamed"]
    before: Side | None
    after: Side | None
    content: bool
    elf: ElfChange | None = None
    text: TextChange | None = None
    graft_of: str | None = None

    @property
    def name(self) -> str:
        """The new name, or the old one of what is gone."""
        side = self.after or self.before
        return "" if side is None else side.name

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {
            "kind": self.kind,
            "before": None if self.before is None else self.before.to_dict(),
            "after": None if self.after is None else self.after.to_dict(),
            "content": self.content,
            "elf": None if self.elf is None else self.elf.to_dict(),
            "text": None if self.text is None else self.text.to_dict(),
            "graft_of": self.graft_of,
        }


@dataclass(frozen=True, slots=True)
class ArchiveChange:
    """How two archives differ around their contents; of members with the same name and content.

    Attributes:
        reordered: they come in another order.
        methods: (member, before, after) of compression methods.
        times: (member, before, after) of time stamps, ISO 8601 without a zone.
        compressed: (member, before, after) of compressed sizes, bytes.
    """

    reordered: bool = False
    methods: tuple[FieldChange, ...] = ()
    times: tuple[FieldChange, ...] = ()
    compressed: tuple[FieldChange, ...] = ()

    def __bool__(self) -> bool:
        return self.reordered or bool(self.methods or self.times or self.compressed)

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {
            "reordered": self.reordered,
            "methods": [change._asdict() for change in self.methods],
            "times": [change._asdict() for change in self.times],
            "compressed": [change._asdict() for change in self.compressed],
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """How two wheels, or two ELF files, differ.

    Attributes:
        kind: "wheel" or "file".
        before: the first path, as given.
        after: the second path, as given.
        size_before: of the file, bytes.
        size_after: of the file, bytes.
        name: the parts of the wheel's file name that differ.
        members: the files that differ, in the order of the second wheel, those that are gone last.
        archive: what differs around the contents.
        notes: what the user should know.
    """

    kind: Literal["wheel", "file"]
    before: str
    after: str
    size_before: int
    size_after: int
    name: tuple[FieldChange, ...]
    members: tuple[MemberChange, ...]
    archive: ArchiveChange
    notes: tuple[str, ...] = ()

    @property
    def same_content(self) -> bool:
        """Whether names, files, contents and modes are equal; the archives may still differ around them."""
        return not self.name and not self.members

    @property
    def equal(self) -> bool:
        """Whether no difference is known at all."""
        return self.same_content and not self.archive

    def to_dict(self) -> dict[str, object]:
        """Return the document of `fastwheel diff --json` (docs/json.md)."""
        return {
            "version": 1,
            "kind": self.kind,
            "before": {"path": self.before, "size": self.size_before},
            "after": {"path": self.after, "size": self.size_after},
            "equal": self.equal,
            "same_content": self.same_content,
            "name": [change._asdict() for change in self.name],
            "members": [member.to_dict() for member in self.members],
            "archive": self.archive.to_dict(),
            "notes": list(self.notes),
        }
