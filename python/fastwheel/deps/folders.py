"""The folders that a dynamic loader searches, told from its configuration files, the environment and path strings.

Sources: ld.so(8), ldconfig(8), musl's `ldso/dynlink.c` as documented in its manual. Everything is read below a given
root folder, so that a test or a sysroot can stand in for this machine.
"""

from __future__ import annotations

import os
import re
from enum import Enum
from functools import lru_cache
from posixpath import dirname, join
from typing import TYPE_CHECKING, Final

from fastwheel.named import NamedTuple
from fastwheel.policy.arch import Arch, Libc

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fastwheel.deps.files import Root

__all__ = [
    "Folder",
    "Via",
    "cross_folders",
    "default_folders",
    "expand",
    "has_origin",
    "ld_so_conf",
    "musl_path_file",
    "split_path",
]


class Via(str, Enum):
    """Why a library was found where it was."""

    RPATH = "rpath"
    RUNPATH = "runpath"
    PATH = "path"  # DT_NEEDED holds a path, not a name
    LOADED = "loaded"  # something else has loaded a library of that name before
    IN_WHEEL = "in-wheel"  # by its name alone: the loader would not look there
    LIB_PATH = "lib-path"
    ENVIRONMENT = "environment"
    CONFIG = "config"
    DEFAULT = "default"
    INTERPRETER = "interpreter"
    CROSS = "cross"
    REAL_FOLDER = "real-folder"
    PROVIDED = "provided"
    MISSING = "missing"


class Folder(NamedTuple):
    """One folder to search.

    Attributes:
        path: the path to open: absolute, below the root folder.
        via: the kind of entry.
        label: for messages: where the entry stands, or the folder itself.
    """

    path: str
    via: Via
    label: str


#: More entries than any real path has; a hostile one may hold hundreds of thousands.
MAX_ENTRIES: Final = 1024
_MAX_TEXT: Final = 1 << 17
_MAX_CONFIG: Final = 1 << 20
_MAX_CONFIG_FILES: Final = 4096


def split_path(text: str, libc: Libc, *, environment: bool = False) -> tuple[str, ...]:
    """Return the entries of a search path, duplicates dropped; not more than a sane path has.

    An empty entry stands for the current folder on glibc (and is kept as ""), for nothing on musl. glibc also splits
    LD_LIBRARY_PATH at ";", musl splits everything at newlines.

    >>> split_path("/a::/b:/a", Libc.GLIBC)
    ('/a', '', '/b')
    """
    if not text:
        return ()
    text = text[:_MAX_TEXT]
    if libc is Libc.MUSL:
        parts = re.split("[:\n]", text)
        return tuple(dict.fromkeys(part for part in parts if part))[:MAX_ENTRIES]
    parts = re.split("[:;]", text) if environment and libc is Libc.GLIBC else text.split(":")
    return tuple(dict.fromkeys(parts))[:MAX_ENTRIES]


_TOKEN: Final = re.compile(r"\$(?:\{(?P<braced>ORIGIN|LIB|PLATFORM)\}|(?P<bare>ORIGIN|LIB|PLATFORM)(?![A-Za-z_]))")


def has_origin(entry: str) -> bool:
    """Whether an entry of a search path depends on the folder of the file that holds it."""
    if entry.startswith("$ORIGIN/"):  # nearly always
        return True
    return "$" in entry and any("ORIGIN" in (m["braced"], m["bare"]) for m in _TOKEN.finditer(entry))


def expand(entry: str, origin: str, libc: Libc, arch: Arch | None) -> tuple[str, ...]:
    """Return what an entry means for a file in the folder `origin`, the likeliest first.

    `$LIB` differs from one distribution to the next (Debian's multiarch folder, lib64, lib), so it has several
    meanings. Tokens that the loader does not know stay as they are.

    >>> expand("${ORIGIN}/../$LIB", "/opt/x", Libc.GLIBC, Arch.X86_64)
    ('/opt/x/../lib/x86_64-linux-gnu', '/opt/x/../lib64', '/opt/x/../lib')
    """
    if "$" not in entry:
        return (entry,)
    if entry.startswith("$ORIGIN/") and entry.count("$") == 1:  # nearly always
        return (origin + entry[len("$ORIGIN") :],)
    return (_expanded_before if len(entry) < _SHORT else _expanded)(entry, origin, libc, arch)


