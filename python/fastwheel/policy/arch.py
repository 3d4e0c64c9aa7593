"""Which processor and which C library a wheel is for, told from its platform tags or from an ELF file.

Sources: PEP 600, 656 and 738 (tags), the processor supplements of the ELF ABI (e_machine, e_flags), and the
naming of extension modules by CPython (`SOABI`).
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Final

from fastwheel.errors import FastwheelError, escape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastwheel._elf.model import Facts

__all__ = [
    "Arch",
    "Libc",
    "arch_from_tags",
    "arch_of",
    "float_abi",
    "is_loader",
    "isa_level",
    "libc_from_tags",
    "libc_of",
    "machine_name",
]


class Arch(str, Enum):
    """A processor that some policy knows, by its name in platform tags."""

    AARCH64 = "aarch64"
    ARMV7L = "armv7l"
    I686 = "i686"
    LOONGARCH64 = "loongarch64"
    PPC64 = "ppc64"
    PPC64LE = "ppc64le"
    RISCV64 = "riscv64"
    S390X = "s390x"
    X86_64 = "x86_64"

    def __str__(self) -> str:
        return self.value

    @property
    def bits(self) -> int:
        """32 or 64."""
        return 32 if self in (Arch.ARMV7L, Arch.I686) else 64

    @property
    def triple(self) -> str:
        """The name of Debian's folder for the libraries of glibc on this processor."""
        return _TRIPLES[self]

    @property
    def musl_name(self) -> str:
        """The name in `ld-musl-<name>.so.1` and in `/etc/ld-musl-<name>.path`."""
        return _MUSL_NAMES.get(self, self.value)

    @property
    def musl_libc(self) -> str:
        """The file name of Alpine's C library, which musl wheels need."""
        name = {Arch.I686: "x86", Arch.ARMV7L: "armv7"}.get(self, self.value)
        return f"libc.musl-{name}.so.1"

    @property
    def android_name(self) -> str:
        """The ABI name in Android's platform tags (PEP 738)."""
        return _ANDROID_NAMES.get(self, self.value)


class Libc(str, Enum):
    """A C library that some family of policies is about."""

    GLIBC = "glibc"
    MUSL = "musl"
    ANDROID = "android"

    def __str__(self) -> str:
        return self.value

    @property
    def tag_prefix(self) -> str:
        """The beginning of its platform tags: manylinux, musllinux or android."""
        return {"glibc": "manylinux", "musl": "musllinux", "android": "android"}[self.value]


_TRIPLES: Final = {
    Arch.AARCH64: "aarch64-linux-gnu",
    Arch.ARMV7L: "arm-linux-gnueabihf",
    Arch.I686: "i386-linux-gnu",
    Arch.LOONGARCH64: "loongarch64-linux-gnu",
    Arch.PPC64: "powerpc64-linux-gnu",
    Arch.PPC64LE: "powerpc64le-linux-gnu",
    Arch.RISCV64: "riscv64-linux-gnu",
    Arch.S390X: "s390x-linux-gnu",
    Arch.X86_64: "x86_64-linux-gnu",
}
_MUSL_NAMES: Final = {
    Arch.ARMV7L: "armhf",
    Arch.I686: "i386",
    Arch.PPC64: "powerpc64",
    Arch.PPC64LE: "powerpc64le",
}
_ANDROID_NAMES: Final = {Arch.AARCH64: "arm64_v8a", Arch.ARMV7L: "armeabi_v7a", Arch.I686: "x86"}
_FROM_ANDROID: Final = {name: arch for arch, name in _ANDROID_NAMES.items()}

