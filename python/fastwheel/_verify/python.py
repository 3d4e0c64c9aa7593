"""What extension modules ask of Python: that it is the one of the tags, and only what the stable ABI promises.

Sources: PEP 384, 425, 489, 652, 738, 793, 803; CPython's stable_abi.toml; `SOABI`.
"""

from __future__ import annotations

import re
from functools import cache
from posixpath import basename
from typing import TYPE_CHECKING, Final

from fastwheel._verify.grafts import is_graft
from fastwheel._verify.model import Finding, finding
from fastwheel.errors import escape
from fastwheel.loader.interpreters import exports, known_interpreters, limited_api
from fastwheel.named import NamedTuple
from fastwheel.policy.arch import Libc
from fastwheel.policy.match import is_libpython

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fastwheel._verify.model import Level
    from fastwheel._verify.targets import Target
    from fastwheel.survey import Unit
    from fastwheel.wheel.wheel import Wheel

__all__ = ["python_findings", "python_names"]

_CPYTHON: Final = re.compile(r"\.cpython-(?P<major>[23])(?P<minor>\d+)(?P<flags>[a-z]*)-[\w-]+\.so\Z", re.ASCII)
_PYPY: Final = re.compile(r"\.pypy(?P<major>\d)(?P<minor>\d+)-[\w-]+\.so\Z", re.ASCII)
_TAG: Final = re.compile(r"(?P<kind>cp|pp|py)(?P<major>\d)(?P<minor>\d*)", re.ASCII)
_MOST: Final = 10
#: A minor version of Python 3 that is newer than all.
_NEWEST: Final = 99


class _Python(NamedTuple):
    """An interpreter that a tag or a file name means: "cp", "pp" or "py" (any); the minor is None for any."""

    kind: str
    major: int
    minor: int | None

    def __str__(self) -> str:
        name = {"cp": "CPython", "pp": "PyPy", "py": "Python"}[self.kind]
        return f"{name} {self.major}" + ("" if self.minor is None else f".{self.minor}")


def python_findings(wheel: Wheel, targets: Sequence[Target]) -> Iterator[Finding]:
    """What is wrong between the wheel's ELF files and the Pythons of its tags."""
    stable = "abi3" in wheel.filename.abi_tags or "abi3t" in wheel.filename.abi_tags
    pythons = tuple(found for tag in wheel.filename.python_tags if (found := _from_tag(tag)) is not None)
    least = min((p.minor or 2 for p in pythons if p.major == 3 and p.kind == "cp"), default=2)
    for target in targets:
        for unit in target.found.units:
            yield from _libpython(unit, target)
            if is_graft(unit):
                continue
            own = _from_suffix(basename(unit.path))
            yield from _init(unit, own)
            yield from _suffix(unit, own, pythons, stable=stable)
            named = basename(unit.path).endswith((".abi3.so", ".abi3t.so"))
            if named or (stable and unit.python == 3 and own is None):
                yield from _limited(unit, least, stable=stable)


def _from_tag(tag: str) -> _Python | None:
    match = _TAG.fullmatch(tag)
    if match is None:
        return None
    return _Python(match["kind"], int(match["major"]), int(match["minor"][:6]) if match["minor"] else None)


def _from_suffix(name: str) -> _Python | None:
    """The one interpreter that imports a file of this name; None for any."""
    for kind, pattern in (("cp", _CPYTHON), ("pp", _PYPY)):
        match = pattern.search(name)
        if match is not None:
            return _Python(kind, int(match["major"]), int(match["minor"][:6]))
    return None


def _libpython(unit: Unit, target: Target) -> Iterator[Finding]:
    if target.libc is Libc.ANDROID:
        return  # libpython is part of the app there (PEP 738)
    for name in unit.facts.needed:
        if is_libpython(name):
            program = unit.facts.interpreter is not None
            yield finding(
                "FV601",
                f"{escape(unit.member)} needs {escape(name)}, which many Pythons do not have",
                unit.member,
                level="warning" if program else "error",
                hint="link it without -lpython; `fastwheel repair` removes it from modules",
            )


def _init(unit: Unit, own: _Python | None) -> Iterator[Finding]:
    name = basename(unit.path)
    if not unit.python and unit.facts.interpreter is None and (own is not None or name.endswith(".abi3.so")):
        stem = name.partition(".")[0]
        yield finding(
            "FV604",
            f"{escape(unit.member)} is named like an extension module, but exports no PyInit_{escape(stem)}",
            unit.member,
            hint="`import` fails; give a library that is only loaded by ctypes the suffix .so",
        )


def _suffix(unit: Unit, own: _Python | None, pythons: Sequence[_Python], *, stable: bool) -> Iterator[Finding]:
    """A file that only one Python imports, in a wheel that others install."""
    if own is None or not unit.python or not pythons:
        return
    fitting = [p for p in pythons if p.kind in (own.kind, "py") and p.major == own.major]
    exact = [p for p in fitting if p.minor == own.minor]
    if exact and not stable:
        return
    names = ", ".join(dict.fromkeys(map(str, pythons)))
    if stable and own.kind == "cp":
        yield finding(
            "FV605",
            f"only {own} imports {escape(unit.member)}, but the ABI tag abi3 promises all from {names} on",
            unit.member,
            level="error",
            hint="build it with py_limited_api, so that it is named .abi3.so, or tag the wheel for one Python",
        )
    elif not any(p.minor is None for p in fitting):
        yield finding(
            "FV605", f"only {own} imports {escape(unit.member)}, but the wheel is tagged for {names}", unit.member
        )
    else:
        yield finding(
            "FV605",
            f"only {own} imports {escape(unit.member)}, but the wheel is installed by every {names}",
            unit.member,
            hint="tag the wheel for that Python",
        )


def _limited(unit: Unit, least: int, *, stable: bool) -> Iterator[Finding]:
    """The symbols of Python's that a module asks for, against the stable ABI of the oldest Python of the tags."""
    promised, later = limited_api(least), limited_api(_NEWEST)
    exported = python_names()
    if not later or not exported:
        return
    asked = [name for name in unit.facts.undefined if name not in promised and (name in exported or name in later)]
    new = sorted((_since(name), name) for name in asked if name in later)
    foreign = sorted(name for name in asked if name not in later)
    level: Level | None = None if stable else "warning"
    if new:
        yield finding(
            "FV602",
            f"{escape(unit.member)} needs functions of newer Pythons than 3.{least}, which the tag promises",
            unit.member,
            level=level,
            details=_listed([f"{name} (3.{minor})" for minor, name in new]),
            hint=f"define Py_LIMITED_API as 0x03{least:02x}0000, or tag the wheel cp3{new[-1][0]}-abi3",
        )
    if foreign:
        yield finding(
            "FV603",
            f"{escape(unit.member)} needs functions that are not in the stable ABI: any Python may change or drop them",
            unit.member,
            level=level,
            details=_listed(foreign),
            hint="define Py_LIMITED_API for all of it, or tag the wheel for one Python",
        )


@cache
def python_names() -> frozenset[str]:
    """Everything that some interpreter exports."""
    known = (exports(name) for name in known_interpreters())
    return frozenset().union(*(symbols.plain for symbols in known if symbols is not None))


def _since(name: str) -> int:
    """The minor version of the first Python 3 whose stable ABI has a name."""
    return next(minor for minor in range(_NEWEST + 1) if name in limited_api(minor))


def _listed(names: Sequence[str]) -> list[str]:
    more = [f"and {len(names) - _MOST} more"] if len(names) > _MOST else []
    return [escape(name) for name in names[:_MOST]] + more
