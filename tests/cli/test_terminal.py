"""What people at terminals get and scripts do not: colours and progress; GitHub annotations; how a repair ends."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fastwheel.cli.terminal import Progress, color

RED = "\x1b[31m"
#: Variables of whoever runs the tests that would decide for them.
DECIDE = ("NO_COLOR", "FORCE_COLOR", "TERM", "CI", "GITHUB_ACTIONS")


def environment(**extra: str) -> dict[str, str]:
    """The environment of a plain terminal."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("FASTWHEEL_") and name not in DECIDE
    }
    return {**kept, "TERM": "xterm", **extra}


def on_terminal(*arguments: str, **extra: str) -> str:
    """Run the command line on a pseudo-terminal and return what arrives there."""
    mine, theirs = pty.openpty()
    line = [sys.executable, "-m", "fastwheel", *arguments]
    with subprocess.Popen(line, stdin=theirs, stdout=theirs, stderr=theirs, env=environment(**extra)) as process:
        os.close(theirs)
        seen = b""
        limit = time.monotonic() + 60
        while time.monotonic() < limit:
            if not select.select([mine], [], [], 1)[0]:
                continue
            try:
                data = os.read(mine, 4096)
            except OSError:  # Linux says so when the other side is closed
                break
            if not data:
                break
            seen += data
        process.wait(60)
    os.close(mine)
    return seen.decode()


