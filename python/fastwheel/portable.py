"""What Linux has and other systems lack, each under one name: descriptors read by position, flags, paths, processors.

The pure wheel runs on macOS and on Windows, too, where it repairs Linux wheels all the same. On Linux the names here
are those of `os` themselves. Nothing else in the package calls what not every system has.

Paths of libraries are spelled with `/` on every system (`C:/libs/libfoo.so.1`), as in the wheels and ELF files that
speak of them. There is no share of a network among them: a wheel's search path must not make Windows log in anywhere.

>>> import os
>>> with open(__file__, "rb") as file:
...     pread(file.fileno(), 3, 0), file.tell()
(b'\"\"\"', 0)
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "APPEND",
    "CREATE",
    "FOLDER",
    "HOLDS_OPEN",
    "IGNORES_CASE",
    "NO_LINK",
    "READ",
    "SHORT_LIVED",
    "UNNAMED",
    "copy_file_range",
    "host_machine",
    "is_absolute",
    "pread",
    "pwrite",
    "real_path",
    "rooted",
    "set_attributes",
    "slashed",
    "usable_processors",
]


def _flags(names: str) -> int:
    """The flags of open(2) that this system has."""
    flags = 0
    for name in names.split():
        flags |= getattr(os, name, 0)
    return flags


#: Windows translates line ends and hands descriptors to children unless told not to.
_ALWAYS: Final = "O_CLOEXEC O_BINARY O_NOINHERIT"
#: For reading what may be anything: a FIFO must not make this wait for a writer.
READ: Final = os.O_RDONLY | _flags(f"{_ALWAYS} O_NONBLOCK O_NOCTTY")
#: Besides, for refusing a symbolic link where that is possible.
NO_LINK: Final = _flags("O_NOFOLLOW")
#: For a new file, read and written.
CREATE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | _flags(f"{_ALWAYS} O_NOFOLLOW")
#: For adding to a file.
APPEND: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | _flags(_ALWAYS)
#: For a folder, where a folder can be opened.
FOLDER: Final = os.O_RDONLY | _flags(f"{_ALWAYS} O_DIRECTORY")
#: For a new file in a folder, without a name; 0 where there is no such thing.
UNNAMED: Final = os.O_RDWR | _flags(f"{_ALWAYS} O_TMPFILE") if hasattr(os, "O_TMPFILE") else 0

#: For a new file that is gone as soon as it is closed; 0 where an open file can be removed instead.
SHORT_LIVED: Final = _flags("O_TEMPORARY O_SHORT_LIVED")

#: copy_file_range(2), where there is such a thing.
copy_file_range: Final[Callable[..., int] | None] = getattr(os, "copy_file_range", None)

#: Whether a file that is open can be neither removed nor renamed, nor another be renamed to its name.
HOLDS_OPEN: Final = sys.platform == "win32"
#: Whether `libFoo.so` is found where `libfoo.so` lies; a Linux loader would not find it.
IGNORES_CASE: Final = sys.platform in ("win32", "darwin")


if sys.platform == "win32":
    import ntpath
    import threading

    #: Reading at a place takes three calls here, between which no other thread may move the file's position.
    _LOCKS = tuple(threading.Lock() for _ in range(16))

    def pread(fd: int, length: int, offset: int, /) -> bytes:
        """As os.pread: read at a place, and leave the position of the file where it was."""
        with _LOCKS[fd % len(_LOCKS)]:
            position = os.lseek(fd, 0, os.SEEK_CUR)
            try:
                os.lseek(fd, offset, os.SEEK_SET)
                return os.read(fd, min(length, 1 << 30))
            finally:
                os.lseek(fd, position, os.SEEK_SET)

    def pwrite(fd: int, data: bytes | memoryview, offset: int, /) -> int:
        """As os.pwrite: write at a place, and leave the position of the file where it was."""
        with _LOCKS[fd % len(_LOCKS)]:
            position = os.lseek(fd, 0, os.SEEK_CUR)
            try:
                os.lseek(fd, offset, os.SEEK_SET)
                return os.write(fd, data[: 1 << 30])
            finally:
                os.lseek(fd, position, os.SEEK_SET)

    def slashed(path: str) -> str:
        """Return a path of this machine spelled with `/`."""
        return path.replace("\\", "/")

    def rooted(path: str) -> str:
        """Return an absolute path of a Linux system as one of this machine: below the root of the current drive."""
        return "/" + slashed(path).lstrip("/")

    def is_absolute(path: str) -> bool:
        """Whether a path begins at the root of this machine, and not in a wheel."""
        return path.startswith("/") or ntpath.isabs(path)

    def host_machine() -> str:
        """Return the name of this machine's processor, as uname(2) calls it on Linux."""
        # The module `platform` would ask a service of Windows (WMI), which takes up to seconds.
        name = os.environ.get("PROCESSOR_ARCHITEW6432") or os.environ.get("PROCESSOR_ARCHITECTURE", "")
        return {"AMD64": "x86_64", "ARM64": "aarch64", "x86": "i686"}.get(name, name)

else:
    from os import pread, pwrite

    def slashed(path: str) -> str:
        """Return a path of this machine spelled with `/`."""
        return path

    def rooted(path: str) -> str:
        """Return an absolute path of a Linux system as one of this machine."""
        return path

    def is_absolute(path: str) -> bool:
        """Whether a path begins at the root of this machine, and not in a wheel."""
        return path.startswith("/")

    def host_machine() -> str:
        """Return the name of this machine's processor, as uname(2) calls it on Linux."""
        name = os.uname().machine
        return {"arm64": "aarch64"}.get(name, name)


def real_path(path: str | os.PathLike[str], *, strict: bool = False) -> str:
    """Return a path without symbolic links, spelled with `/`.

    Raises:
        OSError: with `strict`, it does not exist.
    """
    return slashed(os.path.realpath(os.fspath(path), strict=strict))


def usable_processors() -> int:
    """Return on how many processors this process may run."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_attributes(fd: int, mode: int, source: str | os.PathLike[str]) -> None:
    """Give an open file the permissions `mode` and, as far as it may be done, the extended attributes of `source`."""
    if sys.platform == "win32":
        return
    os.fchmod(fd, mode)
    if sys.platform != "linux":
        return
    try:
        for name in os.listxattr(source):
            os.setxattr(fd, name, os.getxattr(source, name))
    except OSError:
        return
