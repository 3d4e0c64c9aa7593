"""The documentation builds without a warning, and what is made from the code is in it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import click
import pytest

import fastwheel
from fastwheel.cli.root import root

TOP = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run([TOP / ".ci/docs", "--site-dir", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_verb_and_option_is_described(site: Path) -> None:
    text = (site / "reference/cli/index.html").read_text()
    for verb in root.list_commands(click.Context(root)):
        assert f"fastwheel {verb}" in text
    for option in ("--plat", "--exclude", "--set-soname", "--ldpaths"):
        assert option in text


def test_every_public_name_is_described(site: Path) -> None:
    text = (site / "reference/api/index.html").read_text()
    names = set(re.findall(r'id="([\w.]+)"', text))
    for name in fastwheel.__all__:
        value = getattr(fastwheel, name)
        if callable(value):
            assert f"{value.__module__}.{value.__qualname__}" in names, name


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    """A page works without a network: no fonts, scripts or styles of other hosts."""
    for page in site.rglob("*.html"):
        for tag in re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", page.read_text()):
            found = re.search(r'(?:src|href)="(https?:)?//', tag)
            assert found is None or 'rel="canonical"' in tag, f"{page.name}: {tag}"
