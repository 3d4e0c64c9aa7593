"""The whole corpus: shapes, a sample of Debian's libraries and programs, libraries of PyPI wheels."""

from __future__ import annotations

import hashlib
import os
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .downloads import WHEELS, wheel
from .family import Family
from .peek import Peek, peek
from .shapes_foreign import FOREIGN, build_foreign
from .shapes_hand import build_generated, build_hand
from .shapes_languages import build_go, build_loongarch, build_musl, build_rust
from .shapes_linkers import build_c, build_cxx, build_programs
from .shapes_patched import build_patched
from .subject import MACHINES, Subject

__all__ = ["FAMILIES", "debian", "everything", "pypi", "shapes"]

_LINKERS = ("gcc", "ld.bfd", "ld.gold", "ld.lld-14", "ld.lld-19", "mold", "rustc")

FAMILIES: tuple[Family, ...] = (
    Family("go", build_go, ("gcc", "/usr/lib/go-1.19/bin/go")),
    Family("c", build_c, _LINKERS),
    Family("cxx", build_cxx, (*_LINKERS, "g++")),
    Family("programs", build_programs, _LINKERS),
    Family("hand", build_hand, (*_LINKERS, "objcopy")),
    Family("generated", build_generated, _LINKERS),
    Family("rust", build_rust, ("gcc", "rustc", "mold")),
    Family("patched", build_patched, _LINKERS),
    Family("musl", build_musl, ("musl-gcc", "gcc", "mold", "ld.lld"), "x86_64-musl"),
    Family("loongarch64", build_loongarch, ("rustc",), "loongarch64"),
    *(Family(name, build_foreign, (f"{MACHINES[name].prefix}gcc", "ld.lld-19"), name) for name in FOREIGN),
)

#: How many of Debian's libraries a bounded run takes, and how many of each wheel.
DEBIAN_SAMPLE, WHEEL_SAMPLE = 330, 16
#: A bounded run leaves larger files out, bytes.
LARGE = 12 << 20
DEBIAN_FOLDERS = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/python3")
#: Programs that answer `--version` or `-V` without more.
PROGRAMS = (
    "git",
    "perl",
    "python3.11",
    "openssl",
    "readelf",
    "ld.bfd",
    "gcc-12",
    "clang-14",
    "cmake",
    "mold",
    "gdb",
    "ninja",
    "xz",
    "tar",
    "sed",
    "find",
    "curl",
)


def shapes() -> list[Subject]:
    """Return every shape; two families are built at a time."""
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        return [subject for found in pool.map(Family.subjects, FAMILIES) for subject in found]


def _glance(path: Path) -> Peek | None:
    """Return what `peek` finds in a file of this machine that has a dynamic section, else None."""
    with path.open("rb") as opened:
        if opened.read(6) != b"\x7fELF\x02\x01":
            return None
    try:
        found = peek(path.read_bytes())
    except (ValueError, KeyError, struct.error):
        return None
    return found if found.dynamic and found.machine == 62 else None


def _order(text: str) -> bytes:
    """Return a sort key that looks like chance and is the same everywhere."""
    return hashlib.sha256(text.encode()).digest()


def _walk(folders: tuple[str, ...]) -> list[Path]:
    paths = []
    for folder in folders:
        for root, dirs, files in os.walk(folder):
            dirs.sort()
            paths += [Path(root, name) for name in sorted(files) if ".so" in name]
    return [path for path in paths if not path.is_symlink()]


def debian(*, full: bool = False) -> list[Subject]:
    """Return libraries of the installed Debian packages, in an order of chance, and programs."""
    found: list[Subject] = []
    for path in sorted(_walk(DEBIAN_FOLDERS), key=lambda path: _order(str(path))):
        if not full and (len(found) >= DEBIAN_SAMPLE or path.stat().st_size > LARGE):
            continue
        facts = _glance(path)
        if facts is not None:
            loader = (facts.soname or "").startswith(("ld-linux", "ld-musl"))
            own = (path.parent,) if facts.runpath or facts.rpath else ()  # whatever $ORIGIN is in a copy
            found.append(Subject(f"debian{path}", "debian", path, refused=loader, library_path=own))
    for name in PROGRAMS:
        path = Path("/usr/bin", name).resolve()
        if path.is_file() and _glance(path) is not None:
            found.append(
                Subject(
                    f"debian{path}",
                    "program",
                    path,
                    kind="program",
                    arguments=("version" if name == "openssl" else "--version",),
                )
            )
    return found


def pypi(*, full: bool = False) -> list[Subject]:
    """Return libraries of the pinned wheels."""
    found: list[Subject] = []
    trees = [(requirement.partition("==")[0], wheel(requirement, sha256)) for requirement, sha256 in WHEELS.items()]
    shared = tuple(tree / name for _, tree in trees for name in ("shiboken6",) if (tree / name).is_dir())
    for name, tree in trees:
        paths = sorted((path for path in tree.rglob("*") if path.is_file()), key=lambda path: _order(path.name))
        libraries = [path for path in paths if ".so" in path.name and not path.is_symlink()]
        folders = tuple(sorted({path.parent for path in libraries if path.name.startswith("lib")}))
        taken = 0
        for path in libraries:
            if not full and (taken >= WHEEL_SAMPLE or path.stat().st_size > LARGE):
                continue
            if _glance(path) is not None:
                taken += 1
                label = f"{name}/{path.relative_to(tree)}"
                found.append(Subject(label, "pypi", path, library_path=folders + shared))
    return found


def everything(*, full: bool = False) -> list[Subject]:
    """Return the corpus, bounded unless `full`."""
    return [*shapes(), *debian(full=full), *pypi(full=full)]
