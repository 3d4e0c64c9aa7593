"""The loader simulation: proves from bytes alone that each ELF file of a wheel loads on the baseline of its tag.

`simulate(wheel)` is the entry; `docs/loader.md` tells the rules, where the data comes from, and what can't be proved.
"""

from __future__ import annotations

from fastwheel.loader.interpreters import exports, interpreters_of, known_interpreters, limited_api, named_interpreter
from fastwheel.loader.model import Finding, Kind, Level, LoadedObject, Outcome, RootKind, Simulation, Symbols
from fastwheel.loader.simulate import baselines, simulate

__all__ = [
    "Finding",
    "Kind",
    "Level",
    "LoadedObject",
    "Outcome",
    "RootKind",
    "Simulation",
    "Symbols",
    "baselines",
    "exports",
    "interpreters_of",
    "known_interpreters",
    "limited_api",
    "named_interpreter",
    "simulate",
]
