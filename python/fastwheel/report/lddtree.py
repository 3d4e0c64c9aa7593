"""The document of `fastwheel lddtree`: the fields of auditwheel's, without its printed Python objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastwheel.deps.graph import closure
from fastwheel.policy.arch import arch_of, isa_level, libc_of

if TYPE_CHECKING:
    from fastwheel._elf.model import Facts
    from fastwheel.deps.objects import Graph

__all__ = ["lddtree_document"]

_OSABI = {0: "ELFOSABI_SYSV", 1: "ELFOSABI_HPUX", 2: "ELFOSABI_NETBSD", 3: "ELFOSABI_LINUX", 9: "ELFOSABI_FREEBSD"}
_MACHINE = {
    3: "EM_386",
    21: "EM_PPC64",
    22: "EM_S390",
    40: "EM_ARM",
    62: "EM_X86_64",
    183: "EM_AARCH64",
    243: "EM_RISCV",
    258: "EM_LOONGARCH",
}


def lddtree_document(graph: Graph) -> dict[str, object]:
    """Return what the file `graph.roots[0]` needs, directly or not, and where each library was found.

    A library that was not found has null paths.
    """
    root = graph.objects[graph.roots[0]]
    facts = root.facts
    libraries: dict[str, object] = {}
    for key in (root.key, *closure(graph, root.key)):
        for edge in graph.edges.get(key, ()):
            if edge.needed in libraries:
                continue
            target = None if edge.target is None else graph.objects[edge.target]
            libraries[edge.needed] = {
                "soname": edge.needed,
                "path": None if target is None else target.path,
                "realpath": None if target is None else target.real,
                "platform": None if target is None else _platform(target.facts),
                "needed": [] if target is None else list(target.facts.needed),
            }
    libc = libc_of(facts, root.path)
    return {
        "interpreter": facts.interpreter,
        "libc": None if libc is None else libc.value,
        "path": root.path,
        "realpath": root.real,
        "platform": _platform(facts),
        "needed": list(facts.needed),
        "rpath": _entries(facts.rpath if facts.runpath is None else None),
        "runpath": _entries(facts.runpath),
        "libraries": libraries,
    }


def _entries(path: str | None) -> list[str]:
    return [] if path is None else path.split(":")


def _platform(facts: Facts) -> dict[str, object]:
    arch = arch_of(facts)
    level = isa_level(facts)
    return {
        "_elf_osabi": _OSABI.get(facts.osabi, facts.osabi),
        "_elf_class": facts.bits,
        "_elf_little_endian": facts.byte_order == "little",
        "_elf_machine": _MACHINE.get(facts.machine, facts.machine),
        "_base_arch": None if arch is None else arch.value,
        "_ext_arch": f"x86_64_v{level}" if level > 1 else None,
        "_error_msg": None,
    }
