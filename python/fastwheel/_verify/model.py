"""What `verify` finds: the table of its codes, one finding, and the answer for one wheel."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from fastwheel.errors import FastwheelError, escape
from fastwheel.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["FINDINGS", "Finding", "FindingInfo", "Level", "Proof", "Verified", "finding", "known_codes"]

Level = Literal["error", "warning", "note"]

_ORDER: Final = {"error": 0, "warning": 1, "note": 2}


class FindingInfo(NamedTuple):
    """What one code stands for: `slug`, a short name; `level`, how bad it is unless the case says otherwise."""

    slug: str
    level: Level = "error"


#: Every finding, documented one by one in `docs/verify.md`. 1xx archive, 2xx tags, 3xx loading, 4xx ELF files,
#: 5xx grafted libraries, 6xx Python.
FINDINGS: Final[dict[str, FindingInfo]] = {
    # 1xx: the archive, RECORD, METADATA
    "FV101": FindingInfo("odd-archive", "warning"),
    "FV102": FindingInfo("refused-by-indexes", "warning"),
    "FV103": FindingInfo("license-file-missing"),
    "FV104": FindingInfo("dist-info-name", "warning"),
    "FV110": FindingInfo("record-lacks-file"),
    "FV111": FindingInfo("record-wrong-hash"),
    "FV112": FindingInfo("record-wrong-size"),
    "FV113": FindingInfo("record-without-hash"),
    "FV114": FindingInfo("record-weak-hash"),
    "FV115": FindingInfo("record-odd-row", "warning"),
    "FV116": FindingInfo("record-signed", "note"),
    # 2xx: the tags
    "FV201": FindingInfo("tags-differ"),
    "FV202": FindingInfo("build-differs"),
    "FV203": FindingInfo("wrong-root-is-purelib"),
    "FV204": FindingInfo("unknown-platform-tag", "warning"),
    "FV205": FindingInfo("tag-too-optimistic"),
    "FV206": FindingInfo("better-tag-possible", "note"),
    "FV207": FindingInfo("not-portable", "warning"),
    "FV208": FindingInfo("compiled-code-in-pure-wheel"),
    "FV209": FindingInfo("no-compiled-code", "warning"),
    # 3xx: what the loader would do
    "FV301": FindingInfo("library-not-found"),
    "FV302": FindingInfo("version-not-found"),
    "FV303": FindingInfo("symbol-not-found"),
    "FV304": FindingInfo("lazy-symbol-not-found", "warning"),
    "FV305": FindingInfo("not-loadable"),
    "FV306": FindingInfo("static-tls", "warning"),
    "FV307": FindingInfo("depends-on-load-order", "warning"),
    "FV308": FindingInfo("version-unchecked", "warning"),
    "FV309": FindingInfo("not-provable", "note"),
    # 4xx: traits of ELF files
    "FV401": FindingInfo("path-leaves-tree", "warning"),
    "FV402": FindingInfo("text-relocations", "warning"),
    "FV403": FindingInfo("executable-stack"),
    "FV404": FindingInfo("other-architecture", "warning"),
    "FV405": FindingInfo("instruction-set"),
    "FV406": FindingInfo("small-pages", "warning"),
    # 5xx: grafted libraries
    "FV501": FindingInfo("graft-unneeded", "warning"),
    "FV502": FindingInfo("graft-duplicated", "warning"),
    "FV503": FindingInfo("graft-without-license", "warning"),
    "FV504": FindingInfo("needed-by-grafts-only", "warning"),
    "FV505": FindingInfo("half-a-family", "warning"),
    "FV506": FindingInfo("compiled-in-path", "warning"),
    "FV507": FindingInfo("soname-is-not-file-name", "note"),
    # 6xx: Python
    "FV601": FindingInfo("libpython-needed"),
    "FV602": FindingInfo("abi3-symbol-too-new"),
    "FV603": FindingInfo("not-in-stable-abi"),
    "FV604": FindingInfo("no-init-function", "warning"),
    "FV605": FindingInfo("for-another-python", "warning"),
    "FV606": FindingInfo("python-symbol-missing"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or worth knowing, about a wheel.

    Attributes:
        code: a key of `FINDINGS`; stable.
        level: "error" (some promise of the wheel does not hold), "warning" (it holds only with luck, or costs), or
            "note".
        message: one line, names escaped, without a final full stop.
        member: the file of the archive that it is about, or None.
        details: further lines.
        hint: what to do about it, or None.
    """

    code: str
    level: Level
    message: str
    member: str | None = None
    details: tuple[str, ...] = ()
    hint: str | None = None

    @property
    def slug(self) -> str:
        """The short name of the code."""
        return FINDINGS[self.code].slug

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {
            "code": self.code,
            "name": self.slug,
            "level": self.level,
            "message": self.message,
            "member": None if self.member is None else escape(self.member),
            "details": list(self.details),
            "hint": self.hint,
        }


