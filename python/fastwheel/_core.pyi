"""The Rust engine. Use it through `fastwheel.engine`, which gives these tuples their names."""

from collections.abc import Sequence
from typing import TypeAlias

from fastwheel._elf.model import Edit
from fastwheel.engine import Buffer, Identity
from fastwheel.errors import ElfError

__all__ = [
    "__version__",
    "deflate_many",
    "edit",
    "links",
    "links_many",
    "pack",
    "provoke_panic",
    "read",
    "read_fd",
    "scan",
    "sha256_many",
    "study",
    "symbols",
]

_SegmentTuple: TypeAlias = tuple[int, int, int, int, int, int, int]
_VersionNeedTuple: TypeAlias = tuple[str, tuple[tuple[str, int, bool], ...]]
_VersionDefinitionTuple: TypeAlias = tuple[str, int, bool, bool, tuple[str, ...]]

#: The fields of `Facts` in order; `Segment`, `VersionNeed` and `VersionDefinition` as tuples too.
FactsTuple: TypeAlias = tuple[
    int,
    str,
    int,
    int,
    int,
    int,
    int,
    tuple[_SegmentTuple, ...],
    bool,
    str | None,
    str | None,
    tuple[str, ...],
    str | None,
    str | None,
    int,
    int,
    bool,
    int | None,
    tuple[_VersionNeedTuple, ...],
    tuple[_VersionDefinitionTuple, ...],
    tuple[str, ...],
    tuple[str, ...],
    tuple[str, ...],
    str | None,
    int,
]
#: The fields of `Symbol` in order.
SymbolTuple: TypeAlias = tuple[str, int, int, int, int, int, int, str | None, str | None, bool]
#: The fields of `Links` in order; `Undefined` and `VersionGroup` as tuples too.
LinksTuple: TypeAlias = tuple[
    tuple[tuple[str, str | None, str | None, bool, int], ...],
    bytes,
    tuple[tuple[str, bool, bytes, bytes], ...],
    bool,
]
#: The fields of `Scanned` in order.
ScannedTuple: TypeAlias = tuple[FactsTuple | None, ElfError | None, str | None, bytes | None]
#: The fields of `Studied` in order.
StudiedTuple: TypeAlias = tuple[bytes, Identity, list[list[str]]]
#: The fields of `Names` in order.
NamesTuple: TypeAlias = tuple[str | None, tuple[str, ...], str | None, str | None]
#: The fields of `Packed` in order.
PackedTuple: TypeAlias = tuple[int, int, int, bytes, tuple[tuple[int, int], ...], Identity | None, NamesTuple | None]

__version__: str

def read(data: Buffer) -> FactsTuple: ...
def symbols(data: Buffer) -> list[SymbolTuple]: ...
def links(data: Buffer) -> LinksTuple: ...
def links_many(
    fd: int, spans: Sequence[tuple[int, int, int, int, int]], jobs: int
) -> list[LinksTuple | ElfError | None]: ...
def edit(data: Buffer, edit: Edit) -> bytes: ...
def read_fd(fd: int) -> FactsTuple: ...
def scan(fd: int, spans: Sequence[tuple[int, int, int, int, int]], digest: bool, jobs: int) -> list[ScannedTuple]: ...
def sha256_many(buffers: Sequence[Buffer], jobs: int) -> list[bytes]: ...
def deflate_many(buffers: Sequence[Buffer], level: int, jobs: int) -> list[bytes]: ...
def study(
    files: Sequence[tuple[bytes, Sequence[tuple[int, int]], Sequence[bytes]]], jobs: int
) -> list[StudiedTuple | OSError]: ...
def pack(
    spill: int,
    archive: int | None,
    tasks: Sequence[tuple[tuple[bytes] | tuple[int, int, int, int, int] | bytes, Edit | None]],
    level: int,
    jobs: int,
) -> tuple[Sequence[PackedTuple | None], tuple[int, ElfError | OSError | str] | None]: ...
def provoke_panic(message: str) -> None: ...