_EM_ARM: Final = 40
_EM_RISCV: Final = 243
#: (e_machine, bits, byte order)
_MACHINES: Final = {
    (3, 32, "little"): Arch.I686,
    (21, 64, "big"): Arch.PPC64,
    (21, 64, "little"): Arch.PPC64LE,
    (22, 64, "big"): Arch.S390X,
    (_EM_ARM, 32, "little"): Arch.ARMV7L,
    (62, 64, "little"): Arch.X86_64,
    (183, 64, "little"): Arch.AARCH64,
    (_EM_RISCV, 64, "little"): Arch.RISCV64,
    (258, 64, "little"): Arch.LOONGARCH64,
}
#: Names for messages of machines that no policy knows.
_OTHER_MACHINES: Final = {
    2: "SPARC",
    3: "x86",
    4: "m68k",
    8: "MIPS",
    15: "PA-RISC",
    20: "32-bit PowerPC",
    21: "64-bit PowerPC",
    22: "32-bit S/390",
    _EM_ARM: "ARM without hard-float EABI5",
    42: "SuperH",
    43: "64-bit SPARC",
    50: "IA-64",
    62: "x32",
    183: "AArch64 ILP32 or big-endian",
    190: "CUDA",
    224: "AMD GPU",
    247: "BPF",
    _EM_RISCV: "32-bit RISC-V",
    258: "32-bit LoongArch",
}

_EF_ARM_EABIMASK: Final = 0xFF000000
_EF_ARM_EABI_VER5: Final = 0x05000000
_EF_ARM_ABI_FLOAT_SOFT: Final = 0x200
_EF_ARM_ABI_FLOAT_HARD: Final = 0x400
_EF_RISCV_FLOAT_ABI: Final = 0x6


def arch_of(facts: Facts) -> Arch | None:
    """Return the processor of an ELF file, or None if no policy knows it.

    32-bit ARM counts only with EABI 5 and the hard-float calling convention; x32 is not x86_64.
    """
    arch = _MACHINES.get((facts.machine, facts.bits, facts.byte_order))
    if arch is Arch.ARMV7L:
        eabi5 = facts.flags & _EF_ARM_EABIMASK == _EF_ARM_EABI_VER5
        return arch if eabi5 and facts.flags & _EF_ARM_ABI_FLOAT_HARD else None
    return arch


def machine_name(facts: Facts) -> str:
    """Return a name of the processor for messages, also of those that no policy knows."""
    arch = arch_of(facts)
    return arch.value if arch else _OTHER_MACHINES.get(facts.machine, f"machine {facts.machine}")


def float_abi(machine: int, flags: int) -> int:
    """Return the calling convention of floating point in `flags` (e_flags), 0 if it says nothing.

    Files of one machine whose values are both set and differ can't be linked together.
    """
    if machine == _EM_ARM:
        return flags & (_EF_ARM_ABI_FLOAT_SOFT | _EF_ARM_ABI_FLOAT_HARD)
    if machine == _EM_RISCV:
        return (flags & _EF_RISCV_FLOAT_ABI) | 8  # soft float is 0 there, and a statement
    return 0


def isa_level(facts: Facts) -> int:
    """Return the level of x86-64 that a file insists on: 1 to 4, or 5 for bits that are newer than this
    table.

    0 for other processors. The source is GNU_PROPERTY_X86_ISA_1_NEEDED, which compilers rarely write; a file
    that says nothing is level 1.
    """
    if arch_of(facts) is not Arch.X86_64:
        return 0
    return max(facts.x86_isa_needed.bit_length(), 1) if facts.x86_isa_needed < 0x10 else 5


_TAG: Final = re.compile(
    r"(?:linux|manylinux(?:1|2010|2014|_\d+_\d+)|musllinux_\d+_\d+|android_\d+)_(?P<arch>\w+)", re.ASCII
)


def arch_from_tags(platforms: Iterable[str]) -> Arch | None:
    """Return the one processor of a wheel's platform tags, or None: no Linux tag, an unknown or several
    processors.

    >>> arch_from_tags(["manylinux_2_17_x86_64", "linux_x86_64"])
    <Arch.X86_64: 'x86_64'>
    """
    found = {_arch_from_tag(tag) for tag in platforms}
    return found.pop() if len(found) == 1 else None


