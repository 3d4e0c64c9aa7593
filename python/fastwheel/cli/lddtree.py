"""`fastwheel lddtree`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from fastwheel.cli.root import Verb, note, verbose_option

__all__ = ["lddtree"]


@click.command(cls=Verb)
@click.argument("file", type=click.Path(path_type=Path, readable=False))
@click.option(
    "--ldpaths",
    metavar="DIR[:DIR...]",
    help="Search these folders instead of ld.so.conf and LD_LIBRARY_PATH; empty searches none.",
)
@verbose_option
def lddtree(file: Path, *, ldpaths: str | None) -> int:
    """Print what one ELF file of this machine needs, and where each library was found, as JSON."""
    from fastwheel._patch import facts_of
    from fastwheel.deps.graph import trace
    from fastwheel.deps.search import Search
    from fastwheel.policy.arch import Libc, arch_of, libc_of
    from fastwheel.report.lddtree import lddtree_document

    facts = facts_of(file)
    search = Search.for_host(libc_of(facts, file.name) or Libc.GLIBC, arch_of(facts), ldpaths=ldpaths)
    graph = trace(file, search)
    for text in graph.notes:
        note(text, "warning")
    click.echo(json.dumps(lddtree_document(graph), indent=4))
    return 0
