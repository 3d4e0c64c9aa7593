"""What a repair did: plain frozen data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastwheel.named import NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from fastwheel.plan import Plan
    from fastwheel.verdict import Verdict

__all__ = ["Repaired"]


class Repaired(NamedTuple):
    """What a repair did.

    Attributes:
        wheel: the input.
        path: the output; None after a dry run.
        plan: what was done; None for a pure Python wheel.
        verdict: what was found in the input; None for a pure Python wheel.
        changed: whether the output's bytes differ from the input's.
        size_before: of the input, bytes.
        size_after: of the output, bytes; of the input after a dry run.
        notes: what the user should know.
    """

    wheel: Path
    path: Path | None
    plan: Plan | None
    verdict: Verdict | None
    changed: bool
    size_before: int
    size_after: int
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {
            "wheel": str(self.wheel),
            "path": None if self.path is None else str(self.path),
            "plan": None if self.plan is None else self.plan.to_dict(),
            "changed": self.changed,
            "size_before": self.size_before,
            "size_after": self.size_after,
            "notes": list(self.notes),
        }
