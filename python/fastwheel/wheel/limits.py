"""Bounds on what an archive may claim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["Limits"]

_MIB: Final = 1 << 20
_GIB: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what an archive may claim, checked before anything is inflated. Sizes in bytes.

    Attributes:
        total_size: of all contents together.
        ratio: how many times one member, or the whole archive, may inflate.
        ratio_floor: contents up to this size may inflate at any ratio.
        members: files and folders.
    """

    total_size: int = 64 * _GIB
    ratio: int = 200
    ratio_floor: int = 64 * _MIB
    members: int = 500_000

    @classmethod
    def untrusted(cls) -> Limits:
        """Return tighter bounds, for wheels of unknown origin."""
        return cls(total_size=4 * _GIB, ratio=50, members=100_000)
