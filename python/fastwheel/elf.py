"""Single ELF files: what the loader would learn of one, and edits of its dynamic section.

    >>> from fastwheel import elf
    >>> elf.read("/usr/lib/x86_64-linux-gnu/libz.so.1").soname  # doctest: +SKIP
    'libz.so.1'
    >>> elf.edit(data, elf.Edit(runpath="$ORIGIN/../pkg.libs"))  # doctest: +SKIP

`docs/elf-edit.md` says what an edit may change. Both engines give the same answers (`fastwheel.engine`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastwheel import engine
from fastwheel._elf.model import Edit, Facts, Segment, Symbol, Version, VersionDefinition, VersionNeed

if TYPE_CHECKING:
    import os

    from fastwheel.engine import Buffer

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
    "strip",
    "symbols",
]


def read(source: Buffer | str | os.PathLike[str]) -> Facts:
    """Read the facts of an ELF file, given its bytes or its path.

    Raises:
        FastwheelError: FW7xx the file cannot be read; FW3xx it is not a readable ELF file.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return engine.read(source)
    return engine.read_file(source)


def symbols(data: Buffer) -> tuple[Symbol, ...]:
    """Read the dynamic symbol table of an ELF file, from index 1 on.

    Raises:
        ElfError: FW3xx, it is not a readable ELF file.
    """
    return engine.symbols(data)


def edit(data: Buffer, edit: Edit) -> bytes:
    """Return the bytes of an ELF file with its dynamic section changed; the input's bytes if nothing changes.

    The result is proved before it is returned: everything asked holds, and everything else means what it meant.

    Raises:
        ElfError: FW3xx it cannot be read; FW4xx it cannot be edited so; FW900 the proof failed.
    """
    return engine.edit(data, edit)


def strip(data: bytes) -> bytes:
    """Return the bytes of an ELF file without `.symtab` and debugging sections; what is loaded stays the same.

    Raises:
        ElfError: FW3xx, it is not a readable ELF file.
    """
    from fastwheel._elf.strip import strip as drop

    return drop(data)
