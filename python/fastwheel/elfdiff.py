"""How the dynamic sections of two ELF files differ, and which names of libraries stand for the same one."""

from __future__ import annotations

import re
from collections import Counter
from posixpath import basename
from typing import TYPE_CHECKING, Final

from fastwheel.difference import ElfChange, FieldChange

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastwheel._elf.model import Facts

__all__ = ["elf_change", "same_libraries"]

#: A hash that a repair has put before the first dot of a file name; it may have been done twice.
_HASHES: Final = re.compile(r"(?:-[0-9a-f]{8})+\Z")


def elf_change(old: Facts, new: Facts, known: Mapping[str, str] | None = None) -> ElfChange:
    """Return how the dynamic sections of two ELF files differ; `ElfChange()` if they do not.

    Args:
        old: the first file.
        new: the second.
        known: new names of libraries ▶ their old ones, where names alone do not tell.
    """
    before, after = dict.fromkeys(old.needed), dict.fromkeys(new.needed)  # in order, and quick to look up
    gone = dict.fromkeys(name for name in before if name not in after)
    fresh = [name for name in after if name not in before]
    told = {known[name]: name for name in fresh if known and known.get(name) in gone}
    taken = set(told.values())
    unknown = [name for name in fresh if name not in taken]
    names = told | dict(same_libraries([name for name in gone if name not in told], unknown))
    taken = set(names.values())
    renamed = tuple((name, names[name]) for name in gone if name in names)
    versions = [
        {
            (names.get(need.file, need.file) if facts is old else need.file, version.name)
            for need in facts.version_needs
            for version in need.versions
        }
        for facts in (old, new)
    ]
    kept = dict.fromkeys(name for name in (names.get(name, name) for name in before) if name in after)
    return ElfChange(
        tuple(
            FieldChange(name, was, now)
            for name, was, now in zip(_FIELDS, _fields(old), _fields(new), strict=True)
            if was != now
        ),
        renamed,
        tuple(name for name in gone if name not in names),
        tuple(name for name in fresh if name not in taken),
        list(kept) != [name for name in after if name in kept],
        tuple(sorted(versions[0] - versions[1])),
        tuple(sorted(versions[1] - versions[0])),
        tuple(sorted({*old.undefined, *old.undefined_weak} - {*new.undefined, *new.undefined_weak})),
        tuple(sorted({*new.undefined, *new.undefined_weak} - {*old.undefined, *old.undefined_weak})),
    )


_FIELDS: Final = (
    "soname",
    "rpath",
    "runpath",
    "interpreter",
    "build_id",
    "machine",
    "class",
    "stack_flags",
    "text_relocations",
    "x86_isa_needed",
)


def _fields(facts: Facts) -> tuple[str | None, ...]:
    """The values of `_FIELDS`."""
    return (
        facts.soname,
        facts.rpath,
        facts.runpath,
        facts.interpreter,
        facts.build_id,
        str(facts.machine),
        f"{facts.bits}-bit {facts.byte_order}-endian",
        None if facts.stack_flags is None else str(facts.stack_flags),
        str(facts.text_relocations).lower(),
        str(facts.x86_isa_needed),
    )


def same_libraries(old: Iterable[str], new: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return the pairs of names that stand for one library, as far as names tell: all but hash and version agree.

    >>> same_libraries(["libfoo.so.3", "libbar.so.1"], ["libfoo-01234567.so.3.0.1", "libbaz.so.1"])
    (('libfoo.so.3', 'libfoo-01234567.so.3.0.1'),)
    """
    left, right = dict.fromkeys(old), dict.fromkeys(new)
    pairs: dict[str, str] = {}
    # The most alike first: the whole version, its first number, none.
    for precision in (None, 2, 1):
        keys = [Counter(_key(name, precision) for name in names) for names in (left, right)]
        targets = {_key(name, precision): name for name in right}
        for name in list(left):
            key = _key(name, precision)
            if keys[0][key] == keys[1][key] == 1:
                pairs[name] = targets[key]
                del left[name], right[targets[key]]
    return tuple(pairs.items())


def _key(name: str, precision: int | None) -> tuple[str, ...]:
    """A library's name without hash, and so many parts of what follows its first dot."""
    stem, *rest = basename(name).split(".")
    return (_HASHES.sub("", stem), *rest[:precision])
