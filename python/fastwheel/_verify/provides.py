"""What other packages bring into the process: `--provides` names sonames, libraries on disk, or wheels.

An extension of torch's finds `libtorch.so` because `import torch` loaded it before. A soname alone is taken to have
whatever is asked of it; of a library or wheel the symbols are known too.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from posixpath import basename
from typing import TYPE_CHECKING, Final

from fastwheel import engine
from fastwheel.errors import ElfError, FastwheelError, escape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastwheel._elf.model import Facts, Symbol
    from fastwheel.wheel.limits import Limits

__all__ = ["Provided", "read_provides"]

_MAGIC: Final = b"\x7fELF"


@dataclass(frozen=True, slots=True)
class Provided:
    """A library that is there although the wheel does not hold it.

    Attributes:
        name: the soname by which it is found.
        facts: what the loader would learn of it, or None where only the name is known.
        symbols: its dynamic symbols; empty where only the name is known.
    """

    name: str
    facts: Facts | None = None
    symbols: tuple[Symbol, ...] = ()


def read_provides(wanted: Iterable[str], limits: Limits | None = None) -> tuple[Provided, ...]:
    """Return what `wanted` names: each a wheel (`….whl`), the path of a library (with a `/`), or a soname.

    Raises:
        FastwheelError: a path cannot be read, or is neither a wheel nor an ELF file.
    """
    found: dict[str, Provided] = {}
    for text in wanted:
        if text.endswith(".whl"):
            items = _of_wheel(text, limits)
        elif "/" in text:
            items = [_of_file(text)]
        else:
            items = [Provided(text)]
        for item in items:
            found.setdefault(item.name, item)
    return tuple(found.values())


def _of_file(path: str) -> Provided:
    from pathlib import Path

    from fastwheel.wheel.archive import Archive

    Archive.probe(Path(path))
    with open(path, "rb") as file:
        content = file.read()
    try:
        return _library(basename(path), content)
    except ElfError as error:
        raise ElfError(error.code, f"{escape(path)}: {error.message}", error.hint) from error


def _of_wheel(path: str, limits: Limits | None) -> list[Provided]:
    from fastwheel.wheel.wheel import Wheel

    items = []
    with Wheel.open(path, limits) as wheel:
        for member in wheel.archive.members:
            if member.is_dir or next(wheel.archive.stream(member), b"")[:4] != _MAGIC:
                continue
            try:
                items.append(_library(basename(member.name), wheel.archive.read(member)))
            except ElfError as error:
                raise FastwheelError(
                    f"{escape(os.path.basename(path))}: {escape(member.name)}: {error.message}", code=error.code
                ) from error
    return items


def _library(name: str, content: bytes) -> Provided:
    facts = engine.read(content)
    return Provided(facts.soname or name, facts, engine.symbols(content))
