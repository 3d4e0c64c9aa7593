"""A wheel, opened and checked: an acceptable archive whose parts agree on whose wheel it is.

>>> with Wheel.open("pkg-1.0-cp312-cp312-linux_x86_64.whl") as wheel:  # doctest: +SKIP
...     wheel.info.tags
('cp312-cp312-linux_x86_64',)
"""

from __future__ import annotations

from bisect import bisect_left
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fastwheel.errors import FastwheelError
from fastwheel.named import NamedTuple
from fastwheel.wheel.archive import Archive, Limits
from fastwheel.wheel.filename import WheelFileName
from fastwheel.wheel.layout import InstallLayout
from fastwheel.wheel.metadata import MARK, Metadata, WheelInfo
from fastwheel.wheel.names import shown
from fastwheel.wheel.record import Record, hash_text
from fastwheel.wheel.remote import locate
from fastwheel.wheel.source import fail, limit

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from fastwheel.wheel.record import Row

__all__ = ["RecordProblem", "Wheel"]

_MIB: Final = 1 << 20
_MARKED: Final = "{} begins with a byte order mark, which installers do not expect"
#: Signatures of RECORD, which RECORD cannot list (PEP 427); deprecated by PEP 815, dropped when RECORD is rewritten.
_SIGNATURES: Final = (".jws", ".p7s")


class RecordProblem(NamedTuple):
    """One way in which RECORD and the archive disagree.

    Attributes:
        kind: "missing" (a file has no row), "hash" or "size" (contradicts the content), "no-hash", "weak-hash" (of an
            algorithm that PEP 427 forbids, or no hash at all), "repeated", "folder" (a row for a folder), "mark" (it
            begins with a byte order mark).
        path: the file's name in the archive.
        message: a sentence for the user, names escaped.
    """

    kind: str
    path: str
    message: str

    @property
    def damning(self) -> bool:
        """Whether the content itself is in doubt, so that writing a new RECORD would hide a fault."""
        return self.kind == "hash"


