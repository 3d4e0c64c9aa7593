"""A tree of dependencies as an SVG picture, drawn without help: for web pages, README files and reports.

The picture follows the reader's light or dark theme, needs no script and no font file, and names every box in full
where the pointer rests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from unicodedata import combining, east_asian_width

from fastwheel.errors import FastwheelError
from fastwheel.report.layers import TooLarge, layered
from fastwheel.report.markup import words
from fastwheel.report.picture import picture_of
from fastwheel.report.text import size_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fastwheel._tree import Tree
    from fastwheel.report.layers import Drawing, Segment
    from fastwheel.report.picture import Arrow, Box, Picture

__all__ = ["SVG_STYLE", "svg_body", "tree_svg"]

#: More boxes than this are no picture.
_MOST_BOXES: Final = 400
#: The longest line of text in a box, in characters; the full name is in its tooltip.
_LONGEST: Final = 52
#: The width of a character, pixels: 0.602 em in the widest of the usual monospace fonts, and a little more.
_TITLE_WIDTH: Final = 12.5 * 0.615
_SMALL_WIDTH: Final = 10.5 * 0.615
_BOX_HEIGHT: Final = 40.0
_PADDING: Final = 11.0
_MARGIN: Final = 16.0
_GAP: Final = (58.0, 13.0)

_KINDS: Final = {
    "module": "extension module",
    "program": "program",
    "library": "library of the wheel",
    "system": "library of this machine",
    "missing": "not found",
    "excluded": "left out",
}
#: (fill, stroke) of the boxes by kind, light and dark.
_LIGHT: Final = {
    "module": ("#eaf3ff", "#4a86c7"),
    "program": ("#f3effd", "#8a72c2"),
    "library": ("#e8f5ef", "#4c9a78"),
    "system": ("#fdf4e3", "#c1923b"),
    "missing": ("#fdecec", "#c9514f"),
    "excluded": ("#f5f6f7", "#a3abb4"),
}
_DARK: Final = {
    "module": ("#16263a", "#5b93cf"),
    "program": ("#241d38", "#9a85cf"),
    "library": ("#15291f", "#58a583"),
    "system": ("#2e2514", "#c29a4e"),
    "missing": ("#351a1b", "#d8706d"),
    "excluded": ("#1e2329", "#6b7683"),
}


def _rules(background: str, text: str, dim: str, line: str, bad: str, kinds: dict[str, tuple[str, str]]) -> str:
    rules = [
        f".fw-paper{{fill:{background}}}.fw-name{{fill:{text}}}.fw-dim{{fill:{dim}}}",
        f".fw-line{{stroke:{line}}}.fw-tip{{fill:{line}}}",
        f".fw-line.missing{{stroke:{bad}}}.fw-tip.missing{{fill:{bad}}}",
        f".fw-line.unreached{{stroke:{kinds['system'][1]}}}.fw-tip.unreached{{fill:{kinds['system'][1]}}}",
    ]
    rules += [f".fw-{kind} rect{{fill:{fill};stroke:{stroke}}}" for kind, (fill, stroke) in kinds.items()]
    return "".join(rules)


#: The style that the elements of `svg_body` need; once in a page.
SVG_STYLE: Final = (
    ".fw-graph text{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',"
    "monospace}"
    ".fw-name{font-size:12.5px}.fw-dim{font-size:10.5px}.fw-graph rect{stroke-width:1.1}"
    ".fw-line{fill:none;stroke-width:1.2}.fw-line.unreached,.fw-line.missing,.fw-line.excluded{stroke-dasharray:5 3.5}"
    ".fw-graph .fw-excluded rect,.fw-graph .fw-missing rect{stroke-dasharray:4 3}.fw-graph rect.fw-paper{stroke:none}"
    + _rules("#ffffff", "#1f2429", "#66707b", "#9aa4ae", "#c9514f", _LIGHT)
    + "@media (prefers-color-scheme:dark){"
    + _rules("#12161b", "#e3e7eb", "#8f9aa6", "#56616d", "#d8706d", _DARK)
    + "}"
)


def tree_svg(tree: Tree) -> str:
    """Return an SVG document.

    Raises:
        FastwheelError: FW800, the graph is too large for a picture.
    """
    body, width, height = svg_body(tree)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f"<title>{words(tree.name)}</title><style>{SVG_STYLE}</style>"
        f'<rect class="fw-paper" width="{width}" height="{height}"/>{body}</svg>\n'
    )


def svg_body(tree: Tree) -> tuple[str, int, int]:
    """Return the elements of the picture, without the frame and the style, and its width and height in pixels.

    Raises:
        FastwheelError: FW800, the graph is too large for a picture.
    """
    picture = picture_of(tree)
    if len(picture.boxes) > _MOST_BOXES:
        raise _too_large(f"{len(picture.boxes)} boxes are")
    sizes = [(_width(box), _BOX_HEIGHT) for box in picture.boxes]
    try:
        drawing = layered(sizes, [(arrow.source, arrow.target) for arrow in picture.arrows], gap=_GAP)
    except TooLarge:
        raise _too_large("its lines are") from None
    legend, legend_width, legend_height = _legend(picture, tree, drawing.width)
    width = max(drawing.width, legend_width) + 2 * _MARGIN
    height = drawing.height + 2 * _MARGIN + (legend_height + _MARGIN if legend else 0)
    parts = [f'<g class="fw-graph"><g transform="translate({_number(_MARGIN)} {_number(_MARGIN)})">']
    parts += _lines(drawing, picture.arrows)
    parts += [_box(box, place, size) for box, place, size in zip(picture.boxes, drawing.places, sizes, strict=True)]
    parts.append(f'</g><g transform="translate({_number(_MARGIN)} {_number(drawing.height + 2 * _MARGIN)})">')
    parts += [*legend, "</g></g>"]
    return "\n".join(parts), int(width + 1), int(height + 1)


def _too_large(what: str) -> FastwheelError:
    return FastwheelError(
        f"the graph is too large for a picture: {what} too many",
        code="FW800",
        hint="--format dot can be drawn by graphviz; --format text and json have no limit",
    )


# -- boxes -------------------------------------------------------------------------------------------------------------


def _box(box: Box, place: tuple[float, float], size: tuple[float, float]) -> str:
    x, y = place
    width, height = size
    at = f'x="{_number(x)}" y="{_number(y)}" width="{_number(width)}" height="{_number(height)}" rx="6"'
    behind = ""
    if len(box.names) > 1:  # a pile
        behind = at.replace(f'y="{_number(y)}"', f'y="{_number(y + 3.5)}"').replace(
            f'x="{_number(x)}"', f'x="{_number(x + 3.5)}"', 1
        )
        behind = f"<rect {behind}/>"
    left = _number(x + _PADDING)
    return (
        f'<g class="fw-{box.kind}"><title>{words(_tooltip(box))}</title>{behind}<rect {at}/>'
        f'<text class="fw-name" x="{left}" y="{_number(y + 17)}">{words(_short(box.title))}</text>'
        f'<text class="fw-dim" x="{left}" y="{_number(y + 31)}">{words(_short(_subtitle(box)))}</text></g>'
    )


def _subtitle(box: Box) -> str:
    size = None if box.size is None else size_text(box.size)
    if size is None:
        return box.subtitle
    room = _LONGEST - len(size) - 3
    place = box.subtitle if _cells(box.subtitle) <= room else _short(box.subtitle, room)
    return f"{place} · {size}" if place else size


def _tooltip(box: Box) -> str:
    lines = list(box.names[:40])
    if len(box.names) > 40:
        lines.append(f"… and {len(box.names) - 40} more")
    lines.append(_KINDS[box.kind])
    if box.given:
        lines.append(f"from the system: {', '.join(box.given)}")
    return "\n".join(lines)


def _width(box: Box) -> float:
    title = _cells(_short(box.title)) * _TITLE_WIDTH
    return max(title, _cells(_short(_subtitle(box))) * _SMALL_WIDTH, 48) + 2 * _PADDING


def _cells(text: str) -> int:
    """The number of character widths that a text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WFA" else 1 for c in text)


