"""Processor, C library and instruction set from tags and facts."""

from __future__ import annotations

import pytest

from fastwheel._elf.model import Facts, Version, VersionNeed
from fastwheel.errors import FastwheelError
from fastwheel.policy import (
    Arch,
    Libc,
    arch_from_tags,
    arch_of,
    float_abi,
    is_loader,
    isa_level,
    libc_from_tags,
    libc_of,
    machine_name,
)

BASE = Facts(
    bits=64, byte_order="little", osabi=0, abi_version=0, type=3, machine=62, flags=0, segments=(), dynamic=True,
    interpreter=None, soname=None, needed=(), rpath=None, runpath=None, dt_flags=0, dt_flags_1=0,
    text_relocations=False, stack_flags=None, version_needs=(), version_definitions=(), undefined=(),
    undefined_weak=(), init_functions=(), build_id=None, x86_isa_needed=0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("bits", "order", "machine", "flags", "expected"),
    [
        (32, "little", 3, 0, Arch.I686),
        (64, "little", 62, 0, Arch.X86_64),
        (32, "little", 62, 0, None),  # x32
        (64, "little", 21, 2, Arch.PPC64LE),
        (64, "big", 21, 1, Arch.PPC64),
        (64, "little", 243, 5, Arch.RISCV64),
        (32, "little", 243, 5, None),
        (64, "little", 183, 0, Arch.AARCH64),
        (64, "big", 183, 0, None),
        (64, "big", 22, 0, Arch.S390X),
        (64, "little", 258, 0x43, Arch.LOONGARCH64),
        (32, "little", 40, 0x05000400, Arch.ARMV7L),
        (32, "little", 40, 0x05000200, None),  # soft float
        (32, "little", 40, 0x04000400, None),  # EABI 4
        (32, "big", 40, 0x05000400, None),
        (32, "big", 8, 0, None),
    ],
)
def test_arch_of(bits: int, order: str, machine: int, flags: int, expected: Arch | None) -> None:
    facts = BASE._replace(bits=bits, byte_order=order, machine=machine, flags=flags)
    assert arch_of(facts) is expected
    assert (machine_name(facts) in {a.value for a in Arch}) == (expected is not None)


def test_machine_names_of_strangers() -> None:
    assert machine_name(BASE._replace(bits=32)) == "x32"
    assert machine_name(BASE._replace(machine=40, bits=32)) == "ARM without hard-float EABI5"
    assert machine_name(BASE._replace(machine=9999)) == "machine 9999"


def test_float_abi() -> None:
    assert float_abi(40, 0x05000400) != float_abi(40, 0x05000200) != 0
    assert float_abi(40, 0x05000000) == 0
    assert float_abi(243, 1) != float_abi(243, 5) == float_abi(243, 4)
    assert float_abi(62, 0x600) == 0


@pytest.mark.parametrize(
    ("needed", "level"), [(0, 1), (1, 1), (2, 2), (3, 2), (4, 3), (7, 3), (8, 4), (15, 4), (16, 5), (1 << 31, 5)]
)
def test_isa_level(needed: int, level: int) -> None:
    assert isa_level(BASE._replace(x86_isa_needed=needed)) == level
    assert isa_level(BASE._replace(machine=183, x86_isa_needed=needed)) == 0


@pytest.mark.parametrize(
    ("tags", "arch", "libc"),
    [
        (["linux_x86_64"], Arch.X86_64, None),
        (["manylinux1_i686", "manylinux_2_5_i686"], Arch.I686, Libc.GLIBC),
        (["manylinux_2_17_aarch64"], Arch.AARCH64, Libc.GLIBC),
        (["manylinux_2_17_ppc64"], Arch.PPC64, Libc.GLIBC),
        (["manylinux_2_17_ppc64le"], Arch.PPC64LE, Libc.GLIBC),
        (["musllinux_1_2_armv7l"], Arch.ARMV7L, Libc.MUSL),
        (["android_24_arm64_v8a"], Arch.AARCH64, Libc.ANDROID),
        (["android_24_x86_64"], Arch.X86_64, Libc.ANDROID),
        (["android_24_armeabi_v7a"], Arch.ARMV7L, Libc.ANDROID),
        (["linux_x86_64_v3"], Arch.X86_64, None),
        (["linux_armv6l"], None, None),
        (["any"], None, None),
        (["win_amd64"], None, None),
        (["macosx_10_9_x86_64"], None, None),
        (["linux_x86_64", "linux_aarch64"], None, None),
        (["manylinux_2_17_x86_64", "musllinux_1_2_x86_64"], Arch.X86_64, None),
        (["manylinux_2_17_x86_64", "linux_x86_64"], Arch.X86_64, Libc.GLIBC),
        ([], None, None),
    ],
)
def test_tags(tags: list[str], arch: Arch | None, libc: Libc | None) -> None:
    assert arch_from_tags(tags) is arch
    assert libc_from_tags(tags) is libc


