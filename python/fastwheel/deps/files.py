"""The machine's files as candidates for a library: what lies at a path, or why it can't be used. Never hangs.

Every file is read once: by its device and inode, whatever the names that lead to it.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final

from fastwheel.errors import FastwheelError
from fastwheel.named import NamedTuple
from fastwheel.policy.arch import Libc, float_abi, libc_of, machine_name
from fastwheel.portable import IGNORES_CASE, READ, pread, real_path, rooted, slashed

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastwheel._elf.model import Facts

__all__ = ["Abi", "Files", "Root", "SystemFile", "abi_of", "mismatch"]

_MAX_LINKS: Final = 40
_ET_DYN: Final = 3


class Abi(NamedTuple):
    """What two files must share to be loaded together."""

    bits: int
    byte_order: str
    machine: int
    osabi: int
    float_abi: int


def abi_of(facts: Facts) -> Abi:
    """Return the ABI of an ELF file; ELFOSABI_GNU counts as ELFOSABI_NONE, which it extends."""
    osabi = 0 if facts.osabi == 3 else facts.osabi
    return Abi(facts.bits, facts.byte_order, facts.machine, osabi, float_abi(facts.machine, facts.flags))


def mismatch(wanted: Abi, facts: Facts) -> str | None:
    """Return why a file can't be loaded as a library by one of ABI `wanted`, or None if it can."""
    have = abi_of(facts)
    if have.bits != wanted.bits:
        return f"{have.bits}-bit, not {wanted.bits}-bit"
    if have.byte_order != wanted.byte_order:
        return f"{have.byte_order}-endian"
    if have.machine != wanted.machine:
        return f"for another processor: {machine_name(facts)}"
    if have.osabi != wanted.osabi:
        return f"for another system: ELF OS ABI {facts.osabi}"
    if have.float_abi and wanted.float_abi and have.float_abi != wanted.float_abi:
        return "another floating-point calling convention"
    if facts.type != _ET_DYN:
        return "not a shared library"
    return None


class SystemFile(NamedTuple):
    """A usable library of the machine.

    Attributes:
        path: as found: a search folder and the name.
        real: without symbolic links.
        facts: what the loader would learn of it.
    """

    path: str
    real: str
    facts: Facts


class Root:
    """The folder that stands for `/`. Absolute symbolic links below it stay below it.

    Attributes:
        top: its path.
    """

    def __init__(self, top: str | os.PathLike[str] = "/") -> None:
        self.top = "/" if os.fspath(top) == "/" else slashed(os.path.abspath(os.fspath(top)))

    def host(self, path: str) -> str:
        """Return where an absolute path of the system lies on this machine."""
        return rooted(path) if self.top == "/" else self.top + path

    def real(self, path: str) -> str:
        """Return a path of this machine without symbolic links.

        Raises:
            OSError: it does not exist, or the links form a loop (ELOOP).
        """
        if self.top == "/" or not (path + "/").startswith(self.top + "/"):
            return real_path(path, strict=True)
        todo = [part for part in path[len(self.top) :].split("/") if part][::-1]
        done: list[str] = []
        links = 0
        while todo:
            part = todo.pop()
            if part == ".":
                continue
            if part == "..":
                del done[-1:]
                continue
            here = "/".join([self.top, *done, part])
            if not stat.S_ISLNK(os.lstat(here).st_mode):
                done.append(part)
                continue
            links += 1
            if links > _MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            target = os.readlink(here)
            if target.startswith("/"):
                done = []
            todo += [part for part in target.split("/") if part][::-1]
        return "/".join([self.top, *done])

    def text(self, path: str, limit: int) -> str:
        """Return the text of a configuration file of the system; "" if it can't be read. At most `limit` bytes."""
        try:
            fd = os.open(self.real(self.host(path)), READ)
        except (OSError, ValueError):
            return ""
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return ""
            return os.read(fd, limit).decode("utf-8", "surrogateescape")
        except OSError:
            return ""
        finally:
            os.close(fd)


def _engine_read(path: str) -> Facts:
    from fastwheel import engine

    return engine.read_file(path)


