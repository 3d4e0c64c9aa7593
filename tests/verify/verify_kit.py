"""A small wheel that is right in every respect, in parts that tests can break one at a time.

`pkg/_ext` is an extension module that calls `alpha_call` of libalpha, which calls `beta_call` of libbeta; both
libraries lie in `pkg.libs`, have versioned symbols and are found by DT_RUNPATH.
"""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from base64 import urlsafe_b64encode
from pathlib import Path

import fastwheel

__all__ = ["ALPHA", "BETA", "EXT", "Kit"]

EXT = "pkg/_ext.cpython-311-x86_64-linux-gnu.so"
ALPHA = "pkg.libs/libalpha-11111111.so.1"
BETA = "pkg.libs/libbeta-22222222.so.2"
MODULE = """
typedef struct o PyObject;
extern PyObject *PyModuleDef_Init(void *);
extern PyObject *PyLong_FromLong(long);
extern int alpha_call(void);
static char definition[128];
{before}
PyObject *{init}(void) {{ {body}
  return alpha_call() ? PyModuleDef_Init(definition) : PyLong_FromLong(0); }}
"""
LIBRARY = """
#include <string.h>
{before}
int {calls}(void);
int {name}(void) {{ return {calls}() + (int)strlen("x"); }}
int {name}_more(void) {{ return 1; }}
"""
LAST = """
#include <stdlib.h>
{before}
int beta_call(void) {{ return abs(-42); }}
int beta_more(void) {{ return 1; }}
"""
LICENSE = b"This package contains libalpha and libbeta, under the terms of the MIT license.\n"


