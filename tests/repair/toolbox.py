"""Tiny libraries, extension modules and programs, and the wheels around them, compiled in a moment."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["Toolbox", "contents_of"]

MODULE = """
#define Py_LIMITED_API 0x03080000
typedef struct _object PyObject;
extern int {call}(void);
PyObject *PyInit_{name}(void) {{ return {call}() == 42 ? (PyObject *)0 : (PyObject *)0; }}
"""


class Toolbox:
    """Compiles shared objects and packs wheels below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.system = folder / "system"  # stands for the build machine's library folder
        self.system.mkdir()

    def compile(self, output: Path, source: str, *flags: str, kind: Sequence[str] = ("-shared", "-fPIC")) -> Path:
        """Compile C source into a shared object, or with `kind=()` into a program."""
        output.parent.mkdir(parents=True, exist_ok=True)
        command = ["gcc", *kind, "-O1", "-x", "c", "-", "-o", str(output), "-x", "none", *flags]
        subprocess.run(command, input=source.encode(), check=True, capture_output=True)
        return output

    def library(
        self,
        soname: str,
        function: str,
        *,
        needs: Sequence[Path] = (),
        folder: Path | None = None,
        flags: Sequence[str] = (),
    ) -> Path:
        """Compile a library of one function, which calls nothing, but is linked to `needs`."""
        path = (folder or self.system) / soname
        source = f"int {function}(void) {{ return 42; }}"
        libraries = [str(need) for need in needs]
        return self.compile(path, source, f"-Wl,-soname,{soname}", "-Wl,--no-as-needed", *libraries, *flags)

    def module(self, name: str, call: str, *needs: Path, flags: Sequence[str] = ()) -> bytes:
        """Compile a Python extension module that calls a function of a library."""
        path = self.compile(
            self.folder / "modules" / f"{name}.so",
            MODULE.format(name=name, call=call),
            *map(str, needs),
            *flags,
        )
        return path.read_bytes()

    def wheel(
        self,
        files: Mapping[str, bytes],
        *,
        project: str = "pkg",
        tag: str = "cp311-cp311-linux_x86_64",
        folder: Path | None = None,
        modes: Mapping[str, int] | None = None,
    ) -> Path:
        """Pack a wheel with a right RECORD."""
        info = f"{project}-1.0.dist-info"
        python, abi, platforms = tag.split("-")
        tags = "".join(f"Tag: {python}-{abi}-{platform}\n" for platform in platforms.split("."))
        contents = {
            **files,
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n".encode(),
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\n{tags}".encode(),
        }
        rows = []
        for name, content in contents.items():
            digest = urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            rows.append(f"{name},sha256={digest},{len(content)}\n")
        contents[f"{info}/RECORD"] = ("".join(rows) + f"{info}/RECORD,,\n").encode()
        target = (folder or self.folder) / f"{project}-1.0-{tag}.whl"
        target.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in contents.items():
                entry = zipfile.ZipInfo(name, (2024, 2, 29, 12, 30, 58))
                entry.external_attr = (0o100000 | (modes or {}).get(name, 0o644)) << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, content)
        return target


def contents_of(path: Path) -> dict[str, bytes]:
    """Return the members of a wheel whose checksums hold, by name."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {entry.filename: archive.read(entry) for entry in archive.infolist()}
