"""What this machine is, where a wheel does not say what it is for."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from fastwheel.policy.arch import Libc

__all__ = ["host_libc", "host_musl"]


def host_libc() -> Libc:
    """The C library of this Python: glibc names itself (confstr(3)), musl does not; elsewhere glibc is likeliest."""
    if sys.platform != "linux":
        return Libc.GLIBC
    try:
        return Libc.GLIBC if os.confstr("CS_GNU_LIBC_VERSION") else Libc.MUSL
    except (OSError, ValueError):
        return Libc.MUSL


def host_musl(folder: Path = Path("/lib")) -> tuple[int, int] | None:
    """The version (major, minor) of this machine's musl, None if it has none or the version is not to be read.

    musl's loader holds its version as a string of its own, which it prints when it is run; nothing is run here.
    """
    if host_libc() is not Libc.MUSL:
        return None
    for loader in sorted(folder.glob("ld-musl-*.so.1")):
        try:
            match = re.search(rb"\0(\d+)\.(\d+)\.\d+(?:[-_a-z0-9]*)\0", loader.read_bytes())
        except OSError:
            continue
        if match:
            return int(match[1]), int(match[2])
    return None
