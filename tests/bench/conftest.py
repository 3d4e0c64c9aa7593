"""Makes `wheelbench` of this folder importable, and a small wheel with one external library."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from wheelbench.generate import PLATFORM, compiled, write_wheel

MODULE = """
extern int one(int);
int two(int x) { return one(x) + 1; }
void *PyInit_small(void) { return 0; }
"""


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, Path]:
    """A wheel whose module needs `libone.so.1`, which needs `libzero.so.1`, and the folder of the two."""
    libraries = tmp_path / "small-libraries"
    libraries.mkdir()
    zero, one = libraries / "libzero.so.1", libraries / "libone.so.1"
    compiled("int zero(int x) { return x; }", zero, "-Wl,-soname,libzero.so.1")
    compiled("extern int zero(int); int one(int x) { return zero(x) + 1; }", one, "-Wl,-soname,libone.so.1", zero)
    compiled(MODULE, tmp_path / "module.so", one, f"-Wl,-rpath-link,{libraries}")
    wheel = tmp_path / "dist" / f"small-1.0-cp311-cp311-{PLATFORM}.whl"
    wheel.parent.mkdir()
    members = [
        ("small/__init__.py", b""),
        ('small/a, "quoted" name.txt', b"text\n" * 100),
        ("small/small.cpython-311-x86_64-linux-gnu.so", (tmp_path / "module.so").read_bytes()),
    ]
    write_wheel(wheel, members)
    return wheel, libraries
