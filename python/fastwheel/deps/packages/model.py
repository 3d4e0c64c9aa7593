"""A distribution's package, and its name as a package URL (https://github.com/package-url/purl-spec)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote

from fastwheel.named import NamedTuple

if TYPE_CHECKING:
    from fastwheel.deps.files import Root

__all__ = ["Package", "distro_of", "purl_quote"]

_OS_RELEASE: Final = ("/etc/os-release", "/usr/lib/os-release")
_OS_RELEASE_LIMIT: Final = 1 << 16
_ID: Final = re.compile(r"""^ID=(["']?)([A-Za-z0-9._-]+)\1\s*$""", re.MULTILINE)


def purl_quote(text: str) -> str:
    """Return one part of a package URL, percent-encoded: all but letters, digits and `-._~:`.

    >>> purl_quote("libstdc++6"), purl_quote("2:6.2.1+dfsg1-1.1")
    ('libstdc%2B%2B6', '2:6.2.1%2Bdfsg1-1.1')
    """
    return quote(text, safe=":", errors="replace")


class Package(NamedTuple):
    """An installed package of a distribution.

    Attributes:
        type: its format, which is also the type of its package URL.
        name: of the binary package.
        version: as the distribution writes it: with the epoch for deb, `version-release` for rpm and apk.
        arch: the processor it is for, or None.
        distro: ID of os-release(5).
        source: the name of the source package, if the database tells it.
        epoch: of an rpm package that has one.
    """

    type: Literal["deb", "rpm", "apk"]
    name: str
    version: str
    arch: str | None
    distro: str
    source: str | None = None
    epoch: int | None = None

    @property
    def purl(self) -> str:
        """The package URL, without qualifiers.

        >>> Package("deb", "libgmp10", "2:6.2.1", "amd64", "debian").purl
        'pkg:deb/debian/libgmp10@2:6.2.1'
        """
        return f"pkg:{self.type}/{purl_quote(self.distro)}/{purl_quote(self.name)}@{purl_quote(self.version)}"


def distro_of(root: Root) -> str:
    """Return the ID of os-release(5), in lower case; "linux", its default, where there is none."""
    for path in _OS_RELEASE:
        text = root.text(path, _OS_RELEASE_LIMIT)
        if text:
            found = _ID.findall(text)
            return found[-1][1].lower() if found else "linux"
    return "linux"
