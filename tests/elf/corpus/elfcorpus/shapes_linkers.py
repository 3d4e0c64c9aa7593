"""Shapes of x86-64 glibc: what GNU ld, gold, lld and mold write, and what their options change."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from .tools import SOURCES, run, tool

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .family import Workshop

__all__ = ["LINKERS", "build_c", "build_cxx", "build_programs", "code_first_script", "linker_flags", "rust_lld"]

#: Names of linkers that `linker_flags` knows.
LINKERS = ("bfd", "gold", "lld14", "lld19", "rustlld", "mold")

#: Name of the shape: (linker, flags). The numbers are the rows of the list of shapes that the editor is built for.
C_SHAPES: dict[str, tuple[str, tuple[str, ...]]] = {
    **{f"{linker}-default": (linker, ()) for linker in LINKERS},  # rows 1-4, 12
    **{
        f"{linker}-stripped-now-noid": (linker, ("-s", "-Wl,-z,now,--build-id=none"))  # row 5
        for linker in LINKERS
    },
    **{f"{linker}-norelro": (linker, ("-Wl,-z,norelro",)) for linker in LINKERS},  # row 6
    **{f"{linker}-sysv": (linker, ("-Wl,-z,norelro,--hash-style=sysv",)) for linker in LINKERS},
    **{f"{linker}-both-hashes": (linker, ("-Wl,--hash-style=both",)) for linker in ("bfd", "gold", "lld14", "mold")},
    "bfd-noseparate": ("bfd", ("-Wl,-z,noseparate-code",)),  # row 7
    "bfd-noseparate-norelro": ("bfd", ("-Wl,-z,noseparate-code,-z,norelro",)),
    **{f"{linker}-2m": (linker, ("-Wl,-z,max-page-size=0x200000",)) for linker in ("bfd", "gold", "lld14", "mold")},
    **{f"{linker}-64k": (linker, ("-Wl,-z,max-page-size=0x10000",)) for linker in ("bfd", "gold", "lld14", "mold")},
    "bfd-noseparate-2m": ("bfd", ("-Wl,-z,noseparate-code,-z,max-page-size=0x200000",)),
    "bfd-one-spare-tag": ("bfd", ("-Wl,--spare-dynamic-tags=1",)),
    "bfd-two-spare-tags": ("bfd", ("-Wl,--spare-dynamic-tags=2",)),
    "bfd-relr": ("bfd", ("-Wl,-z,pack-relative-relocs",)),  # row 10
    "lld19-relr": ("lld19", ("-Wl,-z,pack-relative-relocs",)),
    **{
        f"{linker}-{name}": (linker, (flag,))  # row 11
        for linker in ("lld14", "lld19", "rustlld")
        for name, flag in {
            "separate-code": "-Wl,-z,separate-code",
            "separate-loadable": "-Wl,-z,separate-loadable-segments",
            "rodynamic": "-Wl,-z,rodynamic",
            "no-rosegment": "-Wl,--no-rosegment",
        }.items()
    },
    "mold-noseparate": ("mold", ("-Wl,-z,noseparate-code",)),
    "mold-separate-loadable": ("mold", ("-Wl,-z,separate-loadable-segments",)),
    "bfd-rpath": ("bfd", ("-Wl,-rpath,/opt/x/lib",)),
    "bfd-old-rpath": ("bfd", ("-Wl,-rpath,/opt/x/lib,--disable-new-dtags",)),  # row 22
    "bfd-empty-rpath": ("bfd", ("-Wl,-rpath,",)),
    "lld14-rpath": ("lld14", ("-Wl,-rpath,/opt/x/lib",)),
    "mold-rpath": ("mold", ("-Wl,-rpath,/opt/x/lib",)),
    "gold-rpath": ("gold", ("-Wl,-rpath,/opt/x/lib",)),
    "bfd-no-soname": ("bfd", ("-Wl,--as-needed",)),
    "bfd-execstack": ("bfd", ("-Wl,-z,execstack",)),  # row 30
    "bfd-ibt": ("bfd", ("-fcf-protection", "-Wl,-z,ibt,-z,shstk")),
    "bfd-huge-bss": ("bfd", ("-DBSS=(1<<30)", "-mcmodel=medium")),  # row 27
    "bfd-large-model": ("bfd", ("-mcmodel=large",)),
    "lld14-huge-bss": ("lld14", ("-DBSS=(1<<30)", "-mcmodel=medium")),
    "mold-huge-bss": ("mold", ("-DBSS=(1<<30)", "-mcmodel=medium")),
}


def rust_lld() -> Path:
    """Return the folder that holds the toolchain's own `ld.lld`."""
    from pathlib import Path

    root = run([tool("rustc"), "--print", "sysroot"]).stdout.decode().strip()
    return next(Path(root).glob("lib/rustlib/*/bin/gcc-ld"))


def linker_flags(workshop: Workshop, linker: str) -> list[str]:
    """Return the compiler flags that choose a linker of `LINKERS`."""
    if linker == "rustlld":
        return [f"-B{rust_lld()}", "-fuse-ld=lld"]
    if linker in {"lld14", "lld19"}:
        folder = workshop.path(f"bin-{linker}/ld.lld").parent
        if not (folder / "ld.lld").is_symlink():
            os.symlink(tool(f"ld.lld-{linker[3:]}", f"lld-{linker[3:]}"), folder / "ld.lld")
        return [f"-B{folder}", "-fuse-ld=lld"]
    return [f"-fuse-ld={linker}"]


