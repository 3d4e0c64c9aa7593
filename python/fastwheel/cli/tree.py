"""`fastwheel tree`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fastwheel.cli.options import WheelOrUrl, limits_options, pure_option, report_traffic, search_options
from fastwheel.cli.root import Session, Verb, note, verbose_option
from fastwheel.errors import FastwheelError

if TYPE_CHECKING:
    from fastwheel._tree import Tree
    from fastwheel.wheel.limits import Limits
    from fastwheel.wheel.remote import Url

__all__ = ["tree"]

_FORMATS = ("text", "json", "dot", "mermaid", "svg")


@click.command(cls=Verb)
@click.argument("file", metavar="WHEEL|FILE", type=WheelOrUrl(path_type=Path, readable=False))
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMATS),
    default="text",
    show_default=True,
    help="How to show it; dot is for graphviz, mermaid for Markdown, svg a picture.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--plat",
    metavar="TAG",
    default="auto",
    help="End at the libraries that this platform allows; by default, of a wheel: the one that a repair would reach.",
)
@pure_option
@search_options
@limits_options
@verbose_option
@click.pass_context
def tree(
    ctx: click.Context,
    file: Path | Url,
    *,
    form: str,
    as_json: bool,
    plat: str,
    allow_pure_python_wheel: bool,
    exclude: tuple[str, ...],
    include: tuple[str, ...],
    allow: tuple[str, ...],
    policy_file: Path | None,
    lib_paths: tuple[str, ...],
    ldpaths: str | None,
    limits: Limits,
) -> int:
    """Say what each ELF file of a wheel, or one ELF file, needs, where each library was found, and why there."""
    from fastwheel._tree import tree as look

    form = "json" if as_json else form
    try:
        found = look(
            file,
            plat=plat,
            exclude=exclude,
            include=include,
            allow=allow,
            policy_file=policy_file,
            lib_paths=lib_paths,
            ldpaths=ldpaths,
            limits=limits,
        )
    except FastwheelError as error:
        pure = error.code == "FW600" and allow_pure_python_wheel
        if form == "json":
            said: dict[str, object] = {"version": 1, "name": file.name}
            said |= {"pure": True} if pure else {"error": error.message, "code": error.code}
            click.echo(json.dumps(said, indent=4))
        if pure:
            note(error.message)
            return 0
        raise
    for text in found.notes:
        note(text, "warning")
    report_traffic(file)
    click.echo(_rendered(found, form, verbose=ctx.ensure_object(Session).verbose > 0))
    return 0


def _rendered(found: Tree, form: str, *, verbose: bool) -> str:
    """The tree in one of the formats, without the last line break."""
    if form == "json":
        return json.dumps(found.to_dict(), indent=4)
    if form == "text":
        from fastwheel.report.tree import tree_text

        return tree_text(found, verbose=verbose, ascii_only=not _can_draw())
    if form == "dot":
        from fastwheel.report.dot import tree_dot

        return tree_dot(found).rstrip("\n")
    if form == "mermaid":
        from fastwheel.report.mermaid import tree_mermaid

        return tree_mermaid(found).rstrip("\n")
    from fastwheel.report.svg import tree_svg

    return tree_svg(found).rstrip("\n")


def _can_draw() -> bool:
    """Whether stdout's encoding has the characters that trees are drawn with."""
    try:
        "├└│─→".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
