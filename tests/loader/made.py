"""Libraries made by a compiler, in a folder that stands for site-packages."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Site:
    """A folder that stands for site-packages, and a compiler."""

    def __init__(self, folder: Path, *flags: str, gcc: str = "gcc") -> None:
        self.folder = folder / "site"
        self._stubs = folder / "stubs"
        self._gcc = gcc
        self._flags = flags
        self.folder.mkdir()
        self._stubs.mkdir()

    def make(self, name: str, code: str, *flags: str, script: str | None = None) -> Path:
        """Compile a shared library at `name`; its soname is its file name unless the flags say otherwise."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return self._compile(path, code, *flags, script=script)

    def stub(self, soname: str, code: str = "", *, script: str | None = None) -> str:
        """Compile a library that is there for the linker only; return its path."""
        return str(self._compile(self._stubs / soname.replace("/", "%"), code, f"-Wl,-soname,{soname}", script=script))

    def _compile(self, path: Path, code: str, *flags: str, script: str | None = None) -> Path:
        source = self._stubs / "code.c"
        source.write_text(code)
        options = [] if any("-soname" in flag for flag in flags) else [f"-Wl,-soname,{path.name}"]
        if script is not None:
            (self._stubs / "script.map").write_text(script)
            options.append(f"-Wl,--version-script={self._stubs / 'script.map'}")
        line = [self._gcc, "-shared", "-fPIC", "-Wl,--no-as-needed", "-Wl,-z,lazy", *self._flags, "-o", str(path)]
        done = subprocess.run([*line, str(source), *options, *flags], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return path


RPATH = "-Wl,--disable-new-dtags,-rpath,"
RUNPATH = "-Wl,--enable-new-dtags,-rpath,"
NEEDS_F = "int f(void); int g(void) { return f(); }"
HAS_F = "int f(void) { return 1; }"
V1 = "V_1 { global: f; local: *; };"
V2 = "V_1 { global: e; }; V_2 { global: f; local: *; } V_1;"


def root_of(site: Site) -> str:
    return next(str(path.relative_to(site.folder)) for path in sorted(site.folder.rglob("a.so")))
