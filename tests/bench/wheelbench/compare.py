"""Whether two tools made the same of a wheel: the same files, needs and names, but for the hashes in graft names."""

from __future__ import annotations

import functools
import io
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from posixpath import basename

__all__ = ["differences", "import_faults", "meaning"]

_HASH = re.compile(r"(?P<stem>^|[^.]*)-[0-9a-f]{8}(?P<rest>\.|$)")


def plain(name: str) -> str:
    """Return a graft's path or file name without the hash that repair tools put before the first dot.

    >>> plain("pkg.libs/libfoo-01234567.so.3")
    'pkg.libs/libfoo.so.3'
    """
    folder, slash, file = name.rpartition("/")
    stem, dot, rest = file.partition(".")
    return f"{folder}{slash}{re.sub(r'-[0-9a-f]{8}$', '', stem)}{dot}{rest}"


@functools.cache
def meaning(wheel: Path) -> dict[str, tuple[str | None, tuple[str, ...]] | None]:
    """Return each file of a wheel by its plain name, with the plain soname and needs of those that are ELF files.

    Bills of materials and RECORD are left out: each tool has its own.

    Raises:
        ValueError: an ELF file needs a graft that the wheel does not hold.
    """
    found: dict[str, tuple[str | None, tuple[str, ...]] | None] = {}
    with zipfile.ZipFile(wheel) as archive:
        held = {basename(name) for name in archive.namelist()}
        for entry in archive.infolist():
            name = entry.filename
            if entry.is_dir() or "/sboms/" in name or name.endswith((".dist-info/RECORD", ".dist-info/WHEEL")):
                continue
            content = archive.read(entry)
            if not content.startswith(b"\x7fELF"):
                found[plain(name)] = None
                continue
            soname, needed = _dynamic(content)
            for need in needed:
                if plain(need) != need and need not in held:
                    raise ValueError(f"{wheel.name}: {name} needs {need}, which is not there")
            found[plain(name)] = (soname and plain(soname), tuple(plain(need) for need in needed))
    return found


def _dynamic(content: bytes) -> tuple[str | None, tuple[str, ...]]:
    """Soname and needs, by another reader than fastwheel's."""
    from elftools.elf.dynamic import DynamicSegment
    from elftools.elf.elffile import ELFFile

    soname, needed = None, []
    for segment in ELFFile(io.BytesIO(content)).iter_segments("PT_DYNAMIC"):
        assert isinstance(segment, DynamicSegment)
        for tag in segment.iter_tags():
            if tag.entry.d_tag == "DT_SONAME":
                soname = tag.soname
            elif tag.entry.d_tag == "DT_NEEDED":
                needed.append(tag.needed)
    return soname, tuple(needed)


def differences(ours: Sequence[Path], theirs: Sequence[Path]) -> list[str]:
    """Say in what the outputs of two tools differ."""
    found = []
    if len(ours) != len(theirs):
        return [f"{len(ours)} wheels against {len(theirs)}"]
    for one, other in zip(sorted(ours), sorted(theirs), strict=True):
        found += list(_differences(meaning(one), meaning(other)))
    return found


def _differences(ours: Mapping[str, object], theirs: Mapping[str, object]) -> Iterator[str]:
    for name in sorted({*ours, *theirs}):
        if name not in theirs:
            yield f"only in the first: {name}"
        elif name not in ours:
            yield f"only in the second: {name}"
        elif ours[name] != theirs[name]:
            yield f"{name}: {ours[name]} against {theirs[name]}"


def import_faults(wheel: Path, modules: Sequence[str]) -> str:
    """Install a wheel into an empty folder and import modules of it; return what went wrong, or nothing."""
    with tempfile.TemporaryDirectory() as folder:
        line = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        line += ["--no-index", "--target", folder, str(wheel)]
        installed = subprocess.run(line, capture_output=True, text=True)
        if installed.returncode:
            return installed.stderr
        program = f"import sys; sys.path.insert(0, sys.argv[1]); import {', '.join(modules)}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("LD_", "PYTHON"))}
        imported = subprocess.run([sys.executable, "-c", program, folder], capture_output=True, text=True, env=clean)
        return imported.stderr if imported.returncode else ""
