"""The command line as scripts meet it: statuses, streams, error blocks, habits of auditwheel's users."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

Run = subprocess.CompletedProcess[str]


def fastwheel(*args: object, env: dict[str, str] | None = None, cwd: Path | None = None) -> Run:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "fastwheel", *map(str, args)],
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        timeout=60,
        check=False,
    )


def is_error_block(text: str) -> bool:
    """One block: `error:`, then indented details, then at most one hint."""
    lines = text.splitlines()
    body = lines[1:-1] if lines[-1].startswith("hint: ") else lines[1:]
    return lines[0].startswith("error: ") and all(line.startswith("  ") for line in body)


@pytest.fixture
def pure(tmp_path: Path) -> Path:
    """A wheel without compiled code."""
    path = tmp_path / "pure-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("pure.py", "")
        archive.writestr("pure-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: pure\nVersion: 1.0\n")
        archive.writestr("pure-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(
            "pure-1.0.dist-info/RECORD",
            "pure.py,,\npure-1.0.dist-info/METADATA,,\npure-1.0.dist-info/WHEEL,,\npure-1.0.dist-info/RECORD,,\n",
        )
    return path


def test_no_command_prints_help() -> None:
    ran = fastwheel()
    assert ran.returncode == 0
    assert "Commands:" in ran.stdout


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version(option: str) -> None:
    ran = fastwheel(option)
    assert ran.returncode == 0
    assert ran.stdout.startswith("fastwheel ")


@pytest.mark.parametrize("verb", ["show", "repair"])
def test_missing_wheel_is_a_usage_error_in_known_words(verb: str, tmp_path: Path) -> None:
    ran = fastwheel(verb, tmp_path / "none-1.0-py3-none-any.whl")
    assert ran.returncode == 2
    assert f"cannot access {tmp_path}/none-1.0-py3-none-any.whl. No such file" in ran.stderr
    assert is_error_block(ran.stderr)
    assert ran.stdout == ""


@pytest.mark.parametrize("args", [("frobnicate",), ("show",), ("show", "--frob", "x"), ("repair", "-z", "10", "x")])
def test_wrong_calls_end_with_status_2(args: tuple[str, ...]) -> None:
    ran = fastwheel(*args)
    assert ran.returncode == 2
    assert is_error_block(ran.stderr)


def test_pure_wheel(pure: Path, tmp_path: Path) -> None:
    ran = fastwheel("show", pure)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert is_error_block(ran.stderr)
    assert fastwheel("show", "--allow-pure-python-wheel", pure).returncode == 0
    document = json.loads(fastwheel("show", "--json", "--allow-pure-python-wheel", pure).stdout)
    assert document == {"version": 1, "wheel": pure.name, "pure": True}
    ran = fastwheel("show", "--json", pure)
    assert ran.returncode == 1
    assert json.loads(ran.stdout)["code"] == "FW600"
    out = tmp_path / "out"
    assert fastwheel("repair", "-w", out, pure).returncode == 1
    assert not out.exists()
    assert fastwheel("repair", "--allow-pure-python-wheel", "-w", out, pure).returncode == 0
    assert (out / pure.name).read_bytes() == pure.read_bytes()


def test_long_options_may_be_shortened_while_unique(pure: Path) -> None:
    assert fastwheel("show", "--allow-p", pure).returncode == 0
    assert fastwheel("repair", "--allow-pure", "--wheel", pure.parent / "w", pure).returncode == 0
    ran = fastwheel("repair", "--l", "x", pure)
    assert ran.returncode == 2
    assert "--lib-sdir" in ran.stderr
    assert "--ldpaths" in ran.stderr


def test_values_that_look_like_options_stay_what_they_are(pure: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for odd in ("-w", "--exclude", "--excl", "--plat"):
        ran = fastwheel("repair", "--allow-pure", "--exclude", odd, "-w", out, pure, "--dry-run", "--json")
        assert ran.returncode == 0, ran.stderr
        assert not out.exists()
    assert fastwheel("repair", "--allow-pure", pure, "-w", "-w", cwd=tmp_path).returncode == 0
    assert [path.name for path in (tmp_path / "-w").iterdir()] == [pure.name]


@pytest.mark.parametrize(
    "args", [["-w", "out"], ["-wout"], ["--wheel-dir", "out"], ["--wheel-dir=out"], ["--wheel=out"]]
)
def test_an_option_may_be_written_in_all_usual_ways(args: list[str], pure: Path, tmp_path: Path) -> None:
    ran = fastwheel("repair", "--allow-pure", pure, *args, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == [pure.name]


def test_behind_two_dashes_nothing_is_an_option(tmp_path: Path) -> None:
    ran = fastwheel("show", "--", "-w", cwd=tmp_path)
    assert ran.returncode == 2
    assert "-w" in ran.stderr
    assert "--wheel-dir" not in ran.stderr


def test_verbose_before_and_after_the_verb(tmp_path: Path) -> None:
    broken = tmp_path / "x-1.0-py3-none-any.whl"
    broken.write_bytes(b"no zip")
    assert "Traceback" not in fastwheel("show", broken).stderr
    for args in (("-v", "show", "-v"), ("-vv", "show"), ("show", "-vv")):
        assert "Traceback" in fastwheel(*args, broken).stderr


def test_patcher_is_accepted_with_a_note(pure: Path, tmp_path: Path) -> None:
    ran = fastwheel("repair", "--patcher", "patchelf", "--allow-pure-python-wheel", "-w", tmp_path / "o", pure)
    assert ran.returncode == 0
    assert "--patcher patchelf is ignored" in ran.stderr


def test_environment_of_both_tools(pure: Path, tmp_path: Path) -> None:
    ran = fastwheel("repair", "-w", tmp_path / "o", pure, env={"AUDITWHEEL_ZIP_COMPRESSION_LEVEL": "17"})
    assert ran.returncode == 2
    env = {"AUDITWHEEL_ZIP_COMPRESSION_LEVEL": "17", "FASTWHEEL_ZIP_COMPRESSION_LEVEL": "3"}
    assert fastwheel("repair", "-w", tmp_path / "o", pure, env=env).returncode == 1  # a pure wheel, no usage error
    assert fastwheel("show", pure, env={"AUDITWHEEL_ZIP_COMPRESSION_LEVEL": "17"}).returncode == 1


def test_names_out_of_a_wheel_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / "x-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a\x1b[31m\nb", "")
    ran = fastwheel("show", path)
    assert ran.returncode == 1
    assert "\x1b" not in ran.stderr
    assert is_error_block(ran.stderr)


def test_closed_stdout_is_no_traceback(pure: Path) -> None:
    command = f"{sys.executable} -m fastwheel repair --help | head -c 1"
    ran = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert "Traceback" not in ran.stderr
    assert "Exception ignored" not in ran.stderr


def test_unknown_engine_is_a_clear_error(pure: Path) -> None:
    ran = fastwheel("show", pure, env={"FASTWHEEL_ENGINE": "java"})
    assert ran.returncode == 2
    assert is_error_block(ran.stderr)
