"""Reading: the bytes of an ELF file in, `Facts` or `Symbol`s out.

The order of the checks is the order of the calls in `read`; the first fault wins. Tolerant where the loader
is (no sections, no symbols, counts that it does not look at), strict about bounds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastwheel._elf.dynamic import (
    DF_TEXTREL,
    DT_FLAGS,
    DT_FLAGS_1,
    DT_NEEDED,
    DT_RPATH,
    DT_RUNPATH,
    DT_SONAME,
    DT_TEXTREL,
    check_spent,
    last,
    read_dynamic,
    read_strings,
    string_at,
)
from fastwheel._elf.header import read_header
from fastwheel._elf.model import Facts, Symbol, Version, VersionDefinition, VersionNeed
from fastwheel._elf.note import read_notes
from fastwheel._elf.segment import PT_GNU_STACK, read_interpreter, read_segments
from fastwheel._elf.symbol import (
    SHN_UNDEF,
    STB_LOCAL,
    STB_WEAK,
    STT_FUNC,
    ended,
    iter_symbols,
    read_symbol_table,
)
from fastwheel._elf.version import (
    VER_FLG_BASE,
    VER_FLG_WEAK,
    VERSYM_HIDDEN,
    read_definitions,
    read_needs,
    read_versym,
)
from fastwheel.errors import ElfError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fastwheel._elf.dynamic import StringTable
    from fastwheel._elf.version import Definition, Need

__all__ = ["read", "symbols"]

#: How the names of the functions begin that tell a Python extension module.
_INIT: Final = (b"PyInit", b"PyModExport_", b"init", b"_cffi_pypyinit_")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def read(data: bytes | bytearray | memoryview) -> Facts:
    """Read what the loader would learn of an ELF file.

    Args:
        data: the whole file, bytes or a buffer of bytes (such as an mmap).

    Returns:
        The facts; of a file without PT_DYNAMIC (static program, object file) those of its headers.

    Raises:
        ElfError: FW300 to FW307.

    """
    with memoryview(data) as whole, whole.cast("B") as view:
        return _read(view)


def _read(data: memoryview) -> Facts:
    header = read_header(data)
    segments = read_segments(data, header)
    dynamic = read_dynamic(data, header, segments)
    interpreter = read_interpreter(data, segments)
    notes = read_notes(data, header, segments)
    stack_flags = None
    for segment in segments:
        if segment.type == PT_GNU_STACK:
            stack_flags = segment.flags
    needed: list[str] = []
    single: dict[int, str] = {}
    version_needs: tuple[VersionNeed, ...] = ()
    version_definitions: tuple[VersionDefinition, ...] = ()
    names: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]] = ((), (), ())
    flags = flags_1 = 0
    text_relocations = False
    if dynamic is not None:
        strings = read_strings(data, segments, dynamic)
        spent = 0
        for tag, value in dynamic.entries:
            field = _STRING_FIELDS.get(tag)
            if field is not None:
                raw = string_at(strings, value, field)
                spent += len(raw)
                check_spent(strings, spent)
                if tag == DT_NEEDED:
                    needed.append(_text(raw))
                else:
                    single[tag] = _text(raw)
        flags = last(dynamic, DT_FLAGS) or 0
        flags_1 = last(dynamic, DT_FLAGS_1) or 0
        text_relocations = last(dynamic, DT_TEXTREL) is not None or flags & DF_TEXTREL != 0
        version_needs = _needs(read_needs(data, header, segments, dynamic, strings))
        version_definitions = _definitions(read_definitions(data, header, segments, dynamic, strings))
        table = ended(data, header, read_symbol_table(data, header, segments, dynamic, strings))
        names = _names(iter_symbols(data, header, table), strings)
    return Facts(
        bits=header.bits,
        byte_order="little" if header.order == "<" else "big",
        osabi=header.osabi,
        abi_version=header.abi_version,
        type=header.type,
        machine=header.machine,
        flags=header.flags,
        segments=segments,
        dynamic=dynamic is not None,
        interpreter=None if interpreter is None else _text(interpreter),
        soname=single.get(DT_SONAME),
        needed=tuple(needed),
        rpath=single.get(DT_RPATH),
        runpath=single.get(DT_RUNPATH),
        dt_flags=flags,
        dt_flags_1=flags_1,
        text_relocations=text_relocations,
        stack_flags=stack_flags,
        version_needs=version_needs,
        version_definitions=version_definitions,
        undefined=names[0],
        undefined_weak=names[1],
        init_functions=names[2],
        build_id=None if notes.build_id is None else notes.build_id.hex(),
        x86_isa_needed=notes.x86_isa_needed,
    )


_STRING_FIELDS: Final = {
    DT_NEEDED: "DT_NEEDED",
    DT_SONAME: "DT_SONAME",
    DT_RPATH: "DT_RPATH",
    DT_RUNPATH: "DT_RUNPATH",
}


def _needs(needs: Sequence[Need]) -> tuple[VersionNeed, ...]:
    return tuple(
        VersionNeed(
            _text(need.file),
            tuple(Version(_text(aux.name), aux.index, aux.flags & VER_FLG_WEAK != 0) for aux in need.aux),
        )
        for need in needs
    )


def _definitions(definitions: Sequence[Definition]) -> tuple[VersionDefinition, ...]:
    return tuple(
        VersionDefinition(
            _text(item.aux[0].name),
            item.index,
            item.flags & VER_FLG_BASE != 0,
            item.flags & VER_FLG_WEAK != 0,
            tuple(_text(aux.name) for aux in item.aux[1:]),
        )
        for item in definitions
    )


def _names(
    table: Iterable[tuple[int, int, int, int, int, int]], strings: StringTable
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the names of undefined, of undefined weak and of init functions; empty names are left out."""
    content = strings.content
    size = len(content)
    # dict keys keep their order and drop repetitions
    undefined: dict[int, None] = {}
    weak: dict[int, None] = {}
    init: dict[int, None] = {}
    for name, info, _, section, _, _ in table:
        if name >= size:
            raise ElfError("FW305", f"st_name: string offset {name} is not below DT_STRSZ")
        if section == SHN_UNDEF:
            binding = info >> 4
            if binding == STB_WEAK:
                weak[name] = None
            elif binding != STB_LOCAL:
                undefined[name] = None
        elif info & 15 == STT_FUNC and info >> 4 != STB_LOCAL and content.startswith(_INIT, name):
            init[name] = None
    return (
        _distinct(undefined, strings),
        _distinct(weak, strings),
        _distinct(init, strings),
    )


