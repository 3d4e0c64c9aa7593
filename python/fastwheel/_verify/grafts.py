"""Libraries that the wheel brings along: needed, there once, licensed, and complete as families.

A graft is a library in a folder that ends in `.libs`, where auditwheel, delocate's kin and fastwheel put them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from posixpath import basename, dirname
from typing import TYPE_CHECKING, Final

from fastwheel._verify.families import FAMILIES, base_name, families_of
from fastwheel._verify.model import Finding, finding
from fastwheel.deps.graph import closure
from fastwheel.deps.hidden import imports_dlopen
from fastwheel.errors import escape
from fastwheel.policy.arch import Libc, is_loader
from fastwheel.policy.match import allowed, is_libpython

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from fastwheel._verify.targets import Target
    from fastwheel.deps.objects import Graph
    from fastwheel.survey import Unit
    from fastwheel.verdict import Verdict
    from fastwheel.wheel.wheel import Wheel

__all__ = ["graft_findings", "is_graft", "license_findings"]

#: Libraries that come with every C library or compiler, so that no system is without them. Others of the allowlists
#: (glib, X11, GL, zlib, expat) are missing from small images, such as python:slim.
_ALWAYS_THERE: Final = frozenset(
    (
        "libc.so.6", "libm.so.6", "libmvec.so.1", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1",
        "libanl.so.1", "libresolv.so.2", "libnsl.so.1", "libBrokenLocale.so.1", "libthread_db.so.1",
        "libgcc_s.so.1", "libstdc++.so.6", "libatomic.so.1", "libz.so.1",
    )
)  # fmt: skip
_LICENSE: Final = re.compile(r"licen[cs]e|copying|copyright|notice|authors|third.?party", re.IGNORECASE)
_MOST_TEXT: Final = 4 << 20  # bytes of license texts that are read
_MOST_COMPARED: Final = 1 << 28  # bytes that the words of all names are looked for in, together
#: Beginnings of names of libraries whose projects are called otherwise.
_PROJECTS: Final = {
    "libgfortran": "gcc", "libgomp": "gcc", "libquadmath": "gcc", "libgcc_s": "gcc", "libstdc++": "gcc libstdcxx",
    "libatomic": "gcc", "libz": "zlib", "libbz2": "bzip2", "liblzma": "xz lzma", "libssl": "openssl",
    "libcrypto": "openssl", "libsharpyuv": "webp", "libwebp": "webp", "libbrotli": "brotli", "libturbojpeg": "jpeg",
    "libav": "ffmpeg libav", "libsw": "ffmpeg", "libpostproc": "ffmpeg", "libpcre": "pcre", "libicu": "icu",
    "libcom_err": "e2fsprogs", "liblber": "openldap", "libldap": "openldap", "libk5crypto": "krb5 kerberos",
    "libgssapi_krb5": "krb5 kerberos", "libkrb5": "krb5 kerberos", "libpq": "postgresql", "libopenblas": "openblas",
    "libscipy_openblas": "openblas", "libboost": "boost", "libabsl": "abseil", "libprotobuf": "protobuf",
    "libQt": "qt", "libgeos": "geos", "libX": "x11 x.org xorg", "libxcb": "xcb xorg", "libhdf5": "hdf5",
    "libarrow": "arrow", "libgrpc": "grpc", "libre2": "re2", "libaws": "aws", "libmkl": "mkl", "libcu": "cuda",
}  # fmt: skip
#: Parts of names that say nothing of what a library is.
_EMPTY_WORDS: Final = frozenset(("lib", "so", "core", "base", "common", "util", "utils", "shared", "c", "s", "x"))


def is_graft(unit: Unit) -> bool:
    """Whether an ELF file of a wheel lies where repair tools put the libraries of the build machine."""
    return dirname(unit.path).endswith(".libs")


def graft_findings(target: Target, digests: Mapping[str, bytes]) -> Iterator[Finding]:
    """What is wrong with the grafts of a target as a set."""
    if target.verdict is None:
        return
    graph = target.verdict.graph
    units = target.found.units
    grafts = [unit for unit in units if is_graft(unit)]
    yield from _unneeded(grafts, units, graph)
    yield from _duplicated(units, digests)
    yield from _names(grafts)
    if target.libc is Libc.GLIBC:
        yield from _only_grafts(target.verdict, grafts, units)
    yield from _families(target, units)


def _unneeded(grafts: Sequence[Unit], units: Sequence[Unit], graph: Graph) -> Iterator[Finding]:
    if not grafts:
        return
    reached = frozenset(closure(graph, *(unit.path for unit in units if not is_graft(unit))))
    loaders = [unit.path for unit in units if imports_dlopen(unit.facts)]
    for unit in grafts:
        if unit.path in reached:
            continue
        opened = f"; unless one of {len(loaders)} files that call dlopen loads it by name" if loaders else ""
        yield finding(
            "FV501",
            f"nothing in the wheel needs {escape(unit.member)}{opened}",
            unit.member,
            level="note" if loaders else "warning",
            hint="leave it out, or load it by name from the package",
        )


def _duplicated(units: Sequence[Unit], digests: Mapping[str, bytes]) -> Iterator[Finding]:
    by_content: dict[bytes, list[Unit]] = defaultdict(list)
    by_soname: dict[str, list[Unit]] = defaultdict(list)
    for unit in units:
        if unit.python:
            continue  # modules of one name in several packages are no libraries
        if unit.member in digests:
            by_content[digests[unit.member]].append(unit)
        if unit.facts.soname:
            by_soname[unit.facts.soname].append(unit)
    said: set[frozenset[str]] = set()
    for same in by_content.values():
        if len(same) > 1 and any(map(is_graft, same)):
            said.add(frozenset(unit.path for unit in same))
            yield finding(
                "FV502",
                f"{_and(unit.member for unit in same)} are the same library",
                same[0].member,
                hint="one copy is enough: it is loaded once for each path",
            )
    for soname, same in by_soname.items():
        if len(same) > 1 and any(map(is_graft, same)) and frozenset(unit.path for unit in same) not in said:
            yield finding(
                "FV502",
                f"{_and(unit.member for unit in same)} all call themselves {escape(soname)}",
                same[0].member,
                hint="the loader takes the one that comes first for all of them: give each its own name",
            )


def _names(grafts: Sequence[Unit]) -> Iterator[Finding]:
    for unit in grafts:
        soname = unit.facts.soname
        if soname and soname != basename(unit.path):
            yield finding(
                "FV507",
                f"{escape(unit.member)} calls itself {escape(soname)}",
                unit.member,
                hint="another package that loads a library of that name first would replace it",
            )


def _only_grafts(verdict: Verdict, grafts: Sequence[Unit], units: Sequence[Unit]) -> Iterator[Finding]:
    """System libraries that the wheel's own code does not ask for, so that its author may not know of them."""
    own = {name for unit in units if not is_graft(unit) for name in unit.facts.needed}
    held = {basename(unit.path) for unit in units} | {unit.facts.soname for unit in units if unit.facts.soname}
    askers: dict[str, list[str]] = defaultdict(list)
    for unit in grafts:
        for name in unit.facts.needed:
            if name not in own and name not in held and name not in _ALWAYS_THERE and not is_loader(name):
                askers[name].append(unit.member)
    policy = verdict.findings[0].policy
    for name, members in sorted(askers.items()):
        if is_libpython(name) or not any(allowed(finding_.policy, name) for finding_ in verdict.findings[:-1] or ()):
            continue  # the simulation says that it is missing
        yield finding(
            "FV504",
            f"only {_and(members)} need {escape(name)} of the target" if len(members) > 1
            else f"only {escape(members[0])} needs {escape(name)} of the target",
            members[0],
            hint=f"{policy.libc.tag_prefix} promises it, but small images lack it: build the graft without it,"
            " or graft it too (--exclude does not)",
        )  # fmt: skip


