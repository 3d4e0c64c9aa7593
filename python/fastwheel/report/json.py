"""JSON documents; the one of `show` has the fields of auditwheel's version 1, so that its readers need no change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastwheel.policy.arch import is_loader

if TYPE_CHECKING:
    from fastwheel.verdict import Findings, Verdict

__all__ = ["show_document"]


def show_document(verdict: Verdict) -> dict[str, object]:
    """Return the document of `fastwheel show --json`.

    `versioned_symbols` leaves out the dynamic loader, as the version-1 document always did, although its versions
    count for `sym_tag`.
    """
    best = verdict.findings[0]
    return {
        "version": 1,
        "wheel": verdict.wheel,
        "pure": False,
        "overall_tag": verdict.overall.name,
        "sym_tag": verdict.symbols.name,
        "pyfpe": verdict.pyfpe,
        "ucs2": verdict.ucs2,
        "unsupported_isa": verdict.machine.priority == 0,
        "versioned_symbols": {
            library: list(versions) for library, versions in verdict.of(verdict.symbols).needs if not is_loader(library)
        },
        "external_libs": {reference.soname: reference.path for reference in best.references},
        "policy_upgrades": {
            finding.policy.name: upgrade
            for finding in reversed(verdict.findings)
            if finding.policy.priority > verdict.overall.priority and (upgrade := _upgrade(finding))
        },
    }


def _upgrade(finding: Findings) -> dict[str, object]:
    """What keeps the wheel from one policy."""
    upgrade: dict[str, object] = {}
    if finding.references:
        upgrade["libs_to_eliminate"] = sorted({reference.soname for reference in finding.references})
    if finding.blacklisted:
        upgrade["blacklisted_symbols"] = {library: list(symbols) for library, symbols in finding.blacklisted}
    return upgrade
