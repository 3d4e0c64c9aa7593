"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fastwheel.errors import escape

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["isa_option", "pure_option", "search_options", "wheel_argument"]


def _existing_file(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Refuse what is not there, in the words that scripts look for."""
    for path in value if isinstance(value, tuple) else (value,):
        if not path.exists():
            raise click.UsageError(f"cannot access {escape(str(path))}. No such file", ctx)
    return value


def wheel_argument(*, many: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The wheel, or the wheels, to work on."""
    return click.argument(
        "wheel_file",
        metavar="WHEEL_FILE" + ("..." if many else ""),
        nargs=-1 if many else 1,
        required=True,
        type=click.Path(path_type=Path),
        callback=_existing_file,
    )


def search_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Where libraries are looked for, and which are left alone."""
    function = click.option(
        "--exclude",
        metavar="PATTERN",
        multiple=True,
        help="Do not graft libraries whose soname or real path matches this glob (repeatable).",
    )(function)
    function = click.option(
        "--include",
        metavar="WHAT[:DIR]",
        multiple=True,
        help="Take a library (by name), file, folder or glob along although nothing needs it; DIR is relative to"
        " site-packages, by default the folder of grafts (repeatable).",
    )(function)
    function = click.option(
        "--allow",
        metavar="PATTERN",
        multiple=True,
        help="Take libraries whose soname matches this glob as provided by the target (repeatable).",
    )(function)
    function = click.option(
        "--policy",
        "policy_file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Read more platform policies from this file.",
    )(function)
    function = click.option(
        "--lib-path",
        "lib_paths",
        metavar="DIR",
        multiple=True,
        help="Search this folder before all others (repeatable).",
    )(function)
    return click.option(
        "--ldpaths",
        metavar="DIR[:DIR...]",
        help="Search these folders instead of ld.so.conf and LD_LIBRARY_PATH; empty searches none.",
    )(function)


def isa_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Whether instruction sets count."""
    return click.option(
        "--disable-isa-ext-check",
        is_flag=True,
        help="Accept instruction sets beyond the baseline of the architecture.",
    )(function)


def pure_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Whether a wheel without compiled code is a success."""
    return click.option("--allow-pure-python-wheel", is_flag=True, help="Succeed on wheels without compiled code.")(
        function
    )
