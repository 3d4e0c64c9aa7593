"""The command line of `verify`: text, JSON, annotations, exit statuses."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from verify_kit import ALPHA, BETA, EXT, Kit

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def broken(kit: Kit) -> Path:
    """A wheel that lacks a library, and whose RECORD lacks a row."""
    kit.build()
    del kit.files[BETA]
    kit.complete = True
    kit.record[EXT] = None
    return kit.pack()


def test_proved_is_status_0_and_says_what_was_proved(kit: Kit, command: Run) -> None:
    wheel = kit.build().pack()
    lines = command("fastwheel", "verify", wheel).stdout.splitlines()
    assert lines[0] == f"{wheel.name}: proved, 1 note"
    assert "3 objects loaded" in lines[1]
    assert "on manylinux_2_17_x86_64; in cp311" in lines[1]
    assert len(lines) == 2
    assert "note FV206: " in command("fastwheel", "verify", "-v", wheel).stdout
    assert command("fastwheel", "verify", "-q", wheel).stdout == ""


def test_findings_are_status_1_and_come_on_stdout(broken: Path, command: Run) -> None:
    done = command("fastwheel", "verify", broken, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines()[0] == f"{broken.name}: not proved, 2 errors"
    assert f"  error FV110: RECORD does not list '{EXT}'" in done.stdout
    assert f"  error FV301: {ALPHA} needs libbeta-22222222.so.2, which is neither found nor promised" in done.stdout
    assert "    looked in: DT_RUNPATH of pkg.libs/libalpha-11111111.so.1: $ORIGIN" in done.stdout
    assert f"    met when loading {EXT}" in done.stdout


def test_ignored_findings_do_not_count(broken: Path, command: Run) -> None:
    line = ("fastwheel", "verify", "--ignore", "FV110", broken)
    assert command(*line, check=False).returncode == 1
    done = command(*line, "--ignore", "library-not-found")
    assert "(2 findings ignored)" in done.stdout
    wrong = command(*line, "--ignore", "FV999", check=False)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "there is no finding FV999" in wrong.stderr


def test_strict_counts_warnings(kit: Kit, command: Run) -> None:
    kit.licensed = False
    wheel = kit.build().pack()
    assert "proved, 1 warning" in command("fastwheel", "verify", wheel).stdout
    done = command("fastwheel", "verify", "--strict", wheel, check=False)
    assert done.returncode == 1
    assert "not proved, 1 warning" in done.stdout


def test_what_another_package_provides(broken: Path, kit: Kit, command: Run, tmp_path: Path) -> None:
    line = ("fastwheel", "verify", "--ignore", "FV110", broken)
    command(*line, "--provides", "libbeta-*.so.2")
    library = tmp_path / "libbeta-22222222.so.2"
    library.write_bytes(kit.beta())
    command(*line, "--provides", library)
    library.write_bytes(kit.beta(globals_="beta_more;"))
    assert "beta_call" in command(*line, "--provides", library, check=False).stdout
    other = Kit(tmp_path / "other")
    other.folder.mkdir()
    other.files[BETA] = other.beta()
    other.complete = True
    command(*line, "--provides", other.pack())
    missing = command(*line, "--provides", tmp_path / "nowhere.so", check=False)
    assert missing.returncode == 1
    assert missing.stderr.startswith("error: cannot read ")


def test_several_wheels_and_one_that_is_none(kit: Kit, broken: Path, command: Run, tmp_path: Path) -> None:
    junk = tmp_path / "junk-1.0-py3-none-any.whl"
    junk.write_bytes(b"junk")
    good = Kit(tmp_path / "good")
    good.folder.mkdir()
    done = command("fastwheel", "verify", junk, good.build().pack(), broken, check=False)
    assert done.returncode == 1
    assert "not a zip archive" in done.stderr
    assert [line.partition(": ")[2][:6] for line in done.stdout.splitlines() if not line.startswith(" ")] == [
        "proved",
        "not pr",
    ]


def test_json(kit: Kit, broken: Path, command: Run, tmp_path: Path) -> None:
    junk = tmp_path / "junk-1.0-py3-none-any.whl"
    junk.write_bytes(b"junk")
    done = command("fastwheel", "verify", "--json", broken, junk, check=False)
    document = json.loads(done.stdout)
    assert document["version"] == 1
    assert document["proved"] is False
    first, second = document["wheels"]
    assert first["wheel"] == broken.name
    assert first["counts"] == {"error": 2, "warning": 0, "note": 0}
    assert {item["code"]: item["member"] for item in first["findings"]} == {"FV110": EXT, "FV301": ALPHA}
    assert first["findings"][0].keys() == {"code", "name", "level", "message", "member", "details", "hint"}
    assert first["proof"]["interpreters"] == ["cp311"]
    assert second == {
        "wheel": junk.name,
        "proved": False,
        "error": f"{junk.name}: not a zip archive",
        "code": "FW100",
    }
    assert json.loads(command("fastwheel", "verify", "--json", junk, check=False).stdout)["wheels"] == [second]


def test_annotations_on_github(broken: Path, command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    done = command("fastwheel", "verify", broken, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("::")]
    assert len(lines) == 2
    assert lines[0].startswith(f"::error file={broken},title=FV110 record-lacks-file::RECORD does not list")
    assert "%0Ahint: " in lines[0]
    assert lines[1].startswith(f"::error file={broken},title=FV301 ")
    done = command("fastwheel", "verify", "--json", broken, check=False)
    json.loads(done.stdout)
    assert len([line for line in done.stderr.splitlines() if line.startswith("::")]) == 2
    monkeypatch.setenv("GITHUB_ACTIONS", "false")
    assert "::error" not in command("fastwheel", "verify", broken, check=False).stdout


def test_names_of_members_cannot_forge_annotations(
    kit: Kit, command: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    kit.build()
    kit.files["pkg/100%a::b.so"] = kit.files[BETA][:18] + b"\xb7" + kit.files[BETA][19:]
    done = command("fastwheel", "verify", kit.pack())
    (line,) = [line for line in done.stdout.splitlines() if "FV404" in line and line.startswith("::")]
    assert "100%25a::b.so" in line


WATCHED = """
import os, sys
seen = []
def hook(event, args):
    writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
    if writes or event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "os.rename", "os.remove"):
        seen.append((event, str(args[0])))
import fastwheel
sys.dont_write_bytecode = True
sys.addaudithook(hook)
assert fastwheel.verify(sys.argv[1]).proved
assert seen == [], seen
"""


def test_nothing_is_written_and_nothing_is_run(kit: Kit, command: Run, tmp_path: Path) -> None:
    wheel = kit.build().pack()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    command("python", "-c", WATCHED, wheel)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
