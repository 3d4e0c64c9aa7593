"""Where musl's loader differs from glibc's: the prediction beside what dlopen does in a program of musl."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from made import HAS_F, NEEDS_F, RPATH, RUNPATH, V1, Site, root_of
from truth import Truth

from fastwheel.loader import Kind, Level


def missing(site: Site) -> None:
    site.make("a.so", NEEDS_F, site.stub("libf.so.1", HAS_F))


def runpath_is_inherited(site: Site) -> None:
    site.make("libs/libf.so.1", HAS_F)
    site.make("libs/libg.so.1", NEEDS_F, site.stub("libf.so.1", HAS_F))
    site.make(
        "a.so", "int g(void); int h(void) { return g(); }", site.stub("libg.so.1", "int g;"), RUNPATH + "$ORIGIN/libs"
    )


def runpath_shuts_nothing_out(site: Site) -> None:
    site.make("libs/libf.so.1", HAS_F)
    site.make("libs/libg.so.1", NEEDS_F, site.stub("libf.so.1", HAS_F), RUNPATH + "$ORIGIN/../elsewhere")
    site.make(
        "a.so", "int g(void); int h(void) { return g(); }", site.stub("libg.so.1", "int g;"), RPATH + "$ORIGIN/libs"
    )


def unknown_token(site: Site) -> None:
    site.make("libs/libf.so.1", HAS_F)
    site.make("a.so", NEEDS_F, site.stub("libf.so.1", HAS_F), RUNPATH + "$ORIGIN/libs:$LIB")


def soname_is_no_name(site: Site) -> None:
    site.make("libs/first.so", HAS_F, "-Wl,-soname,libf.so.1")
    flags = (site.stub("first.so", HAS_F), site.stub("libf.so.1", HAS_F))
    site.make("a.so", NEEDS_F, *flags, RUNPATH + "$ORIGIN/libs")


def text_in_place_of_a_library(site: Site) -> None:
    site.make("good/libf.so.1", HAS_F)
    (site.folder / "bad").mkdir()
    (site.folder / "bad" / "libf.so.1").write_text("INPUT ( libf.so.1.2 )\n" * 90)
    site.make("a.so", NEEDS_F, site.stub("libf.so.1", HAS_F), RUNPATH + "$ORIGIN/bad:$ORIGIN/good")


def names_of_glibc(site: Site) -> None:
    site.make("a.so", "double cos(double); double g(double x) { return cos(x); }", site.stub("libm.so.6", "int cos;"))


def no_versions(site: Site) -> None:
    site.make("libf.so.1", HAS_F)
    site.make("a.so", NEEDS_F, site.stub("libf.so.1", HAS_F, script=V1), RUNPATH + "$ORIGIN")


def another_version(site: Site) -> None:
    site.make("libf.so.1", HAS_F, script="W_1 { global: f; local: *; };")
    site.make("a.so", NEEDS_F, site.stub("libf.so.1", HAS_F, script=V1), RUNPATH + "$ORIGIN")


def hidden_version(site: Site) -> None:
    code = '__asm__(".symver f_old, f@V_1"); int f_old(void) { return 1; } int e, d;'
    site.make("libf.so.1", code, script="V_1 { global: e; local: f_old; };")
    site.make("a.so", NEEDS_F, site.stub("libf.so.1", HAS_F, script=V1), RUNPATH + "$ORIGIN")


def undefined(site: Site) -> None:
    site.make("a.so", "int nowhere(void); int g(void) { return nowhere(); }")


def undefined_weak(site: Site) -> None:
    site.make("a.so", "int nowhere(void) __attribute__((weak)); int g(void) { return nowhere ? nowhere() : 0; }")


def of_glibc(site: Site) -> None:
    site.make("a.so", "void *__cxa_thread_atexit_impl(void); void *g(void) { return __cxa_thread_atexit_impl(); }")


Make = Callable[[Site], None]
LOADS: dict[Make, Kind | None] = dict.fromkeys(
    (runpath_is_inherited, runpath_shuts_nothing_out, names_of_glibc, no_versions, another_version, undefined_weak)
)
FAILS: dict[Make, tuple[Kind, str]] = {
    missing: (Kind.LIBRARY_MISSING, "Error loading shared library libf.so.1"),
    unknown_token: (Kind.LIBRARY_MISSING, "Error loading shared library libf.so.1"),
    soname_is_no_name: (Kind.LIBRARY_MISSING, "Error loading shared library libf.so.1"),
    text_in_place_of_a_library: (Kind.LIBRARY_INVALID, "Exec format error"),
    hidden_version: (Kind.SYMBOL_UNDEFINED, "f: symbol not found"),
    undefined: (Kind.SYMBOL_UNDEFINED, "nowhere: symbol not found"),
    of_glibc: (Kind.SYMBOL_UNDEFINED, "__cxa_thread_atexit_impl: symbol not found"),
}


@pytest.mark.parametrize("make", LOADS, ids=lambda make: make.__name__)
def test_it_loads_on_musl(make: Make, tmp_path: Path, musl_truth: Truth) -> None:
    site = Site(tmp_path, gcc="musl-gcc")
    make(site)
    outcome, error = musl_truth.both(site.folder, root_of(site))
    assert error is None
    assert outcome.loads, outcome.findings
    assert not outcome.findings


@pytest.mark.parametrize("make", FAILS, ids=lambda make: make.__name__)
def test_it_does_not_load_on_musl(make: Make, tmp_path: Path, musl_truth: Truth) -> None:
    site = Site(tmp_path, gcc="musl-gcc")
    make(site)
    outcome, error = musl_truth.both(site.folder, root_of(site))
    kind, text = FAILS[make]
    assert error is not None
    assert text in error
    assert not outcome.loads
    assert {finding.kind for finding in outcome.findings if finding.level is Level.ERROR} == {kind}


def test_the_programs_own_path(tmp_path: Path, musl_truth: Truth) -> None:
    site = Site(tmp_path, gcc="musl-gcc")
    library = site.make("libprog.so.1", HAS_F)
    site.make("a.so", NEEDS_F, str(library))
    folder = Path(musl_truth.host.process[0].key).parent / "of-the-program"
    folder.mkdir()
    library.rename(folder / "libprog.so.1")
    outcome, error = musl_truth.both(site.folder, "a.so")
    assert error is None
    assert outcome.loads, outcome.findings
    assert outcome.group == ("a.so", str(folder / "libprog.so.1"))
