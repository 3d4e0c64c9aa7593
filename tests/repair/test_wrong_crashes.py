"""What makes auditwheel 6.8.2 hang or end with a traceback: here it is one clear error, or simply works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from toolbox import Toolbox, contents_of

from fastwheel import cli

RECORD = "pkg-1.0.dist-info/RECORD"


class Ran(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """A function that runs the command line in this process."""

    def call(*args: object) -> Ran:
        with pytest.raises(SystemExit) as ended:
            cli.main([str(arg) for arg in args])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        status = ended.value.code
        assert isinstance(status, int)
        return Ran(status, out, err)

    return call


@pytest.fixture
def wheel(toolbox: Toolbox, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel whose module needs libfwone.so.1, which LD_LIBRARY_PATH leads to."""
    monkeypatch.setenv("LD_LIBRARY_PATH", str(toolbox.system))
    library = toolbox.library("libfwone.so.1", "one")
    return toolbox.wheel({"pkg/__init__.py": b"", "pkg/ext.so": toolbox.module("ext", "one", library)})


def changed(wheel: Path, change: Callable[[dict[str, bytes]], object]) -> Path:
    """Pack the members of a wheel again after a change."""
    files = contents_of(wheel)
    change(files)
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return wheel


def refused(ran: Ran, code: str, status: int = 1) -> str:
    """The message of the one error block, which must have this code."""
    from fastwheel.errors import CODES

    assert ran.status == status == CODES[code].status
    assert ran.out == ""
    (line,) = (line for line in ran.err.splitlines() if line.startswith("error: "))
    return line.removeprefix("error: ")


def repaired(run: Callable[..., Ran], wheel: Path, *options: object) -> set[str]:
    """The members of the one wheel that a repair leaves."""
    out = wheel.parent / "out"
    ran = run("repair", *options, "-w", out, wheel)
    assert ran.status == 0, ran.err
    (output,) = out.iterdir()
    return set(contents_of(output))


def has_graft(names: set[str], folder: str = "pkg.libs") -> bool:
    return any(name.startswith(f"{folder}/libfwone-") for name in names)


# -- odd things in the folders that are searched ---------------------------------------------------------------


@pytest.mark.parametrize(
    "odd", ["loop", "folder", "script", "text", "empty", "fifo", "truncated", "dangling", "unreadable"]
)
def test_odd_file_of_the_wanted_name_is_passed_over(
    run: Callable[..., Ran], wheel: Path, toolbox: Toolbox, monkeypatch: pytest.MonkeyPatch, odd: str
) -> None:
    folder = toolbox.folder / "first"
    folder.mkdir()
    name = folder / "libfwone.so.1"
    if odd == "loop":
        name.symlink_to(folder / "b")
        (folder / "b").symlink_to(name)
    elif odd == "folder":
        name.mkdir()
    elif odd == "script":
        name.write_text("/* GNU ld script */\nGROUP ( /lib/libfwone.so.1 )\n")
    elif odd == "text":
        name.write_text("no library\n")
    elif odd == "empty":
        name.touch()
    elif odd == "fifo":
        os.mkfifo(name)
    elif odd == "truncated":
        name.write_bytes((toolbox.system / name.name).read_bytes()[:100])
    elif odd == "dangling":
        name.symlink_to("nothing")
    else:
        name.write_bytes(b"\x7fELF")
        name.chmod(0)
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{folder}:{toolbox.system}")
    assert has_graft(repaired(run, wheel))


def test_origin_in_the_environment_is_skipped(
    run: Callable[..., Ran], wheel: Path, toolbox: Toolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", f"$ORIGIN/../lib:{toolbox.system}")
    ran = run("repair", "-w", toolbox.folder / "out", wheel)
    assert ran.status == 0
    assert "$ORIGIN" in ran.err


# -- files that are no wheels ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("pkg.whl", "FW200"),
        ("pkg-1.0.zip", "FW200"),
        ("pkg-1.0-py3-none.tar.bz2", "FW200"),
        ("pkg-1.0-py3-none-any.whl", "FW100"),
    ],
)
@pytest.mark.parametrize("verb", ["show", "repair"])
def test_no_wheel(run: Callable[..., Ran], tmp_path: Path, verb: str, name: str, code: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"BZh91AY&SY no zip")
    assert name in refused(run(verb, path), code)


