"""The `fastwheel` command: global options and the verbs, each imported only when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Session", "Verb", "note", "quiet_option", "root", "verbose_option"]

_VERBS = {
    "show": "Say which platform tags hold for a wheel, and what it leans on.",
    "repair": "Graft the external libraries of wheels and give them portable tags.",
    "tree": "Say what each ELF file of a wheel needs, where it was found, and why there.",
    "verify": "Prove that wheels load on every system that their tags promise, or say why not.",
    "diff": "Say what differs between two wheels, such as before and after a repair.",
    "explain": "Say why a wheel has the tag that it has, and what to change for another one.",
    "report": "Write a page about a wheel: verdict, picture, grafts, sizes.",
    "patch": "Edit the dynamic section of one ELF file.",
    "lddtree": "Say what one ELF file of this machine needs, as JSON.",
}


class Session:
    """What the global options asked for: `verbose`, how often -v was given; `quiet`, whether -q was."""

    def __init__(self) -> None:
        self.verbose = 0
        self.quiet = False


class _Verbs(click.Group):
    """A group that knows its verbs by name and imports each from `fastwheel.cli.<verb>`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return None
        command = getattr(import_module(f"fastwheel.cli.{cmd_name}"), cmd_name)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_VERBS.items()))


class Verb(click.Command):
    """A verb whose long options may be shortened as long as they stay unique, as argparse users are used to."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        names = [name for param in self.get_params(ctx) for name in (*param.opts, *param.secondary_opts)]
        long_names = [name for name in names if name.startswith("--")]
        return super().parse_args(ctx, list(_lengthened(args, long_names, ctx)))


def _lengthened(args: list[str], names: list[str], ctx: click.Context) -> list[str]:
    """Replace each unique prefix of a long option by the option."""
    result: list[str] = []
    for index, arg in enumerate(args):
        if arg == "--":
            return result + args[index:]
        name, equals, value = arg.partition("=")
        if name.startswith("--") and name not in names:
            fitting = [candidate for candidate in names if candidate.startswith(name)]
            if len(fitting) > 1:
                raise click.UsageError(f"{name} could be {' or '.join(fitting)}", ctx)
            name = fitting[0] if fitting else name
        result.append(name + equals + value)
    return result


def _more_verbose(ctx: click.Context, param: click.Parameter, value: int) -> None:
    ctx.ensure_object(Session).verbose += value


def verbose_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add -v, which may stand before or after the verb."""
    return click.option(
        "-v",
        "--verbose",
        count=True,
        expose_value=False,
        callback=_more_verbose,
        help="Say more; repeat for more.",
    )(function)


def _quieter(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Session).quiet = True


def quiet_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add -q: only warnings and errors are printed."""
    return click.option(
        "-q", "--quiet", is_flag=True, expose_value=False, callback=_quieter, help="Print warnings and errors only."
    )(function)


def note(message: str, kind: str = "note") -> None:
    """Print one line for the user on stderr."""
    click.echo(f"{kind}: {message}", err=True)


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from fastwheel import __version__, engine

        click.echo(f"fastwheel {__version__} ({engine.name()} engine)")
        ctx.exit()


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "-V",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Show the version.",
)
@verbose_option
@click.pass_context
def root(ctx: click.Context) -> None:
    """Repair Linux wheels: graft external shared libraries, set manylinux and musllinux tags, prove the result."""
    ctx.ensure_object(Session)
