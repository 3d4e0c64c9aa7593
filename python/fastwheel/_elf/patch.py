"""The result of an edit as a few changes to the input, so that a large file need not be rewritten (elf-edit 3.6)."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

__all__ = ["Patch", "apply"]


@dataclass(frozen=True, slots=True)
class Patch:
    """How to make the output from the input: insert zeros, set the size, then write.

    Attributes:
        base_size: size of the input in bytes.
        insert_at: where zeros are inserted into the input; `insert_size` of them, 0 for none.
        size: size of the output; never less than that of the input and the insertion. What is new is zero.
        writes: (offset in the output, bytes), to be written in this order: a later one may overwrite an earlier.
    """

    base_size: int
    insert_at: int
    insert_size: int
    size: int
    writes: tuple[tuple[int, bytes], ...]


def apply(data: bytes, patch: Patch) -> bytes:
    """Return the output."""
    output = BytesIO(bytes(patch.size))  # unlike a bytearray it can be had as bytes without a copy
    at = patch.insert_at if patch.insert_size > 0 else len(data)
    with memoryview(data) as before:
        output.write(before[:at])
        output.seek(at + patch.insert_size)
        output.write(before[at:])
    for offset, content in patch.writes:
        output.seek(offset)
        output.write(content)
    return output.getvalue()
