"""All that is known of one wheel in one value: what `fastwheel report` shows.

>>> import fastwheel
>>> seen = fastwheel.overview("wheelhouse/pkg-1.0-….whl", before="dist/pkg-1.0-….whl")  # doctest: +SKIP
>>> seen.proved, [graft.name for graft in seen.grafts]  # doctest: +SKIP
(True, ['libfoo-01234567.so.3'])
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from posixpath import basename
from typing import TYPE_CHECKING, Final

from fastwheel.errors import FastwheelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastwheel._explain.model import Explanation
    from fastwheel._tree import Tree
    from fastwheel._verify.model import Verified
    from fastwheel.difference import Difference
    from fastwheel.origins import Origin
    from fastwheel.verdict import Verdict
    from fastwheel.wheel.limits import Limits
    from fastwheel.wheel.wheel import Wheel

__all__ = ["GraftInfo", "Overview", "overview"]

#: Files of `.dist-info` that hold licenses (PEP 639, and what came before it).
_LICENSE: Final = re.compile(r"licen[cs]es?/|licen[cs]e|copying|notice|authors", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class GraftInfo:
    """One library in a folder of grafts.

    Attributes:
        member: its name in the archive.
        size: bytes.
        compressed_size: bytes in the archive.
        origin: what a bill of materials in the wheel says of it, or None.
        needed_by: the files that need it, by name, sorted.
    """

    member: str
    size: int
    compressed_size: int
    origin: Origin | None
    needed_by: tuple[str, ...]

    @property
    def name(self) -> str:
        """The file's name."""
        return basename(self.member)


@dataclass(frozen=True, slots=True)
class Overview:
    """What is known of one wheel.

    Attributes:
        wheel: the file's name.
        project: the project's name.
        version: its version.
        size: of the file, bytes.
        members: the number of files in it.
        unpacked_size: of all contents, bytes.
        tags: the platform tags of the file name.
        pythons: the Python and ABI tags of the file name, such as "cp312-cp312".
        verdict: of `fastwheel.audit`; None for a wheel without compiled code.
        verified: of `fastwheel.verify`.
        explanation: of `fastwheel.explain`; None for a wheel without compiled code.
        tree: of `fastwheel.tree`; None for a wheel without compiled code.
        grafts: the libraries in folders that end in `.libs`, the largest first.
        elsewhere: what bills of materials list besides: components that belong to no member.
        license: `License-Expression` or `License` of METADATA, or None.
        license_files: the license files of the wheel.
        difference: to the wheel as it was before, if it was given.
        notes: what the user should know.
    """

    wheel: str
    project: str
    version: str
    size: int
    members: int
    unpacked_size: int
    tags: tuple[str, ...]
    pythons: tuple[str, ...]
    verdict: Verdict | None
    verified: Verified
    explanation: Explanation | None
    tree: Tree | None
    grafts: tuple[GraftInfo, ...]
    elsewhere: tuple[Origin, ...]
    license: str | None
    license_files: tuple[str, ...]
    difference: Difference | None
    notes: tuple[str, ...]

    @property
    def proved(self) -> bool:
        """Whether `verify` found no error."""
        return self.verified.proved


def overview(
    path: str | os.PathLike[str],
    *,
    before: str | os.PathLike[str] | None = None,
    exclude: Sequence[str] = (),
    allow: Sequence[str] = (),
    policy_file: str | os.PathLike[str] | None = None,
    include: Sequence[str] = (),
    ldpaths: str | None = None,
    lib_paths: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    limits: Limits | None = None,
    jobs: int = 0,
) -> Overview:
    """Look at a wheel from all sides.

    Args:
        path: the wheel.
        before: the wheel that it was made of, to say what changed.
        exclude: see `fastwheel.audit`, like the arguments below.
        allow: see `fastwheel.audit`.
        policy_file: see `fastwheel.audit`.
        include: see `fastwheel.audit`.
        ldpaths: see `fastwheel.audit`.
        lib_paths: see `fastwheel.audit`.
        environ: see `fastwheel.audit`.
        limits: bounds on what an archive may claim.
        jobs: threads; 0 is one per processor.

    Raises:
        FastwheelError: one of the files is not an acceptable wheel.
    """
    from fastwheel._audit import examine
    from fastwheel._explain.run import explain_verdict
    from fastwheel._tree import tree_of
    from fastwheel._verify.run import verify_open
    from fastwheel.origins import origins
    from fastwheel.survey import read_members
    from fastwheel.verdict import Options
    from fastwheel.wheel.limits import Limits
    from fastwheel.wheel.wheel import Wheel

    file = None if policy_file is None else os.fspath(policy_file)
    options = Options(
        exclude=tuple(exclude),
        allow=tuple(allow),
        policy_file=file,
        include=tuple(include),
        ldpaths=ldpaths,
        lib_paths=tuple(lib_paths),
        environ=environ,
        jobs=jobs,
    )
    difference = None
    if before is not None:
        from fastwheel._diff import diff

        difference = diff(before, path, limits=limits, jobs=jobs)
    verdict, explanation, tree = None, None, None
    notes: tuple[str, ...] = ()
    with Wheel.open(path, limits or Limits()) as wheel:
        contents = read_members(wheel, digest=True, jobs=jobs)
        try:
            verdict = examine(wheel, options, contents=contents)
            explanation = explain_verdict(wheel, verdict, None)
            tree = tree_of(wheel, verdict, options)
        except FastwheelError as error:
            if error.code not in ("FW600", "FW609"):
                raise
            notes = (*wheel.warnings, error.message)
        name = wheel.filename
        told = origins(wheel.archive)
        return Overview(
            wheel.path.name,
            name.project,
            name.version,
            wheel.archive.size,
            sum(not member.is_dir for member in wheel.archive.members),
            sum(member.size for member in wheel.archive.members),
            name.platform_tags,
            tuple(f"{python}-{abi}" for python in name.python_tags for abi in name.abi_tags),
            verdict,
            verify_open(wheel, name.platform_tags, policy_file=file, jobs=jobs, contents=contents),
            explanation,
            tree,
            _grafts(wheel, tree, told),
            tuple(origin for origin in told if origin.member is None),
            wheel.metadata.license or None,
            _license_files(wheel),
            difference,
            verdict.notes if verdict is not None else notes,
        )


def _grafts(wheel: Wheel, tree: Tree | None, told: Sequence[Origin]) -> tuple[GraftInfo, ...]:
    """The libraries in folders of grafts."""
    if tree is None:
        return ()
    needed_by: dict[int, set[str]] = {}
    for edge in tree.edges:
        needed_by.setdefault(edge.target, set()).add(basename(tree.nodes[edge.source].name))
    by_member = {origin.member: origin for origin in told}
    found = []
    for index, node in enumerate(tree.nodes):
        if node.member is None or not node.name.rpartition("/")[0].endswith(".libs"):
            continue
        member = wheel.archive.names[node.member]
        askers = tuple(sorted(needed_by.get(index, ())))
        found.append(GraftInfo(member.name, member.size, member.compressed_size, by_member.get(member.name), askers))
    return tuple(sorted(found, key=lambda graft: (-graft.compressed_size, graft.member)))


def _license_files(wheel: Wheel) -> tuple[str, ...]:
    """The members of `.dist-info` that hold licenses."""
    prefix = f"{wheel.dist_info}/"
    names = [name for name in wheel.archive.names if name.startswith(prefix) and not name.endswith("/")]
    return tuple(name for name in names if _LICENSE.match(name.removeprefix(prefix)))
