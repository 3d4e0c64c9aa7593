"""Every shell block of the documents is run, and what they show as output is what comes out.

A block marked ```console holds commands after `$ ` and their output; ```sh holds commands only; ```python is a
program. The blocks of one document run in order in one copy of the checkout, `pip` and `fastwheel` being those of the
tests. In shown output `…` stands for any part of a line, and a line of its own for any number of lines.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
TOP = Path(__file__).resolve().parents[2]
DOCUMENTS = ["README.md", *sorted(str(path.relative_to(TOP)) for path in TOP.glob("docs/**/*.md"))]

# These are too heavy to run once more from here: the first has a test of its own (tests/e2e/test_demo.py), the second
# is the run that this test is part of, and the parts of the third have tests (tests/bench).
ELSEWHERE = ("cpp/demo", "tests/run", "tests/bench/run")


class Block(NamedTuple):
    """A fenced block: its language, its text, and the number of its first line."""

    language: str
    text: str
    line: int


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a Markdown text.

    >>> blocks("a\\n```sh\\nls\\n```\\n")
    [Block(language='sh', text='ls\\n', line=3)]
    """
    found = re.finditer(r"^```([\w-]*)[^\n]*\n(.*?)^```\s*$", text, re.MULTILINE | re.DOTALL)
    return [Block(match[1], match[2], text.count("\n", 0, match.start(2)) + 1) for match in found]


def steps(block: Block) -> list[tuple[str, str]]:
    """Return the commands of a shell block, each with the output that the document shows (empty: none is shown)."""
    if block.language == "sh":
        return [(block.text, "")]
    found: list[tuple[str, str]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], ""))
        elif found and found[-1][0].endswith("\\") and line.startswith("> "):
            found[-1] = (f"{found[-1][0]}\n{line[2:]}", "")
        else:
            assert found, f"output before the first command: {line}"
            found[-1] = (found[-1][0], f"{found[-1][1]}{line}\n")
    return found


def pattern(shown: str) -> str:
    """Return the regular expression of a shown output."""
    lines = [
        r"(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*") + r"\n" for line in shown.splitlines()
    ]
    return "".join(lines)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what git tracks, or would track."""
    listing = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=TOP, check=True, capture_output=True).stdout.decode().split("\0")
    for name in filter(None, names):
        if (TOP / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TOP / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("document", DOCUMENTS)
def test_document(document: str, checkout: Path, command: Run) -> None:
    for block in blocks((TOP / document).read_text()):
        where = f"{document}:{block.line}"
        if block.language == "python":
            command("python", "-c", block.text, cwd=checkout)
        elif block.language in {"console", "sh"}:
            for line, shown in steps(block):
                if line.strip() in ELSEWHERE:
                    assert (checkout / line.strip()).stat().st_mode & 0o111, f"{where}: {line} can't be run"
                    continue
                done = command("bash", "-euo", "pipefail", "-c", line, cwd=checkout, check=False)
                output = done.stdout + done.stderr
                expected = 1 if re.search(r"^error: ", shown, re.MULTILINE) else 0
                assert done.returncode == expected, f"{where}: {line}\n{output}"
                assert not shown or re.fullmatch(pattern(shown), output), f"{where}: {line}\n{output}"


def test_the_readme_has_the_set_up_commands() -> None:
    console = [block for block in blocks((TOP / "README.md").read_text()) if block.language == "console"]
    assert set(ELSEWHERE) <= {line for block in console for line, _ in steps(block)}


def test_a_wrong_output_is_noticed() -> None:
    assert re.fullmatch(pattern("a…c\n…\nz\n"), "abc\n1\n2\nz\n")
    assert not re.fullmatch(pattern("a…c\nz\n"), "abc\n1\nz\n")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    """A link to a file of the repository names one that exists, and a heading of it that exists."""
    for target in re.findall(r"\]\(([^)\s]+)\)", (TOP / document).read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = ((TOP / document).parent / path).resolve() if path else TOP / document
        assert file.exists(), f"{document}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, f"{document}: {target}"