class Wheel:
    """An open wheel; a context manager.

    Attributes:
        path: of the file, as given.
        archive: its members and their contents.
        filename: the parsed file name.
        dist_info: the folder `….dist-info` at the archive's root, without a slash.
        info: the WHEEL file.
        metadata: name and version of METADATA.
        record: the RECORD file.
        layout: where files land when installed.
        warnings: what is odd but accepted, in the order of checks.
    """

    def __init__(self, archive: Archive, filename: WheelFileName) -> None:
        self.path = archive.path
        self.archive = archive
        self.filename = filename
        self.dist_info = self._find_dist_info()
        self._check_project()
        warnings = list(archive.warnings)
        self.metadata = self._read_metadata(warnings)
        self.info = self._read_info(warnings)
        self.record = self._read_record()
        self.layout = InstallLayout(self.data_folder, archive.names)
        self.warnings: tuple[str, ...] = (*warnings, *self.layout.warnings)

    @classmethod
    def open(cls, path: str | os.PathLike[str], limits: Limits | None = None, *, filename: str | None = None) -> Wheel:
        """Open and check the wheel at `path`; `filename` is its name if the file does not bear it (yet).

        An https address is a path, too: only the parts of the file that are looked at are fetched.

        Raises:
            FastwheelError: FW7xx the file cannot be read; FW1xx it is no acceptable archive; FW2xx no acceptable wheel.
        """
        place = locate(path)
        try:
            name = WheelFileName.parse(filename if filename is not None else place.name)
        except FastwheelError:
            if isinstance(place, Path):
                Archive.probe(place)  # a missing file is not best described by its bad name
            raise
        archive = Archive.open(place, limits)
        try:
            return cls(archive, name)
        except BaseException as error:
            archive.close()
            if isinstance(error, FastwheelError) and not error.message.startswith(archive.label):
                raise FastwheelError(
                    f"{archive.label}: {error.message}", code=error.code, details=error.details, hint=error.hint
                ) from error
            raise

    def close(self) -> None:
        """Close the file; further calls do nothing."""
        self.archive.close()

    def __enter__(self) -> Wheel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Wheel {self.archive.label}>"

    @property
    def data_folder(self) -> str:
        """The folder of the other install schemes, `{project}-{version}.data`, whether it exists or not."""
        return self.dist_info.removesuffix(".dist-info") + ".data"

    @property
    def record_name(self) -> str:
        """The name of RECORD in the archive."""
        return f"{self.dist_info}/RECORD"

    def is_signature(self, name: str) -> bool:
        """Whether this member is a signature of RECORD, which a new RECORD makes void."""
        return name.endswith(_SIGNATURES) and name[:-4] == self.record_name

    def _find_dist_info(self) -> str:
        tops = {name.partition("/")[0] for name in self.archive.names}
        found = sorted(top for top in tops if top.endswith(".dist-info"))
        if len(found) == 1:
            return found[0]
        message, hint = "the wheel has no .dist-info folder", "is it a wheel?"
        if found:
            names = ", ".join(f"'{shown(name)}'" for name in found[:5])
            message, hint = f"the wheel has several .dist-info folders: {names}", "it may hold the files of one project"
        raise FastwheelError(f"{self.archive.label}: {message}", code="FW201", hint=hint)

    def _check_project(self) -> None:
        project, dash, version = self.dist_info.removesuffix(".dist-info").rpartition("-")
        if not dash or not self._same_project(project) or not self._same_version(version):
            message = f"'{shown(self.dist_info)}' belongs to another project or version than the file name"
            fail("FW202", self.archive.label, message, "give the file its original name")

    def _same_project(self, name: str) -> bool:
        if _simple(name) == _simple(self.filename.project):
            return True  # without importing what decides the rest
        from packaging.utils import canonicalize_name

        return canonicalize_name(name) == canonicalize_name(self.filename.project)

    def _same_version(self, text: str) -> bool:
        if text == self.filename.version:
            return True
        from packaging.version import InvalidVersion, Version

        try:
            return Version(text) == Version(self.filename.version)
        except (InvalidVersion, ValueError):
            return text.replace("-", "_") == self.filename.version.replace("-", "_")

    def _content(self, name: str, code: str, most: int) -> bytes:
        member = self.archive.names.get(f"{self.dist_info}/{name}")
        if member is None:
            fail(code, self.archive.label, f"the wheel has no file {name} in '{shown(self.dist_info)}'")
        if member.size > most:
            fail(code, self.archive.label, f"{name} has {member.size} bytes, more than it can need")
        return self.archive.read(member)

    def _read_metadata(self, warnings: list[str]) -> Metadata:
        member, most = self.archive.names.get(f"{self.dist_info}/METADATA"), self.archive.limits.metadata_size
        if member is not None and member.size > most:
            message = f"METADATA has {member.size} bytes, {most} are allowed"
            limit(self.archive.label, message, "metadata_size")
        content = self._content("METADATA", "FW203", most)
        metadata = Metadata.parse(content)
        if content.startswith(MARK):
            warnings.append(_MARKED.format("METADATA"))
        for what, value, same in (
            ("Name", metadata.name, self._same_project),
            ("Version", metadata.version, self._same_version),
        ):
            if not same(value):
                message = f"METADATA has {what} '{shown(value)}', which is not that of the file name"
                fail("FW202", self.archive.label, message, "give the file its original name")
        return metadata

    def _read_info(self, warnings: list[str]) -> WheelInfo:
        content = self._content("WHEEL", "FW204", _MIB // 4)
        info = WheelInfo.parse(content)
        if content.startswith(MARK):
            warnings.append(_MARKED.format("WHEEL"))
        if info.wheel_version > (1, 0):
            warnings.append(f"WHEEL has the version {'.'.join(map(str, info.wheel_version))}, newer than 1.0")
        if set(info.tags) != set(self.filename.tags):
            warnings.append("the tags in WHEEL are not those of the file name")
        if (info.build or "") != self.filename.build:
            warnings.append("the build tag in WHEEL is not that of the file name")
        return info

    def _read_record(self) -> Record:
        names = self.archive.names
        # Each row holds a name, which quoting may double, and at most 200 characters more.
        most = 2 * len("".join(names).encode()) + 200 * len(names) + _MIB
        record = Record.parse(self._content("RECORD", "FW206", most))
        absent = sorted(record.rows.keys() - names.keys())
        ordered = sorted(names) if absent else []
        for path in absent:
            at = bisect_left(ordered, path)
            folder = path.endswith("/") and at < len(ordered) and ordered[at].startswith(path)
            if not folder and not self.is_signature(path):
                hint = "build the wheel again, or take the row out of RECORD"
                fail("FW207", self.archive.label, f"RECORD lists '{shown(path)}', which the wheel lacks", hint)
        return record

    def check_record(self, digests: Mapping[str, bytes]) -> tuple[RecordProblem, ...]:
        """Compare RECORD with the archive: every file, its size and, where known, its content.

        Args:
            digests: name ▶ SHA-256 of the content (32 bytes), of the files whose content is to be checked. A file whose
                row has a hash of another kind is read for it.

        Returns:
            The disagreements in archive order, those of rows without a file last.

        Raises:
            FastwheelError: FW112 a content that had to be read is damaged.
        """
        return tuple(self._problems(digests))

    def _problems(self, digests: Mapping[str, bytes]) -> Iterator[RecordProblem]:
        rows = self.record.rows
        if self.record.marked:
            yield RecordProblem("mark", self.record_name, _MARKED.format("RECORD"))
        for member in self.archive.members:
            name = member.name
            if member.is_dir or self.is_signature(name):
                continue
            row = rows.get(name)
            if row is None:
                yield RecordProblem("missing", name, f"RECORD does not list '{shown(name)}'")
                continue
            if name == self.record_name:
                continue
            if row.size and row.size != str(member.size):
                message = f"RECORD says that '{shown(name)}' has {shown(row.size)} bytes, it has {member.size}"
                yield RecordProblem("size", name, message)
            yield from self._check_hash(name, row, digests.get(name))
        for path in self.record.repeated:
            yield RecordProblem("repeated", path, f"RECORD lists '{shown(path)}' twice")
        for path in rows:
            if path.endswith("/"):
                yield RecordProblem("folder", path, f"RECORD lists the folder '{shown(path)}'")

    def _check_hash(self, name: str, row: Row, sha256: bytes | None) -> Iterator[RecordProblem]:
        if not row.hash:
            yield RecordProblem("no-hash", name, f"RECORD has no hash of '{shown(name)}'")
            return
        if sha256 is not None and row.hash == hash_text(sha256):
            return
        claimed = row.digest
        if claimed is None:
            kind = shown(row.hash.partition("=")[0])
            message = f"RECORD has no valid hash of '{shown(name)}' ({kind}); sha256, sha384 and sha512 are allowed"
            yield RecordProblem("weak-hash", name, message)
            return
        algorithm, digest = claimed
        if sha256 is None:
            return
        if algorithm == "sha256":
            actual = sha256
        else:
            import hashlib

            hasher = hashlib.new(algorithm)
            for piece in self.archive.stream(self.archive.names[name]):
                hasher.update(piece)
            actual = hasher.digest()
        if actual != digest:
            message = f"the content of '{shown(name)}' does not match its hash in RECORD"
            yield RecordProblem("hash", name, message)


def _simple(project: str) -> str:
    """A project's name in the spelling of PEP 503, but for runs of separators."""
    return project.lower().replace("_", "-").replace(".", "-")
