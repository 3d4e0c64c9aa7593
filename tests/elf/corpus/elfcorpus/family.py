"""A family of shapes: built together into one folder of the cache, keyed by all that the result depends on."""

from __future__ import annotations

import hashlib
import inspect
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .subject import Subject
from .tools import SOURCES, cached, run, version_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Family", "Workshop"]


@dataclass
class Workshop:
    """Where a family builds: `root` is its folder, `deps` the folder of the libraries that its shapes need."""

    root: Path
    machine: str = "x86_64"
    rows: list[dict[str, object]] = field(default_factory=list)

    @property
    def deps(self) -> Path:
        """The folder of libdep.so.1."""
        return self.root / "deps"

    def path(self, name: str) -> Path:
        """Return the path of a file to be built; its folder is made."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def library_for_all(self, compiler: str = "gcc", *flags: str) -> None:
        """Build libdep.so.1 with symbol versions, and the name that linkers look for."""
        target = self.path("deps/libdep.so.1")
        run(
            [
                compiler,
                "-shared",
                "-fPIC",
                "-O1",
                *flags,
                SOURCES / "dep.c",
                "-o",
                target,
                "-Wl,-soname,libdep.so.1",
                f"-Wl,--version-script={SOURCES / 'dep.map'}",
            ]
        )
        (self.deps / "libdep.so").symlink_to("libdep.so.1")

    def add(
        self,
        name: str,
        path: Path,
        *,
        kind: str = "library",
        probe: bool = True,
        refused: bool = False,
        library_path: tuple[str, ...] = (),
    ) -> None:
        """Enter a built file into the corpus."""
        self.rows.append(
            {
                "name": name,
                "path": str(path.relative_to(self.root)),
                "machine": self.machine,
                "kind": kind,
                "probe": probe and kind == "library",
                "refused": refused,
                "library_path": ["deps", *library_path],
            }
        )


#: Part of every key. Read once, on import: CPython 3.11 fails to parse source in several threads at a time.
_WORKSHOP = inspect.getsource(Workshop)


@dataclass(frozen=True)
class Family:
    """Shapes that are built together.

    Attributes:
        name: of the cache folder.
        build: fills a workshop.
        programs: whose versions the result depends on.
        machine: a key of `subject.MACHINES`.
    """

    name: str
    build: Callable[[Workshop], None]
    programs: tuple[str, ...]
    machine: str = "x86_64"

    def subjects(self) -> list[Subject]:
        """Return the files, built now if the cache does not have them."""

        def make(folder: Path) -> None:
            workshop = Workshop(folder, self.machine)
            self.build(workshop)
            (folder / "subjects.json").write_text(json.dumps(workshop.rows, indent=1))

        sources = hashlib.sha256()
        for path in sorted(SOURCES.iterdir()):
            if path.suffix != ".c" or path.name != "loader.c":
                sources.update(path.name.encode() + path.read_bytes())
        module = inspect.getsource(inspect.getmodule(self.build) or type(self))
        key = [module, _WORKSHOP, sources.hexdigest(), *map(version_of, self.programs)]
        folder = cached(f"shapes-{self.name}", key, make)
        rows = json.loads((folder / "subjects.json").read_text())
        return [
            Subject(
                name=row["name"],
                group="shape",
                path=folder / row["path"],
                machine=row["machine"],
                kind=row["kind"],
                probe=row["probe"],
                refused=row["refused"],
                library_path=tuple(folder / p if not p.startswith("/") else Path(p) for p in row["library_path"]),
            )
            for row in rows
        ]
