"""Where the boxes and lines of a graph go: layers from left to right, after Sugiyama, Tagawa and Toda (1981).

Each box stands in the column after the last one that leads to it. Lines run in the gaps between columns and cross a
column only where no box is; all lines to one box join on their way. The same input gives the same drawing.

>>> drawing = layered([(10, 4), (10, 4)], [(0, 1)], gap=(20, 6))
>>> [(place.x, place.y) for place in drawing.places], drawing.width
([(0, 0.0), (30, 0.0)], 40)
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from fastwheel.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Drawing", "Place", "Segment", "TooLarge", "layered"]

#: More than this takes too long, and nobody could follow the lines.
_MOST_STOPS: Final = 5_000
_MOST_HOPS: Final = 10_000
_SWEEPS: Final = 12
#: The room that a line takes where it crosses a column, beside the gap between boxes.
_LINE: Final = 4.0


class TooLarge(Exception):  # noqa: N818 - not an error of the user's
    """The graph has too many lines to be drawn."""


class Place(NamedTuple):
    """The top left corner of a box."""

    x: float
    y: float


class Segment(NamedTuple):
    """A part of a line between two points at the edges of columns.

    Attributes:
        x: where it begins.
        y: where it begins.
        end_x: where it ends; further right than `x`.
        end_y: where it ends; of a segment that crosses a column: `y`.
        edge: the index of an edge that it belongs to; of several that have joined, the first.
        first: whether the line begins here, at its left box.
        last: whether it ends here, at its right box.
        backwards: whether the edge leads from right to left (it closes a cycle).
    """

    x: float
    y: float
    end_x: float
    end_y: float
    edge: int
    first: bool
    last: bool
    backwards: bool


@dataclass(frozen=True, slots=True)
class Drawing:
    """The result: a place for each box, the segments of all lines, and the size of the whole."""

    places: tuple[Place, ...]
    segments: tuple[Segment, ...]
    width: float
    height: float


def layered(
    sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]], *, gap: tuple[float, float]
) -> Drawing:
    """Lay out boxes of the given sizes (width, height) and the lines between them.

    Args:
        sizes: of the boxes.
        edges: pairs of indices of `sizes`; an edge from a box to itself is left out.
        gap: the least distance of columns, and of boxes in a column.

    Raises:
        TooLarge: there are too many lines.
    """
    return _Layout(sizes, edges, gap).drawing()


class _Stop(NamedTuple):
    """What stands in a column: a box, or a line that crosses it."""

    column: int
    height: float
    box: int  # -1: a line


class _Hop(NamedTuple):
    """A line's way from one stop to one of the next column, and the edge that it belongs to."""

    source: int
    target: int
    edge: int


