"""`fastwheel repair`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from fastwheel.cli.options import isa_option, limits_options, pure_option, search_options, size, wheel_argument
from fastwheel.cli.root import Session, Verb, note, quiet_option, verbose_option, working_on
from fastwheel.cli.summary import append_summary, summary_option
from fastwheel.errors import FastwheelError, escape

if TYPE_CHECKING:
    from fastwheel.repaired import Repaired
    from fastwheel.wheel.limits import Limits

__all__ = ["repair"]


@click.command(cls=Verb)
@wheel_argument(many=True)
@click.option(
    "-w",
    "--wheel-dir",
    type=click.Path(path_type=Path, readable=False),
    default=Path("wheelhouse"),
    show_default=True,
    help="Put the repaired wheels here.",
)
@click.option(
    "--plat",
    metavar="TAG",
    default="auto",
    show_default=True,
    envvar=["FASTWHEEL_PLAT", "AUDITWHEEL_PLAT"],
    help="The platform tag to reach, such as manylinux_2_28_x86_64; auto takes the best one.",
)
@click.option("--only-plat", is_flag=True, help="Do not add a better tag than --plat.")
@click.option("--no-update-tags", is_flag=True, help="Leave the file name and WHEEL as they are.")
@click.option(
    "-L",
    "--lib-sdir",
    metavar="SUFFIX",
    default=".libs",
    show_default=True,
    help="The folder for grafts is the project's name with this behind it.",
)
@click.option(
    "-z",
    "--zip-compression-level",
    "level",
    type=click.IntRange(0, 9),
    default=6,
    show_default=True,
    envvar=["FASTWHEEL_ZIP_COMPRESSION_LEVEL", "AUDITWHEEL_ZIP_COMPRESSION_LEVEL"],
    help="How hard to compress what is new.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=0),
    default=0,
    show_default="one for each processor",
    envvar="FASTWHEEL_JOBS",
    help="Use so many threads; the output is the same whatever their number.",
)
@click.option(
    "--cache-dir",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False, readable=False),
    envvar="FASTWHEEL_CACHE_DIR",
    help="Keep finished grafts in this folder, and use those that are there.",
)
@click.option(
    "--cache-size",
    metavar="SIZE",
    type=size,
    default="2GiB",
    show_default=True,
    envvar="FASTWHEEL_CACHE_SIZE",
    help="How large that folder may get, such as 500MiB.",
)
@click.option("--no-cache", is_flag=True, help="Keep nothing, whatever the environment says.")
@click.option("--force-rpath", is_flag=True, help="Write DT_RPATH instead of DT_RUNPATH.")
@click.option("--keep-rpath", is_flag=True, help="Keep search path entries that lead out of the installed tree.")
@click.option("--strip", is_flag=True, help="Drop symbol tables and debugging sections from all ELF files.")
@click.option(
    "--patcher",
    metavar="NAME",
    envvar=["FASTWHEEL_PATCHER", "AUDITWHEEL_PATCHER"],
    help="Accepted for auditwheel's sake; fastwheel always uses its own editor.",
)
@click.option(
    "--verify",
    type=click.Choice(["basic", "full"]),
    default="basic",
    show_default=True,
    help="How to prove the output before it appears: full does what `fastwheel verify` does.",
)
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
@summary_option
@isa_option
@pure_option
@search_options
@limits_options
@verbose_option
@quiet_option
@click.pass_context
def repair(
    ctx: click.Context,
    wheel_file: tuple[Path, ...],
    *,
    wheel_dir: Path,
    plat: str,
    only_plat: bool,
    no_update_tags: bool,
    lib_sdir: str,
    level: int,
    jobs: int,
    cache_dir: Path | None,
    cache_size: int,
    no_cache: bool,
    force_rpath: bool,
    keep_rpath: bool,
    strip: bool,
    patcher: str | None,
    verify: Literal["basic", "full"],
    dry_run: bool,
    as_json: bool,
    summary: str | None,
    disable_isa_ext_check: bool,
    allow_pure_python_wheel: bool,
    exclude: tuple[str, ...],
    include: tuple[str, ...],
    allow: tuple[str, ...],
    policy_file: Path | None,
    lib_paths: tuple[str, ...],
    ldpaths: str | None,
    limits: Limits,
) -> int:
    """Graft the external libraries of wheels and give them portable tags."""
    from fastwheel._repair import repair_each
    from fastwheel.report.summary import repair_summary
    from fastwheel.report.text import plan_text, repair_text

    if patcher is not None:
        note(f"--patcher {escape(patcher)} is ignored: fastwheel has its own editor")
    done = repair_each(
        wheel_file,
        wheel_dir,
        plat=plat,
        only_plat=only_plat,
        update_tags=not no_update_tags,
        lib_sdir=lib_sdir,
        level=level,
        force_rpath=force_rpath,
        keep_rpath=keep_rpath,
        strip=strip,
        dry_run=dry_run,
        isa_check=not disable_isa_ext_check,
        allow_pure=allow_pure_python_wheel,
        exclude=exclude,
        include=include,
        allow=allow,
        policy_file=policy_file,
        lib_paths=lib_paths,
        ldpaths=ldpaths,
        limits=limits,
        jobs=jobs,
        cache_dir=None if no_cache else cache_dir,
        cache_size=cache_size,
        verify=verify,
    )
    entries: list[dict[str, object]] = []
    results: list[Repaired | tuple[str, FastwheelError]] = []
    for number, path in enumerate(wheel_file, 1):
        working_on(ctx, path, number, len(wheel_file))
        start = time.monotonic()
        try:
            repaired = next(done)
        except FastwheelError as error:
            if as_json:
                entries.append({"wheel": str(path), "error": error.message, "code": error.code})
                click.echo(json.dumps({"version": 1, "wheels": entries}, indent=4))
            if summary is not None:
                append_summary(summary, repair_summary([*results, (path.name, error)]))
            raise
        entries.append(repaired.to_dict())
        results.append(repaired)
        for text in repaired.notes:
            note(text, "warning")
        if as_json:
            continue
        if dry_run:
            click.echo(plan_text(repaired.plan) if repaired.plan else "nothing to do")
        elif not ctx.ensure_object(Session).quiet:
            click.echo(repair_text(repaired, time.monotonic() - start), err=True)
    done.close()
    if as_json:
        click.echo(json.dumps({"version": 1, "wheels": entries}, indent=4))
    if summary is not None:
        append_summary(summary, repair_summary(results))
    return 0
