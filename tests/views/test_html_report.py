"""The page of `fastwheel report`: seen in a browser, safe from the wheel it is about, the same each time."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from toolbox import Toolbox, repair

import fastwheel
from fastwheel.report.html import html_page
from fastwheel.report.markup import Markup, element, table, words
from fastwheel.report.tree import tree_text

Open = Callable[..., "Seen"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield opened
        opened.close()


class Seen:
    """A page in the browser, and what happened while it was opened."""

    def __init__(self, page: Page, path: Path) -> None:
        self.page = page
        self.messages: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.messages.append(message.text))
        page.on("pageerror", lambda error: self.messages.append(str(error)))
        page.on("dialog", lambda dialog: self.messages.append(dialog.message))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(path.as_uri())

    def image(self) -> Image.Image:
        return Image.open(io.BytesIO(self.page.screenshot(full_page=True))).convert("RGB")


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """A function that opens a text as a page."""
    contexts = []

    def opened(text: str, **options: object) -> Seen:
        path = tmp_path / "page.html"
        path.write_text(text, encoding="utf-8")
        contexts.append(browser.new_context(viewport={"width": 1240, "height": 900}, **options))
        return Seen(contexts[-1].new_page(), path)

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def page_text(diamond: Path, toolbox: Toolbox) -> str:
    """The page about the repaired diamond, with the wheel before."""
    done = repair(diamond, toolbox)
    assert done.path is not None
    return html_page(fastwheel.overview(done.path, before=diamond, ldpaths=""))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_seen(page_text: str, open_page: Open, scheme: str) -> None:
    seen = open_page(page_text, color_scheme=scheme, java_script_enabled=False)
    assert seen.messages == []
    assert len(seen.requests) == 1  # the page itself, and nothing from the network
    image = seen.image()
    colours = image.getcolors(1 << 24)
    assert colours is not None
    assert len(colours) > 100
    background = max(colours)[1]
    assert (sum(background) > 600) is (scheme == "light")
    assert max(colours)[0] < 0.97 * image.width * image.height
    shown = seen.page.inner_text("body")
    for text in ("pkg", "1.0", "Who needs whom", "Grafted libraries", "What the repair changed", "libleft"):
        assert text in shown
    assert seen.page.locator("svg text").count() > 5
    box = seen.page.locator("svg .fw-library rect").first.bounding_box()
    assert box is not None
    assert box["width"] > 50


def test_it_is_as_wide_as_the_window(page_text: str, open_page: Open) -> None:
    """Only pictures and tables scroll sideways, in a narrow window too."""
    seen = open_page(page_text)
    for width in (1600, 1024, 390):
        seen.page.set_viewport_size({"width": width, "height": 800})
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width


def test_no_text_of_the_picture_leaves_its_box(page_text: str, open_page: Open) -> None:
    seen = open_page(page_text)
    outside = seen.page.evaluate(
        """() => [...document.querySelectorAll('.fw-graph g[class^=fw-]')].filter(g => {
            const texts = [...g.querySelectorAll('text.fw-name')], rect = [...g.querySelectorAll('rect')].pop();
            if (!texts.length) return false;
            const box = rect.getBBox();
            return [...g.querySelectorAll('text')].some(t => t.getBBox().x + t.getBBox().width > box.x + box.width);
        }).length"""
    )
    assert outside == 0


def test_the_wheel_as_built(diamond: Path, environ: dict[str, str], open_page: Open) -> None:
    seen = open_page(html_page(fastwheel.overview(diamond, environ=environ)))
    assert seen.messages == []
    shown = seen.page.inner_text("body")
    assert "Not portable yet" in shown
    assert "To be grafted" in shown
    assert "What the repair changed" not in shown


def test_a_pure_wheel(tmp_path: Path, open_page: Open) -> None:
    path = tmp_path / "pure-1.0-py3-none-any.whl"
    info = "pure-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: pure\nVersion: 1.0\nLicense: <b>MIT</b>\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    seen = open_page(html_page(fastwheel.overview(path)))
    assert seen.messages == []
    assert "<b>MIT</b>" in seen.page.inner_text("body")


EVIL = "<img src=x onerror=alert(1)>"
SCRIPT = "</style></title></svg><script>alert(document.domain)</script>"


def hostile_wheel(toolbox: Toolbox) -> Path:
    """Markup in every text of a wheel that the page may show."""
    own = toolbox.library("libevil.so.1", "evil", folder=toolbox.folder / "own", flags=["-Wl,-soname,a<script>b"])
    long = "a" * (len(EVIL) + 4)
    renamed = toolbox.library(long, "evil", folder=toolbox.folder / "own")
    module = toolbox.module("a", "evil", renamed, flags=[f"-Wl,-rpath,{EVIL}:$ORIGIN"])
    module = module.replace(long.encode() + b"\0", (EVIL + "name").encode() + b"\0")
    evil = {"name": EVIL, "version": EVIL, "purl": f"pkg:{EVIL}/x@1", "licenses": [{"expression": EVIL}]}
    told = [{"name": "fastwheel:graft:soname", "value": EVIL}]
    bill = json.dumps(
        {"components": [{**evil, "bom-ref": "pkg.libs/lib<u>&amp;.so", "properties": told}, {"name": SCRIPT}]}
    )
    info = "pkg-1.0.dist-info"
    return toolbox.wheel(
        {
            f"pkg/{EVIL}.so": module,
            "pkg/a.so": module,
            "pkg.libs/lib<u>&amp;.so": own.read_bytes(),
            f"{info}/sboms/x.json": bill.encode(),
            f"{info}/licenses/{EVIL}": b"",
            f"pkg/{SCRIPT.replace('/', '')}.txt": b"x",
        }
    )


def test_a_hostile_wheel_stays_text(toolbox: Toolbox, diamond: Path, open_page: Open) -> None:
    wheel = hostile_wheel(toolbox)
    before = toolbox.wheel(
        {"pkg/a.so": toolbox.module("a", "x", toolbox.library("libx.so", "x"))}, tag="cp38-cp38-linux_x86_64"
    )
    text = html_page(fastwheel.overview(wheel, before=before, environ={}, ldpaths=""))
    seen = open_page(text)
    assert seen.messages == []
    assert len(seen.requests) == 1
    counts = seen.page.evaluate(
        "['script', 'img', 'u', 'b', 'iframe', 'a', 'link', 'object'].map(n => document.querySelectorAll(n).length)"
    )
    assert counts == [0] * 8
    handlers = seen.page.evaluate(
        "[...document.querySelectorAll('*')].flatMap(e => [...e.attributes])"
        ".filter(a => a.name.startsWith('on')).length"
    )
    assert handlers == 0
    assert EVIL in seen.page.inner_text("body")  # as text


def test_the_policy_would_stop_a_script(page_text: str, open_page: Open) -> None:
    """Were escaping ever forgotten, the browser refuses scripts, styles and images all the same."""
    injected = page_text.replace(
        "<main>", '<main><script>document.title = "owned"</script><img src="https://example.org/x.png">', 1
    )
    seen = open_page(injected)
    assert seen.page.title() != "owned"
    assert any("Content Security Policy" in message for message in seen.messages)


class _Checker(HTMLParser):
    """Whether all elements are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        return

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)


