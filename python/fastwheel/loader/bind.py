"""Versions and symbols of one group: what each object asks for, against what all that is loaded defines.

The scope of a look-up is the interpreter and its libraries, then the root's group; that something defines the symbol is
what decides here, not which comes first. Sources: `_dl_check_map_versions` (`elf/dl-version.c`) and `check_match`
(`elf/dl-lookup.c`) of glibc; `find_sym2` of musl, which knows no versions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fastwheel.errors import escape
from fastwheel.loader.model import Finding, Kind, Level
from fastwheel.policy.arch import Libc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fastwheel.loader.load import Group
    from fastwheel.loader.model import LoadedObject

__all__ = ["Binder", "Loose"]

#: Symbols named in a message.
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Loose:
    """References of one object that nothing but the interpreter may define.

    Attributes:
        item: the object.
        version: the version asked for, or None.
        names: the symbols.
    """

    item: LoadedObject
    version: str | None
    names: frozenset[str]


class Binder:
    """Checks groups; what an object finds among its own needs is worked out once."""

    def __init__(self, libc: Libc, process: Sequence[LoadedObject]) -> None:
        self._libc = libc
        self._process = tuple(process)
        self._leftovers: dict[tuple[str, tuple[str, ...]], tuple[tuple[str | None, frozenset[str]], ...]] = {}

    def versions(self, group: Group) -> tuple[Finding, ...]:
        """Return what the check of version needs says, of every object of the group that was read."""
        if self._libc is not Libc.GLIBC:
            return ()
        missing = {needed for edges in group.edges.values() for needed, target in edges if target is None}
        found: list[Finding] = []
        for item in group.objects:
            for need in item.facts.version_needs if item.facts is not None and item.origin != "system" else ():
                provider = group.names.get(need.file)
                if provider is None:
                    if need.file not in missing and item.origin == "wheel":
                        found.append(_no_file(item, need.file))
                    continue
                if provider.symbols is None or item.origin != "wheel":
                    continue
                if provider.defined_versions is None:
                    found.append(_no_versions(item, need.file, provider))
                    continue
                for version in need.versions:
                    if version.name not in provider.defined_versions:
                        found.append(_no_version(item, need.file, provider, version.name, weak=version.weak))
        return tuple(dict.fromkeys(found))

    def loose(self, group: Group, versions: Iterable[Finding] = (), *, process: bool = True) -> tuple[Loose, ...]:
        """Return the strong references that nothing of the group, nor of the process if given, defines.

        Those in a version that `versions` already finds missing are left out.
        """
        everything = (*(self._process if process else ()), *group.objects)
        told = {(finding.file, finding.version, finding.needed) for finding in versions}
        if any(item.symbols is None for item in everything):
            return ()
        by_key = {item.key: item for item in everything}
        found = []
        for item in group.objects:
            if item.origin != "wheel" or not item.references:
                continue
            own = self._closure(item, group.edges, by_key)
            for version, names in self._leftover(item, own, by_key, process=process):
                file = item.version_files.get(version or "")
                left = _left(names, version, group.objects)
                if left and not {(item.key, version, file), (item.key, None, file)} & told:
                    found.append(Loose(item, version, left))
        return tuple(found)

    @staticmethod
    def opaque(group: Group) -> tuple[LoadedObject, ...]:
        """Return the objects of the group whose definitions nobody knows."""
        return tuple(item for item in group.objects if item.symbols is None)

    @staticmethod
    def _closure(
        item: LoadedObject, edges: Mapping[str, tuple[tuple[str, str | None], ...]], known: Mapping[str, LoadedObject]
    ) -> tuple[str, ...]:
        order = {item.key: None}
        queue = [item.key]
        for key in queue:  # grows while it is walked
            for _, target in edges.get(key, ()):
                if target is not None and target not in order and target in known:
                    order[target] = None
                    queue.append(target)
        return tuple(order)

    def _leftover(
        self, item: LoadedObject, own: tuple[str, ...], known: Mapping[str, LoadedObject], *, process: bool
    ) -> tuple[tuple[str | None, frozenset[str]], ...]:
        """What neither the process nor the object's own needs define; the same in every group that has them."""
        key = (item.key if process else f"{item.key}\0alone", own)
        left = self._leftovers.get(key)
        if left is None:
            providers = [known[one] for one in own if one != item.key]
            # Most is the C library's; the object itself, whose definitions are the longest list, comes last.
            providers.sort(key=lambda provider: provider.origin != "system")
            order = [*(self._process if process else ()), *providers, item]
            rest = ((version, _left(names, version, order)) for version, names in item.references.items())
            left = self._leftovers[key] = tuple((version, names) for version, names in rest if names)
        return left


def _left(names: frozenset[str], version: str | None, providers: Iterable[LoadedObject]) -> frozenset[str]:
    for provider in providers:
        if not names:
            break
        if provider.symbols is not None:
            names = provider.symbols.left(names, version)
    return names


def _no_file(item: LoadedObject, file: str) -> Finding:
    message = f"{escape(item.key)} asks {escape(file)} for versions, and nothing loads that: glibc's loader aborts"
    return Finding(Kind.VERSION_FILE_MISSING, Level.ERROR, item.key, message, needed=file)


def _no_versions(item: LoadedObject, file: str, provider: LoadedObject) -> Finding:
    message = f"{escape(item.key)} asks {escape(file)} for versions, but {escape(provider.key)} defines none"
    return Finding(Kind.UNVERSIONED_LIBRARY, Level.WARNING, item.key, message, needed=file)


def _no_version(item: LoadedObject, file: str, provider: LoadedObject, version: str, *, weak: bool) -> Finding:
    names = sorted(item.references.get(version, ()))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    why = f" (for {', '.join(map(escape, names[:_SHOWN]))}{more})" if names else ""
    message = f"{escape(item.key)} needs version {escape(version)} of {escape(file)}{why}"
    if provider.origin != "system":
        message += f", which {escape(provider.key)} does not define"
    else:
        message += ", which the baseline does not have"
    level = Level.NOTE if weak else Level.ERROR
    return Finding(Kind.VERSION_MISSING, level, item.key, message, needed=file, version=version)
