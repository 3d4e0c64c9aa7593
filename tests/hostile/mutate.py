"""Random mutations of the seeds and of all cases, for as long as one likes.

    python tests/hostile/mutate.py [--seconds N] [--seed N] [--target archive|texts|repair] [--keep FOLDER]

Targets: `archive` opens wheels and reads all of their members; `texts` parses METADATA, WHEEL, RECORD and file names;
`repair` runs whole repairs in the sandbox that the cases run in. An input that fails is kept in FOLDER and named.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "wheel")]

from arena import NAME, Arena, Call, Case, Server, Tools, judge, parts_of  # noqa: E402
from zipkit import assemble  # noqa: E402

from fastwheel.errors import CODES, FastwheelError  # noqa: E402

__all__ = ["TARGETS", "Failure", "fuzz", "mutated"]

#: Bytes that formats give a meaning to.
TELLING = [
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff\xff",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\xff" * 8,
    b"PK\1\2",
    b"PK\3\4",
]
TELLING += [
    b"PK\5\6",
    b"PK\6\6",
    b"PK\6\7",
    b"PK\7\x08",
    b"\1\0",
    b"\n",
    b"\r\n",
    b"\n\n",
    b",",
    b'"',
    b":",
    b"-",
    b"..",
    b"/",
    b"\\",
]
TELLING += [
    b"\x7fELF",
    b"\xef\xbb\xbf",
    "é".encode(),
    b"\xed\xa0\x80",
    b"sha256=",
    b"Tag: ",
    b"Name: ",
    b"../",
    b"\x1b[2J",
]


class Failure(Exception):  # noqa: N818 - the result of a search
    """An input that is not dealt with as promised; the argument says how."""


def mutated(data: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    """Return `data` with one to six changes."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(out) + 1)
        size = min(chance.choice((1, 1, 2, 4, 8, 30, 200)), len(out) - at)
        kind = chance.randrange(8)
        if kind == 0 and size:
            out[at : at + size] = chance.randbytes(size)
        elif kind == 1:
            telling = chance.choice(TELLING)
            out[at : at + len(telling)] = telling
        elif kind == 2:
            out[at:at] = chance.choice(TELLING)
        elif kind == 3:
            del out[at : at + size]
        elif kind == 4 and size:
            out[at] ^= 1 << chance.randrange(8)
        elif kind == 5 and size:
            out[at:at] = out[at : at + size]
        elif kind == 6 and out:
            other = chance.choice(others)
            start = chance.randrange(len(other) + 1)
            out[at : at + size] = other[start : start + chance.choice((4, 30, 300))]
        elif kind == 7 and len(out) - at >= 4:  # a number a little larger or smaller
            number = int.from_bytes(out[at : at + 4], "little") + chance.choice((-46, -1, 1, 30, 46, 1 << 16, 1 << 31))
            out[at : at + 4] = (number & 0xFFFFFFFF).to_bytes(4, "little")
    return bytes(out)


def checked(error: FastwheelError) -> None:
    """Fail if an error is none that a user should see."""
    if error.code not in CODES or error.code.startswith("FW9"):
        raise Failure(f"{error.code}: {error.message}")
    if not error.message.isprintable() or len(error.message) > 2000:
        raise Failure(f"an unprintable or endless message: {error.message[:200]!r}")


def archive(data: bytes, folder: Path) -> None:
    """Open a wheel and read all of it."""
    from fastwheel.wheel.wheel import Wheel

    path = folder / NAME
    path.write_bytes(data)
    try:
        with Wheel.open(path) as wheel:
            for member in wheel.archive.members:
                if member.size < 1 << 22 and not member.is_dir:
                    wheel.archive.read(member)
            wheel.check_record({})
    except FastwheelError as error:
        checked(error)


