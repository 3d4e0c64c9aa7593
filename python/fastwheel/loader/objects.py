"""From bytes to objects of the simulation: the wheel's ELF files, those of other wheels, and single files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastwheel import engine
from fastwheel.errors import ElfError, escape
from fastwheel.loader.model import LoadedObject, Symbols
from fastwheel.policy.arch import Libc
from fastwheel.wheel.layout import SITE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastwheel._elf.links import Links
    from fastwheel._elf.model import Facts
    from fastwheel.survey import Survey
    from fastwheel.wheel.wheel import Wheel

__all__ = ["object_of", "wheel_objects"]


def object_of(key: str, facts: Facts, links: Links, *, libc: Libc, origin: str = "wheel") -> LoadedObject:
    """Return the object of a file that was read.

    Args:
        key: its name in the simulation.
        facts: what the loader would learn of it.
        links: what it asks for and offers.
        libc: whose loader is followed: only glibc's knows versions of symbols.
        origin: see `LoadedObject`.
    """
    references: dict[str | None, set[str]] = {}
    files: dict[str, str] = {}
    lazy: set[str] = set()
    eager: set[str] = set()
    for symbol in links.undefined:
        if symbol.weak or not symbol.used:
            continue
        version = symbol.version if libc is Libc.GLIBC else None
        references.setdefault(version, set()).add(symbol.name)
        (lazy if symbol.used == 2 else eager).add(symbol.name)
        if version is not None and symbol.file is not None:
            files.setdefault(version, symbol.file)
    defined = None
    if facts.version_definitions:
        defined = frozenset(item.name for item in facts.version_definitions)
    return LoadedObject(
        key=key,
        origin=origin,
        soname=facts.soname,
        needed=tuple(dict.fromkeys(facts.needed)),
        references={version: frozenset(names) for version, names in references.items()},
        lazy=frozenset(lazy - eager),
        version_files=files,
        symbols=Symbols.of(links, musl=libc is Libc.MUSL),
        defined_versions=defined,
        facts=facts,
        relr=links.relr,
    )


def wheel_objects(
    wheel: Wheel, survey: Survey, libc: Libc, *, origin: str = "wheel", jobs: int = 0
) -> tuple[dict[str, LoadedObject], dict[str, str]]:
    """Return the ELF files of a wheel by install path, and why those that can't be used cannot.

    Raises:
        FastwheelError: FW700, the wheel cannot be read.
    """
    members = wheel.archive.names
    spans = [wheel.archive.span(members[unit.member]) for unit in survey.units]
    objects: dict[str, LoadedObject] = {}
    unusable: dict[str, str] = {}
    for unit, links in zip(survey.units, engine.links_many(wheel.archive.fd, spans, jobs=jobs), strict=True):
        if isinstance(links, ElfError):
            unusable[unit.path] = links.message
        else:
            objects[unit.path] = object_of(unit.path, unit.facts, links, libc=libc, origin=origin)
    for member, reason in survey.ignored:
        scheme, path = wheel.layout.install_path(member)
        unusable[path if scheme == SITE else f"../{scheme}/{path}"] = escape(reason)
    return dict(sorted(objects.items())), unusable


def install_paths(wheel: Wheel) -> Iterable[str]:
    """Yield where each file of a wheel lands, relative to site-packages."""
    for name in wheel.archive.names:
        if not name.endswith("/"):
            scheme, path = wheel.layout.install_path(name)
            yield path if scheme == SITE else f"../{scheme}/{path}"
