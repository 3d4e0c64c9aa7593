"""A real machine in place of a policy's baseline: its interpreter and its libraries, read from disk.

The prediction is then what dlopen does here, which is how the simulation is held to the truth.

>>> import sys
>>> from fastwheel.loader.host import Host
>>> host = Host(sys.executable)  # doctest: +SKIP
>>> host.process[0].key  # doctest: +SKIP
'/usr/bin/python3.11'
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fastwheel import engine
from fastwheel.deps.files import SystemFile, abi_of
from fastwheel.deps.search import Search
from fastwheel.errors import FastwheelError, escape
from fastwheel.loader.load import Fault, Loader, Tree
from fastwheel.loader.objects import object_of
from fastwheel.policy.arch import arch_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fastwheel._elf.model import Facts
    from fastwheel.loader.model import LoadedObject
    from fastwheel.policy.arch import Libc

__all__ = ["Host"]


class Host:
    """A `System`: this machine, or a root folder that stands for one.

    Args:
        executable: the program whose process the wheel's files are loaded into, such as `sys.executable`.
        libc: its C library; told from the executable if not given.
        preloaded: paths of libraries that the process has loaded before, out of scope for others.
        root: the folder that stands for `/`.

    Raises:
        FastwheelError: FW501, the executable or a preloaded library can't be read or is no ELF file.

    Attributes:
        libc: the C library.
        arch: the processor.
        label: for messages.
        process: the executable and all that it needs, breadth-first.
        local: the objects of `preloaded`.
    """

    def __init__(
        self,
        executable: str | os.PathLike[str],
        *,
        libc: Libc | None = None,
        preloaded: Iterable[str | os.PathLike[str]] = (),
        root: str | os.PathLike[str] = "/",
    ) -> None:
        from fastwheel.host import host_libc

        facts = engine.read_file(os.path.realpath(executable))
        arch = arch_of(facts)
        if arch is None:
            raise FastwheelError(f"{escape(os.fspath(executable))} is for no known processor", code="FW501")
        self.arch = arch
        self.libc = libc or host_libc()
        self.label = "the folders of this machine's loader"
        self.process: Sequence[LoadedObject] = ()
        self.local: Sequence[LoadedObject] = ()
        self._search = Search(self.libc, arch, root=root, native=arch)
        self._abi = abi_of(facts)
        self._known: dict[str, LoadedObject | Fault] = {}
        program = self._whole(executable)
        self.process = Loader(Tree({}, {}, frozenset(), {}), self).load(program, program=True).objects
        self.local = tuple(self._whole(path) for path in preloaded)

    def library(self, name: str, *, defaults: bool) -> LoadedObject | Fault | None:
        """Return what the machine's own search finds."""
        folders = [f for f in self._search.system if defaults or f.path not in self._search.defaults]
        found = self._search.find(name, folders, self._abi)
        return None if found.file is None else self._object(found.file.real, found.file.facts)

    def at(self, folder: str, name: str) -> LoadedObject | Fault | None:
        """Return what lies in a folder of the machine."""
        found = self._search.files.probe(os.path.join(folder, name), self._abi)
        if isinstance(found, SystemFile):
            return self._object(found.real, found.facts)
        return None if found is None else Fault(f"{escape(folder)}/{escape(name)}: {found}", fatal=False)

    def _whole(self, path: str | os.PathLike[str]) -> LoadedObject:
        real = os.path.realpath(path)
        item = self._object(real, engine.read_file(real))
        if isinstance(item, Fault):
            raise FastwheelError(item.reason, code="FW501")
        return item

    def _object(self, real: str, facts: Facts) -> LoadedObject | Fault:
        known = self._known.get(real)
        if known is None:
            try:
                with open(real, "rb") as file:
                    links = engine.links(file.read())
                known = object_of(real, facts, links, libc=self.libc, origin="system")
            except (OSError, FastwheelError) as error:
                known = Fault(f"{escape(real)}: {escape(str(error))}", fatal=True)
            self._known[real] = known
        return known
