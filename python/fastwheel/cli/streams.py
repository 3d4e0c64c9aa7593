"""The standard streams of a process that may have none, or ones that nobody reads."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["settle"]

#: ENABLE_VIRTUAL_TERMINAL_PROCESSING of a console.
_ESCAPES = 4


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


def _let_all_pass(stream: Any) -> None:
    """Have a stream write what its encoding lacks as escapes, rather than fail.

    On Windows a pipe or a file gets UTF-8, as from most tools; Python by itself takes the old code page.
    """
    if sys.platform == "win32" and not stream.isatty() and not os.environ.get("PYTHONIOENCODING"):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    elif stream.errors == "strict":
        stream.reconfigure(errors="backslashreplace")


def _understand_colours(stream: Any) -> None:
    """Have a console of Windows obey the escapes that colour text, as terminals of other systems do by themselves."""
    if sys.platform == "win32" and stream.isatty():
        import ctypes
        import msvcrt

        handle, mode = ctypes.c_void_p(msvcrt.get_osfhandle(stream.fileno())), ctypes.c_ulong()
        if ctypes.windll.kernel32.GetConsoleMode(handle, ctypes.byref(mode)):
            ctypes.windll.kernel32.SetConsoleMode(handle, mode.value | _ESCAPES)


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
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            _let_all_pass(stream)
            _understand_colours(stream)
    if sys.stderr is not None and not isinstance(sys.stderr, _Muffled):
        sys.stderr = cast("TextIO", _Muffled(sys.stderr))
