"""Writes the seed corpus, `seeds`: one tiny image for each layout and machine, with a request of `edit_reload` in it.

python rust/fuzz/make_seeds.py
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent / "tests" / "elf"))
sys.path.insert(0, str(HERE.parent.parent / "tests" / "core"))

from elf_images import Shape, build  # noqa: E402
from engine_cases import MACHINES  # noqa: E402

#: What `edit_reload` takes the bytes 9 to 15 of e_ident for: nothing, much, some, removals, long names.
REQUESTS = (
    bytes(7),
    b"\x0f\0\x11\1\2\3\4",
    b"\x1b\0\xb6\1\2\3\4",
    b"\xbf\x10\x4d\x81\2\x91\4",
    b"\x05\1\xff\1\2\3\4",
)

_ORDER = ("gnu_hash", "dynsym", "dynstr", "versym", "verneed", "rela")
SHAPES: dict[str, dict[str, object]] = {
    "plain": {},
    "gap": {"gap": 200},
    "rodata-behind-strings": {"tables": (*_ORDER[:3], "rodata", *_ORDER[3:])},
    "strings-last": {"tables": ("gnu_hash", "dynsym", "versym", "verneed", "rela", "dynstr")},
    "no-spare-tag": {"spare": 0},
    "no-spare-tag-relacount": {"spare": 0, "relacount": True},
    "pt-null": {"null": True, "bss": 1},
    "pt-phdr": {"phdr": True, "bss": 1, "align": 16},
    "phdr-gap": {"phdr_gap": 120, "bss": 1, "align": 16},
    "note-behind-phdr": {"note": True, "bss": 1, "align": 16, "spare": 0},
    "program": {"interp": True, "phdr": True, "type": 2, "soname": None},
    "bss": {"bss": 5000},
    "relro-padding": {"relro_padding": 500},
    "sectionless": {"sections": False},
    "sectionless-no-hash": {"sections": False, "tables": ("dynsym", "versym", "verneed", "rela", "dynstr")},
    "definitions": {"definitions": ("V_1", "V_2")},
    "symtab": {"symtab": True},
    "sysv-hash": {"tables": ("hash", *_ORDER[1:4], "verdef", *_ORDER[4:])},
    "dead-strings": {"dead": b"libdead.so.1\0unused\0" * 4},
    "unknown-tag": {"extra": ((0x6000000F, 1),)},
    "mips": {"bits": 32, "order": ">", "machine": 8, "extra": ((0x70000035, 0x40),)},
    "overlay": {"overlay": b"PK" + bytes(40)},
    "rpath-and-runpath": {"rpath": "/usr/lib/old", "runpath": "$ORIGIN/lib"},
    "many-symbols": {
        "undefined": tuple(f"function_{n}" for n in range(40)),
        "defined": tuple(f"PyInit_{n}" for n in range(40)),
    },
    **{
        f"machine-{name}": {"bits": bits, "order": order, "machine": machine}
        for name, bits, order, machine in MACHINES[1:]
    },
}

for rank, (name, fields) in enumerate(SHAPES.items()):
    data = bytearray(build(Shape(**{"padded": False, **fields})))
    data[9:16] = REQUESTS[rank % len(REQUESTS)]
    (HERE / "seeds" / name).write_bytes(data)
