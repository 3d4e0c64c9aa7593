"""What a wheel's platform tags promise: the systems that it is verified for, and the audit of it for each.

No library of this machine is looked at: what the wheel does not hold and no policy allows is not there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fastwheel._audit import judge
from fastwheel.deps.search import Search
from fastwheel.errors import FastwheelError, escape
from fastwheel.policy.arch import Arch, Libc, arch_from_tags, libc_from_tags
from fastwheel.policy.custom import load_policies, with_custom
from fastwheel.policy.tables import by_name, policies
from fastwheel.survey import survey
from fastwheel.verdict import Options, bears

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastwheel.policy.tables import Policy
    from fastwheel.survey import Contents, Survey
    from fastwheel.verdict import Verdict
    from fastwheel.wheel.wheel import Wheel

__all__ = ["Target", "check_same_kind", "claimed_policy", "find_targets", "is_foreign"]

_MANYLINUX: Final = re.compile(r"manylinux_2_(\d{1,3})_\w+", re.ASCII)
#: Platforms that have no ELF files.
_FOREIGN: Final = re.compile(
    r"(?:win32|win_\w+|macosx_\w+|ios_\w+|emscripten_\w+|pyodide_\w+|pyemscripten_\w+|wasi_\w+)"
)
#: A folder that does not exist: the root of the file system that libraries are looked for in.
_NOWHERE: Final = "/nonexistent/fastwheel-verify"


@dataclass(frozen=True, slots=True)
class Target:
    """One C library and processor that tags of a wheel name.

    Attributes:
        libc: the C library.
        arch: the processor.
        tags: the platform tags of this kind, `linux_*` too.
        claims: (tag, policy) of the tags that promise something.
        found: the ELF files that are for it.
        verdict: the audit; None without such ELF files.
    """

    libc: Libc
    arch: Arch
    tags: tuple[str, ...]
    claims: tuple[tuple[str, Policy], ...]
    found: Survey
    verdict: Verdict | None

    @property
    def strictest(self) -> Policy | None:
        """The policy that promises the least of the target, of those claimed."""
        return max((policy for _, policy in self.claims), key=lambda policy: policy.priority, default=None)


def is_foreign(tag: str) -> bool:
    """Whether a platform tag is of a system without ELF files."""
    return _FOREIGN.fullmatch(tag) is not None


def find_targets(
    wheel: Wheel, tags: Sequence[str], contents: Contents, *, allow: Sequence[str], policy_file: str | None
) -> tuple[Target, ...]:
    """Return the targets of platform `tags`, in the order of the tags; at least one.

    Args:
        wheel: an open wheel.
        tags: its own platform tags, or the one to verify against.
        contents: of the wheel.
        allow: glob patterns of sonames that other packages bring.
        policy_file: a file with more policies.
    """
    kinds: dict[tuple[Libc | None, Arch | None], list[str]] = {}
    for tag in tags:
        if not is_foreign(tag):
            kinds.setdefault((libc_from_tags((tag,)), arch_from_tags((tag,))), []).append(tag)
    # A tag that names no C library joins those of its processor that do.
    for libc, arch in [kind for kind in kinds if kind[0] is None]:
        for other in kinds:
            if other[0] is not None and other[1] is arch:
                kinds[other] += kinds.pop((libc, arch))
                break
    targets: list[Target] = []
    for libc, arch in kinds or [(None, None)]:
        found = survey(wheel, arch=arch, libc=libc, contents=contents)
        own = tuple(kinds.get((libc, arch), ()))
        targets.append(_target(wheel, own, found, libc or found.libc, arch or found.arch, allow, policy_file))
    return tuple(targets)


def _target(
    wheel: Wheel,
    tags: tuple[str, ...],
    found: Survey,
    libc: Libc | None,
    arch: Arch | None,
    allow: Sequence[str],
    policy_file: str | None,
) -> Target:
    libc, arch = libc or Libc.GLIBC, arch or Arch.X86_64
    custom = () if policy_file is None else load_policies(policy_file, libc, arch)
    claims = [(tag, policy) for tag in tags if (policy := claimed_policy(tag, libc, arch, custom)) is not None]
    verdict = None
    if found.units:
        known = with_custom(policies(libc, arch), custom)
        if libc is not Libc.GLIBC:
            known = known[-1:]  # neither musl's version nor Android's can be told from ELF files
        named = {policy.name: policy for policy in (*known, *(policy for _, policy in claims))}
        candidates = tuple(sorted(named.values(), key=lambda policy: -policy.priority))
        options = Options(allow=tuple(allow), ldpaths="", environ={})
        search = Search(libc, arch, root=_NOWHERE, cwd=_NOWHERE, ldpaths="")
        verdict = judge(wheel.path.name, found, candidates, options, search)
    return Target(libc, arch, tags, tuple(claims), found, verdict)


def claimed_policy(tag: str, libc: Libc, arch: Arch, custom: Sequence[Policy] = ()) -> Policy | None:
    """Return the policy of a platform tag, or None: it promises nothing (`linux_*`), or no policy is known.

    For a glibc between two known ones the policy is made of theirs: the newer one's versions of glibc up to the tag's,
    all else from the older one (PEP 600 says nothing more of it).
    """
    for policy in custom:
        if bears(policy, tag):
            return policy
    if tag.startswith("linux_"):
        return None
    try:
        return by_name(tag, libc)
    except FastwheelError:
        return _between(tag, policies(libc, arch)[:-1])


def _between(tag: str, known: Sequence[Policy]) -> Policy | None:
    match = _MANYLINUX.fullmatch(tag)
    if match is None or arch_from_tags((tag,)) is None:
        return None
    minor = int(match[1])
    older = [policy for policy in known if _minor(policy) < minor]
    newer = [policy for policy in known if _minor(policy) > minor]
    if not older or not newer:
        return None
    below, above = older[-1], newer[0]
    glibc = frozenset(
        version
        for version in above.versions.get("GLIBC", ())
        if version in below.versions.get("GLIBC", ()) or _up_to(version, minor)
    )
    return below._replace(
        name=tag,
        base=tag.removesuffix(f"_{below.arch.value}"),
        aliases=(),
        priority=below.priority - 1 if below.priority - 1 > above.priority else below.priority,
        versions={**below.versions, "GLIBC": glibc},
    )


def _minor(policy: Policy) -> int:
    return int(policy.base.rpartition("_")[2]) if policy.base.startswith("manylinux_2_") else 0


def _up_to(version: str, minor: int) -> bool:
    parts = version.split(".")
    return len(parts) > 1 and parts[0] == "2" and parts[1].isdecimal() and int(parts[1]) <= minor


def check_same_kind(wheel: Wheel, plat: str) -> None:
    """Refuse to verify a wheel for a machine or C library that it is not for.

    Raises:
        FastwheelError: FW611; FW602, `plat` is no platform tag that fastwheel knows.
    """
    arch, libc = arch_from_tags((plat,)), libc_from_tags((plat,))
    if arch is None:
        by_name(plat)
    own = [tag for tag in wheel.filename.platform_tags if arch_from_tags((tag,)) is not None]
    if own and not any(
        (arch_from_tags((tag,)) is arch and libc_from_tags((tag,)) in (None, libc)) or libc is None for tag in own
    ):
        raise FastwheelError(
            f"{escape(wheel.path.name)} is not for {escape(plat)}: it is for another processor or C library",
            code="FW611",
            hint=f"its own platform tags are {', '.join(map(escape, own))}",
        )
