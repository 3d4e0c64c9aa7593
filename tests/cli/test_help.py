"""Help and completion: every verb has examples that parse, every option is in one, and bash completes what there is."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from fastwheel.cli.examples import EXAMPLES
from fastwheel.cli.root import root

CTX = click.Context(root, info_name="fastwheel")
VERBS = {name: root.get_command(CTX, name) for name in root.list_commands(CTX)}


@pytest.mark.parametrize("verb", VERBS)
def test_examples_parse(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda self, **_: True)
    command = VERBS[verb]
    assert command is not None
    assert EXAMPLES[verb]
    for line, why in EXAMPLES[verb]:
        assert why == why.strip(".")
        words = shlex.split(line.removeprefix('eval "$(').removesuffix(')"'))
        for end in ("|", ">"):
            words = words[: words.index(end)] if end in words else words
        assert words[:2] == ["fastwheel", verb], line
        with command.make_context(verb, words[2:], parent=click.Context(root, info_name="fastwheel")):
            pass


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_is_in_an_example_and_has_a_help(verb: str) -> None:
    words = {word for line, _ in EXAMPLES[verb] for word in shlex.split(line)}
    command = VERBS[verb]
    assert command is not None
    for option in command.params:
        if isinstance(option, click.Option):
            assert words & set(option.opts), option.opts
            assert option.help, option.opts
            assert option.help.endswith("."), option.help


@pytest.mark.parametrize("verb", VERBS)
def test_examples_are_in_the_help(verb: str) -> None:
    command = VERBS[verb]
    assert command is not None
    with click.Context(command, info_name=verb, parent=CTX) as ctx:
        said = command.get_help(ctx)
    for line, why in EXAMPLES[verb]:
        assert f"  {line}\n" in said + "\n", line
        assert " ".join(f"# {why}".split()) in " ".join(said.split())


def script(shell: str) -> str:
    """What `fastwheel completion` prints."""
    line = [sys.executable, "-m", "fastwheel", "completion", shell]
    return subprocess.run(line, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(shell: str) -> None:
    said = script(shell)
    assert "_FASTWHEEL_COMPLETE" in said
    assert f"{shell}_complete" in said


def test_bash_completes(tmp_path: Path) -> None:
    """By its own machinery: the function that the script names is called as bash would."""

    def completed(line: str) -> set[str]:
        words = line.split(" ")
        program = (
            f"{script('bash')}\n"
            'name=$(complete -p fastwheel | sed "s/.*-F \\([^ ]*\\).*/\\1/")\n'
            f"COMP_WORDS=({' '.join(map(shlex.quote, words))}); COMP_CWORD={len(words) - 1}\n"
            f"compopt() {{ :; }}\n$name fastwheel {shlex.quote(words[-1])} {shlex.quote(words[-2])}\n"
            'printf "%s\\n" "${COMPREPLY[@]}"'
        )
        folder = Path(sys.executable).parent
        done = subprocess.run(
            ["bash", "-c", program],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={"PATH": f"{folder}:/usr/bin:/bin"},
        )
        assert done.returncode == 0, done.stderr
        return set(done.stdout.split())

    assert completed("fastwheel re") == {"repair", "report"}
    assert "--only-plat" in completed("fastwheel repair --only")
    assert completed("fastwheel completion z") == {"zsh"}
    assert completed("fastwheel --color n") == {"never"}


def test_the_command_line_starts_quickly() -> None:
    """Under twice what importing click takes: processor time, the least of several turns, as neighbours only add."""

    def seconds(*line: str) -> float:
        process = subprocess.Popen([sys.executable, *line], stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return used.ru_utime + used.ru_stime

    turns = [(seconds("-m", "fastwheel", "--version"), seconds("-c", "import click")) for _ in range(10)]
    assert min(own for own, _ in turns) < 2 * min(click for _, click in turns), turns