def test_folder_is_no_wheel(run: Callable[..., Ran], tmp_path: Path) -> None:
    path = tmp_path / "pkg-1.0-py3-none-any.whl"
    path.mkdir()
    ran = run("show", path)
    assert ran.status in {1, 2}
    assert ran.err.startswith("error: ")


@pytest.mark.parametrize("length", [4, 20, 64, 200, 5000])
def test_cut_elf_file(run: Callable[..., Ran], toolbox: Toolbox, length: int) -> None:
    content = toolbox.library("libfwone.so.1", "one").read_bytes()[:length]
    wheel = toolbox.wheel({"pkg/ext.so": content})
    ran = run("show", wheel)
    assert ran.status == 1
    assert ran.err.startswith("error: pkg/ext.so: ")


# -- RECORD, .dist-info, purelib ---------------------------------------------------------------------------------


def test_record_is_missing(run: Callable[..., Ran], wheel: Path) -> None:
    assert "RECORD" in refused(run("show", changed(wheel, lambda files: files.pop(RECORD))), "FW203")


def test_record_lists_what_is_not_there(run: Callable[..., Ran], wheel: Path) -> None:
    changed(wheel, lambda files: files.update({RECORD: files[RECORD] + b"pkg/none.py,,\n"}))
    assert "pkg/none.py" in refused(run("repair", "-w", wheel.parent / "out", wheel), "FW207")


def test_two_dist_infos(run: Callable[..., Ran], wheel: Path) -> None:
    changed(wheel, lambda files: files.update({"other-2.0.dist-info/METADATA": b""}))
    assert "dist-info" in refused(run("show", wheel), "FW201")


@pytest.mark.parametrize("verb", ["show", "repair"])
def test_library_in_purelib(run: Callable[..., Ran], toolbox: Toolbox, verb: str) -> None:
    library = toolbox.library("libfwone.so.1", "one").read_bytes()
    wheel = toolbox.wheel({"pkg-1.0.data/purelib/pkg/ext.so": library})
    assert "pkg-1.0.data/purelib/pkg/ext.so" in refused(run(verb, wheel), "FW610")


# -- libraries -----------------------------------------------------------------------------------------------------


def test_library_without_a_dot(run: Callable[..., Ran], toolbox: Toolbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(toolbox.system))
    library = toolbox.library("fwplugin", "plugin")
    names = repaired(run, toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "plugin", library)}))
    assert any(name.startswith("pkg.libs/fwplugin-") for name in names)


def test_library_is_missing(run: Callable[..., Ran], wheel: Path, toolbox: Toolbox) -> None:
    (toolbox.system / "libfwone.so.1").unlink()
    shown = run("show", "--json", wheel)
    assert shown.status == 0
    assert json.loads(shown.out)["external_libs"] == {"libfwone.so.1": None}
    ran = run("repair", "-w", toolbox.folder / "out", wheel)
    assert refused(ran, "FW500") == "libfwone.so.1 not found (needed by pkg/ext.so)"


