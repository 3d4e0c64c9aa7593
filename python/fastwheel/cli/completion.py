"""`fastwheel completion`."""

from __future__ import annotations

import click

from fastwheel.cli.root import Verb, verbose_option

__all__ = ["completion"]


@click.command(cls=Verb)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@verbose_option
def completion(shell: str) -> int:
    """Print what a shell needs to complete verbs, options and file names.

    The script goes where the shell reads its settings, or is read from them.
    """
    from click.shell_completion import ShellComplete, get_completion_class

    from fastwheel.cli.root import root

    kind = get_completion_class(shell)
    assert kind is not None
    # Not the class's own source(): for bash it starts one to ask for its version.
    click.echo(ShellComplete.source(kind(root, {}, "fastwheel", "_FASTWHEEL_COMPLETE")))
    return 0
