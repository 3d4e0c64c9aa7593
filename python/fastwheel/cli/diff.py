"""`fastwheel diff`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fastwheel.cli.options import WheelOrUrl, limits_options, report_traffic
from fastwheel.cli.root import Session, Verb, note, verbose_option
from fastwheel.errors import FastwheelError

if TYPE_CHECKING:
    from fastwheel.wheel.limits import Limits
    from fastwheel.wheel.remote import Url

__all__ = ["diff"]


class _TroubleError(FastwheelError):
    """A fault of `diff`, whose status 1 means "different": all others are 2 and more, as in diff(1)."""

    @property
    def exit_status(self) -> int:
        return max(super().exit_status, 2)


@click.command(cls=Verb)
@click.argument("before", metavar="BEFORE", type=WheelOrUrl(path_type=Path, readable=False))
@click.argument("after", metavar="AFTER", type=WheelOrUrl(path_type=Path, readable=False))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
@click.option(
    "--contents", is_flag=True, help="Compare all contents by SHA-256; without it equal sizes and CRCs are enough."
)
@click.option(
    "--content-only",
    is_flag=True,
    help="Succeed where only the archives differ: the order of members, time stamps, compression.",
)
@limits_options
@verbose_option
@click.pass_context
def diff(
    ctx: click.Context,
    before: Path | Url,
    after: Path | Url,
    *,
    as_json: bool,
    contents: bool,
    content_only: bool,
    limits: Limits,
) -> int:
    """Say what differs between two wheels, or two ELF files. Status 0: equal, 1: different, 2: trouble."""
    from fastwheel._diff import diff as compare
    from fastwheel.report.diff import diff_text

    try:
        found = compare(before, after, contents=contents, limits=limits)
    except FastwheelError as error:
        if as_json:
            click.echo(json.dumps({"version": 1, "error": error.message, "code": error.code}, indent=4))
        raise _TroubleError(error.message, code=error.code, details=error.details, hint=error.hint) from error
    for text in found.notes:
        note(text, "warning")
    report_traffic(before)
    report_traffic(after)
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=4))
    else:
        click.echo(diff_text(found, verbose=ctx.ensure_object(Session).verbose > 0))
    return 0 if found.equal or (content_only and found.same_content) else 1
