"""What the package promises to type checkers: stubs that are true, and no error in strict programs that use it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import fastwheel

TOP = Path(__file__).resolve().parents[2]

PROGRAM = """
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fastwheel
from fastwheel import elf, policy

verdict: fastwheel.Verdict = fastwheel.audit("a.whl", exclude=["libcuda.so.*"])
name: str = verdict.overall.name
done: fastwheel.Repaired = fastwheel.repair(Path("a.whl"), "out", plat="auto", jobs=2)
where: Path | None = done.path
with ThreadPoolExecutor() as pool:
    for each in fastwheel.repair_many(["a.whl", "b.whl"], "out", executor=pool):
        print(each.path)
verified: fastwheel.Verified = fastwheel.verify("https://example.org/a.whl", strict=True)
for finding in verified.findings:
    print(finding.code, finding.level, finding.message)
print(fastwheel.explain("a.whl", plat="manylinux_2_28_x86_64").to_dict())
print(fastwheel.tree("a.whl").to_dict(), fastwheel.diff("a.whl", "b.whl").equal)
facts: elf.Facts = elf.read("a.so")
data: bytes = elf.edit(b"", elf.Edit(runpath="$ORIGIN"))
table: tuple[policy.Policy, ...] = policy.policies(policy.Libc.GLIBC, policy.Arch.X86_64)
try:
    fastwheel.audit("a.whl")
except fastwheel.FastwheelError as error:
    print(error.code, error.hint, error.exit_status)
"""


def test_a_strict_program_passes(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    line = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(program)]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    program.write_text(PROGRAM.replace("name: str = verdict.overall.name", "name: int = verdict.overall.name"))
    assert "Incompatible types" in subprocess.run(line, cwd=tmp_path, capture_output=True, text=True).stdout


def test_the_stubs_of_the_extension_are_true(tmp_path: Path) -> None:
    aliases = tmp_path / "aliases"
    aliases.write_text(r"fastwheel\._core\.\w+Tuple" + "\n")  # types that only the stubs name
    line = [sys.executable, "-m", "mypy.stubtest", "fastwheel._core", "--allowlist", str(aliases)]
    done = subprocess.run(line, cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_examples_in_docstrings() -> None:
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--doctest-modules", "python/fastwheel"]
    done = subprocess.run(line, cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_public_name_has_a_docstring() -> None:
    for name in fastwheel.__all__:
        value = getattr(fastwheel, name)
        assert not callable(value) or value.__doc__, name