def _families(target: Target, units: Sequence[Unit]) -> Iterator[Finding]:
    """Libraries that share memory layouts or global state, some from the wheel and some from the target."""
    inside: dict[str, list[Unit]] = defaultdict(list)
    outside: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    held = {basename(unit.path) for unit in units} | {unit.facts.soname for unit in units if unit.facts.soname}
    for unit in units:
        for name in families_of(_called(unit)):
            inside[name].append(unit)
        for needed in unit.facts.needed:
            for name in families_of(needed) if needed not in held else ():
                outside[name][needed].append(unit.member)
    said: set[tuple[str, str]] = set()
    for name, family in FAMILIES.items():
        for needed, askers in sorted(outside[name].items()) if inside[name] else ():
            theirs = base_name(needed)
            mine = [unit for unit in inside[name] if not family.may_be_apart(theirs, base_name(_called(unit)))]
            if not mine or (mine[0].member, needed) in said:
                continue
            said.add((mine[0].member, needed))
            yield finding(
                "FV505",
                f"{escape(mine[0].member)} comes with the wheel, but {escape(needed)} from the target",
                mine[0].member,
                details=(f"needed by {escape(askers[0])}", family.why),
                hint=f"take all of {name} along, or none of it",
            )


def _called(unit: Unit) -> str:
    return unit.facts.soname or basename(unit.path)


