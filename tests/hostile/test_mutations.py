"""A short, seeded run of the random mutations, and of texts that hypothesis thinks of; `mutate.py` runs for longer."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutate import TARGETS, fuzz, seeds, texts

RUNS = {"archive": 3000, "texts": 4000, "repair": 120}
LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [b"Name: demo", b"Version: 1.0", b"Wheel-Version: 1.0", b"Tag: py3-none-any", b"", b"\xef\xbb\xbf"]
        ),
        st.tuples(st.sampled_from([b"Tag", b"Name", b"Build", b"Root-Is-Purelib", b"X"]), st.binary(max_size=20)).map(
            b": ".join
        ),
        st.lists(st.sampled_from([b"a", b"sha256=AA", b"", b'"', b"7", b"../x", b"d/"]), max_size=4).map(b",".join),
        st.binary(max_size=30),
    ),
    max_size=12,
)


@pytest.mark.parametrize("target", TARGETS)
def test_mutations(tmp_path: Path, target: str) -> None:
    assert fuzz(target, 20260101, lambda count: count >= RUNS[target], tmp_path) == RUNS[target]


@settings(max_examples=400, derandomize=True)
@given(LINES, st.sampled_from([b"\n", b"\r\n", b"\r", b"\x0b", b"\x85"]))
def test_texts(lines: list[bytes], end: bytes) -> None:
    texts(end.join(lines), Path())


def test_seeds_are_small_wheels(tmp_path: Path) -> None:
    found = seeds()
    assert len(found) >= 10
    assert sum(map(len, found)) < 30_000
