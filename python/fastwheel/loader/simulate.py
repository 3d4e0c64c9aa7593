"""The loader simulation of a wheel: does each of its ELF files load on the baseline that its tag promises?

>>> from fastwheel.loader import simulate
>>> from fastwheel.wheel.wheel import Wheel
>>> with Wheel.open("pkg-1.0-cp312-cp312-manylinux_2_17_x86_64.whl") as wheel:  # doctest: +SKIP
...     simulation = simulate(wheel)
>>> simulation.loads, [finding.message for finding in simulation.findings]  # doctest: +SKIP
(False, ['pkg/_x.so needs libfoo.so.3, which is neither found nor promised'])
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from fastwheel.errors import FastwheelError, escape
from fastwheel.loader.baseline import Baseline
from fastwheel.loader.budget import Budget
from fastwheel.loader.interpreters import exports, interpreters_of, limited_api, named_interpreter
from fastwheel.loader.load import Tree
from fastwheel.loader.model import LoadedObject, RootKind, Simulation
from fastwheel.loader.objects import install_paths, object_of, wheel_objects
from fastwheel.loader.run import Root, run
from fastwheel.policy.arch import Libc
from fastwheel.policy.tables import by_name, policies
from fastwheel.portable import slashed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fastwheel.policy.tables import Policy
    from fastwheel.survey import Survey, Unit
    from fastwheel.wheel.wheel import Wheel

__all__ = ["baselines", "simulate"]

_ET_DYN: Final = 3
_ET_EXEC: Final = 2
_DF_1_PIE: Final = 0x08000000


def baselines(wheel: Wheel, survey: Survey | None = None) -> tuple[Policy, ...]:
    """Return the oldest policy of each C library that the wheel's platform tags promise; `linux_*` if nothing else.

    Tags that no policy knows are left out; the result is empty for a wheel without compiled code.

    Args:
        wheel: an open wheel.
        survey: its ELF files, if already read: they tell what `any` and `linux_*` leave open.
    """
    found: dict[Libc, Policy] = {}
    for tag in wheel.filename.platform_tags:
        libc = survey.libc if survey is not None else None
        try:
            policy = by_name(tag, libc)
        except FastwheelError:
            continue
        known = found.get(policy.libc)
        if known is None or policy.priority > known.priority:
            found[policy.libc] = policy
    promising = [policy for policy in found.values() if not policy.is_linux]
    if promising:
        return tuple(promising)
    if found:
        return tuple(found.values())
    if survey is not None and survey.arch is not None and survey.units:
        return (policies(survey.libc or Libc.GLIBC, survey.arch)[-1],)
    return ()


def simulate(
    wheel: Wheel,
    *,
    policy: Policy | str | None = None,
    interpreters: Sequence[str] | None = None,
    provides: Iterable[str | os.PathLike[str]] = (),
    allow: Iterable[str] = (),
    survey: Survey | None = None,
    jobs: int = 0,
) -> Simulation:
    """Load every ELF file of `wheel` in a fresh process of each of its interpreters, on a baseline. Pure in effect.

    Args:
        wheel: an open wheel.
        policy: the baseline, or its platform tag; None is the first of `baselines`. A wheel whose tags name several C
            libraries takes one call for each.
        interpreters: such as ("cp311", "cp312"); None is what the wheel's tags stand for.
        provides: libraries of other wheels that are imported before: paths of wheels or of ELF files, whose symbols are
            then known, or glob patterns of sonames (`libtorch*.so`), of which nothing more is known.
        allow: glob patterns of sonames that the target provides, besides the policy's allowlist.
        survey: `fastwheel.survey.survey(wheel)`, if already at hand.
        jobs: threads; 0 is one per processor.

    Returns:
        One outcome per root and kind of answer; see `Simulation`.

    Raises:
        FastwheelError: a member is damaged or malformed; FW602 there is no such policy.
    """
    from fastwheel.survey import survey as read_survey

    if survey is None:
        survey = read_survey(wheel, jobs=jobs)
    if isinstance(policy, str):
        policy = by_name(policy, survey.libc)
    if policy is None:
        found = baselines(wheel, survey)
        if not found:
            raise FastwheelError("the wheel has no ELF file of a known platform", code="FW600")
        policy = found[0]
    objects, unusable = wheel_objects(wheel, survey, policy.libc, jobs=jobs)
    files = set(install_paths(wheel))
    size = wheel.archive.size + sum(map(_size, provides := tuple(provides)))
    named, patterns, notes = _provided(provides, policy, objects, files, jobs)
    needed = {name for item in objects.values() for name in item.needed}
    opaque = {name for name in needed if any(fnmatchcase(name, pattern) for pattern in (*patterns, *allow))}
    system = Baseline(policy, opaque)
    tree = Tree(objects, unusable, frozenset(files), named)
    names = tuple(interpreters or ())
    if interpreters is None:
        names = interpreters_of(wheel.filename.tags, wheel.metadata.requires_python)
    known = {name: exports(name) for name in names}
    roots = []
    for unit in sorted(survey.units, key=lambda unit: unit.path):
        item = objects.get(unit.path)
        if item is not None and item.origin == "wheel":
            root = _root(item, unit, names, wheel.filename.abi_tags, wheel.filename.python_tags)
            if root is not None:
                roots.append(root)
                known.update((name, exports(name)) for name in root.interpreters if name not in known)
    notes += [f"the symbols of {name} are not known here" for name in names if known[name] is None]
    outcomes = run(tree, system, roots, known, relr=system.relr, budget=Budget(size))
    return Simulation(policy, names, outcomes, tuple(notes))


def _size(provided: str | os.PathLike[str]) -> int:
    """The size of a file that is provided; 0 of a mere name."""
    try:
        return os.stat(provided).st_size
    except OSError:
        return 0


def _root(
    item: LoadedObject, unit: Unit, interpreters: tuple[str, ...], abi_tags: Sequence[str], python_tags: Sequence[str]
) -> Root | None:
    """How a file of the wheel is loaded; None if it never is, as object files."""
    facts = unit.facts
    if facts.type not in (_ET_DYN, _ET_EXEC):
        return None
    library = facts.soname is not None or ".so" in item.key.rpartition("/")[2]
    started = facts.type == _ET_EXEC or bool(facts.dt_flags_1 & _DF_1_PIE) or facts.interpreter is not None
    if started and not (library and facts.type == _ET_DYN and not facts.dt_flags_1 & _DF_1_PIE):
        return Root(item, RootKind.PROGRAM)
    if unit.python != 3:
        return Root(item, RootKind.LIBRARY, interpreters)
    own = named_interpreter(item.key)
    if own is not None:
        # A name such as `_x.cpython-39-….so` keeps all other interpreters from importing it.
        interpreters = (own,)
    limited = None
    if own is None and ("abi3" in abi_tags or item.key.endswith(".abi3.so")):
        minors = [int(tag[3:]) for tag in python_tags if tag.startswith("cp3") and tag[3:].isdigit()]
        limited = limited_api(min(minors)) if minors else None
    return Root(item, RootKind.EXTENSION, interpreters, limited or None)


def _provided(
    provides: Iterable[str | os.PathLike[str]],
    policy: Policy,
    objects: dict[str, LoadedObject],
    files: set[str],
    jobs: int,
) -> tuple[Mapping[str, LoadedObject], list[str], list[str]]:
    """Sort out what other wheels bring: objects by soname and name, patterns of names, notes.

    The files of other wheels are laid into the same tree, so that search paths into their folders lead there.
    """
    from fastwheel.wheel.wheel import Wheel

    named: dict[str, LoadedObject] = {}
    patterns: list[str] = []
    notes: list[str] = []
    for one in provides:
        text = slashed(os.fspath(one))
        if text.endswith(".whl"):
            from fastwheel.survey import survey as read_survey

            with Wheel.open(text) as other:
                found, _ = wheel_objects(
                    other, read_survey(other, jobs=jobs), policy.libc, origin="provided", jobs=jobs
                )
                files.update(install_paths(other))
            if not found:
                notes.append(f"{escape(text)} holds no library")
        elif "/" in text or not isinstance(one, str):
            found = {f"../provided/{os.path.basename(text)}": _file(text, policy.libc)}
            files.update(found)
        else:
            patterns.append(text)
            continue
        for path, item in found.items():
            objects.setdefault(path, item)
            named.setdefault(path.rpartition("/")[2], item)
            if item.soname:
                named.setdefault(item.soname, item)
    return named, patterns, notes


def _file(path: str, libc: Libc) -> LoadedObject:
    from fastwheel import engine

    facts = engine.read_file(path)
    try:
        with open(path, "rb") as file:
            links = engine.links(file.read())
    except OSError as error:
        raise FastwheelError(f"cannot read {escape(path)}: {escape(str(error))}", code="FW700") from error
    return object_of(f"../provided/{os.path.basename(path)}", facts, links, libc=libc, origin="provided")
