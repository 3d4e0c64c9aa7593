"""Work beside the caller's."""

from __future__ import annotations

import threading

import pytest

from fastwheel.beside import Beside
from fastwheel.errors import FastwheelError


def test_it_runs_while_the_caller_goes_on() -> None:
    go_on = threading.Event()

    def work() -> str:
        assert go_on.wait(60)
        return threading.current_thread().name

    beside = Beside(work)
    go_on.set()  # reached only if the call was not made at once
    assert beside.result() != threading.current_thread().name


def test_what_it_raises_comes_with_the_result() -> None:
    def work() -> None:
        raise FastwheelError("no", code="FW700")

    beside = Beside(work)
    for _ in range(2):
        with pytest.raises(FastwheelError, match="no"):
            beside.result()


def test_where_there_are_no_more_threads_it_runs_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert Beside(threading.get_ident).result() == threading.get_ident()