def license_findings(wheel: Wheel, targets: Sequence[Target]) -> Iterator[Finding]:
    """Grafts that no license text of the wheel mentions; most licenses ask for theirs to come along."""
    grafts = {unit.member: unit for target in targets for unit in target.found.units if is_graft(unit)}
    if not grafts:
        return
    words = {member: _words(basename(member)) for member in grafts}
    # Each word of the text once: licenses repeat each other.
    text = "\n".join(dict.fromkeys(_license_text(wheel).split()))
    text = text[: _MOST_COMPARED // max(sum(map(len, words.values())), 1)]
    silent = [member for member in grafts if not any(word in text for word in words[member])]
    if silent:
        yield finding(
            "FV503",
            f"no license file of the wheel mentions {_and(map(basename, sorted(silent)), most=8)}",
            sorted(silent)[0],
            hint="put the licenses of grafted libraries into the wheel (`license-files` in pyproject.toml)",
        )


def _license_text(wheel: Wheel) -> str:
    """Names and contents of all that looks like a license, in lower case; a bill of materials is none."""
    parts: list[str] = []
    left = _MOST_TEXT
    for member in wheel.archive.members:
        below = member.name.partition("/")[2]
        legal = member.name.startswith(f"{wheel.dist_info}/") and below.startswith(("licenses/", "license_files/"))
        if member.is_dir or not (legal or _LICENSE.search(basename(member.name))) or left <= 0:
            continue
        parts.append(member.name.lower())
        for piece in wheel.archive.stream(member):
            parts.append(piece[:left].decode("utf-8", "replace").lower())
            left -= len(piece)
            if left <= 0:
                break
    return "\n".join(parts)


def _words(name: str) -> tuple[str, ...]:
    """What a license text may call a library: `libopenblas64_-1a2b3c4d.so.0` is openblas."""
    base = base_name(name)
    words = [base, base.removeprefix("lib"), *re.split(r"[-_.+\d]+", base.removeprefix("lib"))]
    words += [word for start, projects in _PROJECTS.items() if base.startswith(start) for word in projects.split()]
    return tuple(word.lower() for word in words if len(word) > 1 and word.lower() not in _EMPTY_WORDS)


def _and(names: Iterable[str], most: int = 3) -> str:
    shown = [escape(name) for name in names]
    if len(shown) > most:
        return ", ".join(shown[:most]) + f" and {len(shown) - most} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
