"""Tables, picture, and the judgement of CI."""

# ruff: noqa: RUF001 (signs that a table wants)

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from wheelbench.chart import draw
from wheelbench.cli import too_slow
from wheelbench.compare import plain
from wheelbench.jobs import FULL, JOBS
from wheelbench.measure import Sample, median
from wheelbench.report import BEGIN, END, Report, ratios, tables, with_numbers
from wheelbench.runner import Result, Row, share
from wheelbench.scale import Growth

TOP = Path(__file__).resolve().parents[2]


def result(key: str, ours: float, theirs: float) -> Result:
    rows = [
        Row("fastwheel", [Sample(ours, ours, 30 << 20)] * 3, 990),
        Row("auditwheel", [Sample(theirs, 2 * theirs, 90 << 20)] * 3, 1000),
        Row("repairwheel", fault="it cannot"),
        Row("floor", [Sample(ours / 2, ours / 2, 9 << 20)], 990),
        Row("floor with checks", [Sample(ours * 0.8, ours * 0.8, 9 << 20)], 990),
    ]
    return Result(key, f"title of {key}", 5000, rows)


def test_medians_of_each_figure() -> None:
    assert median([Sample(3, 1, 5), Sample(1, 2, 9), Sample(2, 9, 7)]) == Sample(2, 2, 7)


def test_ratios_are_the_peers_time_by_ours() -> None:
    assert ratios([result("a", 0.5, 5)]) == {"a": {"wall": 10, "cpu": 20}}
    assert ratios([Result("h", "", 0, [Row("fastwheel", [Sample(1, 1, 1)])])]) == {}


@pytest.mark.parametrize(("found", "slow"), [(6.1, []), (5.9, ["a"])])
def test_a_ratio_below_60_per_cent_of_the_recorded_one_fails(found: float, slow: list[str]) -> None:
    recorded = {"a": {"wall": 10.0, "cpu": 10.0}, "only recorded": {"wall": 1.0}}
    for what, other in (("cpu", "wall"), ("wall", "cpu")):
        assert list(too_slow(recorded, {"a": {other: 1, what: found}, "new": {what: 1}}, what)) == slow


@pytest.mark.parametrize(("wall", "runs"), [(0.1, 5), (6, 5), (9, 3), (20, 2), (80, 2), (91, 1)])
def test_slow_programs_run_less_often(wall: float, runs: int) -> None:
    assert share(wall, 5, 30) == runs


def test_tables() -> None:
    growth = Growth("fan", "libraries", 0.1, [10, 40, 160], [Sample(1, 0.1 + n / 1000, 1 << 20) for n in (10, 40, 160)])
    text = tables(Report([result("a", 0.5, 5)], [growth], 60, Sample(0.1, 0.1, 1)))
    assert "| a | title of a | 500 ms | 5.00 s | 10.0 × | 20.0 × | 1.60 × | 1.00 × | 30 / 90 MiB | -1.0 % |" in text
    assert "| a | repairwheel | cannot | | | | |" in text
    assert "| 160 libraries | 1000 µs | 1000 µs | 1000 µs | 1.00 s, 1 MiB |" in text
    for block in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
        assert len({line.count("|") for line in block.strip().splitlines()}) == 1, block


def test_numbers_go_between_the_marks() -> None:
    page = with_numbers(f"before\n{BEGIN}\nold\n{END}\nafter\n", "new")
    assert page == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert with_numbers(page, "new") == page
    with pytest.raises(ValueError, match="numbers"):
        with_numbers("no marks", "new")


def test_the_picture_is_the_same_each_time(tmp_path: Path) -> None:
    results = [result("a", 0.5, 5), result("b", 0.1, 3)]
    draw(results, tmp_path / "one.svg")
    draw(results, tmp_path / "two.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert ElementTree.parse(tmp_path / "one.svg").getroot().tag.endswith("svg")


def test_hashes_of_grafts() -> None:
    assert plain("p.libs/libfoo-0a1b2c3d.so.3") == "p.libs/libfoo.so.3"
    assert plain("p.libs/libopenblasp-r0-0a1b2c3d.3.21.so") == "p.libs/libopenblasp-r0.3.21.so"
    assert plain("p/libfoo-1.so") == "p/libfoo-1.so"


def test_what_is_recorded_fits_the_jobs() -> None:
    recorded = json.loads((TOP / "docs" / "benchmark.json").read_text())
    small = {key for key, spec in JOBS.items() if spec.small}
    assert small <= set(recorded["ratios"]) <= {*JOBS, *FULL}
    assert not [job["problems"] for job in recorded["jobs"] if job["problems"]]
    page = (TOP / "docs" / "benchmark.md").read_text()
    assert page == with_numbers(page, page.partition(BEGIN)[2].partition(END)[0].strip())
    assert all(f"| {key} |" in page for key in small)
