"""Tiny libraries, extension modules and programs, and the wheels around them, compiled in a moment."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path

import fastwheel

__all__ = ["Toolbox", "call", "contents_of", "extension", "installed", "repair"]

PLAIN = "typedef struct o PyObject; {before}PyObject *PyInit_ext(void) {{ {body}return 0; }}"
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
        wheel_info: bytes | None = None,
    ) -> Path:
        """Pack a wheel with a right RECORD; `wheel_info` is the text of WHEEL, if not the usual one."""
        info = f"{project}-1.0.dist-info"
        python, abi, platforms = tag.split("-")
        tags = "".join(f"Tag: {python}-{abi}-{platform}\n" for platform in platforms.split("."))
        contents = {
            **files,
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n".encode(),
            f"{info}/WHEEL": wheel_info
            or f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\n{tags}".encode(),
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


def extension(toolbox: Toolbox, *flags: str, before: str = "", body: str = "", name: str = "ext.so") -> bytes:
    """An extension module `ext` with something in it."""
    source = PLAIN.format(before=before, body=body)
    return toolbox.compile(toolbox.folder / "modules" / name, source, *flags).read_bytes()


def repair(wheel: Path, toolbox: Toolbox, **options: object) -> fastwheel.Repaired:
    """Repair a wheel into the folder `out`, with the toolbox's libraries in reach."""
    environ = {"LD_LIBRARY_PATH": str(toolbox.system)}
    return fastwheel.repair(wheel, toolbox.folder / "out", environ=environ, **options)  # type: ignore[arg-type]


def installed(wheel: Path, folder: Path) -> Path:
    """Lay a wheel out as an installer does: `.data/platlib` joins site-packages."""
    site = folder / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            parts = entry.filename.split("/")
            if parts[0].endswith(".data"):
                parts = parts[2:] if parts[1] == "platlib" else ["..", *parts[1:]]
            target = site.joinpath(*parts)
            if not entry.is_dir():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(entry))
                target.chmod(entry.external_attr >> 16 & 0o777)
    return site


def call(library: Path, function: str) -> int:
    """Load a shared object as ctypes does, in a process without LD_LIBRARY_PATH, and call a function of it."""
    program = f"import ctypes; print(ctypes.CDLL({str(library)!r}).{function}())"
    environ = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)
