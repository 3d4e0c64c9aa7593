"""Bounds on what an archive may claim, and the options that raise them (`docs/limits.md`)."""

from __future__ import annotations

from typing import Final

from fastwheel.named import NamedTuple

__all__ = ["LONGEST_NAME", "OPTIONS", "Limits"]

_MIB: Final = 1 << 20
_GIB: Final = 1 << 30
#: The longest name in bytes: PATH_MAX of Linux less 256 for the folder of installation.
LONGEST_NAME: Final = 3840


class Limits(NamedTuple):
    """Bounds on what an archive may claim, checked before anything is inflated. Sizes in bytes.

    Attributes:
        total_size: of all contents together.
        ratio: how many times one member, or the whole archive, may inflate.
        ratio_floor: contents up to this size may inflate at any ratio.
        members: files and folders.
        name_length: of a member's name, bytes of UTF-8.
        depth: parts of a member's name.
        elf_size: of one ELF file.
        metadata_size: of METADATA.
        needed: different libraries that its ELF files need.
    """

    total_size: int = 64 * _GIB
    ratio: int = 200
    ratio_floor: int = 64 * _MIB
    members: int = 500_000
    name_length: int = LONGEST_NAME
    depth: int = LONGEST_NAME // 2
    elf_size: int = 16 * _GIB
    metadata_size: int = 16 * _MIB
    needed: int = 4000

    @classmethod
    def untrusted(cls) -> Limits:
        """Return tighter bounds, for wheels of unknown origin."""
        return cls(
            total_size=4 * _GIB,
            ratio=50,
            ratio_floor=16 * _MIB,
            members=100_000,
            name_length=512,
            depth=64,
            elf_size=2 * _GIB,
            metadata_size=2 * _MIB,
            needed=1000,
        )

    @classmethod
    def unlimited(cls) -> Limits:
        """Return bounds that nothing reaches, for what fastwheel wrote itself."""
        return cls(*[1 << 62] * len(cls._fields))


#: The attributes of `Limits` that the command line can raise, each with its option.
OPTIONS: Final = {
    "total_size": "--max-total-size",
    "ratio": "--max-ratio",
    "members": "--max-members",
    "name_length": "--max-name-length",
    "depth": "--max-depth",
    "elf_size": "--max-elf-size",
    "metadata_size": "--max-metadata-size",
    "needed": "--max-needed",
}