def _short(text: str, most: int = _LONGEST) -> str:
    """Leave out the middle of what is too long: names differ at their ends."""
    if _cells(text) <= most:
        return text
    head, tail = "", ""
    room = most - 2  # the ellipsis may be wide
    for character in text:
        if _cells(head + character) > room // 2:
            break
        head += character
    for character in reversed(text):
        if _cells(character + tail) > room - room // 2:
            break
        tail = character + tail
    return f"{head}…{tail}"


# -- lines -------------------------------------------------------------------------------------------------------------


def _lines(drawing: Drawing, arrows: Sequence[Arrow]) -> Iterable[str]:
    for segment in drawing.segments:
        arrow = arrows[segment.edge]
        state = "" if arrow.state == "found" else f" {arrow.state}"
        tip = segment.first if segment.backwards else segment.last
        title = f"<title>{words(arrow.text)}</title>" if segment.first or segment.last else ""
        yield f'<path class="fw-line{state}" d="{_path(segment, tip)}">{title}</path>'
        if tip:
            yield _tip(segment, state)


def _path(segment: Segment, tip: bool) -> str:
    x, y, end_x, end_y = segment.x, segment.y, segment.end_x, segment.end_y
    if tip and segment.backwards:
        x += 5
    elif tip:
        end_x -= 5
    start = f"M{_number(x)} {_number(y)}"
    if abs(y - end_y) < 0.05:
        return f"{start}H{_number(end_x)}"
    middle = _number((x + end_x) / 2)
    return f"{start}C{middle} {_number(y)} {middle} {_number(end_y)} {_number(end_x)} {_number(end_y)}"


