"""What is known of an ELF file, and what can be asked of the editor: the types that both engines share.

Names follow the ELF gABI, the GNU symbol-versioning specification and `elf(5)`. Strings come from the file as
UTF-8 with `surrogateescape`, so that every byte survives; print them through `fastwheel.errors.escape`.
"""

from __future__ import annotations

from fastwheel.named import NamedTuple

__all__ = ["Edit", "Facts", "Segment", "Symbol", "Version", "VersionDefinition", "VersionNeed"]


class Version(NamedTuple):
    """One version that a file needs from a library (`Elfxx_Vernaux`).

    Attributes:
        name: such as `GLIBC_2.17`.
        index: `vna_other`, the number that `.gnu.version` uses for it.
        weak: VER_FLG_WEAK: the loader does not insist on it.

    """

    name: str
    index: int  # type: ignore[assignment]  # instead of tuple.index
    weak: bool


class VersionNeed(NamedTuple):
    """The versions needed from one library (`Elfxx_Verneed`); `file` is vn_file, normally a DT_NEEDED."""

    file: str
    versions: tuple[Version, ...]


class VersionDefinition(NamedTuple):
    """One version that a library defines (`Elfxx_Verdef`).

    Attributes:
        name: such as `LIBXML2_2.4.30`; of the base entry: the library's own name.
        index: `vd_ndx`, the number that `.gnu.version` uses for it.
        base: VER_FLG_BASE: names the file, not a version.
        weak: VER_FLG_WEAK.
        parents: the versions that it inherits from.

    """

    name: str
    index: int  # type: ignore[assignment]  # instead of tuple.index
    base: bool
    weak: bool
    parents: tuple[str, ...]


class Segment(NamedTuple):
    """One program header (`Elfxx_Phdr`); all numbers in bytes, as stored in the file."""

    type: int
    flags: int
    offset: int
    address: int
    file_size: int
    memory_size: int
    align: int


class Facts(NamedTuple):
    """What the loader would learn of one ELF file: from program headers and PT_DYNAMIC, never sections.

    Attributes:
        bits: 32 or 64 (EI_CLASS).
        byte_order: "little" or "big" (EI_DATA).
        osabi: EI_OSABI.
        abi_version: EI_ABIVERSION.
        type: e_type (2 ET_EXEC, 3 ET_DYN).
        machine: e_machine.
        flags: e_flags.
        segments: the program headers, in file order.
        dynamic: whether there is a PT_DYNAMIC; without it all that follows is empty or None.
        interpreter: the string of PT_INTERP, or None.
        soname: DT_SONAME, or None.
        needed: DT_NEEDED, in file order, duplicates kept.
        rpath: DT_RPATH, or None (the last one counts).
        runpath: DT_RUNPATH, or None (the last one counts).
        dt_flags: DT_FLAGS, 0 if absent.
        dt_flags_1: DT_FLAGS_1, 0 if absent.
        text_relocations: DT_TEXTREL or DF_TEXTREL.
        stack_flags: p_flags of PT_GNU_STACK, or None where there is none (the kernel's default then).
        version_needs: `.gnu.version_r`, through DT_VERNEED.
        version_definitions: `.gnu.version_d`, through DT_VERDEF.
        undefined: the names of undefined dynamic symbols of binding other than STB_WEAK or STB_LOCAL, in
            table order, without duplicates.
        undefined_weak: the same for STB_WEAK.
        init_functions: defined, non-local dynamic symbols of type STT_FUNC whose names begin with `PyInit`,
            `PyModExport_`, `init` or `_cffi_pypyinit_`: they tell a Python extension module.
        build_id: NT_GNU_BUILD_ID from a PT_NOTE, as lower-case hex, or None.
        x86_isa_needed: GNU_PROPERTY_X86_ISA_1_NEEDED from PT_GNU_PROPERTY or PT_NOTE (0 if absent).

    """

    bits: int
    byte_order: str
    osabi: int
    abi_version: int
    type: int
    machine: int
    flags: int
    segments: tuple[Segment, ...]
    dynamic: bool
    interpreter: str | None
    soname: str | None
    needed: tuple[str, ...]
    rpath: str | None
    runpath: str | None
    dt_flags: int
    dt_flags_1: int
    text_relocations: bool
    stack_flags: int | None
    version_needs: tuple[VersionNeed, ...]
    version_definitions: tuple[VersionDefinition, ...]
    undefined: tuple[str, ...]
    undefined_weak: tuple[str, ...]
    init_functions: tuple[str, ...]
    build_id: str | None
    x86_isa_needed: int


class Symbol(NamedTuple):
    """One entry of the dynamic symbol table (`Elfxx_Sym`), from index 1 on, with its version.

    Attributes:
        name: from DT_STRTAB.
        value: st_value.
        size: st_size, bytes.
        type: STT_* (2 is STT_FUNC).
        binding: STB_* (0 local, 1 global, 2 weak).
        visibility: STV_*.
        section: st_shndx; 0 is undefined.
        version: of an undefined symbol the version needed, of a defined one the version defined; None if
            unversioned.
        version_file: of an undefined symbol the vn_file that the version is asked of; else None.
        hidden: VERSYM_HIDDEN: not the default version (`@` and not `@@`).

    """

    name: str
    value: int
    size: int
    type: int
    binding: int
    visibility: int
    section: int
    version: str | None
    version_file: str | None
    hidden: bool


class Edit(NamedTuple):
    """What to change in the dynamic section of one ELF file. The default asks for nothing.

    Replacements happen first, then removals, then additions; each also reaches the version-need records, as
    `docs/elf-edit.md` says.

    Attributes:
        soname: the new DT_SONAME; None leaves it.
        runpath: the new DT_RUNPATH; every DT_RPATH goes. None leaves both.
        rpath: the new DT_RPATH; every DT_RUNPATH goes. None leaves both. Not together with `runpath`.
        remove_rpath: drop DT_RPATH and DT_RUNPATH. Not together with either.
        replace_needed: pairs (old name, new name), applied at once: a chain a→b, b→c does not turn a into c.
        remove_needed: names to drop from DT_NEEDED.
        add_needed: names to append to DT_NEEDED, unless there already.
        drop_versions: allow `remove_needed` to unlink the version-need record of a removed library.

    """

    soname: str | None = None
    runpath: str | None = None
    rpath: str | None = None
    remove_rpath: bool = False
    replace_needed: tuple[tuple[str, str], ...] = ()
    remove_needed: tuple[str, ...] = ()
    add_needed: tuple[str, ...] = ()
    drop_versions: bool = False
