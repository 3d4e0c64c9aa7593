"""What the libraries of a baseline define: the data files beside this module, read for one processor at a time.

`.ci/refresh-symbols` writes them from public facts; `docs/loader.md` tells the sources. A file is a list of sections,
one a library, of lines `VERSIONS…: NAMES…` with one column per processor: the versions that the names have there,
joined by commas, "." for none at all, "-" where the names do not exist.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Final

from fastwheel.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastwheel.policy.arch import Arch

__all__ = ["Table", "musl_symbols", "read_text", "table"]

_FOLDER: Final = os.path.join(os.path.dirname(__file__), "data")
#: Which file tells of a library: by the beginning of its name; the first that fits.
_FILES: Final = (
    (("libstdc++.", "libgcc_s.", "libatomic."), "gcc.txt"),
    (
        ("libc.", "libm.", "libdl.", "libpthread.", "librt.", "libutil.", "libresolv.", "ld-", "ld64.", "libanl."),
        "glibc.txt",
    ),
    (("libmvec.", "libnsl.", "libcrypt."), "glibc.txt"),
    (("lib",), "others.txt"),
)


class Table(NamedTuple):
    """What one library defines on one processor.

    Attributes:
        versions: version ▶ names.
        plain: names without a version.
        needed: what the library itself needs, as far as it matters here.
    """

    versions: dict[str, frozenset[str]]
    plain: frozenset[str]
    needed: tuple[str, ...]


def read_text(name: str) -> str:
    """Return a data file without its head, "" if this installation has none of that name."""
    try:
        with open(os.path.join(_FOLDER, name), encoding="ascii") as file:
            return file.read()
    except FileNotFoundError:
        return ""


@cache
def table(soname: str, arch: Arch) -> Table | None:
    """Return what a library of glibc systems defines, or None if that is not known.

    It is nothing for a library that was empty when glibc came to the processor, such as loongarch64's libpthread.
    """
    name = next((file for starts, file in _FILES if soname.startswith(starts)), "")
    return _file(name, arch).get(soname) if name else None


@cache
def _file(name: str, arch: Arch) -> dict[str, Table]:
    return dict(_sections(read_text(name), arch))


def _sections(text: str, arch: Arch) -> Iterator[tuple[str, Table]]:
    column = -1
    for section in text.split("\n["):
        head, _, body = section.partition("\n")
        if head.startswith("#"):
            order = next((line.split()[1:] for line in section.splitlines() if line.startswith("archs ")), [])
            column = order.index(arch.value) if arch.value in order else -1
            continue
        if column < 0:
            return
        soname, _, needed = head.partition("]")
        versions: dict[str, list[str]] = {}
        plain: list[str] = []
        for line in body.split("\n"):
            columns, colon, names = line.partition(": ")
            mine = columns.split(" ", column + 1)[column] if colon else "-"
            if mine == "-":
                continue
            for version in mine.split(","):
                if version == ".":
                    plain += names.split(" ")
                else:
                    versions.setdefault(version, []).extend(names.split(" "))
        groups = {version: frozenset(found) for version, found in versions.items()}
        yield soname, Table(groups, frozenset(plain), tuple(needed.split()))


@cache
def musl_symbols(arch: Arch) -> dict[str, str]:
    """Return what musl's C library defines on a processor, each name with the release that it is known from.

    Releases before 1.1.24 are not told apart from it. Empty if nothing is known.
    """
    known = dict(_sections(read_text("musl.txt"), arch)).get("libc.so")
    if known is None:
        return {}
    return {name: since for since, names in known.versions.items() for name in names}
