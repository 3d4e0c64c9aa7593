"""One page about one wheel: no network, no script, light and dark, and nothing of the wheel becomes markup."""

from __future__ import annotations

import os
from base64 import b64encode
from functools import partial
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING

from fastwheel.errors import FastwheelError
from fastwheel.report.changes import changes_section
from fastwheel.report.markup import MOST_ROWS, Markup, element, joined, table, words
from fastwheel.report.svg import SVG_STYLE, svg_body
from fastwheel.report.text import size_text
from fastwheel.report.tree import tree_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fastwheel._explain.model import Cause, Culprit
    from fastwheel._overview import GraftInfo, Overview
    from fastwheel._tree import Tree
    from fastwheel._verify.model import Finding
    from fastwheel.verdict import Findings, Verdict

__all__ = ["html_page"]

#: Libraries that one platform is told of.
_MOST_LIBRARIES = 40
#: Characters of the tree; one of a hundred grafts has a tenth of that.
_MOST_TEXT = 1 << 20


def html_page(seen: Overview) -> str:
    """Return the page as one HTML document."""
    style = _style()
    digest = b64encode(sha256(style.encode()).digest()).decode()
    rules = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = [
        element("meta", {"charset": "utf-8"}),
        element("meta", {"http-equiv": "Content-Security-Policy", "content": rules}),
        element("meta", {"name": "viewport", "content": "width=device-width,initial-scale=1"}),
        element("meta", {"name": "referrer", "content": "no-referrer"}),
        element("title", None, f"{seen.project} {seen.version}: wheel report"),
        Markup(f"<style>{style}</style>"),
    ]
    sections = (
        _findings(seen),
        _picture(seen),
        _why(seen),
        _grafts(seen),
        _licenses(seen),
        _changes(seen),
        _notes(seen),
    )
    from fastwheel import __version__

    body = [
        element("main", None, _head(seen), *[section for section in sections if section is not None]),
        element("footer", None, f"Made by fastwheel {__version__} from ", element("code", None, seen.wheel)),
    ]
    page = element("html", {"lang": "en"}, element("head", None, *head), element("body", None, *body))
    return f"<!doctype html>\n{page}\n"


def _style() -> str:
    with open(os.path.join(os.path.dirname(__file__), "page.css"), encoding="utf-8") as file:
        return file.read() + SVG_STYLE


def _section(title: str, *content: str | Iterable[str]) -> Markup:
    return element("section", None, element("h2", None, title), *content)


def _cell(*content: str | Iterable[str], kind: str = "") -> Markup:
    return element("td", {"class": kind} if kind else None, *content)


def _count(number: int, what: str, plural: str | None = None) -> str:
    return f"{number:,} {what if number == 1 else plural or what + 's'}"


# -- the top of the page -----------------------------------------------------------------------------------------------


def _head(seen: Overview) -> Markup:
    title = element("h1", None, seen.project, " ", element("small", None, seen.version))
    name = element("div", {"class": "dim"}, element("code", None, seen.wheel))
    return element("header", None, title, name, _verdict(seen), _figures(seen))


def _verdict(seen: Overview) -> Markup:
    verified = seen.verified
    errors, warnings = len(verified.at("error")), len(verified.at("warning"))
    tags = joined([element("code", None, tag) for tag in seen.tags[:6]], ", ")
    if errors:
        kind, said = "bad", "Not proved"
        text = joined((f"{_count(errors, 'error')}: the wheel does not hold what ", tags, " promises."))
    elif seen.verdict is None:
        kind, said, text = "good", "Nothing to repair", words("The wheel holds no compiled code for a platform.")
    elif seen.verdict.overall.priority == 0 or all(tag.startswith("linux_") for tag in seen.tags):
        kind, said, text = "warn", "Not portable yet", _portable(seen.verdict)
    else:
        kind, said = ("good", "Proved") if not warnings else ("warn", "Proved, with warnings")
        text = joined(("The wheel loads on every system that ", tags, " promises."))
    return element("div", {"class": f"verdict {kind}"}, element("strong", None, said), element("p", None, text))


