"""`repair(verify="full")`: the loader simulation on the output, before anybody can see it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from toolbox import Toolbox, extension, repair

import fastwheel

Run = Callable[..., subprocess.CompletedProcess[str]]


def outputs(toolbox: Toolbox) -> list[str]:
    return sorted(path.name for path in (toolbox.folder / "out").glob("*"))


@pytest.fixture
def broken(toolbox: Toolbox) -> Path:
    """A wheel whose library, once grafted, needs a symbol that no library defines."""
    source = "int nowhere_at_all(void); int lame(void) { return nowhere_at_all(); }"
    library = toolbox.compile(toolbox.system / "liblame.so.1", source, "-w", "-Wl,-soname,liblame.so.1")
    flags = ["-Wl,--allow-shlib-undefined"]
    return toolbox.wheel({"pkg/_mod.so": toolbox.module("_mod", "lame", library, flags=flags)})


def test_what_is_good_is_written(toolbox: Toolbox) -> None:
    library = toolbox.library("libfine.so.1", "fine")
    wheel = toolbox.wheel({"pkg/_mod.so": toolbox.module("_mod", "fine", library)})
    done = repair(wheel, toolbox, verify="full")
    assert done.path is not None
    assert fastwheel.verify(done.path).at("error") == ()
    assert [text for text in done.notes if "FV" in text] == []


def test_what_would_not_load_is_not_written(toolbox: Toolbox, broken: Path) -> None:
    with pytest.raises(fastwheel.FastwheelError) as error:
        repair(broken, toolbox, verify="full")
    assert error.value.code == "FW613"
    assert "nowhere_at_all" in error.value.message
    assert error.value.details[0].startswith("FV303: ")
    assert outputs(toolbox) == []


def test_the_basic_proof_does_not_look_at_symbols(toolbox: Toolbox, broken: Path) -> None:
    assert repair(broken, toolbox).path is not None


def test_what_the_input_had_does_not_keep_it_from_being_written(toolbox: Toolbox) -> None:
    library = toolbox.library("libfine.so.1", "fine")
    stack = extension(toolbox, "-Wl,-z,execstack")
    wheel = toolbox.wheel({"pkg/_mod.so": toolbox.module("_mod", "fine", library), "pkg/ext.so": stack})
    done = repair(wheel, toolbox, verify="full")
    assert done.path is not None
    assert [text for text in done.notes if text.startswith("the wheel had this error before: FV403: ")]


def test_a_graft_that_breaks_a_promise_is_not_written(toolbox: Toolbox) -> None:
    library = toolbox.library("libstack.so.1", "stacked", flags=["-Wl,-z,execstack"])
    wheel = toolbox.wheel({"pkg/_mod.so": toolbox.module("_mod", "stacked", library)})
    with pytest.raises(fastwheel.FastwheelError) as error:
        repair(wheel, toolbox, verify="full")
    assert error.value.code == "FW613"
    assert "FV403" in error.value.details[0]


def test_what_was_excluded_is_the_users_to_provide(toolbox: Toolbox) -> None:
    library = toolbox.library("libtheirs.so.1", "theirs")
    wheel = toolbox.wheel({"pkg/_mod.so": toolbox.module("_mod", "theirs", library)})
    assert repair(wheel, toolbox, verify="full", exclude=["libtheirs.so.*"]).path is not None
    assert repair(wheel, toolbox, verify="full", allow=["libtheirs.so.*"]).path is not None


def test_a_wheel_that_needs_no_repair_is_copied_and_its_faults_are_told(toolbox: Toolbox) -> None:
    wheel = toolbox.wheel({"pkg/ext.so": extension(toolbox, "-Wl,-z,execstack")})
    first = repair(wheel, toolbox)
    assert first.path is not None
    again = fastwheel.repair(first.path, toolbox.folder / "again", verify="full")
    assert not again.changed
    assert [text for text in again.notes if "FV403" in text]


def test_there_is_no_third_way(toolbox: Toolbox) -> None:
    wheel = toolbox.wheel({"pkg/ext.so": extension(toolbox)})
    with pytest.raises(fastwheel.FastwheelError) as error:
        repair(wheel, toolbox, verify="none")
    assert error.value.code == "FW800"


def test_command_line(toolbox: Toolbox, broken: Path, command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(toolbox.system))
    line = ("fastwheel", "repair", "-w", toolbox.folder / "out")
    done = command(*line, "--verify", "full", broken, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: the repaired wheel would not hold to its tags and was not written: ")
    assert outputs(toolbox) == []
    command(*line, broken)


def test_real_packages(built_wheel: Callable[[str], Path], real_package: str, tmp_path: Path) -> None:
    done = fastwheel.repair(built_wheel(real_package), tmp_path, verify="full")
    assert done.path is not None
    assert [text for text in done.notes if "FV" in text] == []
