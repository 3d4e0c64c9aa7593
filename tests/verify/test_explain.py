"""`explain` names the symbol, the file, the chain and the platform, and knows what to do."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from toolbox import Toolbox, extension

import fastwheel
from fastwheel._explain.hints import hints_for, image_for
from fastwheel._explain.model import Cause, Culprit
from fastwheel.policy import Arch, Libc, by_name, policies

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def toolbox(tmp_path: Path) -> Toolbox:
    return Toolbox(tmp_path)


def explain(toolbox: Toolbox, wheel: Path, **options: object) -> fastwheel.Explanation:
    return fastwheel.explain(wheel, environ={"LD_LIBRARY_PATH": str(toolbox.system)}, **options)  # type: ignore[arg-type]


def needing(toolbox: Toolbox, symbol: str, name: str = "ext.so") -> bytes:
    """A module that calls one function of the C library."""
    return extension(toolbox, "-w", before=f"int {symbol}();", body=f"{symbol}(0, 0, 0, 0);", name=name)


def test_the_symbol_that_decides(toolbox: Toolbox) -> None:
    wheel = toolbox.wheel({"pkg/ext.so": needing(toolbox, "pthread_create")})
    explanation = explain(toolbox, wheel)
    assert (explanation.tag, explanation.goal) == ("manylinux_2_34_x86_64", "manylinux_2_31_x86_64")
    assert [(bound.kind, bound.tag) for bound in explanation.bounds] == [("symbols", "manylinux_2_34_x86_64")]
    (culprit,) = explanation.culprits
    assert (culprit.file, culprit.grafted, culprit.chain) == ("pkg/ext.so", False, ())
    assert culprit.causes == (
        Cause(
            "libc.so.6",
            "GLIBC_2.34",
            ("pthread_create",),
            "manylinux_2_34_x86_64",
            (("pthread_create", "GLIBC_2.2.5"),),
        ),
    )
    assert [hint.topic for hint in explanation.hints] == ["older-image", "merged-libraries"]
    assert "manylinux_2_28_x86_64" in explanation.hints[0].text


def test_new_functions_are_told_from_new_versions(toolbox: Toolbox) -> None:
    wheel = toolbox.wheel({"pkg/ext.so": needing(toolbox, "arc4random")})
    (culprit,) = explain(toolbox, wheel, plat="manylinux_2_17_x86_64").culprits
    assert (culprit.causes[0].older, culprit.causes[0].new) == ((), ("arc4random",))


def test_the_one_that_blocks_most_comes_first(toolbox: Toolbox) -> None:
    files = {f"pkg/{name}.so": needing(toolbox, name) for name in ("memcpy", "stat", "arc4random")}
    explanation = explain(toolbox, toolbox.wheel(files), plat="manylinux_2_12_x86_64")
    assert [culprit.file for culprit in explanation.culprits] == ["pkg/arc4random.so", "pkg/stat.so", "pkg/memcpy.so"]
    assert [culprit.tag for culprit in explanation.culprits] == [
        "manylinux_2_36_x86_64",
        "manylinux_2_34_x86_64",
        "manylinux_2_17_x86_64",
    ]
    assert {"stat", "memcpy", "arc4random"} < {hint.topic for hint in explanation.hints}


def test_who_pulls_a_library_of_this_machine_in(toolbox: Toolbox) -> None:
    deep = toolbox.compile(
        toolbox.system / "libdeep.so.1",
        "int dlopen(); int deep(void) { return dlopen(0, 0); }",
        "-w",
        "-Wl,-soname,libdeep.so.1",
    )
    middle = toolbox.library("libmiddle.so.1", "middle", needs=[deep])
    wheel = toolbox.wheel({"pkg/_mod.so": toolbox.module("_mod", "middle", middle)})
    explanation = explain(toolbox, wheel)
    assert (explanation.tag, explanation.repaired_tag) == ("linux_x86_64", "manylinux_2_34_x86_64")
    assert [(bound.kind, bound.repaired) for bound in explanation.bounds] == [("libraries", True), ("symbols", False)]
    (culprit,) = explanation.culprits
    assert (culprit.file, culprit.grafted) == (str(deep), True)
    assert culprit.chain == ("pkg/_mod.so", str(middle))
    assert culprit.causes[0].symbols == ("dlopen",)
    assert [hint.topic for hint in explanation.hints][:2] == ["older-image", "libraries-of-this-machine"]


def test_a_library_that_is_nowhere(toolbox: Toolbox) -> None:
    library = toolbox.library("libgone.so.1", "gone")
    wheel = toolbox.wheel({"pkg/_mod.so": toolbox.module("_mod", "gone", library)})
    library.unlink()
    explanation = explain(toolbox, wheel)
    (bound,) = explanation.bounds
    assert (bound.kind, bound.repaired) == ("libraries", False)
    assert bound.reasons == ("libgone.so.1, needed by pkg/_mod.so, not found on this machine",)
    assert explain(toolbox, wheel, plat="manylinux_2_28_x86_64").obstacles == (
        "libgone.so.1 is not found (needed by pkg/_mod.so)",
    )


def test_nothing_bounds_the_best_tag(toolbox: Toolbox) -> None:
    explanation = explain(toolbox, toolbox.wheel({"pkg/ext.so": extension(toolbox)}))
    assert (explanation.tag, explanation.bounds, explanation.goal) == ("manylinux_2_5_x86_64", (), None)
    reached = explain(toolbox, toolbox.wheel({"pkg/ext.so": extension(toolbox)}), plat="manylinux_2_28_x86_64")
    assert (reached.reachable, reached.culprits, reached.hints) == (True, (), ())


def test_other_aspects_bound_the_tag_too(toolbox: Toolbox) -> None:
    zlib = toolbox.library("libz.so.1", "uncompress2")
    content = extension(toolbox, str(zlib), "-Wl,-z,x86-64-v3", before="int uncompress2(void);", body="uncompress2();")
    explanation = explain(toolbox, toolbox.wheel({"pkg/ext.so": content}))
    assert [(bound.kind, bound.reasons) for bound in explanation.bounds] == [
        ("instruction-set", ("pkg/ext.so needs the instruction set x86_64_v3",)),
        ("forbidden-symbols", ("uncompress2 of libz.so.1",)),
    ]
    goal = explain(toolbox, toolbox.wheel({"pkg/ext.so": content}), plat="manylinux_2_17_x86_64")
    assert len(goal.obstacles) == 2
    assert not goal.reachable


def test_a_platform_that_no_policy_knows(toolbox: Toolbox) -> None:
    wheel = toolbox.wheel({"pkg/ext.so": extension(toolbox)})
    with pytest.raises(fastwheel.FastwheelError) as error:
        explain(toolbox, wheel, plat="manylinux_9_9_x86_64")
    assert error.value.code == "FW602"
    with pytest.raises(fastwheel.FastwheelError) as error:
        explain(toolbox, wheel, plat="manylinux_2_17_aarch64")
    assert error.value.code == "FW611"


@pytest.mark.parametrize(
    ("library", "version", "symbol", "topic"),
    [
        ("libc.so.6", "GLIBC_2.34", "__libc_start_main", "merged-libraries"),
        ("libc.so.6", "GLIBC_2.34", "dlopen", "merged-libraries"),
        ("libm.so.6", "GLIBC_2.29", "pow", "math-2.29"),
        ("libm.so.6", "GLIBC_2.27", "powf", "math-2.27"),
        ("libm.so.6", "GLIBC_2.35", "hypot", "math-2.35+"),
        ("libm.so.6", "GLIBC_2.38", "fmod", "math-2.35+"),
        ("libc.so.6", "GLIBC_2.14", "memcpy", "memcpy"),
        ("libc.so.6", "GLIBC_2.33", "fstat64", "stat"),
        ("libc.so.6", "GLIBC_2.28", "fcntl64", "fcntl64"),
        ("libc.so.6", "GLIBC_2.38", "strlcpy", "strlcpy"),
        ("libc.so.6", "GLIBC_2.38", "__isoc23_strtol", "c23-strtol"),
        ("libc.so.6", "GLIBC_2.32", "__libc_single_threaded", "single-threaded"),
        ("libc.so.6", "GLIBC_2.35", "_dl_find_object", "unwinder"),
        ("libc.so.6", "GLIBC_2.25", "getrandom", "getrandom"),
        ("libc.so.6", "GLIBC_ABI_DT_RELR", "", "relr"),
        ("libstdc++.so.6", "GLIBCXX_3.4.32", "_ZSt", "libstdc++"),
        ("libstdc++.so.6", "CXXABI_1.3.15", "", "libstdc++"),
        ("libgcc_s.so.1", "GCC_14.0.0", "__hardcfr_check", "libgcc"),
        ("libz.so.1", "ZLIB_1.2.12", "deflate", "zlib"),
    ],
)
def test_known_cases(library: str, version: str, symbol: str, topic: str) -> None:
    cause = Cause(library, version, (symbol,) if symbol else (), "linux_x86_64")
    goal = by_name("manylinux_2_12_x86_64")
    topics = [hint.topic for hint in hints_for([Culprit("a.so", False, (), "linux_x86_64", (cause,))], goal, [])]
    assert topic in topics


def test_symbols_of_other_versions_are_no_known_case() -> None:
    cause = Cause("libc.so.6", "GLIBC_2.30", ("pthread_create",), "linux_x86_64")
    goal = by_name("manylinux_2_28_x86_64")
    hints = hints_for([Culprit("a.so", False, (), "linux_x86_64", (cause,))], goal, [])
    assert [hint.topic for hint in hints] == ["older-image"]


def test_images_are_never_newer_than_the_goal() -> None:
    for libc in (Libc.GLIBC, Libc.MUSL):
        for arch in Arch:
            for policy in policies(libc, arch)[:-1]:
                image = image_for(policy)
                if image is not None and libc is Libc.GLIBC:
                    assert by_name(image).priority >= policy.priority
                    assert image.endswith(arch.value)
    assert image_for(by_name("manylinux_2_31_x86_64")) == "manylinux_2_28_x86_64"
    assert image_for(by_name("manylinux_2_12_x86_64")) is None


def test_command_line(toolbox: Toolbox, command: Run) -> None:
    wheel = toolbox.wheel({"pkg/ext.so": needing(toolbox, "pthread_create")})
    text = command("fastwheel", "explain", wheel, "--plat", "manylinux_2_17_x86_64").stdout
    assert "holds to manylinux_2_34_x86_64." in text
    assert "GLIBC_2.34 of libc.so.6, in manylinux_2_34_x86_64 first: pthread_create (before: GLIBC_2.2.5)" in text
    document = json.loads(command("fastwheel", "explain", "--json", wheel).stdout)
    assert document == explain(toolbox, wheel).to_dict()
    assert document["version"] == 1
    wrong = command("fastwheel", "explain", "--json", wheel, "--plat", "manylinux_9_9_x86_64", check=False)
    assert wrong.returncode == 2
    assert json.loads(wrong.stdout)["code"] == "FW602"


def test_both_engines_explain_alike(toolbox: Toolbox, command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = toolbox.wheel({"pkg/ext.so": needing(toolbox, "pthread_create")})
    answers = []
    for engine in ("rust", "python"):
        monkeypatch.setenv("FASTWHEEL_ENGINE", engine)
        answers.append(command("fastwheel", "explain", "--json", wheel).stdout)
    assert answers[0] == answers[1]
