"""dpkg's database: `/var/lib/dpkg`, or `status.d` in images without dpkg ("distroless").

Formats: deb-control(5), dpkg-divert(1); `info/NAME[:ARCH].list` has a line for each path of a package.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from fastwheel.deps.packages.asked import places, read_bounded, text_of
from fastwheel.deps.packages.model import Package
from fastwheel.portable import FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from fastwheel.deps.files import Root
    from fastwheel.deps.packages.asked import Asked

__all__ = ["find"]

_FIELDS: Final = re.compile(rb"^(Package|Status|Version|Architecture|Source):[ \t]*([^\n]*?)[ \t\r]*$", re.MULTILINE)
_MD5SUMS_SUFFIX: Final = ".md5sums"
#: So many characters at the beginning of a library and of its package are mostly the same.
_HEAD: Final = 6


def find(asked: Asked, root: Root, distro: str, notes: list[str]) -> None:
    """Give the files of `asked` that dpkg knows their owners."""
    for folder in places(root, "/var/lib/dpkg"):
        hits = _owners_of(asked, folder, notes)
        if hits:
            _name(asked, hits, _Status(folder, notes), distro, notes)
        if asked.left:
            _distroless(asked, os.path.join(folder, "status.d"), distro, notes)


def _name(asked: Asked, hits: dict[str, str], status: _Status, distro: str, notes: list[str]) -> None:
    """Turn the names of lists into packages."""
    for path, label in hits.items():
        name, _, arch = label.partition(":")
        package = _package(status.fields(name, arch), distro)
        if package is None:
            notes.append(f"dpkg's status has no version of {text_of(label)}")
        else:
            asked.own(path, package)


class _Status:
    """The file `status`, read when it is first needed."""

    def __init__(self, folder: str, notes: list[str]) -> None:
        text = read_bounded(f"{folder}/status", notes) or b""
        self._text = b"\n" + (text.replace(b"\r\n", b"\n") if b"\r" in text else text)

    def fields(self, name: str, arch: str) -> dict[bytes, bytes]:
        """Return what is said of a package; `arch` is "" where only one is installed."""
        key = b"\nPackage: " + os.fsencode(name) + b"\n"
        start = self._text.find(key)
        while start >= 0:
            # a paragraph ends at an empty line; Package need not be its first field
            first = self._text.rfind(b"\n\n", 0, start + 1) + 1
            end = self._text.find(b"\n\n", start)
            end = end if end >= 0 else len(self._text)
            fields = _fields(self._text[first:end])
            installed = not fields.get(b"Status", b"").endswith(b" not-installed")
            if installed and arch in ("", os.fsdecode(fields.get(b"Architecture", b""))):
                return fields
            start = self._text.find(key, end)
        return {}


def _fields(paragraph: bytes) -> dict[bytes, bytes]:
    return dict(_FIELDS.findall(paragraph))


def _package(fields: dict[bytes, bytes], distro: str) -> Package | None:
    name, version = text_of(fields.get(b"Package", b"")), text_of(fields.get(b"Version", b""))
    if not name or not version:
        return None
    # "Source: name (version)", absent where the binary package has the source's name
    source = text_of(fields.get(b"Source", b"")).partition(" ")[0] or name
    return Package("deb", name, version, text_of(fields.get(b"Architecture", b"")) or None, distro, source)


def _owners_of(asked: Asked, folder: str, notes: list[str]) -> dict[str, str]:
    """Return the name of the list, without suffix, that holds each file."""
    diversions = _Diversions(f"{folder}/diversions", notes)
    names = asked.names | diversions.names(asked)
    search = _searcher(names)
    hits: dict[str, str] = {}
    for label, content in _contents(f"{folder}/info", ".list", notes, names):
        package = label.partition(":")[0]
        for listed in search(content):
            path = asked.match(diversions.real(listed, package))
            if path is not None:
                hits.setdefault(path, label)
        if len(hits) == asked.left:
            break
    return hits


def _searcher(names: Iterable[bytes]) -> Callable[[bytes], list[bytes]]:
    """Return a function that finds the lines of a list whose last part is one of `names`.

    One expression for all names beats splitting into lines, and most lists lack even what the names have in common.
    """
    wanted = sorted(names)
    common = b".so" if all(b".so" in name for name in wanted) else b""
    pattern = re.compile(rb"/(?:" + b"|".join(map(re.escape, wanted)) + rb")\r?(?=\n|\Z)")

    def search(content: bytes) -> list[bytes]:
        if common not in content:
            return []
        return [
            content[content.rfind(b"\n", 0, hit.start()) + 1 : hit.end()].rstrip(b"\r")
            for hit in pattern.finditer(content)
        ]

    return search


def _contents(folder: str, suffix: str, notes: list[str], likely: Iterable[bytes] = ()) -> Iterator[tuple[str, bytes]]:
    """Yield name without suffix and content of the lists in a folder.

    First those whose names begin as the `likely` files' do (libtiff6 has libtiff.so.6), then other libraries' packages,
    else by name: mostly a few lists hold all that is asked for, and a machine has a thousand.
    """
    heads = tuple({os.fsdecode(name.partition(b".so")[0][:_HEAD]).lower() for name in likely})
    try:
        fd = os.open(folder, FOLDER)
    except OSError:
        return
    try:
        labels = [name[: -len(suffix)] for name in os.listdir(fd) if name.endswith(suffix)]
        for label in sorted(labels, key=lambda name: (not name.startswith(heads), not name.startswith("lib"), name)):
            content = read_bounded(label + suffix, notes, folder=fd)
            if content:
                yield label, content
    except OSError as error:
        notes.append(f"the package database {text_of(folder)} cannot be read: {text_of(str(error))}")
    finally:
        os.close(fd)


class _Diversions:
    """Files that were moved so that another package can have their place.

    The file `diversions` has three lines for each: the path, where it was moved, and the package that has the place.
    """

    def __init__(self, path: str, notes: list[str]) -> None:
        lines = (read_bounded(path, notes) or b"").split(b"\n")
        triples = zip(lines[0::3], lines[1::3], lines[2::3], strict=False)
        self._moves = {_merged(old): (new, os.fsdecode(package)) for old, new, package in triples}
        self._old_names = {new: old.rpartition(b"/")[2] for old, (new, _) in self._moves.items()}

    def names(self, asked: Asked) -> set[bytes]:
        """The original names of the asked files that were moved."""
        return {name for new, name in self._old_names.items() if name and asked.match(new) is not None}

    def real(self, listed: bytes, package: str) -> bytes:
        """Return where a path of a package really is."""
        new, diverting = self._moves.get(_merged(listed), (listed, package))
        return listed if diverting == package else new


def _merged(path: bytes) -> bytes:
    """Spell a path as where /usr is not merged, so that both spellings compare equal."""
    return path[4:] if path.startswith((b"/usr/lib", b"/usr/bin/", b"/usr/sbin/")) else path


def _distroless(asked: Asked, folder: str, distro: str, notes: list[str]) -> None:
    """`status.d` has a paragraph for each package, and beside it the sums of its files, paths without a first slash."""
    search = _searcher(asked.names)
    for label, content in _contents(folder, _MD5SUMS_SUFFIX, notes):
        package = None
        for line in search(content):
            path = asked.match(b"/" + line.partition(b"  ")[2].removeprefix(b"./").lstrip(b"/"))
            if path is None:
                continue
            package = package or _package(_fields(read_bounded(f"{folder}/{label}", notes) or b""), distro)
            if package is None:
                notes.append(f"{text_of(folder)} has no version of {text_of(label)}")
                break
            asked.own(path, package)
        if not asked.left:
            break
