"""The small rules of planning."""

from __future__ import annotations

import pytest

from fastwheel.bind import graft_name, inside

HASH = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("libfoo.so.3", "libfoo-01234567.so.3"),
        ("libgobject-2.0.so.0", "libgobject-2-01234567.0.so.0"),
        ("plugin", "plugin-01234567"),
        ("libfoo-01234567.so", "libfoo-01234567.so"),
        (".hidden.so", "-01234567.hidden.so"),
    ],
)
def test_graft_name(name: str, wanted: str) -> None:
    assert graft_name(name, HASH) == wanted


@pytest.mark.parametrize(
    ("entry", "here", "wanted"),
    [
        ("$ORIGIN", "pkg", "pkg"),
        ("${ORIGIN}/lib", "pkg", "pkg/lib"),
        ("$ORIGIN/../pkg.libs", "pkg", "pkg.libs"),
        ("$ORIGIN/..", "pkg", ""),
        ("$ORIGIN/../..", "pkg", None),
        ("$ORIGIN/../../x", "pkg", None),
        ("$ORIGINAL", "pkg", None),
        ("$ORIGIN/$LIB", "pkg", None),
        ("/usr/lib", "pkg", None),
        ("lib", "pkg", None),
        ("", "pkg", None),
    ],
)
def test_inside(entry: str, here: str, wanted: str | None) -> None:
    assert inside(entry, here) == wanted
