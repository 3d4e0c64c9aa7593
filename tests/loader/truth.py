"""The prediction beside the truth: files of a folder in the simulation, and the same files in dlopen."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fastwheel import engine
from fastwheel.errors import ElfError
from fastwheel.loader.host import Host
from fastwheel.loader.load import Tree
from fastwheel.loader.model import Kind, Level, LoadedObject, Outcome, RootKind
from fastwheel.loader.objects import object_of
from fastwheel.loader.run import Root, run
from fastwheel.policy import Libc

_SERVER = Path(__file__).with_name("dlopen_server.py")
_MUSL_SERVER = r"""
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>
int main(void) {
    static char line[65536];
    setvbuf(stdout, 0, _IONBF, 0);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        int ends[2], status;
        static char answer[65536];
        pipe(ends);
        if (fork() == 0) {
            const char *text = dlopen(line, RTLD_NOW | RTLD_LOCAL) ? "+" : dlerror();
            write(ends[1], text, strlen(text));
            _exit(0);
        }
        close(ends[1]);
        ssize_t size = read(ends[0], answer, sizeof answer - 1);
        close(ends[0]);
        wait(&status);
        answer[size > 0 ? size : 0] = 0;
        printf("%s\n", *answer ? answer : "it crashed");
    }
    return 0;
}
"""


@dataclass
class Truth:
    """A server of dlopen, and the machine as the simulation sees it."""

    host: Host
    server: subprocess.Popen[str]
    plain: bool

    def real(self, path: Path) -> str | None:
        """Return what dlopen complains of, or None."""
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        print(path if self.plain else json.dumps(str(path)), file=self.server.stdin, flush=True)
        line = self.server.stdout.readline()
        assert line, "the server of dlopen has ended"
        if self.plain:
            return None if line == "+\n" else line.rstrip("\n")
        answered, error = json.loads(line)
        assert answered == str(path)
        assert error is None or isinstance(error, str)
        return error

    def predicted(self, tree: Tree, roots: Iterable[LoadedObject]) -> dict[str, Outcome]:
        """Return the outcome of loading each of `roots` as ctypes does."""
        todo = [Root(item, RootKind.LIBRARY, ("here",)) for item in roots]
        outcomes = run(tree, self.host, todo, {"here": self.host.process[0].symbols})
        assert [outcome.root for outcome in outcomes] == [root.item.key for root in todo]
        return {outcome.root: outcome for outcome in outcomes}

    def tree(self, site: Path) -> Tree:
        """Return the files below `site` as those of an installed wheel."""
        objects: dict[str, LoadedObject] = {}
        unusable: dict[str, str] = {}
        files = [path for path in sorted(site.rglob("*")) if path.is_file()]
        for path in files:
            key = str(path.relative_to(site))
            content = path.read_bytes()
            if content.startswith(b"\x7fELF"):
                try:
                    facts = engine.read(content)
                    objects[key] = object_of(key, facts, engine.links(content), libc=self.host.libc)
                except ElfError as error:
                    unusable[key] = error.message
        return Tree(objects, unusable, frozenset(str(path.relative_to(site)) for path in files), {})

    def both(self, site: Path, name: str) -> tuple[Outcome, str | None]:
        """Return the prediction for one file below `site`, and what dlopen complains of."""
        tree = self.tree(site)
        return self.predicted(tree, [tree.objects[name]])[name], self.real(site / name)


@contextmanager
def of_python() -> Iterator[Truth]:
    """Start a server that loads into forks of this Python."""
    line = [sys.executable, "-I", "-S", str(_SERVER)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={}) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        loaded = [os.path.realpath(path) for path in json.loads(server.stdout.readline())]
        process = {item.key for item in Host(sys.executable).process}
        yield Truth(Host(sys.executable, preloaded=[path for path in loaded if path not in process]), server, False)
        server.stdin.close()


@contextmanager
def of_musl(folder: Path) -> Iterator[Truth]:
    """Start a server that loads into forks of a program of musl."""
    (folder / "server.c").write_text(_MUSL_SERVER)
    path = f"-Wl,-rpath,{folder}/of-the-program"
    subprocess.run(["musl-gcc", "-o", folder / "server", folder / "server.c", path], check=True)
    with subprocess.Popen([folder / "server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        yield Truth(Host(folder / "server", libc=Libc.MUSL), server, True)
        server.stdin.close()


def agrees(outcome: Outcome, error: str | None) -> bool:
    """Whether the outcome is that of dlopen, for the reason that dlopen gives."""
    if error is None:
        return outcome.loads
    faults = [finding for finding in outcome.findings if finding.level is Level.ERROR]
    if match := re.search(r"(?P<name>[^ /]+): cannot open shared object file", error):
        return any(f.kind is Kind.LIBRARY_MISSING and f.needed == match["name"] for f in faults)
    if match := re.search(r"undefined symbol: (?P<name>[^ ,]+)", error):
        return any(f.symbol == match["name"] for f in faults)
    if match := re.search(r"version `(?P<name>.+)' not found", error):
        return any(f.version == match["name"] for f in faults)
    if "static TLS block" in error:
        return any(f.kind is Kind.STATIC_TLS for f in faults)
    if "dynamically load" in error:
        return any(f.kind is Kind.NOT_LOADABLE and f.file == outcome.root for f in faults)
    return False
