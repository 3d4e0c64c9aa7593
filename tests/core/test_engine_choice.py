"""Which engine is used: by the environment, else Rust where it is installed."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from fastwheel import engine
from fastwheel.errors import FastwheelError

if TYPE_CHECKING:
    pass

Choose = "Callable[[str | None], None]"


@pytest.mark.parametrize(("value", "name"), [(None, "rust"), ("", "rust"), ("rust", "rust"), ("python", "python")])
def test_environment_chooses(choose: Choose, value: str | None, name: str) -> None:
    choose(value)
    assert engine.name() == name


def test_the_first_use_decides(choose: Choose, monkeypatch: pytest.MonkeyPatch) -> None:
    choose("python")
    assert engine.name() == "python"
    monkeypatch.setenv(engine.VARIABLE, "rust")
    assert engine.name() == "python"


@pytest.mark.parametrize("value", ["Rust", "c", "rust ", "\x1b[31m"])
def test_an_unknown_name_is_a_usage_error(choose: Choose, value: str) -> None:
    choose(value)
    with pytest.raises(FastwheelError) as caught:
        engine.sha256_many([b""])
    assert caught.value.code == "FW800"
    assert caught.value.exit_status == 2
    assert caught.value.hint == "choose rust or python"
    assert caught.value.message.isprintable()


@pytest.mark.usefixtures("without_core")
def test_without_the_rust_engine_the_pure_one_is_used(choose: Choose) -> None:
    choose(None)
    assert engine.name() == "python"
    assert engine.sha256_many([b"abc"])[0].hex().startswith("ba7816bf")


@pytest.mark.usefixtures("without_core")
def test_asking_for_the_rust_engine_where_there_is_none(choose: Choose) -> None:
    choose("rust")
    with pytest.raises(FastwheelError) as caught:
        engine.name()
    assert caught.value.code == "FW800"


def test_importing_the_door_imports_neither_engine() -> None:
    code = (
        "import sys, fastwheel.engine;"
        "print(sorted(m for m in sys.modules if m in "
        "{'fastwheel._core', 'fastwheel._fallback', 'concurrent.futures', 'hashlib', 'mmap'}))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"
