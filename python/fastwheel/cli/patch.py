"""`fastwheel patch`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from fastwheel._elf.model import Edit
from fastwheel.cli.root import Verb, verbose_option

__all__ = ["patch"]


@click.command(cls=Verb)
@click.argument("file", type=click.Path(path_type=Path, readable=False))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, readable=False),
    metavar="OUT",
    help="Write here instead of in place.",
)
@click.option("--set-soname", metavar="NAME", help="Set DT_SONAME.")
@click.option("--set-runpath", metavar="PATH", help="Set DT_RUNPATH; DT_RPATH goes.")
@click.option("--set-rpath", metavar="PATH", help="Set DT_RPATH; DT_RUNPATH goes.")
@click.option("--remove-rpath", is_flag=True, help="Drop DT_RUNPATH and DT_RPATH.")
@click.option("--add-needed", metavar="NAME", multiple=True, help="Append to DT_NEEDED, unless there (repeatable).")
@click.option("--remove-needed", metavar="NAME", multiple=True, help="Drop from DT_NEEDED (repeatable).")
@click.option(
    "--replace-needed", metavar="OLD NEW", nargs=2, multiple=True, help="Rename in DT_NEEDED and versions (repeatable)."
)
@click.option("--drop-versions", is_flag=True, help="Let --remove-needed drop the versions needed of that library too.")
@click.option("--print", "print_", is_flag=True, help="Show what the dynamic section says; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="With --print: as JSON.")
@verbose_option
def patch(
    file: Path,
    *,
    output: Path | None,
    set_soname: str | None,
    set_runpath: str | None,
    set_rpath: str | None,
    remove_rpath: bool,
    add_needed: tuple[str, ...],
    remove_needed: tuple[str, ...],
    replace_needed: tuple[tuple[str, str], ...],
    drop_versions: bool,
    print_: bool,
    as_json: bool,
) -> int:
    """Edit the dynamic section of one ELF file, in place and atomically, or into OUT."""
    from fastwheel._patch import facts_of, patch_file
    from fastwheel.report.elf import facts_document, facts_text

    edit = Edit(
        soname=set_soname,
        runpath=set_runpath,
        rpath=set_rpath,
        remove_rpath=remove_rpath,
        replace_needed=replace_needed,
        remove_needed=remove_needed,
        add_needed=add_needed,
        drop_versions=drop_versions,
    )
    if sum((set_runpath is not None, set_rpath is not None, remove_rpath)) > 1:
        raise click.UsageError("--set-runpath, --set-rpath and --remove-rpath exclude each other")
    if print_:
        if edit != Edit() or output is not None:
            raise click.UsageError("--print changes nothing: give it without other options but --json")
        facts = facts_of(file)
        click.echo(json.dumps(facts_document(facts), indent=4) if as_json else facts_text(facts))
        return 0
    if as_json:
        raise click.UsageError("--json goes with --print")
    if edit == Edit():
        raise click.UsageError("nothing to change was given")
    patch_file(file, edit, output)
    return 0
