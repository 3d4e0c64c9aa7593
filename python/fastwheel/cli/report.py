"""`fastwheel report`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fastwheel.cli.options import WheelOrUrl, limits_options, report_traffic, search_options, wheel_argument
from fastwheel.cli.root import Session, Verb, note, quiet_option, verbose_option
from fastwheel.errors import escape

if TYPE_CHECKING:
    from fastwheel.wheel.limits import Limits
    from fastwheel.wheel.remote import Url

__all__ = ["report"]


@click.command(cls=Verb)
@wheel_argument(many=False, remote=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    default=Path("report.html"),
    show_default=True,
    help="Write the page here; - is stdout.",
)
@click.option(
    "--before",
    type=WheelOrUrl(path_type=Path),
    metavar="WHEEL",
    help="The wheel that it was made of: the page then says what changed.",
)
@search_options
@limits_options
@verbose_option
@quiet_option
@click.pass_context
def report(
    ctx: click.Context,
    wheel_file: Path | Url,
    *,
    output: Path,
    before: Path | Url | None,
    exclude: tuple[str, ...],
    include: tuple[str, ...],
    allow: tuple[str, ...],
    policy_file: Path | None,
    lib_paths: tuple[str, ...],
    ldpaths: str | None,
    limits: Limits,
) -> int:
    """Write a page about a wheel: verdict, dependencies as a picture, findings, grafts and their origins, sizes."""
    from fastwheel._overview import overview
    from fastwheel.report.html import html_page
    from fastwheel.wheel.output import write_atomically

    seen = overview(
        wheel_file,
        before=before,
        exclude=exclude,
        include=include,
        allow=allow,
        policy_file=policy_file,
        lib_paths=lib_paths,
        ldpaths=ldpaths,
        limits=limits,
    )
    for wheel in (before, wheel_file):
        if wheel is not None:
            report_traffic(wheel)
    page = html_page(seen)
    if str(output) == "-":
        click.echo(page, nl=False)
        return 0

    def fill(fd: int) -> None:
        view = memoryview(page.encode())
        while view:
            view = view[os.write(fd, view) :]

    write_atomically(output, fill)
    if not ctx.ensure_object(Session).quiet:
        note(f"written to {escape(str(output))}", "report")
    return 0
