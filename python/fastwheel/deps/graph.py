"""Who needs whom, and where each library was found: the graph of a wheel's ELF files and the machine's libraries.

>>> from fastwheel.deps import Search, build_graph
>>> from fastwheel.policy import Arch, Libc
>>> graph = build_graph({}, Search.for_host(Libc.GLIBC, Arch.X86_64), opaque=lambda name: False)
>>> graph.objects, graph.edges
({}, {})
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from fastwheel.errors import FastwheelError, escape
from fastwheel.portable import slashed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fastwheel._elf.model import Facts
    from fastwheel.deps.files import SystemFile
    from fastwheel.deps.objects import Edge, Graph
    from fastwheel.deps.search import Search

__all__ = ["build_graph", "closure", "missing", "trace"]

#: Different libraries that a single file may need: none has a tenth of them.
_MOST_NEEDED: Final = 4000
#: Those, times the entries of its search path.
_MOST_PLACES: Final = 400_000


def build_graph(
    members: Mapping[str, Facts],
    search: Search,
    *,
    opaque: Callable[[str], bool],
    extra: Sequence[SystemFile] = (),
) -> Graph:
    """Resolve every DT_NEEDED of a wheel's ELF files, and of the system's libraries that they reach.

    Each root is loaded breadth-first as the loader does it, with its rules for DT_RPATH and DT_RUNPATH and the first
    library of a name serving all that come later. Three rules are the repairer's, not the loader's:

    - `$ORIGIN` entries of the wheel's own files that stay in the tree and find the library in the wheel win over
      LD_LIBRARY_PATH and all else: the wheel ships it.
    - A wheel's file that finds a library by its own DT_RPATH or DT_RUNPATH keeps it, even where another library of
      the same name was loaded before: both can be grafted, each for its own consumer.
    - A library that the wheel holds exactly once under the name (or, failing that, the DT_SONAME) asked for is
      preferred to the system's copy by the wheel's own files, and serves as a last resort for the system's.

    What a library needs can depend on what loads it, so that it is looked up under each root again; where that would
    take more than 150,000 steps, it is what the roots before found that counts.

    Candidates that can't be used (other processors, linker scripts, folders, damaged files…) are passed over with
    the reason in `Edge.tried`. A DT_NEEDED with a `/` in it (of a library without DT_SONAME) is followed if it is
    absolute or begins with `$ORIGIN`.

    Args:
        members: the wheel's ELF files by install path, relative to site-packages; files of other schemes begin with
            `../`.
        search: where to look on the machine.
        opaque: names that the system provides or that are not wanted: recorded with no target, never walked through
            and never missing.
        extra: files of the machine that are to be walked too, although nothing needs them.
    """
    from fastwheel.deps.resolve import Resolver

    resolver = Resolver(search, opaque, members)
    return resolver.graph([*resolver.wheel_roots(), *map(resolver.add_system, extra)])


def trace(path: str | os.PathLike[str], search: Search, *, opaque: Callable[[str], bool] | None = None) -> Graph:
    """Resolve what an ELF file of this machine needs, as its loader would. The file's key is `Graph.roots[0]`.

    Raises:
        FastwheelError: FW501, the file can't be read or is no ELF file; FW113, it needs more than can be looked for.
    """
    from fastwheel.deps.files import SystemFile
    from fastwheel.deps.resolve import Resolver

    full = slashed(os.path.abspath(os.fspath(path)))
    file = search.files.look(full)
    if not isinstance(file, SystemFile):
        reason = file or "no such file"
        raise FastwheelError(f"cannot read the dependencies of {escape(full)}: {escape(reason)}", code="FW501")
    count = len(set(file.facts.needed))
    folders = (file.facts.runpath or file.facts.rpath or "").count(":") + 1
    if count > _MOST_NEEDED or count * folders > _MOST_PLACES:
        message = f"{escape(full)} needs {count} libraries from {folders} folders: more than can be looked for"
        raise FastwheelError(message, code="FW113")
    resolver = Resolver(search, opaque or (lambda _: False), {})
    return resolver.graph([resolver.add_system(file)])


def closure(graph: Graph, *keys: str) -> tuple[str, ...]:
    """Return the keys of all that objects need, directly or not, breadth-first, without the objects themselves."""
    order = dict.fromkeys(keys)
    queue = list(order)
    for one in queue:  # grows while it is walked
        for edge in graph.edges.get(one, ()):
            if edge.target is not None and edge.target not in order:
                order[edge.target] = None
                queue.append(edge.target)
    return tuple(order)[len(keys) :]


def missing(graph: Graph) -> tuple[tuple[str, Edge], ...]:
    """Return (consumer's key, edge) of every library that was not found."""
    return tuple((key, edge) for key, edges in graph.edges.items() for edge in edges if edge.missing)
