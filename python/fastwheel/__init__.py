"""Repairs Linux wheels: finds external shared libraries, grafts them, rewrites ELF files and tags, proves the result.

    >>> import fastwheel
    >>> verdict = fastwheel.audit("pkg-1.0-cp312-cp312-linux_x86_64.whl")  # doctest: +SKIP
    >>> fastwheel.repair("pkg-1.0-cp312-cp312-linux_x86_64.whl", "wheelhouse").path  # doctest: +SKIP
    PosixPath('wheelhouse/pkg-1.0-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl')

`fastwheel.elf` reads and edits single ELF files. Everything raises `FastwheelError` and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastwheel.errors import FastwheelError

if TYPE_CHECKING:
    from fastwheel._audit import audit
    from fastwheel._diff import diff
    from fastwheel._explain.model import Explanation
    from fastwheel._explain.run import explain
    from fastwheel._overview import Overview, overview
    from fastwheel._repair import repair, repair_many
    from fastwheel._tree import Tree, tree
    from fastwheel._verify.model import Finding, Verified
    from fastwheel._verify.run import verify
    from fastwheel.difference import Difference
    from fastwheel.repaired import Repaired
    from fastwheel.verdict import Verdict
    from fastwheel.wheel.limits import Limits

__all__ = [
    "Difference",
    "Explanation",
    "FastwheelError",
    "Finding",
    "Limits",
    "Overview",
    "Repaired",
    "Tree",
    "Verdict",
    "Verified",
    "__version__",
    "audit",
    "diff",
    "explain",
    "overview",
    "repair",
    "repair_many",
    "tree",
    "verify",
]

__version__ = "0.1.0"

_HOMES = {
    "audit": "fastwheel._audit",
    "repair": "fastwheel._repair",
    "repair_many": "fastwheel._repair",
    "Repaired": "fastwheel.repaired",
    "Verdict": "fastwheel.verdict",
    "explain": "fastwheel._explain.run",
    "Explanation": "fastwheel._explain.model",
    "verify": "fastwheel._verify.run",
    "Verified": "fastwheel._verify.model",
    "Finding": "fastwheel._verify.model",
    "diff": "fastwheel._diff",
    "Difference": "fastwheel.difference",
    "overview": "fastwheel._overview",
    "Overview": "fastwheel._overview",
    "tree": "fastwheel._tree",
    "Tree": "fastwheel._tree",
    "Limits": "fastwheel.wheel.limits",
}


def __getattr__(name: str) -> object:
    """Import the public functions on first use, so that `import fastwheel` and the command line start quickly."""
    if name not in _HOMES:
        raise AttributeError(f"module 'fastwheel' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
