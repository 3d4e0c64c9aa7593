"""The full proof of a repair: `verify` on the output before anybody can see it, compared with `verify` on the input.

What the input lacked already is not the repair's doing and does not keep it from being written.
"""

from __future__ import annotations

from glob import escape as glob_escape
from typing import TYPE_CHECKING

from fastwheel._verify.run import verify_open
from fastwheel.errors import FastwheelError, escape
from fastwheel.wheel.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from fastwheel._verify.model import Finding, Verified
    from fastwheel.plan import Plan
    from fastwheel.verdict import Options, Verdict
    from fastwheel.wheel.filename import WheelFileName
    from fastwheel.wheel.wheel import Wheel

__all__ = ["check_repaired", "known_faults"]

#: RECORD and WHEEL are written anew, and checked by the basic proof; these can only be the input's.
_REWRITTEN = frozenset(("FV110", "FV112", "FV113", "FV114", "FV115", "FV201", "FV202"))


def check_repaired(
    path: Path, filename: WheelFileName, before: Wheel, verdict: Verdict, plan: Plan, options: Options
) -> tuple[str, ...]:
    """Verify the wheel at `path`, which is to be named `filename`; return its errors that are the input's as notes.

    Args:
        path: the temporary file.
        filename: the name that it will bear.
        before: the input, still open.
        verdict: the audit of the input: what was excluded, the user answers for.
        plan: what was to be done.
        options: how the input was looked at.

    Raises:
        FastwheelError: FW613, the output has an error that the input does not have.
    """
    from fastwheel.wheel.wheel import Wheel

    tags = filename.platform_tags
    with Wheel.open(path, Limits.unlimited(), filename=filename.name) as after:
        output = _verified(after, tags, verdict, options)
        errors = [item for item in output.at("error") if options.isa_check or item.code != "FV405"]
        if not errors:
            return ()
        moved = {patch.moved_to: patch.member for patch in plan.patches if patch.moved_to is not None}
        known = {_key(item, {}) for item in _verified(before, tags, verdict, options).at("error")}
        new = [item for item in errors if _key(item, moved) not in known]
        if new:
            raise FastwheelError(
                f"the repaired wheel would not hold to its tags and was not written: {new[0].message}",
                code="FW613",
                details=tuple(_lines(new)),
                hint=new[0].hint or "--verify basic writes it all the same",
            )
        return tuple(_note(item) for item in errors)


def known_faults(wheel: Wheel, verdict: Verdict, options: Options) -> tuple[str, ...]:
    """Return the errors of a wheel that needs no repair, as notes."""
    found = _verified(wheel, wheel.filename.platform_tags, verdict, options)
    return tuple(_note(item) for item in found.at("error") if options.isa_check or item.code != "FV405")


def _verified(wheel: Wheel, tags: Sequence[str], verdict: Verdict, options: Options) -> Verified:
    provided = (*map(glob_escape, verdict.excluded), *options.allow)
    return verify_open(
        wheel,
        tags,
        provides=provided,
        patterns=provided,
        policy_file=options.policy_file,
        ignored=_REWRITTEN,
        jobs=options.jobs,
    )


def _key(item: Finding, moved: dict[str, str]) -> tuple[str, str]:
    member = item.member or ""
    return item.code, moved.get(member, member)


def _lines(items: Sequence[Finding]) -> Iterator[str]:
    for item in items:
        yield f"{item.code}: {item.message}"
        yield from (f"  {line}" for line in item.details)


def _note(item: Finding) -> str:
    return f"the wheel had this error before: {item.code}: {escape(item.message)}"
