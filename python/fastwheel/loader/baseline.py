"""The system that a policy promises, told from its allowlist and the tables of what those libraries define."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastwheel.loader.model import LoadedObject, Symbols
from fastwheel.loader.tables import musl_symbols, table
from fastwheel.policy.arch import Arch, Libc, is_loader
from fastwheel.policy.match import allowed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from fastwheel.loader.load import Fault
    from fastwheel.policy.tables import Policy

__all__ = ["Baseline"]

#: What every build of CPython for glibc is linked with, directly or not.
_PROCESS: Final = ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "libutil.so.1")
_LOADERS: Final = {
    Arch.AARCH64: "ld-linux-aarch64.so.1",
    Arch.ARMV7L: "ld-linux-armhf.so.3",
    Arch.I686: "ld-linux.so.2",
    Arch.LOONGARCH64: "ld-linux-loongarch-lp64d.so.1",
    Arch.PPC64: "ld64.so.1",
    Arch.PPC64LE: "ld64.so.2",
    Arch.RISCV64: "ld-linux-riscv64-lp64d.so.1",
    Arch.S390X: "ld64.so.1",
    Arch.X86_64: "ld-linux-x86-64.so.2",
}
_RELR: Final = "ABI_DT_RELR"


class Baseline:
    """A `System`: the oldest one that a policy promises.

    Args:
        policy: the policy.
        allow: further sonames that the user says the target has; nobody knows what they define.

    Attributes:
        libc: its C library.
        arch: its processor.
        label: its name for messages.
        process: what an interpreter's process has loaded before.
        local: nothing.
        relr: whether its loader knows DT_RELR.
    """

    def __init__(self, policy: Policy, allow: Collection[str] = ()) -> None:
        self.policy = policy
        self.libc = policy.libc
        self.arch = policy.arch
        self.label = f"the libraries that {policy.name} promises"
        if policy.is_linux:
            self.label = "the system, of which a linux tag promises nothing"
        self.relr = policy.libc is not Libc.GLIBC or policy.is_linux or _RELR in policy.versions.get("GLIBC", ())
        self.local: Sequence[LoadedObject] = ()
        self._allow = frozenset(allow)
        self._known: dict[str, LoadedObject] = {}
        names: tuple[str, ...] = ()
        if self.libc is Libc.GLIBC:
            names = (*_PROCESS, _LOADERS[self.arch])
        elif self.libc is Libc.MUSL:
            names = (self.arch.musl_libc,)
        self.process: Sequence[LoadedObject] = tuple(self._object(name) for name in names)

    def library(self, name: str, *, defaults: bool) -> LoadedObject | Fault | None:
        """Return a library that the policy promises."""
        del defaults  # a promise does not say in which folder
        if not (allowed(self.policy, name) or name in self._allow):
            return None
        return self._object(name)

    def at(self, folder: str, name: str) -> LoadedObject | Fault | None:
        """Return nothing: no policy promises folders."""
        del folder, name
        return None

    def _object(self, name: str) -> LoadedObject:
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._make(name)
        return known

    def _make(self, name: str) -> LoadedObject:
        if self.libc is Libc.MUSL and (name in (self.arch.musl_libc, "libc.so") or is_loader(name)):
            return LoadedObject(name, "system", name, symbols=_musl_libc(self.policy))
        known = table(name, self.arch)
        if known is None:
            unknown = self.policy.is_linux and not is_loader(name) and name not in self._allow
            return LoadedObject(name, "assumed" if unknown else "system", name, symbols=None)
        if self.libc is Libc.MUSL:
            names = known.plain.union(*known.versions.values())
            return LoadedObject(name, "system", name, symbols=Symbols(names, {}))
        versions = {version: names for version, names in known.versions.items() if self._has(version)}
        # Versions without a symbol: pseudo-versions, such as GLIBC_ABI_DT_RELR, and those of emptied libraries.
        extra = self._promised(name)
        defined = frozenset(versions) | extra
        return LoadedObject(
            name,
            "system",
            name,
            needed=tuple(one for one in known.needed if one != name),
            symbols=Symbols(known.plain, versions, endless=self.policy.is_linux),
            defined_versions=defined or None,
        )

    def _has(self, version: str) -> bool:
        if self.policy.is_linux:
            return True
        prefix, _, rest = version.partition("_")
        promised = self.policy.versions.get(prefix)
        return promised is None or rest in promised

    def _promised(self, name: str) -> frozenset[str]:
        prefixes: tuple[str, ...] = ("GLIBC",) if name == "libc.so.6" or is_loader(name) else ()
        if name.startswith("libstdc++"):
            prefixes = ("GLIBCXX", "CXXABI")
        versions: Mapping[str, Collection[str]] = self.policy.versions
        return frozenset(f"{prefix}_{one}" for prefix in prefixes for one in versions.get(prefix, ()))


#: The releases of musl that a tag stands for, the oldest in use and the newest known. Alpine never released another 1.1
#: that wheels are built for, nor an older 1.2.
_MUSL: Final = {"musllinux_1_1": ("1.1.24", "1.1.24"), "musllinux_1_2": ("1.2.2", "99")}


def _musl_libc(policy: Policy) -> Symbols | None:
    """What musl's C library defines on every system of a policy, and what only newer ones have."""
    known = musl_symbols(policy.arch)
    if not known:
        return None
    oldest, newest = _MUSL.get(policy.base, ("99", "99"))
    if policy.arch is Arch.LOONGARCH64:
        oldest = "1.2.5"  # the first that knows it
    names = frozenset(name for name, since in known.items() if _number(since) <= _number(newest))
    recent = {name: known[name] for name in names if _number(known[name]) > _number(oldest)}
    return Symbols(names, {}, since=recent)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
