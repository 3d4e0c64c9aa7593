"""Work in a thread of its own while the caller waits for something else."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Beside"]

_T = TypeVar("_T")


class Beside(Generic[_T]):
    """Calls `work` beside the thread that makes this; `result` returns what it returned.

    Where the system gives no more threads the call is made at once. Whoever never asks for the result, because of an
    error of his own, need not wait: the thread does not keep the process from ending.

    >>> Beside(lambda: 6 * 7).result()
    42
    """

    def __init__(self, work: Callable[[], _T]) -> None:
        self._work = work
        self._made: list[_T] = []
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None
        thread = threading.Thread(target=self._run, daemon=True)
        try:
            thread.start()
            self._thread = thread
        except RuntimeError:
            self._run()

    def _run(self) -> None:
        try:
            self._made.append(self._work())
        except BaseException as error:
            self._error = error

    def result(self) -> _T:
        """Wait until it is done.

        Raises:
            BaseException: what `work` raised.
        """
        if self._thread is not None:
            self._thread.join()
        if self._error is not None:
            raise self._error
        return self._made[0]
