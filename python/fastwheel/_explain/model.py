"""What `explain` answers: plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from fastwheel.errors import escape

__all__ = ["Bound", "BoundKind", "Cause", "Culprit", "Explanation", "Hint"]

BoundKind: TypeAlias = Literal["symbols", "libraries", "forbidden-symbols", "instruction-set", "python"]


@dataclass(frozen=True, slots=True)
class Bound:
    """How far one aspect lets the wheel go.

    Attributes:
        kind: "symbols" (versions of system libraries), "libraries" (that no policy promises), "forbidden-symbols",
            "instruction-set", or "python" (UCS2 builds, PyFPE).
        tag: the best platform tag that this aspect alone allows.
        reasons: what keeps it from a better one, a line each.
        repaired: whether `fastwheel repair` takes it away.
    """

    kind: BoundKind
    tag: str
    reasons: tuple[str, ...]
    repaired: bool = False

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {"kind": self.kind, "tag": self.tag, "reasons": list(self.reasons), "repaired": self.repaired}


@dataclass(frozen=True, slots=True)
class Cause:
    """A version of a system library that one file needs.

    Attributes:
        library: such as "libc.so.6".
        version: such as "GLIBC_2.34".
        symbols: the names that the file asks for in this version, sorted; empty where it needs the version alone.
        first: the first (most compatible) platform tag that has the version; `linux_*` if none does.
        older: (symbol, version) of those that the goal has in an older version: linking against an older system is all
            that they need.
        new: symbols that the goal does not have in any version.
    """

    library: str
    version: str
    symbols: tuple[str, ...]
    first: str
    older: tuple[tuple[str, str], ...] = ()
    new: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {
            "library": escape(self.library),
            "version": escape(self.version),
            "symbols": [escape(name) for name in self.symbols],
            "first": self.first,
            "older": {escape(name): version for name, version in self.older},
            "new": [escape(name) for name in self.new],
        }


@dataclass(frozen=True, slots=True)
class Culprit:
    """One file that needs what the goal does not promise.

    Attributes:
        file: the install path of a wheel's file, or the path of a library of this machine that would be grafted.
        grafted: whether it is such a library.
        chain: who pulls it in: from a file of the wheel that nothing needs down to the one that needs `file`; empty for
            a file that nothing needs.
        tag: the best platform tag by the versions that this file alone needs.
        causes: what it needs, the newest first.
    """

    file: str
    grafted: bool
    chain: tuple[str, ...]
    tag: str
    causes: tuple[Cause, ...]

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {
            "file": escape(self.file),
            "grafted": self.grafted,
            "chain": [escape(name) for name in self.chain],
            "tag": self.tag,
            "causes": [cause.to_dict() for cause in self.causes],
        }


@dataclass(frozen=True, slots=True)
class Hint:
    """What to do about some of the causes: `topic`, a stable short name; `text`, a sentence or two."""

    topic: str
    text: str

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {"topic": self.topic, "text": self.text}


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a wheel has its tag.

    Attributes:
        wheel: the file's name.
        tag: the best platform tag that the wheel satisfies as it is.
        repaired_tag: the best one that `fastwheel repair` can give it.
        bounds: each aspect, the most limiting first.
        goal: the platform tag that `culprits` stand in the way of: the one asked for, or the next better one than
            `repaired_tag`; None if there is none better.
        reachable: whether `fastwheel repair` gives the goal's tag.
        culprits: the files to change for the goal, the one that blocks most first.
        obstacles: what else stands in the way of the goal, a line each; not the libraries that a repair grafts.
        hints: what to do, the most useful first.
        notes: what the user should know of the audit.
    """

    wheel: str
    tag: str
    repaired_tag: str
    bounds: tuple[Bound, ...]
    goal: str | None
    reachable: bool
    culprits: tuple[Culprit, ...]
    obstacles: tuple[str, ...]
    hints: tuple[Hint, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Return the document of `fastwheel explain --json`."""
        return {
            "version": 1,
            "wheel": escape(self.wheel),
            "tag": self.tag,
            "repaired_tag": self.repaired_tag,
            "bounds": [bound.to_dict() for bound in self.bounds],
            "goal": self.goal,
            "reachable": self.reachable,
            "culprits": [culprit.to_dict() for culprit in self.culprits],
            "obstacles": list(self.obstacles),
            "hints": [hint.to_dict() for hint in self.hints],
            "notes": list(self.notes),
        }
