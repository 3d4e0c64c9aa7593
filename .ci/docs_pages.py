"""Pages of the site that repeat the code or a file of the top folder: made while the site is built, so never stale."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

TOP = Path(__file__).resolve().parent.parent
#: Pages of the site that are files of the top folder.
COPIES = {"project/contributing.md": "CONTRIBUTING.md", "project/changelog.md": "CHANGELOG.md",
          "project/security.md": "SECURITY.md"}  # fmt: skip


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages (a hook of MkDocs)."""
    from mkdocs.structure.files import File

    pages = {"reference/cli.md": command_line(), "reference/api.md": python_api()}
    pages |= {page: moved((TOP / name).read_text()) for page, name in COPIES.items()}
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def moved(text: str) -> str:
    """Return a page of the top folder with its links into `docs/` as seen from `docs/project/`."""
    for page, name in COPIES.items():
        text = text.replace(f"]({name})", f"]({page.rpartition('/')[2]})")
    return re.sub(r"\]\(docs/", "](../", text)


def command_line() -> str:
    """Return the reference of the command line, out of click's own objects."""
    from fastwheel.cli.root import root

    context = click.Context(root, info_name="fastwheel")
    parts = ["# Command line\n", paragraph(root.help), options(root, context)]
    for name in root.list_commands(context):
        verb = root.get_command(context, name)
        if verb is None:
            raise SystemExit(f"no verb {name}")
        inner = click.Context(verb, parent=context, info_name=name)
        usage = " ".join(verb.collect_usage_pieces(inner))
        parts += [f"\n## fastwheel {name}\n", paragraph(verb.help), f"    fastwheel {name} {usage}\n"]
        parts += [options(verb, inner), examples(name)]
    return "\n".join(parts)


def examples(verb: str) -> str:
    """Return the examples of a verb's help as a block."""
    from fastwheel.cli.examples import EXAMPLES

    lines = [f"# {why}\n{line}" for line, why in EXAMPLES.get(verb, ())]
    return "```bash\n" + "\n".join(lines) + "\n```\n"


def paragraph(text: str | None) -> str:
    r"""Return a help text as Markdown: the blocks that click marks by \b are verbatim."""
    blocks = []
    for block in (text or "").replace("\r", "").split("\n\n"):
        verbatim = block.lstrip("\n").startswith("\b")
        lines = [line.strip("\b") for line in block.strip("\n").split("\n") if line != "\b"]
        blocks.append("\n".join(f"    {line}" for line in lines) if verbatim else "\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def options(command: click.Command, context: click.Context) -> str:
    """Return the table of the options that a command shows."""
    rows = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            name, text = (part.replace("|", "\\|").replace("\n", " ") for part in record)
            rows.append(f"| `{name}` | {re.sub('<', '&lt;', text)} |")
    return "\n".join(["| option | meaning |", "|---|---|", *rows]) + "\n" if rows else ""


def python_api() -> str:
    """Return the reference of the Python interface: every public name, in the order of `__all__`."""
    import fastwheel
    from fastwheel import elf, policy

    parts = ["# Python\n", "Everything here is typed; `mypy --strict` accepts it. Nothing else is public.\n"]
    for module in (fastwheel, elf, policy):
        parts.append(f"\n## {module.__name__}\n")
        for name in module.__all__:
            value = getattr(module, name)
            where = getattr(value, "__module__", None)
            if isinstance(value, type) or callable(value):
                parts.append(f"::: {where}.{value.__qualname__}\n")
    return "\n".join(parts)
