"""What auditwheel 6.8.2 is known to get wrong, silently: here each case comes out right."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from toolbox import Toolbox, call, contents_of, extension, installed, repair

import fastwheel
from fastwheel import engine


def run(*args: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    line = [sys.executable, "-m", "fastwheel", *map(str, args)]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, **options)  # type: ignore[call-overload,no-any-return]


# -- 1: a failed repair still writes a wheel, even over the input ---------------------------------------------


@pytest.mark.parametrize("same_folder", [False, True])
def test_failed_repair_writes_nothing_and_leaves_the_input(toolbox: Toolbox, *, same_folder: bool) -> None:
    library = toolbox.library("libfwgone.so.1", "gone")
    wheel = toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "gone", library)}, folder=toolbox.folder / "in")
    library.unlink()
    before = wheel.read_bytes()
    out = wheel.parent if same_folder else toolbox.folder / "out"
    done = run("repair", "-w", out, wheel)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert wheel.read_bytes() == before
    assert [path.name for path in toolbox.folder.rglob("*") if path.suffix == ".whl"] == [wheel.name]


# -- 3: an ELF file without section headers is taken for one without needs ------------------------------------


def without_sections(elf: bytes) -> bytes:
    """Wipe e_shoff, e_shentsize, e_shnum and e_shstrndx of a 64-bit file."""
    data = bytearray(elf)
    struct.pack_into("<Q", data, 40, 0)
    struct.pack_into("<HHH", data, 58, 0, 0, 0)
    return bytes(data)


def test_sections_are_not_needed_to_see_symbols(toolbox: Toolbox, contents: Callable[[Path], dict[str, bytes]]) -> None:
    library = toolbox.library("libfwone.so.1", "one")
    thread = "int pthread_create(void *, void *, void *, void *); extern int one(void); "
    module = extension(toolbox, str(library), before=thread, body="pthread_create(0, 0, 0, 0); one(); ")
    wheel = toolbox.wheel({"pkg/ext.so": without_sections(module)})
    environ = {"LD_LIBRARY_PATH": str(toolbox.system)}
    verdict = fastwheel.audit(wheel, environ=environ)
    assert verdict.symbols.name == "manylinux_2_34_x86_64"
    assert verdict.survey.units[0].python == 3
    assert [reference.soname for reference in verdict.references] == ["libfwone.so.1"]
    done = repair(wheel, toolbox)
    assert done.path is not None
    assert done.path.name.endswith("-manylinux_2_34_x86_64.whl")
    assert "libfwone-" in " ".join(engine.read(contents(done.path)["pkg/ext.so"]).needed)


# -- 4: versions asked of the loader are left out -------------------------------------------------------------


def test_versions_asked_of_the_loader_count(toolbox: Toolbox) -> None:
    loader = "/lib64/ld-linux-x86-64.so.2"
    before = "extern const long __rseq_offset; long fw_offset(void) { return __rseq_offset; } "
    wheel = toolbox.wheel({"pkg/ext.so": extension(toolbox, loader, before=before)})
    verdict = fastwheel.audit(wheel, environ={})
    assert verdict.overall.name == "manylinux_2_35_x86_64"
    document = verdict.to_dict()
    assert document["sym_tag"] == "manylinux_2_35_x86_64"
    assert "ld-linux-x86-64.so.2" not in document["versioned_symbols"]  # type: ignore[operator]
    done = repair(wheel, toolbox)
    assert done.path is not None
    assert done.path.name.endswith("-manylinux_2_35_x86_64.whl")


# -- 5: PyFPE is seen by show only ----------------------------------------------------------------------------


@pytest.mark.parametrize("plat", ["auto", "manylinux_2_28_x86_64"])
def test_pyfpe_gets_no_tag(toolbox: Toolbox, plat: str) -> None:
    before = "extern int PyFPE_jbuf[]; int *fw_jbuf(void) { return PyFPE_jbuf; } "
    wheel = toolbox.wheel({"pkg/ext.so": extension(toolbox, before=before)})
    shown = run("show", wheel)
    assert shown.returncode == 0
    assert 'platform tag: "linux_x86_64"' in shown.stdout
    assert "This wheel uses the PyFPE_jbuf function" in shown.stdout
    done = run("repair", "--plat", plat, "-w", toolbox.folder / "out", wheel)
    assert done.returncode == 2
    assert "PyFPE_jbuf" in done.stderr
    assert not (toolbox.folder / "out").exists()


# -- 6: files of .data get search paths that are wrong once installed -----------------------------------------


def test_module_of_data_platlib_loads_once_installed(toolbox: Toolbox) -> None:
    library = toolbox.library("libfwplat.so.1", "plat")
    wrapper = toolbox.library("libfwwrap.so.1", "wrap", needs=[library])
    wheel = toolbox.wheel({"pkg-1.0.data/platlib/a/b/c/wrap.so": wrapper.read_bytes()})
    done = repair(wheel, toolbox)
    assert done.path is not None
    site = installed(done.path, toolbox.folder)
    library.unlink()
    assert call(site / "a/b/c/wrap.so", "wrap") == 42


def test_library_outside_of_site_packages_is_refused(toolbox: Toolbox) -> None:
    library = toolbox.library("libfwplat.so.1", "plat")
    wrapper = toolbox.library("libfwwrap.so.1", "wrap", needs=[library])
    wheel = toolbox.wheel({"pkg-1.0.data/data/lib/libfwwrap.so.1": wrapper.read_bytes()})
    with pytest.raises(fastwheel.FastwheelError) as caught:
        repair(wheel, toolbox)
    assert caught.value.code == "FW608"
    assert not list(toolbox.folder.rglob("out/*"))


# -- 7: of two libraries with one soname one is lost ----------------------------------------------------------


def test_two_libraries_of_one_soname_serve_their_own(toolbox: Toolbox) -> None:
    files = {}
    for number in (1, 2):
        folder = toolbox.folder / f"place{number}"
        low = toolbox.compile(
            folder / "libfwsame.so.1", f"int same(void) {{ return {number}; }}", "-Wl,-soname,libfwsame.so.1"
        )
        source = f"int same(void); int ask{number}(void) {{ return same(); }}"
        high = toolbox.compile(toolbox.folder / f"ask{number}.so", source, str(low), f"-Wl,-rpath,{folder}")
        files[f"pkg/ask{number}.so"] = high.read_bytes()
    done = repair(toolbox.wheel(files), toolbox)
    assert done.path is not None
    site = installed(done.path, toolbox.folder)
    for number in (1, 2):
        (toolbox.folder / f"place{number}" / "libfwsame.so.1").unlink()
        assert call(site / f"pkg/ask{number}.so", f"ask{number}") == number
    assert len(list((site / "pkg.libs").iterdir())) == 2


# -- 8: libraries of free-threaded Python and of the stable ABI are grafted -----------------------------------


@pytest.mark.parametrize(
    "soname", ["libpython3.13t.so.1.0", "libpython3.so", "libpython3.13d.so.1.0", "libpython3t.so"]
)
def test_no_libpython_is_grafted(toolbox: Toolbox, contents: Callable[[Path], dict[str, bytes]], soname: str) -> None:
    python = toolbox.library(soname, "Py_IsInitialized")
    wheel = toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "Py_IsInitialized", python)})
    done = repair(wheel, toolbox)
    assert done.path is not None
    files = contents(done.path)
    assert not any(".libs/" in name for name in files)
    assert soname not in engine.read(files["pkg/ext.so"]).needed
    assert any(note.startswith(f"Removing {soname} dependency from pkg/ext.so") for note in done.notes)


# -- 9: libraries of the wheel that are not on its search path ------------------------------------------------


@pytest.mark.parametrize("on_machine", [False, True])
def test_library_of_the_wheel_is_found_wherever_it_lies(
    toolbox: Toolbox, contents: Callable[[Path], dict[str, bytes]], *, on_machine: bool
) -> None:
    library = toolbox.library("libfwmine.so.1", "mine")
    module = toolbox.library("libfwuser.so.1", "user", needs=[library])
    files = {"pkg/deep/down/user.so": module.read_bytes(), "pkg/lib/libfwmine.so.1": library.read_bytes()}
    wheel = toolbox.wheel(files)
    if not on_machine:
        library.unlink()
    done = repair(wheel, toolbox)
    assert done.path is not None
    assert set(contents(done.path)) == set(contents_of(wheel))
    library.unlink(missing_ok=True)
    site = installed(done.path, toolbox.folder)
    assert call(site / "pkg/deep/down/user.so", "user") == 42


# -- 10: tags that the wheel does not hold to stay ------------------------------------------------------------


@pytest.mark.parametrize("old", ["manylinux2014_x86_64", "manylinux1_x86_64.manylinux_2_5_x86_64", "linux_x86_64"])
def test_tags_that_do_not_hold_are_dropped_and_said(toolbox: Toolbox, old: str) -> None:
    thread = "int pthread_create(void *, void *, void *, void *); "
    module = extension(toolbox, before=thread, body="pthread_create(0, 0, 0, 0); ")
    done = repair(toolbox.wheel({"pkg/ext.so": module}, tag=f"cp311-cp311-{old}"), toolbox)
    assert done.path is not None
    assert done.path.name == "pkg-1.0-cp311-cp311-manylinux_2_34_x86_64.whl"
    for tag in old.split("."):
        if not tag.startswith("linux"):
            assert any(f"{tag} is dropped" in note for note in done.notes)


# -- 11: files that RECORD does not list ----------------------------------------------------------------------


def test_files_that_record_lacks_are_audited(toolbox: Toolbox, contents: Callable[[Path], dict[str, bytes]]) -> None:
    library = toolbox.library("libfwhide.so.1", "hide")
    hidden = toolbox.library("libfwhidden.so.1", "hidden", needs=[library])
    wheel = toolbox.wheel({"pkg/ext.so": extension(toolbox)})
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.write(hidden, "pkg/hidden.so")
    shown = run("show", "--json", wheel, env={**os.environ, "LD_LIBRARY_PATH": str(toolbox.system)})
    assert list(json.loads(shown.stdout)["external_libs"]) == ["libfwhide.so.1"]
    done = repair(wheel, toolbox)
    assert done.path is not None
    files = contents(done.path)
    assert any(name.startswith("pkg.libs/libfwhide-") for name in files)
    assert "pkg/hidden.so,sha256=" in files["pkg-1.0.dist-info/RECORD"].decode()
    assert any("RECORD is rewritten" in note and "pkg/hidden.so" in note for note in done.notes)


# -- 12: executable stacks ------------------------------------------------------------------------------------


def test_executable_stack_is_said(toolbox: Toolbox) -> None:
    wheel = toolbox.wheel({"pkg/ext.so": extension(toolbox, "-Wl,-z,execstack"), "pkg/fine.so": extension(toolbox)})
    shown = run("show", wheel)
    assert "executable stack" in shown.stdout
    assert "pkg/ext.so" in shown.stdout
    assert "pkg/fine.so" not in shown.stdout
    assert fastwheel.audit(wheel, environ={}).executable_stack == ("pkg/ext.so",)
    assert any("executable stack" in note for note in repair(wheel, toolbox).notes)


# -- 13: black-listed symbols of grafts; Root-Is-Purelib ------------------------------------------------------


def test_black_listed_symbols_of_grafts_count(toolbox: Toolbox) -> None:
    zlib = "/usr/lib/x86_64-linux-gnu/libz.so.1"
    graft = toolbox.compile(
        toolbox.system / "libfwzlib.so.1",
        "void *inflate_fast(void); void *fast(void) { return inflate_fast(); }",
        "-Wl,-soname,libfwzlib.so.1",
        "-Wl,--unresolved-symbols=ignore-all",
        "-Wl,--no-as-needed",
        zlib,
    )
    wheel = toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "fast", graft)})
    with pytest.raises(fastwheel.FastwheelError) as caught:
        repair(wheel, toolbox)
    assert caught.value.code == "FW606"
    assert any("inflate_fast" in detail for detail in caught.value.details)


def test_purelib_flag_does_not_survive(toolbox: Toolbox, contents: Callable[[Path], dict[str, bytes]]) -> None:
    info = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: cp311-cp311-linux_x86_64\n"
    done = repair(toolbox.wheel({"pkg/ext.so": extension(toolbox)}, wheel_info=info), toolbox)
    assert done.path is not None
    lines = contents(done.path)["pkg-1.0.dist-info/WHEEL"].decode().splitlines()
    assert [line for line in lines if line.startswith("Root-Is-Purelib")] == ["Root-Is-Purelib: false"]


def test_compressed_tags_in_wheel_are_expanded(toolbox: Toolbox, contents: Callable[[Path], dict[str, bytes]]) -> None:
    library = toolbox.library("libfwone.so.1", "one")
    compressed = "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64"
    info = f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {compressed}\n".encode()
    for source in (extension(toolbox), toolbox.module("ext", "one", library)):  # nothing else to do, and a graft
        wheel = toolbox.wheel({"pkg/ext.so": source}, tag=compressed, wheel_info=info)
        path = repair(wheel, toolbox, plat="manylinux_2_17_x86_64", only_plat=True).path
        assert path is not None
        python, abi, platforms = path.stem.split("-")[2:]
        lines = contents(path)["pkg-1.0.dist-info/WHEEL"].decode().splitlines()
        tags = [line for line in lines if line.startswith("Tag: ")]
        assert tags == [f"Tag: {python}-{abi}-{platform}" for platform in platforms.split(".")]
        assert len(tags) == 2


# -- 14: the bill of materials on a merged /usr; libraries built from source ----------------------------------


def test_every_graft_is_in_the_bill_of_materials(
    toolbox: Toolbox, contents: Callable[[Path], dict[str, bytes]]
) -> None:
    folder = Path("/usr/lib/x86_64-linux-gnu")
    packaged = [str(folder / name) for name in ("libbz2.so.1.0", "liblzma.so.5", "libcrypt.so.1")]
    own = toolbox.library("libfwown.so.4.2", "own")
    wheel = toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "own", own, flags=["-Wl,--no-as-needed", *packaged])})
    done = repair(wheel, toolbox)
    assert done.path is not None
    (text,) = (text for name, text in contents(done.path).items() if "/sboms/" in name)
    components = {part["name"]: part for part in json.loads(text)["components"]}
    assert set(components) == {"libbz2-1.0", "liblzma5", "libcrypt1", "libfwown"}
    for name, part in components.items():
        assert ("purl" in part) == (name != "libfwown")
    assert components["libfwown"]["version"] == "4.2"


# -- 15: links, left-over paths, aliases, hash-random order ---------------------------------------------------


def test_library_behind_links_is_grafted_once_by_its_real_name(toolbox: Toolbox) -> None:
    real = toolbox.library("libfwreal.so.1.2.3", "real", flags=["-Wl,-soname,libfwreal.so.1"])
    link, other = toolbox.system / "libfwreal.so.1", toolbox.system / "libfwreal.so"
    link.symlink_to(real.name)
    other.symlink_to(link.name)
    by_alias = toolbox.library("libfwalias.so", "alias", folder=toolbox.folder / "elsewhere")
    (toolbox.system / "libfwalias.so").symlink_to(real)
    files = {
        "pkg/ext.so": toolbox.module("ext", "real", real),
        "pkg/two.so": toolbox.module("two", "alias", by_alias),
    }
    done = repair(toolbox.wheel(files), toolbox)
    assert done.plan is not None
    digest = hashlib.sha256(real.read_bytes()).hexdigest()[:8]
    assert [graft.name for graft in done.plan.grafts] == [f"libfwreal-{digest}.so.1.2.3"]


def test_library_without_soname_is_known_by_its_path(toolbox: Toolbox) -> None:
    """Not wrong in auditwheel either: the linker records the path that it was given."""
    library = toolbox.compile(toolbox.system / "libfwbare.so", "int bare(void) { return 42; }")
    wheel = toolbox.wheel({"pkg/bare.so": toolbox.library("u.so", "user", needs=[library]).read_bytes()})
    done = repair(wheel, toolbox)
    assert done.path is not None
    library.unlink()
    assert call(installed(done.path, toolbox.folder) / "pkg/bare.so", "user") == 42
    assert not any(str(toolbox.system).encode() in text for text in contents_of(done.path).values())


def test_choice_of_update_alternatives_is_said(toolbox: Toolbox) -> None:
    real = toolbox.library("libfwopenblas.so.0", "blas", flags=["-Wl,-soname,libfwblas.so.3"])
    alternatives = toolbox.folder / "etc" / "alternatives"
    alternatives.mkdir(parents=True)
    (alternatives / "libfwblas.so.3-x86_64").symlink_to(real)
    (toolbox.system / "libfwblas.so.3").symlink_to(alternatives / "libfwblas.so.3-x86_64")
    done = repair(toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "blas", real)}), toolbox)
    assert done.plan is not None
    assert [graft.name.split("-")[0] for graft in done.plan.grafts] == ["libfwopenblas"]
    said = [note for note in done.notes if "update-alternatives" in note]
    assert len(said) == 1
    assert "libfwblas.so.3 is " in said[0]
    assert str(real) in said[0]


def test_symbolic_links_in_wheels_are_refused(toolbox: Toolbox) -> None:
    wheel = toolbox.wheel({"pkg/ext.so": extension(toolbox)})
    with zipfile.ZipFile(wheel, "a") as archive:
        entry = zipfile.ZipInfo("pkg/link.so")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "ext.so")
    with pytest.raises(fastwheel.FastwheelError) as caught:
        repair(wheel, toolbox)
    assert caught.value.code == "FW109"


@pytest.mark.parametrize("kind", ["--enable-new-dtags", "--disable-new-dtags"])
def test_build_folders_are_dropped_without_any_graft(
    toolbox: Toolbox, contents: Callable[[Path], dict[str, bytes]], kind: str
) -> None:
    path = f"-Wl,{kind},-rpath,/home/me/build/lib:$ORIGIN/lib:{sys.prefix}/lib"
    only = f"-Wl,{kind},-rpath,/home/me/build/lib"
    python = toolbox.library("libpython3.11.so.1.0", "Py_IsInitialized")
    files = {
        "pkg/ext.so": extension(toolbox, path),
        "pkg/only.so": extension(toolbox, only),
        "pkg/emb.so": toolbox.module("emb", "Py_IsInitialized", python, flags=[only]),
    }
    done = repair(toolbox.wheel(files), toolbox)
    assert done.path is not None
    facts = {name: engine.read(data) for name, data in contents(done.path).items() if name.endswith(".so")}
    assert (facts["pkg/ext.so"].runpath, facts["pkg/ext.so"].rpath) == ("$ORIGIN/lib", None)
    assert {(facts[name].runpath, facts[name].rpath) for name in ("pkg/only.so", "pkg/emb.so")} == {(None, None)}


@pytest.mark.parametrize("plat", ["manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux2014", "manylinux_2_17"])
def test_alias_and_canonical_platform_mean_the_same(toolbox: Toolbox, plat: str) -> None:
    soname = "-Wl,-soname,libfwalone.so.1"
    library = toolbox.compile(toolbox.system / "libfwalone.so.1", "int alone(void) { return 42; }", soname)
    module = toolbox.module("ext", "alone", library)
    done = repair(toolbox.wheel({"pkg/ext.so": module}), toolbox, plat=plat)
    assert done.path is not None
    tags = "manylinux1_x86_64.manylinux2014_x86_64.manylinux_2_17_x86_64.manylinux_2_5_x86_64"
    assert done.path.name == f"pkg-1.0-cp311-cp311-{tags}.whl"
    only = repair(toolbox.wheel({"pkg/ext.so": module}), toolbox, plat=plat, only_plat=True)
    assert only.path is not None
    assert only.path.name == "pkg-1.0-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl"


def test_text_is_the_same_in_every_run(toolbox: Toolbox) -> None:
    names = ("libbz2.so.1.0", "liblzma.so.5", "libcrypt.so.1", "libexpat.so.1")
    libraries = [f"/usr/lib/x86_64-linux-gnu/{name}" for name in names]
    wheel = toolbox.wheel({"pkg/ext.so": extension(toolbox, "-Wl,--no-as-needed", *libraries, "-lm")})
    outputs = {run("-v", "show", wheel, env={**os.environ, "PYTHONHASHSEED": seed}).stdout for seed in "123"}
    assert len(outputs) == 1


# -- 16: relative folders, new kinds of modules ---------------------------------------------------------------


@pytest.mark.parametrize("way", ["LD_LIBRARY_PATH", "AUDITWHEEL_LD_LIBRARY_PATH", "--ldpaths", "--lib-path"])
def test_relative_folders_start_at_the_callers(toolbox: Toolbox, way: str) -> None:
    library = toolbox.library("libfwone.so.1", "one")
    wheel = toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "one", library)})
    options = [way, "system"] if way.startswith("--") else []
    environ = {**os.environ} if options else {**os.environ, way: "system"}
    done = run("repair", *options, "-w", "out", wheel.name, cwd=toolbox.folder, env=environ)
    assert done.returncode == 0, done.stderr
    (output,) = (toolbox.folder / "out").iterdir()
    assert any("libfwone-" in name for name in contents_of(output))


@pytest.mark.parametrize("function", ["PyModExport_ext", "PyInit_ext", "_cffi_pypyinit_ext"])
def test_modules_are_known_by_what_they_export(toolbox: Toolbox, function: str) -> None:
    before = "extern int PyFPE_jbuf[]; int *fw_jbuf(void) { return PyFPE_jbuf; } "
    source = before + f"void *{function}(void) {{ return 0; }}"
    module = toolbox.compile(toolbox.folder / "ext.so", source)
    verdict = fastwheel.audit(toolbox.wheel({"pkg/ext.so": module.read_bytes()}), environ={})
    assert verdict.survey.units[0].python
    assert verdict.pyfpe
