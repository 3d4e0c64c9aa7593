"""The platform policies: what a system that a tag promises may be asked for.

The facts lie in `table.json`, which `.ci/refresh-policies` derives from auditwheel's data; `docs/policies.md`
tells the format, the provenance and how to update it.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from fastwheel.errors import FastwheelError, escape
from fastwheel.named import NamedTuple
from fastwheel.policy.arch import Arch, Libc

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Policy", "all_names", "android_policy", "by_name", "policies", "source"]


class Policy(NamedTuple):
    """One platform that wheels can be tagged for.

    Attributes:
        name: the platform tag, such as `manylinux_2_17_x86_64`.
        base: the tag without the processor: `manylinux_2_17`; of the last resort: `linux`.
        arch: its processor.
        libc: its C library.
        aliases: older tags of the same meaning, such as `manylinux2014_x86_64`.
        priority: the higher, the more systems it runs on; 0 for `linux_*`, which promises nothing.
        versions: symbol versions that may be needed, by prefix: {"GLIBC": {"2.2.5", …}}. A prefix that is not
            listed is not judged.
        allowlist: libraries that the system provides, so that they are never grafted.
        blacklist: by allowed library: symbols that must not be taken from it; "*" stands for all.
    """

    name: str
    base: str
    arch: Arch
    libc: Libc
    aliases: tuple[str, ...]
    priority: int
    versions: Mapping[str, frozenset[str]]
    allowlist: frozenset[str]
    blacklist: Mapping[str, frozenset[str]]

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the mappings as what they show: executors hand policies from one process to another."""
        return _again, tuple(dict(value) if isinstance(value, MappingProxyType) else value for value in self)

    def __hash__(self) -> int:
        return hash((self.name, self.libc))

    def __repr__(self) -> str:
        return f"<Policy {self.name}, {self.libc.value}>"

    @property
    def is_linux(self) -> bool:
        """Whether this is the last resort, `linux_<arch>`: it allows everything and promises nothing."""
        return self.priority == 0


def _again(*values: Any) -> Policy:
    """Make a policy again of its parts."""
    parts: list[Any] = [MappingProxyType(value) if isinstance(value, dict) else value for value in values]
    return Policy(*parts)


_LETTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@cache
def _table() -> dict[str, Any]:
    # pathlib would cost more start-up than the table itself
    path = os.path.join(os.path.dirname(__file__), "table.json")
    with open(path, encoding="utf-8") as file:
        table: dict[str, Any] = json.load(file)
    return table


def source() -> tuple[str, ...]:
    """Return where the table comes from, such as ("auditwheel 6.8.2",)."""
    return tuple(_table()["source"])


@cache
def policies(libc: Libc, arch: Arch) -> tuple[Policy, ...]:
    """Return the policies of a C library and a processor, the most compatible first, `linux_<arch>` last.

    >>> [p.name for p in policies(Libc.GLIBC, Arch.PPC64)]
    ['manylinux_2_17_ppc64', 'linux_ppc64']
    """
    family = _table()[libc.value]
    known = _members(family["archs"][arch.value]) if arch.value in family["archs"] else ""
    result = [
        _policy(family, line.split(), letter, libc=libc, arch=arch)
        for letter, line in zip(_LETTERS, family["policies"], strict=False)
        if letter in known
    ]
    nothing: Mapping[str, frozenset[str]] = MappingProxyType({})
    result.append(
        Policy(f"linux_{arch.value}", "linux", arch, libc, (), 0, nothing, frozenset(), nothing),
    )
    return tuple(result)


def _members(span: str) -> str:
    """Return the letters of a span: "b-d" is "bcd"."""
    return _LETTERS[_LETTERS.index(span[0]) : _LETTERS.index(span[-1]) + 1]


def _names(groups: dict[str, str], letter: str) -> frozenset[str]:
    """Return the names that hold for the policy of `letter`, of groups {span: names}."""
    return frozenset(n for span, names in groups.items() if letter in _members(span) for n in names.split())


