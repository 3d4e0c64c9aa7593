"""Writing single fields of an ELF file by name, whatever its class and byte order: how good files are spoilt."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from .peek import PT_LOAD, program_headers

__all__ = ["Surgery"]

_EHDR = {
    64: {"type": (16, 2), "machine": (18, 2), "version": (20, 4), "phoff": (32, 8), "shoff": (40, 8),
         "ehsize": (52, 2), "phentsize": (54, 2), "phnum": (56, 2), "shentsize": (58, 2), "shnum": (60, 2),
         "shstrndx": (62, 2)},
    32: {"type": (16, 2), "machine": (18, 2), "version": (20, 4), "phoff": (28, 4), "shoff": (32, 4),
         "ehsize": (40, 2), "phentsize": (42, 2), "phnum": (44, 2), "shentsize": (46, 2), "shnum": (48, 2),
         "shstrndx": (50, 2)},
}  # fmt: skip
_PHDR = {
    64: {"type": (0, 4), "flags": (4, 4), "offset": (8, 8), "vaddr": (16, 8), "filesz": (32, 8), "memsz": (40, 8),
         "align": (48, 8)},
    32: {"type": (0, 4), "flags": (24, 4), "offset": (4, 4), "vaddr": (8, 4), "filesz": (16, 4), "memsz": (20, 4),
         "align": (28, 4)},
}  # fmt: skip
_SHDR = {
    64: {"name": (0, 4), "type": (4, 4), "flags": (8, 8), "addr": (16, 8), "offset": (24, 8), "size": (32, 8),
         "link": (40, 4), "info": (44, 4), "align": (48, 8), "entsize": (56, 8)},
    32: {"name": (0, 4), "type": (4, 4), "flags": (8, 4), "addr": (12, 4), "offset": (16, 4), "size": (20, 4),
         "link": (24, 4), "info": (28, 4), "align": (32, 4), "entsize": (36, 4)},
}  # fmt: skip
_LETTERS = {1: "B", 2: "H", 4: "I", 8: "Q"}
_SIZES = {64: (64, 56, 64, 16), 32: (52, 32, 40, 8)}


@dataclass
class Surgery:
    """A file opened for changes; `data` is the result."""

    data: bytearray

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self.order, self.bits, self.headers = program_headers(data)
        self.ehdr_size, self.phdr_size, self.shdr_size, self.dyn_size = _SIZES[self.bits]

    @property
    def word(self) -> int:
        """Size of an address, bytes."""
        return self.bits // 8

    def get(self, at: int, size: int) -> int:
        """Read an unsigned number."""
        return int(struct.unpack_from(self.order + _LETTERS[size], self.data, at)[0])

    def put(self, at: int, size: int, value: int) -> None:
        """Write an unsigned number, cut to its size."""
        struct.pack_into(self.order + _LETTERS[size], self.data, at, value & ((1 << 8 * size) - 1))

    def ehdr(self, field: str, value: int | None = None) -> int:
        """Return a field of the ELF header, after setting it if `value` is given."""
        at, size = _EHDR[self.bits][field]
        if value is not None:
            self.put(at, size, value)
        return self.get(at, size)

    def find_phdr(self, kind: int, nth: int = 0) -> int:
        """Return the index of the nth program header of a type; -1 for the last."""
        found = [index for index, entry in enumerate(self.headers) if entry[0] == kind]
        return found[nth]

    def phdr(self, index: int, field: str, value: int | None = None) -> int:
        """Return a field of a program header, after setting it if `value` is given."""
        at, size = _PHDR[self.bits][field]
        at += self.headers[index][-1]
        if value is not None:
            self.put(at, size, value)
        return self.get(at, size)

    def offset_of(self, address: int) -> int:
        """Return where in the file an address is."""
        for entry in self.headers:
            if entry[0] == PT_LOAD and entry[3] <= address < entry[3] + entry[4]:
                return entry[2] + address - entry[3]
        raise ValueError(f"address {address:#x} is not in the file")

    def _dynamic(self) -> range:
        index = self.find_phdr(2)
        start = self.phdr(index, "offset")
        return range(start, start + self.phdr(index, "filesz"), self.dyn_size)

    def find_dyn(self, tag: int, nth: int = 0) -> int:
        """Return where in the file the nth dynamic entry with a tag is."""
        found = [at for at in self._dynamic() if self.get(at, self.word) == tag]
        return found[nth]

    def has_dyn(self, tag: int) -> bool:
        """Tell whether there is a dynamic entry with a tag."""
        return any(self.get(at, self.word) == tag for at in self._dynamic())

    def dyn(self, tag: int, value: int | None = None, nth: int = 0) -> int:
        """Return the value of a dynamic entry, after setting it if `value` is given."""
        at = self.find_dyn(tag, nth) + self.word
        if value is not None:
            self.put(at, self.word, value)
        return self.get(at, self.word)

    def table(self, tag: int) -> int:
        """Return where in the file the table is that a dynamic entry points at."""
        return self.offset_of(self.dyn(tag))

    def find_shdr(self, name: str) -> int:
        """Return the index of a section."""
        start, size = self.ehdr("shoff"), self.shdr_size
        names = self._field(self.ehdr("shstrndx"), "offset")
        for index in range(self.ehdr("shnum")):
            at = names + self.get(start + index * size, 4)
            if self.data[at : self.data.index(0, at)].decode() == name:
                return index
        raise ValueError(f"no section {name}")

    def _field(self, index: int, field: str) -> int:
        at, size = _SHDR[self.bits][field]
        return self.get(self.ehdr("shoff") + index * self.shdr_size + at, size)

    def shdr(self, name: str, field: str, value: int | None = None) -> int:
        """Return a field of a section header, after setting it if `value` is given."""
        index = self.find_shdr(name)
        at, size = _SHDR[self.bits][field]
        if value is not None:
            self.put(self.ehdr("shoff") + index * self.shdr_size + at, size, value)
        return self._field(index, field)

    def code_sections(self) -> list[tuple[int, int]]:
        """Return where in the file each section with code begins and ends."""
        count = self.ehdr("shnum") if self.ehdr("shoff") else 0
        code = [index for index in range(count) if self._field(index, "flags") & 4]
        return [(self._field(i, "offset"), self._field(i, "offset") + self._field(i, "size")) for i in code]

    def swap(self, first: int, second: int) -> None:
        """Exchange two program headers."""
        a, b = self.headers[first][-1], self.headers[second][-1]
        size = self.phdr_size
        self.data[a : a + size], self.data[b : b + size] = self.data[b : b + size], self.data[a : a + size]
