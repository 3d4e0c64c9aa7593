"""The JSON Schemas (draft 2020-12) of all that fastwheel prints as JSON; `docs/json.md` tells the rules.

>>> from fastwheel import schemas
>>> schemas.names()
('diff', 'explain', 'lddtree', 'patch', 'repair', 'show', 'tree', 'verify')
>>> schemas.load("show")["title"]
'What `fastwheel show --json` prints'
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from fastwheel.errors import FastwheelError, escape

__all__ = ["load", "names"]


def names() -> tuple[str, ...]:
    """Return the names of the schemas: those of the verbs."""
    found = (item.name for item in files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".json") for name in found if name.endswith(".json")))


def load(name: str) -> dict[str, Any]:
    """Return one schema.

    Raises:
        FastwheelError: FW800, there is none of this name.
    """
    if name not in names():
        hint = f"one of: {', '.join(names())}"
        raise FastwheelError(f"there is no schema {escape(name)}", code="FW800", hint=hint)
    schema: dict[str, Any] = json.loads(files(__name__).joinpath(f"{name}.json").read_text("utf-8"))
    return schema
