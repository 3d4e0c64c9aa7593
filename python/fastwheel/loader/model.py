"""The types of the loader simulation: what is loaded, what was found out, and the answer for a whole wheel.

All are frozen data; a `Simulation` can be compared, hashed by its parts and turned into JSON (`to_dict`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from fastwheel.errors import escape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastwheel._elf.links import Links
    from fastwheel._elf.model import Facts
    from fastwheel.policy.tables import Policy

__all__ = ["Finding", "Kind", "Level", "LoadedObject", "Outcome", "RootKind", "Simulation", "Symbols"]


class Level(str, Enum):
    """How bad a finding is."""

    #: The loader refuses to load the root: import fails.
    ERROR = "error"
    #: The root loads on the baseline, but not everywhere, or only as long as nothing is called.
    WARNING = "warning"
    #: Worth to know.
    NOTE = "note"

    def __str__(self) -> str:
        return self.value


class Kind(str, Enum):
    """What is wrong. The comment says which fields of `Finding` tell more."""

    #: No library of the name `needed` is found.
    LIBRARY_MISSING = "library-missing"
    #: A file of the name `needed` is found, and the loader gives up on it.
    LIBRARY_INVALID = "library-invalid"
    #: The library `needed` does not define `version`.
    VERSION_MISSING = "version-missing"
    #: A symbol is not in the oldest release of the C library `needed` that the tag promises, but from release `version`
    #: on; musl's symbols have no versions, and its tags no third number.
    NEWER_LIBC = "newer-libc"
    #: `version` is asked of `needed`, which is not among the loaded libraries: glibc's loader aborts.
    VERSION_FILE_MISSING = "version-file-missing"
    #: Versions are asked of `needed`, which defines none at all: glibc takes what it finds there.
    UNVERSIONED_LIBRARY = "unversioned-library"
    #: `symbol` (of `version`, if asked for) is defined by nothing that is loaded.
    SYMBOL_UNDEFINED = "symbol-undefined"
    #: The same, and only calls use it: an error when lazily bound code first calls it.
    SYMBOL_UNDEFINED_LAZY = "symbol-undefined-lazy"
    #: The interpreter `version` of the wheel's tags has no `symbol` although others have.
    PYTHON_SYMBOL_MISSING = "python-symbol-missing"
    #: A module for abi3 uses `symbol`, which is not in the limited API of the wheel's tag: nothing promises that every
    #: later Python has it.
    LIMITED_API = "limited-api"
    #: The file can't be opened by dlopen: a program, position-independent or not, or DF_1_NOOPEN.
    NOT_LOADABLE = "not-loadable"
    #: Its headers ask for what the loader refuses (p_align, no PT_LOAD, no PT_DYNAMIC).
    BAD_SEGMENTS = "bad-segments"
    #: The only files of the name `needed` on the search path are for another processor, class or calling convention.
    WRONG_MACHINE = "wrong-machine"
    #: More thread-local memory of the initial-exec model than the loader keeps in reserve.
    STATIC_TLS = "static-tls"
    #: DT_RELR, which the baseline's loader does not know.
    RELATIVE_RELOCATIONS = "relative-relocations"
    #: PT_GNU_STACK with PF_X: glibc 2.41 and later refuse to dlopen it.
    EXECUTABLE_STACK = "executable-stack"
    #: DT_TEXTREL: refused by SELinux policies and by Android.
    TEXT_RELOCATIONS = "text-relocations"
    #: Segments aligned for smaller pages than kernels of this processor use.
    PAGE_SIZE = "page-size"
    #: Several files of the wheel have the soname `needed`: the one loaded first serves the whole process.
    SONAME_CLASH = "soname-clash"
    #: An entry of a search path means something else on each distribution (`$LIB`, `$PLATFORM`) or the working folder.
    VAGUE_SEARCH_PATH = "vague-search-path"
    #: Something could not be judged: `message` says what.
    UNKNOWN = "unknown"

    def __str__(self) -> str:
        return self.value


class RootKind(str, Enum):
    """How a file is loaded in the simulation."""

    #: A Python extension module: dlopen by an interpreter of the wheel's tags.
    EXTENSION = "extension"
    #: Any other library: dlopen by itself, as ctypes does, by an interpreter of the wheel's tags.
    LIBRARY = "library"
    #: A program (PT_INTERP): started.
    PROGRAM = "program"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the simulation found out. It names the file at fault, not the root that brought it in.

    Attributes:
        kind: what is wrong.
        level: how bad it is.
        file: install path of the file at fault, relative to site-packages (`../scripts/…` for other schemes), or the
            soname of a library of the system.
        message: a sentence without final stop, names escaped.
        needed: the DT_NEEDED or vn_file name it is about, or None.
        symbol: the symbol's name, or None.
        version: the symbol version (`GLIBC_2.34`) or interpreter (`cp312`) it is about, or None.
        searched: where the loader looked, in order.
    """

    kind: Kind
    level: Level
    file: str
    message: str
    needed: str | None = None
    symbol: str | None = None
    version: str | None = None
    searched: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {
            "kind": self.kind.value,
            "level": self.level.value,
            "file": escape(self.file),
            "message": self.message,
            "needed": None if self.needed is None else escape(self.needed),
            "symbol": None if self.symbol is None else escape(self.symbol),
            "version": None if self.version is None else escape(self.version),
            "searched": [escape(place) for place in self.searched],
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of loading one file in a fresh process.

    Attributes:
        root: install path of the file.
        kind: how it was loaded.
        interpreters: the interpreters that this outcome holds for, such as ("cp311", "cp312"); interpreters with the
            same outcome share one. Empty for programs.
        loads: whether the loader succeeds; true exactly if no finding is an error.
        findings: what was found in it and in all that it brings along, errors first.
        group: the keys of what is loaded, breadth-first, the root first: install paths, and sonames of the system.
        covered: of a library: whether some other root that loads brings it along. Such a library is not meant to be
            loaded alone, and need not be able to: what loads it may have brought its needs, or lend it a DT_RPATH.
    """

    root: str
    kind: RootKind
    interpreters: tuple[str, ...]
    loads: bool
    findings: tuple[Finding, ...]
    group: tuple[str, ...] = field(default=(), repr=False)
    covered: bool = False

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {
            "root": escape(self.root),
            "kind": self.kind.value,
            "interpreters": list(self.interpreters),
            "loads": self.loads,
            "findings": [finding.to_dict() for finding in self.findings],
            "group": [escape(key) for key in self.group],
            "covered": self.covered,
        }


@dataclass(frozen=True, slots=True)
class Simulation:
    """What the simulation says of one wheel on one baseline.

    Attributes:
        policy: the baseline: the oldest system that the wheel's tags of this C library promise.
        interpreters: the interpreters that the wheel's tags stand for, oldest first; empty if none is known.
        outcomes: one or more per ELF file, in the order of install paths.
        notes: what could not be simulated, for the user.
    """

    policy: Policy
    interpreters: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    notes: tuple[str, ...] = ()

    @property
    def loads(self) -> bool:
        """Whether every file loads, except for those that come along with one that does (`Outcome.covered`)."""
        return all(outcome.loads or outcome.covered for outcome in self.outcomes)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings of all outcomes that are not `covered`, each once, errors first."""
        order = list(Level)
        # Most are shared by many outcomes: whether they are the same is told faster than whether they are equal.
        same = {id(f): f for outcome in self.outcomes if not outcome.covered for f in outcome.findings}
        found = dict.fromkeys(same.values())
        return tuple(sorted(found, key=lambda finding: order.index(finding.level)))

    def roots_of(self, finding: Finding) -> tuple[str, ...]:
        """Return the files whose loading shows this finding, each once, in order."""
        return tuple(dict.fromkeys(o.root for o in self.outcomes if finding in o.findings))

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {
            "policy": self.policy.name,
            "interpreters": list(self.interpreters),
            "loads": self.loads,
            "outcomes": [outcome.to_dict() for outcome in self.outcomes],
            "notes": list(self.notes),
        }


class Symbols:
    """What one object defines, as a lookup by the loader sees it.

    Attributes:
        plain: names without a version: they serve every reference, whatever version it asks for.
        bare: the names that serve a reference without a version, `plain` among them.
        versions: version ▶ its names, hidden ones (`@` instead of `@@`) included.
        endless: whether a version that is not in `versions` may exist too: of a system of unknown age.
        since: the names that only newer releases of a promised C library have ▶ the release.
    """

    __slots__ = ("bare", "endless", "plain", "since", "versions")

    def __init__(
        self,
        plain: frozenset[str],
        versions: Mapping[str, frozenset[str]],
        bare: frozenset[str] | None = None,
        *,
        endless: bool = False,
        since: Mapping[str, str] | None = None,
    ) -> None:
        """Make it; `bare` is everything unless given."""
        self.since = since or {}
        self.endless = endless
        self.plain = plain
        self.versions = versions
        self.bare = plain.union(*versions.values()) if bare is None else bare

    @classmethod
    def of(cls, links: Links, *, musl: bool = False) -> Symbols:
        """Take the definitions of an ELF file; musl ignores versions, but not VERSYM_HIDDEN.

        glibc gives a reference without a version the definition of the file's first version, even if hidden, or else
        the default one (`check_match` in `elf/dl-lookup.c`).
        """
        plain = _names(links.plain)
        if musl:
            return cls(plain.union(*(_names(group.default) for group in links.versions)), {})
        bare = set(plain)
        versions: dict[str, frozenset[str]] = {}
        for group in links.versions:
            default, hidden = _names(group.default), _names(group.hidden)
            names = default | hidden
            bare |= names if group.first else default
            versions[group.name] = versions.get(group.name, frozenset()) | names
        return cls(plain, versions, frozenset(bare))

    def left(self, names: frozenset[str], version: str | None) -> frozenset[str]:
        """Return those of `names`, asked for with `version`, that this object does not define."""
        if version is None:
            return names - self.bare
        group = self.versions.get(version)
        if group is None and self.endless:
            return frozenset()
        names = names - self.plain
        return names - group if group and names else names


def _names(packed: bytes) -> frozenset[str]:
    return frozenset(packed.decode("utf-8", "surrogateescape").split("\0")) if packed else frozenset()


_NOTHING = Symbols(frozenset(), {})


@dataclass(frozen=True, slots=True, eq=False)
class LoadedObject:
    """One library, module or program, of the wheel, of another wheel or of the system.

    Attributes:
        key: its name in the simulation: the install path (relative to site-packages); of the system the soname; on a
            real machine (`loader.host`) the real path, which begins with "/".
        origin: "wheel", "provided" (of another wheel), "system", or "assumed" (not known to exist: `linux_*` promises
            nothing, so nothing is held against it).
        soname: DT_SONAME, or None.
        needed: DT_NEEDED without repetitions.
        references: version (None: without one) ▶ the names of undefined symbols that must be found.
        lazy: those names of `references` that only calls use.
        version_files: version ▶ the vn_file that it is asked of.
        symbols: what it defines; None if nobody knows (then everything is taken to be there).
        defined_versions: the versions that it defines; None if it has no DT_VERDEF; of unknown content: empty, and
            `symbols` is None.
        facts: of a file whose bytes were read; None for entries of the baseline's tables.
        relr: whether it has DT_RELR.
    """

    key: str
    origin: str
    soname: str | None
    needed: tuple[str, ...] = ()
    references: Mapping[str | None, frozenset[str]] = field(default_factory=dict, repr=False)
    lazy: frozenset[str] = field(default=frozenset(), repr=False)
    version_files: Mapping[str, str] = field(default_factory=dict, repr=False)
    symbols: Symbols | None = field(default=_NOTHING, repr=False)
    defined_versions: frozenset[str] | None = field(default=None, repr=False)
    facts: Facts | None = field(default=None, repr=False)
    relr: bool = False

    @property
    def folder(self) -> str:
        """The folder of `key`, "" at the top of site-packages."""
        return self.key.rpartition("/")[0]
