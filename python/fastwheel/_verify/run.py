"""All checks of one wheel, from the file to the answer.

>>> import fastwheel
>>> verified = fastwheel.verify("pkg-1.0-cp312-cp312-manylinux_2_28_x86_64.whl")  # doctest: +SKIP
>>> verified.proved, [finding.slug for finding in verified.findings]  # doctest: +SKIP
(False, ['library-not-found'])
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fastwheel._verify.archive import archive_findings
from fastwheel._verify.grafts import graft_findings, license_findings
from fastwheel._verify.model import Verified, known_codes, sort_key
from fastwheel._verify.objects import object_findings, other_files
from fastwheel._verify.paths import path_findings
from fastwheel._verify.provides import provided_patterns
from fastwheel._verify.record import record_findings
from fastwheel._verify.tags import label_findings, promise_findings
from fastwheel._verify.targets import check_same_kind, find_targets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fastwheel._verify.model import Finding
    from fastwheel._verify.targets import Target
    from fastwheel.survey import Contents
    from fastwheel.wheel.limits import Limits
    from fastwheel.wheel.wheel import Wheel

__all__ = ["verify", "verify_open"]


def verify(
    path: str | os.PathLike[str],
    *,
    plat: str | None = None,
    provides: Sequence[str] = (),
    ignore: Sequence[str] = (),
    strict: bool = False,
    policy_file: str | os.PathLike[str] | None = None,
    limits: Limits | None = None,
    jobs: int = 0,
) -> Verified:
    """Prove that the wheel at `path` loads on every system that its tags promise, or say why not.

    Nothing is written or executed, and no library of this machine is looked at: the answer is the same everywhere.

    Args:
        path: the wheel.
        plat: the platform tag to verify against instead of the wheel's own.
        provides: what other packages bring into the process: sonames, paths of libraries (with a `/`), or wheels.
        ignore: findings to leave out, by code or short name (`docs/verify.md`).
        strict: whether warnings count, too.
        policy_file: a file with more platform policies (`docs/policies.md`).
        limits: bounds on what an archive may claim; None is `Limits()`.
        jobs: threads; 0 is one per processor.

    Raises:
        FastwheelError: the file is not an acceptable wheel; FW611 `plat` is of another kind than the wheel; FW800
            `ignore` names no finding.
    """
    from fastwheel.wheel.wheel import Wheel

    ignored = known_codes(ignore)
    patterns = provided_patterns(provides, limits)
    file = None if policy_file is None else os.fspath(policy_file)
    with Wheel.open(path, limits) as wheel:
        if plat is not None:
            check_same_kind(wheel, plat)
        tags = wheel.filename.platform_tags if plat is None else (plat,)
        return verify_open(
            wheel,
            tags,
            provides=provides,
            patterns=patterns,
            ignored=ignored,
            strict=strict,
            policy_file=file,
            jobs=jobs,
        )


def verify_open(
    wheel: Wheel,
    tags: Sequence[str],
    *,
    provides: Sequence[str] = (),
    patterns: Sequence[str] = (),
    ignored: frozenset[str] = frozenset(),
    strict: bool = False,
    policy_file: str | None = None,
    jobs: int = 0,
    contents: Contents | None = None,
) -> Verified:
    """Verify an open wheel against platform `tags`; the rest as `verify`.

    `patterns` are the sonames of `provides`; `contents` are the wheel's with all digests, if they were read before.
    """
    from fastwheel._verify.loading import load_all
    from fastwheel._verify.python import python_findings
    from fastwheel.survey import read_members

    contents = contents or read_members(wheel, digest=True, jobs=jobs)
    targets = find_targets(wheel, tags, contents, allow=patterns, policy_file=policy_file)
    loads = load_all(wheel, targets, provides, jobs)
    found = [
        *_static(wheel, tags, targets),
        *python_findings(wheel, targets),
        *loads.findings,
    ]
    answer = Verified(
        wheel=wheel.path.name,
        tags=tuple(tags),
        findings=tuple(sorted(dict.fromkeys(found), key=sort_key)),
        proof=loads.proof,
        strict=strict,
    )
    return answer.without(ignored)


def _static(wheel: Wheel, tags: Sequence[str], targets: Sequence[Target]) -> Iterator[Finding]:
    """Every check that looks at one thing at a time."""
    digests = targets[0].found.digests
    yield from archive_findings(wheel)
    yield from record_findings(wheel, digests)
    yield from label_findings(wheel, tags, targets)
    yield from promise_findings(wheel, targets)
    yield from license_findings(wheel, targets)
    for target in targets:
        yield from object_findings(target)
        yield from graft_findings(target, digests)
        yield from path_findings(wheel, target)
    yield from other_files(targets, (".abi3.so", "-linux-gnu.so", "-linux-musl.so", "-linux-gnueabihf.so"))