def test_no_other_program_is_needed(run: Callable[..., Ran], wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(subprocess, "Popen", None)
    assert has_graft(repaired(run, wheel, "--strip"))


@pytest.mark.parametrize("patcher", ["none", "patchelf", "lief-patchelf"])
@pytest.mark.parametrize("by_environment", [False, True])
def test_any_patcher_is_accepted(
    run: Callable[..., Ran], wheel: Path, monkeypatch: pytest.MonkeyPatch, patcher: str, *, by_environment: bool
) -> None:
    if by_environment:
        monkeypatch.setenv("AUDITWHEEL_PATCHER", patcher)
    assert has_graft(repaired(run, wheel, *([] if by_environment else ["--patcher", patcher])))


@pytest.mark.parametrize(
    ("suffix", "folder"),
    [
        ("/_libs", "pkg/_libs"),
        ("/a/b/c", "pkg/a/b/c"),
        (".deps", "pkg.deps"),
        ("/", "pkg"),
        ("", "pkg"),
        ("/./x/../y", "pkg/y"),
    ],
)
def test_folder_of_grafts(run: Callable[..., Ran], wheel: Path, suffix: str, folder: str) -> None:
    assert has_graft(repaired(run, wheel, "-L", suffix), folder)


@pytest.mark.parametrize("suffix", ["/../../x", "/../..", "/..", "-1.0.dist-info", "-1.0.data/x"])
def test_folder_of_grafts_has_to_be_in_the_package(run: Callable[..., Ran], wheel: Path, suffix: str) -> None:
    ran = run("repair", "-L", suffix, "-w", wheel.parent / "out", wheel)
    refused(ran, "FW800", 2)
    assert not (wheel.parent / "out").exists()


def test_needs_of_an_unknown_instruction_set(run: Callable[..., Ran], toolbox: Toolbox) -> None:
    note = """__asm__(".pushsection .note.gnu.property, \\"a\\", @note\\n.balign 8\\n.long 4, 16, 5\\n"
    ".asciz \\"GNU\\"\\n.long 0xc0008002, 4, 0x40, 0\\n.popsection");"""
    wheel = toolbox.wheel({"pkg/ext.so": toolbox.compile(toolbox.folder / "x.so", note).read_bytes()})
    assert json.loads(run("show", "--json", wheel).out)["unsupported_isa"] is True
    refused(run("repair", "-w", toolbox.folder / "out", wheel), "FW607", 2)
    assert run("repair", "--disable-isa-ext-check", "-w", toolbox.folder / "out", wheel).status == 0


def test_nothing_tells_the_c_library(run: Callable[..., Ran], toolbox: Toolbox) -> None:
    module = toolbox.compile(toolbox.folder / "ext.so", "void *PyInit_ext(void) { return 0; }", "-nostdlib")
    ran = run("repair", "-w", toolbox.folder / "out", toolbox.wheel({"pkg/ext.so": module.read_bytes()}))
    assert ran.status == 0
    assert "the C library could not be told from the wheel" in ran.err


# -- the environment ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["yesterday", "-5", "1e9", "9" * 40, "", " "])
def test_odd_source_date_epoch(
    run: Callable[..., Ran], wheel: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", value)
    ran = run("repair", "-w", wheel.parent / "out", wheel)
    assert ran.status in {0, 2}
    assert ran.status == 0 or "SOURCE_DATE_EPOCH" in ran.err


@pytest.mark.parametrize(
    ("name", "value"),
    [("AUDITWHEEL_PLAT", "manylinux_9_99_x86_64"), ("AUDITWHEEL_ZIP_COMPRESSION_LEVEL", "eleven")],
)
def test_odd_environment_concerns_repair_only(
    run: Callable[..., Ran], wheel: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert run("show", wheel).status == 0
    assert run("lddtree", sys.executable).status == 0
    ran = run("repair", "-w", wheel.parent / "out", wheel)
    assert ran.status == 2
    assert value in ran.err


@pytest.mark.parametrize("name", ["AUDITWHEEL_PLAT", "FASTWHEEL_PLAT"])
def test_platform_by_environment(
    run: Callable[..., Ran], wheel: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("AUDITWHEEL_PLAT", "manylinux_2_35_x86_64")
    monkeypatch.setenv(name, "manylinux_2_28_x86_64")
    repaired(run, wheel, "--only-plat")
    assert next((wheel.parent / "out").iterdir()).name == "pkg-1.0-cp311-cp311-manylinux_2_28_x86_64.whl"


@pytest.mark.parametrize("what", ["none", "text", "folder"])
def test_lddtree_of_what_is_no_elf_file(run: Callable[..., Ran], tmp_path: Path, what: str) -> None:
    path = tmp_path / "x"
    if what == "text":
        path.write_text("text")
    elif what == "folder":
        path.mkdir()
    ran = run("lddtree", path)
    assert ran.status in {1, 2}
    assert ran.err.startswith("error: ")


def test_names_beyond_ascii_in_the_c_locale(toolbox: Toolbox, wheel: Path) -> None:
    changed(wheel, lambda files: files.update({"pkg/daten-ä-日本.txt": b""}))
    environ = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    line = [sys.executable, "-m", "fastwheel", "repair", "-w", str(toolbox.folder / "out"), str(wheel)]
    done = subprocess.run(line, env=environ, capture_output=True)
    assert done.returncode == 0, done.stderr
    (output,) = (toolbox.folder / "out").iterdir()
    assert "pkg/daten-ä-日本.txt" in contents_of(output)


def test_reader_of_the_output_goes_away(wheel: Path) -> None:
    command = f"{sys.executable} -m fastwheel show --json {wheel} | true"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


# -- options ---------------------------------------------------------------------------------------------------------


def test_empty_ldpaths_search_nothing(run: Callable[..., Ran], wheel: Path) -> None:
    shown = json.loads(run("show", "--json", "--ldpaths", "", wheel).out)
    assert shown["external_libs"] == {"libfwone.so.1": None}
    refused(run("repair", "--ldpaths", "", "-w", wheel.parent / "out", wheel), "FW500")


def test_own_variable_comes_before_ldpaths(
    run: Callable[..., Ran], wheel: Path, toolbox: Toolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in auditwheel: AUDITWHEEL_LD_LIBRARY_PATH is searched even with --ldpaths; LD_LIBRARY_PATH is not."""
    other = toolbox.library("libfwone.so.1", "one", folder=toolbox.folder / "other", flags=["-DOTHER", "-O0"])
    options = ("show", "--json", "--ldpaths", toolbox.system)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(other.parent))
    found = json.loads(run(*options, wheel).out)["external_libs"]
    assert found == {"libfwone.so.1": str(toolbox.system / "libfwone.so.1")}
    monkeypatch.setenv("AUDITWHEEL_LD_LIBRARY_PATH", str(other.parent))
    assert json.loads(run(*options, wheel).out)["external_libs"] == {"libfwone.so.1": str(other)}


def test_tags_are_left_alone_on_request(run: Callable[..., Ran], wheel: Path) -> None:
    before = contents_of(wheel)["pkg-1.0.dist-info/WHEEL"]
    assert has_graft(repaired(run, wheel, "--no-update-tags"))
    output = wheel.parent / "out" / wheel.name
    assert contents_of(output)["pkg-1.0.dist-info/WHEEL"] == before


@pytest.mark.parametrize("allow", [False, True])
def test_platform_tag_without_elf_is_no_pure_wheel(run: Callable[..., Ran], toolbox: Toolbox, *, allow: bool) -> None:
    wheel = toolbox.wheel({"pkg/__init__.py": b""})
    ran = run("repair", *(["--allow-pure-python-wheel"] if allow else []), "-w", toolbox.folder / "out", wheel)
    assert refused(ran, "FW609").startswith("Invalid binary wheel: no ELF executable or shared library")


@pytest.mark.parametrize("pure", [False, True])
def test_exactly_one_wheel_whatever_there_is_to_do(run: Callable[..., Ran], toolbox: Toolbox, *, pure: bool) -> None:
    """What cibuildwheel demands of `repair-wheel-command`; also when run on the output again."""
    if pure:
        wheel = toolbox.wheel({"pkg/__init__.py": b""}, tag="py3-none-any")
    else:
        wheel = toolbox.wheel({"pkg/ext.so": toolbox.library("libfwone.so.1", "one").read_bytes()})
    options = ["--allow-pure-python-wheel"] if pure else []
    for _ in range(2):
        out = wheel.parent / f"{wheel.parent.name}-out"
        assert run("repair", *options, "-w", out, wheel).status == 0
        (wheel,) = out.iterdir()
        assert wheel.suffix == ".whl"


@pytest.mark.parametrize(
    ("tag", "plat", "message"),
    [
        (
            "cp311-cp311-manylinux_2_17_aarch64",
            "manylinux_2_28_x86_64",
            "can't repair wheel {} with aarch64 architecture to a wheel targeting x86_64",
        ),
        (
            "cp311-cp311-musllinux_1_2_x86_64",
            "manylinux_2_28_x86_64",
            "can't repair wheel {} with MUSL libc to a wheel targeting GLIBC",
        ),
    ],
)
def test_platform_of_another_machine(
    run: Callable[..., Ran], toolbox: Toolbox, tag: str, plat: str, message: str
) -> None:
    wheel = toolbox.wheel({"pkg/ext.so": toolbox.library("libfwone.so.1", "one").read_bytes()}, tag=tag)
    assert refused(run("repair", "--plat", plat, wheel), "FW611", 2) == message.format(wheel.name)
