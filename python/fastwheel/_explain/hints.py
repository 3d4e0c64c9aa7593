"""Why a symbol is new, and what to do about it: cases that many have met.

Sources: glibc's NEWS and version maps (`Versions` files), GCC's manual, PEP 600, the images of pypa/manylinux.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from fastwheel._explain.model import Culprit, Hint
from fastwheel.errors import escape
from fastwheel.named import NamedTuple
from fastwheel.policy.arch import Arch, Libc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fastwheel.policy.tables import Policy

__all__ = ["hints_for", "image_for"]


class _Case(NamedTuple):
    """One known case: which versions and symbols it is about, and what to say."""

    topic: str
    version: re.Pattern[str]
    symbols: re.Pattern[str]
    text: str


def _case(topic: str, version: str, symbols: str, text: str) -> _Case:
    return _Case(topic, re.compile(version), re.compile(symbols), text)


_CASES: Final = (
    _case(
        "relr", r"GLIBC_ABI_DT_RELR", r"",
        "GLIBC_ABI_DT_RELR comes from packed relative relocations: link with -Wl,-z,nopack-relative-relocs",
    ),
    _case(
        "tls-descriptors", r"GLIBC_ABI_GNU2?_TLS", r"",
        "GLIBC_ABI_GNU2_TLS comes from TLS descriptors: compile with -mtls-dialect=gnu (on AArch64: trad)",
    ),
    _case(
        "merged-libraries", r"GLIBC_2\.34",
        r"__libc_start_main|pthread_\w+|__pthread_\w+|dl\w+|sem_\w+|shm_\w+|mq_\w+|aio_\w+|lio_\w+|timer_\w+|mtx_\w+|"
        r"cnd_\w+|thrd_\w+|tss_\w+|call_once|openpty|forkpty|login\w*|logout|logwtmp|ns_\w+|res_\w+|__res_\w+|dn_\w+",
        "glibc 2.34 took libpthread, libdl, librt and libutil into libc, which gave their functions a new version: the"
        " code is fine, it only has to be linked against an older glibc",
    ),
    _case(
        "single-threaded", r"GLIBC_2\.32", r"__libc_single_threaded",
        "__libc_single_threaded (glibc 2.32) is read by the reference counts of newer libstdc++ headers and by gnulib:"
        " only an older image helps",
    ),
    _case(
        "c23-strtol", r"GLIBC_2\.38", r"__isoc23_\w+",
        "since glibc 2.38 the headers turn strtol, sscanf and their kin into __isoc23_* for C23, C++ and _GNU_SOURCE:"
        " only older headers, or C17 without _GNU_SOURCE, give the old functions",
    ),
    _case(
        "strlcpy", r"GLIBC_2\.38", r"strlc(?:py|at)|wcslc(?:py|at)",
        "strlcpy and strlcat are in glibc since 2.38: a configure check found them, make it use its own copy",
    ),
    _case(
        "arc4random", r"GLIBC_2\.36", r"arc4random\w*",
        "arc4random is in glibc since 2.36: a configure check found it, make it use getrandom (2.25)",
    ),
    _case(
        "unwinder", r"GLIBC_2\.35", r"_dl_find_object",
        "_dl_find_object is called by the unwinder of GCC 12 and newer, which -static-libgcc and -static-libstdc++ link"
        " in: link libgcc dynamically, or compile with the compiler of an older image",
    ),
    _case(
        "math-2.35+", r"GLIBC_2\.(?:35|38|39|4\d)",
        r"(?:hypot|fmod|exp10|exp2|atan2|a?sinh?|a?cosh?|a?tanh?|log10|log2|log1p|expm1|remainder|[lt]gamma)f?",
        "glibc gave this mathematical function a new version without the old error handling; the old version is still"
        " there and is taken when the wheel is built in an older image",
    ),
    _case(
        "stat", r"GLIBC_2\.33", r"[fl]?stat(?:64)?|fstatat(?:64)?|mknod(?:at)?",
        "since glibc 2.33 stat and its kin are functions; before, the headers made them calls of __xstat: only older"
        " headers, that is an older image, help",
    ),
    _case(
        "math-2.29", r"GLIBC_2\.29", r"(?:exp|exp2|log|log2|pow)",
        "glibc 2.29 gave exp, log and pow new versions without the old error handling: an older image takes the old"
        " ones; so does a symver directive, such as .symver pow,pow@GLIBC_2.2.5 on x86-64",
    ),
    _case(
        "math-2.27", r"GLIBC_2\.27", r"(?:exp|exp2|log|log2|pow)f",
        "glibc 2.27 gave expf, logf and powf new versions: an older image takes the old ones",
    ),
    _case(
        "fcntl64", r"GLIBC_2\.28", r"fcntl64",
        "fcntl64 (glibc 2.28) is what fcntl becomes with _FILE_OFFSET_BITS=64: leave that macro out on 64-bit systems,"
        " or build in an older image",
    ),
    _case(
        "getrandom", r"GLIBC_2\.25", r"getrandom|getentropy|explicit_bzero",
        "getrandom, getentropy and explicit_bzero are in glibc since 2.25: use the system call or /dev/urandom",
    ),
    _case(
        "memcpy", r"GLIBC_2\.14", r"memcpy",
        "memcpy has a new version since glibc 2.14 on x86-64: an older image takes the old one; so does the directive"
        " .symver memcpy,memcpy@GLIBC_2.2.5",
    ),
    _case(
        "clock", r"GLIBC_2\.17", r"clock_\w+",
        "glibc 2.17 moved clock_gettime and its kin from librt into libc: an older image takes them from librt",
    ),
    _case(
        "cxa-thread-atexit", r"GLIBC_2\.18", r"__cxa_thread_atexit_impl",
        "__cxa_thread_atexit_impl (glibc 2.18) is what destructors of thread_local objects call: GCC's images for"
        " manylinux leave it weak",
    ),
    _case(
        "libstdc++", r"(?:GLIBCXX|CXXABI)_.*", r".*",
        "newer functions of libstdc++ come with a newer g++: compile in a manylinux image, whose compiler links the new"
        " parts into the library, or link with -static-libstdc++",
    ),
    _case(
        "libgcc", r"GCC_.*", r".*",
        "newer functions of libgcc_s come with a newer compiler: link with -static-libgcc, or use an older image",
    ),
    _case(
        "libatomic", r"LIBATOMIC_.*", r".*",
        "newer functions of libatomic come with a newer compiler: link with -Wl,-Bstatic -latomic -Wl,-Bdynamic",
    ),
    _case(
        "zlib", r"ZLIB_.*", r".*",
        "the wheel uses a newer zlib than the target has: link zlib statically, or build where zlib is older",
    ),
)  # fmt: skip
_GLIBC: Final = re.compile(r"GLIBC_2\.(\d+)(?:\.\d+)?")
#: The images of pypa/manylinux: minor version of glibc ▶ name.
_IMAGES: Final = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014", 28: "manylinux_2_28",
                  31: "manylinux_2_31", 34: "manylinux_2_34", 35: "manylinux_2_35", 39: "manylinux_2_39"}  # fmt: skip
#: Which of them are kept up, by processor.
_KEPT: Final = {
    Arch.ARMV7L: (31, 35),
    Arch.RISCV64: (39,),
    Arch.LOONGARCH64: (39,),
    Arch.I686: (17, 28, 34),
}


def image_for(policy: Policy) -> str | None:
    """Return the newest build image that is not newer than a policy, or None if there is none."""
    if policy.libc is Libc.MUSL:
        return f"musllinux_1_2_{policy.arch}" if policy.base != "musllinux_1_1" else None
    if policy.libc is not Libc.GLIBC or not policy.base.startswith("manylinux_2_"):
        return None
    minor = int(policy.base.rpartition("_")[2])
    fitting = [number for number in _KEPT.get(policy.arch, (17, 28, 34)) if number <= minor]
    return f"{_IMAGES[max(fitting)]}_{policy.arch}" if fitting else None


def hints_for(culprits: Sequence[Culprit], goal: Policy, machine_files: Sequence[str]) -> tuple[Hint, ...]:
    """Return what to do about `culprits` to reach `goal`, the advice that helps most first.

    Args:
        culprits: the files in the way.
        goal: the policy to reach.
        machine_files: those that are libraries of this machine.
    """
    return tuple(dict.fromkeys(_hints(culprits, goal, machine_files)))


def _hints(culprits: Sequence[Culprit], goal: Policy, machine_files: Sequence[str]) -> Iterator[Hint]:
    causes = [cause for culprit in culprits for cause in culprit.causes]
    image = image_for(goal)
    glibc = any(_GLIBC.fullmatch(cause.version) for cause in causes)
    if glibc and image is not None:
        yield Hint(
            "older-image",
            f"build in the image {image} of pypa/manylinux: what is compiled there asks for the versions of its glibc"
            f" (cibuildwheel: CIBW_MANYLINUX_{goal.arch.value.upper()}_IMAGE={image.removesuffix(f'_{goal.arch}')})",
        )
    elif glibc:
        glibc_version = goal.base.removeprefix("manylinux_").replace("_", ".")
        yield Hint("older-system", f"build on a system with glibc {glibc_version} or older")
    if machine_files:
        yield Hint(
            "libraries-of-this-machine",
            f"{_some(machine_files)} of this machine would be grafted, made for this machine's glibc: install"
            f" {'it' if len(machine_files) == 1 else 'them'} in that image, or build from source there",
        )
    for case in _CASES:
        if any(_is_about(case, cause.version, cause.symbols) for cause in causes):
            yield Hint(case.topic, case.text)


def _is_about(case: _Case, version: str, symbols: Iterable[str]) -> bool:
    if not case.version.fullmatch(version):
        return False
    names = tuple(symbols)
    if not names:
        return case.symbols.pattern in ("", ".*")
    return any(case.symbols.fullmatch(name) for name in names)


def _some(names: Sequence[str], most: int = 3) -> str:
    shown = [escape(name.rpartition("/")[2]) for name in names]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")
