"""How the command line looks on a terminal: colours, and a line that says what is going on."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

__all__ = ["COLORS", "Progress", "annotation", "asked_color", "color", "paint"]

COLORS: Final = ("auto", "always", "never")

_PAINT: Final = {
    "error": {"fg": "red", "bold": True},
    "warning": {"fg": "yellow", "bold": True},
    "note": {"fg": "blue", "bold": True},
    "hint": {"fg": "cyan", "bold": True},
}


def color(choice: str | None, environ: Mapping[str, str]) -> bool | None:
    """Whether to colour: what `--color` says, else NO_COLOR, else FORCE_COLOR (Python's order); None: if a terminal.

    >>> color(None, {"NO_COLOR": "1", "FORCE_COLOR": "1"}), color("always", {"NO_COLOR": "1"}), color("auto", {})
    (False, True, None)
    """
    if choice in ("always", "never"):
        return choice == "always"
    if environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return False
    return True if environ.get("FORCE_COLOR") else None


def asked_color(arguments: Sequence[str], environ: Mapping[str, str]) -> bool | None:
    """`color` of a command line that did not parse, or of one that was left."""
    choice = environ.get("FASTWHEEL_COLOR")
    for index, argument in enumerate(arguments):
        if argument == "--color":
            choice = "".join(arguments[index + 1 : index + 2])
        elif argument.startswith("--color="):
            choice = argument.partition("=")[2]
    return color(choice, environ)


def paint(text: str) -> str:
    """Colour the label with which a line begins, such as `error:`; `click.echo` removes colours where unwanted."""
    lines = text.split("\n")
    for index, line in enumerate(lines):
        label, colon, rest = line.partition(": ")
        if colon and label in _PAINT:
            lines[index] = click.style(label + ":", **_PAINT[label]) + " " + rest  # type: ignore[arg-type]
    return "\n".join(lines)


def annotation(kind: str, title: str, text: str) -> str:
    r"""Return the workflow command by which GitHub shows an error or a warning beside the log.

    >>> annotation("warning", "fastwheel", "50% of\nit")
    '::warning title=fastwheel::50%25 of%0Ait'
    """
    data = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return f"::{kind} title={title}::{data}"


class Progress:
    """Says on a terminal that something is going on, once it has taken a second: `repairing x.whl (2 of 5) … 3 s`.

    Nothing is shown where standard error is no terminal, in CI, or if `on` is false. Whatever is printed meanwhile
    takes the line's place.
    """

    _WAIT: Final = 1.0
    _PERIOD: Final = 0.25

    def __init__(self, text: str, *, on: bool = True) -> None:
        self.text = text
        self._stream: TextIO = sys.stderr
        self._on = on and not os.environ.get("CI") and os.environ.get("TERM") != "dumb" and _terminal(sys.stderr)
        self._shown = False
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._streams = (sys.stdout, sys.stderr)

    def __enter__(self) -> Progress:
        if self._on:
            sys.stdout, sys.stderr = (_Clearing(stream, self) for stream in self._streams)
            self._thread = threading.Thread(target=self._tell, args=(time.monotonic(),), daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is not None:
            self._over.set()
            self._thread.join()
            self.clear()
            sys.stdout, sys.stderr = self._streams

    def clear(self) -> None:
        """Take the line away, until it is shown again."""
        with self._lock:
            if self._shown:
                self._stream.write("\r\x1b[K")
                self._stream.flush()
                self._shown = False

    def _tell(self, start: float) -> None:
        wait = self._WAIT
        while not self._over.wait(wait):
            wait = self._PERIOD
            with self._lock:
                line = f"{self.text} … {time.monotonic() - start:.0f} s"
                width = _width(self._stream)
                self._stream.write("\r\x1b[K" + (line if len(line) < width else line[: max(width - 2, 0)] + "…"))
                self._stream.flush()
                self._shown = True


class _Clearing:
    """A stream that takes the progress line away before anything is written to it."""

    def __init__(self, stream: Any, progress: Progress) -> None:
        self._stream = stream
        self._progress = progress

    def write(self, text: str) -> int:
        self._progress.clear()
        written: int = self._stream.write(text)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


def _width(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
