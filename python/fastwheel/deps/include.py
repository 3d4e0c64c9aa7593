"""Files that no DT_NEEDED names, but that the user wants in the wheel: libraries loaded by name, plugins, data."""

from __future__ import annotations

import glob
import os
from posixpath import basename, normpath
from typing import TYPE_CHECKING, Final

from fastwheel.deps.files import Abi, SystemFile
from fastwheel.errors import FastwheelError, escape
from fastwheel.named import NamedTuple
from fastwheel.portable import real_path, slashed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fastwheel._elf.model import Facts
    from fastwheel.deps.search import Search

__all__ = ["Include", "find_includes"]

_MAGIC: Final = b"\x7fELF"
_MOST_FILES: Final = 100_000


class Include(NamedTuple):
    """One file to take along under its own name.

    Attributes:
        pattern: the request that it answers.
        source: its real path.
        name: its path below the folder: the name by which it is going to be loaded.
        folder: the folder of the installed tree; None is the folder of grafts.
        facts: of an ELF file; None for any other, which is copied as it is.
    """

    pattern: str
    source: str
    name: str
    folder: str | None
    facts: Facts | None


def find_includes(requests: Sequence[str], search: Search, wanted: Abi) -> tuple[Include, ...]:
    """Find what `--include` asks for.

    A request is `WHAT[:FOLDER]`. WHAT without a slash is a library's name, searched as the loader does; with one it is
    a path or glob of this machine; a folder stands for all that lies in it. FOLDER is relative to site-packages.

    Raises:
        FastwheelError: FW503, nothing was found; FW800, the folder is outside of the wheel.
    """
    found: dict[tuple[str | None, str], Include] = {}
    for request in requests:
        what, folder = _split(request)
        answers = 0
        for path, name in _matches(what, search, wanted):
            answers += 1
            found.setdefault((folder, name), _include(request, path, name, folder, search, wanted))
        if not answers:
            where = "in the library folders of this machine" if "/" not in what else "on this machine"
            raise FastwheelError(f"--include {escape(request)}: no {escape(what)} {where}", code="FW503")
    return tuple(found.values())


def _split(request: str) -> tuple[str, str | None]:
    drive, rest = os.path.splitdrive(slashed(request))
    what, colon, folder = rest.rpartition(":")
    if not colon:
        return drive + rest, None
    clean = normpath(folder)
    if not what or not folder or clean.startswith(("/", "../")) or clean in (".", ".."):
        raise FastwheelError(f"--include {escape(request)}: {escape(folder)} is no folder of the wheel", code="FW800")
    return drive + what, clean


def _matches(what: str, search: Search, wanted: Abi) -> Iterator[tuple[str, str]]:
    """Pairs of a path on this machine and the path below the target folder."""
    if "/" not in what:
        folders = (*search.first, *search.environment, *search.system)
        file = search.find(what, folders, wanted).file
        if file is not None:
            yield file.real, what
        return
    pattern = search.absolute(what)
    found = glob.glob(pattern, recursive=True) or ([pattern] if os.path.lexists(pattern) else [])
    for path in sorted(map(slashed, found)):
        if os.path.isdir(path):
            yield from _tree(path)
        elif os.path.isfile(path):
            yield real_path(path), basename(path)


def _tree(top: str) -> Iterator[tuple[str, str]]:
    """The regular files below a folder, which keeps its name; links to files are followed, links to folders are not."""
    count = 0
    above = os.path.dirname(top.rstrip("/"))
    for folder, folders, files in os.walk(top):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                count += 1
                if count > _MOST_FILES:
                    raise FastwheelError(f"--include {escape(top)}: more than {_MOST_FILES} files", code="FW503")
                yield real_path(path), slashed(os.path.relpath(path, above))


def _include(request: str, path: str, name: str, folder: str | None, search: Search, wanted: Abi) -> Include:
    try:
        with open(path, "rb") as file:
            elf = file.read(4) == _MAGIC
    except OSError as error:
        raise FastwheelError(f"cannot read {escape(path)}: {error.strerror}", code="FW700") from error
    if not elf:
        return Include(request, path, name, folder, None)
    look = search.files.probe(path, wanted)
    if not isinstance(look, SystemFile):
        raise FastwheelError(
            f"--include {escape(request)}: {escape(path)} cannot be used: {escape(look or 'not found')}", code="FW503"
        )
    return Include(request, look.real, name, folder, look.facts)
