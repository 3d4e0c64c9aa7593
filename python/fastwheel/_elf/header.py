"""The ELF header (`Elfxx_Ehdr`) and the reading of integers by class and byte order.

Source: System V gABI, chapter 4. Every reader of this package takes the file's bytes and the `Header`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from fastwheel.errors import ElfError

__all__ = [
    "EHDR_SIZE",
    "EM_386",
    "EM_ALPHA",
    "EM_MIPS",
    "EM_S390",
    "EM_X86_64",
    "ET_CORE",
    "ET_DYN",
    "ET_EXEC",
    "PN_XNUM",
    "Header",
    "read_header",
    "u16",
    "u32",
    "word",
]

ET_EXEC: Final = 2
ET_DYN: Final = 3
ET_CORE: Final = 4

EM_386: Final = 3
EM_MIPS: Final = 8
EM_S390: Final = 22
EM_X86_64: Final = 62
EM_ALPHA: Final = 0x9026

#: e_phnum of a file with too many program headers to count there; no loader takes it.
PN_XNUM: Final = 0xFFFF

#: Size of the ELF header in bytes, by class.
EHDR_SIZE: Final = {32: 52, 64: 64}

_PHDR_SIZE: Final = {32: 32, 64: 56}


@dataclass(frozen=True, slots=True)
class Header:
    """The ELF header; the names are the gABI's without their `e_`.

    Attributes:
        bits: 32 or 64, from EI_CLASS.
        order: "<" or ">", from EI_DATA, as `struct` spells it.

    """

    bits: int
    order: str
    osabi: int
    abi_version: int
    type: int
    machine: int
    phoff: int
    shoff: int
    flags: int
    phentsize: int
    phnum: int
    shentsize: int
    shnum: int
    shstrndx: int


def u16(data: bytes | memoryview, header: Header, offset: int) -> int:
    """Return the 16-bit integer at `offset`, which is known to be inside the file."""
    return int(struct.unpack_from(header.order + "H", data, offset)[0])


def u32(data: bytes | memoryview, header: Header, offset: int) -> int:
    """Return the 32-bit integer at `offset`, which is known to be inside the file."""
    return int(struct.unpack_from(header.order + "I", data, offset)[0])


def word(data: bytes | memoryview, header: Header, offset: int) -> int:
    """Return the unsigned integer of the class' size at `offset`, which is known to be inside the file."""
    return int(struct.unpack_from(header.order + ("Q" if header.bits == 64 else "I"), data, offset)[0])


def read_header(data: bytes | memoryview) -> Header:
    """Read the ELF header and check that the program-header table lies in the file.

    Raises:
        ElfError: FW300 no magic; FW301 the file ends too early; FW302 a field that no loader takes.

    """
    size = len(data)
    if size < 4 or bytes(data[:4]) != b"\x7fELF":
        raise ElfError("FW300", "not an ELF file: no magic number")
    if size < 16:
        raise ElfError("FW301", f"e_ident: the file has {size} bytes")
    if data[4] not in {1, 2}:
        raise ElfError("FW302", f"EI_CLASS is {data[4]}")
    if data[5] not in {1, 2}:
        raise ElfError("FW302", f"EI_DATA is {data[5]}")
    if data[6] != 1:
        raise ElfError("FW302", f"EI_VERSION is {data[6]}")
    bits = 32 if data[4] == 1 else 64
    order = "<" if data[5] == 1 else ">"
    if size < EHDR_SIZE[bits]:
        raise ElfError("FW301", f"ELF header: the file has {size} bytes of {EHDR_SIZE[bits]}")
    fields = struct.unpack_from(order + ("HHIQQQIHHHHHH" if bits == 64 else "HHIIIIIHHHHHH"), data, 16)
    header = Header(
        bits=bits,
        order=order,
        osabi=data[7],
        abi_version=data[8],
        type=fields[0],
        machine=fields[1],
        phoff=fields[4],
        shoff=fields[5],
        flags=fields[6],
        phentsize=fields[8],
        phnum=fields[9],
        shentsize=fields[10],
        shnum=fields[11],
        shstrndx=fields[12],
    )
    if fields[2] != 1:
        raise ElfError("FW302", f"e_version is {fields[2]}")
    if header.phnum == PN_XNUM:
        raise ElfError("FW302", "e_phnum is 0xffff")
    if header.phnum > 0:
        if header.phentsize != _PHDR_SIZE[bits]:
            raise ElfError("FW302", f"e_phentsize is {header.phentsize}, not {_PHDR_SIZE[bits]}")
        if header.phoff > size or header.phnum * header.phentsize > size - header.phoff:
            raise ElfError("FW301", "e_phoff, e_phnum: the program-header table ends behind the file")
    return header
