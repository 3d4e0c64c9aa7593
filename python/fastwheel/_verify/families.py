"""Libraries that are made for each other: built together, sharing private interfaces or global state.

Taking some of a family from the wheel and some from the target works as long as both happen to be of one version.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

__all__ = ["FAMILIES", "Family", "base_name", "families_of"]

_HASH: Final = re.compile(r"-[0-9a-f]{8}(?=\.|\Z)")
_SUFFIX: Final = re.compile(r"\.so(?:\.[0-9A-Za-z_.]*)?\Z")


@dataclass(frozen=True, slots=True)
class Family:
    """One family.

    Attributes:
        members: names without hash, version and `.so`; one that ends in `*` stands for all that begin so.
        why: what goes wrong.
        clients: members that only use the public interface of the others: from the wheel they may meet the others of
            the target.
    """

    members: tuple[str, ...]
    why: str
    clients: tuple[str, ...] = ()

    def holds(self, base: str) -> bool:
        """Whether a library of this base name is one of the family."""
        return _matches(base, self.members)

    def may_be_apart(self, outside: str, inside: str) -> bool:
        """Whether `inside`, from the wheel, gets along with `outside`, from the target."""
        return outside != inside and _matches(inside, self.clients)


def _matches(base: str, names: tuple[str, ...]) -> bool:
    whole, beginnings = _sorted_out(names)
    return base in whole or base.startswith(beginnings)


@cache
def _sorted_out(names: tuple[str, ...]) -> tuple[frozenset[str], tuple[str, ...]]:
    """The names, and the beginnings of those that end in `*`."""
    return frozenset(names), tuple(name[:-1] for name in names if name.endswith("*"))


FAMILIES: Final[dict[str, Family]] = {
    "GLib": Family(
        ("libglib-2.0", "libgobject-2.0", "libgthread-2.0", "libgmodule-2.0", "libgio-2.0", "libgirepository-*"),
        "the parts of GLib use private functions of each other and register types once per process",
    ),
    "XCB and Xlib": Family(
        ("libX11", "libX11-xcb", "libxcb", "libXau", "libXdmcp"),
        "Xlib and XCB share one connection and its locks",
        ("libXau", "libXdmcp"),
    ),
    "the X extensions": Family(
        ("libX11", "libXext", "libXrender", "libXi", "libXfixes", "libXrandr", "libXcursor", "libXinerama", "libXtst",
         "libXdamage", "libXcomposite", "libSM", "libICE"),
        "libraries of X extensions read the private structures of the Xlib that they were built with",
        ("libXi", "libXfixes", "libXrandr", "libXcursor", "libXinerama", "libXtst", "libXdamage", "libXcomposite"),
    ),
    "GL": Family(
        ("libGL", "libGLX", "libGLdispatch", "libEGL", "libOpenGL", "libGLESv1_CM", "libGLESv2", "libGLU", "libdrm*",
         "libgbm", "libglapi"),
        "the GL libraries dispatch through tables of one libGLdispatch and load the target's driver",
        ("libGLU",),
    ),
    "OpenSSL": Family(
        ("libssl", "libcrypto"), "libssl uses the private structures of the libcrypto that it was built with"
    ),
    "the C++ runtime": Family(
        ("libstdc++", "libsupc++"), "two C++ runtimes in one process: exceptions, locales and type names do not match"
    ),
    "ALSA": Family(("libasound", "libatopology"), "ALSA loads plugins of the target, made for the target's version"),
    "D-Bus": Family(("libdbus-1", "libdbus-glib-1"), "the bindings share the connections of one libdbus"),
    "systemd": Family(("libsystemd", "libudev"), "both speak with the running systemd of their own version"),
    "Kerberos": Family(
        ("libkrb5", "libk5crypto", "libkrb5support", "libgssapi_krb5", "libkadm5*", "libkdb5"),
        "the parts of MIT Kerberos use private functions of each other",
    ),
    "OpenLDAP": Family(("libldap*", "liblber*"), "libldap uses private functions of its liblber"),
    "ICU": Family(
        ("libicuuc", "libicudata", "libicui18n", "libicuio", "libicutu"), "each release of ICU renames its functions"
    ),
    "FFmpeg": Family(
        ("libavcodec", "libavformat", "libavutil", "libavfilter", "libavdevice", "libswscale", "libswresample",
         "libpostproc"),
        "the parts of FFmpeg read structures of each other that change with each release",
    ),
    "Qt": Family(("libQt5*", "libQt6*"), "the parts of Qt use private functions of each other (Qt_5_PRIVATE_API)"),
    "GTK": Family(
        ("libgtk-3", "libgdk-3", "libgtk-x11-2.0", "libgdk-x11-2.0", "libgtk-4", "libgdk_pixbuf-2.0"),
        "GTK registers types once per process and loads modules of the target",
    ),
    "libxml2": Family(
        ("libxml2", "libxslt", "libexslt"), "libxslt keeps global state in its libxml2", ("libxslt", "libexslt")
    ),
    "NSS": Family(
        ("libnss3", "libnssutil3", "libsmime3", "libssl3", "libnspr4", "libplc4", "libplds4"),
        "the parts of NSS and NSPR use private functions of each other",
    ),
    "CUDA": Family(
        ("libcublas", "libcublasLt"), "both are made for each other and check their versions when they are loaded"
    ),
}  # fmt: skip


def base_name(name: str) -> str:
    """Return a library's name without the hash of a graft, the version and `.so`.

    >>> base_name("libcrypto-1a2b3c4d.so.1.1"), base_name("libglib-2.0.so.0")
    ('libcrypto', 'libglib-2.0')
    """
    return _SUFFIX.sub("", _HASH.sub("", name))


@lru_cache(maxsize=10_000)
def families_of(name: str) -> tuple[str, ...]:
    """Return the families of a library by its soname or file name.

    >>> families_of("libssl-1a2b3c4d.so.3"), families_of("libfoo.so.1")
    (('OpenSSL',), ())
    """
    base = base_name(name)
    return tuple(title for title, family in FAMILIES.items() if family.holds(base))