def _distinct(offsets: dict[int, None], strings: StringTable) -> tuple[str, ...]:
    found: dict[bytes, None] = {}
    spent = 0
    for offset in offsets:
        raw = string_at(strings, offset, "st_name")
        spent += len(raw)
        check_spent(strings, spent)
        if raw:
            found[raw] = None
    return tuple(map(_text, found))


def symbols(data: bytes | bytearray | memoryview) -> tuple[Symbol, ...]:
    """Read the dynamic symbols from index 1 on, with their versions; none without PT_DYNAMIC.

    Raises:
        ElfError: FW300 to FW307.

    """
    with memoryview(data) as whole, whole.cast("B") as view:
        return _symbols(view)


def _symbols(data: memoryview) -> tuple[Symbol, ...]:
    header = read_header(data)
    segments = read_segments(data, header)
    dynamic = read_dynamic(data, header, segments)
    if dynamic is None:
        return ()
    strings = read_strings(data, segments, dynamic)
    needs = read_needs(data, header, segments, dynamic, strings)
    definitions = read_definitions(data, header, segments, dynamic, strings)
    table = ended(data, header, read_symbol_table(data, header, segments, dynamic, strings))
    versym = read_versym(data, header, segments, dynamic, table.count)
    # the first record of an index wins
    needed: dict[int, tuple[str, str]] = {}
    for need in needs:
        for aux in need.aux:
            needed.setdefault(aux.index & ~VERSYM_HIDDEN, (_text(aux.name), _text(need.file)))
    defined: dict[int, str] = {}
    for item in definitions:
        defined.setdefault(item.index & ~VERSYM_HIDDEN, _text(item.aux[0].name))
    result: list[Symbol] = []
    names: dict[int, str] = {}
    spent = 0
    for number, (name, info, other, section, value, size) in enumerate(iter_symbols(data, header, table), start=1):
        if name not in names:
            raw = string_at(strings, name, "st_name")
            spent += len(raw)
            check_spent(strings, spent)
            names[name] = _text(raw)
        index = versym[number] if versym else 1
        version = version_file = None
        # 0 is local, 1 is global without a version
        if index & ~VERSYM_HIDDEN > 1:
            if section == SHN_UNDEF:
                version, version_file = needed.get(index & ~VERSYM_HIDDEN, (None, None))
            else:
                version = defined.get(index & ~VERSYM_HIDDEN)
        result.append(
            Symbol(
                names[name],
                value,
                size,
                info & 15,
                info >> 4,
                other & 3,
                section,
                version,
                version_file,
                index & VERSYM_HIDDEN != 0,
            )
        )
    return tuple(result)