def versions(file: str, *names: str) -> VersionNeed:
    return VersionNeed(file, tuple(Version(n, i + 2, weak=False) for i, n in enumerate(names)))


@pytest.mark.parametrize(
    ("changes", "name", "expected"),
    [
        ({"interpreter": "/lib/ld-musl-x86_64.so.1"}, "", Libc.MUSL),
        ({"interpreter": "/lib64/ld-linux-x86-64.so.2"}, "", Libc.GLIBC),
        ({"interpreter": "/system/bin/linker64"}, "", Libc.ANDROID),
        ({"needed": ("libc.musl-x86_64.so.1",)}, "", Libc.MUSL),
        ({"needed": ("libm.so.6", "libc.so.6")}, "a.cpython-312-x86_64-linux-musl.so", Libc.GLIBC),
        ({"needed": ("ld-linux-aarch64.so.1",)}, "", Libc.GLIBC),
        ({"needed": ("ld64.so.2",)}, "", Libc.GLIBC),
        ({"needed": ("libc.so",)}, "", Libc.MUSL),
        ({"needed": ("libm.so", "libdl.so", "libc.so")}, "", Libc.ANDROID),
        ({"needed": ("libc.so",), "version_needs": (versions("libc.so", "LIBC"),)}, "", Libc.ANDROID),
        ({"needed": ("libfoo.so.1",), "version_needs": (versions("libfoo.so.1", "FOO_1"),)}, "", None),
        ({"version_needs": (versions("libm.so.6", "GLIBC_2.29"),)}, "", Libc.GLIBC),
        ({"needed": ("libfoo.so.1",)}, "p/a.cpython-312-x86_64-linux-gnu.so", Libc.GLIBC),
        ({}, "p/a.cpython-312-arm-linux-gnueabihf.so", Libc.GLIBC),
        ({}, "p/a.cpython-313t-x86_64-linux-gnu.so", Libc.GLIBC),
        ({}, "p/a.cpython-310-x86_64-linux-gnu.so", None),
        ({}, "p/a.cpython-312-x86_64-linux-musl.so", Libc.MUSL),
        ({}, "p/a.cpython-312-arm-linux-musleabihf.so", Libc.MUSL),
        ({}, "p/a.cpython-313-aarch64-linux-android.so", Libc.ANDROID),
        ({}, "p/a.abi3.so", None),
        ({}, "", None),
    ],
)
def test_libc_of(changes: dict, name: str, expected: Libc | None) -> None:
    assert libc_of(BASE._replace(**changes), name) is expected


def test_libc_of_refuses_contradictions() -> None:
    facts = BASE._replace(needed=("libc.so.6", "libc.musl-x86_64.so.1"))
    with pytest.raises(FastwheelError, match=r"a\\n\.so is linked to more than one C library: glibc and musl") as error:
        libc_of(facts, "a\n.so")
    assert error.value.code == "FW601"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ld-linux-x86-64.so.2", True),
        ("ld-linux.so.2", True),
        ("ld64.so.1", True),
        ("ld64.so.2", True),
        ("ld-musl-x86_64.so.1", True),
        ("libld-linux.so", False),
        ("libc.so.6", False),
    ],
)
def test_is_loader(name: str, expected: bool) -> None:
    assert is_loader(name) is expected
