"""`fastwheel explain`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from fastwheel.cli.options import isa_option, limits_options, report_traffic, search_options, wheel_argument
from fastwheel.cli.root import Session, Verb, note, verbose_option
from fastwheel.errors import FastwheelError

if TYPE_CHECKING:
    from pathlib import Path

    from fastwheel.wheel.limits import Limits
    from fastwheel.wheel.remote import Url

__all__ = ["explain"]


@click.command(cls=Verb)
@wheel_argument(many=False, remote=True)
@click.option(
    "--plat", metavar="TAG", help="The platform tag to reach; without it the next better one than repair would give."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
@isa_option
@search_options
@limits_options
@verbose_option
@click.pass_context
def explain(
    ctx: click.Context,
    wheel_file: Path | Url,
    *,
    plat: str | None,
    as_json: bool,
    disable_isa_ext_check: bool,
    exclude: tuple[str, ...],
    include: tuple[str, ...],
    allow: tuple[str, ...],
    policy_file: Path | None,
    lib_paths: tuple[str, ...],
    ldpaths: str | None,
    limits: Limits,
) -> int:
    """Say why a wheel has the tag that it has, and what to change for another one."""
    from fastwheel._explain.run import explain as run
    from fastwheel.report.explain import explain_text

    try:
        explanation = run(
            wheel_file,
            plat=plat,
            exclude=exclude,
            include=include,
            allow=allow,
            policy_file=policy_file,
            lib_paths=lib_paths,
            ldpaths=ldpaths,
            isa_check=not disable_isa_ext_check,
            limits=limits,
        )
    except FastwheelError as error:
        if as_json:
            said = {"version": 1, "wheel": wheel_file.name, "error": error.message, "code": error.code}
            click.echo(json.dumps(said, indent=4))
        raise
    for text in explanation.notes:
        note(text, "warning")
    report_traffic(wheel_file)
    if as_json:
        click.echo(json.dumps(explanation.to_dict(), indent=4))
    else:
        click.echo(explain_text(explanation, verbose=ctx.ensure_object(Session).verbose > 0))
    return 0