class Kit:
    """Compiles the parts and packs them.

    Attributes:
        folder: where everything is built.
        tag: the tags of the file name, `python-abi-platforms`.
        wheel_tag: the tags in WHEEL, if others.
        files: archive name ▶ content; without `build` it is filled with the good parts on `pack`.
        info: further lines of WHEEL.
        metadata: further lines of METADATA.
        purelib: Root-Is-Purelib.
        record: rows of RECORD by name that replace the right ones; None leaves a row out.
        licensed: whether the license file comes along.
        method: how members are compressed.
        complete: whether `files` holds all that it is meant to hold.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tag = "cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64"
        self.wheel_tag: str | None = None
        self.dist_info = "pkg-1.0.dist-info"
        self.info = ""
        self.metadata = ""
        self.purelib = "false"
        self.files: dict[str, bytes] = {"pkg/__init__.py": b""}
        self.record: dict[str, str | None] = {}
        self.extra_rows: list[str] = []
        self.licensed = True
        self.method = zipfile.ZIP_DEFLATED
        self.complete = False

    # -- parts ---------------------------------------------------------------------------------------------------

    def compile(self, name: str, source: str, *flags: str, kind: tuple[str, ...] = ("-shared", "-fPIC")) -> bytes:
        """Compile C source; libraries it is linked to are found in the kit's folder under their sonames."""
        output = self.folder / "built" / Path(name).name
        output.parent.mkdir(exist_ok=True)
        self.run("gcc", *kind, "-O1", "-w", "-x", "c", "-", "-o", output, "-x", "none", "-Wl,-z,noexecstack",
                 f"-L{output.parent}", *flags, text=source)  # fmt: skip
        return output.read_bytes()

    def assemble(self, name: str, source: str, *flags: str) -> bytes:
        """Assemble and link a shared object."""
        output = self.folder / "built" / Path(name).name
        output.parent.mkdir(exist_ok=True)
        self.run("gcc", "-shared", "-nostdlib", "-x", "assembler", "-", "-o", output, *flags, text=source)
        return output.read_bytes()

    @staticmethod
    def run(*line: str | Path, text: str) -> None:
        done = subprocess.run(list(map(str, line)), input=text, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def beta(self, *flags: str, soname: str = "libbeta-22222222.so.2", version: str = "BETA_2", before: str = "",
             globals_: str = "beta_call; beta_more;") -> bytes:  # fmt: skip
        """libbeta."""
        return self.compile(
            "libbeta-22222222.so.2",
            LAST.format(before=before),
            f"-Wl,-soname,{soname}",
            self.script("beta", version, globals_),
            *flags,
        )

    def alpha(self, *flags: str, soname: str = "libalpha-11111111.so.1", version: str = "ALPHA_1", before: str = "",
              globals_: str = "alpha_call; alpha_call_more;", runpath: str | None = "$ORIGIN",
              needs: str = "-l:libbeta-22222222.so.2") -> bytes:  # fmt: skip
        """libalpha; libbeta has to be there."""
        return self.compile(
            "libalpha-11111111.so.1",
            LIBRARY.format(before=before, name="alpha_call", calls="beta_call"),
            f"-Wl,-soname,{soname}",
            self.script("alpha", version, globals_),
            *needs.split(),
            *runpath_flags(runpath),
            *flags,
        )

    def ext(self, *flags: str, body: str = "", before: str = "", init: str = "PyInit__ext", name: str = EXT,
            runpath: str | None = "$ORIGIN/../pkg.libs", needs: str = "-l:libalpha-11111111.so.1",
            kind: tuple[str, ...] = ("-shared", "-fPIC")) -> bytes:  # fmt: skip
        """The extension module; libalpha has to be there."""
        source = MODULE.format(body=body, before=before, init=init)
        extra = ("-Wl,--allow-shlib-undefined", f"-Wl,-rpath-link,{self.folder / 'built'}")
        return self.compile(name, source, *needs.split(), *runpath_flags(runpath), *extra, *flags, kind=kind)

    def script(self, name: str, version: str, globals_: str) -> str:
        path = self.folder / f"{name}.map"
        path.write_text(f"{version} {{ global: {globals_} local: *; }};\n")
        return f"-Wl,--version-script,{path}"

    def build(self) -> Kit:
        """Put the good parts in, each unless it is there."""
        for name, make in ((BETA, self.beta), (ALPHA, self.alpha), (EXT, self.ext)):
            if name not in self.files and not self.complete:
                self.files[name] = make()
        return self

    # -- the wheel -----------------------------------------------------------------------------------------------

    def pack(self, *, name: str | None = None) -> Path:
        """Write the wheel of `files` and return its path."""
        info = self.dist_info
        python, abi, platforms = (self.wheel_tag or self.tag).split("-")
        tags = "".join(f"Tag: {python}-{abi}-{platform}\n" for platform in platforms.split("."))
        contents = dict(self.files)
        if self.licensed:
            contents.setdefault(f"{info}/licenses/LICENSE", LICENSE)
        contents[f"{info}/METADATA"] = f"Metadata-Version: 2.4\nName: pkg\nVersion: 1.0\n{self.metadata}".encode()
        head = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: {self.purelib}\n"
        contents[f"{info}/WHEEL"] = f"{head}{tags}{self.info}".encode()
        rows = []
        for path, content in contents.items():
            digest = urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            row = self.record.get(path, f"{path},sha256={digest},{len(content)}")
            if row is not None:
                rows.append(row)
        contents[f"{info}/RECORD"] = "".join(
            f"{row}\n" for row in [*rows, *self.extra_rows, f"{info}/RECORD,,"]
        ).encode()
        target = self.folder / (name or f"pkg-1.0-{self.tag}.whl")
        with zipfile.ZipFile(target, "w") as archive:
            for path, content in contents.items():
                entry = zipfile.ZipInfo(path, (2024, 2, 29, 12, 30, 58))
                entry.external_attr = 0o100644 << 16
                entry.compress_type = self.method
                archive.writestr(entry, content)
        return target

    def verify(self, **options: object) -> fastwheel.Verified:
        """Verify the wheel of `files`, the parts that are missing being good."""
        return fastwheel.verify(self.build().pack(), **options)  # type: ignore[arg-type]


def runpath_flags(runpath: str | None) -> tuple[str, ...]:
    """The linker's flags for a DT_RUNPATH."""
    return () if runpath is None else (f"-Wl,-rpath,{runpath}", "-Wl,--enable-new-dtags")
