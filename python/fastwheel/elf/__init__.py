"""The pure-Python ELF engine: `read`, `symbols` and `edit`, the twin of the Rust crate `fastwheel-elf`.

>>> from fastwheel.elf import Edit, edit, read
>>> read(data).needed                                                    # doctest: +SKIP
('libz.so.1', 'libc.so.6')
>>> edit(data, Edit(runpath="$ORIGIN/../pkg.libs"))                      # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastwheel.elf.facts import read, symbols
from fastwheel.elf.model import Edit, Facts, Segment, Symbol, Version, VersionDefinition, VersionNeed

if TYPE_CHECKING:
    from fastwheel.elf.editor import edit

__all__ = [
    "Edit",
    "Facts",
    "Segment",
    "Symbol",
    "Version",
    "VersionDefinition",
    "VersionNeed",
    "edit",
    "read",
    "symbols",
]


def __getattr__(name: str) -> object:
    # readers need not pay for the editor's modules
    if name == "edit":
        from fastwheel.elf.editor import edit

        return edit
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
