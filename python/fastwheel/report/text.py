"""Text for people: paragraphs of `show`, the summary of `repair`, and error blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastwheel.errors import escape
from fastwheel.portable import is_absolute

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastwheel._repair import Repaired
    from fastwheel.errors import FastwheelError
    from fastwheel.plan import Plan
    from fastwheel.verdict import Findings, Verdict

__all__ = ["cut", "error_block", "plan_text", "repair_text", "show_text", "size_text"]

#: Characters of a line for people.
_LONGEST: Final = 1500
#: Characters of all of them but the hint.
_MOST_OF_BLOCK: Final = 12_000


def error_block(error: FastwheelError) -> str:
    """Return the one block that a fault is shown as: what, where it was looked, what to do."""
    lines = [cut(f"error: {error.message}"), *(cut(f"  {detail}") for detail in error.details)]
    room = _MOST_OF_BLOCK
    for number, line in enumerate(lines):
        room -= len(line)
        if room < 0 and number:
            lines[number:] = [f"  and {len(lines) - number} more lines like these"]
            break
    if error.hint is not None:
        lines.append(cut(f"hint: {error.hint}"))
    return "\n".join(lines)


def cut(line: str) -> str:
    """Return a line as far as somebody might read it: names out of a wheel can have any length."""
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def show_text(verdict: Verdict, *, verbose: bool = False) -> str:
    """Return what `fastwheel show` prints: the tag that holds, why not a better one, and what would be grafted."""
    parts = [f'{escape(verdict.wheel)} is consistent with the following platform tag: "{verdict.overall.name}".']
    if verdict.pyfpe:
        parts.append(
            "This wheel uses the PyFPE_jbuf function, which few builds of Python have:"
            " no manylinux or musllinux tag allows that (PEP 513)."
        )
    if verdict.ucs2:
        parts.append("It was compiled for a narrow-unicode (UCS2) Python: no manylinux tag allows that.")
    if verdict.machine.priority == 0:
        parts.append("It needs instruction sets beyond the baseline of its architecture.")
    if verdict.executable_stack:
        files = ", ".join(map(escape, verdict.executable_stack))
        parts.append(f"It asks for an executable stack, which glibc 2.41 and hardened systems refuse: {files}.")
    parts.append(_external_libraries(verdict))
    parts.append(_versions(verdict))
    if verdict.symbols.priority < verdict.findings[0].policy.priority:
        parts.append(
            f'Its versioned symbols constrain the platform tag to "{verdict.symbols.name}".'
            " A more widely compatible one needs a build on an older system, such as a manylinux image."
        )
    if verdict.repairable.priority > verdict.overall.priority:
        parts.append(f'After `fastwheel repair` the tag is "{verdict.repairable.name}".')
    if verbose:
        parts.extend(_upgrades(verdict))
    return "\n\n".join(parts)


def _external_libraries(verdict: Verdict) -> str:
    references = verdict.references
    if not references:
        return "It needs no external shared library."
    width = max(len(escape(reference.soname)) for reference in references)
    lines = ["It needs these external shared libraries:"]
    for reference in references:
        path = "not found" if reference.path is None else escape(reference.path)
        lines.append(
            f"  {escape(reference.soname):<{width}}  {path}  (needed by {escape(_short(reference.needed_by))})"
        )
    return "\n".join(lines)


def _short(name: str) -> str:
    """A system library by its file name, a file of the wheel by its path."""
    return name.rsplit("/", 1)[-1] if is_absolute(name) else name


def _versions(verdict: Verdict) -> str:
    needs = verdict.of(verdict.symbols).needs
    if not needs:
        return "It needs no versioned symbols of system libraries."
    lines = ["It needs versioned symbols of these system libraries:"]
    for library, versions in needs:
        lines.append(f"  {escape(library)}: {', '.join(map(escape, versions))}")
    return "\n".join(lines)


def _upgrades(verdict: Verdict) -> Iterable[str]:
    """What stands between the wheel and each better policy."""
    for finding in reversed(verdict.findings):
        if finding.policy.priority > verdict.overall.priority:
            lines = list(_obstacles(finding))
            if lines:
                yield "\n".join([f'For "{finding.policy.name}" these would have to go:', *lines])


def _obstacles(finding: Findings) -> Iterable[str]:
    if finding.references:
        yield "  libraries: " + ", ".join(sorted({escape(r.soname) for r in finding.references}))
    for library, symbols in finding.blacklisted:
        yield f"  black-listed symbol dependencies on {escape(library)}: {', '.join(map(escape, symbols))}"
    if finding.too_recent:
        yield "  too recent versions: " + ", ".join(f"{escape(v)} of {escape(n)}" for n, v in finding.too_recent)


def plan_text(plan: Plan) -> str:
    """Return what `fastwheel repair --dry-run` prints."""
    lines = [f"platform tags: {', '.join(plan.tags)}"]
    lines += [f"graft {escape(graft.source)} as {escape(graft.member)}" for graft in plan.grafts]
    lines += [f"edit {escape(patch.member)}" for patch in plan.patches]
    return "\n".join(lines)


def repair_text(repaired: Repaired, seconds: float) -> str:
    """Return the summary of one repair, which took `seconds`; scripts look for the last line."""
    grafts = repaired.plan.grafts if repaired.plan is not None else ()
    lines = [f"graft {escape(graft.source)} as {escape(graft.member)}" for graft in grafts]
    if repaired.path is not None:
        platforms = repaired.path.name.removesuffix(".whl").rpartition("-")[2].replace(".", ", ")
        count = f"{len(grafts)} graft{'' if len(grafts) == 1 else 's'}"
        sizes = f"{size_text(repaired.size_before)} → {size_text(repaired.size_after)}"
        lines.append(f"{count}, {sizes}, {escape(platforms)}, {seconds:.2f} s")
    lines.append(f"Fixed-up wheel written to {escape(str(repaired.path))}")
    return "\n".join(lines)


def size_text(size: int) -> str:
    """Return a size in bytes with a unit.

    >>> size_text(999), size_text(1_500_000)
    ('999 B', '1.5 MB')
    """
    if size < 1000:
        return f"{size} B"
    value = float(size)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 1000 or unit == "GB":
            return f"{value:.1f} {unit}"
    raise AssertionError  # the loop always returns
