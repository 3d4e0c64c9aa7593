"""The `fastwheel` command: global options and the verbs, each imported only when it is used."""

from __future__ import annotations

import os
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from fastwheel.cli.terminal import COLORS, Progress, annotation, color, paint
from fastwheel.errors import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fastwheel.wheel.remote import Url

__all__ = ["Session", "Verb", "note", "quiet_option", "root", "verbose_option", "working_on"]

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
    "completion": "Print what a shell needs to complete verbs, options and file names.",
}


class Session:
    """What the global options asked for.

    Attributes:
        verbose: how often -v was given.
        quiet: whether -q was.
        show_settings: whether to print the settings instead of doing anything.
        file: the settings file, if one is used.
    """

    def __init__(self) -> None:
        self.verbose = 0
        self.quiet = False
        self.show_settings = False
        self.file: Path | None = None


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
    """A verb whose options may be set by a file and the environment, and shortened as long as they stay unique.

    Long options may be shortened because argparse users are used to it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        from fastwheel.cli.config import read_environment

        read_environment(self)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        params = super().get_params(ctx)
        if _session(ctx).show_settings:  # it needs no wheel
            return [param for param in params if isinstance(param, click.Option)]
        return params

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.allow_extra_args = ctx.allow_extra_args or _session(ctx).show_settings
        try:
            return super().parse_args(ctx, _spelled_out(args, self.get_params(ctx), ctx))
        except click.BadParameter as error:
            from fastwheel.cli.config import misplaced

            raise misplaced(ctx, error, _session(ctx).file) from None

    def invoke(self, ctx: click.Context) -> Any:
        session = _session(ctx)
        if session.show_settings:
            from fastwheel.cli.config import settings_text

            click.echo(settings_text(ctx))
            return 0
        wheels = ctx.params.get("wheel_file") or ctx.params.get("file") or ctx.params.get("after")
        if self.name not in _DOING or not wheels:
            return super().invoke(ctx)
        with Progress(_doing(self.name, wheels), on=not session.quiet) as progress:
            ctx.meta[_PROGRESS] = progress
            return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from fastwheel.cli.examples import EXAMPLES

        with formatter.section("Examples"):
            for line, why in EXAMPLES.get(self.name or "", ()):
                formatter.write_text(f"# {why}")
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")


#: What is said on a terminal while a verb that reads wheels is at work.
_DOING = {
    "show": "reading",
    "repair": "repairing",
    "verify": "verifying",
    "explain": "reading",
    "tree": "reading",
    "report": "reading",
    "diff": "comparing",
}
_PROGRESS = "fastwheel.progress"


def _doing(verb: str, wheels: Path | Url | tuple[Path | Url, ...]) -> str:
    if not isinstance(wheels, tuple):
        return f"{_DOING[verb]} {escape(wheels.name)}"
    return f"{_DOING[verb]} {escape(wheels[0].name)}" if len(wheels) == 1 else f"{_DOING[verb]} {len(wheels)} wheels"


def working_on(ctx: click.Context, path: Path, number: int, count: int) -> None:
    """Say which wheel it is now, where somebody watches."""
    progress = ctx.meta.get(_PROGRESS)
    if progress is not None and ctx.command.name:
        of = f" ({number} of {count})" if count > 1 else ""
        progress.text = _doing(ctx.command.name, path) + of


def _session(ctx: click.Context) -> Session:
    found = ctx.find_object(Session)
    return found if found is not None else Session()


def _spelled_out(args: list[str], params: Iterable[click.Parameter], ctx: click.Context) -> list[str]:
    """Replace each unique prefix of a long option, and each short option that stands alone, by the long option.

    click would look for what a short option resembles before it tries it, which takes longer than reading a wheel.
    """
    long: dict[str, str] = {}
    with_value: set[str] = set()
    for param in params:
        for names in (param.opts, param.secondary_opts):
            whole = [name for name in names if name.startswith("--")]
            long.update({name: name if name in whole else whole[0] for name in names if whole})
        if isinstance(param, click.Option) and not param.is_flag and not param.count:
            with_value.update(param.opts)
    result: list[str] = []
    rest = iter(args)
    for arg in rest:
        if arg == "--":
            return [*result, arg, *rest]
        name, equals, value = arg.partition("=")
        if name.startswith("--") and name not in long:
            fitting = [candidate for candidate in long if candidate.startswith(name)]
            if len(fitting) > 1:
                raise click.UsageError(f"{name} could be {' or '.join(fitting)}", ctx)
            name = fitting[0] if fitting else name
        elif arg in long:
            name = long[arg]
        result.append(name + equals + value)
        if name in with_value and not equals:
            result.extend(islice(rest, 1))
    return result


def _more_verbose(ctx: click.Context, param: click.Parameter, value: int) -> None:
    ctx.ensure_object(Session).verbose += value


def _color(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None or ctx.parent is None:
        ctx.color = color(value, os.environ)


def verbose_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add -v and --color, which may stand before or after the verb."""
    function = click.option(
        "--color",
        type=click.Choice(COLORS),
        expose_value=False,
        callback=_color,
        envvar="FASTWHEEL_COLOR",
        help="Colour what is printed; auto (the default): on terminals, unless NO_COLOR is set.",
    )(function)
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
    """Print one line for the user on stderr; GitHub shows a warning beside its log, too."""
    click.echo(paint(f"{kind}: {message}"), err=True)
    if kind == "warning" and os.environ.get("GITHUB_ACTIONS") == "true":
        click.echo(annotation(kind, "fastwheel", message), err=True)


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from fastwheel import __version__, engine

        click.echo(f"fastwheel {__version__} ({engine.name()} engine)")
        ctx.exit()


@click.group(
    cls=_Verbs,
    invoke_without_command=True,
    no_args_is_help=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "-V",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Show the version.",
)
@click.option(
    "--config",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    envvar="FASTWHEEL_CONFIG",
    help="Read settings from this file instead of the nearest pyproject.toml with a table [tool.fastwheel].",
)
@click.option("--no-config", is_flag=True, help="Read settings from no file.")
@click.option("--show-settings", is_flag=True, help="Print each setting and where it comes from; do nothing.")
@verbose_option
@click.pass_context
def root(ctx: click.Context, *, file: Path | None, no_config: bool, show_settings: bool) -> int:
    """Repair Linux wheels: graft external shared libraries, set manylinux and musllinux tags, prove the result.

    Options may be set in pyproject.toml, in a table [tool.fastwheel], and by variables FASTWHEEL_*; the command line
    wins over variables, these over the file.
    """
    from fastwheel.cli.config import NOT_VERBS, default_map, every_verb, settings_text

    session = ctx.ensure_object(Session)
    session.show_settings = show_settings
    if ctx.invoked_subcommand is None and not show_settings:
        raise click.UsageError("Missing command.", ctx)
    if no_config and file is not None and ctx.get_parameter_source("file") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--config and --no-config exclude each other", ctx)
    if not no_config and ctx.invoked_subcommand not in NOT_VERBS:
        session.file, ctx.default_map = default_map(ctx, file)
    if show_settings:
        click.echo(f"# {'no settings file' if session.file is None else escape(str(session.file))}")
    if ctx.invoked_subcommand is None:
        for name, command in every_verb(ctx).items():
            with command.make_context(name, [], parent=ctx) as inner:
                click.echo("\n" + settings_text(inner))
    return 0
