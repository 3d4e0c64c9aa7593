"""Where a loader looks for a library on this machine: the folders that do not depend on who asks.

The order of glibc: `--lib-path`, DT_RPATH of the asker and its loaders, LD_LIBRARY_PATH, DT_RUNPATH of the asker,
ld.so.conf, default folders. musl has LD_LIBRARY_PATH before any RPATH. What depends on the asker is in `graph.py`.
"""

from __future__ import annotations

import os
from functools import cached_property
from posixpath import dirname, join
from typing import TYPE_CHECKING, Final

from fastwheel.deps.files import Abi, Files, Root, SystemFile
from fastwheel.deps.folders import (
    Folder,
    Via,
    cross_folders,
    default_folders,
    has_origin,
    ld_so_conf,
    musl_path_file,
    split_path,
)
from fastwheel.errors import escape
from fastwheel.policy.arch import Arch, Libc
from fastwheel.portable import host_machine, is_absolute, real_path, slashed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from fastwheel._elf.model import Facts

__all__ = ["Found", "Search"]

#: Searched in this order, the highest first; `ldpaths` switches only the last one off.
_VARIABLES: Final = ("FASTWHEEL_LD_LIBRARY_PATH", "AUDITWHEEL_LD_LIBRARY_PATH", "LD_LIBRARY_PATH")


class Found:
    """What came of a search.

    Attributes:
        file: the library, or None.
        folder: where it was, or None.
        faults: the candidates on the way that could not be used, each with its reason.
    """

    __slots__ = ("faults", "file", "folder")

    def __init__(self, file: SystemFile | None, folder: Folder | None, faults: tuple[str, ...]) -> None:
        self.file = file
        self.folder = folder
        self.faults = faults


