"""Libraries that the administrator of a machine chose among several of one interface: update-alternatives(1)."""

from __future__ import annotations

import os
from posixpath import basename, dirname, join, normpath

from fastwheel.errors import escape
from fastwheel.portable import real_path

__all__ = ["choice_of"]

_MAX_LINKS = 40  # as the kernel


def choice_of(path: str) -> str | None:
    """Say which file the name `path` of a library stands for, if a link in a folder `alternatives` decides that.

    Another machine may have chosen another library, so the reader of the log should know. None if no such link is on
    the way.
    """
    link = path
    for _ in range(_MAX_LINKS):
        try:
            target = os.readlink(link)
        except OSError:
            return None
        link = normpath(join(dirname(link), target))
        if basename(dirname(link)) == "alternatives":
            real = real_path(path)
            return f"{escape(basename(path))} is {escape(real)} here, as {escape(link)} has it (update-alternatives)"
    return None
