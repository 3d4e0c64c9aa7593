"""Settings from a file: the table `[tool.fastwheel]` of the nearest `pyproject.toml`, or a file of their own.

A key is the long name of an option without its dashes. Directly in the table it holds for every verb that has the
option, in a table named after a verb for that verb only:

    [tool.fastwheel]
    exclude = ["libcuda.so.*"]

    [tool.fastwheel.repair]
    plat = "manylinux_2_28_x86_64"

Which options there are is the caller's knowledge; the command line hands them in.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastwheel.errors import FastwheelError, escape
from fastwheel.named import NamedTuple
from fastwheel.portable import READ

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Known", "Setting", "find_settings", "read_settings"]

#: Keys that mean something else to each verb, and so can't be said to all at once.
_EACH_ITS_OWN: Final = frozenset({"plat", "format"})
#: Of a settings file, in bytes: far more than any has.
_LARGEST: Final = 4 << 20


class Setting(NamedTuple):
    """An option that a file may set.

    Attributes:
        kind: `flag`, `number`, `text`, `size` (text or number) or `list` (of text).
        path: its text names files, relative to the folder of the settings file; with `:` (Windows: `;`) between.
    """

    kind: str
    path: bool = False


#: verb ▶ key ▶ setting
Known = dict[str, dict[str, Setting]]

_WANTED: Final = {
    "flag": "true or false",
    "number": "a number",
    "text": "a string",
    "size": "a string or a number",
    "list": "a list of strings",
}


def find_settings(folder: Path) -> Path | None:
    """Return the nearest `pyproject.toml` with a table for fastwheel, from `folder` upward; None if there is none.

    Raises:
        FastwheelError: FW801 a file that seems to hold one is not TOML.
    """
    try:
        folder = Path(os.path.abspath(folder))
    except FileNotFoundError:  # the current folder was deleted: nothing is in it or above it
        return None
    for place in (folder, *folder.parents):
        path = place / "pyproject.toml"
        content = _of_a_file(path)
        # Most files say nothing about us: they need not be parsed.
        if b"fastwheel" in content and _table(path, _parsed(path, content)) is not None:
            return path
    return None


def _of_a_file(path: Path) -> bytes:
    """The content of a file that may be anything, or not there: never waits for a FIFO, never reads without end."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return b""
        with open(os.open(path, READ), "rb") as file:
            return file.read(_LARGEST)
    except OSError:
        return b""


def read_settings(path: Path, known: Known) -> dict[str, dict[str, Any]]:
    """Read a settings file: verb ▶ key ▶ value, what is said to all verbs told to each that has the option.

    Args:
        path: a `pyproject.toml`, or another TOML file, which holds the keys themselves or a table `[tool.fastwheel]`.
        known: the options that there are.

    Raises:
        FastwheelError: FW801 the file can't be read or is not TOML, a key is unknown, or a value of the wrong type.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _fault(path, f"can't be read: {error.strerror}") from None
    document = _parsed(path, content)
    table = _table(path, document)
    if table is None:
        table = {} if path.name == "pyproject.toml" else document
    values: dict[str, dict[str, Any]] = {verb: {} for verb in known}
    for key, value in table.items():
        if key in known:
            continue
        verbs = [verb for verb, settings in known.items() if key in settings]
        if not verbs:
            raise _unknown(path, key, known)
        if key in _EACH_ITS_OWN:
            message = f"{key} means something else to each verb"
            raise _fault(path, message, f"put it below [tool.fastwheel.{verbs[0]}]")
        for verb in verbs:
            values[verb][key] = _value(path, key, value, known[verb][key])
    for verb, section in ((verb, table[verb]) for verb in known if verb in table):
        if not isinstance(section, dict):
            raise _fault(path, f"{verb} must be a table")
        for key, value in section.items():
            if key not in known[verb]:
                raise _unknown(path, key, known, verb)
            values[verb][key] = _value(path, key, value, known[verb][key])
    return values


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    from importlib import import_module

    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        document: dict[str, Any] = toml.loads(content.decode())
    except (ValueError, RecursionError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise _fault(path, f"is not TOML: {escape(str(error))}") from None
    return document


def _table(path: Path, document: Mapping[str, Any]) -> dict[str, Any] | None:
    tool = document.get("tool")
    table = tool.get("fastwheel") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise _fault(path, "tool.fastwheel must be a table")
    return table


def _value(path: Path, key: str, value: object, setting: Setting) -> object:
    """Check a value and return it as the command line would give it."""
    number = isinstance(value, int) and not isinstance(value, bool)
    text = isinstance(value, str)
    texts = isinstance(value, list) and all(isinstance(item, str) for item in value)
    fits = {
        "flag": isinstance(value, bool),
        "number": number,
        "text": text,
        "size": text or number,
        "list": texts,
    }
    if not fits[setting.kind]:
        raise _fault(path, f"{key} must be {_WANTED[setting.kind]}")
    if isinstance(value, list):
        return [_placed(path, item) for item in value] if setting.path else list(value)
    if isinstance(value, str) and setting.path:
        return os.pathsep.join(_placed(path, part) for part in value.split(os.pathsep)) if value else value
    return str(value) if number else value


def _placed(path: Path, text: str) -> str:
    """Return a path of the file as seen from the current folder."""
    return str(path.parent / text) if text else text


def _unknown(path: Path, key: str, known: Known, verb: str | None = None) -> FastwheelError:
    from difflib import get_close_matches

    keys = set(known[verb]) if verb else {name for settings in known.values() for name in settings} | set(known)
    near = get_close_matches(key.replace("_", "-"), sorted(keys), n=1)
    others = [name for name, settings in known.items() if key in settings]
    where = f"[tool.fastwheel.{verb}]" if verb else "[tool.fastwheel]"
    hint = "`fastwheel --show-settings` lists all keys"
    if near:
        hint = f"did you mean {near[0]}?"
    elif others:
        hint = f"it is an option of {', '.join(others)}"
    return _fault(path, f"unknown key '{escape(key)}' in {where}", hint)


def _fault(path: Path, message: str, hint: str | None = None) -> FastwheelError:
    return FastwheelError(f"{escape(str(path))}: {message}", code="FW801", hint=hint)
