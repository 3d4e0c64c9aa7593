"""The graph of ELF files as plain data: objects, the edges between them, and how each library was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from fastwheel.deps.folders import Via
from fastwheel.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastwheel._elf.model import Facts

__all__ = ["Edge", "Graph", "Object"]


class Object(NamedTuple):
    """One ELF file.

    Attributes:
        key: its name in the graph: the install path of a wheel's file, the real path of a system's (which begins
            with "/").
        origin: "wheel" or "system".
        path: the install path, or the path as found.
        real: the install path, or the path without symbolic links.
        facts: what the loader would learn of it.
    """

    key: str
    origin: Literal["wheel", "system"]
    path: str
    real: str
    facts: Facts


class Edge(NamedTuple):
    """One DT_NEEDED entry of an object.

    Attributes:
        needed: the name asked for.
        target: the key of what was found; None if the system provides it or nothing was found.
        how: why it was found there, for people.
        tried: the candidates that could not be used, with the reasons; of a missing library also the places that were
            searched.
        via: `how` for programs. `Via.IN_WHEEL` is the one by which the loader would *not* find the library: the
            consumer wants a RUNPATH to it (and, where the file's name is not `needed`, the file's name).
    """

    needed: str
    target: str | None
    how: str
    tried: tuple[str, ...]
    via: Via

    @property
    def missing(self) -> bool:
        """Whether the library was looked for and not found."""
        return self.via is Via.MISSING


class Graph(NamedTuple):
    """The ELF files of a wheel, the system files that they reach, and the edges between them.

    Attributes:
        objects: by key; the wheel's files first, sorted, then the system's in the order of discovery.
        edges: by key: one edge for each DT_NEEDED name, in the file's order.
        notes: what the user should know: odd search paths, libraries that clash.
        roots: the keys that the walks began at, in their order: files that nothing of the wheel needs, then the rest
            of the unreached.
    """

    objects: Mapping[str, Object]
    edges: Mapping[str, tuple[Edge, ...]]
    notes: tuple[str, ...]
    roots: tuple[str, ...]
