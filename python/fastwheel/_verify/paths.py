"""Places of the build machine that are compiled into grafted libraries: plugins and data that stay behind.

Only the bytes speak: unlike the warnings of `repair` (`fastwheel.deps.hidden`), nothing is looked for on this machine.
"""

from __future__ import annotations

import re
from itertools import islice
from posixpath import basename
from typing import TYPE_CHECKING, Final

from fastwheel._verify.grafts import is_graft
from fastwheel._verify.model import Finding, finding
from fastwheel.deps.hidden import imports_dlopen
from fastwheel.errors import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastwheel._elf.model import Facts
    from fastwheel._verify.targets import Target
    from fastwheel.wheel.wheel import Wheel

__all__ = ["compiled_in", "path_findings"]

#: A whole C string, or the first entry of a list, that begins as installed paths do.
_STRING: Final = re.compile(
    rb"\0(/(?:usr|etc|opt|var/lib|home|root|tmp|io|project|host|build)/[!-9;-~]{1,500})(?=[\0:])"
)
#: Plugins: a folder, or a library in one, below a folder of libraries.
_PLUGINS: Final = re.compile(
    r"/(?:lib|lib64|libexec)(?:/[a-z0-9_]+-linux-(?:gnu|musl)\w*)?/[\w+-][\w.+-]*(?:/[\w.+-]+)*\Z"
)
#: Data: below a folder `share`, or where certificates and the settings of fontconfig are.
_DATA: Final = re.compile(r"/share/[\w+-][\w.+-]*(?:/[\w.+-]+)*\Z|/ssl(?:/[\w.+-]+)*\Z|\A/etc/(?:ssl|pki|fonts)\b")
#: Data that every system has of its own, or that only translates or documents.
_COMMON: Final = re.compile(
    r"/share/(?:locale|i18n|zoneinfo|man|doc|info|licenses|common-licenses|mime|icons|fonts|X11|terminfo|misc|pixmaps|"
    r"themes|applications|dict)?(?:/|\Z)"
)
#: Files that are named in debugging messages, not opened.
_SOURCES: Final = re.compile(
    r"\.(?:[chSsyl]|cc|cpp|cxx|hpp|hh|hxx|inl|inc|ipp|tcc|rs|go|py|pyx|f|f90|F|F90|m4|in|txt|asm|cu|cuh|zig|d)\Z"
)
_PT_LOAD: Final = 1
_PF_X: Final = 1
_MOST: Final = 6
#: Strings of one segment that are looked at; the largest libraries have some hundreds that begin so.
_MOST_STRINGS: Final = 10_000


def path_findings(wheel: Wheel, target: Target) -> Iterator[Finding]:
    """The compiled-in places of each graft of a target.

    Raises:
        FastwheelError: FW112, FW700: a member cannot be read again.
    """
    for unit in target.found.units:
        if not is_graft(unit):
            continue
        places = compiled_in(wheel.archive.read(unit.member), unit.facts)
        if places:
            more = [f"and {len(places) - _MOST} more"] if len(places) > _MOST else []
            yield finding(
                "FV506",
                f"{escape(unit.member)} looks for files at places of the build machine",
                unit.member,
                details=[f"{kind}: {escape(path)}" for kind, path in places[:_MOST]] + more,
                hint="ship the files and set the variable or call that redirects the library, or check that it does"
                " without them",
            )


def compiled_in(content: bytes, facts: Facts) -> tuple[tuple[str, str], ...]:
    """Return ("plugins" or "data", path) of the places that a library has compiled into it, sorted, each once."""
    loads = imports_dlopen(facts)
    found: set[tuple[str, str]] = set()
    for low, high in _data_ranges(content, facts):
        for match in islice(_STRING.finditer(content, max(low - 1, 0), high), _MOST_STRINGS):
            path = match[1].decode("ascii").rstrip("/")
            if "%" in path or "//" in path or _SOURCES.search(path):
                continue
            if loads and _PLUGINS.search(path) and not basename(path).endswith((".a", ".conf", ".cnf", ".cache")):
                found.add(("plugins", path))
            elif _DATA.search(path) and not _COMMON.search(path):
                found.add(("data", path))
    folders = tuple(f"{path}/" for _, path in found)
    return tuple(sorted(item for item in found if not item[1].startswith(folders)))


def _data_ranges(content: bytes, facts: Facts) -> tuple[tuple[int, int], ...]:
    """Where strings can be: the segments without code if there are such without write permission, else all."""
    loads = [segment for segment in facts.segments if segment.type == _PT_LOAD]
    if all(segment.flags & 3 for segment in loads):
        return ((0, len(content)),)
    return tuple((s.offset, s.offset + s.file_size) for s in loads if not s.flags & _PF_X)
