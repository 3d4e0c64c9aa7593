"""Wheels of many parts of one kind, in three sizes: whether time grows with their number or faster."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fastwheel import elf
from wheelbench.generate import PLATFORM, compiled, write_wheel
from wheelbench.jobs import Job
from wheelbench.measure import Sample, median, run
from wheelbench.store import cached, root
from wheelbench.tools import TOOLS, clean_environment

__all__ = ["KINDS", "Growth", "make", "measure_growth"]

_VERSION = "1"  # of what this module makes
_MODULE = "scale/module.cpython-311-x86_64-linux-gnu.so"
_C = "void *PyInit_%s(void) { return 0; }\n"


def _members(folder: Path, count: int) -> list[tuple[str, bytes]]:
    """So many small files beside one module."""
    compiled(_C % "module", folder / "module.so")
    module = (_MODULE, (folder / "module.so").read_bytes())
    return [
        module,
        *((f"scale/{number % 97}/file_{number}.py", b"value = %d\n" % number) for number in range(count - 1)),
    ]


def _extensions(folder: Path, count: int) -> list[tuple[str, bytes]]:
    """So many modules that need one library."""
    _library(folder / "libraries", "libshared.so.1", ())
    compiled(_C % "module", folder / "module.so")
    plain = (folder / "module.so").read_bytes()
    edited = elf.edit(plain, elf.Edit(add_needed=("libshared.so.1",)))
    return [(f"scale/module_{number}.cpython-311-x86_64-linux-gnu.so", edited) for number in range(count)]


def _fan(folder: Path, count: int) -> list[tuple[str, bytes]]:
    """One module that needs so many libraries."""
    names = tuple(f"libfan_{number}.so.1" for number in range(count))
    for name in names:
        _library(folder / "libraries", name, ())
    needs = ["-Wl,--no-as-needed", *(folder / "libraries" / name for name in names)]
    compiled(_C % "module", folder / "module.so", *needs)
    return [(_MODULE, (folder / "module.so").read_bytes())]


def _chain(folder: Path, count: int) -> list[tuple[str, bytes]]:
    """One module that needs a library that needs a library, and so on."""
    names = [f"liblink_{number}.so.1" for number in range(count)]
    for name, following in zip(names, [*names[1:], None], strict=True):
        _library(folder / "libraries", name, () if following is None else (following,))
    compiled(_C % "module", folder / "module.so")
    return [(_MODULE, elf.edit((folder / "module.so").read_bytes(), elf.Edit(add_needed=(names[0],))))]


def _symbols(folder: Path, count: int) -> list[tuple[str, bytes]]:
    """One module that asks for so many symbols of one library."""
    names = [f"a_symbol_with_a_name_as_long_as_usual_{number}" for number in range(count)]
    library = folder / "libraries" / "libsymbols.so.1"
    library.parent.mkdir(exist_ok=True)
    text = "".join(f'".globl {name}\\n.type {name},@function\\n{name}:\\n"\n' for name in names)
    compiled(f'__asm__(".text\\n"\n{text}"ret\\n");', library, "-Wl,-soname,libsymbols.so.1")
    text = "".join(f'".quad {name}\\n"\n' for name in names)
    compiled(_C % "module" + f'__asm__(".data\\n"\n{text}".text\\n");', folder / "module.so", library)
    return [(_MODULE, (folder / "module.so").read_bytes())]


def _library(folder: Path, name: str, needs: tuple[str, ...]) -> None:
    """Write a small library; all are one compiled file, edited."""
    folder.mkdir(exist_ok=True)
    plain = folder.parent / "plain.so"
    if not plain.exists():
        compiled("int plain(void) { return 1; }", plain)
    (folder / name).write_bytes(elf.edit(plain.read_bytes(), elf.Edit(soname=name, add_needed=needs)))


@dataclass(frozen=True)
class _Kind:
    title: str
    most: int
    members: Callable[[Path, int], list[tuple[str, bytes]]]


#: What grows; the largest wheel has `most` of it, the others a quarter and a sixteenth.
KINDS: Mapping[str, _Kind] = {
    "members": _Kind("members of a wheel", 66_000, _members),
    "extensions": _Kind("extension modules", 500, _extensions),
    "fan": _Kind("libraries that one module needs", 300, _fan),
    "chain": _Kind("libraries, each needing the next", 1_200, _chain),
    "symbols": _Kind("symbols asked of one library", 100_000, _symbols),
}


@dataclass
class Growth:
    """How long wheels of one kind take.

    Attributes:
        key: of the kind.
        title: what is counted.
        base: CPU seconds for the least wheel of this kind: what does not depend on the number.
        counts: the numbers.
        samples: for each of them.
    """

    key: str
    title: str
    base: float
    counts: list[int] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)

    def per_item(self) -> list[float]:
        """Return the CPU seconds for one item more, at each number."""
        pairs = zip(self.counts, self.samples, strict=True)
        return [max(sample.cpu - self.base, 0) / count for count, sample in pairs]

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        rows = [
            {"count": count, "median": sample.to_dict(), "per_item": item}
            for count, sample, item in zip(self.counts, self.samples, self.per_item(), strict=True)
        ]
        return {"kind": self.key, "title": self.title, "base": self.base, "rows": rows}


def make(kind: str, count: int) -> Job:
    """Return the job of repairing a wheel with so many items of a kind."""

    def build(folder: Path) -> None:
        scratch = Path(tempfile.mkdtemp(dir=folder))
        members = KINDS[kind].members(scratch, count)
        (folder / "libraries").mkdir()
        if (scratch / "libraries").is_dir():
            (scratch / "libraries").replace(folder / "libraries")
        shutil.rmtree(scratch)
        write_wheel(folder / f"scale-1.0-cp311-cp311-{PLATFORM}.whl", members)

    folder = cached(f"scale-{kind}", (_VERSION, str(count)), build)
    (wheel,) = folder.glob("*.whl")
    return Job(kind, "repair", (wheel,), folder / "libraries")


def measure_growth(kind: str, rounds: int, say: Callable[[str], None], tool: str = "fastwheel") -> Growth:
    """Measure wheels with 1 item, and with a sixteenth, a quarter and all of `most`."""
    most = KINDS[kind].most
    found = Growth(kind, KINDS[kind].title, _sample(make(kind, 1), rounds, tool).cpu)
    for count in (most // 16, most // 4, most):
        found.counts.append(count)
        found.samples.append(_sample(make(kind, count), rounds, tool))
    items = ", ".join(
        f"{count}: {item * 1e6:.0f} µs" for count, item in zip(found.counts, found.per_item(), strict=True)
    )
    say(
        f"scale, {found.title}: {items}; the largest {found.samples[-1].wall:.2f} s, "
        f"{found.samples[-1].memory / 2**20:.0f} MiB"
    )
    return found


def _sample(job: Job, rounds: int, tool: str) -> Sample:
    samples = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix=".run-", dir=root()) as out:
            line = TOOLS[tool].line(job, Path(out))
            assert line is not None
            samples.append(run(line, clean_environment(job, TOOLS[tool].environ), Path(out)))
    return median(samples)