def code_first_script() -> str:
    """Return GNU ld's script for shared objects, changed to put the code in front of the tables (shape 13).

    So newer GNU ld does by default; `.init` begins right behind the program headers.
    """
    text = run(["ld", "-shared", "-z", "separate-code", "--verbose"]).stdout.decode()
    script = text.split("=" * 50)[1].strip("=\n")
    begin = script.index("  .init           :")
    end = script.index("  . = ALIGN(CONSTANT (MAXPAGESIZE));", begin)
    code = script[begin:end]
    script = script[:begin] + script[end:]
    script = re.sub(r"  \. = ALIGN\(CONSTANT \(MAXPAGESIZE\)\);\n", "", script, count=1)
    note = script.index("  .note.gnu.build-id")
    jump = "  . = ALIGN(CONSTANT (MAXPAGESIZE)) + (. & (CONSTANT (MAXPAGESIZE) - 1));\n"
    return script[:note] + code + jump + script[note:]


def _compile(workshop: Workshop, source: str, name: str, *flags: str, compiler: str = "gcc") -> Path:
    target = workshop.path(f"objects/{name}.o")
    run([tool(compiler), "-O1", "-g1", "-c", "-fPIC", *flags, SOURCES / source, "-o", target])
    return target


def link(workshop: Workshop, name: str, linker: str, flags: Sequence[str], inputs: Sequence[str | Path]) -> Path:
    """Link a shared object with a SONAME of its own."""
    target = workshop.path(f"{name}.so")
    compiler = "g++" if any(str(part).endswith("cxx.o") for part in inputs) else "gcc"
    soname = () if name.endswith("no-soname") else (f"-Wl,-soname,lib{name}.so.1",)
    run(
        [
            tool(compiler),
            "-shared",
            *linker_flags(workshop, linker),
            *inputs,
            *flags,
            *soname,
            "-o",
            target,
            f"-L{workshop.deps}",
            "-ldep",
        ]
    )
    return target


def build_c(workshop: Workshop) -> None:
    """C libraries by every linker and option."""
    workshop.library_for_all()
    plain = _compile(workshop, "lib.c", "plain", "-DWITH_ZLIB")
    objects = {(): plain}
    for name, (linker, flags) in C_SHAPES.items():
        compile_flags = tuple(flag for flag in flags if flag.startswith(("-D", "-m", "-f")))
        if compile_flags not in objects:
            objects[compile_flags] = _compile(workshop, "lib.c", f"plain{len(objects)}", "-DWITH_ZLIB", *compile_flags)
        link_flags = [flag for flag in flags if flag not in compile_flags]
        workshop.add(name, link(workshop, name, linker, link_flags, [objects[compile_flags], "-lz", "-lm"]))

    script = workshop.path("code-first.ld")
    script.write_text(code_first_script())
    for name, extra in {"code-first": (), "code-first-norelro": ("-Wl,-z,norelro",)}.items():
        flags = [f"-Wl,-T,{script}", *extra]
        workshop.add(name, link(workshop, name, "bfd", flags, [plain, "-lz", "-lm"]))

    # Row 9: no DT_NULL inside PT_DYNAMIC. Loads by luck; no editor can add anything safely.
    bare = link(workshop, "no-spare-tag", "bfd", ["-Wl,--spare-dynamic-tags=0"], [plain, "-lz", "-lm"])
    workshop.add("no-spare-tag", bare, refused=True)


def build_cxx(workshop: Workshop) -> None:
    """C++ libraries with exceptions and RTTI."""
    workshop.library_for_all()
    plain = _compile(workshop, "lib.cc", "cxx", compiler="g++")
    for linker in LINKERS:
        for suffix, flags in {"": [], "-stripped": ["-s"], "-now": ["-Wl,-z,now"]}.items():
            name = f"cxx-{linker}{suffix}"
            workshop.add(name, link(workshop, name, linker, flags, [plain]))
    script = workshop.path("code-first.ld")
    script.write_text(code_first_script())
    workshop.add("cxx-code-first", link(workshop, "cxx-code-first", "bfd", [f"-Wl,-T,{script}"], [plain]))


def build_programs(workshop: Workshop) -> None:
    """Programs, position-independent and not, by every linker (row 16)."""
    workshop.library_for_all()
    for linker in LINKERS:
        for style in ("pie", "no-pie"):
            for suffix, extra in {
                "": [],
                "-rpath": ["-Wl,-rpath,/opt/a/longer/folder/than/any/lib"],
                "-s": ["-s"],
            }.items():
                target = workshop.path(f"{linker}-{style}{suffix}")
                code = ["-fPIE"] if style == "pie" else ["-fno-pie"]
                run(
                    [
                        tool("gcc"),
                        "-O1",
                        *code,
                        f"-{style}",
                        *linker_flags(workshop, linker),
                        SOURCES / "main.c",
                        SOURCES / "lib.c",
                        *extra,
                        "-o",
                        target,
                        f"-L{workshop.deps}",
                        "-ldep",
                        "-lm",
                    ]
                )
                workshop.add(f"program-{linker}-{style}{suffix}", target, kind="program")
    target = workshop.path("static-pie")
    run([tool("gcc"), "-O1", "-static-pie", SOURCES / "main.c", SOURCES / "tiny.c", "-o", target])
    workshop.add("program-static-pie", target, refused=True)
    target = workshop.path("static")
    run([tool("gcc"), "-O1", "-static", SOURCES / "main.c", SOURCES / "tiny.c", "-o", target])
    workshop.add("program-static", target, refused=True)
