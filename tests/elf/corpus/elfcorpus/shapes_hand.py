"""Shapes that no linker option makes: generated sources, files changed by hand, sections cut off, data appended."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import TYPE_CHECKING

from .peek import DT_NEEDED, DT_NULL, DT_RPATH, DT_RUNPATH, dynamic_offset, program_headers
from .shapes_linkers import linker_flags
from .tools import SOURCES, run, tool

if TYPE_CHECKING:
    from pathlib import Path

    from .family import Workshop

__all__ = ["build_generated", "build_hand", "double_rpath", "sectionless"]

PT_GNU_STACK = 0x6474E551


def sectionless(data: bytes) -> bytes:
    """Return a 64-bit little-endian file without section headers, cut behind its last segment (row 25)."""
    _, _, headers = program_headers(data)
    end = max(entry[2] + entry[4] for entry in headers if entry[0] == 1)
    out = bytearray(data[:end])
    struct.pack_into("<Q", out, 40, 0)
    struct.pack_into("<HH", out, 60, 0, 0)
    return bytes(out)


def double_rpath(data: bytes) -> bytes:
    """Return a file with DT_RPATH behind its DT_RUNPATH, both with one string, in a spare entry (row 22)."""
    out = bytearray(data)
    start, size = dynamic_offset(data)
    value = next(v for t, v in struct.iter_unpack("<QQ", data[start : start + size]) if t in {DT_RUNPATH, DT_RPATH})
    for at in range(start, start + size, 16):
        if struct.unpack_from("<Q", out, at)[0] == DT_NULL:
            struct.pack_into("<QQ", out, at, DT_RPATH, value)
            return bytes(out)
    raise ValueError("no spare entry")


def _without_stack(data: bytes) -> bytes:
    """Turn PT_GNU_STACK into PT_NULL (row 30)."""
    out = bytearray(data)
    for entry in program_headers(data)[2]:
        if entry[0] == PT_GNU_STACK:
            struct.pack_into("<I", out, entry[-1], 0)
    return bytes(out)


def _twice_needed(data: bytes) -> bytes:
    """Repeat the last DT_NEEDED in a spare entry: two equal ones, and one behind all other entries."""
    out = bytearray(data)
    start, size = dynamic_offset(data)
    value = [v for t, v in struct.iter_unpack("<QQ", data[start : start + size]) if t == DT_NEEDED][-1]
    for at in range(start, start + size, 16):
        if struct.unpack_from("<Q", out, at)[0] == DT_NULL:
            struct.pack_into("<QQ", out, at, DT_NEEDED, value)
            return bytes(out)
    raise ValueError("no spare entry")


def build_hand(workshop: Workshop) -> None:
    """Files changed after linking, and split debug files."""
    workshop.library_for_all()
    cc = [tool("gcc"), "-O1", "-g", "-shared", "-fPIC", SOURCES / "lib.c", f"-L{workshop.deps}"]
    libs = ["-lm", "-ldep"]
    rpath = "-Wl,-rpath,/opt/x/lib"
    for linker in ("bfd", "gold", "lld14", "mold"):
        base = workshop.path(f"base-{linker}.so")
        run([*cc, *linker_flags(workshop, linker), f"-Wl,-soname,libbase{linker}.so.1", rpath, *libs, "-o", base])
        data = base.read_bytes()
        changes = {"sectionless": sectionless, "no-stack-header": _without_stack}
        if linker != "lld14":  # which leaves no spare entry
            changes |= {"rpath-and-runpath": double_rpath, "needed-twice": _twice_needed}
        for name, change in changes.items():
            target = workshop.path(f"{name}-{linker}.so")
            target.write_bytes(change(data))
            workshop.add(f"{name}-{linker}", target)

        # Row 28. The debug file's PT_DYNAMIC points at bytes that are not a dynamic section.
        debug, linked, packed = (workshop.path(f"{name}-{linker}.so") for name in ("debug", "debuglink", "debugdata"))
        run([tool("objcopy"), "--only-keep-debug", base, debug])
        workshop.add(f"debug-file-{linker}", debug, refused=True)
        run([tool("objcopy"), "--strip-debug", f"--add-gnu-debuglink={debug}", base, linked])
        workshop.add(f"debuglink-{linker}", linked)
        xz = workshop.path(f"debug-{linker}.xz")
        xz.write_bytes(__import__("lzma").compress(debug.read_bytes()))
        run([tool("objcopy"), "--strip-debug", "--add-section", f".gnu_debugdata={xz}", base, packed])
        workshop.add(f"debugdata-{linker}", packed)

        # Row 29. A zip behind the last byte, as self-extracting programs have.
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.writestr("inside.txt", "hello" * 100)
        overlay = workshop.path(f"overlay-{linker}.so")
        overlay.write_bytes(data + archive.getvalue())
        # Those of LLVM and mold have no room for another dynamic entry: the file would have to grow, and cannot.
        workshop.add(f"overlay-{linker}", overlay, refused=linker in {"lld14", "mold"})


def _shared(workshop: Workshop, name: str, source: Path, *flags: str | Path) -> Path:
    target = workshop.path(f"{name}.so")
    run([tool("gcc"), "-O1", "-shared", "-fPIC", source, "-o", target, *flags])
    return target


def build_generated(workshop: Workshop) -> None:
    """Shared tails of strings, many symbols, long names, many sections, version definitions."""
    workshop.library_for_all()
    dep = (f"-L{workshop.deps}", "-ldep")
    tail = SOURCES / "shared_tail.c"
    # Rows 21 and 22: symbols `lib` and `so` are tails of the RPATH and of the SONAME.
    for name, flags in {
        "tail-rpath": ("-Wl,-rpath,/x/lib", "-Wl,-soname,libtail.so"),
        "tail-soname": ("-Wl,-soname,xlib",),
        "tail-soname-is-symbol": ("-Wl,-soname,lib",),
        "tail-gold": ("-fuse-ld=gold", "-Wl,-O2", "-Wl,-rpath,/x/lib", "-Wl,-soname,lib.so"),
        "tail-lld": ("-fuse-ld=lld", "-Wl,-O2", "-Wl,-rpath,/x/lib", "-Wl,-soname,lib.so"),
    }.items():
        workshop.add(name, _shared(workshop, name, tail, *flags, *dep))

    # Version definitions: the base one has the SONAME as its name.
    versions = workshop.path("chain.map")
    versions.write_text(
        "V_1 { global: probe; local: *; };\nV_2 { global: lib; } V_1;\nV_3 { global: so; } V_2;\nV_4 {} V_1;\n"
    )
    for linker in ("bfd", "gold", "lld14", "mold"):
        name = f"verdef-{linker}"
        flags = [*linker_flags(workshop, linker), f"-Wl,--version-script={versions}", f"-Wl,-soname,lib{name}.so.1"]
        workshop.add(name, _shared(workshop, name, tail, *flags, *dep))

    # Row 23: one symbol and no library at all; then 100,000 symbols.
    for linker in ("bfd", "gold", "lld14", "mold"):
        name = f"tiny-{linker}"
        flags = [*linker_flags(workshop, linker), "-nostdlib", f"-Wl,-soname,{name}.so"]
        workshop.add(name, _shared(workshop, name, SOURCES / "tiny.c", *flags))
    many = workshop.path("many.s")
    lines = [".data"]
    for index in range(100_000):
        lines.append(f".globl symbol_{index:06d}\nsymbol_{index:06d}: .long {index}")
    many.write_text("\n".join(lines) + '\n.section .note.GNU-stack,"",@progbits\n')
    for linker in ("bfd", "lld14", "mold"):
        name = f"many-symbols-{linker}"
        flags = [*linker_flags(workshop, linker), f"-Wl,-soname,lib{name}.so.1"]
        target = workshop.path(f"{name}.so")
        run([tool("gcc"), "-shared", "-fPIC", "-O1", many, tail, "-o", target, *flags, *dep])
        workshop.add(name, target)

    # Row 24: a name of 100 KB; more sections than e_shnum can hold.
    long = workshop.path("long.s")
    name_100k = "n" * 100_000
    long.write_text(f'.data\n.globl {name_100k}\n{name_100k}: .long 1\n.section .note.GNU-stack,"",@progbits\n')
    target = workshop.path("long-name.so")
    run([tool("gcc"), "-shared", "-fPIC", "-O1", long, tail, "-o", target, "-Wl,-soname,liblong.so", *dep])
    workshop.add("long-name", target)
    sections = workshop.path("sections.s")
    body = "".join(f'.section .s{index:x},"a"\n.byte 1\n' for index in range(66_000))
    sections.write_text(body + '.section .note.GNU-stack,"",@progbits\n')
    target = workshop.path("many-sections.so")
    flags = [*linker_flags(workshop, "bfd"), "-Wl,-soname,libsections.so"]
    run([tool("gcc"), "-shared", "-fPIC", "-O1", sections, tail, "-o", target, *flags, *dep])
    workshop.add("many-sections", target)
