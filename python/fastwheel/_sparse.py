"""A content of which only the parts that reading needs are kept: the twin of `rust/core/src/sparse.rs`."""

from __future__ import annotations

import mmap
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Final

from fastwheel._elf.ranges import likely_ranges, ranges

if TYPE_CHECKING:
    from fastwheel.spans import Buffer

__all__ = ["Sparse"]

#: Kept of every file before anything is known of it: the headers lie there.
_HEADERS: Final = 64 * 1024
#: How often in one pass it is asked anew what is missing. A file with thousands of notes must not make this slow.
_MOST_QUESTIONS: Final = 8
#: So often as soon as one range is complete, which may lead to others; then only when all are.
_EARLY_QUESTIONS: Final = 4


class Sparse:
    """An ELF file that comes by piece by piece, from its begin, several times if need be.

    The allocation is as large as the file, but only the pages written to take memory.

    Args:
        size: of the file in bytes, not 0.

    Attributes:
        data: the file, for `read` if it is complete.
        complete: whether all that `read` needs is there.

    """

    def __init__(self, size: int) -> None:
        self.data = memoryview(mmap.mmap(-1, size))
        self.complete = False
        self._size = size
        self._wanted = _Ranges()
        self._wanted.add(0, min(_HEADERS, size))
        self._known = _Ranges()
        self._at = 0
        self._ask_at = min(_HEADERS, size)
        self._questions = 0

    def restart(self) -> None:
        """The next pass begins."""
        self._at = self._questions = 0
        self._ask(0)

    def want_all(self) -> None:
        """From the next pass on everything is kept."""
        self._wanted.add(0, self._size)

    def take(self, piece: Buffer) -> bool:
        """Take the next piece; return whether `read` needs nothing more."""
        start = self._at
        with memoryview(piece) as view:
            self._at += len(view)
            self._keep(view, start)
            while not self.complete and self._at >= self._ask_at:
                self._ask(start)
                self._keep(view, start)
        return self.complete

    def _keep(self, piece: memoryview, at: int) -> None:
        for start, end in self._wanted.within(at, at + len(piece)):
            self.data[start:end] = piece[start - at : end - at]
            self._known.add(start, end)

    def _ask(self, coming: int) -> None:
        """Find out what is missing; what lies from `coming` on still comes by in this pass."""
        self._questions += 1
        if self._questions > _MOST_QUESTIONS:
            self._ask_at = self._size + 1
            return
        known = self._known
        missing = [(start, end) for start, end in ranges(self.data, known.holds) if not known.holds(start, end)]
        self.complete = not missing
        ends = [end for start, end in missing if end > coming and (start >= coming or known.holds(start, coming))]
        # Where the first of them, or the last one, will be complete in this pass.
        self._ask_at = (max if self._questions > _EARLY_QUESTIONS else min)(ends, default=self._size + 1)
        if self._questions == 1:
            missing += likely_ranges(self.data)
        self._wanted.add_all([(start, min(end, self._size)) for start, end in missing])


class _Ranges:
    """Ranges of a file: sorted, apart from each other."""

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.ends: list[int] = []

    def add(self, start: int, end: int) -> None:
        if start >= end:
            return
        first, behind = bisect_left(self.ends, start), bisect_right(self.starts, end)
        if first < behind:
            start, end = min(start, self.starts[first]), max(end, self.ends[behind - 1])
        self.starts[first:behind] = [start]
        self.ends[first:behind] = [end]

    def add_all(self, ranges: list[tuple[int, int]]) -> None:
        """Add many, in any order; each behind the others, where that takes no time."""
        every = sorted([*zip(self.starts, self.ends, strict=True), *ranges])
        self.starts, self.ends = [], []
        for start, end in every:
            self.add(start, end)

    def holds(self, start: int, end: int) -> bool:
        """Whether the whole of a range is in one."""
        at = bisect_left(self.ends, end)
        return start >= end or (at < len(self.ends) and self.starts[at] <= start)

    def within(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return their parts in a range."""
        first, behind = bisect_right(self.ends, start), bisect_left(self.starts, end)
        return [(max(start, self.starts[at]), min(end, self.ends[at])) for at in range(first, behind)]