def _portable(verdict: Verdict) -> Markup:
    """What a repair would make of a wheel that no index takes."""
    if verdict.repairable.priority > verdict.overall.priority or verdict.references:
        after = element("code", None, verdict.repairable.name)
        return joined(("It leans on libraries of the machine that built it. After a repair it reaches ", after, "."))
    return joined(("It holds for ", element("code", None, verdict.overall.name), ", but its tag does not say so."))


def _figures(seen: Overview) -> Markup:
    figures: list[tuple[str, str, str]] = []
    before = seen.difference
    if before is None:
        figures.append(("Size", size_text(seen.size), f"{size_text(seen.unpacked_size)} unpacked"))
    else:
        more = seen.size - before.size_before
        change = f"{'+' if more >= 0 else '-'}{size_text(abs(more))}, before {size_text(before.size_before)}"
        figures.append(("Size", size_text(seen.size), change))
    if seen.verdict is not None:
        best = seen.verdict.repairable if seen.verdict.references else seen.verdict.overall
        aside = "after a repair" if seen.verdict.references else "the most widely compatible platform"
        figures.append(("Reaches", best.base, aside))
    grafts = sum(graft.compressed_size for graft in seen.grafts)
    if seen.grafts:
        figures.append(
            ("Grafted", _count(len(seen.grafts), "library", "libraries"), f"{size_text(grafts)} of the file")
        )
    elif seen.verdict is not None:
        number = len(seen.verdict.references)
        figures.append(("To be grafted", _count(number, "library", "libraries"), "on this machine"))
    if seen.tree is not None:
        modules = sum(node.kind == "module" for node in seen.tree.nodes)
        objects = sum(node.member is not None for node in seen.tree.nodes)
        figures.append(("ELF files", f"{objects:,}", _count(modules, "extension module")))
    else:
        figures.append(("Files", f"{seen.members:,}", ""))
    pythons = ", ".join(seen.pythons[:3])
    proof = seen.verified.proof
    aside = f"{proof.symbols:,} symbols bound" if proof.symbols else f"{seen.members:,} files"
    figures.append(("For", pythons, aside))
    parts = [
        element("div", None, element("dt", None, what), element("dd", None, value, element("small", None, aside)))
        for what, value, aside in figures
    ]
    return element("dl", {"class": "figures"}, *parts)


# -- findings ----------------------------------------------------------------------------------------------------------


def _findings(seen: Overview) -> Markup | None:
    found = seen.verified.findings
    if not found:
        return None
    # The same advice is given once, below the last finding that it is for.
    items = [
        _finding(item, advised=index + 1 == len(found) or found[index + 1].hint != item.hint)
        for index, item in enumerate(found[:MOST_ROWS])
    ]
    if len(found) > MOST_ROWS:
        items.append(element("li", {"class": "dim"}, f"and {len(found) - MOST_ROWS} more: see fastwheel verify"))
    return _section("Findings", element("ul", {"class": "findings"}, *items))


def _finding(item: Finding, *, advised: bool) -> Markup:
    parts = [
        element("span", {"class": f"level {item.level}"}, item.level),
        words(item.message),
        element("span", {"class": "code"}, item.code),
    ]
    if item.details:
        shown = [element("li", None, element("code", None, line)) for line in item.details[:20]]
        if len(item.details) > 20:
            shown.append(element("li", None, f"and {len(item.details) - 20} more"))
        parts.append(element("ul", None, *shown))
    if item.hint and advised:
        parts.append(element("p", {"class": "hint"}, item.hint))
    return element("li", None, *parts)


# -- dependencies ------------------------------------------------------------------------------------------------------


def _picture(seen: Overview) -> Markup | None:
    tree = seen.tree
    if tree is None:
        return None
    text = element(
        "details",
        None,
        element("summary", None, "The same as text, with the reason for each"),
        element("pre", None, _beginning(tree_text(tree))),
    )
    return _section("Who needs whom", _drawn(tree), text)


