"""Builds tiny ELF shared objects, of either class and byte order, without a compiler.

The first segment holds what the loader reads, in any order; then come code, data, and what is not loaded. What a test
wants to be in the way, or out of it, it says with the fields of `Shape`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

PAGE = 0x1000

_TYPES = {
    "hash": 5,
    "gnu_hash": 0x6FFFFFF6,
    "dynsym": 11,
    "dynstr": 3,
    "versym": 0x6FFFFFFF,
    "verneed": 0x6FFFFFFE,
    "verdef": 0x6FFFFFFD,
    "rela": 4,
    "rodata": 1,
    "note": 7,
    "interp": 1,
    "text": 1,
    "dynamic": 6,
    "data": 1,
    "bss": 8,
    "relro_padding": 8,
}

#: The relocation that adds the load address and nothing else, by machine.
_RELATIVE = {21: 22, 22: 12, 183: 1027, 258: 3}


@dataclass
class Shape:
    """What to build. `tables` is the order of the first segment; `rodata` is a table that nobody may move."""

    bits: int = 64
    order: str = "<"
    machine: int = 62
    type: int = 3
    needed: tuple[str, ...] = ("libz.so.1", "libc.so.6")
    soname: str | None = "libtiny.so.1"
    runpath: str | None = None
    rpath: str | None = None
    undefined: tuple[str, ...] = ("deflate", "puts")
    defined: tuple[str, ...] = ("tiny_one", "tiny_two")
    versions: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("libz.so.1", ("ZLIB_1.2",)),
        ("libc.so.6", ("GLIBC_2.2.5", "GLIBC_2.17")),
    )
    definitions: tuple[str, ...] = ()
    tables: tuple[str, ...] = ("gnu_hash", "dynsym", "dynstr", "versym", "verdef", "verneed", "rela")
    gap: int = 0  # zero bytes behind dynstr
    spare: int = 4  # DT_NULLs behind the first
    padded: bool = True  # each segment begins on its own page of the file
    align: int = PAGE
    sections: bool = True
    interp: bool = False
    phdr: bool = False
    null: bool = False  # a PT_NULL at the end of the program headers
    phdr_gap: int = 0  # zero bytes behind the program headers
    note: bool = False
    bss: int = 0
    relro_padding: int = 0
    relacount: bool = False
    overlay: bytes = b""
    extra: tuple[tuple[int, int], ...] = ()  # more dynamic entries
    dead: bytes = b""  # put into dynstr, behind the first NUL
    symtab: bool = False  # a .symtab that names _DYNAMIC and the section of dynstr


@dataclass
class _Part:
    name: str
    content: bytes
    align: int
    offset: int = 0
    address: int = 0
    size: int = 0
    flags: int = 2


def sysv_hash(name: bytes) -> int:
    value = 0
    for byte in name:
        value = (value << 4) + byte
        value ^= value >> 24 & 0xF0
        value &= 0x0FFFFFFF
    return value


def _gnu_hash(name: bytes) -> int:
    value = 5381
    for byte in name:
        value = value * 33 + byte & 0xFFFFFFFF
    return value


@dataclass
class _Builder:
    shape: Shape
    strings: bytearray = field(default_factory=lambda: bytearray(b"\0"))

    def string(self, text: str) -> int:
        raw = text.encode() + b"\0"
        found = self.strings.find(raw)
        if found >= 0:
            return found
        self.strings += raw
        return len(self.strings) - len(raw)

    def pack(self, form: str, *values: int) -> bytes:
        return struct.pack(self.shape.order + form, *values)

    def word(self, *values: int) -> bytes:
        return self.pack(("Q" if self.shape.bits == 64 else "I") * len(values), *values)

    def symbol(self, name: int, info: int, section: int, value: int) -> bytes:
        if self.shape.bits == 64:
            return self.pack("IBBHQQ", name, info, 0, section, value, 0)
        return self.pack("IIIBBH", name, value, 0, info, 0, section)

    def tables(self) -> dict[str, bytes]:
        shape = self.shape
        self.strings += shape.dead
        index = 2 + len(shape.definitions)
        needs: list[tuple[str, list[tuple[str, int]]]] = []
        for name, versions in shape.versions:
            numbered = []
            for version in versions:
                numbered.append((version, index))
                index += 1
            needs.append((name, numbered))
        first = needs[0][1][0][1] if needs and needs[0][1] else 1
        symbols = [self.symbol(0, 0, 0, 0)]
        versym = [0]
        for number, name in enumerate(shape.undefined):
            symbols.append(self.symbol(self.string(name), 0x12, 0, 0))
            versym.append(first if number == 0 else 1)
        for name in shape.defined:
            symbols.append(self.symbol(self.string(name), 0x12, 1, 0x10))
            versym.append(2 if shape.definitions else 1)
        found = {"dynsym": b"".join(symbols), "versym": self.pack(f"{len(versym)}H", *versym)}
        count = len(symbols)
        chain = [*range(2, count), 0] if count > 1 else []
        values = [1, count, 1 if count > 1 else 0, 0, *chain]
        # 64-bit s390 has words of 8 bytes here
        found["hash"] = self.pack(f"{len(values)}{'Q' if shape.bits == 64 and shape.machine == 22 else 'I'}", *values)
        found["gnu_hash"] = self.gnu_hash(1 + len(shape.undefined))
        found["verneed"] = self.verneed(needs)
        found["verdef"] = self.verdef()
        found["rela"] = self.word(0, _RELATIVE.get(shape.machine, 8), 0)
        found["rodata"] = b"constant data of this file"
        found["note"] = self.pack("III", 4, 20, 3) + b"GNU\0" + bytes(range(20))
        found["interp"] = b"/lib64/ld-tiny.so.2\0"
        return found

    def gnu_hash(self, first: int) -> bytes:
        shape = self.shape
        if not shape.defined:
            return self.pack("IIII", 1, 1, 1, 0) + self.word(0) + self.pack("I", 0)
        chain = [_gnu_hash(name.encode()) & ~1 for name in shape.defined]
        chain[-1] |= 1
        bloom = self.word((1 << shape.bits) - 1)
        return self.pack("IIII", 1, first, 1, 6) + bloom + self.pack("I", first) + self.pack(f"{len(chain)}I", *chain)

    def verneed(self, needs: list[tuple[str, list[tuple[str, int]]]]) -> bytes:
        result = b""
        for number, (name, versions) in enumerate(needs):
            more = 16 * (1 + len(versions)) if number + 1 < len(needs) else 0
            result += self.pack("HHIII", 1, len(versions), self.string(name), 16 if versions else 0, more)
            for rank, (version, index) in enumerate(versions):
                step = 16 if rank + 1 < len(versions) else 0
                result += self.pack("IHHII", sysv_hash(version.encode()), 0, index, self.string(version), step)
        return result

    def verdef(self) -> bytes:
        shape = self.shape
        if not shape.definitions:
            return b""
        names = [shape.soname or "x", *shape.definitions]
        result = b""
        for number, name in enumerate(names):
            more = 28 if number + 1 < len(names) else 0
            flags = 1 if number == 0 else 0
            result += self.pack("HHHHIII", 1, flags, number + 1, 1, sysv_hash(name.encode()), 20, more)
            result += self.pack("II", self.string(name), 0)
        return result


def _round(value: int, align: int) -> int:
    return (value + align - 1) // align * align


def build(shape: Shape) -> bytes:
    """Return the file."""
    builder = _Builder(shape)
    bits = shape.bits
    wide = bits == 64
    word = bits // 8
    needed = [builder.string(name) for name in shape.needed]
    single = [
        (tag, builder.string(text))
        for tag, text in ((14, shape.soname), (15, shape.rpath), (29, shape.runpath))
        if text is not None
    ]
    contents = builder.tables()
    contents["dynstr"] = bytes(builder.strings)
    names = list(shape.tables)
    if not shape.definitions and "verdef" in names:
        names.remove("verdef")
    if not shape.versions:
        names = [name for name in names if name not in {"verneed", "versym"}]
    if shape.note:
        names.insert(0, "note")
    if shape.interp:
        names.insert(0, "interp")
    count = 5 + shape.phdr + shape.interp + shape.note + shape.null
    ehdr, phent = (64, 56) if wide else (52, 32)
    parts: list[_Part] = []
    at = ehdr + count * phent + shape.phdr_gap
    for name in names:
        align = {"dynstr": 1, "versym": 2, "note": 4, "interp": 1, "rodata": 1}.get(name, word)
        at = _round(at, align)
        parts.append(_Part(name, contents[name], align, at, at, len(contents[name])))
        at += len(contents[name]) + (shape.gap if name == "dynstr" else 0)
    first_end = at

    def next_segment(offset: int, address: int) -> tuple[int, int]:
        if shape.padded:
            offset = _round(offset, PAGE)
        base = _round(address, shape.align)
        return offset, base + offset % shape.align

    text_at = next_segment(first_end, first_end)
    text = _Part("text", b"\xc3" * 16, 16, *text_at, 16, 6)
    text_start = text_at
    data_at = next_segment(text_at[0] + 16, text_at[1] + 16)
    data_at = (_round(data_at[0], word), _round(data_at[1], word))
    by_name = {part.name: part for part in parts}
    entries = [(1, value) for value in needed] + single
    for name, tag in (("hash", 4), ("gnu_hash", 0x6FFFFEF5), ("dynstr", 5), ("dynsym", 6)):
        if name in by_name:
            entries.append((tag, by_name[name].address))
    entries.append((10, len(contents["dynstr"])))
    entries.append((11, 24 if wide else 16))
    if "rela" in by_name:
        entries += [(7, by_name["rela"].address), (8, by_name["rela"].size), (9, 3 * word)]
    for name, tag in (("versym", 0x6FFFFFF0), ("verneed", 0x6FFFFFFE), ("verdef", 0x6FFFFFFC)):
        if name in by_name:
            entries.append((tag, by_name[name].address))
    if "verneed" in by_name:
        entries.append((0x6FFFFFFF, len(shape.versions)))
    if "verdef" in by_name:
        entries.append((0x6FFFFFFD, 1 + len(shape.definitions)))
    if shape.relacount:
        entries.append((0x6FFFFFF9, 1))
    entries += list(shape.extra)
    table = b"".join(builder.word(tag, value) for tag, value in entries) + bytes((1 + shape.spare) * 2 * word)
    dynamic = _Part("dynamic", table, word, *data_at, len(table), 3)
    data = _Part("data", b"variable", word, data_at[0] + len(table), data_at[1] + len(table), 8, 3)
    data_end = data.offset + 8
    nobits: list[_Part] = []
    more = shape.bss or shape.relro_padding
    if more:
        name = "bss" if shape.bss else "relro_padding"
        nobits.append(_Part(name, b"", 1, data_end, data.address + 8, more, 3))
    parts += [text, dynamic, data]

    segments: list[tuple[int, int, int, int, int, int, int]] = []
    if shape.phdr:
        segments.append((6, 4, ehdr, ehdr, count * phent, count * phent, 8))
    if shape.interp:
        part = by_name["interp"]
        segments.append((3, 4, part.offset, part.address, part.size, part.size, 1))
    size = data_end - data_at[0]
    segments += [
        (1, 4, 0, 0, first_end, first_end, shape.align),
        (1, 5, *text_start, 16, 16, shape.align),
        (1, 6, *data_at, size, size + more, shape.align),
        (2, 6, dynamic.offset, dynamic.address, len(table), len(table), word),
        (0x6474E551, 6, 0, 0, 0, 0, 16),
    ]
    if shape.note:
        part = by_name["note"]
        segments.append((4, 4, part.offset, part.address, part.size, part.size, 4))
    if shape.null:
        segments.append((0, 0, 0, 0, 0, 0, 0))

    output = bytearray(data_end)
    for part in parts:
        output[part.offset : part.offset + len(part.content)] = part.content
    for number, (kind, flags, offset, address, filesz, memsz, align) in enumerate(segments):
        place = ehdr + number * phent
        if wide:
            raw = builder.pack("IIQQQQQQ", kind, flags, offset, address, address, filesz, memsz, align)
        else:
            raw = builder.pack("IIIIIIII", kind, offset, address, address, filesz, memsz, flags, align)
        output[place : place + phent] = raw
    shoff = shnum = shstrndx = 0
    if shape.sections:
        shoff, shnum, shstrndx = _add_sections(builder, output, [*parts, *nobits])
    fields = (shape.type, shape.machine, 1, 0, ehdr, shoff, 0, ehdr, phent, count)
    tail = (64 if wide else 40, shnum, shstrndx)
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if shape.order == "<" else 2, 1, 0]) + bytes(8)
    form = "HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"
    output[:ehdr] = ident + builder.pack(form, *fields, *tail)
    return bytes(output) + shape.overlay


def _add_sections(builder: _Builder, output: bytearray, parts: list[_Part]) -> tuple[int, int, int]:
    shape = builder.shape
    wide = shape.bits == 64
    names = bytearray(b"\0")
    order = ["", *(part.name for part in parts)]
    index = {name: number for number, name in enumerate(order)}
    rows: list[tuple[int, int, int, int, int, int, int, int, int, int]] = [(0,) * 10]
    for part in parts:
        name = len(names)
        names += f".{part.name}".encode() + b"\0"
        link = {"dynsym": "dynstr", "dynamic": "dynstr", "verneed": "dynstr", "verdef": "dynstr"}.get(part.name, "")
        if part.name in {"hash", "gnu_hash", "versym", "rela"}:
            link = "dynsym"
        info = {"verneed": len(shape.versions), "verdef": 1 + len(shape.definitions), "dynsym": 1}.get(part.name, 0)
        rows.append(
            (
                name,
                _TYPES[part.name],
                part.flags,
                part.address,
                part.offset,
                part.size,
                index.get(link, 0),
                info,
                part.align,
                {"dynsym": 24 if wide else 16, "versym": 2, "dynamic": 16 if wide else 8}.get(part.name, 0),
            )
        )
    if shape.symtab:
        strings = b"\0_DYNAMIC\0"
        dynamic, dynstr = parts[index["dynamic"] - 1], parts[index["dynstr"] - 1]
        content = (
            builder.symbol(0, 0, 0, 0)
            + builder.symbol(0, 3, index["dynstr"], dynstr.address)
            + builder.symbol(1, 1, index["dynamic"], dynamic.address)
        )
        name = len(names)
        names += b".symtab\0.strtab\0"
        while len(output) % 8:
            output += b"\0"
        rows.append((name, 2, 0, 0, len(output), len(content), len(rows) + 1, 3, 8, 24 if wide else 16))
        output += content
        rows.append((name + 8, 3, 0, 0, len(output), len(strings), 0, 0, 1, 0))
        output += strings
    rows.append((len(names), 3, 0, 0, len(output), len(names) + 10, 0, 0, 1, 0))
    names += b".shstrtab\0"
    output += names
    while len(output) % 8:
        output += b"\0"
    shoff = len(output)
    for row in rows:
        output += builder.pack("IIQQQQIIQQ" if wide else "IIIIIIIIII", *row)
    return shoff, len(rows), len(rows) - 1
