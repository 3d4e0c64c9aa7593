"""Published wheels, and those that auditwheel's own tests use: both tools say and do the same, but for what is listed.

Each wheel is tried as it is and, where it has a manylinux or musllinux tag, once more under `linux_<arch>`, as if it
had just been built. `docs/differences.md` has the reasons for each entry of SHOWN and REPAIRED.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from peer import Answer, ask_auditwheel, ask_fastwheel, download, retagged, sdist

LINES = (Path(__file__).parent / "published.txt").read_text().splitlines()
PUBLISHED = [pytest.param(*line.split(), id="-".join(line.split()[:2])) for line in LINES if not line.startswith("#")]
#: Only the wheel's name says for which Android it is.
NOT_ANDROID = [entry for entry in PUBLISHED if "android" not in str(entry.id)]
COLUMNS = ("requirement", "platform", "python", "abi", "digest")

#: Wheels of auditwheel's source distribution, built for many processors.
BUNDLED = [
    "android/spam-0.1.0-cp313-cp313-android_24_arm64_v8a",
    "cffi-1.5.0-cp27-none-linux_x86_64",
    "fpewheel-0.0.0-cp35-cp35m-linux_x86_64",
    *(f"glibc/testsimple-0.0.1-cp313-cp313-linux_{arch}" for arch in ("aarch64", "armv5l", "armv7l", "i686", "mips64")),
    *(f"glibc/testsimple-0.0.1-cp313-cp313-linux_{arch}" for arch in ("ppc64le", "riscv64", "s390x", "x86_64")),
    "musllinux_1_2/testsimple-0.0.1-cp310-cp310-linux_x86_64",
    *(f"musllinux_1_2/testsimple-0.0.1-cp312-cp312-linux_{arch}" for arch in ("aarch64", "armv6l", "armv7l", "i686")),
    *(f"musllinux_1_2/testsimple-0.0.1-cp312-cp312-linux_{arch}" for arch in ("ppc64le", "riscv64", "s390x", "x86_64")),
    "plumbum-1.6.8-py2.py3-none-any",
    "python_mscl-67.0.1.0-cp313-cp313-manylinux2014_aarch64",
    "python_snappy-0.5.2-pp260-pypy_41-linux_x86_64",
    "testzlib-0.0.1-cp310-cp310-linux_x86_64",
]

ABSENT = "(absent)"
NO_ELF = "Invalid binary wheel: no ELF executable or shared library"
NOT_A_PLATFORM_WHEEL = "This does not look like a platform wheel"

#: By a word of the wheel's name: the fields of `show --json` that differ, (theirs, ours).
SHOWN: dict[str, dict[str, tuple[object, object]]] = {
    # musl's loader takes libc.so for itself.
    "orjson-3.11.9": {
        "external_libs": ({"libc.so": None}, {}),
        "overall_tag": ("linux_i686", "musllinux_1_2_i686"),
        "policy_upgrades": ({"musllinux_1_2_i686": {"libs_to_eliminate": ["libc.so"]}}, {}),
    },
    # An extension of Python 3.10 that needs no C library: this machine's is assumed; theirs is a traceback.
    "testsimple-0.0.1-cp310": {
        "version": (ABSENT, 1),
        "wheel": (ABSENT, "testsimple-0.0.1-cp310-cp310-linux_x86_64.whl"),
        "pure": (ABSENT, False),
        "overall_tag": (ABSENT, "manylinux_2_5_x86_64"),
        "sym_tag": (ABSENT, "manylinux_2_5_x86_64"),
        "pyfpe": (ABSENT, False),
        "ucs2": (ABSENT, False),
        "unsupported_isa": (ABSENT, False),
        "versioned_symbols": (ABSENT, {}),
        "external_libs": (ABSENT, {}),
        "policy_upgrades": (ABSENT, {}),
    },
}

#: The same for what `repair` wrote, or how it ended: (theirs, ours), where a text stands for its beginning or a part.
REPAIRED: dict[str, dict[str, tuple[object, object]]] = {
    "orjson-3.11.9": {"error": ('required library "libc.so" could not be located', "")},
    "testsimple-0.0.1-cp310": {"error": ("InvalidLibcError: couldn't detect libc for python extension", "")},
    # PEP 513 forbids PyFPE; auditwheel's repair does not look.
    "fpewheel": {"error": ("", "it uses PyFPE_jbuf")},
    # A library of the wheel is found by its name, whoever asks.
    "psycopg2_binary-2.9.11": {"error": ("could not be located", "")},
    # Each file gets its own search path; theirs relies on the DT_RPATH of whoever loads it.
    "shapely": {"shapely.libs/libgeos_c-abcdd5fa.so.1.19.2 path": (None, "$ORIGIN")},
    # Tags that the wheel does not hold to go, and so do entries for folders that are not there.
    "python_mscl-67.0.1.0-cp313-cp313-manylinux2014": {
        "name": (
            "python_mscl-67.0.1.0-cp313-cp313-manylinux2014_aarch64.manylinux_2_31_aarch64.whl",
            "python_mscl-67.0.1.0-cp313-cp313-manylinux_2_31_aarch64.whl",
        ),
        "WHEEL": (
            [
                "root-is-purelib: false",
                "tag: cp313-cp313-manylinux2014_aarch64",
                "tag: cp313-cp313-manylinux_2_31_aarch64",
            ],
            ["root-is-purelib: false", "tag: cp313-cp313-manylinux_2_31_aarch64"],
        ),
        "python_mscl/_mscl.so path": ("$ORIGIN/../python_mscl.libs", None),
    },
    "linux_armv6l": {
        "name": (
            "testsimple-0.0.1-cp312-cp312-linux_armv6l.musllinux_1_2_armv7l.whl",
            "testsimple-0.0.1-cp312-cp312-musllinux_1_2_armv7l.whl",
        ),
        "WHEEL": (
            ["root-is-purelib: false", "tag: cp312-cp312-linux_armv6l", "tag: cp312-cp312-musllinux_1_2_armv7l"],
            ["root-is-purelib: false", "tag: cp312-cp312-musllinux_1_2_armv7l"],
        ),
    },
    # Both refuse; the words differ.
    "linux_armv5l": {"error": (NOT_A_PLATFORM_WHEEL, NO_ELF)},
    "linux_mips64": {"error": (NOT_A_PLATFORM_WHEEL, NO_ELF)},
    "python_snappy-0.5.2": {"error": ('"libsnappy.so.1" could not be located', "error: libsnappy.so.1 not found")},
    "spam-0.1.0": {"error": ('"libc++_shared.so" could not be located', "error: libc++_shared.so not found")},
}
#: Said by both in the same words.
SAID_BY_BOTH = {
    "testzlib": "because it depends on black-listed symbols",
    "cffi-1.5.0": "because it was compiled against a UCS2 build of Python",
    "plumbum": NOT_A_PLATFORM_WHEEL,
}


def expected(table: dict[str, dict[str, tuple[object, object]]], name: str) -> dict[str, tuple[object, object]]:
    """The one entry of a table that is about this wheel."""
    return next((entry for word, entry in table.items() if word in name), {})


def differences(theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, tuple[object, object]]:
    keys = dict.fromkeys((*theirs, *ours))
    pairs = {key: (theirs.get(key, ABSENT), ours.get(key, ABSENT)) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def normal_show(document: dict[str, Any]) -> dict[str, Any]:
    """Real paths, which auditwheel leaves as found where a folder is a link (/lib on a merged /usr); no error texts."""
    if "error" in document:  # the words are compared where `repair` says them; `code` is ours alone
        return {key: value for key, value in document.items() if key not in {"error", "code"}}
    if document:
        libraries = document["external_libs"].items()
        document = {**document, "external_libs": {name: path and os.path.realpath(path) for name, path in libraries}}
    return document


def flat(answer: Answer) -> dict[str, Any]:
    """A repair as one mapping: one key for each trait of each file."""
    found: dict[str, Any] = {"name": answer.name}
    for key, value in answer.shape.items():
        if isinstance(value, dict):
            found.update({f"{key} {trait}": part for trait, part in value.items()})
        else:
            found[key] = value
    return found


def check(wheel: Path) -> None:
    theirs, ours = ask_auditwheel(wheel), ask_fastwheel(wheel)
    assert differences(normal_show(theirs.show), normal_show(ours.show)) == expected(SHOWN, wheel.name)
    wanted = dict(expected(REPAIRED, wheel.name))
    said = wanted.pop("error", None) or next(((w, w) for k, w in SAID_BY_BOTH.items() if k in wheel.name), ("", ""))
    for answer, words in zip((theirs, ours), said, strict=True):
        assert isinstance(words, str)
        assert bool(answer.status) == bool(words), answer.error
        assert words in answer.error
    if theirs.status and ours.status:
        assert theirs.status == ours.status
    if not theirs.status and not ours.status:
        found = {key: pair for key, pair in differences(flat(theirs), flat(ours)).items() if not key.endswith(" kind")}
        assert found == wanted


@pytest.mark.parametrize(COLUMNS, PUBLISHED)
def test_published_wheel(requirement: str, platform: str, python: str, abi: str, digest: str) -> None:
    check(download(requirement, platform, python, abi, digest))


@pytest.mark.parametrize(COLUMNS, NOT_ANDROID)
def test_published_wheel_as_if_just_built(
    requirement: str, platform: str, python: str, abi: str, digest: str, tmp_path: Path
) -> None:
    check(retagged(download(requirement, platform, python, abi, digest), tmp_path))


@pytest.mark.parametrize("name", BUNDLED)
def test_wheel_of_the_peers_tests(name: str) -> None:
    check(sdist() / "tests" / "bundled-wheels" / f"{name}.whl")
