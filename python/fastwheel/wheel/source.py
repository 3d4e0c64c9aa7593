"""An archive as a file that is read by offset, wherever it lies, and how its faults are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Protocol

from fastwheel.errors import FastwheelError
from fastwheel.portable import pread
from fastwheel.wheel.limits import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Source", "fail", "limit", "read_exactly"]


class Source(Protocol):
    """A file that is read by offset, wherever it lies."""

    def pread(self, length: int, offset: int) -> bytes:
        """Return up to `length` bytes at `offset`; fewer at the end of the file."""
        ...

    def fetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Make sure that these [start, stop) ranges are at hand; reading them together may be cheaper."""


def read_exactly(fd: int | Source, length: int, offset: int, where: str) -> bytes:
    """Return `length` bytes at `offset`.

    Raises:
        FastwheelError: FW700 the file cannot be read; FW101 it ends before.
    """
    try:
        data = _pread(fd, length, offset)
        while len(data) < length:
            more = _pread(fd, length - len(data), offset + len(data))
            if not more:
                fail("FW101", where, f"the file ends before byte {offset + length}", "is the file complete?")
            data += more
    except OSError as error:
        fail("FW700", where, f"cannot be read: {error.strerror}")
    return data


def _pread(fd: int | Source, length: int, offset: int) -> bytes:
    return pread(fd, length, offset) if isinstance(fd, int) else fd.pread(length, offset)


def fail(code: str, where: str, message: str, hint: str | None = None) -> NoReturn:
    """Raise the error of this layer; `where` is the printable name of the archive."""
    raise FastwheelError(f"{where}: {message}", code=code, hint=hint)


def limit(where: str, message: str, name: str) -> NoReturn:
    """Raise the error for a limit, `name` being the attribute of `Limits` that would have to be raised."""
    fail("FW113", where, message, f"if you trust this wheel, raise the limit '{name}' with {OPTIONS[name]}")
