"""One file of the corpus, with what it takes to load it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MACHINES", "Machine", "Subject"]


@dataclass(frozen=True, slots=True)
class Machine:
    """How files of one architecture and C library are built, run and stripped.

    Attributes:
        name: such as `aarch64`, `x86_64-musl`.
        prefix: what the names of the GNU tools begin with, such as `aarch64-linux-gnu-`; empty on the host.
        emulator: the command that a program is run with; empty if it runs by itself.
        system: the folder of the C library, relative to nothing; None for the host's own.
    """

    name: str
    prefix: str = ""
    emulator: tuple[str, ...] = ()
    system: str | None = None


def _foreign(name: str, triple: str, qemu: str) -> Machine:
    root = f"/usr/{triple}"
    return Machine(name, f"{triple}-", (f"qemu-{qemu}", "-L", root), f"{root}/lib")


#: By name. loongarch64 has no packaged C library: its files are checked without being run.
MACHINES: dict[str, Machine] = {
    machine.name: machine
    for machine in (
        Machine("x86_64"),
        Machine("x86_64-musl"),
        _foreign("aarch64", "aarch64-linux-gnu", "aarch64"),
        _foreign("armv7l", "arm-linux-gnueabihf", "arm"),
        _foreign("ppc64le", "powerpc64le-linux-gnu", "ppc64le"),
        _foreign("ppc64", "powerpc64-linux-gnu", "ppc64"),
        _foreign("s390x", "s390x-linux-gnu", "s390x"),
        _foreign("riscv64", "riscv64-linux-gnu", "riscv64"),
        _foreign("i686", "i686-linux-gnu", "i386"),
        Machine("loongarch64"),
    )
}


@dataclass(frozen=True, slots=True)
class Subject:
    """One ELF file under test.

    Attributes:
        name: unique in the corpus, such as `gold-default` or `numpy/_multiarray_umath.so`.
        group: `shape`, `debian` (libraries), `program` (Debian's) or `pypi`.
        path: where the original is; never written to.
        machine: a key of `MACHINES`.
        kind: `library` (is loaded), `program` (is run), or `static` (is only looked at).
        library_path: folders in which the loader may look for what the file needs.
        probe: whether probe() must return 42 after loading.
        refused: whether every editor should refuse it; then `kind` does not matter.
        arguments: of a program.
    """

    name: str
    group: str
    path: Path
    machine: str = "x86_64"
    kind: str = "library"
    library_path: tuple[Path, ...] = ()
    probe: bool = False
    refused: bool = False
    arguments: tuple[str, ...] = ()
