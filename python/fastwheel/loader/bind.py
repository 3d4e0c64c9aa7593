"""Versions and symbols of one group: what each object asks for, against what all that is loaded defines.

The scope of a look-up is the interpreter and its libraries, then the root's group; that something defines the symbol is
what decides here, not which comes first. Sources: `_dl_check_map_versions` (`elf/dl-version.c`) and `check_match`
(`elf/dl-lookup.c`) of glibc; `find_sym2` of musl, which knows no versions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fastwheel.errors import escape
from fastwheel.loader.budget import SYMBOLS, Budget
from fastwheel.loader.model import Finding, Kind, Level
from fastwheel.policy.arch import Libc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from fastwheel._elf.model import VersionNeed
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
    """Checks groups; what an object finds among its direct needs, or in a scope of the same objects, is kept.

    Args:
        libc: whose loader is followed.
        process: what an interpreter's process has loaded before.
        budget: what the look-ups are charged to; None: they may take as long as they take.
    """

    def __init__(self, libc: Libc, process: Sequence[LoadedObject], budget: Budget | None = None) -> None:
        self._budget = budget or Budget.endless()
        self._libc = libc
        self._process = tuple(process)
        self._leftovers: dict[tuple[bool, str, tuple[str, ...]], tuple[tuple[str | None, frozenset[str]], ...]] = {}
        self._versions: dict[tuple[str, tuple[str, ...]], tuple[Finding, ...]] = {}
        # Libraries that need each other in a circle have one scope, whichever of them is loaded.
        self._scopes: dict[tuple[bool, frozenset[str]], dict[tuple[str, str | None], frozenset[str]]] = {}

    def versions(self, group: Group) -> tuple[Finding, ...]:
        """Return what the check of version needs says, of every object of the wheel in the group."""
        if self._libc is not Libc.GLIBC:
            return ()
        found: dict[Finding, None] = {}
        for item in group.objects:
            if item.origin != "wheel" or item.facts is None or not item.facts.version_needs:
                continue
            self._budget.spend(2 * len(item.facts.version_needs))
            providers = tuple(group.names.get(need.file) for need in item.facts.version_needs)
            key = (item.key, tuple("" if one is None else one.key for one in providers))
            if key not in self._versions:
                self._budget.spend(4 * sum(len(need.versions) + 4 for need in item.facts.version_needs))
                missing = {needed for needed, target in group.edges[item.key] if target is None}
                needs = zip(item.facts.version_needs, providers, strict=True)
                self._versions[key] = tuple(
                    finding
                    for need, provider in needs
                    if provider is not None or need.file not in missing
                    for finding in _of_need(item, need, provider)
                )
            self._budget.spend(4 * len(self._versions[key]))
            found.update(dict.fromkeys(self._versions[key]))
        return tuple(found)

    def loose(self, group: Group, versions: Iterable[Finding] = (), *, process: bool = True) -> tuple[Loose, ...]:
        """Return the strong references that nothing of the group, nor of the process if given, defines.

        Those in a version that `versions` already finds missing are left out.
        """
        everything = (*(self._process if process else ()), *group.objects)
        if any(item.symbols is None for item in everything):
            return ()
        told = {(finding.file, finding.version, finding.needed) for finding in versions}
        by_key = {item.key: item for item in everything}
        scope = self._scopes.setdefault((process, frozenset(by_key)), {})
        found = []
        for item in group.objects:
            if item.origin != "wheel" or not item.references:
                continue
            needs = tuple(target for _, target in group.edges[item.key] if target is not None)
            self._budget.spend(1 + len(needs) // 2)
            for version, names in self._leftover(item, needs, by_key, process=process):
                file = item.version_files.get(version or "")
                left = scope.get((item.key, version))
                if left is None:
                    left = scope[item.key, version] = self._left(names, version, group.objects)
                if left and not {(item.key, version, file), (item.key, None, file)} & told:
                    found.append(Loose(item, version, left))
        return tuple(found)

    def _leftover(
        self, item: LoadedObject, needs: tuple[str, ...], known: Mapping[str, LoadedObject], *, process: bool
    ) -> tuple[tuple[str | None, frozenset[str]], ...]:
        """What neither the process nor the object's own needs define; the same in every group that has them."""
        key = (process, item.key, needs)
        left = self._leftovers.get(key)
        if left is None:
            providers = [known[one] for one in needs if one in known]
            # Most is the C library's; the object itself, whose definitions are often the longest list, comes last.
            providers.sort(key=lambda provider: provider.origin != "system")
            order = [*(self._process if process else ()), *providers, item]
            rest = ((version, self._left(names, version, order)) for version, names in item.references.items())
            left = self._leftovers[key] = tuple((version, names) for version, names in rest if names)
        return left

    def _left(self, names: frozenset[str], version: str | None, providers: Iterable[LoadedObject]) -> frozenset[str]:
        for provider in providers:
            if not names:
                break
            self._budget.spend(1 + len(names) // SYMBOLS)
            if provider.symbols is not None:
                names = provider.symbols.left(names, version)
        return names


def _of_need(item: LoadedObject, need: VersionNeed, provider: LoadedObject | None) -> Iterator[Finding]:
    """Check the versions that one object needs of one library."""
    if provider is None:
        yield _no_file(item, need.file)
    elif provider.symbols is None or provider.symbols.endless:
        return
    elif provider.defined_versions is None:
        yield _no_versions(item, need.file, provider)
    else:
        for version in need.versions:
            if version.name not in provider.defined_versions:
                yield _no_version(item, need.file, provider, version.name, weak=version.weak)


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
