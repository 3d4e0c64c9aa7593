"""The standard streams of a process that may have none, or ones that nobody reads."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["settle"]


class _Muffled:
    """A text stream for messages: that nobody can read them does not make a repair fail."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def settle() -> None:
    """Give the process the three streams that it lacks, and let errors of writing messages pass.

    A closed descriptor 1 or 2 would otherwise be given to the next file that is opened: a stray message of some library
    would land in it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            with suppress(OSError):
                setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for the rest of the process
    if sys.stderr is not None and not isinstance(sys.stderr, _Muffled):
        sys.stderr = cast("TextIO", _Muffled(sys.stderr))
