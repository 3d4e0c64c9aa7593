"""apk's database: one file of paragraphs, a letter for each field (apk-tools, `doc/apk-installed.5`).

`P:` name, `V:` version, `A:` processor, `o:` source package; then `F:` folder and below it `R:` names in it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from fastwheel.deps.packages.asked import places, read_bounded, text_of
from fastwheel.deps.packages.model import Package

if TYPE_CHECKING:
    from fastwheel.deps.files import Root
    from fastwheel.deps.packages.asked import Asked

__all__ = ["find"]

_FIELDS: Final = re.compile(rb"^([PVAo]):([^\n]*)$", re.MULTILINE)


def find(asked: Asked, root: Root, distro: str, notes: list[str]) -> None:
    """Give the files of `asked` that apk knows their owners."""
    for path in places(root, "/lib/apk/db/installed", "/usr/lib/apk/db/installed"):
        if asked.left:
            _find(asked, read_bounded(path, notes) or b"", distro, notes)


def _find(asked: Asked, text: bytes, distro: str, notes: list[str]) -> None:
    names = sorted(asked.names)
    pattern = re.compile(rb"^R:(?:" + b"|".join(map(re.escape, names)) + rb")$", re.MULTILINE)
    for paragraph in text.split(b"\n\n"):
        if pattern.search(paragraph) is None:
            continue
        package = _package(paragraph, distro)
        folder = None
        for line in paragraph.split(b"\n"):
            if line.startswith(b"F:"):
                folder = b"/" + line[2:] if line[2:] else b""
            if folder is None or not line.startswith(b"R:"):
                continue
            path = asked.match(folder + b"/" + line[2:])
            if path is not None and package is None:
                notes.append(f"apk's database does not name the package of {text_of(path)}")
            elif path is not None and package is not None:
                asked.own(path, package)
        if not asked.left:
            break


def _package(paragraph: bytes, distro: str) -> Package | None:
    fields = {key: text_of(value) for key, value in _FIELDS.findall(paragraph.partition(b"\nF:")[0])}
    name, version = fields.get(b"P"), fields.get(b"V")
    if not name or not version:
        return None
    return Package("apk", name, version, fields.get(b"A") or None, distro, fields.get(b"o") or None)
