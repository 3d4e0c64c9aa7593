"""The archive beyond what the reader insists on: what indexes and installers refuse, and what METADATA promises.

Sources: PEP 427, 440, 639; the checks of Warehouse (PyPI) on uploads, and those of uv on installs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastwheel._verify.model import Finding, finding
from fastwheel.errors import escape
from fastwheel.wheel.zipformat import DEFLATED, STORED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fastwheel.wheel.archive import Member
    from fastwheel.wheel.wheel import Wheel

__all__ = ["archive_findings"]

_MIB: Final = 1 << 20
#: Warehouse's bounds: an archive larger than this, once inflated, may be at most so many times its size.
_RATIO_FROM: Final = 64 * _MIB
_RATIO: Final = 50
_MOST_NAMES: Final = 5


def archive_findings(wheel: Wheel) -> Iterator[Finding]:
    """What is odd about the archive as such."""
    for text in wheel.warnings:
        # These two are said, as errors, by the tags' own checks.
        if not text.startswith(("the tags in WHEEL", "the build tag in WHEEL")):
            yield finding("FV101", text)
    yield from _refused(wheel.archive.members, wheel.archive.size)
    yield from _version(wheel)
    yield from _dist_info(wheel)
    yield from _license_files(wheel)


def _refused(members: Iterable[Member], size: int) -> Iterator[Finding]:
    files = [member for member in members if not member.is_dir]
    odd = [member.name for member in files if member.method not in (STORED, DEFLATED)]
    if odd:
        yield finding(
            "FV102",
            f"{_some(odd)} is compressed by another method than deflate: PyPI and old installers refuse it",
            odd[0],
            hint="compress the wheel with deflate",
        )
    inflated = sum(member.size for member in files)
    if inflated > _RATIO_FROM and inflated > _RATIO * max(size, 1):
        yield finding(
            "FV102",
            f"the archive inflates {inflated // max(size, 1)} times, PyPI accepts {_RATIO}",
            hint="is it padded?",
        )


def _version(wheel: Wheel) -> Iterator[Finding]:
    if "+" in wheel.metadata.version:
        yield finding(
            "FV102",
            f"the version {escape(wheel.metadata.version)} has a local part, which PyPI refuses (PEP 440)",
            level="note",
        )


def _dist_info(wheel: Wheel) -> Iterator[Finding]:
    name = f"{wheel.filename.project}-{wheel.filename.version}.dist-info"
    if wheel.dist_info != name:
        yield finding(
            "FV104",
            f"the folder {escape(wheel.dist_info)} is not spelled like the file name, which makes it {escape(name)}",
            hint="PyPI and old installers look for it under the file name's spelling: build the wheel again",
        )


def _license_files(wheel: Wheel) -> Iterator[Finding]:
    """PEP 639: each `License-File` lies below `licenses/`; wheels made before it put them beside METADATA."""
    names = wheel.archive.names
    modern = _at_least(wheel.metadata.format, (2, 4))
    for path in wheel.metadata.license_files:
        places = [f"{wheel.dist_info}/licenses/{path}", f"{wheel.dist_info}/license_files/{path}"]
        if not modern:
            # Before PEP 639 the header was a tool's own: the file may be flattened.
            places += [f"{wheel.dist_info}/{path}", f"{wheel.dist_info}/{path.rpartition('/')[2]}"]
        if not any(place in names for place in places):
            yield finding(
                "FV103",
                f"METADATA names the license file {escape(path)}, which the wheel lacks",
                level="error" if modern else "note",
                hint=f"PyPI wants it at {escape(places[0])} (PEP 639)" if modern else None,
            )


def _at_least(version: str, least: tuple[int, int]) -> bool:
    major, _, minor = version.partition(".")
    digits = major.isascii() and major.isdecimal() and minor.isascii() and minor.isdecimal() and len(version) < 12
    return digits and (int(major), int(minor)) >= least


def _some(names: list[str]) -> str:
    shown = ", ".join(map(escape, names[:_MOST_NAMES]))
    return shown + (f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else "")
