"""The pure-Python ELF engine: `read`, `symbols` and `edit`, the twin of the Rust crate `fastwheel-elf`.

Use it through `fastwheel.elf`, which chooses the engine. Each function is imported when it is first asked for: with the
Rust engine only the types are needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastwheel._elf.model import Edit, Facts, Segment, Symbol, Version, VersionDefinition, VersionNeed

if TYPE_CHECKING:
    from fastwheel._elf.editor import edit
    from fastwheel._elf.facts import read, symbols

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
    if name == "edit":
        from fastwheel._elf.editor import edit

        return edit
    if name in ("read", "symbols"):
        from fastwheel._elf import facts

        return getattr(facts, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
