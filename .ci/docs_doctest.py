"""Examples in docstrings as Markdown: a run of `>>>` lines and their output becomes a block of code."""

from __future__ import annotations

import re
from typing import Any

import griffe


class Doctests(griffe.Extension):
    """An extension of griffe, which reads the docstrings for the site."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Rewrite every docstring of a package."""
        pending: list[griffe.Object | griffe.Alias] = [pkg]
        while pending:
            item = pending.pop()
            if item.is_alias:
                continue
            pending += item.members.values()
            if item.docstring is not None:
                item.docstring.value = fenced(item.docstring.value)


def fenced(text: str) -> str:
    """Return `text` with its examples in fences."""
    blocks = text.split("\n\n")
    for index, block in enumerate(blocks):
        if re.match(r" *>>> ", block):
            lines = [re.sub(r"  # doctest: .*", "", line.strip()) for line in block.splitlines()]
            blocks[index] = "\n".join(["```pycon", *lines, "```"])
    return "\n\n".join(blocks)
