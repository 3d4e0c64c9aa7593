"""The files whose owners are asked for, and their comparison with the paths that package databases list."""

from __future__ import annotations

import os
import stat
from posixpath import split
from typing import TYPE_CHECKING, Final

from fastwheel.portable import READ

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fastwheel.deps.files import Root
    from fastwheel.deps.packages.model import Package

__all__ = ["Asked", "places", "read_bounded", "text_of"]

#: More than any real database; a file beyond is not read at all.
LIMIT: Final = 1 << 28


class Asked:
    """What is asked for, and what was found.

    Attributes:
        found: the owner of each path, as it was asked for.
        left: how many files have no owner yet.
    """

    def __init__(self, paths: Sequence[str], root: Root) -> None:
        self._root = root
        self._spellings: dict[str, list[str]] = {}
        self._folders: dict[str, str | None] = {}
        self._files: dict[bytes, list[str]] = {}
        self.found: dict[str, Package] = {}
        for path in dict.fromkeys(paths):
            if path.startswith("/") and "\0" not in path and "\n" not in path:
                self._spellings.setdefault(self._real(path), []).append(path)
        for real in self._spellings:
            self._files.setdefault(os.fsencode(split(real)[1]), []).append(real)
        self._files.pop(b"", None)
        self.left = sum(map(len, self._files.values()))

    @property
    def names(self) -> frozenset[bytes]:
        """The file names, without folders, of what has no owner yet."""
        return frozenset(self._files)

    def match(self, listed: bytes) -> str | None:
        """Return the file without an owner that a database means by the absolute path `listed`, or None."""
        candidates = self._files.get(listed[listed.rfind(b"/") + 1 :])
        if not candidates:
            return None
        path = os.fsdecode(listed)
        if path in candidates:
            return path
        folder, name = split(path)
        if folder not in self._folders:
            self._folders[folder] = self._folder(folder)
        real = self._folders[folder]
        if real is not None:
            joined = real.rstrip("/") + "/" + name
            if joined in candidates:
                return joined
        # A folder that is gone: the list is older than the merge of /usr, or newer than the links.
        other = path[4:] if path.startswith("/usr/") else "/usr" + path
        if other in candidates and not os.path.lexists(self._root.host(path)):
            return other
        return None

    def own(self, real: str, package: Package) -> None:
        """Note the owner of a file that `match` returned."""
        for path in self._spellings[real]:
            self.found[path] = package
        name = os.fsencode(split(real)[1])
        self._files[name].remove(real)
        if not self._files[name]:
            del self._files[name]
        self.left -= 1

    def _folder(self, folder: str) -> str | None:
        """Return a folder without symbolic links, as seen from the root."""
        try:
            return self._seen(self._root.real(self._root.host(folder)))
        except (OSError, ValueError):
            return None

    def _real(self, path: str) -> str:
        """Return a path without symbolic links, as seen from the root; itself, if it does not exist."""
        top = self._root.top
        host = path if top != "/" and path.startswith(top + "/") else self._root.host(path)
        try:
            return self._seen(self._root.real(host))
        except (OSError, ValueError):
            return self._seen(host)

    def _seen(self, host: str) -> str:
        top = self._root.top
        return host[len(top) :] if top != "/" and host.startswith(top + "/") else host


def read_bounded(path: str, notes: list[str], *, folder: int | None = None) -> bytes | None:
    """Return the content of a regular file; None if there is none or it can't be read, which is noted.

    Args:
        path: the file.
        notes: gets a line if the file exists and can't be read.
        folder: descriptor of the folder that `path` is relative to.
    """
    try:
        fd = os.open(path, READ, dir_fd=folder)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        notes.append(f"the package database {text_of(path)} cannot be read: {text_of(str(error))}")
        return None
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            notes.append(f"the package database {text_of(path)} is not a regular file")
            return None
        if info.st_size > LIMIT:
            notes.append(f"the package database {text_of(path)} is too large to be one: {info.st_size} bytes")
            return None
        return _read(fd, info.st_size)
    except OSError as error:
        notes.append(f"the package database {text_of(path)} cannot be read: {text_of(str(error))}")
        return None
    finally:
        os.close(fd)


def _read(fd: int, size: int) -> bytes:
    content = os.read(fd, size)
    if len(content) == size:
        return content
    parts = [content]
    while part := os.read(fd, min(size - sum(map(len, parts)), 1 << 20)):
        parts.append(part)
    return b"".join(parts)


def text_of(raw: bytes | str) -> str:
    """Return a name out of a database as text without control characters or lone surrogates."""
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def places(root: Root, *paths: str) -> Iterator[str]:
    """Yield the places on this machine of those `paths` that exist, without symbolic links, each once."""
    seen = set()
    for path in paths:
        try:
            real = root.real(root.host(path))
        except (OSError, ValueError):
            continue
        if real not in seen:
            seen.add(real)
            yield real
