"""Which ELF files change and how: each DT_NEEDED is bound to the file that it means, by name and by search path.

The rules are those of `docs/repair.md`. Nothing here touches the disk.
"""

from __future__ import annotations

from posixpath import basename, dirname, join, normpath, relpath
from typing import TYPE_CHECKING

from fastwheel._elf.model import Edit
from fastwheel.deps.hidden import imports_dlopen
from fastwheel.errors import FastwheelError, escape
from fastwheel.named import NamedTuple
from fastwheel.policy.match import is_libpython
from fastwheel.wheel.layout import SITE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fastwheel._elf.model import Facts
    from fastwheel.deps.include import Include
    from fastwheel.deps.objects import Graph
    from fastwheel.survey import Unit
    from fastwheel.verdict import Reference

__all__ = ["Binder", "Graft", "Patch", "Shim", "graft_name", "inside"]


class Graft(NamedTuple):
    """A library of this machine that goes into the wheel.

    Attributes:
        source: its real path.
        soname: the name under which it was first asked for.
        name: its file name and DT_SONAME in the wheel.
        member: its name in the archive.
        edit: what changes in it.
        sha256: of the source file, hex.
        needed_by: who asked for it first.
    """

    source: str
    soname: str
    name: str
    member: str
    edit: Edit
    sha256: str
    needed_by: str

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {
            "source": self.source,
            "soname": self.soname,
            "name": self.name,
            "member": self.member,
            "sha256": self.sha256,
            "needed_by": self.needed_by,
            "edit": edit_to_dict(self.edit),
        }


class Patch(NamedTuple):
    """An ELF file of the wheel that changes, by its archive name; `moved_to` is its new one, if it moves."""

    member: str
    edit: Edit
    moved_to: str | None = None

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {"member": self.member, "moved_to": self.moved_to, "edit": edit_to_dict(self.edit)}


class Shim(NamedTuple):
    """A script that takes the place of an executable in `.data/scripts` and runs the moved one."""

    member: str
    text: str


def edit_to_dict(edit: Edit) -> dict[str, object]:
    """Return an `Edit` as plain data, without what it does not ask for."""
    asked: dict[str, object] = {}
    for name in ("soname", "runpath", "rpath", "remove_rpath", "remove_needed", "add_needed"):
        value = getattr(edit, name)
        if value is not None and value is not False and value != ():
            asked[name] = value
    if edit.replace_needed:
        asked["replace_needed"] = [list(pair) for pair in edit.replace_needed]
    return asked


def graft_name(file_name: str, sha256: str) -> str:
    """Return the name of a grafted copy of `file_name`: the first 8 digits of its hash go before its first dot.

    >>> graft_name("libfoo.so.3.0.1", "0123456789abcdef")
    'libfoo-01234567.so.3.0.1'
    >>> graft_name("libfoo-01234567.so.3", "0123456789abcdef")
    'libfoo-01234567.so.3'
    >>> graft_name("plugin", "0123456789abcdef")
    'plugin-01234567'
    """
    stem, dot, rest = file_name.partition(".")
    short = sha256[:8]
    if stem.endswith(f"-{short}"):
        return file_name
    return f"{stem}-{short}{dot}{rest}"


class _Binding(NamedTuple):
    """Pairs (old, new) of DT_NEEDED names, and the folders of the installed tree to search."""

    replaced: tuple[tuple[str, str], ...]
    folders: tuple[str, ...]


