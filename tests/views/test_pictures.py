"""The drawings: graphviz reads the dot, the SVG is XML whose boxes do not overlap and whose lines cross no box."""

from __future__ import annotations

import random
import re
import subprocess
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import fastwheel
from fastwheel import FastwheelError, Tree
from fastwheel._tree import Edge, Node
from fastwheel.report.dot import tree_dot
from fastwheel.report.layers import Drawing, layered
from fastwheel.report.mermaid import tree_mermaid
from fastwheel.report.picture import picture_of
from fastwheel.report.svg import tree_svg

SVG = "{http://www.w3.org/2000/svg}"
#: Names that mean something to at least one of the languages.
ODD = [
    'a"b.so',
    "a\\nb.so",
    "<b>&amp;.so",
    "end",
    "`code`.so",
    "#quot;.so",
    "a]b[c](d){e}|f.so",
    "--> x.so",
    "\\N\\G.so",
    "%%{init}%%.so",
    "名前.so",
    "x" * 300 + ".so",
    "\u202eso.dab",
    "",
    "subgraph",
    "a;b\tc\x00d.so",
    "fa:fa-car x.so",
    "$$x$$",
]


def made(names: list[str], links: list[tuple[int, int]], kind: str = "library") -> Tree:
    """A tree of these nodes and edges."""
    nodes = tuple(Node(name, kind) for name in names)
    edges = tuple(Edge(a, b, names[b], "runpath", "because") for a, b in links)
    return Tree("pkg-1.0.whl", "wheel", "manylinux_2_17_x86_64", nodes, edges, (0,))


def randomly(seed: int, boxes: int, lines: int) -> tuple[list[tuple[float, float]], list[tuple[int, int]]]:
    """Sizes and edges, cycles and self-loops among them."""
    dice = random.Random(seed)
    sizes = [(dice.uniform(40, 320), dice.choice([30, 40, 60])) for _ in range(boxes)]
    return sizes, [(dice.randrange(boxes), dice.randrange(boxes)) for _ in range(lines)]


def overlaps(drawing: Drawing, sizes: list[tuple[float, float]]) -> list[tuple[int, int]]:
    """Pairs of boxes that touch."""
    spots = list(zip(drawing.places, sizes, strict=True))
    return [
        (a, b)
        for (a, ((ax, ay), (aw, ah))), (b, ((bx, by), (bw, bh))) in combinations(enumerate(spots), 2)
        if ax < bx + bw and bx < ax + aw and ay < by + bh and by < ay + ah
    ]


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize(("boxes", "lines"), [(1, 3), (7, 12), (30, 60), (60, 90)])
def test_boxes_do_not_overlap_and_lines_cross_none(seed: int, boxes: int, lines: int) -> None:
    sizes, edges = randomly(seed, boxes, lines)
    drawing = layered(sizes, edges, gap=(50, 12))
    assert overlaps(drawing, sizes) == []
    for (x, y), (width, height) in zip(drawing.places, sizes, strict=True):
        assert 0 <= x <= drawing.width - width + 1e-6
        assert -1e-6 <= y <= drawing.height - height + 1e-6
    for line in drawing.segments:
        assert line.end_x > line.x
        for (x, y), (width, height) in zip(drawing.places, sizes, strict=True):
            beside = line.end_x <= x + 1e-6 or line.x >= x + width - 1e-6
            low, high = sorted((line.y, line.end_y))
            assert beside or high <= y - 1 or low >= y + height + 1, (line, x, y)


