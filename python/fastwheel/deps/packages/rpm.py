"""rpm's database: a header for each package, kept in one of three formats (`rpmdb.py`).

Header: https://rpm-software-management.github.io/rpm/manual/format_header.html - all numbers big-endian; here it
starts with the two counts, without the magic that it has in a package file.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from fastwheel.deps.packages.asked import places, text_of
from fastwheel.deps.packages.model import Package
from fastwheel.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastwheel.deps.files import Root
    from fastwheel.deps.packages.asked import Asked

__all__ = ["Header", "find"]

_FOLDERS: Final = ("/usr/lib/sysimage/rpm", "/var/lib/rpm", "/usr/share/rpm")
_INTRO: Final = struct.Struct(">II")
_ENTRY: Final = struct.Struct(">IIII")

_NAME: Final = 1000
_VERSION: Final = 1001
_RELEASE: Final = 1002
_EPOCH: Final = 1003
_ARCH: Final = 1022
_FILE_STATES: Final = 1029
_SOURCE: Final = 1044
_DIR_INDEXES: Final = 1116
_BASE_NAMES: Final = 1117
_DIR_NAMES: Final = 1118
_WANTED: Final = frozenset(
    (_NAME, _VERSION, _RELEASE, _EPOCH, _ARCH, _FILE_STATES, _SOURCE, _DIR_INDEXES, _BASE_NAMES, _DIR_NAMES)
)

_CHAR: Final = 1
_INT8: Final = 2
_INT32: Final = 4
_STRING: Final = 6
_STRING_ARRAY: Final = 8
_I18N_STRING: Final = 9

#: Of a file: normal, and on a shared file system. Others are not installed, replaced, or of another processor.
_PRESENT: Final = frozenset((0, 3))


def find(asked: Asked, root: Root, distro: str, notes: list[str]) -> None:
    """Give the files of `asked` that rpm knows their owners."""
    for folder in places(root, *_FOLDERS):
        if not asked.left:
            break
        # only machines that have such a folder pay for the import
        from fastwheel.deps.packages.rpmdb import headers

        for blob in headers(folder, asked.names, notes):
            header = Header(blob)
            if header.damaged:
                notes.append(f"a header in rpm's database in {text_of(folder)} is damaged")
            package = None
            for listed in header.files(asked.names):
                path = asked.match(listed)
                if path is None:
                    continue
                package = package or header.package(distro)
                if package is None:
                    notes.append(f"rpm's database does not name the package of {text_of(path)}")
                    break
                asked.own(path, package)
            if not asked.left:
                break


class _Entry(NamedTuple):
    kind: int
    offset: int
    length: int


class Header:
    """The tags of one package that matter here.

    Attributes:
        damaged: the header contradicts itself; it has no tags then.
    """

    def __init__(self, blob: bytes) -> None:
        self._blob = blob
        self._entries: dict[int, _Entry] = {}
        self.damaged = False
        if len(blob) < _INTRO.size:
            return  # Berkeley DB keeps a counter among the headers
        entries, size = _INTRO.unpack_from(blob)
        data = _INTRO.size + entries * _ENTRY.size
        if data + size > len(blob):
            self.damaged = True
            return
        for tag, kind, offset, count in _ENTRY.iter_unpack(memoryview(blob)[_INTRO.size : data]):
            if tag in _WANTED and offset < size and count <= size:
                self._entries[tag] = _Entry(kind, data + offset, count)

    def text(self, tag: int) -> str | None:
        """Return a tag of one string."""
        strings = self._strings(tag)
        return text_of(strings[0]) if strings and strings[0] else None

    def package(self, distro: str) -> Package | None:
        """Return the package, or None if the header lacks its name, version or release."""
        name, version, release = self.text(_NAME), self.text(_VERSION), self.text(_RELEASE)
        if name is None or version is None or release is None:
            return None
        epochs = self._numbers(_EPOCH)
        # "name-version-release.src.rpm"
        source = (self.text(_SOURCE) or "").rsplit("-", 2)[0] or None
        epoch = epochs[0] if epochs else None
        return Package("rpm", name, f"{version}-{release}", self.text(_ARCH), distro, source, epoch)

    def files(self, names: frozenset[bytes]) -> Iterator[bytes]:
        """Yield the absolute paths of the installed files whose last part is one of `names`."""
        base_names = self._strings(_BASE_NAMES)
        if names.isdisjoint(base_names):
            return
        folders, indexes, states = self._strings(_DIR_NAMES), self._numbers(_DIR_INDEXES), self._numbers(_FILE_STATES)
        for number, (name, index) in enumerate(zip(base_names, indexes, strict=False)):
            if name not in names or index >= len(folders):
                continue
            if number >= len(states) or states[number] in _PRESENT:
                yield folders[index] + name

    def _strings(self, tag: int) -> list[bytes]:
        entry = self._entries.get(tag)
        if entry is None or entry.kind not in (_STRING, _STRING_ARRAY, _I18N_STRING):
            return []
        count = 1 if entry.kind == _STRING else entry.length
        return self._blob[entry.offset :].split(b"\0", count)[:count]

    def _numbers(self, tag: int) -> tuple[int, ...]:
        entry = self._entries.get(tag)
        if entry is None:
            return ()
        if entry.kind == _INT32 and entry.offset + 4 * entry.length <= len(self._blob):
            return struct.unpack_from(f">{entry.length}I", self._blob, entry.offset)
        if entry.kind in (_CHAR, _INT8) and entry.offset + entry.length <= len(self._blob):
            return tuple(self._blob[entry.offset : entry.offset + entry.length])
        return ()
