"""The simulation of whole wheels: baselines, interpreters, libraries of other wheels, programs, hostile wheels."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "repair"))

from toolbox import Toolbox

from fastwheel import engine
from fastwheel._elf.model import Edit
from fastwheel.errors import FastwheelError
from fastwheel.loader import Finding, Kind, Level, RootKind, Simulation, baselines, simulate
from fastwheel.wheel.wheel import Wheel

PYTHON = "typedef struct o PyObject; {before} PyObject *PyInit_ext(void) {{ {body} return 0; }}"


@pytest.fixture
def toolbox(tmp_path: Path) -> Toolbox:
    return Toolbox(tmp_path)


def ext(toolbox: Toolbox, *flags: str | Path, before: str = "", body: str = "", gcc: str = "gcc") -> bytes:
    output = toolbox.folder / "ext.so"
    line = [gcc, "-shared", "-fPIC", "-x", "c", "-", "-o", output, "-x", "none", "-Wl,--no-as-needed", *flags]
    subprocess.run(line, input=PYTHON.format(before=before, body=body), text=True, check=True)
    return output.read_bytes()


def run(wheel: Path, **options: object) -> Simulation:
    with Wheel.open(wheel) as opened:
        return simulate(opened, **options)  # type: ignore[arg-type]


def errors(simulation: Simulation) -> list[Finding]:
    return [finding for finding in simulation.findings if finding.level is Level.ERROR]


def test_a_good_module(toolbox: Toolbox) -> None:
    module = ext(toolbox, before="void *malloc(unsigned long);", body="malloc(1);")
    simulation = run(toolbox.wheel({"ext.so": module}, tag="cp311-cp311-manylinux_2_17_x86_64"))
    assert simulation.loads
    assert simulation.findings == ()
    assert simulation.policy.name == "manylinux_2_17_x86_64"
    assert simulation.interpreters == ("cp311",)
    (outcome,) = simulation.outcomes
    assert (outcome.root, outcome.kind, outcome.interpreters) == ("ext.so", RootKind.EXTENSION, ("cp311",))
    assert outcome.group == ("ext.so",)  # libc is there before


def test_a_version_beyond_the_baseline(toolbox: Toolbox) -> None:
    module = ext(toolbox, before="void *dlopen(const char *, int);", body="dlopen(0, 1);")
    wheel = toolbox.wheel({"ext.so": module}, tag="cp311-cp311-manylinux2014_x86_64")
    assert run(wheel, policy="manylinux_2_34_x86_64").loads
    (finding,) = errors(run(wheel))
    assert finding.kind is Kind.VERSION_MISSING
    assert (finding.file, finding.needed, finding.version) == ("ext.so", "libc.so.6", "GLIBC_2.34")
    assert "dlopen" in finding.message


def test_a_symbol_that_no_python_has(toolbox: Toolbox) -> None:
    module = ext(toolbox, before="void PyNo_Such(void); void PyList_New(void);", body="PyNo_Such(); PyList_New();")
    simulation = run(toolbox.wheel({"ext.so": module}, tag="cp39.cp310-cp39.cp310-manylinux2014_x86_64"))
    (finding,) = errors(simulation)
    assert (finding.kind, finding.symbol) == (Kind.SYMBOL_UNDEFINED, "PyNo_Such")
    (outcome,) = simulation.outcomes
    assert outcome.interpreters == ("cp39", "cp310")


def test_symbols_of_newer_pythons(toolbox: Toolbox) -> None:
    module = ext(toolbox, before="void PyType_GetName(void);", body="PyType_GetName();")
    simulation = run(toolbox.wheel({"ext.abi3.so": module}, tag="cp38-abi3-manylinux2014_x86_64"))
    assert {(f.kind, f.symbol, f.version) for f in errors(simulation)} == {
        (Kind.PYTHON_SYMBOL_MISSING, "PyType_GetName", name) for name in ("cp38", "cp39", "cp310")
    }
    assert (Kind.LIMITED_API, "PyType_GetName") in {(f.kind, f.symbol) for f in simulation.findings}
    good = [name for outcome in simulation.outcomes if outcome.loads for name in outcome.interpreters]
    assert good[:2] == ["cp311", "cp312"]
    assert sum(len(outcome.interpreters) for outcome in simulation.outcomes) == len(simulation.interpreters)
    assert run(toolbox.wheel({"ext.abi3.so": module}, tag="cp311-abi3-manylinux2014_x86_64")).findings == ()


def test_private_symbols_in_an_abi3_module(toolbox: Toolbox) -> None:
    module = ext(toolbox, before="void PyUnicode_AsUTF8(void);", body="PyUnicode_AsUTF8();")
    simulation = run(toolbox.wheel({"ext.abi3.so": module}, tag="cp38-abi3-manylinux2014_x86_64"))
    assert simulation.loads  # every Python has it, and none promises to
    assert [(f.kind, f.level, f.symbol) for f in simulation.findings] == [
        (Kind.LIMITED_API, Level.WARNING, "PyUnicode_AsUTF8")
    ]


def test_a_file_name_binds_to_one_python(toolbox: Toolbox) -> None:
    module = ext(toolbox, before="void PyType_GetName(void);", body="PyType_GetName();")
    names = ("ext.cpython-310-x86_64-linux-gnu.so", "ext.cpython-312-x86_64-linux-gnu.so")
    simulation = run(toolbox.wheel(dict.fromkeys(names, module), tag="py3-none-manylinux2014_x86_64"))
    assert {outcome.root: (outcome.interpreters, outcome.loads) for outcome in simulation.outcomes} == {
        names[0]: (("cp310",), False),
        names[1]: (("cp312",), True),
    }


@pytest.mark.parametrize("tag", ["cp313-cp313t", "cp27-cp27mu", "pp39-pypy39_pp73", "cp399-cp399"])
def test_pythons_that_are_not_known(toolbox: Toolbox, tag: str) -> None:
    module = ext(toolbox, before="void PyNo_Such(void); void nowhere(void);", body="PyNo_Such(); nowhere();")
    simulation = run(toolbox.wheel({"ext.so": module}, tag=f"{tag}-manylinux2014_x86_64"))
    assert [finding.symbol for finding in errors(simulation)] == ["nowhere"]
    if tag != "cp27-cp27mu":
        assert "not known" in simulation.notes[0]


def test_the_interpreters_can_be_chosen(toolbox: Toolbox) -> None:
    module = ext(toolbox, before="void PyType_GetName(void);", body="PyType_GetName();")
    wheel = toolbox.wheel({"ext.so": module}, tag="cp39-cp39-manylinux2014_x86_64")
    assert not run(wheel).loads
    assert run(wheel, interpreters=("cp311",)).loads


# -- other libraries ---------------------------------------------------------------------------------------------------


def test_a_library_that_nobody_promises(toolbox: Toolbox) -> None:
    library = toolbox.library("libnew.so.1", "f")
    module = ext(toolbox, library, before="int f(void);", body="f();")
    wheel = toolbox.wheel({"p/ext.so": module}, tag="cp311-cp311-manylinux2014_x86_64")
    (finding,) = errors(run(wheel))
    assert (finding.kind, finding.file, finding.needed) == (Kind.LIBRARY_MISSING, "p/ext.so", "libnew.so.1")
    assert any("manylinux_2_17_x86_64" in place for place in finding.searched)
    allowed = run(wheel, allow=("libnew*",))
    assert allowed.loads
    assert [(f.kind, f.level) for f in allowed.findings] == [(Kind.UNKNOWN, Level.NOTE)]
    linux = run(toolbox.wheel({"p/ext.so": module}))
    assert linux.loads
    assert [(f.kind, f.level) for f in linux.findings] == [(Kind.LIBRARY_MISSING, Level.WARNING)]


def test_libraries_of_other_wheels(toolbox: Toolbox) -> None:
    library = toolbox.library("libother.so", "f")
    module = ext(toolbox, library, before="int f(void);", body="f();")
    wheel = toolbox.wheel({"p/ext.so": module}, tag="cp311-cp311-manylinux2014_x86_64")
    tag = "py3-none-manylinux2014_x86_64"
    good = toolbox.wheel({"other/lib/libother.so": library.read_bytes()}, project="good", tag=tag)
    empty = toolbox.library("libother.so", "g", folder=toolbox.folder / "empty")
    bad = toolbox.wheel({"other/lib/libother.so": empty.read_bytes()}, project="bad", tag=tag)
    assert not run(wheel).loads
    assert run(wheel, provides=("libother*",)).loads
    assert run(wheel, provides=(good,)).loads
    assert run(wheel, provides=(str(good),)).findings == ()
    assert run(wheel, provides=(library,)).loads
    (finding,) = errors(run(wheel, provides=(bad,)))
    assert (finding.kind, finding.symbol) == (Kind.SYMBOL_UNDEFINED, "f")
    assert [outcome.root for outcome in run(wheel, provides=(good,)).outcomes] == ["p/ext.so"]


def test_a_graft_need_not_load_alone(toolbox: Toolbox) -> None:
    inner = toolbox.library("libinner.so.1", "f")
    outer = toolbox.library("libouter.so.1", "g", needs=[inner])
    flag = "-Wl,--disable-new-dtags,-rpath,$ORIGIN/../p.libs"
    module = ext(toolbox, outer, flag, before="int g(void);", body="g();")
    files = {"p/ext.so": module}
    files |= {f"p.libs/{path.name}": path.read_bytes() for path in (inner, outer)}
    simulation = run(toolbox.wheel(files, tag="cp311-cp311-manylinux2014_x86_64"))
    alone = {outcome.root: (outcome.loads, outcome.covered) for outcome in simulation.outcomes}
    assert alone == {
        "p.libs/libinner.so.1": (True, True),
        "p.libs/libouter.so.1": (False, True),
        "p/ext.so": (True, False),
    }
    assert simulation.loads
    assert simulation.findings == ()
    (outcome,) = [outcome for outcome in simulation.outcomes if outcome.root == "p/ext.so"]
    assert outcome.group == ("p/ext.so", "p.libs/libouter.so.1", "p.libs/libinner.so.1")


# -- programs ----------------------------------------------------------------------------------------------------------


def program(toolbox: Toolbox, source: str, *flags: str | Path) -> bytes:
    return toolbox.compile(toolbox.folder / "tool", source, *map(str, flags), kind=()).read_bytes()


def test_programs(toolbox: Toolbox) -> None:
    library = toolbox.library("libnew.so.1", "f")
    source = "int f(void); int main(void) { return f(); }"
    files = {
        "pkg-1.0.data/scripts/needy": program(toolbox, source, library),
        "pkg-1.0.data/scripts/fine": program(toolbox, "int main(void) { return 0; }"),
        "pkg-1.0.data/scripts/static": program(
            toolbox, "int main(void) { return 0; }", "-static", "-nostdlib", "-e", "main"
        ),
    }
    stub = toolbox.library("libh.so", "h", folder=toolbox.folder / "stub")
    source, path = "int h(void); int main(void) { return h(); }", "-Wl,-rpath,$ORIGIN"
    files["p/lazy"] = program(toolbox, source, stub, path, "-Wl,-z,lazy")
    files["p/eager"] = program(toolbox, source, stub, path, "-Wl,-z,now")
    files["p/libh.so"] = toolbox.library("libh.so", "other").read_bytes()
    simulation = run(toolbox.wheel(files, tag="py3-none-manylinux_2_34_x86_64"))
    programs = [outcome for outcome in simulation.outcomes if outcome.kind is RootKind.PROGRAM]
    assert {o.root.rpartition("/")[2]: [f.kind for f in o.findings] for o in programs} == {
        "needy": [Kind.LIBRARY_MISSING],
        "fine": [],
        "static": [],
        "lazy": [Kind.SYMBOL_UNDEFINED_LAZY],
        "eager": [Kind.SYMBOL_UNDEFINED],
    }


def test_programs_find_the_libraries_of_the_environment(toolbox: Toolbox) -> None:
    library = toolbox.library("libnew.so.1", "f")
    source = "int f(void); int main(void) { return f(); }"
    files = {
        "pkg-1.0.data/scripts/near": program(toolbox, source, library, "-Wl,-rpath,$ORIGIN/../lib"),
        "pkg-1.0.data/scripts/far": program(toolbox, source, library, "-Wl,-rpath,$ORIGIN/../../lib"),
        "pkg-1.0.data/data/lib/libnew.so.1": library.read_bytes(),
    }
    simulation = run(toolbox.wheel(files, tag="py3-none-manylinux_2_34_x86_64"))
    assert {outcome.root: outcome.loads for outcome in simulation.outcomes} == {
        "../data/lib/libnew.so.1": True,
        "../scripts/far": False,
        "../scripts/near": True,
    }


# -- baselines ---------------------------------------------------------------------------------------------------------


def test_relative_relocations(toolbox: Toolbox) -> None:
    module = ext(toolbox, "-Wl,-z,pack-relative-relocs", before="int x; int *y[] = {&x, &x};")
    wheel = toolbox.wheel({"ext.so": module}, tag="cp311-cp311-manylinux2014_x86_64")
    assert {(f.kind, f.version) for f in errors(run(wheel))} == {
        (Kind.RELATIVE_RELOCATIONS, None),
        (Kind.VERSION_MISSING, "GLIBC_ABI_DT_RELR"),
    }
    assert run(wheel, policy="manylinux_2_36_x86_64").loads


@pytest.mark.parametrize(("size", "kinds"), [("4096", [Kind.PAGE_SIZE]), ("65536", [])])
def test_page_sizes_of_arm(toolbox: Toolbox, size: str, kinds: list[Kind]) -> None:
    module = ext(toolbox, f"-Wl,-z,max-page-size={size}", "-nostdlib", gcc="aarch64-linux-gnu-gcc")
    simulation = run(toolbox.wheel({"ext.so": module}, tag="cp311-cp311-manylinux2014_aarch64"))
    assert simulation.loads
    assert [finding.kind for finding in simulation.findings] == kinds


def test_the_oldest_policy_of_each_c_library(toolbox: Toolbox) -> None:
    module = ext(toolbox)
    tag = "cp311-cp311-manylinux_2_28_x86_64.manylinux2014_x86_64.musllinux_1_2_x86_64"
    with Wheel.open(toolbox.wheel({"ext.so": module}, tag=tag)) as wheel:
        assert [policy.name for policy in baselines(wheel)] == ["manylinux_2_17_x86_64", "musllinux_1_2_x86_64"]
    with Wheel.open(toolbox.wheel({"ext.so": module}, tag="cp311-cp311-linux_x86_64.manylinux_2_28_x86_64")) as wheel:
        assert [policy.name for policy in baselines(wheel)] == ["manylinux_2_28_x86_64"]
    with pytest.raises(FastwheelError) as caught:
        run(toolbox.wheel({"ext.so": module}, tag=tag), policy="manylinux_9_9_x86_64")
    assert caught.value.code == "FW602"
    with pytest.raises(FastwheelError) as caught:
        run(toolbox.wheel({"a.py": b""}, tag="py3-none-any"))
    assert caught.value.code == "FW600"


def test_symbols_of_newer_musl(toolbox: Toolbox) -> None:
    before = "int statx(void), gettid(void), f(void); void *malloc(unsigned long);"
    module = ext(toolbox, before=before, body="statx(); gettid(); malloc(1);", gcc="musl-gcc")
    wheel = toolbox.wheel({"ext.so": module}, tag="cp311-cp311-musllinux_1_2_x86_64")
    new = run(wheel)
    assert new.loads
    assert [(f.kind, f.level, f.version) for f in new.findings] == [(Kind.NEWER_LIBC, Level.WARNING, "1.2.5")]
    assert "statx" in new.findings[0].message
    assert {finding.symbol for finding in errors(run(wheel, policy="musllinux_1_1_x86_64"))} == {"statx", "gettid"}


def test_a_folder_that_depends_on_the_distribution(toolbox: Toolbox) -> None:
    module = ext(toolbox, "-Wl,-rpath,$ORIGIN/$LIB")
    simulation = run(toolbox.wheel({"ext.so": module}, tag="cp311-cp311-manylinux2014_x86_64"))
    assert simulation.loads
    assert {finding.kind for finding in simulation.findings} == {Kind.VAGUE_SEARCH_PATH}


# -- as a whole --------------------------------------------------------------------------------------------------------


def test_both_engines_and_plain_data(toolbox: Toolbox, monkeypatch: pytest.MonkeyPatch) -> None:
    library = toolbox.library("libnew.so.1", "f")
    module = ext(toolbox, library, before="int f(void); void *dlopen(const char *, int);", body="f(); dlopen(0, 1);")
    wheel = toolbox.wheel({"ext.so": module, "libz9.so": library.read_bytes()}, tag="cp311-cp311-manylinux2014_x86_64")
    found = []
    for name in ("python", "rust"):
        monkeypatch.setenv(engine.VARIABLE, name)
        engine._is_rust.cache_clear()
        found.append(run(wheel))
    engine._is_rust.cache_clear()
    assert found[0].outcomes == found[1].outcomes
    document = json.loads(json.dumps(found[0].to_dict()))
    assert document["loads"] is False
    assert document["outcomes"][0]["findings"][0]["kind"] == "library-missing"
    first = found[0].findings[0]
    assert found[0].roots_of(first) == ("ext.so",)


@pytest.mark.parametrize(("count", "refused"), [(100, False), (600, True)])
def test_files_that_all_need_each_other(toolbox: Toolbox, count: int, refused: bool) -> None:
    names = [f"lib{number}.so" for number in range(count)]
    stub = toolbox.library("lib.so", "f", flags=["-nostdlib"]).read_bytes()
    content = engine.edit(stub, Edit(add_needed=tuple(names[:70]), runpath="$ORIGIN"))
    wheel = toolbox.wheel({f"p/{name}": content for name in names}, tag="py3-none-manylinux2014_x86_64")
    begin = time.monotonic()
    if refused:
        with pytest.raises(FastwheelError) as caught:
            run(wheel)
        assert caught.value.code == "FW113"
    else:
        simulation = run(wheel)
        assert len(simulation.outcomes) == count
    assert time.monotonic() - begin < 60