class Files:
    """Looks at candidate files and remembers what they are."""

    def __init__(self, root: Root, libc: Libc, read: Callable[[str], Facts] | None = None) -> None:
        self._root = root
        self._libc = libc
        self._read = read or _engine_read
        self._paths: dict[str, SystemFile | str | None] = {}
        self._folders: dict[str, bool] = {}
        self._contents: dict[tuple[int, int | str], tuple[str, Facts | str]] = {}
        self._names: dict[str, frozenset[str]] = {}

    def is_folder(self, path: str) -> bool:
        """Whether a path of this machine is a folder."""
        known = self._folders.get(path)
        if known is None:
            try:
                known = stat.S_ISDIR(os.lstat(self._root.real(path)).st_mode)
            except (OSError, ValueError):
                known = False
            self._folders[path] = known
        return known

    def probe(self, path: str, wanted: Abi) -> SystemFile | str | None:
        """Return the library at a path, the reason why what lies there can't be used, or None for nothing there."""
        found = self.look(path)
        if isinstance(found, SystemFile):
            return mismatch(wanted, found.facts) or self._other_libc(found.facts) or found
        return found

    def _other_libc(self, facts: Facts) -> str | None:
        """A machine may hold libraries for another C library than the wheel's; they are no use to it."""
        try:
            libc = libc_of(facts)
        except FastwheelError as error:
            return error.message
        return f"built for {libc.value}, not {self._libc.value}" if libc not in (None, self._libc) else None

    def look(self, path: str) -> SystemFile | str | None:
        """Return the ELF file at a path, of whatever ABI; else as `probe`."""
        if path in self._paths:
            return self._paths[path]
        found: SystemFile | str | None
        try:
            found = self._open(path) if not IGNORES_CASE or self._is_spelled_so(path) else None
        except (FileNotFoundError, NotADirectoryError):
            found = "a dangling symbolic link" if os.path.islink(path) else None
        except ValueError:  # a NUL in the name
            found = None
        except OSError as error:
            found = {
                errno.ELOOP: "a loop of symbolic links",
                errno.EACCES: "not readable",
                errno.EPERM: "not readable",
                errno.ENAMETOOLONG: None,
            }.get(error.errno or 0, f"not readable: {os.strerror(error.errno or 0)}")
        self._paths[path] = found
        return found

    def _is_spelled_so(self, path: str) -> bool:
        """Whether a folder lists a file under just this name: Linux, for which it is, knows no other spelling."""
        folder, _, name = path.rpartition("/")
        names = self._names.get(folder)
        if names is None:
            try:
                names = frozenset(os.listdir(folder or "/"))
            except (OSError, ValueError):
                names = frozenset()
            self._names[folder] = names
        return name in names

    def _open(self, path: str) -> SystemFile | str:
        if self._root.top == "/":
            # cheaper than realpath, and most candidates do not exist
            info = os.stat(path)
            if stat.S_ISDIR(info.st_mode):
                return "a folder"
            if not stat.S_ISREG(info.st_mode):
                return "not a regular file"
        real = self._root.real(path)
        fd = os.open(real, READ)
        try:
            info = os.fstat(fd)
            if stat.S_ISDIR(info.st_mode):
                return "a folder"
            if not stat.S_ISREG(info.st_mode):
                return "not a regular file"
            start = pread(fd, 256, 0)
        finally:
            os.close(fd)
        identity = (info.st_dev, info.st_ino or real)  # some file systems of Windows number nothing
        if identity not in self._contents:
            self._contents[identity] = (real, self._facts(real, start))
        first, facts = self._contents[identity]
        return facts if isinstance(facts, str) else SystemFile(path, first, facts)

    def _facts(self, real: str, start: bytes) -> Facts | str:
        if not start.startswith(b"\x7fELF"):
            if any(word in start for word in (b"GNU ld script", b"GROUP", b"INPUT", b"OUTPUT_FORMAT")):
                return "a linker script, not an ELF file"
            return "not an ELF file" if start else "an empty file"
        try:
            return self._read(real)
        except FastwheelError as error:
            return f"a damaged ELF file: {error.message}"