def _expanded(entry: str, origin: str, libc: Libc, arch: Arch | None) -> tuple[str, ...]:
    if libc is Libc.MUSL:
        return (_TOKEN.sub(lambda m: origin if "ORIGIN" in m[0] else m[0], entry),)
    libs = ("lib",) if arch is None else (f"lib/{arch.triple}", "lib64", "lib") if arch.bits == 64 else ("lib",)
    platform = "" if arch is None else arch.value

    def meaning(lib: str) -> str:
        values = {"ORIGIN": origin, "LIB": lib, "PLATFORM": platform}
        return _TOKEN.sub(lambda m: values[m["braced"] or m["bare"]], entry)

    return tuple(dict.fromkeys(meaning(lib) for lib in libs))


#: The entries of a wheel's files are much the same; long ones are not worth keeping.
_SHORT: Final = 256
_expanded_before = lru_cache(maxsize=8192)(_expanded)


def default_folders(libc: Libc, arch: Arch | None) -> tuple[str, ...]:
    """Return the folders that glibc's loader knows by itself: Debian's multiarch ones, then the common ones."""
    if libc is not Libc.GLIBC:
        return ()
    found: list[str] = []
    if arch is not None:
        found += [f"/lib/{arch.triple}", f"/usr/lib/{arch.triple}"]
    if arch is None or arch.bits == 64:
        found += ["/lib64", "/usr/lib64"]
    if arch is Arch.RISCV64:
        found += ["/lib64/lp64d", "/usr/lib64/lp64d"]
    return (*found, "/lib", "/usr/lib")


def cross_folders(libc: Libc, arch: Arch | None) -> tuple[str, ...]:
    """Return where distributions put the libraries of a foreign processor for cross-compilers."""
    if arch is None or libc is not Libc.GLIBC:
        return ()
    triples = [arch.triple]
    if arch is Arch.I686:
        triples.append("i686-linux-gnu")
    return tuple(f"/usr/{triple}/{lib}" for triple in triples for lib in ("lib", "lib64"))


def ld_so_conf(root: Root, path: str = "/etc/ld.so.conf") -> tuple[str, ...]:
    """Return the folders that ld.so.conf and its includes name, in order, without duplicates.

    Comments, `hwcap` lines, relative folders and the old `=type` suffix count as in ldconfig. A file is read once,
    so includes may form a loop; unreadable files name nothing.
    """
    return tuple(dict.fromkeys(_conf_folders(root, path, set())))


def _conf_folders(root: Root, path: str, seen: set[str]) -> Iterator[str]:
    # An explicit stack of lines: includes may nest deeper than Python's.
    stack = [iter([f"include {path}"])]
    here = ["/etc"]
    while stack:
        line = next(stack[-1], None)
        if line is None:
            stack.pop()
            here.pop()
            continue
        words = line.partition("#")[0].split()
        if not words or words[0] == "hwcap":
            continue
        if words[0] == "include":
            files = [file for word in words[1:] for file in _glob(root, word, here[-1])]
            for file in reversed(files):
                identity = _identity(root, file)
                if identity not in seen and len(seen) < _MAX_CONFIG_FILES:
                    seen.add(identity)
                    stack.append(iter(root.text(file, _MAX_CONFIG).splitlines()))
                    here.append(dirname(file))
            continue
        folder = line.partition("#")[0].strip().partition("=")[0].rstrip()
        if folder.startswith("/"):
            yield folder.rstrip("/") or "/"


def _identity(root: Root, path: str) -> str:
    try:
        return root.real(root.host(path))
    except (OSError, ValueError):
        return path


def _glob(root: Root, pattern: str, folder: str) -> Sequence[str]:
    """Return the files that match, sorted, as paths inside the root folder."""
    full = join(folder, pattern)
    if not any(c in full for c in "*?["):
        return [full]
    from glob import escape, glob

    top = root.top.rstrip("/")
    return sorted(name[len(top) :] for name in glob(escape(top) + full))


def musl_path_file(root: Root, arch: Arch | None) -> tuple[str, ...]:
    """Return the folders of `/etc/ld-musl-<arch>.path`, or musl's defaults where there is none."""
    if arch is not None:
        path = f"/etc/ld-musl-{arch.musl_name}.path"
        if os.path.lexists(root.host(path)):
            return split_path(root.text(path, _MAX_CONFIG), Libc.MUSL)
    return ("/lib", "/usr/local/lib", "/usr/lib")
