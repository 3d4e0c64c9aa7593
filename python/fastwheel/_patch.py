"""Editing one ELF file on disk: in place, atomically, or into another file."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from fastwheel import engine
from fastwheel.errors import ElfError, FastwheelError, escape
from fastwheel.portable import set_attributes
from fastwheel.wheel.archive import open_regular
from fastwheel.wheel.output import write_atomically

if TYPE_CHECKING:
    from fastwheel._elf.model import Edit, Facts

__all__ = ["facts_of", "patch_file"]


def facts_of(path: Path) -> Facts:
    """Read the facts of the ELF file at `path`.

    Raises:
        FastwheelError: FW700, FW701 it cannot be read; FW3xx it is not a readable ELF file.
    """
    with _naming(path):
        return engine.read(_content(path)[0])


def patch_file(path: Path, edit: Edit, output: Path | None = None) -> bool:
    """Apply `edit` to the ELF file at `path`; return whether its bytes changed.

    In place, a file that needs no change is not touched at all. A link is followed; of a file with several hard links
    only this name gets the new content. Permissions and extended attributes are kept.

    Args:
        path: the file.
        edit: what to change.
        output: where to write the result; None is in place.

    Raises:
        FastwheelError: FW7xx a file cannot be read or written; FW3xx, FW4xx it cannot be edited.
    """
    content, mode = _content(path)
    with _naming(path):
        edited = engine.edit(content, edit)
    changed = edited != content
    if not changed and output is None:
        return False
    target = Path(os.path.realpath(path)) if output is None else output

    def fill(fd: int) -> None:
        set_attributes(fd, mode, path)
        view = memoryview(edited)
        while view:
            view = view[os.write(fd, view[: 1 << 30]) :]

    write_atomically(target, fill)
    return changed


def _content(path: Path) -> tuple[bytes, int]:
    """The bytes of a regular file, and its permissions."""
    fd = open_regular(path)
    with open(fd, "rb") as file:
        try:
            return file.read(), stat.S_IMODE(os.fstat(fd).st_mode)
        except OSError as error:
            raise FastwheelError(f"cannot read {escape(str(path))}: {error.strerror}", code="FW700") from error


class _naming:  # noqa: N801 - reads as a verb
    """Puts the file's name in front of the engine's errors."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ElfError):
            raise FastwheelError(
                f"{escape(str(self.path))}: {error.message}", code=error.code, hint=error.hint
            ) from error
