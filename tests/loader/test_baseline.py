"""The baselines' tables: against Debian's lists, this machine's libraries and Python, and for each policy."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from fastwheel import engine
from fastwheel.loader import exports, interpreters_of, known_interpreters, limited_api, named_interpreter
from fastwheel.loader.baseline import Baseline
from fastwheel.loader.interpreters import _limited
from fastwheel.loader.model import Symbols
from fastwheel.loader.tables import musl_symbols, table
from fastwheel.policy import Arch, Libc, by_name, policies

#: The folders of Debian's cross-compilers' libraries, as far as `.ci/apt-packages` has them.
CROSS = {
    Arch.AARCH64: "/usr/aarch64-linux-gnu/lib",
    Arch.ARMV7L: "/usr/arm-linux-gnueabihf/lib",
    Arch.I686: "/usr/i686-linux-gnu/lib",
    Arch.PPC64: "/usr/powerpc64-linux-gnu/lib",
    Arch.PPC64LE: "/usr/powerpc64le-linux-gnu/lib",
    Arch.RISCV64: "/usr/riscv64-linux-gnu/lib",
    Arch.S390X: "/usr/s390x-linux-gnu/lib",
    Arch.X86_64: "/lib/x86_64-linux-gnu",
}
SONAMES = ("libc.so.6", "libm.so.6", "libresolv.so.2", "libnsl.so.1", "libgcc_s.so.1", "libstdc++.so.6")
GNU = [policy for arch in Arch for policy in policies(Libc.GLIBC, arch)]


def offered(path: str) -> Symbols:
    return Symbols.of(engine.links(Path(path).read_bytes()))


@pytest.mark.parametrize("arch", CROSS)
def test_all_of_a_real_glibc_is_in_the_table(arch: Arch) -> None:
    policy = by_name(f"manylinux_2_41_{arch}") if arch is not Arch.PPC64 else policies(Libc.GLIBC, arch)[-1]
    baseline = Baseline(policy)
    promised = policies(Libc.GLIBC, arch)[-2].versions
    everything = {item.key: item for item in baseline.process}
    for soname in SONAMES:
        path = Path(CROSS[arch]) / soname
        if not path.exists():
            assert soname == "libstdc++.so.6", f"{path}: is libc6-dev-…-cross not installed?"
            continue
        item = baseline.library(soname, defaults=True)
        assert item is not None
        assert item.symbols is not None
        assert item.defined_versions is not None
        for version, names in offered(str(path)).versions.items():
            left = names - {version}
            prefix, _, rest = version.partition("_")
            if rest not in promised.get(prefix, ()) or not left:
                continue
            assert version in item.defined_versions, (soname, version)
            # What glibc 2.34 moved into libc stays in the table of the library that had it.
            for one in (item, *everything.values(), *(baseline.library(name, defaults=True) for name in MOVED)):
                left = one.symbols.left(left, version)
            assert not left, (soname, version)


MOVED = ("libresolv.so.2", "librt.so.1", "libanl.so.1")


def test_debians_list_of_glibc_is_the_table() -> None:
    """Debian says since when libc6 has each symbol; up to then the policy must not have it, from then on it must."""
    text = Path("/var/lib/dpkg/info/libc6:amd64.symbols").read_text()
    found = 0
    soname = ""
    for line in text.splitlines():
        if not line.startswith((" ", "#", "|", "*")):
            soname = line.split()[0]
        match = re.fullmatch(r" (?P<name>\w+)@(?P<version>GLIBC_[0-9.]+) [0-9.]+(?: \d+)?", line)
        if match is None or soname not in ("libc.so.6", "libm.so.6") or match["name"] == match["version"]:
            continue
        found += 1
        known = table(soname, Arch.X86_64)
        assert known is not None
        others = [table(name, Arch.X86_64) for name in (*MOVED, "libpthread.so.0", "libdl.so.2", "libutil.so.1")]
        places = [t.versions.get(match["version"], frozenset()) for t in (known, *others) if t is not None]
        assert any(match["name"] in names for names in places), line
    assert found > 2000


@pytest.mark.parametrize("policy", GNU, ids=lambda policy: policy.name)
def test_a_policy_knows_its_libraries(policy) -> None:
    baseline = Baseline(policy)
    assert all(item.symbols is not None for item in baseline.process)
    for soname in sorted(policy.allowlist):
        item = baseline.library(soname, defaults=True)
        assert item is not None
        assert item.symbols is not None, soname
        for version in item.defined_versions or ():
            prefix, _, rest = version.partition("_")
            assert rest in policy.versions.get(prefix, {rest})
    if not policy.is_linux:
        assert baseline.library("libfoo.so.1", defaults=True) is None
        libc = next(item for item in baseline.process if item.key == "libc.so.6")
        assert {f"GLIBC_{version}" for version in policy.versions["GLIBC"]} <= (libc.defined_versions or frozenset())


@pytest.mark.parametrize(
    ("name", "symbol", "version", "there"),
    [
        ("manylinux_2_5_x86_64", "memcpy", "GLIBC_2.2.5", True),
        ("manylinux_2_5_x86_64", "memcpy", "GLIBC_2.14", False),
        ("manylinux2014_x86_64", "memcpy", "GLIBC_2.14", True),
        ("manylinux2014_x86_64", "secure_getenv", "GLIBC_2.17", True),
        ("manylinux2014_x86_64", "dlopen", "GLIBC_2.34", False),
        ("manylinux_2_34_x86_64", "dlopen", "GLIBC_2.34", True),
        ("manylinux_2_34_aarch64", "dlopen", "GLIBC_2.34", True),
        ("manylinux_2_37_x86_64", "__isoc23_strtol", "GLIBC_2.38", False),
        ("manylinux_2_38_x86_64", "__isoc23_strtol", "GLIBC_2.38", True),
        ("manylinux2014_aarch64", "memcpy", "GLIBC_2.17", True),
        ("manylinux2014_i686", "memcpy", "GLIBC_2.0", True),
        ("manylinux2014_s390x", "memcpy", "GLIBC_2.2", True),
        ("manylinux_2_36_loongarch64", "memcpy", "GLIBC_2.36", True),
    ],
)
def test_symbols_by_version(name: str, symbol: str, version: str, there: bool) -> None:
    process = Baseline(by_name(name)).process
    left = frozenset([symbol])
    for item in process:
        left = item.symbols.left(left, version)
    assert (not left) is there


def test_musl_by_version() -> None:
    for arch in Arch:
        for policy in policies(Libc.MUSL, arch)[:-1]:
            symbols = Baseline(policy).process[0].symbols
            assert symbols is not None
            assert {"malloc", "pthread_create", "dlopen", "fopen64"} <= symbols.bare
            assert symbols.since.keys() <= symbols.bare
            old = policy.base == "musllinux_1_1"
            assert ("statx" in symbols.bare, "gettid" in symbols.bare) == (not old, not old)
            assert "gettid" not in symbols.since
            assert symbols.since.get("statx") == (None if old or arch is Arch.LOONGARCH64 else "1.2.5")


def test_this_machines_musl_is_in_the_table() -> None:
    names = offered("/lib/ld-musl-x86_64.so.1").bare
    known = musl_symbols(Arch.X86_64)
    assert len(names) > 1500
    assert {known[name] for name in names} == {"1.1.24", "1.2.2", "1.2.3"}


# -- Python ------------------------------------------------------------------------------------------------------------


def test_this_python_exports_what_the_table_says() -> None:
    files = [Path(sys.executable).resolve()]
    library = sysconfig.get_config_var("INSTSONAME") or ""
    files += [Path(sysconfig.get_config_var("LIBDIR")) / library] * (".so" in library)
    real = frozenset().union(*(offered(str(file)).bare for file in files if file.exists()))
    known = exports(f"cp3{sys.version_info.minor}")
    assert known is not None
    minor = sys.version_info.minor
    # Names with an underscore may come and go with a patch release, and some of the limited API are not for Linux.
    assert {name for name in known.bare if name.startswith("Py")} <= real
    assert (limited_api(minor) & known.bare) == (limited_api(minor) & real)


@pytest.mark.parametrize("minor", range(6, 16))
def test_the_limited_api_is_exported(minor: int) -> None:
    known = exports(f"cp3{minor}")
    assert known is not None
    absent = limited_api(minor) - known.bare
    # Of debugging builds and of Windows; and CPython 3.7 to 3.9 forgot a function that is in the limited API.
    assert absent <= {"PyOS_CheckStack", "_Py_NegativeRefcount", "_Py_RefTotal"} | (
        {"PyCFunction_New"} if minor < 10 else set()
    )


def test_the_limited_api_grows() -> None:
    assert "PyType_GetSlot" in limited_api(4)
    assert "PyType_GetName" not in limited_api(10)
    assert "PyType_GetName" in limited_api(11)
    assert "PyUnicode_AsUTF8AndSize" in limited_api(10) - limited_api(9)
    assert all(2 <= since <= 16 for since in _limited().values())


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["cp312-cp312-x"], ("cp312",)),
        (["cp37-cp37m-x"], ("cp37",)),
        (["cp313-cp313t-x"], ("cp313t",)),
        (["cp311-none-x"], ("cp311",)),
        (["cp315-abi3t-x"], ("cp315t",)),
        (["pp310-pypy310_pp73-x"], ("pp310",)),
        (["cp39-cp39-x", "cp310-cp310-x"], ("cp39", "cp310")),
        (["cp27-cp27mu-x"], ()),
        (["py2-none-x"], ()),
    ],
)
def test_interpreters_of_tags(tags: list[str], expected: tuple[str, ...]) -> None:
    assert interpreters_of(tags) == expected


def test_open_tags_stand_for_all_that_are_known() -> None:
    every = [name for name in known_interpreters() if name.startswith("cp")]
    assert every[0] == "cp36"
    assert list(interpreters_of(["py3-none-x"])) == every
    assert list(interpreters_of(["cp39-abi3-x"])) == every[every.index("cp39") :]
    assert "pp311" in known_interpreters()


@pytest.mark.parametrize(
    ("tags", "requires", "oldest", "newest"),
    [
        ("py3-none-x", ">=3.10", "cp310", "cp315"),
        ("cp37-abi3-x", ">=3.8.1", "cp38", "cp315"),
        ("cp37-abi3-x", ">=3.6,<3.13", "cp37", "cp312"),
        ("py3-none-x", "!=3.6.*", "cp37", "cp315"),
        ("py3-none-x", "nonsense", "cp36", "cp315"),
        ("py3-none-x", ">=4", "cp36", "cp315"),
        ("cp39-cp39-x", ">=3.10", "cp39", "cp39"),  # what a tag names is named
    ],
)
def test_requires_python_narrows_open_tags(tags: str, requires: str, oldest: str, newest: str) -> None:
    found = interpreters_of([tags], requires)
    assert (found[0], found[-1]) == (oldest, newest)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("_x.cpython-39-x86_64-linux-gnu.so", "cp39"),
        ("_x.cpython-313t-x86_64-linux-gnu.so", "cp313t"),
        ("_x.cpython-37m-x86_64-linux-gnu.so", "cp37"),
        ("_x.pypy310-pp73-x86_64-linux-gnu.so", "pp310"),
        ("_x.pypy39-pp73-x86_64-linux-gnu.so", "pp39"),
        ("_x.abi3.so", None),
        ("_x.so", None),
        ("_x.cpython.so", None),
    ],
)
def test_names_that_bind_to_an_interpreter(name: str, expected: str | None) -> None:
    assert named_interpreter(f"a.cpython-38.b/{name}") == expected


def test_tables_load_fast() -> None:
    code = (
        "import time; from fastwheel.loader.tables import table; from fastwheel.policy import Arch\n"
        "begin = time.process_time(); table('libc.so.6', Arch.X86_64); table('libstdc++.so.6', Arch.X86_64)\n"
        "print(time.process_time() - begin)"
    )
    runs = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout) for _ in range(3)
    ]
    assert min(runs) < 0.06  # 15 ms where nothing else runs


def test_the_data_is_small() -> None:
    import lzma

    files = sorted((Path(engine.__file__).parent / "loader" / "data").iterdir())
    begin = time.monotonic()
    assert sum(len(lzma.compress(file.read_bytes(), preset=1)) for file in files) < 300_000
    assert time.monotonic() - begin < 30
