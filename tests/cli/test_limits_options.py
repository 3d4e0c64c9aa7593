"""`--untrusted` and the option that sets each limit: what stops a wheel, and what lets it through."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import fastwheel
from fastwheel.wheel.limits import OPTIONS, Limits

INFO = "pure-1.0.dist-info"
ELF = b"\x7fELF" + bytes(3000)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel that reaches each limit a little."""
    path = tmp_path / "pure-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pure/sub/long_name_of_a_file.py", "x = 1\n")
        archive.writestr("pure/zeros.bin", bytes(70 << 20))
        archive.writestr(f"{INFO}/METADATA", "Metadata-Version: 2.1\nName: pure\nVersion: 1.0\n\n" + "text " * 50)
        archive.writestr(f"{INFO}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{INFO}/RECORD", f"{INFO}/RECORD,,\n")
    return path


def run(*args: str | Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "fastwheel", *map(str, args)]
    return subprocess.run(line, capture_output=True, text=True, cwd="/")


PURE = ("--allow-pure-python-wheel", "--max-ratio", "2000")


@pytest.mark.parametrize(
    ("option", "low", "enough"),
    [
        ("--max-total-size", "70M", "71M"),
        ("--max-members", "4", "5"),
        ("--max-name-length", "30", "31"),
        ("--max-depth", "2", "3"),
        ("--max-metadata-size", "100", "1k"),
        ("--max-ratio", "200", "1500"),
    ],
)
@pytest.mark.parametrize("verb", ["show", "repair"])
def test_each_limit_names_its_option(
    wheel: Path, tmp_path: Path, verb: str, option: str, low: str, enough: str
) -> None:
    into = ("-w", tmp_path / "out") if verb == "repair" else ()
    done = run(verb, *into, *PURE, option, low, wheel)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert option in done.stderr.splitlines()[-1]
    assert done.stdout == ""
    assert not (tmp_path / "out").exists()
    assert run(verb, *into, *PURE, option, enough, wheel).returncode == 0


def test_a_limit_on_elf_files(tmp_path: Path) -> None:
    path = tmp_path / "pure-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("pure/a.so", ELF)
        archive.writestr("pure/a.txt", b"text" + bytes(3000))
        archive.writestr(f"{INFO}/METADATA", "Metadata-Version: 2.1\nName: pure\nVersion: 1.0\n")
        archive.writestr(f"{INFO}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{INFO}/RECORD", f"{INFO}/RECORD,,\n")
    with pytest.raises(fastwheel.FastwheelError) as caught:
        fastwheel.audit(path, limits=Limits(elf_size=3003))
    assert caught.value.code == "FW113"
    assert "--max-elf-size" in (caught.value.hint or "")
    with pytest.raises(fastwheel.FastwheelError) as caught:
        fastwheel.audit(path, limits=Limits(elf_size=3004))
    assert caught.value.code.startswith("FW3")


def test_untrusted_is_tighter_and_can_be_raised(wheel: Path) -> None:
    done = run("show", "--untrusted", "--allow-pure-python-wheel", wheel)
    assert done.returncode == 1
    assert "50 are allowed" in done.stderr
    assert run("show", "--untrusted", *PURE, wheel).returncode == 0
    loose, tight = Limits(), Limits.untrusted()
    for name in Limits._fields:
        assert getattr(tight, name) < getattr(loose, name), name
        assert getattr(loose, name) < getattr(Limits.unlimited(), name)
    assert set(OPTIONS) == set(Limits._fields) - {"ratio_floor"}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--max-total-size", "much"), ("--max-total-size", "-1"), ("--max-total-size", ""),
        ("--max-elf-size", "1.5.2G"), ("--max-elf-size", "2P"), ("--max-total-size", "9" * 40),
        ("--max-members", "0"), ("--max-members", "1.5"), ("--max-ratio", "-3"), ("--max-depth", "1" * 40),
        ("--max-ratio", "\u0663"), ("--max-depth", "nan"),
    ],
)  # fmt: skip
def test_what_is_no_size_is_a_wrong_call(wheel: Path, option: str, value: str) -> None:
    done = run("show", option, value, wheel)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: Invalid value for '{option}'")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("value", ["73400320", "70m", "70MiB", "0.07G", "71680 KB", "1T"])
def test_how_sizes_are_written(wheel: Path, value: str) -> None:
    done = run("show", *PURE, "--max-total-size", value, wheel)
    assert done.returncode == (0 if value in ("1T", "0.07G") else 1), done.stderr
