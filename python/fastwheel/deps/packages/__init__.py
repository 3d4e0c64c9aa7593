"""Which distribution packages own which files of this machine, read straight from the package databases.

No process is started. Databases: dpkg (also as distroless images keep it), apk, and rpm in its three formats. A
database that is damaged costs its answers, never the repair: what went wrong is said in the notes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from fastwheel.deps.files import Root
from fastwheel.deps.packages.asked import Asked
from fastwheel.deps.packages.model import Package, distro_of, purl_quote

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

__all__ = ["Package", "distro_of", "owners", "purl_quote"]

#: Folders of users, and of what does not last.
_NEVER: Final = ("/home/", "/root/", "/tmp/", "/var/tmp/")


def owners(
    paths: Sequence[str], *, root: str | os.PathLike[str] = "/", notes: list[str] | None = None
) -> dict[str, Package]:
    """Return the package that owns each of `paths`; files that no package owns are left out.

    A package is found also where its list spells a folder another way, by a symbolic link: `/lib/x` is `/usr/lib/x`
    on systems with a merged /usr.

    Args:
        paths: absolute paths of files, below `root` or as seen from it.
        root: the folder that stands for `/`.
        notes: gets a line for each thing that could not be read.
    """
    said: list[str] = [] if notes is None else notes
    place = Root(root)
    if place.top == "/":
        # Packages leave these folders alone (FHS 3.0); looking for a file in them would read every list there is.
        paths = [path for path in paths if not path.startswith(_NEVER)]
    asked = Asked(paths, place)
    if not asked.left:
        return {}
    distro = distro_of(place)
    for kind in ("dpkg", "apk", "rpm"):
        # The first one has mostly all of them: the readers of other databases need not be imported.
        import_module(f"fastwheel.deps.packages.{kind}").find(asked, place, distro, said)
        if not asked.left:
            break
    return {path: asked.found[path] for path in paths if path in asked.found}