def test_elements_are_closed_in_order(page_text: str) -> None:
    checker = _Checker()
    checker.feed(page_text)
    assert (checker.faults, checker.open) == ([], [])
    assert not re.search(r"(?:src|href)=", page_text)


def test_the_same_wheel_gives_the_same_page(diamond: Path, environ: dict[str, str]) -> None:
    assert html_page(fastwheel.overview(diamond, environ=environ)) == html_page(
        fastwheel.overview(diamond, environ=environ, jobs=1)
    )


def test_a_page_has_room_for_so_much(diamond: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What a wheel can make long is cut, with a word on what is left out."""
    seen = fastwheel.overview(diamond, environ=environ)
    assert seen.tree is not None
    lines = tree_text(seen.tree).split("\n")
    room = len("\n".join(lines[:5])) + 3
    monkeypatch.setattr("fastwheel.report.html._MOST_TEXT", room)
    shown = re.findall("<pre>(.*?)</pre>", html_page(seen), re.DOTALL)
    assert shown == [words("\n".join([*lines[:5], f"and {len(lines) - 5} more lines: see fastwheel tree"]))]
    rows = table([("num", "n")], range(301), lambda n: element("tr", None, element("td", None, str(n))))
    assert "<td>299</td>" in rows
    assert "<td>300</td>" not in rows
    assert rows.count("and 1 more") == 1
    assert "and " not in table([("", "n")], range(300), lambda n: element("tr", None, str(n)))
    assert len(words("x" * 100_000 + "\n" + "y")) < 2000


def test_markup_escapes_whatever_was_not_made_by_it() -> None:
    assert element("p", {"title": '"><x>'}, "<y>", Markup("<z>"), ["&", element("i", None, "'")]) == (
        '<p title="&quot;&gt;&lt;x&gt;">&lt;y&gt;<z>&amp;<i>&#x27;</i></p>'
    )


def run(*args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fastwheel", "report", *map(str, args)], capture_output=True, text=True, check=False
    )


def test_the_command_writes_the_page_whole_or_not_at_all(diamond: Path, tmp_path: Path) -> None:
    page = tmp_path / "out.html"
    ran = run(diamond, "-o", page, "--before", diamond)
    assert (ran.returncode, ran.stdout) == (0, "")
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert run(diamond, "-o", "-").stdout.startswith("<!doctype html>")
    before = page.read_bytes()
    broken = tmp_path / diamond.name
    broken.write_bytes(b"no wheel")
    assert run(broken, "-o", page).returncode == 1
    assert page.read_bytes() == before
    assert run(diamond, "-o", tmp_path / "none" / "out.html").returncode == 1
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []
