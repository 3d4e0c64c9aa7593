"""The modification time of new members: never the clock's, so that the same input gives the same bytes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from fastwheel.errors import FastwheelError
from fastwheel.wheel.names import shown
from fastwheel.wheel.zipformat import DateTime, from_dos, to_dos

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastwheel.wheel.wheel import Wheel

__all__ = ["new_member_time"]

_VARIABLE: Final = "SOURCE_DATE_EPOCH"
_FIRST: Final = 315_532_800  # 1980-01-01T00:00:00Z, the first second that a zip archive can tell
_LAST: Final = 4_354_819_198  # 2107-12-31T23:59:58Z


def new_member_time(wheel: Wheel, environ: Mapping[str, str]) -> DateTime:
    """Return the time for the members that fastwheel adds or changes.

    It is SOURCE_DATE_EPOCH (seconds since 1970, UTC) where set, moved into the years 1980 to 2107 and to an even
    second; else that of the input's own RECORD.

    Raises:
        FastwheelError: FW800 SOURCE_DATE_EPOCH is not a number.
    """
    text = environ.get(_VARIABLE, "").strip()
    if not text:
        return from_dos(to_dos(wheel.archive.names[wheel.record_name].date_time))
    if not re.fullmatch(r"[+-]?[0-9]{1,30}", text):
        raise FastwheelError(
            f"{_VARIABLE} is '{shown(text)}', not a number of seconds",
            code="FW800",
            hint=f"set it to seconds since 1970-01-01, such as {_FIRST}, or unset it",
        )
    from datetime import datetime, timezone

    when = datetime.fromtimestamp(min(max(int(text), _FIRST), _LAST), timezone.utc)
    return from_dos(to_dos((when.year, when.month, when.day, when.hour, when.minute, when.second)))
