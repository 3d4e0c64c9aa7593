"""`fastwheel verify`."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import click

from fastwheel.cli.options import limits_options, report_traffic, wheel_argument
from fastwheel.cli.root import Session, Verb, quiet_option, verbose_option
from fastwheel.cli.summary import append_summary, summary_option
from fastwheel.errors import FastwheelError

if TYPE_CHECKING:
    from pathlib import Path

    from fastwheel._verify.model import Verified
    from fastwheel.wheel.limits import Limits
    from fastwheel.wheel.remote import Url

__all__ = ["verify"]


@click.command(cls=Verb)
@wheel_argument(many=True, remote=True)
@click.option("--plat", metavar="TAG", help="Verify for this platform instead of the wheel's own tags.")
@click.option("--strict", is_flag=True, help="Fail on warnings, too.")
@click.option("--ignore", metavar="CODE", multiple=True, help="Leave out a finding, such as FV503 (repeatable).")
@click.option(
    "--provides",
    metavar="WHAT",
    multiple=True,
    help="Take a library as loaded by another package: a soname, a path with a /, or a wheel (repeatable).",
)
@click.option(
    "--policy",
    "policy_file",
    metavar="FILE",
    type=click.Path(),
    help="Read more platform policies from this file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
@summary_option
@limits_options
@verbose_option
@quiet_option
@click.pass_context
def verify(
    ctx: click.Context,
    wheel_file: tuple[Path | Url, ...],
    *,
    plat: str | None,
    strict: bool,
    ignore: tuple[str, ...],
    provides: tuple[str, ...],
    policy_file: str | None,
    as_json: bool,
    summary: str | None,
    limits: Limits,
) -> int:
    """Prove that wheels load on every system that their tags promise, or say why not.

    Exit status: 0 proved, 1 findings.
    """
    from fastwheel._verify.run import verify as run
    from fastwheel.report.text import error_block
    from fastwheel.report.verify import annotate, refused_annotation, verify_document, verify_text

    session = ctx.ensure_object(Session)
    github = os.environ.get("GITHUB_ACTIONS") == "true"
    results: list[Verified | tuple[str, FastwheelError]] = []
    status = 0
    for path in wheel_file:
        try:
            verified = run(
                path,
                plat=plat,
                provides=provides,
                ignore=ignore,
                strict=strict,
                policy_file=policy_file,
                limits=limits,
            )
        except FastwheelError as error:
            if len(wheel_file) == 1 and not as_json and not github and summary is None:
                raise
            # The other wheels are still worth a look.
            click.echo(error_block(error), err=True)
            if github:
                click.echo(refused_annotation(str(path), error), err=as_json)
            results.append((path.name, error))
            status = max(status, error.exit_status)
            continue
        report_traffic(path)
        results.append(verified)
        status = max(status, 0 if verified.proved else 1)
        if not as_json and not (session.quiet and verified.proved):
            click.echo(verify_text(verified, verbose=session.verbose > 0))
        if github:
            for line in annotate(str(path), verified.findings):
                click.echo(line, err=as_json)
    if as_json:
        click.echo(json.dumps(verify_document(results), indent=4))
    if summary is not None:
        from fastwheel.report.summary import verify_summary

        append_summary(summary, verify_summary(results))
    return status
