"""docs/errors.md lists every code, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from fastwheel.errors import CODES

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"


def test_every_code_is_documented() -> None:
    rows = re.findall(r"^\| `(FW\d{3})` \| ([a-z0-9-]+) \| (\d+) \|", PAGE.read_text(), re.MULTILINE)
    assert {code: (slug, int(status)) for code, slug, status in rows} == {
        code: (info.slug, info.status) for code, info in CODES.items()
    }


def test_codes_are_listed_in_order() -> None:
    codes = re.findall(r"^\| `(FW\d{3})`", PAGE.read_text(), re.MULTILINE)
    assert codes == sorted(codes)
    assert list(CODES) == sorted(CODES)


def test_every_code_in_the_sources_is_in_the_table() -> None:
    package = PAGE.parents[1] / "python" / "fastwheel"
    used = {code for path in package.rglob("*.py") for code in re.findall(r"\bFW\d{3}\b", path.read_text())}
    assert used == set(CODES)