class Binder:
    """Binds every ELF file of the repaired wheel to the files that its DT_NEEDED entries mean."""

    def __init__(
        self,
        graph: Graph,
        sources: Sequence[Reference],
        includes: Sequence[Include],
        digests: Mapping[str, str],
        *,
        folder: str,
        scripts: str,
        force_rpath: bool,
        keep_rpath: bool,
        keep_libpython: bool,
    ) -> None:
        self.graph = graph
        self.folder = folder
        self.scripts = scripts
        self.force_rpath = force_rpath
        self.keep_rpath = keep_rpath
        self.keep_libpython = keep_libpython
        self.notes: list[str] = []
        self._digests = digests
        self._sources: list[tuple[str, str, str, str]] = []  # real path, name asked for, member, asker
        #: Real path ▶ (folder, name) in the installed tree, where DT_NEEDED entries find it.
        self._places: dict[str, tuple[str, str]] = {}
        for item in includes:
            if item.facts is not None:
                self._add(item.source, item.name, join(item.folder or folder, item.name), "--include")
        for reference in sources:
            if reference.path is not None and reference.path not in self._places:
                name = graft_name(basename(reference.path), digests[reference.path])
                self._add(reference.path, basename(reference.soname), join(folder, name), reference.needed_by)
        self._loaded_by_name = any(item.folder is None and item.facts is not None for item in includes)

    def _add(self, source: str, soname: str, member: str, asker: str) -> None:
        self._sources.append((source, soname, member, asker))
        self._places.setdefault(source, (dirname(member), basename(member)))

    def grafts(self) -> tuple[Graft, ...]:
        """The grafts, by member name; a file under two real paths is taken once.

        Raises:
            FastwheelError: FW502, two copies of one library need different libraries.
        """
        chosen: dict[str, Graft] = {}
        for source, soname, member, asker in self._sources:
            name = basename(member)
            facts = self.graph.objects[source].facts
            keep = facts.soname == name or (facts.soname is None and asker == "--include")
            edit = self._edit(
                Edit(soname=None if keep else name), source, facts, dirname(member), self._bind(source), grafted=True
            )
            graft = Graft(source, soname, name, member, edit, self._digests[source], asker)
            other = chosen.setdefault(member, graft)
            if other.edit != edit:
                raise FastwheelError(
                    f"{escape(other.source)} and {escape(source)} are the same file, but need different libraries",
                    code="FW502",
                    hint="--ldpaths or --exclude can make the choice",
                )
        return tuple(sorted(chosen.values(), key=lambda graft: graft.member))

    def patches(self, units: Iterable[Unit], *, touch_all: bool) -> tuple[tuple[Patch, ...], tuple[Shim, ...]]:
        """The changes to the wheel's own ELF files, and the scripts that stand in for moved executables.

        With `touch_all` every file is listed, also those whose dynamic section stays as it is.

        Raises:
            FastwheelError: FW608, a file that needs a library of the wheel lands outside of site-packages.
        """
        patches: list[Patch] = []
        shims: list[Shim] = []
        for unit in units:
            binding = self._bind(unit.path)
            moved = None
            location = unit.path
            if binding.folders and unit.scheme == "scripts":
                # Where scripts land relative to site-packages is the installer's choice, so the executable moves to
                # a place that has a fixed distance from the libraries.
                location = moved = join(self.scripts, basename(unit.member))
                shims.append(Shim(unit.member, shim_text(moved)))
            elif binding.folders and unit.scheme != SITE:
                raise FastwheelError(
                    f"{escape(unit.member)} needs a library of the wheel, but installs outside of site-packages",
                    code="FW608",
                    hint="ship it inside the package: its distance from the library is not known otherwise",
                )
            edit = self._edit(Edit(), unit.path, unit.facts, dirname(location), binding, grafted=False)
            if edit != Edit() or moved is not None or touch_all:
                patches.append(Patch(unit.member, edit, moved))
        return tuple(patches), tuple(shims)

    def _bind(self, key: str) -> _Binding:
        """Which names change in the object `key`, and the folders of the wheel in which it has to find libraries."""
        replaced: dict[str, str] = {}
        folders: dict[str, None] = {}
        for edge in self.graph.edges.get(key, ()):
            if edge.target is None:
                continue
            target = self.graph.objects[edge.target]
            if target.origin == "wheel":
                name, folder = basename(target.key), dirname(target.key)
            elif edge.target in self._places:
                folder, name = self._places[edge.target]
            else:
                continue
            if name != edge.needed:
                replaced[edge.needed] = name
            folders.setdefault(folder)
        if self._loaded_by_name and imports_dlopen(self.graph.objects[key].facts):
            folders.setdefault(self.folder)  # dlopen(3) searches the DT_RUNPATH of its caller
        return _Binding(tuple(replaced.items()), tuple(folders))

    def _edit(self, edit: Edit, key: str, facts: Facts, here: str, binding: _Binding, *, grafted: bool) -> Edit:
        """Add to `edit` all that binds the object `key`, which will lie in the folder `here` of the installed tree."""
        edit = edit._replace(replace_needed=binding.replaced, remove_needed=self._libpython(key, facts))
        return self._with_path(edit, facts, here, binding.folders, grafted=grafted)

    def _with_path(self, edit: Edit, facts: Facts, here: str, folders: Sequence[str], *, grafted: bool) -> Edit:
        """Add the RUNPATH: the old entries that stay inside the installed tree, then the folders still uncovered."""
        old = facts.runpath if facts.runpath is not None else facts.rpath
        kept: list[str] = []
        if old is not None and not grafted:
            for entry in old.split(":"):
                stays = inside(entry, here) is not None or (self.keep_rpath and entry != "")
                if stays and entry not in kept:
                    kept.append(entry)
        covered = {inside(entry, here) for entry in kept}
        for folder in folders:
            if folder not in covered:
                covered.add(folder)
                kept.append(_origin(folder, here))
        wanted = ":".join(kept)
        if not folders and wanted == (old or ""):
            return edit
        if not wanted:
            return edit if old is None else edit._replace(remove_rpath=True)
        if self.force_rpath:
            same = facts.rpath == wanted and facts.runpath is None
            return edit if same else edit._replace(rpath=wanted)
        if wanted == old and facts.runpath is None and not edit.replace_needed:
            # An old DT_RPATH that already says it all, as auditwheel writes it, stays what it is.
            return edit
        same = facts.runpath == wanted and facts.rpath is None
        return edit if same else edit._replace(runpath=wanted)

    def _libpython(self, key: str, facts: Facts) -> tuple[str, ...]:
        """The DT_NEEDED entries to drop: the interpreter brings libpython; an executable has to bring it itself."""
        names = tuple(dict.fromkeys(name for name in facts.needed if is_libpython(name)))
        if not names or self.keep_libpython:
            return ()
        if facts.interpreter is not None:
            self.notes.append(
                f"{escape(key)} embeds Python: its link to {escape(', '.join(names))} is kept, and the target has to"
                " provide that library"
            )
            return ()
        self.notes.append(
            f"Removing {escape(', '.join(names))} dependency from {escape(key)}."
            " Linking with libpython is forbidden for manylinux/musllinux wheels"
        )
        return names


