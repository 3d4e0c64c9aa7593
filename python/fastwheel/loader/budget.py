"""How much work one simulation may take: in proportion to the wheel, so that no small one keeps anybody waiting."""

from __future__ import annotations

from typing import Final

__all__ = ["CHARACTERS", "SYMBOLS", "Budget", "SpentError"]

#: Steps that every wheel may take, and bytes of a larger one for each further step. A step is one DT_NEEDED entry
#: followed, one folder looked into, or so many symbols looked up: some tenths of a microsecond.
_LEAST: Final = 400_000
_BYTES_PER_STEP: Final = 2
_ENDLESS: Final = 1 << 62
#: Symbols that are looked up in one step, and characters of a search path that are read in one.
SYMBOLS: Final = 4
CHARACTERS: Final = 4


class SpentError(Exception):
    """The work is used up; whoever has a budget says so in a finding."""


class Budget:
    """What is left of the work.

    Args:
        size: of the wheel, or of all files that are simulated, in bytes.
    """

    __slots__ = ("left",)

    def __init__(self, size: int) -> None:
        self.left = max(_LEAST, size // _BYTES_PER_STEP)

    @classmethod
    def endless(cls) -> Budget:
        """Return one that is never used up, for files that are trusted."""
        return cls(_ENDLESS)

    def spend(self, steps: int) -> None:
        """Take so many steps.

        Raises:
            SpentError: so many are not left.
        """
        self.left -= steps
        if self.left < 0:
            raise SpentError
