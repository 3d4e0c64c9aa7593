"""docs/verify.md lists every finding with its name and level, and says something of each."""

from __future__ import annotations

import re
from pathlib import Path

from fastwheel._verify.model import FINDINGS

TOP = Path(__file__).parents[2]
PAGE = (TOP / "docs" / "verify.md").read_text()


def test_every_finding_is_in_the_tables() -> None:
    rows = re.findall(r"^\| `(FV\d{3})` \| ([a-z0-9-]+) \| (\w+) \|", PAGE, re.MULTILINE)
    assert [(code, slug, level) for code, slug, level in rows] == [
        (code, info.slug, info.level) for code, info in FINDINGS.items()
    ]
    assert [row[0] for row in rows] == sorted(FINDINGS)


def test_every_finding_is_explained() -> None:
    explained = set()
    for line in re.findall(r"^\* (\*\*FV.*?):", PAGE, re.MULTILINE):
        for first, last in re.findall(r"\*\*(FV\d{3})\*\*(?: to \*\*(FV\d{3})\*\*)?", line):
            explained |= {code for code in FINDINGS if first <= code <= (last or first)}
    assert explained == set(FINDINGS)


def test_every_code_in_the_sources_is_in_the_table() -> None:
    package = TOP / "python" / "fastwheel"
    used = {code for path in package.rglob("*.py") for code in re.findall(r"\bFV\d{3}\b", path.read_text())}
    assert used == set(FINDINGS)


def test_every_option_is_in_the_page() -> None:
    from fastwheel.cli.verify import verify

    own = {"--plat", "--strict", "--ignore", "--provides", "--policy", "--json"}
    options = {name for param in verify.params for name in param.opts}
    assert own <= options
    assert all(f"`{name}" in PAGE for name in own)
