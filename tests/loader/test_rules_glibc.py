"""Every rule of the simulation on libraries made by gcc: the prediction, its reason, and what dlopen really does."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from made import HAS_F, NEEDS_F, RPATH, RUNPATH, V1, V2, Site, root_of
from truth import Truth

from fastwheel._elf.model import Edit
from fastwheel.engine import edit
from fastwheel.loader import Kind, Level

# -- finding libraries -------------------------------------------------------------------------------------------------


def missing(site: Site) -> None:
    site.make("a.so", NEEDS_F, site.stub("libf.so.1", HAS_F))


def found_by_runpath(site: Site) -> None:
    site.make("x.libs/libf.so.1", HAS_F)
    site.make("x/a.so", NEEDS_F, site.stub("libf.so.1", HAS_F), RUNPATH + "$ORIGIN/../x.libs")


def found_by_braces(site: Site) -> None:
    site.make("x.libs/libf.so.1", HAS_F)
    site.make("x/a.so", NEEDS_F, site.stub("libf.so.1", HAS_F), RUNPATH + "/nowhere:${ORIGIN}/../x.libs")


def through_no_folder(site: Site) -> None:
    site.make("x.libs/libf.so.1", HAS_F)
    site.make("x/a.so", NEEDS_F, site.stub("libf.so.1", HAS_F), RUNPATH + "$ORIGIN/../nowhere/../x.libs")


def rpath_is_inherited(site: Site) -> None:
    site.make("libs/libf.so.1", HAS_F)
    site.make("libs/libg.so.1", NEEDS_F, site.stub("libf.so.1", HAS_F))
    site.make(
        "a.so", "int g(void); int h(void) { return g(); }", site.stub("libg.so.1", "int g;"), RPATH + "$ORIGIN/libs"
    )


def runpath_is_not_inherited(site: Site) -> None:
    site.make("libs/libf.so.1", HAS_F)
    site.make("libs/libg.so.1", NEEDS_F, site.stub("libf.so.1", HAS_F))
    site.make(
        "a.so", "int g(void); int h(void) { return g(); }", site.stub("libg.so.1", "int g;"), RUNPATH + "$ORIGIN/libs"
    )


def runpath_shuts_out_rpath(site: Site) -> None:
    site.make("libs/libf.so.1", HAS_F)
    site.make("libs/libg.so.1", NEEDS_F, site.stub("libf.so.1", HAS_F), RUNPATH + "$ORIGIN/../elsewhere")
    site.make(
        "a.so", "int g(void); int h(void) { return g(); }", site.stub("libg.so.1", "int g;"), RPATH + "$ORIGIN/libs"
    )


def soname_of_another_file(site: Site) -> None:
    site.make("libs/first.so", HAS_F, "-Wl,-soname,libf.so.1")
    path = site.make("libs/libz9.so", NEEDS_F, site.stub("libf.so.1", HAS_F))
    assert path.exists()
    flags = (site.stub("first.so", HAS_F), site.stub("libz9.so", "int g;"))
    site.make("a.so", "int g(void); int h(void) { return g(); }", *flags, RUNPATH + "$ORIGIN/libs")


def another_soname_in_the_file(site: Site) -> None:
    site.make("libs/libf.so.1", HAS_F, "-Wl,-soname,libother.so.7")
    site.make("a.so", NEEDS_F, site.stub("libf.so.1", HAS_F), RUNPATH + "$ORIGIN/libs")


def text_in_place_of_a_library(site: Site) -> None:
    site.make("good/libf.so.1", HAS_F)
    (site.folder / "bad").mkdir()
    (site.folder / "bad" / "libf.so.1").write_text("INPUT ( libf.so.1.2 )\n" * 90)
    site.make("a.so", NEEDS_F, site.stub("libf.so.1", HAS_F), RUNPATH + "$ORIGIN/bad:$ORIGIN/good")


def other_processor_first(site: Site) -> None:
    site.make("good/libf.so.1", HAS_F)
    (site.folder / "bad").mkdir()
    line = [
        "aarch64-linux-gnu-gcc",
        "-shared",
        "-nostdlib",
        "-x",
        "c",
        "/dev/null",
        "-o",
        site.folder / "bad" / "libf.so.1",
    ]
    subprocess.run(line, check=True)
    site.make("a.so", NEEDS_F, site.stub("libf.so.1", HAS_F), RUNPATH + "$ORIGIN/bad:$ORIGIN/good")


def other_processor_only(site: Site) -> None:
    other_processor_first(site)
    (site.folder / "good" / "libf.so.1").unlink()


def two_of_one_soname(site: Site) -> None:
    site.make("old/libf.so.1", "int e;")
    site.make("new/libf.so.1", HAS_F)
    site.make("a.so", NEEDS_F, site.stub("libf.so.1", HAS_F), RUNPATH + "$ORIGIN/new")


def path_with_origin(site: Site) -> None:
    site.make("libs/libf.so.1", HAS_F)
    path = site.make("x/a.so", NEEDS_F, site.stub("libf.so.1", HAS_F))
    path.write_bytes(edit(path.read_bytes(), Edit(replace_needed=(("libf.so.1", "$ORIGIN/../libs/libf.so.1"),))))


def relative_path(site: Site) -> None:
    site.make("libs/libf.so.1", HAS_F)
    path = site.make("a.so", NEEDS_F, site.stub("libf.so.1", HAS_F))
    path.write_bytes(edit(path.read_bytes(), Edit(replace_needed=(("libf.so.1", "libs/libf.so.1"),))))


def no_default_folders(site: Site) -> None:
    site.make("a.so", "", "-lz", "-Wl,-z,nodefaultlib")


def of_the_system(site: Site) -> None:
    site.make("a.so", "void *zlibVersion(void); void *g(void) { return zlibVersion(); }", "-lz")


def needs_in_a_circle(site: Site) -> None:
    site.make("libb.so", "extern int a; int *b(void) { return &a; }", site.stub("a.so", "int a;"), RUNPATH + "$ORIGIN")
    code = "int *b(void); int a = 1; int *c(void) { return b(); }"
    site.make("a.so", code, site.stub("libb.so", "int b;"), RUNPATH + "$ORIGIN")


# -- versions ----------------------------------------------------------------------------------------------------------


def version_there(site: Site) -> None:
    site.make("libf.so.1", HAS_F, script=V1)
    site.make("a.so", NEEDS_F, site.stub("libf.so.1", HAS_F, script=V1), RUNPATH + "$ORIGIN")


def version_missing(site: Site) -> None:
    site.make("libf.so.1", HAS_F, script="W_1 { global: f; local: *; };")
    site.make("a.so", NEEDS_F, site.stub("libf.so.1", HAS_F, script=V1), RUNPATH + "$ORIGIN")


def version_without_the_symbol(site: Site) -> None:
    site.make("libf.so.1", HAS_F + " int e;", script="V_1 { global: e; }; V_2 { global: f; local: *; };")
    site.make("a.so", NEEDS_F, site.stub("libf.so.1", HAS_F, script=V1), RUNPATH + "$ORIGIN")


def library_without_versions(site: Site) -> None:
    site.make("libf.so.1", HAS_F)
    site.make("a.so", NEEDS_F, site.stub("libf.so.1", HAS_F, script=V1), RUNPATH + "$ORIGIN")


def versions_of_nobody(site: Site) -> None:
    site.make("libf.so.1", HAS_F, script=V1)
    path = site.make("a.so", NEEDS_F, site.stub("libf.so.1", HAS_F, script=V1), "-nostdlib", RUNPATH + "$ORIGIN")
    content = path.read_bytes()
    at = content.index((1).to_bytes(8, "little") + _offset_of(content, b"libf.so.1"))
    path.write_bytes(content[:at] + (0x15).to_bytes(8, "little") + content[at + 8 :])  # DT_NEEDED ▶ DT_DEBUG


def _offset_of(content: bytes, name: bytes) -> bytes:
    """The offset of a name in .dynstr, as DT_NEEDED has it."""
    at = content.index(b"\0" + name + b"\0") + 1
    start = content.rindex(b"\0\0", 0, at) + 1
    return (at - start).to_bytes(8, "little")


def default_version_for_all(site: Site) -> None:
    site.make("libf.so.1", HAS_F + " int e;", script=V2)
    site.make("a.so", NEEDS_F, site.stub("libf.so.1", HAS_F), RUNPATH + "$ORIGIN")


def hidden(second: str) -> str:
    return f'__asm__(".symver f_old, f@{second}"); int f_old(void) {{ return 1; }} int e, d;'


def hidden_first_version(site: Site) -> None:
    site.make(
        "libf.so.1", hidden("V_1"), "-Wl,--defsym=f_x=0", script="V_1 { global: e; local: f_old; }; V_2 { d; } V_1;"
    )
    site.make("a.so", NEEDS_F, site.stub("libf.so.1", HAS_F), RUNPATH + "$ORIGIN")


def hidden_second_version(site: Site) -> None:
    site.make("libf.so.1", hidden("V_2"), script="V_1 { global: e; local: f_old; }; V_2 { d; } V_1;")
    site.make("a.so", NEEDS_F, site.stub("libf.so.1", HAS_F), RUNPATH + "$ORIGIN")


def hidden_version_asked_for(site: Site) -> None:
    site.make("libf.so.1", hidden("V_2"), script="V_1 { global: e; local: f_old; }; V_2 { d; } V_1;")
    script = "V_2 { global: f; local: *; };"
    site.make("a.so", NEEDS_F, site.stub("libf.so.1", HAS_F, script=script), RUNPATH + "$ORIGIN")


# -- symbols -----------------------------------------------------------------------------------------------------------


def undefined(site: Site) -> None:
    site.make("a.so", "extern int nowhere; int *g(void) { return &nowhere; }")


def undefined_call(site: Site) -> None:
    site.make("a.so", "int nowhere(void); int g(void) { return nowhere(); }")


def undefined_weak(site: Site) -> None:
    site.make("a.so", "int nowhere(void) __attribute__((weak)); int g(void) { return nowhere ? nowhere() : 0; }")


def undefined_unused(site: Site) -> None:
    site.make("a.so", '__asm__(".globl nowhere"); int x;')


def of_the_interpreter(site: Site) -> None:
    site.make("a.so", "void *PyList_New(long); void *g(void) { return PyList_New(0); }")


def of_who_loads_it(site: Site) -> None:
    site.make("libf.so.1", "extern int g(void); int f(void) { return g(); }")
    site.make(
        "a.so",
        "int f(void); int g(void) { return 1; } int h(void) { return f(); }",
        site.stub("libf.so.1", HAS_F),
        RUNPATH + "$ORIGIN",
    )


def of_nobody_alone(site: Site) -> None:
    of_who_loads_it(site)
    (site.folder / "libf.so.1").rename(site.folder / "a.so")


def of_a_sibling(site: Site) -> None:
    site.make("libe.so.1", "int e;")
    site.make("libf.so.1", "extern int e; int *f(void) { return &e; }")
    flags = (site.stub("libf.so.1", HAS_F), site.stub("libe.so.1", "int e;"), RUNPATH + "$ORIGIN")
    site.make("a.so", NEEDS_F, *flags)


def protected(site: Site) -> None:
    site.make("libf.so.1", '__attribute__((visibility("protected"))) int f(void) { return 1; }')
    site.make("a.so", NEEDS_F, site.stub("libf.so.1", HAS_F), RUNPATH + "$ORIGIN")


def not_exported(site: Site) -> None:
    site.make("libf.so.1", '__attribute__((visibility("hidden"))) int f(void) { return 1; } int e;')
    site.make("a.so", NEEDS_F, site.stub("libf.so.1", HAS_F), RUNPATH + "$ORIGIN")


def symbolic(site: Site) -> None:
    site.make("a.so", HAS_F + " int g(void) { return f(); }", "-Wl,-Bsymbolic")


def preloaded_but_out_of_scope(site: Site) -> None:
    # ctypes has loaded libffi, for itself only.
    site.make("a.so", "extern int ffi_call; int *g(void) { return &ffi_call; }")


def preloaded_and_needed(site: Site) -> None:
    site.make(
        "a.so", "extern int ffi_call; int *g(void) { return &ffi_call; }", site.stub("libffi.so.8", "int ffi_call;")
    )


# -- headers -----------------------------------------------------------------------------------------------------------


def program(site: Site, *flags: str) -> None:
    source = site.folder / "main.c"
    source.write_text("int main(void) { return 0; }")
    subprocess.run(["gcc", *flags, "-o", site.folder / "a.so", source], check=True)


def position_independent_program(site: Site) -> None:
    program(site, "-pie", "-fPIE")


def program_at_fixed_addresses(site: Site) -> None:
    program(site, "-no-pie", "-fno-pie")


def not_for_dlopen(site: Site) -> None:
    site.make("a.so", HAS_F, "-Wl,-z,nodlopen")


def much_static_tls(site: Site) -> None:
    site.make("a.so", "__thread char t[1900]; char *g(void) { return t; }", "-ftls-model=initial-exec")


def some_static_tls(site: Site) -> None:
    site.make("a.so", "__thread char t[1600]; char *g(void) { return t; }", "-ftls-model=initial-exec")


def little_static_tls(site: Site) -> None:
    site.make("a.so", "__thread char t[60]; char *g(void) { return t; }", "-ftls-model=initial-exec")


def much_dynamic_tls(site: Site) -> None:
    site.make("a.so", "__thread char t[6000]; char *g(void) { return t; }")


def executable_stack(site: Site) -> None:
    site.make("a.so", HAS_F, "-Wl,-z,execstack")


def text_relocations(site: Site) -> None:
    code = '__asm__(".text\\n.globl p\\np: .quad q\\n"); int q;'
    site.make("a.so", code, "-Wl,-z,notext")


def small_pages(site: Site) -> None:
    site.make("a.so", HAS_F, "-Wl,-z,max-page-size=0x800,-z,common-page-size=0x800")


def relative_relocations(site: Site) -> None:
    site.make("a.so", "int x; int *y[] = {&x, &x};", "-Wl,-z,pack-relative-relocs")


Make = Callable[[Site], None]
LOADS: dict[Make, Kind | None] = dict.fromkeys(
    (
        found_by_runpath,
        found_by_braces,
        rpath_is_inherited,
        soname_of_another_file,
        another_soname_in_the_file,
        other_processor_first,
        path_with_origin,
        of_the_system,
        needs_in_a_circle,
        version_there,
        default_version_for_all,
        hidden_first_version,
        hidden_version_asked_for,
        undefined_weak,
        undefined_unused,
        of_the_interpreter,
        of_who_loads_it,
        of_a_sibling,
        protected,
        symbolic,
        preloaded_and_needed,
        little_static_tls,
        much_dynamic_tls,
        relative_relocations,
    )
)
LOADS |= {
    two_of_one_soname: Kind.SONAME_CLASH,
    library_without_versions: Kind.UNVERSIONED_LIBRARY,
    some_static_tls: Kind.STATIC_TLS,
    executable_stack: Kind.EXECUTABLE_STACK,
    text_relocations: Kind.TEXT_RELOCATIONS,
}
FAILS: dict[Make, tuple[Kind, str]] = {
    missing: (Kind.LIBRARY_MISSING, "libf.so.1: cannot open shared object file"),
    through_no_folder: (Kind.LIBRARY_MISSING, "libf.so.1: cannot open shared object file"),
    runpath_is_not_inherited: (Kind.LIBRARY_MISSING, "libf.so.1: cannot open shared object file"),
    runpath_shuts_out_rpath: (Kind.LIBRARY_MISSING, "libf.so.1: cannot open shared object file"),
    text_in_place_of_a_library: (Kind.LIBRARY_INVALID, "invalid ELF header"),
    other_processor_only: (Kind.WRONG_MACHINE, "libf.so.1: cannot open shared object file"),
    relative_path: (Kind.LIBRARY_MISSING, "libs/libf.so.1: cannot open shared object file"),
    no_default_folders: (Kind.LIBRARY_MISSING, "cannot open shared object file"),
    version_missing: (Kind.VERSION_MISSING, "version `V_1' not found"),
    version_without_the_symbol: (Kind.SYMBOL_UNDEFINED, "f, version V_1"),
    versions_of_nobody: (Kind.VERSION_FILE_MISSING, "it ended with status"),
    hidden_second_version: (Kind.SYMBOL_UNDEFINED, "undefined symbol: f"),
    undefined: (Kind.SYMBOL_UNDEFINED, "undefined symbol: nowhere"),
    undefined_call: (Kind.SYMBOL_UNDEFINED, "undefined symbol: nowhere"),
    of_nobody_alone: (Kind.SYMBOL_UNDEFINED, "undefined symbol: g"),
    not_exported: (Kind.SYMBOL_UNDEFINED, "undefined symbol: f"),
    preloaded_but_out_of_scope: (Kind.SYMBOL_UNDEFINED, "undefined symbol: ffi_call"),
    position_independent_program: (Kind.NOT_LOADABLE, "cannot dynamically load position-independent executable"),
    program_at_fixed_addresses: (Kind.NOT_LOADABLE, "cannot dynamically load executable"),
    not_for_dlopen: (Kind.NOT_LOADABLE, "shared object cannot be dlopen()ed"),
    much_static_tls: (Kind.STATIC_TLS, "cannot allocate memory in static TLS block"),
    small_pages: (Kind.BAD_SEGMENTS, "not page-aligned"),
}


@pytest.mark.parametrize("make", LOADS, ids=lambda make: make.__name__)
def test_it_loads(make: Make, tmp_path: Path, python_truth: Truth) -> None:
    site = Site(tmp_path)
    make(site)
    outcome, error = python_truth.both(site.folder, root_of(site))
    assert error is None
    assert outcome.loads, outcome.findings
    wanted = [] if LOADS[make] is None else [LOADS[make]]
    assert [finding.kind for finding in outcome.findings] == wanted


@pytest.mark.parametrize("make", FAILS, ids=lambda make: make.__name__)
def test_it_does_not_load(make: Make, tmp_path: Path, python_truth: Truth) -> None:
    site = Site(tmp_path)
    make(site)
    outcome, error = python_truth.both(site.folder, root_of(site))
    kind, text = FAILS[make]
    assert error is not None
    assert text in error
    assert not outcome.loads
    assert {finding.kind for finding in outcome.findings if finding.level is Level.ERROR} == {kind}
