"""The example's extension, as built here: what it takes in place, what it converts, what it refuses."""

from __future__ import annotations

import importlib
import resource
import subprocess
import sys
import threading
from array import array
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.xdist_group("example-pkg")

Ddot = Callable[..., float]


@pytest.fixture(scope="module")
def ddot(built_wheel: Callable[[str], Path], installed: Callable[[Path], Path]) -> Ddot:
    """The function, out of the wheel as built, in this process."""
    (folder,) = installed(built_wheel("example-pkg")).glob("lib/python*/site-packages")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        return importlib.import_module("example_pkg.ddot").ddot


def test_lists(ddot: Ddot) -> None:
    result = ddot([1, 2, 3, 4, 5], [6, 7, 8, 9, 10])
    assert type(result) is float
    assert result == 130.0
    assert ddot(y=(2.0,), x=(3.0,)) == 6.0


def test_buffers(ddot: Ddot) -> None:
    assert ddot(array("d", [1, 2]), array("d", [3, 4])) == 11.0
    assert ddot(memoryview(array("d", [1, 2])), [3, 4]) == 11.0
    assert ddot(np.arange(1.0, 6.0), np.arange(6.0, 11.0)) == 130.0


def test_read_only_memory(ddot: Ddot) -> None:
    numbers = np.arange(4.0)
    numbers.flags.writeable = False
    assert ddot(numbers, numbers) == 14.0


@pytest.mark.parametrize("nothing", [[], (), array("d"), np.empty(0), np.empty(6)[3:3], np.empty(6)[2:2:-1]], ids=repr)
def test_empty(ddot: Ddot, nothing: object) -> None:
    assert ddot(nothing, nothing) == 0.0


@given(
    x_step=st.integers(-9, 9).filter(bool),
    y_step=st.integers(-9, 9).filter(bool),
    length=st.integers(0, 40),
    skip=st.integers(0, 3),
)
def test_any_stride(ddot: Ddot, x_step: int, y_step: int, length: int, skip: int) -> None:
    x = np.arange(400.0)[skip:][::x_step][:length]
    y = (np.arange(400.0) * 3 - 7)[::y_step][:length]
    assert ddot(x, y) == sum(p * q for p, q in zip(x.tolist(), y.tolist(), strict=True))


def test_strides_without_numpy(ddot: Ddot) -> None:
    assert ddot(memoryview(array("d", [1, 2, 3]))[::-1], [1, 10, 100]) == 123.0
    assert ddot(memoryview(array("d", [1, 2, 3, 4, 5]))[::2], [1, 10, 100]) == 531.0


def test_one_item_whatever_its_stride(ddot: Ddot) -> None:
    assert ddot(np.arange(9.0)[4::7], [2]) == 8.0


def test_rows_and_columns(ddot: Ddot) -> None:
    matrix = np.arange(12.0).reshape(3, 4)
    assert ddot(matrix[:, 1], matrix[:, 3]) == 1 * 3 + 5 * 7 + 9 * 11
    assert ddot(matrix.T[2], matrix.T[2]) == 4 + 36 + 100


def test_long_enough_for_threads_of_blas(ddot: Ddot) -> None:
    ones = np.ones(300_001)
    assert ddot(ones, ones) == 300_001
    assert ddot(ones[::-2], ones[::2]) == 150_001


def test_what_blas_can_not_stride_over_is_converted(ddot: Ddot) -> None:
    assert ddot(np.broadcast_to(np.float64(2), 5), np.arange(5.0)) == 20.0
    records = np.zeros(4, dtype=[("flag", "i1"), ("value", "f8")])
    records["value"] = [1, 2, 3, 4]
    assert ddot(records["value"], records["value"]) == 30.0
    unaligned = np.frombuffer(bytearray(33), dtype=np.uint8)[1:].view(np.float64)
    unaligned[:] = [1, 2, 3, 4]
    assert ddot(unaligned, unaligned) == 30.0
    foreign = np.arange(5.0).astype(np.dtype("f8").newbyteorder())
    assert ddot(foreign, np.arange(5.0)) == ddot(np.arange(5.0), foreign) == 30.0


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "i4", "i8", "u8", "f2", "f4"])
def test_other_real_numbers_are_converted(ddot: Ddot, kind: str) -> None:
    numbers = np.arange(5, dtype=kind)
    assert ddot(numbers, numbers[::-1]) == 10.0