class _Layout:
    """The state of one drawing. Stops are numbered; the first are the boxes."""

    def __init__(
        self, sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]], gap: tuple[float, float]
    ) -> None:
        self.sizes = sizes
        self.edges = edges
        self.gap = gap
        self.backwards = _closing(len(sizes), edges)
        self.columns_of_boxes = _longest_ways(len(sizes), self._forward())
        self.stops = [
            _Stop(column, size[1], box)
            for box, (column, size) in enumerate(zip(self.columns_of_boxes, sizes, strict=True))
        ]
        self.hops: list[_Hop] = []
        self._make_hops()
        self.left: list[list[int]] = [[] for _ in self.stops]
        self.right: list[list[int]] = [[] for _ in self.stops]
        for hop in self.hops:
            self.right[hop.source].append(hop.target)
            self.left[hop.target].append(hop.source)
        self.columns: list[list[int]] = [[] for _ in range(max(self.columns_of_boxes, default=-1) + 1)]
        for index, stop in enumerate(self.stops):
            self.columns[stop.column].append(index)

    def _forward(self) -> list[tuple[int, int]]:
        return [
            (target, source) if at in self.backwards else (source, target)
            for at, (source, target) in enumerate(self.edges)
            if source != target
        ]

    def _make_hops(self) -> None:
        """Give each edge a stop in every column that it crosses; edges to one box share them."""
        shared: dict[tuple[int, int, int], int] = {}
        done: set[tuple[int, int]] = set()
        for at, (source, target) in enumerate(self.edges):
            if source == target:
                continue
            backwards = at in self.backwards
            here, end = (target, source) if backwards else (source, target)
            for column in range(self.columns_of_boxes[here] + 1, self.columns_of_boxes[end] + 1):
                stop = end
                if column < self.columns_of_boxes[end]:
                    # A line that runs backwards keeps to itself: joined to others it would seem to lead elsewhere.
                    key = (end, column, at if backwards else -1)
                    if key not in shared:
                        shared[key] = len(self.stops)
                        self.stops.append(_Stop(column, _LINE, -1))
                    stop = shared[key]
                if (here, stop) not in done or backwards:
                    done.add((here, stop))
                    self.hops.append(_Hop(here, stop, at))
                here = stop
            if len(self.stops) > _MOST_STOPS or len(self.hops) > _MOST_HOPS:
                raise TooLarge

    # -- the order in each column --------------------------------------------------------------------------------------

    def _order(self) -> None:
        """Sort each column by the middle of its neighbours, back and forth, and keep the best."""
        best, fewest = [list(column) for column in self.columns], self._crossings()
        for sweep in range(_SWEEPS):
            if fewest == 0:
                break
            rightwards = sweep % 2 == 0
            near = self.left if rightwards else self.right
            rank = self._ranks()
            for column in self.columns[1:] if rightwards else self.columns[-2::-1]:
                keys = {
                    stop: sum(rank[other] for other in near[stop]) / len(near[stop]) if near[stop] else rank[stop]
                    for stop in column
                }
                column.sort(key=lambda stop: (keys[stop], rank[stop]))
                self._rank(column, rank)
            crossings = self._crossings()
            if crossings < fewest:
                best, fewest = [list(column) for column in self.columns], crossings
        self.columns = best

    def _ranks(self) -> list[float]:
        """Where each stop stands in its column, between 0 and 1."""
        rank = [0.0] * len(self.stops)
        for column in self.columns:
            self._rank(column, rank)
        return rank

    @staticmethod
    def _rank(column: Sequence[int], rank: list[float]) -> None:
        for place, stop in enumerate(column):
            rank[stop] = (place + 0.5) / len(column)

    def _crossings(self) -> int:
        """The number of pairs of hops that cross (counted with a Fenwick tree)."""
        total = 0
        for column, after in pairwise(self.columns):
            places = {stop: place for place, stop in enumerate(after)}
            counts = [0] * (len(after) + 1)
            seen = 0
            for stop in column:
                targets = sorted(places[other] for other in self.right[stop])
                for place in targets:
                    at, before = place + 1, 0
                    while at:
                        before += counts[at]
                        at &= at - 1
                    total += seen - before
                for place in targets:
                    seen += 1
                    at = place + 1
                    while at < len(counts):
                        counts[at] += 1
                        at += at & -at
        return total

    # -- coordinates ---------------------------------------------------------------------------------------------------

    def drawing(self) -> Drawing:
        """Order the columns, then place all."""
        self._order()
        middles = self._middles()
        starts, widths = self._column_places()
        places = [
            Place(starts[stop.column], middles[box] - stop.height / 2)
            for box, stop in enumerate(self.stops[: len(self.sizes)])
        ]
        segments = list(self._segments(middles, starts, widths))
        width = starts[-1] + widths[-1] if starts else 0
        height = max((place.y + size[1] for place, size in zip(places, self.sizes, strict=True)), default=0)
        lowest = max((max(segment.y, segment.end_y) for segment in segments), default=0)
        return Drawing(tuple(places), tuple(segments), width, max(height, lowest + _LINE))

    def _column_places(self) -> tuple[list[float], list[float]]:
        """Where each column begins and how wide it is; the more lines run between two, the further apart they are."""
        starts: list[float] = []
        widths: list[float] = []
        crowds = [0] * (len(self.columns) + 1)
        for hop in self.hops:
            crowds[self.stops[hop.target].column] += 1
        x: float = 0
        for number, column in enumerate(self.columns):
            if number:
                x += self.gap[0] + min(4 * max(crowds[number] - 4, 0), 120)
            starts.append(x)
            widths.append(max(self.sizes[stop][0] for stop in column if self.stops[stop].box >= 0))
            x += widths[-1]
        return starts, widths

    def _middles(self) -> list[float]:
        """The vertical middle of each stop: as near to its neighbours' as order and gaps allow."""
        middles = [0.0] * len(self.stops)
        for column in self.columns:
            self._settle(column, middles, [0.0] * len(column))
        for sweep in range(_SWEEPS):
            rightwards = sweep % 2 == 0
            for column in self.columns if rightwards else self.columns[::-1]:
                wanted = []
                for stop in column:
                    near = (self.left[stop] if rightwards else self.right[stop]) or (
                        self.right[stop] if rightwards else self.left[stop]
                    )
                    wanted.append(sum(middles[other] for other in near) / len(near) if near else middles[stop])
                self._settle(column, middles, wanted)
        top = min((middles[at] - stop.height / 2 for at, stop in enumerate(self.stops)), default=0.0)
        return [middle - top for middle in middles]

    def _settle(self, column: Sequence[int], middles: list[float], wanted: Sequence[float]) -> None:
        """Move a column's stops as little as possible from where they want to be: least squares, by pooling."""
        offsets = [0.0]
        for before, after in pairwise(column):
            room = (self.stops[before].height + self.stops[after].height) / 2 + self.gap[1]
            offsets.append(offsets[-1] + room)
        pools: list[tuple[float, float, int]] = []  # (sum of weighted wishes, weight, number of stops)
        for stop, wish, offset in zip(column, wanted, offsets, strict=True):
            weight = 1.0 if self.stops[stop].box >= 0 else 3.0  # straight lines are worth more than straight boxes
            pools.append((weight * (wish - offset), weight, 1))
            while len(pools) > 1 and pools[-2][0] / pools[-2][1] > pools[-1][0] / pools[-1][1]:
                total, mass, number = pools.pop()
                pools[-1] = (pools[-1][0] + total, pools[-1][1] + mass, pools[-1][2] + number)
        at = 0
        for total, mass, number in pools:
            for _ in range(number):
                middles[column[at]] = total / mass + offsets[at]
                at += 1

    def _segments(
        self, middles: Sequence[float], starts: Sequence[float], widths: Sequence[float]
    ) -> Iterable[Segment]:
        lines: dict[int, int] = {}
        for hop in self.hops:
            lines.setdefault(hop.target, hop.edge)
        for index, stop in enumerate(self.stops):
            if stop.box < 0:
                x, y = starts[stop.column], middles[index]
                edge = lines[index]
                yield Segment(x, y, x + widths[stop.column], y, edge, False, False, edge in self.backwards)
        stubs: set[tuple[int, bool]] = set()
        for hop in self.hops:
            source, target = self.stops[hop.source], self.stops[hop.target]
            start, y = starts[source.column] + widths[source.column], middles[hop.source]
            backwards = hop.edge in self.backwards
            first, last = source.box >= 0, target.box >= 0
            right = starts[source.column] + self.sizes[hop.source][0] if first else start
            if right < start:
                # Straight to the column's edge: a curve from here would run behind the wider boxes of the column.
                if (hop.source, backwards) not in stubs:
                    stubs.add((hop.source, backwards))
                    yield Segment(right, y, start, y, hop.edge, backwards, False, backwards)
                first = not backwards
            end = starts[target.column]
            yield Segment(start, y, end, middles[hop.target], hop.edge, first, last, backwards)


