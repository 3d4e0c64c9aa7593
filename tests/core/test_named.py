"""Records act like `typing.NamedTuple`, which they are to type checkers."""

from __future__ import annotations

import ast
import copy
import pickle
import typing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastwheel
from fastwheel.named import NamedTuple


class Ours(NamedTuple):
    """A record."""

    a: int
    b: str = "b"
    c: tuple[int, ...] = ()

    @property
    def both(self) -> str:
        return f"{self.a}{self.b}"


class Theirs(typing.NamedTuple):
    """A record."""

    a: int
    b: str = "b"
    c: tuple[int, ...] = ()

    @property
    def both(self) -> str:
        return f"{self.a}{self.b}"


class Nothing(NamedTuple):
    pass


VALUES = st.tuples(st.integers(), st.text(max_size=3), st.tuples(st.integers()))


@given(VALUES, st.integers(0, 4), st.sets(st.sampled_from(["a", "b", "c", "d"])))
def test_what_is_made_of_values_and_names_is_the_same(
    values: tuple[object, ...], positional: int, names: set[str]
) -> None:
    args = (*values, 0)[:positional]
    named = {name: (*values, 0)["abcd".index(name)] for name in names}

    def made(kind: typing.Any) -> object:
        try:
            return tuple(kind(*args, **named))
        except TypeError:
            return TypeError

    assert made(Ours) == made(Theirs)


@given(VALUES)
def test_instances_do_the_same(values: tuple[int, str, tuple[int, ...]]) -> None:
    ours, theirs = Ours(*values), Theirs(*values)
    assert ours == theirs == values
    assert hash(ours) == hash(values)
    assert repr(ours) == repr(theirs).replace("Theirs", "Ours")
    assert ours._asdict() == theirs._asdict()
    assert ours.both == theirs.both
    assert (ours.a, ours.b, ours.c) == values
    assert ours._replace(a=1) == theirs._replace(a=1)
    assert type(ours._replace(a=1)) is Ours
    assert Ours._make(iter(values)) == ours
    assert pickle.loads(pickle.dumps(ours)) == ours
    assert type(pickle.loads(pickle.dumps(ours))) is Ours
    assert type(copy.deepcopy(ours)) is Ours


def test_what_the_class_says() -> None:
    for name in ("_fields", "_field_defaults", "__match_args__", "__doc__", "__slots__"):
        assert getattr(Ours, name) == getattr(Theirs, name), name
    assert typing.get_type_hints(Ours) == typing.get_type_hints(Theirs)
    assert Ours.__qualname__ == "Ours"
    assert Ours.__module__ == __name__
    assert Nothing() == ()
    match Ours(1):
        case Ours(a, b):
            assert (a, b) == (1, "b")


def test_instances_are_not_changed() -> None:
    with pytest.raises(AttributeError):
        Ours(1).a = 2  # type: ignore[misc]
    with pytest.raises(AttributeError):
        Ours(1).other = 2  # type: ignore[attr-defined]


@pytest.mark.parametrize("values", [(), (1, 2), (1, 2, 3, 4)])
def test_a_wrong_number_of_values_is_an_error(values: tuple[object, ...]) -> None:
    with pytest.raises(TypeError):
        Ours._make(values)
    with pytest.raises(ValueError, match="other"):
        Ours(1)._replace(other=1)  # type: ignore[call-arg]


def test_a_field_without_a_default_may_not_follow_one_with_a_default() -> None:
    with pytest.raises(TypeError, match="default"):
        exec("class Odd(NamedTuple):\n    a: int = 1\n    b: int\n", {"NamedTuple": NamedTuple})


def test_nobody_imports_the_original() -> None:
    """It costs half a millisecond for five classes, and every start pays."""
    package = Path(fastwheel.__file__).parent
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "typing" and path.name != "named.py":
                assert "NamedTuple" not in {alias.name for alias in node.names}, path
