"""A cluster's executor: whoever audits an index hands in Dask's, and gets what one process would make."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import fastwheel

# What the libraries of the cluster do at their end is no matter of these tests.
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_dask(built_wheel: Callable[[str], Path], tmp_path: Path) -> None:
    from distributed import Client, LocalCluster

    wheels = [built_wheel("example-pkg"), built_wheel("psycopg2")]
    here = fastwheel.repair_many(wheels, tmp_path / "here")
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True) as cluster,
        Client(cluster) as client,
    ):
        there = fastwheel.repair_many(wheels, tmp_path / "there", executor=client.get_executor())
        verdicts = list(client.get_executor().map(fastwheel.audit, wheels))
    assert [done.path.name for done in there if done.path] == [done.path.name for done in here if done.path]
    for first, second in zip(here, there, strict=True):
        assert first.path is not None
        assert second.path is not None
        assert first.path.read_bytes() == second.path.read_bytes()
        assert first.plan == second.plan
    assert [verdict.to_dict() for verdict in verdicts] == [fastwheel.audit(wheel).to_dict() for wheel in wheels]
