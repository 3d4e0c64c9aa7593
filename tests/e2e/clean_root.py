#!/usr/bin/env python3
"""Run the Python of a virtual environment where only the promised libraries of a manylinux system exist.

    tests/e2e/clean_root.py VENV [PYTHON-ARGUMENT...]

The program sees an empty root folder (a mount namespace made by bubblewrap) that holds nothing but
- the C library of this machine with its character sets (gconv), and those libraries of the manylinux allowlist that
  are installed here, with what these need themselves;
- the interpreter, its standard library and what the interpreter's own executable is linked to;
- the virtual environment.
So an extension module finds a library in its wheel, or on the allowlist, or not at all. Modules of the standard
library that need more (ssl, ctypes, …) do not load there either, and that is meant: their libraries must not stand in
for a wheel's. The exit status is Python's own.

Standard library only: the demo runs it without anything installed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

# The libraries that PEP 513, 571, 599 and 600 let a wheel expect; libexpat and libmvec are on the lists of newer tags.
_NAMES = """
libGL.so.1 libICE.so.6 libSM.so.6 libX11.so.6 libXext.so.6 libXrender.so.1 libanl.so.1 libatomic.so.1 libc.so.6
libdl.so.2 libexpat.so.1 libgcc_s.so.1 libglib-2.0.so.0 libgobject-2.0.so.0 libgthread-2.0.so.0 libm.so.6
libmvec.so.1 libnsl.so.1 libpthread.so.0 libresolv.so.2 librt.so.1 libstdc++.so.6 libutil.so.1 libz.so.1
"""
ALLOWLIST = frozenset(_NAMES.split())

_INTERPRETER_FACTS = """
import json, os, sys, sysconfig
base = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix,
        "installed_base": sys.base_prefix, "installed_platbase": sys.base_exec_prefix}
paths = sysconfig.get_paths("posix_prefix", vars=base)
print(json.dumps({"executable": os.path.realpath(sys.executable),
                  "folders": sorted({paths["stdlib"], paths["platstdlib"]})}))
"""


def linked(path: str) -> dict[str, str]:
    """Return the libraries that this machine's loader maps for `path`, as name → file (its own name is its path)."""
    text = subprocess.run(["ldd", path], check=True, capture_output=True, text=True).stdout
    found = dict(re.findall(r"^\s*(\S+) => (/\S+) \(0x", text, re.MULTILINE))
    found.update({file: file for file in re.findall(r"^\s*(/\S+) \(0x", text, re.MULTILINE)})
    return found


def elf_kind(path: str) -> bytes:
    """Return the bytes of an ELF header that tell class, byte order and machine."""
    with open(path, "rb") as file:
        head = file.read(20)
    return head[4:6] + head[18:20]


def installed_allowlist(like: str) -> dict[str, str]:
    """Return the allowlisted libraries of this machine that fit the executable `like`, with all that they need."""
    ldconfig = shutil.which("ldconfig", path=os.pathsep.join([os.environ.get("PATH", ""), "/sbin", "/usr/sbin"]))
    if ldconfig is None:
        sys.exit("clean_root: ldconfig is not installed")
    text = subprocess.run([ldconfig, "-p"], check=True, capture_output=True, text=True).stdout
    found: dict[str, str] = {}
    for name, file in re.findall(r"^\s*(\S+) \(.*\) => (/\S+)$", text, re.MULTILINE):
        if name in ALLOWLIST and name not in found and elf_kind(file) == elf_kind(like):
            found[name] = file
            found.update(linked(file))
    return found


def links(path: Path) -> list[str]:
    """Return `path` and what it points to, one symbolic link after the other."""
    steps = [str(path)]
    while path.is_symlink():
        path = path.parent / path.readlink()
        steps.append(os.path.normpath(path))
    return steps


def command(venv: Path, arguments: list[str]) -> list[str]:
    """Return the bubblewrap command that runs the Python of `venv` with `arguments` in the clean root."""
    python = venv / "bin" / "python"
    asked = subprocess.run([python, "-I", "-c", _INTERPRETER_FACTS], check=True, capture_output=True, text=True)
    facts = json.loads(asked.stdout)
    own = linked(facts["executable"])
    libraries = installed_allowlist(facts["executable"]) | own
    # The folder of libc is one that the loader searches without being told, whatever the distribution.
    folder = Path(libraries["libc.so.6"]).parent
    binds = {facts["executable"], *facts["folders"], str(venv), *links(python)}
    binds = {path for path in binds if path == str(venv) or not Path(path).is_relative_to(venv)}
    binds.update(own.values())  # libpython is found beside the interpreter, not in the folder of libc
    binds.update(str(path) for path in [folder.resolve() / "gconv"] if path.is_dir())
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        sys.exit("clean_root: bwrap is not installed (Debian's package: bubblewrap)")
    line = [bwrap, "--die-with-parent", "--ro-bind", "/proc", "/proc", "--dev-bind", "/dev/null", "/dev/null"]
    line += ["--dev-bind", "/dev/urandom", "/dev/urandom", "--tmpfs", "/tmp", "--chdir", "/tmp"]
    for name, file in sorted(libraries.items()):
        line += ["--ro-bind", file, name if name.startswith("/") else str(folder / name)]
    for path in sorted(binds):
        line += ["--ro-bind", path, path]
    for name in [key for key in os.environ if key not in {"TERM"}]:
        line += ["--unsetenv", name]
    return [*line, "--setenv", "LC_ALL", "C.UTF-8", "--setenv", "HOME", "/tmp", str(python), *arguments]


def main() -> None:
    """Replace this process by the one in the clean root."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    line = command(Path(os.path.abspath(sys.argv[1])), sys.argv[2:])
    os.execv(line[0], line)


if __name__ == "__main__":
    main()
