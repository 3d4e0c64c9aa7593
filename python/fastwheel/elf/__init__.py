"""The pure-Python ELF engine: `read`, `symbols` and `edit`, the twin of the Rust crate `fastwheel-elf`.

>>> from fastwheel.elf import Edit, edit, read
>>> read(data).needed                                                    # doctest: +SKIP
>>> edit(data, Edit(runpath="$ORIGIN/../pkg.libs"))                      # doctest: +SKIP
"""

from __future__ import annotations

from fastwheel.elf.facts import read, symbols
from fastwheel.elf.model import Edit, Facts, Segment, Symbol, Version, VersionDefinition, VersionNeed

__all__ = [
    "Edit",
    "Facts",
    "Segment",
    "Symbol",
    "Version",
    "VersionDefinition",
    "VersionNeed",
    "read",
    "symbols",
]
