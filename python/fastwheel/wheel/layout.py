"""Where the members of a wheel land when it is installed.

`X.data/platlib/a/b.so` lands at `a/b.so` beside the archive's root: purelib and platlib are taken for one folder, as by
default they are. `scripts`, `data` and `headers` have roots of their own, whose place only the installer knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastwheel.errors import FastwheelError
from fastwheel.named import NamedTuple
from fastwheel.wheel.names import file_and_folder, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["SITE", "InstallLayout", "InstallPath"]

#: The scheme of all that lands in site-packages.
SITE: Final = "platlib"
_SCHEMES: Final = {"platlib": SITE, "purelib": SITE, "scripts": "scripts", "data": "data", "headers": "headers"}


class InstallPath(NamedTuple):
    """A place in an installation: a scheme ("platlib", "scripts", "data", "headers") and a path below its root."""

    scheme: str
    path: str


class InstallLayout:
    """The install paths of all files of one wheel.

    >>> layout = InstallLayout("p-1.data", ["p-1.data/purelib/a/b.so", "a/__init__.py"])
    >>> layout.install_path("p-1.data/purelib/a/b.so")
    InstallPath(scheme='platlib', path='a/b.so')

    Attributes:
        site: path in site-packages ▶ member, of all files that land there.
        warnings: what installers disagree on.
    """

    def __init__(self, data_folder: str, names: Iterable[str]) -> None:
        """Lay out the files among `names` (folders are skipped); `data_folder` is `{project}-{version}.data`.

        Raises:
            FastwheelError: FW209 two files land at one place; FW210 the data folder holds an unknown scheme.
        """
        self._data_folder = data_folder
        files = [name for name in names if not name.endswith("/")]
        below: dict[str, list[str]] = {}  # scheme ▶ paths, of the data folders' files
        taken: dict[InstallPath, str] = {}
        foreign: dict[str, None] = {}
        moved = [name for name in files if name.partition("/")[0].endswith(".data")]
        apart = set(moved)
        self.site: dict[str, str] = {name: name for name in files if name not in apart}
        for name in moved:
            place = self.install_path(name)
            if place.path == name and "/" in name:
                foreign[name.partition("/")[0]] = None
            other = self.site.get(place.path) if place.scheme == SITE else taken.get(place)
            if other is not None:
                message = f"'{shown(other)}' and '{shown(name)}' would be installed to the same place"
                raise FastwheelError(message, code="FW209")
            if place.scheme == SITE:
                self.site[place.path] = name
            else:
                taken[place] = name
                below.setdefault(place.scheme, []).append(place.path)
        for paths in [list(self.site), *below.values()] if moved else []:
            clash = file_and_folder(paths)
            if clash is not None:
                message = f"'{shown(clash[0])}' would be installed as a file and as the folder of '{shown(clash[1])}'"
                raise FastwheelError(message, code="FW209")
        self.warnings: tuple[str, ...] = tuple(
            f"'{shown(folder)}' is not laid out as a data folder: installers treat it differently" for folder in foreign
        )

    def install_path(self, name: str) -> InstallPath:
        """Return where the file `name` of the archive lands; also for files that are yet to be added.

        Raises:
            FastwheelError: FW210 it lies in the data folder, but below none of the known schemes.
        """
        top, _, rest = name.partition("/")
        if not top.endswith(".data") or not rest:
            return InstallPath(SITE, name)
        key, _, path = rest.partition("/")
        if path and key in _SCHEMES:
            return InstallPath(_SCHEMES[key], path)
        if top == self._data_folder:
            hint = f"it may hold {', '.join(_SCHEMES)}, each a folder"
            raise FastwheelError(f"'{shown(name)}' belongs to no install scheme", code="FW210", hint=hint)
        return InstallPath(SITE, name)