class Search:
    """The search path of one C library and processor, on one machine and in one environment.

    Args:
        libc: whose loader is followed.
        arch: the processor; None leaves out what depends on it.
        root: the folder that stands for `/`.
        environ: the environment variables; empty if not given.
        cwd: what relative and empty entries are relative to; the current folder if not given.
        ldpaths: folders, joined by ":", in place of ld.so.conf, the default folders and LD_LIBRARY_PATH; "" is none.
        lib_paths: folders to search before all others.
        native: the processor of this machine; libraries of others are also looked for in the cross-compilers' folders.
        read: reads the facts of a file, `fastwheel.engine.read_file` if not given.
    """

    def __init__(
        self,
        libc: Libc,
        arch: Arch | None,
        *,
        root: str | os.PathLike[str] = "/",
        environ: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        ldpaths: str | None = None,
        lib_paths: Sequence[str] = (),
        native: Arch | None = None,
        read: Callable[[str], Facts] | None = None,
    ) -> None:
        self.libc = libc
        self.arch = arch
        self.root = Root(root)
        self.files = Files(self.root, libc, read)
        self._environ = dict(environ or {})
        self._cwd = None if cwd is None else os.fspath(cwd)
        # Nothing of an Android device is on the build machine.
        self._ldpaths = "" if ldpaths is None and libc is Libc.ANDROID else ldpaths
        self._lib_paths = tuple(lib_paths)
        self._native = native
        self._notes: dict[str, None] = {}

    @classmethod
    def for_host(
        cls,
        libc: Libc,
        arch: Arch | None,
        *,
        environ: Mapping[str, str] | None = None,
        ldpaths: str | None = None,
        lib_paths: Sequence[str] = (),
    ) -> Search:
        """Return the search path of this machine, in this process's environment unless `environ` is given."""
        machine = {"i386": "i686", "i586": "i686", "armv8l": "armv7l"}.get(host_machine(), host_machine())
        return cls(
            libc,
            arch,
            environ=os.environ if environ is None else environ,
            ldpaths=ldpaths,
            lib_paths=lib_paths,
            native=Arch(machine) if machine in Arch._value2member_map_ else None,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd about the environment or the options, once the folders have been asked for."""
        return tuple(self._notes)

    def _note(self, text: str) -> None:
        self._notes.setdefault(text)

    def absolute(self, entry: str) -> str:
        """Return the path of this machine that an entry of a search path means: relative ones start at the caller's."""
        entry = slashed(entry)
        if entry.startswith("/"):
            path = self.root.host(entry)
        elif is_absolute(entry):
            path = entry
        else:
            if self._cwd is None:
                try:
                    self._cwd = slashed(os.getcwd())
                except FileNotFoundError:  # the current folder was deleted: nothing is below it
                    self._cwd = "/nonexistent"
            path = join(self._cwd, entry)
        return path.rstrip("/") or "/"

    def existing(self, entries: Iterable[str], via: Via, label: str) -> tuple[Folder, ...]:
        """Return the entries that are folders; `label` may hold `{}` for the entry."""
        found: dict[str, Folder] = {}
        for entry in entries:
            path = self.absolute(entry)
            if path not in found and self.files.is_folder(path):
                found[path] = Folder(path, via, label.format(escape(entry or ".")))
        return tuple(found.values())

    def _without_origin(self, text: str, what: str) -> tuple[str, ...]:
        """Split a path that belongs to no file: `$ORIGIN` has no meaning in it."""
        kept = []
        entries = split_path(text, self.libc, environment=True) if os.pathsep == ":" else _host_folders(text)
        for entry in entries:
            if has_origin(entry):
                self._note(f"{what}: {escape(entry)} is skipped, for $ORIGIN has no meaning there")
            else:
                kept.append(entry)
        return tuple(kept)

    @cached_property
    def first(self) -> tuple[Folder, ...]:
        """The folders of the `lib_paths` option."""
        entries = [entry for path in self._lib_paths for entry in self._without_origin(path, "--lib-path")]
        for entry in entries:
            if not self.files.is_folder(self.absolute(entry)):
                self._note(f"--lib-path: {escape(entry or '.')} is not a folder")
        return self.existing(entries, Via.LIB_PATH, "--lib-path ({})")

    @cached_property
    def environment(self) -> tuple[Folder, ...]:
        """The folders of FASTWHEEL_LD_LIBRARY_PATH, AUDITWHEEL_LD_LIBRARY_PATH and LD_LIBRARY_PATH."""
        found: list[Folder] = []
        for name in _VARIABLES if self._ldpaths is None else _VARIABLES[:-1]:
            entries = self._without_origin(self._environ.get(name, ""), name)
            found += self.existing(entries, Via.ENVIRONMENT, f"{name} ({{}})")
        return _unique(found)

    @cached_property
    def system(self) -> tuple[Folder, ...]:
        """The folders of the system's configuration and the loader's own, or those of the `ldpaths` option."""
        if self._ldpaths is not None:
            return self.existing(self._without_origin(self._ldpaths, "--ldpaths"), Via.CONFIG, "--ldpaths ({})")
        if self.libc is Libc.MUSL:
            return self.existing(musl_path_file(self.root, self.arch), Via.CONFIG, "{}")
        found = [
            *self.existing(ld_so_conf(self.root), Via.CONFIG, "{}"),
            *self.existing(default_folders(self.libc, self.arch), Via.DEFAULT, "{}"),
        ]
        if self.arch is not self._native:
            found += self.existing(cross_folders(self.libc, self.arch), Via.CROSS, "{}")
        return _unique(found)

    @cached_property
    def defaults(self) -> frozenset[str]:
        """The folders that DF_1_NODEFLIB takes out of the search."""
        return frozenset(self.absolute(path) for path in default_folders(self.libc, self.arch))

    def beside_interpreter(self, interpreter: str | None) -> tuple[Folder, ...]:
        """Return the folder of a program's PT_INTERP and its twin below /usr, without those searched anyway."""
        if not interpreter or not interpreter.startswith("/") or self._ldpaths is not None:
            return ()
        folder = dirname(interpreter)
        known = {folder.path for folder in self.system}
        found = self.existing((folder, f"/usr{folder}"), Via.INTERPRETER, "{}")
        return tuple(folder for folder in found if folder.path not in known)

    def covers(self, path: str) -> bool:
        """Whether a file lies directly in one of the folders that are searched for everybody."""
        folder = real_path(dirname(path))
        return any(real_path(item.path) == folder for item in (*self.first, *self.environment, *self.system))

    def find(self, name: str, folders: Iterable[Folder], wanted: Abi) -> Found:
        """Return the first usable file `name` (without a `/`) in `folders`."""
        faults: list[str] = []
        for folder in folders:
            path = join(folder.path, name)
            found = self.files.probe(path, wanted)
            if isinstance(found, SystemFile):
                return Found(found, folder, tuple(faults))
            if found is not None:
                faults.append(f"{escape(path)}: {escape(found)}")
        return Found(None, None, tuple(dict.fromkeys(faults)))


def _host_folders(text: str) -> tuple[str, ...]:
    """Split a list of folders where `:` belongs to the name of a drive."""
    return tuple(dict.fromkeys(slashed(text).split(os.pathsep))) if text else ()


def _unique(folders: Iterable[Folder]) -> tuple[Folder, ...]:
    by_path: dict[str, Folder] = {}
    for folder in folders:
        by_path.setdefault(folder.path, folder)
    return tuple(by_path.values())
