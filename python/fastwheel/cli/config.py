"""How settings reach the verbs: the options that a file or the environment may set, and what `--show-settings` prints.

The command line wins over the environment, that over the file, that over what is built in: click's own order, for which
the file is its `default_map`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from fastwheel.errors import FastwheelError, escape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fastwheel.settings import Known

__all__ = [
    "NOT_VERBS",
    "default_map",
    "every_verb",
    "key_of",
    "misplaced",
    "read_environment",
    "settable",
    "settings_text",
]

#: Verbs whose options are what is to be done, and options that say what to print this once.
NOT_VERBS: Final = frozenset({"patch", "lddtree", "completion"})
_NOT_OPTIONS: Final = frozenset({"as_json", "dry_run", "output", "before", "verbose", "color", "help"})
#: Options that mean something else to each verb: no variable sets them for all.
_EACH_ITS_OWN: Final = frozenset({"plat", "form"})

_SOURCES: Final = {
    ParameterSource.COMMANDLINE: "command line",
    ParameterSource.ENVIRONMENT: "environment",
    ParameterSource.DEFAULT_MAP: "file",
}


def key_of(option: click.Parameter) -> str:
    """The key of an option in a settings file: its long name without dashes."""
    return next(name for name in option.opts if name.startswith("--")).removeprefix("--")


def settable(command: click.Command) -> Iterator[click.Option]:
    """The options of a verb that a file or the environment may set."""
    if command.name in NOT_VERBS:
        return
    for option in command.params:
        if isinstance(option, click.Option) and option.name not in _NOT_OPTIONS:
            yield option


def read_environment(command: click.Command) -> None:
    """Have each settable option read `FASTWHEEL_<VERB>_<KEY>` and `FASTWHEEL_<KEY>`."""
    for option in settable(command):
        key = key_of(option).upper().replace("-", "_")
        names = [f"FASTWHEEL_{(command.name or '').upper()}_{key}"]
        if option.name not in _EACH_ITS_OWN:
            names.append(f"FASTWHEEL_{key}")
        own = [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or ())
        option.envvar = [*names[:1], *own, *(name for name in names[1:] if name not in own)]


def _known(commands: Mapping[str, click.Command]) -> Known:
    from fastwheel.settings import Setting

    known: Known = {}
    for verb, command in commands.items():
        options = {key_of(option): Setting(_kind(option), _is_path(option)) for option in settable(command)}
        if options:
            known[verb] = options
    return known


def _kind(option: click.Option) -> str:
    if option.is_flag:
        return "flag"
    if option.multiple:
        return "list"
    if isinstance(option.type, click.types.IntParamType):
        return "number"
    return "size" if option.metavar in ("SIZE", "N") else "text"


def _is_path(option: click.Option) -> bool:
    return isinstance(option.type, click.Path) or (option.metavar or "").startswith("DIR")


def every_verb(ctx: click.Context) -> dict[str, click.Command]:
    """The verbs that have settings, all of them imported."""
    group = ctx.find_root().command
    assert isinstance(group, click.Group)
    commands = {name: group.get_command(ctx, name) for name in group.list_commands(ctx)}
    return {name: command for name, command in commands.items() if command is not None and any(settable(command))}


def default_map(ctx: click.Context, file: Path | None) -> tuple[Path | None, dict[str, Any]]:
    """Return the settings file (`file`, or the nearest one) and what it sets, as click wants it.

    Raises:
        FastwheelError: FW801 the file is not as it should be.
    """
    from fastwheel.settings import find_settings, read_settings

    if file is None:
        file = find_settings(Path())
    if file is None:
        return None, {}
    commands = every_verb(ctx)
    values = read_settings(file, _known(commands))
    found: dict[str, Any] = {}
    for verb, settings in values.items():
        names = {key_of(option): option.name for option in settable(commands[verb])}
        found[verb] = {names[key]: value for key, value in settings.items()}
    return file, found


def misplaced(ctx: click.Context, error: click.BadParameter, file: Path | None) -> Exception:
    """Return the error for a bad value, which names the file or says that it was the environment, if it was."""
    source = ctx.get_parameter_source(error.param.name or "") if error.param is not None else None
    if error.param is None or source not in (ParameterSource.DEFAULT_MAP, ParameterSource.ENVIRONMENT):
        return error
    if source is ParameterSource.ENVIRONMENT:
        names = [error.param.envvar] if isinstance(error.param.envvar, str) else error.param.envvar or ()
        place = next((name for name in names if os.environ.get(name)), "environment")
    else:
        place = f"{escape(str(file))}: {key_of(error.param)}"
    message = error.message.rstrip(".")
    return FastwheelError(f"{place}: {message}", code="FW801" if source is ParameterSource.DEFAULT_MAP else "FW800")


def settings_text(ctx: click.Context) -> str:
    """The settings of one verb as a TOML table, each with where it comes from."""
    lines = [f"[tool.fastwheel.{ctx.info_name}]"]
    for option in settable(ctx.command):
        value = ctx.params.get(option.name or "", option.get_default(ctx))
        source = _SOURCES.get(ctx.get_parameter_source(option.name or ""), "default")  # type: ignore[arg-type]
        if not option.expose_value:
            value, source = _unexposed(ctx, option)
        shown = _toml(value)
        lines.append(f"{key_of(option)} = {shown}  # {source}" if shown is not None else f"# {key_of(option)} =")
    return "\n".join(lines)


def _unexposed(ctx: click.Context, option: click.Option) -> tuple[Any, str]:
    """The value of an option that click keeps to itself, as `-q` is."""
    value, source = option.consume_value(ctx, {})
    if source is ParameterSource.DEFAULT and ctx.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE:
        value, source = True, ParameterSource.COMMANDLINE
    return bool(value), _SOURCES.get(source, "default")


def _toml(value: Any) -> str | None:
    """A value as TOML writes it; None if there is none."""
    if value is None or repr(value) == "Sentinel.UNSET":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(item) or '""' for item in value) + "]"
    return json.dumps(escape(str(value)), ensure_ascii=False)
