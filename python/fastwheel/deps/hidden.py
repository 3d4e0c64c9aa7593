"""What a grafted library wants beyond DT_NEEDED: plugins that it loads by name, and data in folders compiled into it.

A copy of such a library looks for them on the user's machine, at the place where the build machine had them. No tool
can know what is needed at run time; what can be done is to say it. Only paths and names that exist on this machine are
told, so a library built without plugins stays quiet.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, Literal

from fastwheel.errors import escape
from fastwheel.named import NamedTuple
from fastwheel.spans import Question

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from fastwheel._elf.model import Facts

__all__ = ["HiddenNeed", "hidden_needs", "imports_dlopen", "strings_of"]

_LOADERS: Final = frozenset(
    ("dlopen", "dlmopen", "lt_dlopen", "lt_dlopenext", "lt_dlopenadvise", "g_module_open", "g_module_open_full")
)
#: The beginnings of paths that a build bakes in.
_PREFIXES: Final = ("/usr/", "/etc/", "/opt/", "/lib/", "/lib64/", "/var/lib/", "/home/", "/root/")
#: A path that begins with a variable of GNU's directory names.
_TEMPLATE: Final = re.compile(r"\$\{(prefix|exec_prefix|libdir)\}/([!-z]+)\Z")
_LOADER_FOLDERS: Final = frozenset(("/lib", "/usr/lib", "/lib64", "/usr/lib64"))
_LIBRARY: Final = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]*\.so(?:\.[0-9]+)*\Z")
_LIBRARY_FILE: Final = re.compile(r"\.so(\.[0-9]+)*\Z")
#: Folders with data that a library may need to work at all; what lies elsewhere belongs to the user's system.
_DATA: Final = ("/usr/share/", "/usr/local/share/", "/usr/lib/ssl", "/etc/ssl", "/etc/pki", "/usr/local/ssl", "/opt/")
#: Data that every system has of its own, or that only translates or documents.
_COMMON: Final = re.compile(
    r"/usr/(?:local/)?share/(?:locale|i18n|zoneinfo|man|doc|info|common-licenses|mime|icons|fonts|X11|terminfo|misc|"
    r"pixmaps|themes|applications)?(?:/|\Z)"
)
_PT_LOAD: Final = 1
_PF_X: Final = 1
_PF_W: Final = 2
_MOST_FILES: Final = 2000


class HiddenNeed(NamedTuple):
    """One such need.

    Attributes:
        kind: "plugins" (a folder of libraries), "library" (loaded by name) or "data".
        text: the path or name compiled into the library.
        found: how many libraries (for "plugins"), or files and folders (for "data"), are there on this machine.
    """

    kind: Literal["plugins", "library", "data"]
    text: str
    found: int

    def message(self, library: str) -> str:
        """Return the warning, `library` being the file that wants it."""
        name, text = escape(library), escape(self.text)
        if self.kind == "plugins":
            return f"{name} loads plugins from {text} ({self.found} libraries there), which the wheel does not hold"
        if self.kind == "library":
            return f"{name} loads {text} by name at run time, which the wheel does not hold"
        return f"{name} reads data from {text}, which the wheel does not hold"


def imports_dlopen(facts: Facts) -> bool:
    """Whether a file can load libraries by name."""
    return not (_LOADERS.isdisjoint(facts.undefined) and _LOADERS.isdisjoint(facts.undefined_weak))


#: What a string must hold to be looked at: a path, a path that begins with a variable, the name of a library.
_PATH: Final = b"\0/"
_VARIABLE: Final = b"\0${"
_NAME: Final = b".so"


def strings_of(path: str, size: int, facts: Facts) -> Question:
    """Return what has to be known of a file for `hidden_needs`.

    Args:
        path: of the file.
        size: of the file in bytes.
        facts: its facts; without an import of `dlopen` or its kin it cannot load libraries by name.
    """
    patterns = (_PATH, _VARIABLE, _NAME) if imports_dlopen(facts) else (_PATH, _VARIABLE)
    return Question(path, _data_ranges(size, facts), patterns)


def hidden_needs(
    strings: Sequence[Sequence[str]], facts: Facts, folder: str, find: Callable[[str], bool]
) -> tuple[HiddenNeed, ...]:
    """Return what a library may want at run time, sorted by kind and text.

    Args:
        strings: those that `strings_of` asks for.
        facts: its facts.
        folder: where the file lies on this machine.
        find: whether a library of this name is found on this machine, and neither the wheel nor the target has it.
    """
    loads = imports_dlopen(facts)
    found: dict[tuple[str, str], HiddenNeed] = {}
    for path in (*_paths(strings[0]), *_templates(strings[1], folder)):
        need = _at(path, loads=loads)
        if need is not None:
            found.setdefault((need.kind, need.text), need)
    for text in strings[2] if loads else ():
        if _LIBRARY.match(text) and text not in facts.needed and text != facts.soname and find(text):
            found.setdefault(("library", text), HiddenNeed("library", text, 1))
    # A folder stands for what lies in it.
    folders = [text + "/" for kind, text in found if kind == "data"]
    return tuple(found[key] for key in sorted(found) if key[0] != "data" or not key[1].startswith(tuple(folders)))


def _data_ranges(size: int, facts: Facts) -> tuple[tuple[int, int], ...]:
    """Where the strings of a file are: its segments without code, if linked with those apart, else the whole file."""
    loads = [segment for segment in facts.segments if segment.type == _PT_LOAD]
    if not any(not segment.flags & (_PF_X | _PF_W) for segment in loads):
        return ((0, size),)
    return tuple((s.offset, min(s.offset + s.file_size, size)) for s in loads if not s.flags & _PF_X)


def _paths(strings: Iterable[str]) -> Iterator[str]:
    """The absolute paths that C strings are or, as path lists, begin with, each once."""
    seen: set[str] = set()
    for text in strings:
        entries = re.split("[:;,]", text)
        if not _LOADER_FOLDERS.isdisjoint(entries):
            continue  # a search path for libraries, such as libltdl's
        for entry in entries:
            path = (entry.partition("%")[0] if "%" in entry else entry).rstrip("/")
            if entry.startswith(_PREFIXES) and path not in seen:
                seen.add(path)
                yield path


def _templates(strings: Iterable[str], folder: str) -> Iterator[str]:
    """The paths that a library puts together from `${prefix}` and its kin, as OpenMPI and its relatives do."""
    found = [match for text in strings if (match := _TEMPLATE.match(text))]
    roots = [folder]
    for match in found:
        if match[1] != "libdir" and "lib" in match[2].split("/"):
            roots += [f"/usr/{match[2]}", f"/usr/local/{match[2]}"]
    for match in found:
        if match[1] == "libdir":
            for root in dict.fromkeys(roots):
                yield f"{root}/{match[2]}"


def _at(path: str, *, loads: bool) -> HiddenNeed | None:
    """What lies at `path` on this machine, if the library may want it."""
    if path.count("/") < 3 and not path.startswith(("/etc/ssl", "/etc/pki", "/opt/")):
        return None  # /usr/lib and its like: the loader's own folders
    try:
        if os.path.isdir(path):
            if loads and _is_plugin_folder(path):
                return HiddenNeed("plugins", path, _libraries(path))
        elif not os.path.isfile(path):
            return None
        elif loads and _LIBRARY_FILE.search(path):
            return HiddenNeed("library", path, 1)
    except (OSError, ValueError):
        return None
    if path.startswith(_DATA) and not _COMMON.match(path):
        return HiddenNeed("data", path, 1)
    return None


def _is_plugin_folder(path: str) -> bool:
    """Whether a folder below a library folder holds libraries; the loader's own folders are none."""
    parts = path.strip("/").split("/")
    if "lib" not in parts and "lib64" not in parts and "libexec" not in parts:
        return False
    own = parts[-1] in ("lib", "lib64") or parts[-1].endswith(("linux-gnu", "linux-musl", "gnueabihf"))
    return not own and _libraries(path) > 0


def _libraries(path: str) -> int:
    """How many libraries lie in a folder and its subfolders."""
    count = seen = 0
    for depth, (_, folders, files) in enumerate(os.walk(path)):
        count += sum(1 for name in files if _LIBRARY_FILE.search(name))
        seen += len(files) + 1
        if seen > _MOST_FILES or depth > 200:
            break
        folders.sort()
    return count