def texts(data: bytes, _folder: Path) -> None:
    """Parse a text as each of the files of .dist-info, and as a file name."""
    from fastwheel.wheel.filename import WheelFileName
    from fastwheel.wheel.metadata import Metadata, WheelInfo
    from fastwheel.wheel.record import Record, format_record

    try:
        record = Record.parse(data)
        again = Record.parse(format_record(record.rows.values(), "RECORD"))
        if {**again.rows, "RECORD": 0} != {**record.rows, "RECORD": 0}:
            raise Failure("RECORD does not survive being written")
    except FastwheelError as error:
        checked(error)
    for parse in (Metadata.parse, WheelInfo.parse):
        try:
            parse(data)
        except FastwheelError as error:
            checked(error)
    try:
        name = data.decode("utf-8", "replace")[:300]
        if WheelFileName.parse(name).name != name:
            raise Failure(f"the file name {name!r} does not survive")
    except FastwheelError as error:
        checked(error)


class Repairs:
    """Whole repairs, judged as the cases are."""

    def __init__(self, folder: Path) -> None:
        (folder / "tools").mkdir()
        self._folder = folder
        self._server = Server()
        self.tools = Tools(folder / "tools")
        self._count = 0

    def __call__(self, data: bytes, _folder: Path) -> None:
        self._count += 1
        arena = Arena(self._folder / f"arena{self._count}", self.tools, self._server)
        case = Case("random", "", lambda a: Call(file=a.save(data)), ("any",), imports=False, cpu=2.0)
        try:
            complaints = judge(arena, case)
        finally:
            arena.close()
        if complaints:
            raise Failure("\n".join(complaints))

    def close(self) -> None:
        """End the server."""
        self._server.close()


def seeds() -> list[bytes]:
    """The wheels that are kept beside this program."""
    return [path.read_bytes() for path in sorted((HERE / "seeds").glob("*.whl"))]


def _texts() -> list[bytes]:
    from cases_wheel import METADATA, WHEEL

    record = b"demo/__init__.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n" * 2 + b'"a,""b",,\nRECORD,,\n'
    return [
        METADATA.encode(),
        WHEEL.encode(),
        record,
        b"demo-1.0-1-py3-none-any.whl",
        b"a.b-1!2.0+x-py2.py3-none-any-v3.whl",
    ]


TARGETS = ("archive", "texts", "repair")


def fuzz(target: str, seed: int, stop: Callable[[int], bool], folder: Path) -> int:
    """Run mutations until `stop(number of runs)`; return how many.

    Raises:
        Failure: with the input in `folder`.
    """
    chance = random.Random(seed)
    start = [seed for seed in seeds() if target != "texts"] + (_texts() if target == "texts" else [])
    run: Callable[[bytes, Path], None] = archive if target == "archive" else texts
    repairs = None
    if target == "repair":
        run = repairs = Repairs(folder)
        whole = assemble(parts_of(repairs.tools))
        start += [whole] * len(start)
    count = 0
    try:
        while not stop(count):
            data = mutated(chance.choice(start), chance, start)
            if target == "repair" and chance.random() < 0.4 and repairs is not None:
                # A sound archive with a spoilt ELF file in it: beyond the checks of the archive.
                core = mutated(repairs.tools.core, chance, start)
                data = assemble(parts_of(repairs.tools, core=core))
            try:
                run(data, folder)
            except Exception as error:
                (folder / f"failed-{target}-{seed}-{count}.whl").write_bytes(data)
                raise Failure(f"{target}, seed {seed}, run {count}: {error!r}") from error
            count += 1
    finally:
        if repairs is not None:
            repairs.close()
    return count


def rounds(seconds: float) -> Iterator[float]:
    """Yield the end of each turn of a long run."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield min(end, time.monotonic() + 60)


def main() -> None:
    """Take turns at the targets until the time is over or something fails."""
    parser = argparse.ArgumentParser(description="Random mutations of hostile wheels")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--target", choices=TARGETS, action="append")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "fastwheel-mutations")
    options = parser.parse_args()
    options.keep.mkdir(parents=True, exist_ok=True)
    seed = options.seed
    targets = options.target or TARGETS
    for number, end in enumerate(rounds(options.seconds)):
        target = targets[number % len(targets)]
        folder = Path(tempfile.mkdtemp(dir=options.keep))
        folder.chmod(0o755)
        count = fuzz(target, seed, lambda _, end=end: time.monotonic() > end, folder)
        print(f"{target}, seed {seed}: {count} runs, nothing found", flush=True)
        seed += 1


if __name__ == "__main__":
    main()