def in_pipe(*arguments: str | Path, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run the command line with pipes."""
    line = [sys.executable, "-m", "fastwheel", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, env=environment(**extra), timeout=120)


@pytest.mark.parametrize(
    ("choice", "variables", "outcome"),
    [
        (None, {}, None),
        ("auto", {}, None),
        (None, {"NO_COLOR": "1"}, False),
        (None, {"NO_COLOR": ""}, None),  # no-color.org: "when present and not an empty string"
        (None, {"FORCE_COLOR": "1"}, True),
        (None, {"FORCE_COLOR": ""}, None),
        (None, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        (None, {"TERM": "dumb"}, False),
        ("always", {"NO_COLOR": "1", "TERM": "dumb"}, True),
        ("never", {"FORCE_COLOR": "1"}, False),
    ],
)
def test_who_decides_on_colour(choice: str | None, variables: dict[str, str], outcome: bool | None) -> None:
    assert color(choice, variables) is outcome


def test_errors_are_red_on_a_terminal() -> None:
    assert RED in on_terminal("show", "none.whl")
    assert RED not in on_terminal("show", "none.whl", NO_COLOR="1")
    assert RED not in on_terminal("--color", "never", "show", "none.whl")
    assert RED not in on_terminal("show", "--color=never", "none.whl")
    assert RED not in on_terminal("show", "none.whl", FASTWHEEL_COLOR="never")


def test_pipes_get_no_colour_unless_asked() -> None:
    assert "\x1b" not in in_pipe("show", "none.whl").stderr
    assert RED in in_pipe("show", "none.whl", FORCE_COLOR="1").stderr
    assert RED in in_pipe("--color", "always", "show", "none.whl").stderr
    assert in_pipe("--color", "pink", "show", "none.whl").returncode == 2


def test_warnings_are_coloured(built_wheel: Callable[[str], Path], tmp_path: Path) -> None:
    arguments = ("repair", "--color", "always", "-w", tmp_path, "--exclude", "libnone*", built_wheel("example-pkg"))
    done = in_pipe(*arguments)
    assert "\x1b[33m\x1b[1mwarning:\x1b[0m" in done.stderr
    assert done.stdout == ""


def test_github_gets_annotations(built_wheel: Callable[[str], Path], tmp_path: Path) -> None:
    arguments = ("repair", "-w", tmp_path, "--exclude", "libnone*", built_wheel("example-pkg"))
    done = in_pipe(*arguments, GITHUB_ACTIONS="true")
    assert re.search(r"^::warning title=fastwheel::.*libnone", done.stderr, re.MULTILINE)
    assert "::" not in in_pipe(*arguments).stderr
    done = in_pipe("repair", "--ldpaths", "", built_wheel("example-pkg"), GITHUB_ACTIONS="true", cwd="/")
    (line,) = re.findall(r"^::error title=fastwheel FW\d+::(.*)$", done.stderr, re.MULTILINE)
    assert line.startswith("libopenblas.so.0 not found")
    assert "%0A" in line


def test_the_last_lines_of_a_repair(built_wheel: Callable[[str], Path], tmp_path: Path) -> None:
    wheel = built_wheel("example-pkg")
    lines = in_pipe("repair", "-w", tmp_path, wheel).stderr.splitlines()
    (made,) = tmp_path.iterdir()
    assert lines[-1] == f"Fixed-up wheel written to {made}"
    grafts = sum(line.startswith("graft ") for line in lines)
    summary = re.fullmatch(r"(\d+) grafts?, ([\d.]+ \w+) → ([\d.]+ \w+), (.*), \d+\.\d\d s", lines[-2])
    assert summary is not None, lines[-2]
    assert int(summary[1]) == grafts > 0
    assert summary[4].replace(", ", ".") == made.name.removesuffix(".whl").rsplit("-", 1)[1]
    assert in_pipe("repair", "-q", "-w", tmp_path / "q", wheel).stderr.count("\n") == sum(
        line.startswith("warning: ") for line in lines
    )


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal to take for standard error; the wait before progress is shown is short."""
    for name in DECIDE:
        monkeypatch.delenv(name, raising=False)
    stream = Terminal()
    monkeypatch.setattr(Progress, "_WAIT", 0.05)
    monkeypatch.setattr(Progress, "_PERIOD", 0.02)
    return stream


def wait_for(stream: Terminal, text: str) -> None:
    """Wait until something has been written."""
    limit = time.monotonic() + 20
    while text not in stream.getvalue():
        assert time.monotonic() < limit, stream.getvalue()
        time.sleep(0.01)


def test_progress_is_shown_and_goes(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal)  # here, not in the fixture: pytest puts its own there in between
    with Progress("repairing a.whl") as progress:
        wait_for(terminal, "repairing a.whl … 0 s")
        progress.text = "repairing b.whl (2 of 2)"
        wait_for(terminal, "b.whl (2 of 2)")
        print("warning: x", file=sys.stderr)
    assert terminal.getvalue().endswith("\r\x1b[K") or "\r\x1b[Kwarning: x\n" in terminal.getvalue()
    assert sys.stderr is terminal
    # What is left when a terminal has done what it was told: nothing of the progress.
    screen = re.sub(r"[^\n]*\r\x1b\[K", "", terminal.getvalue())
    assert screen == "warning: x\n"


def test_progress_waits(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(Progress, "_WAIT", 30.0)
    with Progress("x"):
        pass
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("how", ["ci", "quiet", "pipe", "dumb"])
def test_progress_is_for_people(how: str, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal)
    if how == "ci":
        monkeypatch.setenv("CI", "true")
    elif how == "dumb":
        monkeypatch.setenv("TERM", "dumb")
    elif how == "pipe":
        monkeypatch.setattr(Terminal, "isatty", lambda self: False)
    threads = threading.active_count()
    with Progress("x", on=how != "quiet"):
        assert threading.active_count() == threads
        assert sys.stderr is terminal
    assert terminal.getvalue() == ""


def test_a_fault_ends_progress(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal)

    def work() -> None:
        with Progress("x"):
            wait_for(terminal, "x …")
            raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        work()
    assert terminal.getvalue().endswith("\r\x1b[K")
    assert sys.stderr is terminal


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_a_stream_that_lacks_characters(encoding: str, built_wheel: Callable[[str], Path]) -> None:
    """What an encoding has no character for is written as an escape, or in UTF-8, but it is no fault."""
    line = [sys.executable, "-m", "fastwheel", "explain", str(built_wheel("psycopg2"))]
    done = subprocess.run(line, capture_output=True, env=environment(PYTHONIOENCODING=encoding))
    assert done.returncode == 0, done.stderr
    plain = subprocess.run(line, capture_output=True, env=environment(PYTHONIOENCODING="utf-8"))
    assert "\u25b8" in plain.stdout.decode()
    said = done.stdout.decode() if encoding == "ascii" else done.stdout.decode(encoding)
    escaped = plain.stdout.decode().encode(encoding, "backslashreplace").decode(encoding)
    assert said in (plain.stdout.decode(), escaped)
