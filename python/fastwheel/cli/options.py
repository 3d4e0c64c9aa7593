"""Options that several verbs share."""

from __future__ import annotations

import re
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from fastwheel.errors import escape
from fastwheel.wheel.limits import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastwheel.wheel.remote import Url

__all__ = [
    "WheelOrUrl",
    "isa_option",
    "limits_options",
    "pure_option",
    "report_traffic",
    "search_options",
    "size",
    "wheel_argument",
]


def _existing_file(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Refuse what is not there, in the words that scripts look for."""
    for path in value if isinstance(value, tuple) else (value,):
        try:
            there = not isinstance(path, Path) or path.exists()
        except (OSError, ValueError):
            there = True  # opening it says what is wrong
        if not there:
            raise click.UsageError(f"cannot access {escape(str(path))}. No such file", ctx)
    return value


class WheelOrUrl(click.Path):
    """A path, or an https address."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from fastwheel.wheel.remote import Url, is_url

        if isinstance(value, str) and is_url(value):
            return Url(value)
        return super().convert(value, param, ctx)


def wheel_argument(*, many: bool, remote: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The wheel, or the wheels, to work on; with `remote` an https address will do, and the verb gets an `Url`."""
    return click.argument(
        "wheel_file",
        metavar="WHEEL_FILE" + ("..." if many else ""),
        nargs=-1 if many else 1,
        required=True,
        type=(WheelOrUrl if remote else click.Path)(path_type=Path, readable=False),
        callback=_existing_file,
    )


def report_traffic(wheel: Path | Url) -> None:
    """Say on stderr what was read of a remote wheel."""
    from fastwheel.report.text import size_text

    if not isinstance(wheel, Path) and wheel.total:
        times = "1 request" if wheel.requests == 1 else f"{wheel.requests} requests"
        message = f"read {size_text(wheel.fetched)} of {size_text(wheel.total)} from {escape(wheel.host)} in {times}"
        click.echo(f"note: {message}", err=True)


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
        type=click.Path(path_type=Path, readable=False),
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


_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def size(text: str) -> int:
    """A number of bytes, with or without a unit: 800, 64K, 1.5G, 2GiB. Units are powers of 1024."""
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?) ?(?:([KMGT])i?)?B?", text.strip(), re.ASCII | re.IGNORECASE)
    if found is None:
        raise click.BadParameter(f"'{escape(text)}' is no size, such as 800, 64K, 1.5G or 2GiB")
    return int(float(found[1]) * _UNITS[(found[2] or "").upper()])


def _count(text: str) -> int:
    """A whole number above zero."""
    if not re.fullmatch(r"\d{1,18}", text.strip(), re.ASCII) or not int(text):
        raise click.BadParameter(f"'{escape(text)}' is no number above zero")
    return int(text)


#: The attribute of `Limits`, how its option is spelled, what kind it is, and its help.
_LIMITS: Final[tuple[tuple[str, str, Callable[[str], int], str], ...]] = (
    ("total_size", "SIZE", size, "how large all contents together may be"),
    ("ratio", "N", _count, "how many times a member, or the wheel, may inflate"),
    ("members", "N", _count, "how many files and folders it may hold"),
    ("name_length", "N", _count, "how many bytes a member's name may have"),
    ("depth", "N", _count, "how many parts a member's name may have"),
    ("elf_size", "SIZE", size, "how large one ELF file may be"),
    ("needed", "N", _count, "how many different libraries its ELF files may need"),
    ("metadata_size", "SIZE", size, "how large METADATA may be"),
)


def limits_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What a wheel may claim: `--untrusted`, and an option to raise each limit. The verb gets `limits: Limits`."""

    @wraps(function)
    def with_limits(*args: Any, untrusted: bool, **options: Any) -> Any:
        from fastwheel.wheel.limits import Limits

        given = {name: options.pop(f"max_{name}") for name, *_ in _LIMITS}
        limits = Limits.untrusted() if untrusted else Limits()
        chosen = {name: value for name, value in given.items() if value is not None}
        return function(*args, limits=limits._replace(**chosen), **options)

    decorated: Callable[..., Any] = with_limits
    for name, metavar, kind, text in reversed(_LIMITS):
        option = OPTIONS[name]
        decorated = click.option(option, f"max_{name}", metavar=metavar, type=kind, help=f"Limit {text}.")(decorated)
    return click.option(
        "--untrusted", is_flag=True, help="Hold the wheel to tighter limits, each of which an option below sets."
    )(decorated)


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
