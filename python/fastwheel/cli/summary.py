"""`--summary FILE`: a table in Markdown, appended to a file such as GitHub's summary of a job."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from fastwheel.errors import FastwheelError, escape
from fastwheel.portable import APPEND

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["append_summary", "summary_option"]


def summary_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --summary; the verb gets `summary: str | None`."""
    return click.option(
        "--summary",
        metavar="FILE",
        type=click.Path(),
        help='Append a table in Markdown to this file, such as "$GITHUB_STEP_SUMMARY".',
    )(function)


def append_summary(path: str, text: str) -> None:
    """Append a text to a file, in one write: several jobs may share it.

    Raises:
        FastwheelError: FW702, the file cannot be written.
    """
    data = memoryview(text.encode("utf-8", "replace"))
    try:
        fd = os.open(path, APPEND, 0o666)
        try:
            while data:
                data = data[os.write(fd, data) :]
        finally:
            os.close(fd)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise FastwheelError(f"cannot write the summary {escape(path)}: {reason}", code="FW702") from error