def _beginning(text: str) -> str:
    """The lines of a text that a page has room for."""
    if len(text) <= _MOST_TEXT:
        return text
    end = text.rfind("\n", 0, _MOST_TEXT) + 1
    return f"{text[:end]}and {text.count(chr(10), end) + 1} more lines: see fastwheel tree"


def _drawn(tree: Tree) -> Markup:
    try:
        body, width, height = svg_body(tree)
    except FastwheelError as error:
        return element("p", {"class": "dim"}, error.message)
    picture = Markup(
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}"><title>Dependencies</title>{body}</svg>'
    )
    return element("div", {"class": "scroll picture"}, picture)


def _why(seen: Overview) -> Markup | None:
    """What stands between the wheel and each better platform, from the one that it reaches on."""
    verdict = seen.verdict
    if verdict is None or len(verdict.findings) == 1:
        return None
    reached = verdict.repairable
    said = "holds" if verdict.overall.priority >= reached.priority else "after a repair"
    known: set[tuple[str, str, str]] = set()
    steps: list[tuple[list[str], list[tuple[str, str, str]]]] = []
    for finding in reversed(verdict.findings):
        if finding.policy.priority <= reached.priority:
            continue
        obstacles = [item for item in _obstacles(finding) if item not in known]
        if not obstacles and steps:
            steps[-1][0].append(finding.policy.name)
            continue
        known.update(obstacles)
        steps.append(([finding.policy.name], obstacles))
    if not steps and not verdict.references:
        return None
    parts = []
    if verdict.references:
        names = sorted({reference.soname for reference in verdict.references})
        shown = joined([element("code", None, name) for name in names[:40]], ", ")
        more = f" and {len(names) - 40} more" if len(names) > 40 else ""
        parts.append(element("p", None, "To be grafted: ", shown, more, "."))
    if steps:
        rows = [([reached.name], element("span", {"class": "dim"}, said))]
        rows += [(names, joined(_grouped(obstacles))) for names, obstacles in steps]
        parts.append(table([("", "platform"), ("", "what, besides, would have to go")], rows, _policy_row))
    parts += _culprits(seen)
    return _section("Why this platform", *parts)


def _culprits(seen: Overview) -> Iterable[Markup]:
    """The files and symbols that the next better platform does not promise, and what to do about them."""
    told = seen.explanation
    if told is None or told.goal is None or not told.culprits:
        return
    causes = [(culprit, cause) for culprit in told.culprits for cause in culprit.causes]
    yield element("p", None, "What keeps it from ", element("code", None, told.goal), ":")
    yield table([("", "file"), ("", "version"), ("", "symbols")], causes, _cause_row)
    yield from (element("p", {"class": "hint"}, hint.text) for hint in told.hints[:6])


def _cause_row(item: tuple[Culprit, Cause]) -> Markup:
    culprit, cause = item
    shown = ", ".join(cause.symbols[:12]) or "the version itself"
    more = f" and {len(cause.symbols) - 12} more" if len(cause.symbols) > 12 else ""
    above = element("ul", None, element("li", None, " → ".join(culprit.chain))) if culprit.chain else ""
    return element(
        "tr",
        None,
        _cell(element("code", None, culprit.file), above),
        _cell(element("code", None, f"{cause.version} of {cause.library}")),
        _cell(element("code", None, shown + more)),
    )


def _policy_row(item: tuple[list[str], Markup]) -> Markup:
    names, content = item
    shown = joined([element("div", None, element("code", None, name)) for name in names])
    return element("tr", None, _cell(shown, kind="name"), _cell(content))


def _obstacles(finding: Findings) -> Iterable[tuple[str, str, str]]:
    """Triples (what kind, library, version or symbol)."""
    yield from (("too recent versions of ", library, version) for library, version in finding.too_recent)
    for library, symbols in finding.blacklisted:
        yield from (("forbidden symbols of ", library, symbol) for symbol in symbols)


