"""What the cases of the zip layer are put together with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from arena import Arena, Call, Case, Tools, parts_of
from zipkit import Part, assemble

__all__ = ["FULL", "MIB", "TEXT", "Make", "both", "collector", "options", "whole", "with_change", "with_part"]

MIB = 1 << 20
FULL = 0xFFFFFFFF
TEXT = b"some text " * 30
Make = Callable[[Tools], bytes]


class Add(Protocol):
    """Keeps a case that is one file; `args` are options of the command line."""

    def __call__(
        self, name: str, rule: str, want: str | Sequence[str], make: Make, *args: str, **options: object
    ) -> None: ...


def collector(cases: list[Case]) -> Add:
    """A function that appends to `cases`."""

    def add(name: str, rule: str, want: str | Sequence[str], make: Make, *args: str, **options: object) -> None:
        def prepare(arena: Arena) -> Call:
            return Call(args=args, file=arena.save(make(arena.tools)))

        wanted = (want,) if isinstance(want, str) else tuple(want)
        cases.append(Case(f"zip/{name}", rule, prepare, wanted, **options))  # type: ignore[arg-type]

    return add


def whole(tools: Tools, *more: Part, **options: object) -> bytes:
    """A sound wheel with `more` members and the `options` of `assemble`."""
    return assemble(parts_of(tools, *more), **options)  # type: ignore[arg-type]


def with_part(**fields: object) -> Make:
    """A wheel with one more member that has these fields."""
    settings = {"name": "demo/data.txt", "content": TEXT, **fields}
    return lambda tools: whole(tools, Part(**settings))  # type: ignore[arg-type]


def with_change(index: int, **fields: object) -> Make:
    """A wheel one of whose members (0 __init__, 1 the ELF file, 2 METADATA, 3 WHEEL, 4 RECORD) has these fields."""

    def make(tools: Tools) -> bytes:
        parts = parts_of(tools)
        parts[index] = replace(parts[index], **fields)  # type: ignore[arg-type]
        return assemble(parts)

    return make


def both(**fields: object) -> dict[str, object]:
    """The same fields for both headers."""
    return {"local": dict(fields), "central": dict(fields)}


def options(**settings: object) -> Make:
    return lambda tools: whole(tools, **settings)
