"""Names that a repair wants and the wheel has: never taken for the graft, never overwritten."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from toolbox import Toolbox, repair

import fastwheel


def graft_of(toolbox: Toolbox) -> tuple[bytes, str]:
    """A module that needs a library, and the name that the library gets."""
    library = toolbox.library("libfwone.so.1", "one")
    module = toolbox.module("ext", "one", library)
    done = repair(toolbox.wheel({"pkg/ext.so": module}), toolbox)
    assert done.plan is not None
    return module, done.plan.grafts[0].member


@pytest.mark.parametrize("taken", [lambda name: name, lambda name: f"{name}/x", lambda name: name.partition("/")[0]])
def test_taken_names_are_refused(toolbox: Toolbox, taken: Callable[[str], str]) -> None:
    module, name = graft_of(toolbox)
    for text in (b"no library", toolbox.library("other.so", "two").read_bytes()):
        wheel = toolbox.wheel({"pkg/ext.so": module, taken(name): text})
        with pytest.raises(fastwheel.FastwheelError) as caught:
            repair(wheel, toolbox)
        assert caught.value.code == "FW504", caught.value.message


def test_a_place_that_data_takes_is_refused(toolbox: Toolbox) -> None:
    module, name = graft_of(toolbox)
    wheel = toolbox.wheel({"pkg/ext.so": module, f"pkg-1.0.data/purelib/{name}": b"text"})
    with pytest.raises(fastwheel.FastwheelError) as caught:
        repair(wheel, toolbox)
    assert caught.value.code == "FW209"


def test_the_graft_of_an_earlier_repair_is_used(toolbox: Toolbox, contents: Callable[[Path], dict[str, bytes]]) -> None:
    module, name = graft_of(toolbox)
    (first,) = (toolbox.folder / "out").iterdir()
    before = contents(first)
    files = {key: value for key, value in before.items() if ".dist-info/" not in key}
    done = repair(toolbox.wheel({**files, "pkg/new.so": module}), toolbox)
    assert done.path is not None
    assert contents(done.path)[name] == before[name]
