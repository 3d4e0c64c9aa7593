"""Inputs of at most 1 MiB that are made to be costly, through every command: a second of CPU each, with the start."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from arena import MOST_CPU, THOROUGH, Arena, Call, Server, Tools, slowness
from costly import ELF_FILES, KINDS, SMALL, TEXTS, mixture, wheel_of, worst

#: More of them with FASTWHEEL_HOSTILE=all; FASTWHEEL_SEED begins elsewhere.
SEED = int(os.environ.get("FASTWHEEL_SEED", "0"))
MIXTURES = range(SEED, SEED + (300 if THOROUGH else 6))
VARIANTS = range(SEED, SEED + (10 if THOROUGH else 1))
VERBS: dict[str, tuple[str, ...]] = {
    "show": (),
    "repair": ("-w", "OUT", "--ldpaths", ""),
    "verify": (),
    "explain": (),
    "tree": ("--json",),
    "diff": ("PLAIN",),
    "report": ("-q", "-o", "OUT/page.html"),
}
ELF_VERBS: dict[str, tuple[str, ...]] = {"lddtree": (), "tree": ("--json",), "diff": ("PLAIN",)}


def complaints(arena: Arena, verb: str, options: Sequence[str], path: Path, plain: Path) -> list[str]:
    """Run one command; return what is wrong with what came of it."""
    arena.out.mkdir(exist_ok=True)
    line = [verb, *(one.replace("OUT", str(arena.out)).replace("PLAIN", str(plain)) for one in options), str(path)]
    took = []
    while not took or (took[-1] > MOST_CPU and len(took) < 3):  # what else runs may have cost it
        slow = slowness()
        outcome = arena.run(line, Call(options={"exec": True}))
        took.append(float(str(outcome.answer["cpu"])) / max(slow, slowness()))
    found = []
    if took[-1] > MOST_CPU:
        found.append(f"{min(took):.2f} s of CPU")
    if outcome.answer["hung"] or outcome.status not in (0, 1, 2):
        found.append(f"status {outcome.status}")
    text = outcome.stderr.decode("utf-8", "replace")
    if "Traceback" in text or len(text) > 20_000:
        found.append("a traceback" if "Traceback" in text else f"{len(text)} characters of messages")
    return [f"{verb}: {fault}: {text[:500]}" for fault in found]


def judge(tmp_path: Path, tools: Tools, server: Server, name: str, content: bytes) -> None:
    assert len(content) <= SMALL
    arena = Arena(tmp_path / "arena", tools, server)
    path = arena.save(content, name)
    plain = arena.folder / "home" / "demo-1.0-py3-none-linux_x86_64.whl"
    plain.write_bytes(wheel_of([], tag="py3-none-linux_x86_64")[1])
    verbs = VERBS
    if not name.endswith(".whl"):
        verbs = ELF_VERBS
        plain.write_bytes(tools.plain)
    elif not THOROUGH:  # the dearest two of each, and one of the others in turn
        others = [verb for verb in VERBS if verb not in ("verify", "report")]
        chosen = {"verify", "report", others[sum(content) % len(others)]}
        verbs = {verb: options for verb, options in VERBS.items() if verb in chosen}
    found = [text for verb, options in verbs.items() for text in complaints(arena, verb, options, path, plain)]
    arena.close()
    assert not found, "\n".join(found)


@pytest.mark.parametrize("seed", VARIANTS)
@pytest.mark.parametrize("name", KINDS)
def test_the_worst_of_a_kind(tmp_path: Path, tools: Tools, server: Server, name: str, seed: int) -> None:
    judge(tmp_path, tools, server, *worst(f"{name}/{seed}"))


@pytest.mark.parametrize("name", TEXTS)
def test_texts(tmp_path: Path, tools: Tools, server: Server, name: str) -> None:
    judge(tmp_path, tools, server, *worst(name))


@pytest.mark.parametrize("seed", MIXTURES)
def test_mixtures(tmp_path: Path, tools: Tools, server: Server, seed: int) -> None:
    judge(tmp_path, tools, server, *mixture(seed))


@pytest.mark.parametrize("name", ELF_FILES)
def test_single_files(tmp_path: Path, tools: Tools, server: Server, name: str) -> None:
    judge(tmp_path, tools, server, "hostile.so", ELF_FILES[name]())