def _arch_from_tag(tag: str) -> Arch | None:
    match = _TAG.fullmatch(tag)
    name = match["arch"] if match else ""
    if name.startswith("x86_64_v"):
        return Arch.X86_64
    if name in _FROM_ANDROID:
        return _FROM_ANDROID[name]
    # Build systems put more into the tag, as in linux_mydistro_x86_64: the end counts.
    return next((arch for arch in Arch if f"_{name}".endswith(f"_{arch.value}")), None)


def libc_from_tags(platforms: Iterable[str]) -> Libc | None:
    """Return the one C library that a wheel's platform tags name; None for none (`linux_*`) or several.

    >>> libc_from_tags(["musllinux_1_2_aarch64"])
    <Libc.MUSL: 'musl'>
    """
    found = {libc for tag in platforms for libc in Libc if tag.startswith(libc.tag_prefix)}
    return found.pop() if len(found) == 1 else None


def is_loader(name: str) -> bool:
    """Whether a DT_NEEDED name is the dynamic loader, which is there wherever the file can run at all."""
    return name.startswith(("ld-linux", "ld64.so.", "ld-musl-"))


_GLIBC_SUFFIX: Final = re.compile(r"\.cpython-3(?P<minor>\d+)\w*-.*-linux-gnu(?:eabihf|eabi|f32|sf|x32)?\.so")
_MUSL_SUFFIX: Final = re.compile(r"-linux-musl(?:eabihf|eabi)?\.so$")
_ANDROID_SUFFIX: Final = re.compile(r"-linux-android(?:eabi)?\.so$")


def libc_of(facts: Facts, name: str = "") -> Libc | None:
    """Return the C library that an ELF file is built for, or None if nothing in it tells.

    The interpreter, DT_NEEDED and needed versions speak first; the file name `name` only where they are
    silent. A bare `libc.so` is Android's with a version `LIBC*` or beside Android's `libdl.so`, `libm.so` or
    `liblog.so`, else musl's (as musl-gcc and zig link). Before CPython 3.11 musl builds were also named
    `-linux-gnu.so`, so older ones say nothing.

    Raises:
        FastwheelError: FW601, the file contradicts itself.
    """
    found = set(_libc_signs(facts))
    if len(found) > 1:
        names = " and ".join(sorted(found))
        raise FastwheelError(
            f"{escape(name) or 'the file'} is linked to more than one C library: {names}",
            code="FW601",
            hint="build every part of the wheel with one toolchain",
        )
    if found:
        return found.pop()
    base = name.rpartition("/")[2]
    if _MUSL_SUFFIX.search(base):
        return Libc.MUSL
    if _ANDROID_SUFFIX.search(base):
        return Libc.ANDROID
    match = _GLIBC_SUFFIX.search(base)
    return Libc.GLIBC if match and int(match["minor"]) >= 11 else None


def _libc_signs(facts: Facts) -> Iterable[Libc]:
    interpreter = (facts.interpreter or "").rpartition("/")[2]
    if interpreter.startswith("ld-musl-"):
        yield Libc.MUSL
    elif interpreter in ("linker", "linker64"):
        yield Libc.ANDROID
    elif interpreter:
        yield Libc.GLIBC
    for need in facts.needed:
        if need.startswith(("libc.musl-", "ld-musl-")):
            yield Libc.MUSL
        elif need == "libc.so.6" or need.startswith(("ld-linux", "ld64.so.")):
            yield Libc.GLIBC
        elif need == "libc.so":
            android = {"libdl.so", "libm.so", "liblog.so"} & set(facts.needed)
            yield Libc.ANDROID if android or _asks(facts, "LIBC") else Libc.MUSL
    if _asks(facts, "GLIBC_"):
        yield Libc.GLIBC


def _asks(facts: Facts, prefix: str) -> bool:
    """Whether versions of that prefix are needed; libgcc_s has a GLIBC_2.0 of its own, on musl as well."""
    return any(
        version.name.startswith(prefix)
        for need in facts.version_needs
        if not need.file.startswith("libgcc_s")
        for version in need.versions
    )
