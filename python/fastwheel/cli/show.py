"""`fastwheel show`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from fastwheel.cli.options import (
    isa_option,
    limits_options,
    pure_option,
    report_traffic,
    search_options,
    wheel_argument,
)
from fastwheel.cli.root import Session, Verb, note, verbose_option
from fastwheel.errors import FastwheelError

if TYPE_CHECKING:
    from pathlib import Path

    from fastwheel.wheel.limits import Limits
    from fastwheel.wheel.remote import Url

__all__ = ["show"]


@click.command(cls=Verb)
@wheel_argument(many=False, remote=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
@isa_option
@pure_option
@search_options
@limits_options
@verbose_option
@click.pass_context
def show(
    ctx: click.Context,
    wheel_file: Path | Url,
    *,
    as_json: bool,
    disable_isa_ext_check: bool,
    allow_pure_python_wheel: bool,
    exclude: tuple[str, ...],
    include: tuple[str, ...],
    allow: tuple[str, ...],
    policy_file: Path | None,
    lib_paths: tuple[str, ...],
    ldpaths: str | None,
    limits: Limits,
) -> int:
    """Say which platform tags hold for a wheel, and what it leans on."""
    from fastwheel._audit import audit
    from fastwheel.report.text import show_text

    try:
        verdict = audit(
            wheel_file,
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
        pure = error.code == "FW600" and allow_pure_python_wheel
        if as_json:
            said: dict[str, object] = {"version": 1, "wheel": wheel_file.name}
            said |= {"pure": True} if pure else {"error": error.message, "code": error.code}
            click.echo(json.dumps(said, indent=4))
        if pure:
            note(error.message)
            return 0
        raise
    for text in verdict.notes:
        note(text, "warning")
    report_traffic(wheel_file)
    if as_json:
        click.echo(json.dumps(verdict.to_dict(), indent=4))
    else:
        click.echo(show_text(verdict, verbose=ctx.ensure_object(Session).verbose > 0))
    return 0
