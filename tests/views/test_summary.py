"""`--summary FILE`: tables in Markdown that a CI's page shows, in which nothing of a wheel is markup."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from toolbox import Toolbox


def run(*args: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fastwheel", *map(str, args)],
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
        check=False,
    )


def test_repair_and_verify_append(diamond: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    page, out = tmp_path / "summary.md", tmp_path / "out"
    page.write_text("# what was there\n")
    assert run("repair", "--summary", page, "-w", out, diamond, env=environ).returncode == 0
    (wheel,) = out.iterdir()
    ran = run("verify", "--summary", page, wheel)
    text = page.read_text()
    assert text.startswith("# what was there\n### fastwheel repair\n")
    assert "### fastwheel verify" in text
    assert re.search(r"\| <code>pkg-1\.0-cp311-cp311-manylinux.*</code> \| manylinux.* \| 3 \| .* → .* \|", text)
    assert ("✅ proved" in text) is (ran.returncode == 0)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {5, 6}


def test_failures_are_rows(diamond: Path, tmp_path: Path) -> None:
    page = tmp_path / "summary.md"
    broken = tmp_path / "broken-1.0-py3-none-any.whl"
    broken.write_bytes(b"no zip")
    assert run("repair", "--summary", page, "-w", tmp_path / "out", broken).returncode == 1
    assert run("verify", "--summary", page, broken).returncode != 0
    assert page.read_text().count("❌") == 2


def test_names_are_no_markup(toolbox: Toolbox, tmp_path: Path) -> None:
    library = toolbox.library("libevil.so", "evil", folder=toolbox.folder / "own")
    module = toolbox.module("a", "evil", library)
    module = module.replace(b"libevil.so\0", b"|<b>`@x`:+\0")
    wheel = toolbox.wheel({"pkg/[a](https:x)*_*.so": module})
    page = tmp_path / "summary.md"
    run("verify", "--summary", page, wheel)
    text = page.read_text()
    said = "".join(line for line in text.splitlines() if line.startswith("- "))
    assert "&#124;&#60;b&#62;" in said
    assert not re.search(r"[\[\]*`@<>_]", said)


def test_a_summary_that_cannot_be_written(diamond: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    ran = run("repair", "--summary", tmp_path / "no" / "x.md", "-w", tmp_path / "out", diamond, env=environ)
    assert ran.returncode == 1
    assert "cannot write the summary" in ran.stderr
    assert len(list((tmp_path / "out").iterdir())) == 1  # the wheel itself was repaired
