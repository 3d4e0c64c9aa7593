"""Whether what a wheel asks for fits a policy: pure functions over names.

The rules are auditwheel's (exact sets of versions, weak symbols do not count), except that versions asked of
the loader itself count too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from fastwheel.policy.arch import Libc, is_loader

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from fastwheel._elf.model import Facts
    from fastwheel.policy.tables import Policy

__all__ = [
    "allowed",
    "best",
    "best_for",
    "blacklisted",
    "fitting",
    "is_libpython",
    "merge_needs",
    "needs_of",
    "offending",
    "offending_by_policy",
    "satisfied",
]

_LIBPYTHON: Final = re.compile(r"libpython\d+(?:\.\d+)?[a-z]*\.so(?:\.\d+)*", re.ASCII)


def is_libpython(name: str) -> bool:
    """Whether a DT_NEEDED name is a Python library, such as `libpython3.so` and `libpython3.13t.so.1.0`."""
    return _LIBPYTHON.fullmatch(name) is not None


def needs_of(facts: Facts) -> dict[str, frozenset[str]]:
    """Return the versions that a file needs, by library, in the file's order; the loader's count too."""
    return merge_needs({need.file: frozenset(v.name for v in need.versions)} for need in facts.version_needs)


def merge_needs(needs: Iterable[Mapping[str, Collection[str]]]) -> dict[str, frozenset[str]]:
    """Return the union of several files' needed versions."""
    merged: dict[str, set[str]] = {}
    for one in needs:
        for lib, versions in one.items():
            merged.setdefault(lib, set()).update(versions)
    return {lib: frozenset(versions) for lib, versions in merged.items()}


def judged(policies: Iterable[Policy], needs: Mapping[str, Collection[str]]) -> dict[str, frozenset[str]]:
    """Return those of `needs` that one of the policies judges; of others there may be thousands."""
    prefixes = frozenset().union(*(policy.versions for policy in policies))
    found = {
        lib: frozenset(version for version in versions if version.partition("_")[0] in prefixes)
        for lib, versions in needs.items()
    }
    return {lib: versions for lib, versions in found.items() if versions}


def offending(policy: Policy, needs: Mapping[str, Collection[str]]) -> tuple[tuple[str, str], ...]:
    """Return the pairs (library, version) of `needs` that the policy does not promise, sorted; empty if it
    fits.

    A version is judged by the text before its first underscore, whatever library it is asked of; prefixes
    that the policy does not list (`OPENSSL_…`) are nobody's promise and ignored.

    >>> from fastwheel.policy.tables import by_name
    >>> offending(by_name("manylinux_2_17_x86_64"), {"libc.so.6": {"GLIBC_2.17", "GLIBC_2.34"}})
    (('libc.so.6', 'GLIBC_2.34'),)
    """
    found = []
    for lib, versions in needs.items():
        for version in versions:
            prefix, _, rest = version.partition("_")
            promised = policy.versions.get(prefix)
            if promised is not None and rest not in promised:
                found.append((lib, version))
    return tuple(sorted(found))


def offending_by_policy(
    policies: Iterable[Policy], needs: Mapping[str, Collection[str]]
) -> dict[str, tuple[tuple[str, str], ...]]:
    """Return `offending` for each policy, by its name, in the order given."""
    return {policy.name: offending(policy, needs) for policy in policies}


def satisfied(policy: Policy, needs: Mapping[str, Collection[str]]) -> bool:
    """Whether every needed version is promised by the policy."""
    return _promises(policy, _versions(needs))


def _versions(needs: Mapping[str, Collection[str]]) -> Collection[tuple[str, str]]:
    """The pairs (prefix, rest) of all versions: whatever library they are asked of, a policy judges them alike."""
    return {(prefix, rest) for prefix, _, rest in (v.partition("_") for v in set().union(*needs.values()))}


def _promises(policy: Policy, versions: Collection[tuple[str, str]]) -> bool:
    promised = policy.versions
    return all(rest in promised.get(prefix, (rest,)) for prefix, rest in versions)


def fitting(policies: Iterable[Policy], needs: Mapping[str, Collection[str]]) -> tuple[bool, ...]:
    """Return `satisfied` for each policy, in the order given."""
    versions = _versions(needs)
    return tuple(_promises(policy, versions) for policy in policies)


def best(policies: Sequence[Policy], needs: Mapping[str, Collection[str]]) -> Policy:
    """Return the first, that is the most compatible, of `policies` that fits.

    `policies` is in the order of `fastwheel.policy.policies`, so its last one, `linux_<arch>`, fits
    everything.
    """
    versions = _versions(needs)
    return next((policy for policy in policies if _promises(policy, versions)), policies[-1])


def best_for(policies: Sequence[Policy], version: str) -> Policy:
    """Return what `best` does for a single version."""
    prefix, _, rest = version.partition("_")
    return next((policy for policy in policies if rest in policy.versions.get(prefix, (rest,))), policies[-1])


def blacklisted(policy: Policy, needed: Collection[str], undefined: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return, by library, the symbols that must not be taken from it, sorted; libraries without any are left
    out.

    Args:
        policy: the policy.
        needed: the libraries that one file needs directly.
        undefined: that file's undefined symbols that are not weak (`Facts.undefined`).
    """
    if policy.blacklist.keys().isdisjoint(needed):
        return {}  # nearly always: the symbols of a file may be many
    names = frozenset(undefined)
    found = {}
    for lib in dict.fromkeys(needed):
        denied = policy.blacklist.get(lib, frozenset())
        if hits := names if "*" in denied else denied & names:
            found[lib] = tuple(sorted(hits))
    return found


def allowed(policy: Policy, lib: str) -> bool:
    """Whether the system provides the library `lib` (a DT_NEEDED name), so that it must not be grafted.

    True for everything under `linux_*`, for the loader, and for what a libc treats as itself: musl's loader
    takes `libc.so` for its own, and on Android the interpreter is libpython.
    """
    if policy.is_linux or lib in policy.allowlist or is_loader(lib):
        return True
    if policy.libc is Libc.MUSL:
        return lib == "libc.so"
    return policy.libc is Libc.ANDROID and is_libpython(lib)
