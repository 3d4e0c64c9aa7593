"""The GitHub workflows: they call scripts that exist, with options that these know, and have no needless rights."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

TOP = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((TOP / ".github/workflows").glob("*.yml"))

#: Rights that a job may take beyond reading, and the jobs that may.
RIGHTS = {
    ("bench.yml", "comment"): {"pull-requests"},
    ("docs.yml", "publish"): {"pages", "id-token"},
    ("release.yml", "publish"): {"id-token", "attestations"},
}

each = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def load(path: Path) -> dict[str, Any]:
    """Return a workflow; YAML takes its key `on` for a truth value."""
    document = yaml.safe_load(path.read_text())
    document["on"] = document.pop(True)
    return document


def steps(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each step with the name of its job."""
    for name, job in load(path)["jobs"].items():
        for step in job["steps"]:
            yield name, step


def commands(path: Path) -> Iterator[list[str]]:
    """Yield the words of each command line, also those that the matrix of a job holds."""
    for name, step in steps(path):
        text = step.get("run", "")
        rows = load(path)["jobs"][name].get("strategy", {}).get("matrix", {}).get("include", [])
        if "matrix.command" in text:
            text = "\n".join(row["command"] for row in rows)
        for line in re.split(r"\n|&&|\$\(|\)", text):
            if line.strip():
                yield shlex.split(line.replace('"', " ") if line.count('"') % 2 else line)


def test_there_is_one_for_each_purpose() -> None:
    assert {path.stem for path in WORKFLOWS} >= {"ci", "fuzz", "bench", "docs", "release"}


@each
def test_their_scripts_exist(path: Path) -> None:
    called = [words for words in commands(path) if any("/" in word for word in words)]
    for words in called:
        for word in words:
            if re.match(r"(\.ci|tests|cpp)/", word):
                script = TOP / word
                assert script.is_file(), f"{path.name}: {word}"
                assert script.stat().st_mode & 0o111, f"{path.name}: {word} can't be run"
    assert any(word.startswith((".ci/", "tests/", "cpp/")) for words in called for word in words), path.name


def test_the_release_script_knows_its_options() -> None:
    """Each call of it in a workflow, with `--help` behind: an unknown option or a missing value would be an error."""
    found = 0
    for path in WORKFLOWS:
        for words in commands(path):
            if ".ci/release" in words:
                found += 1
                options = [re.sub(r"^\$\w+$", "x", word) for word in words[words.index(".ci/release") + 1 :]]
                done = subprocess.run([sys.executable, TOP / ".ci/release", *options, "--help"], capture_output=True)
                assert done.returncode == 0, (words, done.stderr.decode())
    assert found >= 3


def test_the_matrix_is_that_of_the_script() -> None:
    line = [sys.executable, TOP / ".ci/release", "--list", "--json"]
    rows = json.loads(subprocess.run(line, check=True, capture_output=True).stdout)
    assert {"manylinux-x86_64", "musllinux-x86_64", "manylinux-aarch64"} <= {row["name"] for row in rows}
    used = set(re.findall(r"matrix\.target\.(\w+)", (TOP / ".github/workflows/release.yml").read_text()))
    assert used <= set(rows[0])


@each
def test_actions_are_pinned(path: Path) -> None:
    """By a full commit with its version behind it, so that a tag that is moved changes nothing."""
    lines = re.findall(r"uses: (.*)", path.read_text())
    for line in lines:
        assert re.fullmatch(r"[\w-]+/[\w/-]+@[0-9a-f]{40} # v\d+(\.\d+)*", line), f"{path.name}: {line}"


def test_an_action_has_one_version() -> None:
    text = "\n".join(path.read_text() for path in WORKFLOWS)
    pins = set(re.findall(r"uses: ([\w/-]+)@(\w+) # (\S+)", text))
    assert len(pins) == len({name for name, _, _ in pins}), sorted(pins)


@each
def test_rights_are_least(path: Path) -> None:
    document = load(path)
    assert document["permissions"] == {"contents": "read"}
    for name, job in document["jobs"].items():
        written = {right for right, value in job.get("permissions", {}).items() if value == "write"}
        assert written == RIGHTS.get((path.name, name), set()), f"{path.name}: {name}"
        assert job["timeout-minutes"] <= 120
    for _, step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
    assert "pull_request_target" not in document["on"]
    assert "workflow_run" not in document["on"]
    assert document["concurrency"]["group"]


@each
def test_nobody_else_s_words_reach_a_shell(path: Path) -> None:
    """An expression in a command line is pasted into it before the shell reads it: only the matrix, which is ours."""
    for name, step in steps(path):
        for expression in re.findall(r"\$\{\{(.*?)\}\}", step.get("run", "")):
            assert expression.strip() == "matrix.command", f"{path.name}: {name}: {expression}"


def test_a_release_is_built_by_one_rust() -> None:
    """The version that the bytes of a release depend on is one that the sources accept."""
    pinned = load(TOP / ".github/workflows/release.yml")["env"]["RUSTUP_TOOLCHAIN"]
    (wanted,) = re.findall(r'^rust-version = "(.*)"', (TOP / "Cargo.toml").read_text(), re.MULTILINE)
    assert [int(part) for part in pinned.split(".")] >= [int(part) for part in wanted.split(".")]


def test_a_wrong_tag_or_repository_is_refused() -> None:
    def check(*arguments: str) -> int:
        line = [sys.executable, TOP / ".ci/release", "--check", *arguments]
        return subprocess.run(line, capture_output=True).returncode

    (version,) = re.findall(r'^version = "(.*)"', (TOP / "Cargo.toml").read_text(), re.MULTILINE)
    (source,) = re.findall(r'^Source = "(.*)"', (TOP / "pyproject.toml").read_text(), re.MULTILINE)
    assert check(f"v{version}", "--repository", source) == 0
    assert check(f"v{version}.post1") != 0
    assert check(version) != 0
    assert check(f"v{version}", "--repository", source + "-fork") != 0
