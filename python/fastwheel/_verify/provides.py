"""What other packages bring into the process: `--provides` names sonames, libraries on disk, or wheels.

An extension of torch's finds `libtorch.so` because `import torch` loaded it before. The simulation reads the symbols of
libraries and wheels; here only their names count, which no policy has to promise then.
"""

from __future__ import annotations

from glob import escape as glob_escape
from posixpath import basename
from typing import TYPE_CHECKING

from fastwheel import engine
from fastwheel.portable import slashed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fastwheel.wheel.limits import Limits

__all__ = ["provided_patterns"]


def provided_patterns(provides: Iterable[str], limits: Limits | None = None) -> tuple[str, ...]:
    """Return glob patterns of the names that libraries are found by.

    Each of `provides` is a wheel (`….whl`), the path of a library (with a `/`), or itself a pattern of sonames.

    Raises:
        FastwheelError: a path cannot be read, or is neither a wheel nor an ELF file.
    """
    return tuple(dict.fromkeys(pattern for text in provides for pattern in _patterns(text, limits)))


def _patterns(text: str, limits: Limits | None) -> Iterator[str]:
    text = slashed(text)
    if text.endswith(".whl"):
        from fastwheel.survey import survey
        from fastwheel.wheel.wheel import Wheel

        with Wheel.open(text, limits) as wheel:
            for unit in survey(wheel).units:
                yield from map(glob_escape, filter(None, (unit.facts.soname, basename(unit.path))))
    elif "/" in text:
        yield from map(glob_escape, filter(None, (engine.read_file(text).soname, basename(text))))
    else:
        yield text
