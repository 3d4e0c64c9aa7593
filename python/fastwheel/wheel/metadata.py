"""The files WHEEL and METADATA of a `.dist-info` folder, read as the header lines that they are.

Both have the form of e-mail headers (PEP 427, 345): `Name: value` lines, continued by lines that begin with a blank, up
to the first empty line.
"""

from __future__ import annotations

import re
from math import prod
from typing import TYPE_CHECKING, Final, NoReturn

from fastwheel.errors import FastwheelError
from fastwheel.named import NamedTuple
from fastwheel.wheel.names import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["MARK", "Metadata", "WheelInfo", "expand_tag"]

#: What some editors put before a text in UTF-8; it is no part of the first header's name.
MARK: Final = b"\xef\xbb\xbf"
_TAG = re.compile(r"[\w.]+-[\w.]+-[\w.]+")
_HEADER = re.compile(r"[!-9;-~]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_VERSION = re.compile(r"(\d{1,9})\.(\d{1,9})", re.ASCII)

#: The newest Wheel-Version that fastwheel knows (PEP 427).
_KNOWN_VERSION = (1, 0)
#: A bound on the product of compressed tag sets: a line of a few kilobytes could ask for billions.
_MOST_TAGS = 10_000
_LICENSE_HEADERS = ("license-expression", "license")
#: The header part of METADATA; a description may follow it.
_MOST_HEADERS = 1 << 18


def expand_tag(tag: str) -> tuple[str, ...]:
    """Return the single tags that a compressed one stands for.

    >>> expand_tag("py2.py3-none-any")
    ('py2-none-any', 'py3-none-any')
    """
    python, abi, platform = tag.split("-")
    return tuple(f"{p}-{a}-{x}" for p in python.split(".") for a in abi.split(".") for x in platform.split("."))


class WheelInfo(NamedTuple):
    """The content of WHEEL: its headers in their order, unknown ones too.

    Attributes:
        headers: pairs (name, value) as spelled.
    """

    headers: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, content: bytes) -> WheelInfo:
        """Read a WHEEL file.

        Raises:
            FastwheelError: FW204 it is unreadable, or lacks `Wheel-Version` or `Tag`; FW205 its major version is newer.
        """
        try:
            headers, stop = _headers(content.removeprefix(MARK).decode())
        except UnicodeDecodeError:
            _bad("WHEEL is not UTF-8", "FW204")
        if stop is not None:
            _bad(f"WHEEL has a line that is no header: '{shown(stop)}'", "FW204")
        if any(_CONTROL.search(value) for _, value in headers):
            _bad("WHEEL has control characters", "FW204")
        info = cls(headers)
        versions = info.values("Wheel-Version")
        if len(versions) != 1 or not _VERSION.fullmatch(versions[0]):
            _bad("WHEEL needs one line Wheel-Version, such as 'Wheel-Version: 1.0'", "FW204")
        if info.wheel_version[0] > _KNOWN_VERSION[0]:
            hint = "a newer fastwheel may know it"
            raise FastwheelError(f"WHEEL has version {versions[0]}, fastwheel knows 1.0", code="FW205", hint=hint)
        tags = info.values("Tag")
        if not tags:
            _bad("WHEEL has no line Tag", "FW204")
        for tag in tags:
            if not _TAG.fullmatch(tag):
                _bad(f"'{shown(tag)}' in WHEEL is not a tag", "FW204")
        if sum(prod(part.count(".") + 1 for part in tag.split("-")) for tag in tags) > _MOST_TAGS:
            _bad(f"WHEEL claims more than {_MOST_TAGS} tags", "FW204")
        return info

    def values(self, name: str) -> tuple[str, ...]:
        """Return the values of all headers of this name, in whatever case, in their order."""
        return tuple(value for key, value in self.headers if key.lower() == name.lower())

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags, expanded, in their order."""
        return tuple(single for tag in self.values("Tag") for single in expand_tag(tag))

    @property
    def root_is_purelib(self) -> bool:
        """Whether the root of the archive is installed into purelib; installers take no statement for no."""
        return any(value.lower() == "true" for value in self.values("Root-Is-Purelib")[:1])

    @property
    def wheel_version(self) -> tuple[int, int]:
        """Major and minor of `Wheel-Version`."""
        major, minor = self.values("Wheel-Version")[0].split(".")
        return int(major), int(minor)

    @property
    def build(self) -> str | None:
        """The build tag, or None."""
        return (*self.values("Build"), None)[0]

    def with_tags(self, tags: Iterable[str]) -> WheelInfo:
        """Return the headers of a platform wheel with these tags: `Root-Is-Purelib: false` once, all else as it was."""
        stated = bool(self.values("Root-Is-Purelib"))
        lines = [("Tag", tag) for tag in tags]
        purelib = [("Root-Is-Purelib", "false")]
        headers: list[tuple[str, str]] = []
        for name, value in self.headers:
            key = name.lower()
            if key == "root-is-purelib" or (key == "tag" and not stated):
                headers += purelib
                purelib = []
            if key == "tag":
                headers += lines
                lines = []
            elif key != "root-is-purelib":
                headers.append((name, value))
        return WheelInfo(tuple(headers))

    def to_bytes(self) -> bytes:
        """Return the file: one line a header, then an empty line, as the standard library writes headers."""
        return "".join(f"{name}: {value}\n" for name, value in self.headers).encode() + b"\n"


class Metadata(NamedTuple):
    """What is asked of METADATA: whose it is, and which license files it promises.

    Attributes:
        name: `Name`, as spelled.
        version: `Version`, as spelled.
        format: `Metadata-Version`, or "".
        license_files: `License-File`, in their order (PEP 639).
        license: `License-Expression`, or the older `License`, or "".
        requires_python: `Requires-Python`, or "".
    """

    name: str
    version: str
    format: str = ""
    license_files: tuple[str, ...] = ()
    license: str = ""
    requires_python: str = ""

    @classmethod
    def parse(cls, content: bytes) -> Metadata:
        """Read a METADATA file.

        Raises:
            FastwheelError: FW203 it is not UTF-8, or does not have one Name and one Version.
        """
        try:
            text = content.removeprefix(MARK).decode()
        except UnicodeDecodeError:
            _bad("METADATA is not UTF-8", "FW203")
        headers, _ = _headers(text[:_MOST_HEADERS])
        named = [(key.lower(), value) for key, value in headers]
        return cls(
            _only(headers, "name"),
            _only(headers, "version"),
            next((value for key, value in named if key == "metadata-version"), ""),
            tuple(value for key, value in named if key == "license-file"),
            next((value for key, value in sorted(named, reverse=True) if key in _LICENSE_HEADERS and value), ""),
            next((value for key, value in named if key == "requires-python"), ""),
        )


def _only(headers: Sequence[tuple[str, str]], name: str) -> str:
    values = [value for key, value in headers if key.lower() == name]
    if len(values) != 1 or not values[0]:
        _bad(f"METADATA needs one line {name.capitalize()}", "FW203")
    return values[0]


def _headers(text: str) -> tuple[tuple[tuple[str, str], ...], str | None]:
    """Return the headers, up to an empty line or, as mail readers do, one that is no header; and that line."""
    found: list[tuple[str, list[str]]] = []
    stop = None
    for line in text.replace("\r\n", "\n").partition("\n\n")[0].split("\n"):
        name, colon, value = line.partition(":")
        if line[:1] in (" ", "\t") and found:
            found[-1][1].append(line.strip())
        elif colon and _HEADER.fullmatch(name):
            found.append((name, [value.strip()]))
        else:
            stop = line or None
            break
    return tuple((name, " ".join(filter(None, values))) for name, values in found), stop


def _bad(message: str, code: str) -> NoReturn:
    raise FastwheelError(message, code=code)
