"""Wheels built here, with libraries to graft, for several processors: both tools make the same of them.

Search paths are compared as texts: auditwheel writes DT_RPATH, fastwheel DT_RUNPATH, and with `--force-rpath` the same.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from peer import Answer, ask_auditwheel, ask_fastwheel
from toolbox import Toolbox

LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")
Make = Callable[[Toolbox], Path]


@pytest.fixture
def toolbox(tmp_path: Path) -> Toolbox:
    return Toolbox(tmp_path)


def module(toolbox: Toolbox, name: str, call: str, *needs: Path, flags: tuple[str, ...] = ()) -> bytes:
    """An extension module that always needs the C library: without, auditwheel gives up."""
    return toolbox.module(name, call, flags=("-Wl,--no-as-needed", *map(str, needs), *flags))


def chain(toolbox: Toolbox) -> Path:
    low = toolbox.library("libfwlow.so.2.1", "low", flags=["-Wl,-soname,libfwlow.so.2"])
    (toolbox.system / "libfwlow.so.2").symlink_to(low.name)
    high = toolbox.library("libfwhigh.so.1", "high", needs=[low], flags=[f"-Wl,-rpath,{toolbox.system}"])
    two = module(toolbox, "two", "high", high, low)
    return toolbox.wheel({"pkg/ext.so": module(toolbox, "ext", "high", high), "pkg/a/b/two.so": two})


def old_paths(toolbox: Toolbox) -> Path:
    one = toolbox.library("libfwone.so.1", "one")
    inner = toolbox.library("libfwinner.so.1", "inner")
    path = f"-Wl,-rpath,$ORIGIN/../nowhere:/abs:$ORIGIN/sub:$ORIGIN/../../../out:{toolbox.system}:$ORIGIN/sub"
    content = module(toolbox, "ext", "one", one, inner, flags=(path,))
    inside = inner.read_bytes()
    inner.unlink()
    return toolbox.wheel({"pkg/ext.so": content, "pkg/sub/libfwinner.so.1": inside})


def with_libpython(toolbox: Toolbox) -> Path:
    # Not in the folder of libraries: LD_LIBRARY_PATH would give it to the Python that runs the tools.
    python = toolbox.library("libpython3.11.so.1.0", "Py_IsInitialized", folder=toolbox.folder / "python")
    one = toolbox.library("libfwone.so.1", "one")
    return toolbox.wheel({"pkg/ext.so": module(toolbox, "ext", "Py_IsInitialized", python, one)})


def script(toolbox: Toolbox) -> Path:
    one = toolbox.library("libfwone.so.1", "one")
    source = "int one(void); int main(void) { return one() - 42; }"
    program = toolbox.compile(toolbox.folder / "tool", source, str(one), kind=()).read_bytes()
    modes = {"pkg-1.0.data/scripts/tool": 0o755}
    return toolbox.wheel({"pkg-1.0.data/scripts/tool": program, "pkg/__init__.py": b""}, modes=modes)


def linked_to(toolbox: Toolbox, *names: str) -> Path:
    one = toolbox.library("libfwone.so.1", "one")
    return toolbox.wheel({"pkg/ext.so": module(toolbox, "ext", "one", one, *(LIBRARIES / name for name in names))})


def of_the_system(toolbox: Toolbox) -> Path:
    return linked_to(toolbox, "libbz2.so.1.0", "liblzma.so.5", "libexpat.so.1", "libxml2.so.2")


def plain(toolbox: Toolbox) -> Path:
    return toolbox.wheel({"pkg/ext.so": toolbox.library("ext.so", "ext").read_bytes()})


def recent(toolbox: Toolbox) -> Path:
    thread = "int pthread_create(void *, void *, void *, void *); int fw(void) { return pthread_create(0, 0, 0, 0); }"
    return toolbox.wheel({"pkg/ext.so": toolbox.compile(toolbox.folder / "ext.so", thread).read_bytes()})


def tagged(toolbox: Toolbox) -> Path:
    one = toolbox.library("libfwone.so.1", "one")
    return toolbox.wheel({"pkg/ext.so": module(toolbox, "ext", "one", one)}, tag="cp311-abi3-manylinux_2_36_x86_64")


def isa(toolbox: Toolbox) -> Path:
    source = """__asm__(".pushsection .note.gnu.property, \\"a\\", @note\\n.balign 8\\n.long 4, 16, 5\\n"
        ".asciz \\"GNU\\"\\n.long 0xc0008002, 4, 4, 0\\n.popsection");
        int puts(const char *); void fw(void) { puts(""); }"""
    return toolbox.wheel({"pkg/ext.so": toolbox.compile(toolbox.folder / "ext.so", source).read_bytes()})


def black_listed(toolbox: Toolbox) -> Path:
    source = "void *inflate_fast(void); void *fw(void) { return inflate_fast(); }"
    flags = ("-Wl,--unresolved-symbols=ignore-all", "-Wl,--no-as-needed", str(LIBRARIES / "libz.so.1"))
    return toolbox.wheel({"pkg/ext.so": toolbox.compile(toolbox.folder / "ext.so", source, *flags).read_bytes()})


def missing(toolbox: Toolbox) -> Path:
    one = toolbox.library("libfwone.so.1", "one")
    wheel = toolbox.wheel({"pkg/ext.so": module(toolbox, "ext", "one", one)})
    one.unlink()
    return wheel


#: Processor ▶ clang's target and the loader's glibc version that the stub of the C library offers.
TARGETS = {
    "aarch64": ("aarch64-linux-gnu", "GLIBC_2.17"),
    "armv7l": ("armv7a-linux-gnueabihf", "GLIBC_2.4"),
    "i686": ("i686-linux-gnu", "GLIBC_2.0"),
    "ppc64le": ("powerpc64le-linux-gnu", "GLIBC_2.17"),
    "riscv64": ("riscv64-linux-gnu", "GLIBC_2.27"),
}


def cross(toolbox: Toolbox, arch: str) -> Path:
    """A wheel for another processor: a chain of two libraries, and a C library that is only there to be linked to."""
    target, version = TARGETS[arch]

    def build(name: str, source: str, *flags: str) -> Path:
        path = toolbox.system / name
        line = ["clang", f"--target={target}", "-shared", "-nostdlib", "-fPIC", "-fuse-ld=lld", "-x", "c", "-"]
        line += ["-o", str(path), f"-Wl,-soname,{name}", "-Wl,--no-as-needed", *(f"-Wl,{flag}" for flag in flags)]
        subprocess.run(line, input=source.encode(), check=True, capture_output=True)
        return path

    script = toolbox.folder / "libc.map"
    script.write_text(f"{version} {{ global: puts; local: *; }};\n")
    libc = build("libc.so.6", "int puts(void) { return 0; }", f"--version-script={script}")
    low = build("libfwlow.so.1", "int puts(void); int low(void) { return puts(); }", str(libc))
    high = build("libfwhigh.so.1", "int low(void); int high(void) { return low(); }", str(low), str(libc))
    source = "int high(void); void *PyInit_ext(void) { high(); return 0; }"
    module = build("ext.so", source, str(high), str(libc), "-rpath,$ORIGIN/lib:/build").read_bytes()
    return toolbox.wheel({"pkg/ext.so": module}, tag=f"cp311-cp311-linux_{arch}")


def traits(answer: Answer, *, kinds: bool) -> dict[str, Any]:
    """What a repair wrote, file by file and trait by trait; without the bill of materials."""
    found: dict[str, Any] = {"name": answer.name}
    for key, value in answer.shape.items():
        if isinstance(value, dict):
            grafted = value["soname"] == key.rpartition("/")[2]
            left_out = {"mode"} if grafted else set()  # grafts are 0755 here, there as on this machine
            left_out |= set() if kinds else {"kind"}
            found.update({f"{key} {trait}": part for trait, part in value.items() if trait not in left_out})
        elif key != "sbom":
            found[key] = value
    return found


def shown(answer: Answer) -> dict[str, Any]:
    """The document of `show --json`, paths without links (auditwheel leaves /lib where it is a link to usr/lib)."""
    libraries: dict[str, str] = answer.show["external_libs"]  # type: ignore[assignment]
    real = {name: path and str(Path(path).resolve()) for name, path in libraries.items()}
    return {**answer.show, "external_libs": real}


def both(wheel: Path, toolbox: Toolbox, *options: str, own: tuple[str, ...] = ()) -> tuple[Answer, Answer]:
    environ = {"LD_LIBRARY_PATH": str(toolbox.system)}
    theirs = ask_auditwheel(wheel, *options, environ=environ, keep=False)
    return theirs, ask_fastwheel(wheel, *options, *own, environ=environ)


def same(theirs: Answer, ours: Answer, *, kinds: bool = False) -> None:
    assert (ours.status, ours.error) == (theirs.status, theirs.error) == (0, "")
    assert shown(ours) == shown(theirs)
    assert traits(ours, kinds=kinds) == traits(theirs, kinds=kinds)
    owners = [{tuple(part) for part in answer.shape.get("sbom", [])} for answer in (theirs, ours)]  # type: ignore[attr-defined]
    assert owners[0] <= owners[1]


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (chain, ()),
        (chain, ("--plat", "manylinux_2_17_x86_64")),
        (chain, ("--plat", "manylinux_2_17_x86_64", "--only-plat")),
        (chain, ("--plat", "manylinux2014_x86_64", "--only-plat")),
        (chain, ("--no-update-tags",)),
        (chain, ("-L", "/_libs")),
        (chain, ("-L", ".dylibs")),
        (chain, ("--exclude", "libfwlow.so.*")),
        (chain, ("--exclude", "libfwhigh.so.1")),
        (chain, ("--strip",)),
        (old_paths, ()),
        (with_libpython, ()),
        (script, ()),
        (of_the_system, ()),
        (plain, ()),
        (recent, ()),
        (tagged, ()),
        (isa, ("--disable-isa-ext-check",)),
    ],
    ids=lambda value: value.__name__ if callable(value) else " ".join(value),
)
def test_same_repair(toolbox: Toolbox, make: Make, options: tuple[str, ...]) -> None:
    same(*both(make(toolbox), toolbox, *options))


@pytest.mark.parametrize("make", [chain, old_paths, with_libpython, script], ids=lambda make: make.__name__)
def test_same_kind_of_path_on_request(toolbox: Toolbox, make: Make) -> None:
    theirs, ours = both(make(toolbox), toolbox, own=("--force-rpath",))
    same(theirs, ours, kinds=True)
    kinds = {value for key, value in traits(ours, kinds=True).items() if key.endswith(" kind")}
    assert kinds <= {"DT_RPATH", None}


@pytest.mark.parametrize("arch", TARGETS)
def test_same_repair_for_other_processors(toolbox: Toolbox, arch: str) -> None:
    wheel = cross(toolbox, arch)
    same(*both(wheel, toolbox, f"--ldpaths={toolbox.system}"))


@pytest.mark.parametrize(
    ("make", "options", "words", "status"),
    [
        (recent, ("--plat", "manylinux_2_28_x86_64"), "because of the presence of too-recent versioned symbols", 2),
        (isa, (), "because it depends on unsupported ISA extensions", 2),
        (isa, ("--plat", "manylinux_2_28_x86_64"), "because it depends on unsupported ISA extensions", 2),
        (black_listed, (), "because it depends on black-listed symbols", 2),
        (chain, ("--plat", "manylinux_2_28_aarch64"), "architecture to a wheel targeting aarch64", 2),
        (chain, ("--plat", "manylinux_9_9_x86_64"), "manylinux_9_9_x86_64", 2),
        (chain, ("-z", "10"), "10", 2),
        (missing, (), "libfwone.so.1", 1),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_same_refusal(toolbox: Toolbox, make: Make, options: tuple[str, ...], words: str, status: int) -> None:
    if options[-1:] == ("manylinux_2_28_aarch64",):
        # Their list of platforms is that of the machine; the words for a mismatch come with a wheel of another one.
        wheel = cross(toolbox, "i686")
        answers = (ask_fastwheel(wheel, *options),)
    else:
        answers = both(make(toolbox), toolbox, *options)  # type: ignore[assignment]
    for answer in answers:
        assert answer.status == status
        assert words in answer.error


def test_symbols_of_grafts_are_judged_here_only(toolbox: Toolbox) -> None:
    """libgfortran uses symbols of glibc that the oldest policies forbid; auditwheel judges the wheel's own files."""
    theirs, ours = both(linked_to(toolbox, "libgfortran.so.5"), toolbox)
    assert ours.name == theirs.name
    upgrades: list[dict[str, Any]] = [answer.show["policy_upgrades"] for answer in (theirs, ours)]  # type: ignore[misc]
    symbols = ["__issignaling", "__issignalingf", "__issignalingl"]
    for policy, obstacles in upgrades[1].items():
        found = obstacles.pop("blacklisted_symbols", None)
        assert bool(found) == (policy.split("_x86")[0] in {"manylinux_2_17", "manylinux_2_12", "manylinux_2_5"})
        assert found in (None, {"libc.so.6": symbols, "libm.so.6": symbols})
    assert upgrades[0] == upgrades[1]
