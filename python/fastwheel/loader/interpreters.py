"""The Pythons that a wheel's tags stand for, and the symbols that each of them exports to extension modules.

Sources: PEP 425 (tags), PEP 384 and CPython's `Misc/stable_abi.toml` (limited API), the dynamic symbol tables of the
interpreters themselves.

>>> interpreters_of(["cp312-cp312-manylinux_2_17_x86_64"])
('cp312',)
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

from fastwheel.loader.model import Symbols
from fastwheel.loader.tables import read_text

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["exports", "interpreters_of", "known_interpreters", "limited_api", "named_interpreter"]

_TAG: Final = re.compile(r"(?P<kind>cp|pp|py)(?P<major>\d)(?P<minor>\d*)(?P<rest>\w*)", re.ASCII)
_FILE: Final = re.compile(
    r"\.(?:cpython-|cp)(?P<cpython>3\d+t?)\w*[-.]|\.(?:pypy)(?P<pypy>3\d+)[-.\w]*\.so$|\.graalpy", re.ASCII
)

#: Characters of a Requires-Python that is not nonsense.
_LONGEST: Final = 2000


@cache
def _lines() -> tuple[tuple[frozenset[str], str], ...]:
    """The lines `INTERPRETERS: NAMES`, in which interpreters are joined by commas."""
    found = []
    for line in read_text("python.txt").split("\n"):
        interpreters, colon, names = line.partition(": ")
        if colon and not line.startswith("#"):
            found.append((frozenset(interpreters.split(",")), names))
    return tuple(found)


def _order(name: str) -> tuple[str, int, str]:
    match = _TAG.fullmatch(name)
    return (match["kind"], int(match["minor"] or 0), match["rest"]) if match else (name, 0, "")


@cache
def known_interpreters() -> tuple[str, ...]:
    """Return the interpreters whose exports are known, such as "cp38", "cp313t" and "pp310", oldest first."""
    return tuple(sorted(frozenset[str]().union(*(names for names, _ in _lines())), key=_order))


@cache
def exports(name: str) -> Symbols | None:
    """Return what an interpreter exports, or None if that is not known."""
    names = [one for interpreters, text in _lines() if name in interpreters for one in text.split(" ")]
    return Symbols(frozenset(names), {}) if names else None


@cache
def _limited() -> dict[str, int]:
    """Name ▶ minor version of Python 3 in which it became part of the stable ABI."""
    found: dict[str, int] = {}
    for line in read_text("limited-api.txt").split("\n"):
        version, colon, names = line.partition(": ")
        if colon and not line.startswith("#"):
            found.update(dict.fromkeys(names.split(" "), int(version.partition(".")[2])))
    return found


def limited_api(minor: int) -> frozenset[str]:
    """Return the symbols of the stable ABI of Python 3.`minor`, functions and data."""
    return frozenset(name for name, since in _limited().items() if since <= minor)


def interpreters_of(tags: Iterable[str], requires_python: str = "") -> tuple[str, ...]:
    """Return the interpreters that expanded tags (`python-abi-platform`) stand for, oldest first.

    abi3 stands for every known CPython from the tag's version on, `py3-none` for every known one, both as far as
    `requires_python` (of METADATA) lets installers take the wheel. Interpreters that a tag names are listed even if
    their exports are not known; of Python 2 there are none.
    """
    found: dict[str, None] = {}
    known = [name for name in known_interpreters() if name.startswith("cp")]
    known = [name for name in known if _allows(requires_python, name)] or known
    for tag in tags:
        python, abi, *_ = tag.split("-")
        match = _TAG.fullmatch(python)
        if match is None or match["major"] != "3":
            continue
        minor = int(match["minor"] or 0)
        if match["kind"] == "py" or abi == "abi3":
            for name in known:
                if _order(name)[1] >= minor and (match["kind"] == "py" or not name.endswith("t")):
                    found.setdefault(name)
        elif match["kind"] == "pp":
            found.setdefault(f"pp3{minor}")
        else:
            found.setdefault(f"cp3{minor}t" if abi in (f"cp3{minor}t", "abi3t") else f"cp3{minor}")
    return tuple(sorted(found, key=_order))


def _allows(requires_python: str, name: str) -> bool:
    """Whether some release of an interpreter's version is in Requires-Python; of nonsense every one is."""
    from packaging.specifiers import SpecifierSet

    minor = _order(name)[1]
    if len(requires_python) > _LONGEST:
        return True
    try:
        wanted = SpecifierSet(requires_python)
    except ValueError:  # InvalidSpecifier, or a number of thousands of digits
        return True
    return any(wanted.contains(f"3.{minor}.{patch}") for patch in (0, 1, 2, 5, 10, 99))


def named_interpreter(path: str) -> str | None:
    """Return the interpreter that a module's file name ties it to, or None: a plain or `.abi3` name suits several.

    >>> named_interpreter("a/_x.cpython-313t-x86_64-linux-gnu.so"), named_interpreter("a/_x.abi3.so")
    ('cp313t', None)
    """
    match = _FILE.search(path.rpartition("/")[2])
    if match is None:
        return None
    if match["cpython"]:
        return f"cp{match['cpython']}"
    return f"pp{match['pypy']}" if match["pypy"] else "graalpy"
