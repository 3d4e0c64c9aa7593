"""What `fastwheel verify` prints: text, one JSON document, and annotations for GitHub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastwheel.errors import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fastwheel._verify.model import Finding, Proof, Verified
    from fastwheel.errors import FastwheelError

__all__ = ["annotate", "refused_annotation", "verify_document", "verify_text"]

#: How many findings of one code are shown in full.
_MOST: Final = 8
_COMMANDS: Final = {"error": "error", "warning": "warning", "note": "notice"}


def verify_text(verified: Verified, *, verbose: bool = False) -> str:
    """Return the verdict, then the findings: all with `verbose`, else without notes and not too many of one kind."""
    lines = [f"{escape(verified.wheel)}: {_verdict(verified)}"]
    levels = ("error", "warning", "note") if verbose else ("error", "warning")
    shown = [item for item in verified.findings if item.level in levels]
    for code in dict.fromkeys((item.level, item.code) for item in shown):
        group = [item for item in shown if (item.level, item.code) == code]
        most = len(group) if verbose else _MOST
        for item in group[:most]:
            lines += _block(item, hint=item is group[min(most, len(group)) - 1])
        if len(group) > most:
            lines.append(f"  {code[0]} {code[1]}: {len(group) - most} more of this kind (-v shows all)")
    return "\n".join(lines)


def _verdict(verified: Verified) -> str:
    counts = [(len(verified.at(level)), level) for level in ("error", "warning", "note")]
    said = ", ".join(_number(count, level) for count, level in counts if count)
    ignored = f" ({_number(len(verified.ignored), 'finding')} ignored)" if verified.ignored else ""
    if verified.proved:
        return f"proved{', ' + said if said else ''}{ignored}\n  {_proof(verified.proof)}"
    return f"not proved, {said}{ignored}"


def _proof(proof: Proof) -> str:
    parts = [f"{_number(proof.files, 'file')} as RECORD says"]
    if proof.objects:
        parts.append(f"{_number(proof.loaded, 'object')} loaded, {_number(proof.symbols, 'symbol')} bound")
    if proof.baselines:
        parts.append("on " + ", ".join(proof.baselines))
    if proof.interpreters:
        parts.append("in " + ", ".join(proof.interpreters))
    return "; ".join(parts)


def _number(count: int, noun: str) -> str:
    """Return a count with its noun.

    >>> _number(1, "symbol"), _number(2, "symbol")
    ('1 symbol', '2 symbols')
    """
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _block(item: Finding, *, hint: bool) -> Iterator[str]:
    """One finding; the hint, which is much the same for all of one code, follows the last of them."""
    yield f"  {item.level} {item.code}: {item.message}"
    yield from (f"    {line}" for line in item.details)
    if hint and item.hint is not None:
        yield f"    hint: {item.hint}"


def verify_document(results: Sequence[Verified | tuple[str, FastwheelError]]) -> dict[str, object]:
    """Return the document of `--json`: one entry per wheel; a wheel that could not be read has `error` and `code`."""
    entries: list[dict[str, object]] = []
    for result in results:
        if isinstance(result, tuple):
            wheel, error = result
            entries.append({"wheel": escape(wheel), "proved": False, "error": error.message, "code": error.code})
        else:
            entry = result.to_dict()
            del entry["version"]
            entries.append(entry)
    return {"version": 1, "proved": all(entry["proved"] for entry in entries), "wheels": entries}


def annotate(path: str, findings: Iterable[Finding]) -> Iterator[str]:
    """Yield the workflow commands by which GitHub shows findings beside the log.

    >>> from fastwheel._verify.model import finding
    >>> next(annotate("a,b.whl", [finding("FV110", "RECORD does not list 'x'", hint="50%")]))
    "::error file=a%2Cb.whl,title=FV110 record-lacks-file::RECORD does not list 'x'%0Ahint: 50%25"
    """
    for item in findings:
        lines = [item.message, *item.details]
        if item.hint is not None:
            lines.append(f"hint: {item.hint}")
        yield _command(_COMMANDS[item.level], path, f"{item.code} {item.slug}", "\n".join(lines))


def refused_annotation(path: str, error: FastwheelError) -> str:
    """Return the workflow command for a wheel that could not be read."""
    return _command("error", path, error.code, "\n".join((error.message, *error.details)))


def _command(level: str, path: str, title: str, message: str) -> str:
    properties = f"file={_property(path)},title={_property(title)}"
    return f"::{level} {properties}::{_data(message)}"


def _data(text: str) -> str:
    text = "\n".join(map(escape, text.split("\n")))
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(escape(text)).replace(":", "%3A").replace(",", "%2C")
