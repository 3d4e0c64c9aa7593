"""RECORD against the archive: each file, its size and its content (PEP 376, 427, 815)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastwheel._verify.model import Finding, finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fastwheel.wheel.wheel import Wheel

__all__ = ["record_findings"]

_CODES: Final = {
    "missing": "FV110",
    "hash": "FV111",
    "size": "FV112",
    "no-hash": "FV113",
    "weak-hash": "FV114",
    "repeated": "FV115",
    "folder": "FV115",
    "mark": "FV115",
}
_HINTS: Final = {
    "FV110": "installers refuse the wheel, or leave the file behind when they uninstall: build the wheel again",
    "FV111": "the wheel was changed after it was made: build or download it again",
}


def record_findings(wheel: Wheel, digests: Mapping[str, bytes]) -> Iterator[Finding]:
    """Every disagreement; `digests` is the SHA-256 of each member by name.

    Raises:
        FastwheelError: FW112 a content that had to be read is damaged.
    """
    for problem in wheel.check_record(digests):
        code = _CODES[problem.kind]
        yield finding(code, problem.message, problem.path, hint=_HINTS.get(code))
    for name in wheel.archive.names:
        if wheel.is_signature(name):
            yield finding("FV116", "RECORD is signed in a way that installers no longer look at (PEP 815)", name)
