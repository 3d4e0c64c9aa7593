"""The extension module itself: its stub is true, and a panic in it is an error like any other."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import fastwheel
from fastwheel import _core, engine
from fastwheel.errors import CODES, FastwheelError

STUB = Path(fastwheel.__file__).with_name("_core.pyi")


def test_the_stub_names_what_there_is() -> None:
    tree = ast.parse(STUB.read_text())
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    real = {name for name in dir(_core) if not name.startswith("__")}
    assert set(functions) == real
    (listed,) = (ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign))
    assert listed == sorted({*functions, "__version__"})
    for name, node in functions.items():
        parameters = inspect.signature(getattr(_core, name)).parameters
        assert list(parameters) == [argument.arg for argument in node.args.args], name


def test_the_tuples_have_the_fields_that_the_stub_says(system_libraries: list[Path]) -> None:
    tree = ast.parse(STUB.read_text())
    aliases = {
        node.target.id: len(node.value.slice.elts)
        for node in tree.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(node.value, ast.Subscript)
        and isinstance(node.value.slice, ast.Tuple)
    }
    data = system_libraries[0].read_bytes()
    assert len(_core.read(data)) == aliases["FactsTuple"]
    assert {len(symbol) for symbol in _core.symbols(data)} == {aliases["SymbolTuple"]}
    with system_libraries[0].open("rb") as file:
        (scanned,) = _core.scan(file.fileno(), [(0, 0, 0, 0, 0)], False, 1)
    assert len(scanned) == aliases["ScannedTuple"] == len(engine.Scanned._fields)


def test_version() -> None:
    assert _core.__version__ == fastwheel.__version__


def test_a_panic_is_an_internal_error() -> None:
    with pytest.raises(FastwheelError) as caught:
        _core.provoke_panic("of a test")
    error = caught.value
    assert error.code == "FW900"
    assert CODES[error.code].status == 70
    assert "of a test" in error.message
    assert "rust/core/src/lib.rs" in error.message
    assert error.hint is not None


def test_a_panic_prints_nothing() -> None:
    code = (
        "from fastwheel import _core\n"
        "from fastwheel.errors import FastwheelError\n"
        "try: _core.provoke_panic('x')\n"
        "except FastwheelError: pass\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (shown.stdout, shown.stderr) == ("", "")
