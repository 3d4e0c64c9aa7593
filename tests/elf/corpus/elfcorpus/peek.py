"""A second opinion on ELF files: the few facts that the judge needs, read apart from the code under test."""

from __future__ import annotations

import struct
from dataclasses import dataclass

__all__ = ["Peek", "dynamic_offset", "peek", "program_headers"]

PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
DT_NULL, DT_NEEDED, DT_STRTAB, DT_SONAME, DT_RPATH, DT_RUNPATH = 0, 1, 5, 14, 15, 29


@dataclass(frozen=True, slots=True)
class Peek:
    """The strings of the dynamic section; all in file order."""

    bits: int
    order: str
    type: int
    machine: int
    interpreter: bool
    dynamic: bool
    needed: tuple[str, ...]
    soname: str | None
    rpath: str | None
    runpath: str | None


def program_headers(data: bytes) -> tuple[str, int, list[tuple[int, ...]]]:
    """Return (byte order, bits, [(type, flags, offset, vaddr, filesz, memsz, align, entry offset)])."""
    if data[:4] != b"\x7fELF" or len(data) < 52:
        raise ValueError("not ELF")
    bits = {1: 32, 2: 64}[data[4]]
    order = {1: "<", 2: ">"}[data[5]]
    if bits == 64:
        (start,) = struct.unpack_from(order + "Q", data, 32)
        size, count = struct.unpack_from(order + "HH", data, 54)
        form, pick = "IIQQQQQQ", (0, 1, 2, 3, 5, 6, 7)
    else:
        (start,) = struct.unpack_from(order + "I", data, 28)
        size, count = struct.unpack_from(order + "HH", data, 42)
        form, pick = "IIIIIIII", (0, 6, 1, 2, 4, 5, 7)
    found = []
    for index in range(count):
        at = start + index * size
        fields = struct.unpack_from(order + form, data, at)
        found.append((*(fields[i] for i in pick), at))
    return order, bits, found


def dynamic_offset(data: bytes) -> tuple[int, int]:
    """Return (offset, size) of PT_DYNAMIC in the file."""
    for entry in program_headers(data)[2]:
        if entry[0] == PT_DYNAMIC:
            return entry[2], entry[4]
    raise ValueError("no PT_DYNAMIC")


def peek(data: bytes) -> Peek:
    """Read `data`; ValueError, KeyError or struct.error on anything that is not a sane ELF file."""
    order, bits, headers = program_headers(data)
    kind, machine = struct.unpack_from(order + "HH", data, 16)
    entries: list[tuple[int, int]] = []
    word = order + ("QQ" if bits == 64 else "II")
    step = struct.calcsize(word)
    for header in headers:
        if header[0] == PT_DYNAMIC:
            for at in range(header[2], header[2] + header[4] - step + 1, step):
                tag, value = struct.unpack_from(word, data, at)
                if tag == DT_NULL:
                    break
                entries.append((tag, value))
    table = next((value for tag, value in entries if tag == DT_STRTAB), None)
    base = None
    for header in headers:
        if table is not None and header[0] == PT_LOAD and header[3] <= table < header[3] + header[4]:
            base = header[2] + table - header[3]

    def text(value: int) -> str:
        if base is None:
            raise ValueError("DT_STRTAB is not in the file")
        return data[base + value : data.index(b"\0", base + value)].decode(errors="surrogateescape")

    def last(wanted: int) -> str | None:
        values = [text(value) for tag, value in entries if tag == wanted]
        return values[-1] if values else None

    return Peek(
        bits=bits,
        order=order,
        type=kind,
        machine=machine,
        interpreter=any(header[0] == PT_INTERP for header in headers),
        dynamic=bool(entries),
        needed=tuple(text(value) for tag, value in entries if tag == DT_NEEDED),
        soname=last(DT_SONAME),
        rpath=last(DT_RPATH),
        runpath=last(DT_RUNPATH),
    )