@pytest.mark.parametrize("seed", range(20))
def test_each_edge_is_a_way_from_its_box_to_the_other(seed: int) -> None:
    """Following the segments from the right side of each box leads to all boxes that it points to, and to no other."""
    sizes, edges = randomly(seed, 25, 45)
    drawing = layered(sizes, edges, gap=(50, 12))
    after: dict[tuple[float, float], set[tuple[float, float]]] = {}
    for line in drawing.segments:
        after.setdefault((round(line.x, 3), round(line.y, 3)), set()).add((round(line.end_x, 3), round(line.end_y, 3)))
    left = {
        (round(x, 3), round(y + h / 2, 3)): i
        for i, ((x, y), (_, h)) in enumerate(zip(drawing.places, sizes, strict=True))
    }
    reached: set[tuple[int, int]] = set()
    for box, ((x, y), (width, height)) in enumerate(zip(drawing.places, sizes, strict=True)):
        queue = [(round(x + width, 3), round(y + height / 2, 3))]
        seen = set(queue)
        for point in queue:
            if point in left:
                reached.add((box, left[point]))
                continue
            fresh = after.get(point, set()) - seen
            seen |= fresh
            queue += fresh
    wanted = {(a, b) for a, b in edges if a != b}
    column = {box: place.x for box, place in enumerate(drawing.places)}
    assert {(a, b) if column[a] < column[b] else (b, a) for a, b in wanted} == reached
    assert {edges[line.edge] for line in drawing.segments if line.backwards} == {
        (a, b) for a, b in wanted if column[a] > column[b]
    }


def test_a_drawing_is_the_same_each_time() -> None:
    sizes, edges = randomly(1, 40, 80)
    assert layered(sizes, edges, gap=(50, 12)) == layered(sizes, edges, gap=(50, 12))