def _closing(boxes: int, edges: Sequence[tuple[int, int]]) -> frozenset[int]:
    """Return the indices of the edges that close a cycle, in a walk from the first box on."""
    after: list[list[tuple[int, int]]] = [[] for _ in range(boxes)]
    entered = [False] * boxes
    for at, (source, target) in enumerate(edges):
        if source != target:
            after[source].append((target, at))
            entered[target] = True
    state = [0] * boxes  # 1: on the way, 2: done
    found = set()
    for root in sorted(range(boxes), key=lambda box: entered[box]):
        stack = [(root, iter(after[root]))] if not state[root] else []
        state[root] = state[root] or 1
        while stack:
            box, rest = stack[-1]
            target, at = next(rest, (-1, -1))
            if at < 0:
                state[box] = 2
                stack.pop()
            elif state[target] == 1:
                found.add(at)
            elif not state[target]:
                state[target] = 1
                stack.append((target, iter(after[target])))
    return frozenset(found)


def _longest_ways(boxes: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Return for each box the number of edges of the longest way to it, in a graph without cycles."""
    after: list[list[int]] = [[] for _ in range(boxes)]
    missing = [0] * boxes
    for source, target in edges:
        after[source].append(target)
        missing[target] += 1
    column = [0] * boxes
    queue = [box for box in range(boxes) if not missing[box]]
    for box in queue:  # grows while it is walked
        for target in after[box]:
            column[target] = max(column[target], column[box] + 1)
            missing[target] -= 1
            if not missing[target]:
                queue.append(target)
    return column
