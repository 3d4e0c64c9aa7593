"""Relocations, as far as DT_RELACOUNT and DT_RELCOUNT speak of them.

Source: the processor supplements; `_dl_relocate_object` of the GNU C library.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from fastwheel._elf.dynamic import DT_REL, DT_RELA, DT_RELACOUNT, DT_RELASZ, DT_RELSZ, last
from fastwheel._elf.segment import file_offset

if TYPE_CHECKING:
    from fastwheel._elf.image import Image

__all__ = ["is_hint"]

#: (e_machine, the type of a relocation that adds the load address and nothing else)
_RELATIVE: Final = (
    (2, 22),  # EM_SPARC
    (3, 8),  # EM_386
    (4, 22),  # EM_68K
    (18, 22),  # EM_SPARC32PLUS
    (20, 22),  # EM_PPC
    (21, 22),  # EM_PPC64
    (22, 12),  # EM_S390
    (40, 23),  # EM_ARM
    (42, 165),  # EM_SH
    (43, 22),  # EM_SPARCV9
    (62, 8),  # EM_X86_64
    (183, 1027),  # EM_AARCH64
    (243, 3),  # EM_RISCV
    (258, 3),  # EM_LOONGARCH
    (0x9026, 27),  # EM_ALPHA
)


def _relative_type(machine: int) -> int | None:
    for other, kind in _RELATIVE:
        if other == machine:
            return kind
    return None


def is_hint(image: Image, tag: int, count: int) -> bool:
    """Whether DT_RELACOUNT or DT_RELCOUNT may go: all that it counts is in its table and without a symbol.

    Loaders trust the number without looking at the entries. Without it they look at the type and the symbol of each,
    and so do the same only if these are what was promised.
    """
    if count == 0:
        return True
    header = image.header
    addend = tag == DT_RELACOUNT
    address = last(image.dynamic, DT_RELA if addend else DT_REL)
    size = last(image.dynamic, DT_RELASZ if addend else DT_RELSZ) or 0
    place = None if address is None else file_offset(image.segments, address)
    kind = _relative_type(header.machine)
    words = 3 if addend else 2
    width = words * (header.bits // 8)
    if kind is None or place is None or count > min(size, place[1] - place[0]) // width:
        return False
    form = f"{header.order}{count * words}{'Q' if header.bits == 64 else 'I'}"
    # r_info without a symbol is the type alone, in both classes
    return set(struct.unpack_from(form, image.data, place[0])[1::words]) == {kind}