def test_a_tree_has_no_crossings() -> None:
    """A binary tree can be drawn plainly, so it is: in each gap the lines keep their order."""
    edges = [(child // 2 - 1, child - 1) for child in range(2, 32)]
    drawing = layered([(60, 30)] * 31, edges, gap=(50, 12))
    for a, b in combinations(drawing.segments, 2):
        if a.x == b.x and a.end_x == b.end_x:
            assert (a.y - b.y) * (a.end_y - b.end_y) >= -1e-6


def texts(tree: Tree) -> list[str]:
    """All texts of the SVG of a tree."""
    return ["".join(item.itertext()) for item in ET.fromstring(tree_svg(tree)).iter(f"{SVG}text")]


def test_svg_is_xml_and_texts_fit_their_boxes() -> None:
    names = [f"pkg/{name}" for name in ODD if name] + ["pkg/" + "長" * 200]
    links = [(a, a + 1) for a in range(len(names) - 1)]
    root = ET.fromstring(tree_svg(made(names, links)))
    boxes = 0
    for group in root.iter(f"{SVG}g"):
        rectangle, labels = group.find(f"{SVG}rect"), group.findall(f"{SVG}text")
        if rectangle is None or len(labels) != 2:
            continue
        boxes += 1
        for label, size in zip(labels, (12.5, 10.5), strict=True):
            cells = sum(2 if ord(c) > 0x2E80 else 1 for c in label.text or "")
            start = float(label.get("x", "0")) - float(rectangle.get("x", "0"))
            assert start + cells * size * 0.602 <= float(rectangle.get("width", "0"))
    assert boxes == len(names)
    titles = ["".join(item.itertext()) for item in root.iter(f"{SVG}title")]
    assert any("x" * 300 in title for title in titles)  # the whole name is in the tooltip


def test_svg_needs_nothing_from_elsewhere() -> None:
    text = tree_svg(made(['"/><script>alert(1)</script>.so', "b.so"], [(0, 1)]))
    root = ET.fromstring(text)
    tags = {item.tag.removeprefix(SVG) for item in root.iter()}
    assert tags <= {"svg", "title", "style", "rect", "g", "text", "path"}
    assert not re.search(r"https?:(?!//www\.w3\.org/2000/svg)|url\(|@import|href", text)
    assert "prefers-color-scheme:dark" in text


def test_svg_sizes_hold_everything(diamond: Path, environ: dict[str, str]) -> None:
    root = ET.fromstring(tree_svg(fastwheel.tree(diamond, environ=environ)))
    _, _, width, height = map(float, root.get("viewBox", "").split())
    assert (width, height) == (float(root.get("width", "0")), float(root.get("height", "0")))
    for rectangle in root.iter(f"{SVG}rect"):
        assert float(rectangle.get("x", "0")) + float(rectangle.get("width", "0")) <= width


def test_alike_modules_share_a_box() -> None:
    nodes = [Node(f"pkg/m{number}.so", "module", size=1000) for number in range(50)] + [Node("x.libs/a.so", "library")]
    edges = [Edge(number, 50, "a.so", "runpath", "because") for number in range(40)]
    tree = Tree("x.whl", "wheel", "p", tuple(nodes), tuple(edges), tuple(range(50)))
    picture = picture_of(tree)
    assert [box.title for box in picture.boxes] == ["40 extension modules", "10 extension modules", "a.so"]
    assert [(arrow.source, arrow.target) for arrow in picture.arrows] == [(0, 2)]
    assert picture.boxes[0].size == 40_000
    assert len(picture.boxes[0].names) == 40


def test_the_targets_libraries_are_listed_and_not_drawn(diamond: Path, environ: dict[str, str]) -> None:
    picture = picture_of(fastwheel.tree(diamond, environ=environ))
    assert "libc.so.6" in picture.given
    assert not any(box.title == "libc.so.6" for box in picture.boxes)


def test_missing_libraries_are_drawn(diamond: Path) -> None:
    picture = picture_of(fastwheel.tree(diamond, ldpaths="", environ={}))
    assert {(box.title, box.subtitle) for box in picture.boxes if box.kind == "missing"} == {
        ("libleft.so.1", "not found"),
        ("libright.so.1", "not found"),
    }
    assert {arrow.state for arrow in picture.arrows} == {"missing"}


def test_too_large_for_a_picture() -> None:
    names = [f"lib{number}.so" for number in range(500)]
    with pytest.raises(FastwheelError) as fault:
        tree_svg(made(names, [(number, number + 1) for number in range(499)]))
    assert fault.value.code == "FW800"
    names = names[:380]
    dense = [(a, b) for a in range(380) for b in range(a + 1, 380)]
    with pytest.raises(FastwheelError):
        tree_svg(made(names, dense))


def plain(dot: str) -> list[str]:
    """What graphviz makes of a graph: one line for each node and edge."""
    done = subprocess.run(["dot", "-Tplain"], input=dot, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_dot_is_read_by_graphviz(diamond: Path, environ: dict[str, str]) -> None:
    tree = fastwheel.tree(diamond, environ=environ)
    lines = plain(tree_dot(tree))
    assert sum(line.startswith("node ") for line in lines) == len(tree.nodes)
    found = [tuple(line.split()[1:3]) for line in lines if line.startswith("edge ")]
    assert sorted(found) == sorted((f"n{edge.source}", f"n{edge.target}") for edge in tree.edges)


def test_dot_shows_odd_names_as_they_are() -> None:
    """Graphviz's own drawing has each name as its text."""
    from fastwheel.errors import escape

    names = [name for name in ODD if name and "/" not in name]
    tree = made(names, [(a, a + 1) for a in range(len(names) - 1)])
    done = subprocess.run(["dot", "-Tsvg"], input=tree_dot(tree).encode(), capture_output=True, timeout=60, check=True)
    assert done.stderr == b""
    shown = {"".join(item.itertext()).replace("\xa0", " ") for item in ET.fromstring(done.stdout).iter(f"{SVG}text")}
    assert {escape(name) for name in names} <= shown


NODE = re.compile(r'  n\d+\["(?:[A-Za-z0-9 ._/+,=~-]|#\d+;|<br/>|</?small>)+"\]:::[a-z]+')
LINE = re.compile(r"  n\d+ (?:-->|-\.->) n\d+")
CLASS = re.compile(r"  classDef [a-z]+ [a-z#0-9:,\- ]+")


@pytest.mark.parametrize("kind", ["library", "missing"])
def test_mermaid_holds_nothing_that_has_a_meaning(kind: str) -> None:
    names = [*ODD, "--- graph TD; x"]
    first, *lines = tree_mermaid(made(names, [(a, a + 1) for a in range(len(names) - 1)], kind)).splitlines()
    assert first == "flowchart LR"
    assert [line for line in lines if not any(form.fullmatch(line) for form in (NODE, LINE, CLASS))] == []
    assert sum(bool(NODE.fullmatch(line)) for line in lines) == len(names)


def test_mermaid_names_come_back() -> None:
    """Decoding the numbers, as Mermaid does, gives the name as it is shown elsewhere."""
    from fastwheel.errors import escape

    for name in filter(None, ODD):
        text = tree_mermaid(made([name], []))
        label = re.search(r'\["(.*?)(?:<br/>.*)?"\]', text)
        assert label is not None
        assert re.sub(r"#(\d+);", lambda match: chr(int(match[1])), label[1]) == escape(name)