def _tip(segment: Segment, state: str) -> str:
    """The head of an arrow: at the right end, or at the left one of a line that runs backwards."""
    x, y, back = (segment.x, segment.y, 7.0) if segment.backwards else (segment.end_x, segment.end_y, -7.0)
    return (
        f'<path class="fw-tip{state}" d="M{_number(x)} {_number(y)}L{_number(x + back)} {_number(y - 3.5)}'
        f'V{_number(y + 3.5)}Z"/>'
    )


# -- legend ------------------------------------------------------------------------------------------------------------


def _legend(picture: Picture, tree: Tree, width: float) -> tuple[list[str], float, float]:
    """What the colours mean, and what the target brings; the elements, and how much room they take."""
    parts: list[str] = []
    kinds = [kind for kind in _KINDS if any(box.kind == kind for box in picture.boxes)]
    x = widest = 0.0
    y = 0.0
    room = max(width, 360.0)
    for kind in kinds:
        label = _KINDS[kind]
        if kind == "system" and tree.kind == "wheel":
            label += ", to be grafted"
        elif kind == "library" and tree.kind == "file":
            label = "library"
        needs = 17 + len(label) * _SMALL_WIDTH
        if x and x + needs > room:
            x, y = 0.0, y + 18
        parts.append(
            f'<g class="fw-{kind}"><rect x="{_number(x)}" y="{_number(y)}" width="11" height="11" rx="2.5"/>'
            f'<text class="fw-dim" x="{_number(x + 17)}" y="{_number(y + 9.5)}">{label}</text></g>'
        )
        widest = max(widest, x + needs)
        x += needs + 20
    height = y + 11 if parts else 0.0
    if picture.given:
        source = f"allowed by {tree.policy}" if tree.policy else "of the C library"
        for line in _wrapped(f"not drawn, {source}: {', '.join(picture.given)}", int(room / _SMALL_WIDTH)):
            height += 18
            parts.append(f'<text class="fw-dim" x="0" y="{_number(height - 2)}">{words(line)}</text>')
            widest = max(widest, _cells(line) * _SMALL_WIDTH)
    return parts, widest, height


def _wrapped(text: str, columns: int) -> list[str]:
    lines: list[str] = [""]
    for word in (_short(word) for word in text.split(" ")):
        if lines[-1] and _cells(lines[-1]) + 1 + _cells(word) > columns:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return lines if len(lines) <= 8 else [*lines[:7], "…"]


def _number(value: float) -> str:
    """A coordinate with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0")
