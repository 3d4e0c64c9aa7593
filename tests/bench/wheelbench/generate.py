"""Wheels that nobody publishes, made from a seed: a tiny one, and one of more than a gigabyte."""

from __future__ import annotations

import random
import subprocess
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy

from wheelbench.record import record_row
from wheelbench.store import cached

__all__ = ["PLATFORM", "compiled", "huge_wheel", "metadata", "tiny_wheel", "write_wheel"]

PLATFORM = "linux_x86_64"
_VERSION = "3"  # of what this module makes

_MODULE = r"""
#include <stddef.h>
extern int %(call)s(int);
int %(define)s(int x) { return %(call)s(x) + 1; }
void *PyInit_%(name)s(void) { return NULL; }
"""
_PLAIN = r"int %(define)s(int x) { return x; }"


def compiled(source: str, target: Path, *options: str | Path) -> None:
    """Compile C into a shared library, without the compiler's own libraries but for libc.

    Raises:
        CalledProcessError: the compiler failed.
    """
    line = [
        "gcc",
        "-shared",
        "-fPIC",
        "-O1",
        "-Wl,--build-id=none",
        "-xc",
        "-",
        "-xnone",
        "-o",
        str(target),
        *map(str, options),
    ]
    subprocess.run(line, input=source.encode(), check=True)


# -- a tiny wheel ------------------------------------------------------------------------------------------------


def tiny_wheel() -> Path:
    """Return a wheel of one extension module that needs libc only."""

    def build(folder: Path) -> None:
        compiled(_MODULE % {"name": "tiny", "define": "tiny", "call": "abs"}, folder / "tiny.so")
        members = [("tiny.cpython-311-x86_64-linux-gnu.so", (folder / "tiny.so").read_bytes())]
        (folder / "tiny.so").unlink()
        write_wheel(folder / f"tiny-1.0-cp311-cp311-{PLATFORM}.whl", members)

    (wheel,) = cached("tiny", (_VERSION,), build).iterdir()
    return wheel


# -- a huge wheel ------------------------------------------------------------------------------------------------

#: Name and megabytes of each library, as in a package of compute kernels.
_LARGE = (("kernels", 520), ("solvers", 400), ("sparse", 310), ("random", 130), ("runtime", 70), ("linalg", 150))
#: Those that need the external library, as the extension module does.
_TO_CHANGE = ("linalg",)


def huge_wheel() -> tuple[Path, Path]:
    """Return a wheel of 1 GB with members of up to 520 MB, and the folder of the library that two of them need."""

    def build(folder: Path) -> None:
        libraries = folder / "libraries"
        libraries.mkdir()
        external = libraries / "libexternal.so.1"
        _payload(folder / "payload", "external", 4)
        compiled(_PLAIN % {"define": "external"} + _embed(folder), external, "-Wl,-soname,libexternal.so.1")
        parts = []
        for name, megabytes in _LARGE:
            target = folder / f"libhuge_{name}.so"
            _payload(folder / "payload", name, megabytes)
            text = _PLAIN % {"define": f"huge_{name}"}
            needs: tuple[str | Path, ...] = ()
            if name in _TO_CHANGE:
                text = f"extern int external(int); int huge_{name}(int x) {{ return external(x); }}"
                needs = (external,)
            compiled(text + _embed(folder), target, f"-Wl,-soname,{target.name}", *needs)
            parts.append(target)
        module = folder / "_huge.so"
        call = {"name": "_huge", "define": "huge", "call": "external"}
        compiled(_MODULE % call, module, external, "-Wl,--no-as-needed", *parts, "-Wl,-rpath,$ORIGIN/lib")
        (folder / "payload").unlink()
        members = ((f"huge/lib/{part.name}", part.read_bytes()) for part in parts)
        first = [("huge/__init__.py", b""), ("huge/_huge.cpython-311-x86_64-linux-gnu.so", module.read_bytes())]
        (folder / "wheel").mkdir()
        write_wheel(folder / "wheel" / f"huge-1.0-cp311-cp311-{PLATFORM}.whl", _chain(first, members))
        for path in (*parts, module):
            path.unlink()

    folder = cached("huge", (_VERSION, repr(_LARGE)), build)
    (wheel,) = (folder / "wheel").iterdir()
    return wheel, folder / "libraries"


def _chain(*parts: Iterable[tuple[str, bytes]]) -> Iterable[tuple[str, bytes]]:
    for part in parts:
        yield from part


def _embed(folder: Path) -> str:
    """C that puts the payload into a read-only section and some thousand names into the symbol table."""
    names = "".join(f"int symbol_number_{index}(void) {{ return {index}; }}\n" for index in range(4000))
    return f'\n{names}__asm__(".section .fatbin,\\"a\\"\\n.balign 64\\n.incbin \\"{folder}/payload\\"\\n.text");\n'


def _payload(path: Path, seed: str, megabytes: int) -> None:
    """Write so much of what device code is like: a quarter compressed already, the rest instructions of 16 bytes.

    zlib makes 62 % of it, at about the speed that it has with real ones.
    """
    source = random.Random(seed)

    def table(rows: int, width: int) -> numpy.ndarray:
        return numpy.frombuffer(source.randbytes(rows * width), numpy.uint8).reshape(rows, width)

    codes, operands = table(1024, 8), table(16, 5)
    with path.open("wb") as file:
        for index in range(megabytes):
            if index % 4 == 0:
                file.write(source.randbytes(1 << 20))
            else:
                picks = numpy.frombuffer(source.randbytes(2 << 16), "<u2")
                parts = (codes[picks & 1023], operands[picks >> 10 & 15], table(1 << 16, 3))
                file.write(numpy.hstack(parts).tobytes())


# -- writing -----------------------------------------------------------------------------------------------------


def metadata(name: str) -> list[tuple[str, bytes]]:
    """Return the members of .dist-info but for RECORD."""
    wheel = f"Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: false\nTag: cp311-cp311-{PLATFORM}\n"
    return [
        (f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode()),
        (f"{name}-1.0.dist-info/WHEEL", wheel.encode()),
    ]


def write_wheel(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """Write a wheel of these members, with .dist-info, as a build backend would: zlib at level 6."""
    name = path.name.partition("-")[0]
    rows = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for member, content in _chain(members, metadata(name)):
            entry = zipfile.ZipInfo(member, (2024, 1, 1, 0, 0, 0))
            entry.external_attr = 0o100755 << 16 if ".so" in member else 0o100644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
            rows.append(record_row(member, content))
        record = zipfile.ZipInfo(f"{name}-1.0.dist-info/RECORD", (2024, 1, 1, 0, 0, 0))
        record.external_attr = 0o100644 << 16
        archive.writestr(record, "".join([*rows, f"{record.filename},,\n"]), zipfile.ZIP_DEFLATED)
