"""The editor: `edit` changes the dynamic section of a shared object or program, and nothing else (docs/elf-edit.md).

The order of what can go wrong: the request (FW403), reading (FW300 to FW308), the gate (FW401, FW402), the
new table (FW404), the layout (FW400, FW401, FW402), the post-conditions (FW900).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastwheel._elf.check import check
from fastwheel._elf.image import open_image
from fastwheel._elf.layout import Layout, lay_out
from fastwheel._elf.patch import Patch, apply
from fastwheel._elf.request import check_request, want
from fastwheel._elf.strings import place_strings
from fastwheel._elf.write import dynamic_room, make_patch

if TYPE_CHECKING:
    from fastwheel._elf.image import Image
    from fastwheel._elf.model import Edit
    from fastwheel._elf.request import Entry, Wanted

__all__ = ["Plan", "edit", "plan_edit"]


@dataclass(frozen=True, slots=True)
class Plan:
    """An edit that is decided and not yet made.

    Attributes:
        entries: the new dynamic table without its DT_NULL.
        layout: where everything goes, None if nothing is to be done.
        patch: the changes to the bytes, None if nothing is to be done.
    """

    image: Image
    wanted: Wanted
    entries: tuple[Entry, ...]
    layout: Layout | None
    patch: Patch | None

    @property
    def rung(self) -> int | None:
        """The rung of the ladder that was taken, 0 to 7; None if nothing is to be done."""
        return None if self.layout is None else self.layout.rung


def plan_edit(data: bytes, request: Edit) -> Plan:
    """Decide how to do `request` to the file `data`.

    Raises:
        ElfError: FW300 to FW308, FW400 to FW404.
    """
    asked = check_request(request)
    image = open_image(data)
    wanted = want(image, asked)
    if not wanted.changed:
        return Plan(image, wanted, wanted.entries, None, None)
    placed = place_strings(image, wanted)
    entries, dynamic = dynamic_room(image, wanted.entries)
    layout = lay_out(image, len(placed.tail), dynamic)
    patch = make_patch(image, wanted, entries, placed, layout)
    return Plan(image, wanted, entries, layout, patch)


def edit(data: bytes | bytearray | memoryview, request: Edit) -> bytes:
    """Return the file `data` with `request` done; the same bytes if there is nothing to do.

    The output is read again and compared with the input before it is returned.

    Raises:
        ElfError: FW300 to FW308 a malformed file; FW400 to FW404 what cannot be done; FW900 fastwheel is
            wrong.
    """
    content = bytes(data)
    plan = plan_edit(content, request)
    if plan.layout is None or plan.patch is None:
        return content
    output = apply(content, plan.patch)
    check(plan.image, plan.wanted, plan.entries, plan.layout, output, request)
    return output