def inside(entry: str, here: str) -> str | None:
    """Return the folder of the installed tree that a search path entry of a file in `here` means, or None.

    >>> inside("$ORIGIN/../pkg.libs", "pkg/sub"), inside("/usr/lib", "pkg"), inside("$ORIGIN/../..", "pkg")
    ('pkg/pkg.libs', None, None)
    """
    for token in ("${ORIGIN}", "$ORIGIN"):
        rest = entry.removeprefix(token)
        if rest != entry and (not rest or rest.startswith("/")) and "$" not in rest:
            folder = normpath(f"{here}/.{rest}" if here else f".{rest}")
            folder = "" if folder == "." else folder
            return None if folder == ".." or folder.startswith("../") else folder
    return None


def _origin(folder: str, here: str) -> str:
    """The entry by which a file in `here` reaches `folder`."""
    distance = relpath("/" + folder, "/" + here)
    return "$ORIGIN" if distance == "." else f"$ORIGIN/{distance}"


def shim_text(moved: str) -> str:
    """Return the script that runs the executable `moved` (a path below site-packages) in its own place.

    It looks beside itself and along `sys.path`, so that it also works below `pip install --user`, `--target` and
    `--prefix`.
    """
    return f"""#!python
import os
import sys

PROGRAM = {moved!r}


def find():
    here = os.path.dirname(os.path.abspath(__file__))
    for folder in [os.path.dirname(here), *sys.path[1:]]:
        path = os.path.join(folder, PROGRAM)
        if os.path.isfile(path):
            return path
    sys.exit("cannot find " + PROGRAM + " on sys.path")


if __name__ == "__main__":
    program = find()
    os.execv(program, sys.argv)
"""
