"""Shapes of other machines, by Debian's cross compilers (row 18)."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from .subject import MACHINES
from .tools import SOURCES, run, tool

if TYPE_CHECKING:
    from .family import Workshop

__all__ = ["FOREIGN", "build_foreign"]

#: Machines with a packaged cross compiler.
FOREIGN = ("aarch64", "armv7l", "i686", "ppc64", "ppc64le", "riscv64", "s390x")

#: Which of LLVM 19's and GNU's other linkers know the machine.
_LLD = {"aarch64", "armv7l", "i686", "ppc64le", "riscv64", "s390x"}
_GOLD = {"aarch64", "armv7l", "i686", "ppc64", "ppc64le", "s390x"}


def build_foreign(workshop: Workshop) -> None:
    """Libraries and a program for one machine."""
    machine = workshop.machine
    prefix = MACHINES[machine].prefix
    compiler = tool(f"{prefix}gcc", f"gcc-{prefix}".rstrip("-"))
    workshop.library_for_all(compiler)
    shapes: dict[str, list[str]] = {
        "default": [],
        "stripped": ["-s", "-Wl,-z,now,--build-id=none"],
        "separate": ["-Wl,-z,separate-code"],
        "noseparate": ["-Wl,-z,noseparate-code"],
        "norelro-sysv": ["-Wl,-z,norelro,--hash-style=sysv"],
        "rpath": ["-Wl,-rpath,/opt/x/lib"],
    }
    if machine == "aarch64":
        shapes["bti"] = ["-mbranch-protection=standard", "-Wl,-z,force-bti"]
    if machine in _GOLD:
        shapes["gold"] = ["-fuse-ld=gold"]
    if machine in _LLD:
        folder = workshop.path("bin/ld.lld").parent
        (folder / "ld.lld").symlink_to(tool("ld.lld-19", "lld-19"))
        shapes["lld19"] = [f"-B{folder}", "-fuse-ld=lld"]
        shapes["lld19-rpath"] = [*shapes["lld19"], "-Wl,-rpath,/opt/x/lib"]
    common = ["-O1", f"-L{workshop.deps}"]
    for name, flags in shapes.items():
        target = workshop.path(f"{name}.so")
        try:
            run(
                [
                    compiler,
                    *common,
                    "-shared",
                    "-fPIC",
                    SOURCES / "lib.c",
                    "-o",
                    target,
                    f"-Wl,-soname,lib{name}.so.1",
                    *flags,
                    "-ldep",
                    "-lm",
                ]
            )
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            raise RuntimeError(f"{machine}-{name}: {error}") from error
        # The C library's own start files are not built for BTI: forced, the file is only looked at.
        workshop.add(f"{machine}-{name}", target, kind="static" if name == "bti" else "library")
    programs: dict[str, list[str]] = {"pie": ["-fPIE", "-pie"], "no-pie": ["-fno-pie", "-no-pie"]}
    for name, flags in programs.items():
        target = workshop.path(f"program-{name}")
        run([compiler, *common, *flags, SOURCES / "main.c", SOURCES / "lib.c", "-o", target, "-ldep", "-lm"])
        workshop.add(f"{machine}-program-{name}", target, kind="program")
