"""A repair that is killed, stopped or runs out of disk at any point: the whole wheel or none, and nothing changed."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from arena import NAME, Arena, Call, Outcome, Server, Tools, parts_of
from zipkit import Part, assemble

from fastwheel.errors import CODES

POINTS = 54
OUTPUT = "demo-1.0-py3-none-manylinux1_x86_64.manylinux_2_5_x86_64.whl"
OLD = b"what lay there before"


@pytest.fixture(scope="module")
def shimmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the shim in it."""
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    server = Server(environ={"LD_PRELOAD": str(library)})
    yield server
    server.close()


def sandbox(folder: Path, tools: Tools, server: Server) -> Arena:
    """A wheel with something of each kind: kept members, edited ones, small and large grafts to come."""
    arena = Arena(folder, tools, server)
    noise = bytes(i * i % 251 for i in range(700_000))
    arena.save(assemble(parts_of(tools, Part("demo/noise.bin", noise))))
    arena.out.mkdir()
    return arena


def run(arena: Arena, point: int, action: int) -> Outcome:
    options = {"arm": [point, action], "below": str(arena.out)}
    return arena.run(["repair", "-w", str(arena.out), str(arena.folder / "in" / NAME)], Call(options=options))


def whole(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return archive.testzip() is None


ACTIONS = {
    "kill": signal.SIGKILL,
    "interrupt": signal.SIGINT,
    "terminate": signal.SIGTERM,
    "full-disk": -errno.ENOSPC,
    "file-size": -errno.EFBIG,
    "broken-disk": -errno.EIO,
}


@pytest.mark.parametrize("there", ["nothing", "old"])
@pytest.mark.parametrize("name", ACTIONS)
def test_any_point(tmp_path: Path, tools: Tools, shimmed: Server, name: str, there: str) -> None:
    action = int(ACTIONS[name])
    arena = sandbox(tmp_path / "arena", tools, shimmed)
    counted = run(arena, 1 << 40, 0)
    assert counted.status == 0, counted.stderr
    total = int(str(counted.answer["count"]))
    assert total > 100
    target = arena.out / OUTPUT
    reference = target.read_bytes()
    points = sorted({1 + (total - 1) * i // (POINTS - 1) for i in range(POINTS)})
    if there == "old":
        points = points[::6]
    assert len(points) >= (POINTS if there == "nothing" else POINTS // 6)
    outcomes: dict[int, int] = {}
    for point in points:
        for path in arena.out.iterdir():
            path.unlink()
        if there == "old":
            target.write_bytes(OLD)
        before = arena.state("out")
        outcome = run(arena, point, action)
        said = f"{name} at {point} of {total}: status {outcome.status}, {outcome.stderr.decode()}"
        assert arena.state("out") == before, said
        assert not outcome.answer["hung"], said
        left = {path.name: path for path in arena.out.iterdir()}
        written = left.pop(OUTPUT, None)
        if written is not None and not (there == "old" and written.read_bytes() == OLD):
            assert written.read_bytes() == reference, said
            assert whole(written)
        else:
            assert outcome.status != 0, said
        if there == "old":
            assert written is not None, said
        if action != signal.SIGKILL:
            assert not left, f"{said}: {sorted(left)}"
            assert b"Traceback" not in outcome.stderr, said
        assert not any(other.endswith(".whl") for other in left), said
        if action < 0 and outcome.status:
            assert outcome.code in ("FW700", "FW702", "FW703"), said
            assert outcome.status == CODES[outcome.code].status
            assert outcome.stderr.count(b"error: ") == 1, said
        elif outcome.status:
            assert outcome.status in (-action, 130 if action == signal.SIGINT else -action), said
        outcomes[outcome.status] = outcomes.get(outcome.status, 0) + 1
    assert len(outcomes) == 1 if action == signal.SIGKILL else any(status != 0 for status in outcomes), outcomes
    arena.close()


def test_eight_at_once(tmp_path: Path, tools: Tools, server: Server) -> None:
    """Into one folder, with one cache: the same bytes for all of them, and nothing else."""
    arena = sandbox(tmp_path / "arena", tools, server)
    line = [sys.executable, "-m", "fastwheel", "repair", "--cache-dir", str(arena.folder / "home" / "cache")]
    line += ["-w", str(arena.out), str(arena.folder / "in" / NAME)]
    for _ in range(2):  # with an empty cache, then with a full one
        running = [
            subprocess.Popen(line, env=arena.environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for _ in range(8)
        ]
        texts = [process.communicate()[1] for process in running]
        assert [process.returncode for process in running] == [0] * 8, texts
        assert [path.name for path in arena.out.iterdir()] == [OUTPUT]
        whole_bytes = (arena.out / OUTPUT).read_bytes()
        (arena.out / OUTPUT).unlink()
        alone = arena.run(["repair", "-w", str(arena.out), str(arena.folder / "in" / NAME)], Call())
        assert alone.status == 0
        assert (arena.out / OUTPUT).read_bytes() == whole_bytes
    arena.close()