def _policy(family: dict[str, Any], line: list[str], letter: str, *, libc: Libc, arch: Arch) -> Policy:
    base, priority, *aliases = line
    tag_arch = arch.android_name if libc is Libc.ANDROID else arch.value
    versions = {
        prefix: frozenset(
            version
            for version, first in zip(row["all"].split(), row[arch.value], strict=True)
            if first != "-" and _LETTERS.index(first) <= _LETTERS.index(letter)
        )
        for prefix, row in family["versions"].items()
    }
    allowlist = _names(family["allow"], letter)
    if libc is Libc.MUSL:
        allowlist = frozenset(arch.musl_libc if lib == "libc.so" else lib for lib in allowlist)
    denied = {lib: _names(groups, letter) for lib, groups in family["deny"].items()}
    return Policy(
        name=f"{base}_{tag_arch}",
        base=base,
        arch=arch,
        libc=libc,
        aliases=tuple(f"{alias}_{tag_arch}" for alias in aliases),
        priority=int(priority),
        versions=MappingProxyType(versions),
        allowlist=allowlist,
        blacklist=MappingProxyType({lib: names for lib, names in denied.items() if names}),
    )


_ANDROID_TAG: Final = re.compile(r"android_(?P<api>\d+)_(?P<arch>\w+)", re.ASCII)
_ANY_TAG: Final = re.compile(
    r"(?P<base>linux|manylinux(?:1|2010|2014|_\d+_\d+)|musllinux_\d+_\d+)_(?P<arch>\w+)", re.ASCII
)


def by_name(name: str, libc: Libc | None = None) -> Policy:
    """Return the policy of a platform tag or of its alias.

    `linux_<arch>` exists for each C library; glibc's is returned unless `libc` says otherwise. Any Android
    API level from the oldest known on is found (`android_policy`).

    >>> by_name("manylinux2014_x86_64").name
    'manylinux_2_17_x86_64'

    Raises:
        FastwheelError: FW602, there is no such policy.
    """
    if name.startswith("android_"):
        return android_policy(name)
    match = _ANY_TAG.fullmatch(name)
    if match and match["arch"] in Arch._value2member_map_:
        family = Libc.MUSL if name.startswith("musl") else Libc.GLIBC
        if match["base"] == "linux" and libc is not None:
            family = libc
        for policy in policies(family, Arch(match["arch"])):
            if name == policy.name or name in policy.aliases:
                return policy
    raise _unknown(name)


def _unknown(name: str, hint: str = "see `fastwheel repair --help` for the platforms") -> FastwheelError:
    return FastwheelError(f"there is no policy for the platform {escape(name)}", code="FW602", hint=hint)


def android_policy(tag: str) -> Policy:
    """Return the policy for an Android platform tag: the newest API level up to the tag's, under the tag's
    own name.

    Raises:
        FastwheelError: FW602, the tag is malformed, its processor unknown or its API level too old.
    """
    match = _ANDROID_TAG.fullmatch(tag)
    arch = next((a for a in Arch if match and match["arch"] == a.android_name), None)
    if match is None or arch is None:
        raise _unknown(tag)
    api = int(match["api"][:6])
    fitting = [p for p in policies(Libc.ANDROID, arch)[:-1] if int(p.base.rpartition("_")[2]) <= api]
    if not fitting:
        raise _unknown(tag, "Python on Android begins with API level 21 (PEP 738)")
    best = max(fitting, key=lambda p: int(p.base.rpartition("_")[2]))
    return best._replace(name=tag, base=f"android_{api}")


def all_names() -> tuple[str, ...]:
    """Return every platform tag and alias of the table, by C library, processor and compatibility."""
    seen: dict[str, None] = {}
    for libc in Libc:
        for arch in Arch:
            if arch.value not in _table()[libc.value]["archs"]:
                continue
            for policy in policies(libc, arch):
                for name in (policy.name, *policy.aliases):
                    seen.setdefault(name)
    return tuple(seen)
