"""A bomb of 200 MiB never takes more than 64 MiB of memory, refused or let through."""

from __future__ import annotations

import zlib
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from arena import Arena, Call, Server, Tools, inspect, parts_of
from zipkit import Part, assemble

MIB = 1 << 20
MOST = 64 * MIB
SIZE = 200 * MIB


@cache
def bomb(start: bytes, size: int = SIZE) -> tuple[bytes, int]:
    """A deflate stream of `start` and zeros, and the CRC of its content."""
    coder = zlib.compressobj(6, zlib.DEFLATED, -15)
    chunk = bytes(MIB)
    parts, check, left = [coder.compress(start)], zlib.crc32(start), size - len(start)
    while left:
        piece = chunk[:left]
        parts.append(coder.compress(piece))
        check = zlib.crc32(piece, check)
        left -= len(piece)
    return b"".join(parts) + coder.flush(), check


def with_bomb(tools: Tools, name: str, start: bytes, declared: int = SIZE) -> bytes:
    stream, check = bomb(start)
    fields: dict[str, object] = {"crc": check, "size": declared}
    part = Part(name, b"", data=stream, local=fields, central=fields)
    return assemble(parts_of(tools, part, record=b"demo-1.0.dist-info/RECORD,,\n"))


def replaced(tools: Tools, name: str) -> bytes:
    """A bomb in place of one of the files that are read whole."""
    stream, check = bomb(b"")
    fields: dict[str, object] = {"crc": check, "size": SIZE}
    parts = parts_of(tools)
    return assemble(
        [replace(p, data=stream, local=fields, central=fields) if str(p.name).endswith(name) else p for p in parts]
    )


OPEN = ("--max-ratio", "5000", "--max-metadata-size", "1G")
CASES = {
    "refused": (lambda t: with_bomb(t, "demo/x.bin", b""), (), "FW113", "FW113"),
    "refused-elf": (lambda t: with_bomb(t, "demo/x.so", b"\x7fELF"), (), "FW113", "FW113"),
    "let-through": (lambda t: with_bomb(t, "demo/x.bin", b""), OPEN, "ok", "ok"),
    "elf-let-through": (lambda t: with_bomb(t, "demo/x.so", b"\x7fELF"), OPEN, "FW3", "FW3"),
    "elf-header-let-through": (lambda t: with_bomb(t, "demo/x.so", t.core[:64]), OPEN, "any", "any"),
    "declared-small": (lambda t: with_bomb(t, "demo/x.bin", b"", declared=100), OPEN, "FW112", "ok"),
    "elf-declared-small": (lambda t: with_bomb(t, "demo/x.so", b"\x7fELF", declared=100), OPEN, "FW112", "FW112"),
    "untrusted": (lambda t: with_bomb(t, "demo/x.bin", b""), ("--untrusted",), "FW113", "FW113"),
    "wheel-file": (lambda t: replaced(t, "/WHEEL"), OPEN, "FW204", "FW204"),
    "record": (lambda t: replaced(t, "/RECORD"), OPEN, "FW206", "FW206"),
    "metadata": (lambda t: replaced(t, "/METADATA"), (), "FW113", "FW113"),
}


@pytest.mark.parametrize("verb", ["show", "repair"])
@pytest.mark.parametrize("name", CASES)
def test_memory(tmp_path: Path, tools: Tools, server: Server, name: str, verb: str) -> None:
    make, options, repair, show = CASES[name]
    arena = Arena(tmp_path / "arena", tools, server)
    path = arena.save(make(tools))
    assert path.stat().st_size < MIB
    into = ["-w", str(arena.out)] if verb == "repair" else []
    outcome = arena.run([verb, *options, *into, str(path)], Call(options={"exec": True}))
    answer = outcome.answer
    assert int(str(answer["memory"])) <= MOST, f"{int(str(answer['memory'])) / MIB:.0f} MiB"
    answer["cpu"] = 0.0  # what was let through takes its time
    assert inspect(outcome, (repair if verb == "repair" else show,), exec_=True) == [], outcome.stderr
    arena.close()