def finding(
    code: str,
    message: str,
    member: str | None = None,
    *,
    level: Level | None = None,
    details: Iterable[str] = (),
    hint: str | None = None,
) -> Finding:
    """Return a finding, of its code's own level unless `level` says otherwise."""
    return Finding(code, level or FINDINGS[code].level, message, member, tuple(details), hint)


def known_codes(wanted: Iterable[str]) -> frozenset[str]:
    """Return the codes that `--ignore` names, each by its code or short name.

    Raises:
        FastwheelError: FW800, there is no such finding.
    """
    slugs = {info.slug: code for code, info in FINDINGS.items()}
    codes = set()
    for text in wanted:
        code = slugs.get(text, text.upper())
        if code not in FINDINGS:
            raise FastwheelError(
                f"there is no finding {escape(text)}", code="FW800", hint="docs/verify.md lists the findings"
            )
        codes.add(code)
    return frozenset(codes)


@dataclass(frozen=True, slots=True)
class Proof:
    """What was looked at, so that "no finding" says something.

    Attributes:
        files: files of the wheel, each compared with RECORD.
        objects: ELF files of the wheel.
        loaded: those that load in the simulation, by themselves or with what needs them, in each interpreter.
        symbols: symbols that these loads bound.
        interpreters: the Pythons of the tags, such as "cpython-3.12"; empty where no file is an extension module.
        baselines: the systems that the loads were simulated on, such as "manylinux_2_17_x86_64".
    """

    files: int
    objects: int
    loaded: int
    symbols: int
    interpreters: tuple[str, ...]
    baselines: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {
            "files": self.files,
            "objects": self.objects,
            "loaded": self.loaded,
            "symbols": self.symbols,
            "interpreters": list(self.interpreters),
            "baselines": list(self.baselines),
        }


@dataclass(frozen=True, slots=True)
class Verified:
    """The answer of `fastwheel.verify` for one wheel.

    Attributes:
        wheel: the file's name.
        tags: the platform tags that it was verified against: its own, or the one asked for.
        findings: errors first, then warnings and notes; each group by code, then by file.
        proof: what was looked at.
        ignored: the findings that `ignore` left out, as codes, each as often as it occurred.
        strict: whether warnings count.
    """

    wheel: str
    tags: tuple[str, ...]
    findings: tuple[Finding, ...]
    proof: Proof
    ignored: tuple[str, ...] = ()
    strict: bool = False

    @property
    def proved(self) -> bool:
        """Whether nothing that counts was found."""
        counted = ("error", "warning") if self.strict else ("error",)
        return not any(item.level in counted for item in self.findings)

    def at(self, level: Level) -> tuple[Finding, ...]:
        """Return the findings of one level."""
        return tuple(item for item in self.findings if item.level == level)

    def without(self, codes: frozenset[str]) -> Verified:
        """Return the same answer with the findings of these codes moved to `ignored`."""
        kept = tuple(item for item in self.findings if item.code not in codes)
        ignored = tuple(sorted(item.code for item in self.findings if item.code in codes))
        return replace(self, findings=kept, ignored=(*self.ignored, *ignored))

    def to_dict(self) -> dict[str, object]:
        """Return the document of one wheel in `fastwheel verify --json`."""
        counts = Counter[str](item.level for item in self.findings)
        return {
            "version": 1,
            "wheel": escape(self.wheel),
            "proved": self.proved,
            "strict": self.strict,
            "tags": list(self.tags),
            "counts": {level: counts[level] for level in _ORDER},
            "findings": [item.to_dict() for item in self.findings],
            "ignored": list(self.ignored),
            "proof": self.proof.to_dict(),
        }


def sort_key(item: Finding) -> tuple[int, str, str, str]:
    """Errors first; then by code, file and text."""
    return _ORDER[item.level], item.code, item.member or "", item.message
