"""The command line: one file a verb, no logic. `main` turns every fault into one error block and an exit status."""

from __future__ import annotations

import errno
import gc
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from fastwheel.errors import FastwheelError, escape

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main", "run"]


def run() -> NoReturn:
    """Do what `main` does and end the process at once.

    Python takes all modules and objects apart before it exits, which lasts as long as a small command itself. All
    files are closed and all threads are done by then; only whoever traces the process wants to see the end.
    """
    try:
        main()
    except SystemExit as end:
        if sys.gettrace() is not None or sys.getprofile() is not None or not isinstance(end.code, int):
            raise
        try:
            sys.stderr.flush()
        finally:
            os._exit(end.code)


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line with `args` (default: those of the process) and exit.

    Exit status: 0 done; 1 this wheel can't be handled; 2 usage, or "cannot repair to that platform"; 70 a fault of
    fastwheel itself; 130 interrupted (`docs/errors.md`).
    """
    from fastwheel.cli.streams import settle

    settle()
    if args is None:
        # One command and the process ends: looking for cycles among what was imported is a tenth of a small one's time.
        gc.set_threshold(100_000)
    arguments = list(sys.argv[1:] if args is None else args)
    status = _run(arguments)
    try:
        sys.stdout.flush()
    except OSError:
        _drop_stdout()
        status = status or 1
    sys.exit(status)


def _run(arguments: list[str]) -> int:
    import click

    from fastwheel.cli.root import root

    try:
        result = root.main(args=arguments, prog_name="fastwheel", standalone_mode=False)
    except FastwheelError as error:
        return _report(error, arguments)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "")
        return 0
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "fastwheel"
        return _report(
            FastwheelError(error.format_message().rstrip("."), code="FW800", hint=f"see {command} --help"),
            arguments,
        )
    except (click.Abort, KeyboardInterrupt):
        sys.stderr.write("error: interrupted\n")
        return 130
    except BrokenPipeError:
        _drop_stdout()
        return 1
    except (OSError, MemoryError) as error:
        if sys.platform == "win32" and _names_no_file(error):
            _drop_stdout()  # what Windows says of a pipe that nobody reads any more
            return 1
        return _report(_of_the_machine(error), arguments, error)
    except Exception as error:
        if "can't start new thread" in str(error):
            return _report(_of_the_machine(error), arguments, error)
        fault = FastwheelError(
            f"fastwheel has a fault: {type(error).__name__}: {error}",
            code="FW900",
            hint="please report it with the wheel's name and the output of the same command with -v -v",
        )
        return _report(fault, arguments, error)
    return result if isinstance(result, int) else 0


def _report(error: FastwheelError, arguments: list[str], cause: BaseException | None = None) -> int:
    """Print the error block, and with `-v -v` the traceback behind it."""
    from fastwheel.report.text import error_block

    block = error_block(error)
    if _verbosity(arguments) >= 2:
        import traceback

        block += "\n" + "".join(traceback.format_exception(cause or error)).rstrip()
    text = block.encode("utf-8", "backslashreplace").decode()
    from fastwheel.cli.terminal import annotation, asked_color, paint

    colored = asked_color(arguments, os.environ)
    sys.stderr.write((paint(text) if (sys.stderr.isatty() if colored is None else colored) else text) + "\n")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        sys.stderr.write(annotation("error", f"fastwheel {error.code}", text.removeprefix("error: ")) + "\n")
    return error.exit_status


def _names_no_file(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno == errno.EINVAL and error.filename is None


def _of_the_machine(error: Exception) -> FastwheelError:
    """The error for what the machine refused at a moment when nobody expected it."""
    number = error.errno if isinstance(error, OSError) else None
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or "not enough memory"
    name = error.filename if isinstance(error, OSError) else None
    where = f" ({escape(str(name))})" if name is not None else ""
    code, hint = "FW700", None
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        code, hint = "FW703", "free some space where the output goes"
    elif number is None or number in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN):
        code, hint = "FW706", "let this process have more memory, threads or open files (ulimit)"
    return FastwheelError(f"the system does not let fastwheel go on: {escape(reason)}{where}", code=code, hint=hint)


def _verbosity(arguments: list[str]) -> int:
    """How often -v was given, also when the arguments did not parse."""
    short = [a for a in arguments if a.startswith("-v") and set(a[1:]) == {"v"}]
    return sum(len(a) - 1 for a in short) + arguments.count("--verbose")


def _drop_stdout() -> None:
    """The reader of our output is gone: keep the interpreter from complaining about it at exit."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