def test_nothing_is_copied(ddot: Ddot) -> None:
    ones = np.ones(40_000_000)  # 320 MB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert ddot(ones[::2], ones[::-2]) == 20_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KB


def test_special_values(ddot: Ddot) -> None:
    assert ddot([float("inf")], [2]) == float("inf")
    assert np.isnan(ddot([float("nan")], [1]))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1, 2], [1], "x and y must have the same length, not 2 and 1"),
        (np.ones(3), [], "x and y must have the same length, not 3 and 0"),
        (np.ones((2, 2)), np.ones((2, 2)), "x must have 1 dimension, not 2"),
        ([1], np.ones((1, 1)), "y must have 1 dimension, not 2"),
        (memoryview(array("d", [1, 2])).cast("B").cast("d", [1, 2]), [1], "x must have 1 dimension, not 2"),
        (np.array(1.0), [1], "x must have 1 dimension, not 0"),
        ([1], np.broadcast_to(np.float64(1), 2**31), "y has 2147483648 items; BLAS counts up to 2147483647"),
    ],
)
def test_wrong_shapes(ddot: Ddot, x: object, y: object, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        ddot(x, y)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones(2, complex), "x must hold float64 items, not items of format 'Zd'"),
        (np.array([1, None]), "x must hold float64 items, not items of format 'O'"),
        (np.zeros(2, dtype="U3"), "x must hold float64 items, not items of format '3w'"),
        (np.zeros(2, dtype="f8,f8"), r"x must hold float64 items, not items of format 'T\{d:f0:d:f1:\}'"),
        (np.zeros(2, dtype="M8[s]"), "x must hold float64 items: its buffer can't be read"),
        ([1j, 1], r"x\[0\] must be a real number, not complex"),
        ([1, None], r"x\[1\] must be a real number, not NoneType"),
        ([[1], [2]], r"x\[0\] must be a real number, not list"),
        ("12", "x must be a sequence or a buffer of real numbers, not str"),
        (b"12", "x must be a sequence or a buffer of real numbers, not bytes"),
        (bytearray(b"12"), "x must be a sequence or a buffer of real numbers, not bytearray"),
        (1.0, "x must be a sequence or a buffer of real numbers, not float"),
        (None, "x must be a sequence or a buffer of real numbers, not NoneType"),
        ({1: 2}, "x must be a sequence or a buffer of real numbers, not dict"),
    ],
)
def test_wrong_items(ddot: Ddot, x: object, message: str) -> None:
    with pytest.raises(TypeError, match=f"^{message}$"):
        ddot(x, [1, 2])


def test_errors_of_the_items_pass_through(ddot: Ddot) -> None:
    class Odd:
        def __float__(self) -> float:
            raise LookupError("odd")

    with pytest.raises(LookupError, match="odd"):
        ddot([Odd()], [1])
    with pytest.raises(OverflowError):
        ddot([10**400], [1])


def test_a_list_that_shrinks_under_way(ddot: Ddot) -> None:
    class Mean:
        def __float__(self) -> float:
            items.clear()
            return 1.0

    items = [Mean(), 2.0, 3.0]
    assert ddot(items, [1, 1, 1]) == 6.0


def test_no_buffer_is_held_and_no_reference_lost(ddot: Ddot) -> None:
    numbers = array("d", [1.0])
    before = sys.getrefcount(numbers)
    for _ in range(100):
        ddot(numbers, numbers)
        with pytest.raises(ValueError, match="length"):
            ddot(numbers, [])
    assert sys.getrefcount(numbers) == before
    numbers.append(2.0)  # a BufferError while someone holds the buffer


def test_other_threads_go_on(ddot: Ddot) -> None:
    ones = np.ones(20_000_000)
    seen = 0
    thread = threading.Thread(target=lambda: [ddot(ones, ones) for _ in range(20)])
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)  # nobody is asked to let go of the interpreter: ddot does it by itself
    try:
        thread.start()
        while thread.is_alive():
            seen += 1
            thread.join(0.001)
    finally:
        sys.setswitchinterval(interval)
    assert seen > 3


def test_console_script(
    built_wheel: Callable[[str], Path],
    installed: Callable[[Path], Path],
    command: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    assert command(installed(built_wheel("example-pkg")) / "bin" / "dot-prod").stdout == "130.0\n"