def _grouped(obstacles: Sequence[tuple[str, str, str]]) -> Iterable[Markup]:
    grouped: dict[tuple[str, str], list[str]] = {}
    for kind, library, text in obstacles:
        grouped.setdefault((kind, library), []).append(text)
    for (kind, library), texts in islice(grouped.items(), _MOST_LIBRARIES):
        shown = ", ".join(texts[:20]) + (f" and {len(texts) - 20} more" if len(texts) > 20 else "")
        yield _line(kind, library, shown)
    if len(grouped) > _MOST_LIBRARIES:
        yield element("div", {"class": "dim"}, f"and {len(grouped) - _MOST_LIBRARIES} more libraries")
    if not grouped:
        yield element("span", {"class": "dim"}, "its libraries, or its instruction set")


def _line(before: str, name: str, text: str) -> Markup:
    return element(
        "div",
        None,
        element("span", {"class": "dim"}, before),
        element("code", None, name),
        element("span", {"class": "dim"}, ": "),
        element("code", None, text),
    )


# -- grafts ------------------------------------------------------------------------------------------------------------


def _grafts(seen: Overview) -> Markup | None:
    if not seen.grafts:
        return None
    largest = max(graft.compressed_size for graft in seen.grafts) or 1
    heads = [("", "library"), ("", "from"), ("", "needed by"), ("num", "in the wheel"), ("", ""), ("num", "unpacked")]
    return _section("Grafted libraries", table(heads, seen.grafts, partial(_graft_row, largest)))


def _graft_row(largest: int, graft: GraftInfo) -> Markup:
    origin = graft.origin
    name: list[str] = [element("code", None, graft.name)]
    source: list[str] = [element("span", {"class": "dim"}, "not said in the wheel")]
    if origin is not None:
        if origin.soname:
            name.append(element("ul", None, element("li", None, f"was {origin.soname}")))
        source = [origin.name, " ", origin.version or ""]
        if origin.purl is None:
            source.append(element("ul", None, element("li", None, "no package owned it")))
        else:
            where = origin.purl.partition("@")[0].rpartition("/")[0]
            source.append(element("ul", {"title": origin.purl}, element("li", None, where)))
        if origin.license:
            source.append(element("ul", None, element("li", None, origin.license[:200])))
    askers = ", ".join(graft.needed_by[:4]) + (f" and {len(graft.needed_by) - 4} more" if graft.needed_by[4:] else "")
    return element(
        "tr",
        None,
        _cell(*name, kind="name"),
        _cell(*source),
        _cell(element("code", {"class": "dim"}, askers or "nothing")),
        _cell(size_text(graft.compressed_size), kind="num"),
        _cell(_bar(graft.compressed_size / largest), kind="bar"),
        _cell(size_text(graft.size), kind="num"),
    )


def _bar(part: float) -> Markup:
    width = f"{100 * min(max(part, 0.0), 1.0):.1f}"
    return Markup(
        '<svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="track" width="100" height="8"/><rect class="fill" width="{width}" height="8"/></svg>'
    )


def _licenses(seen: Overview) -> Markup | None:
    if not (seen.license or seen.license_files or seen.elsewhere):
        return None
    parts: list[Markup] = []
    if seen.license:
        text = seen.license if len(seen.license) <= 200 else seen.license[:200] + "…"
        parts.append(element("p", None, "The project's own license: ", element("strong", None, text)))
    if seen.license_files:
        files = [element("code", None, name.rpartition("dist-info/")[2]) for name in seen.license_files[:60]]
        parts.append(element("p", None, "License files in the wheel: ", joined(files, ", ")))
    if seen.elsewhere:
        names = [element("code", None, f"{o.name} {o.version or ''}".strip()) for o in seen.elsewhere[:60]]
        parts.append(element("p", None, "Also named by a bill of materials: ", joined(names, ", ")))
    return _section("Licenses", *parts)


# -- the rest ----------------------------------------------------------------------------------------------------------


def _changes(seen: Overview) -> Markup | None:
    if seen.difference is None:
        return None
    return _section("What the repair changed", changes_section(seen.difference))


def _notes(seen: Overview) -> Markup | None:
    if not seen.notes:
        return None
    return _section("Notes", element("ul", None, *[element("li", None, note) for note in seen.notes[:MOST_ROWS]]))
