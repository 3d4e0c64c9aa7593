"""Versions, forbidden symbols and allowed libraries against a policy."""

from __future__ import annotations

import pytest
from auditwheel.architecture import Architecture
from auditwheel.libc import Libc as PeerLibc
from auditwheel.policy import WheelPolicies
from hypothesis import given
from hypothesis import strategies as st

from fastwheel._elf.model import Facts, Version, VersionNeed
from fastwheel.errors import FastwheelError
from fastwheel.policy import (
    Arch,
    Libc,
    all_names,
    allowed,
    best,
    blacklisted,
    by_name,
    is_libpython,
    merge_needs,
    needs_of,
    offending,
    offending_by_policy,
    policies,
    satisfied,
)
from fastwheel.policy.match import best_for, fitting

X86 = policies(Libc.GLIBC, Arch.X86_64)
PEER = WheelPolicies(libc=PeerLibc.GLIBC, arch=Architecture.x86_64)
KNOWN = sorted({f"{prefix}_{v}" for p in X86 for prefix, vs in p.versions.items() for v in vs})
ODD = ["GLIBC_PRIVATE", "GLIBC_2.19", "GLIBC_2.99", "GLIBC", "GLIBC_", "OPENSSL_3.0.0", "", "_", "GCC_3.0_x", "Q"]
NEEDS = st.dictionaries(
    st.sampled_from(["libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "libstdc++.so.6"]),
    st.sets(st.sampled_from(KNOWN + ODD), max_size=4),
    max_size=4,
)


@given(NEEDS)
def test_the_best_policy_is_auditwheels(needs: dict[str, set[str]]) -> None:
    ours = best(X86, needs)
    assert ours.name == PEER.versioned_symbols_policy(needs).name
    assert satisfied(ours, needs)
    every = offending_by_policy(X86, needs)
    assert list(every) == [p.name for p in X86]
    assert every[ours.name] == ()
    assert all(every[p.name] for p in X86[: X86.index(ours)])
    assert fitting(X86, needs) == tuple(not pairs for pairs in every.values())
    for version in set().union(*needs.values()):
        assert best_for(X86, version) is best(X86, {"libx.so": {version}})
    for pairs in every.values():
        assert all(version in needs[lib] for lib, version in pairs)


def test_membership_is_exact() -> None:
    newest = X86[-2]
    assert offending(newest, {"libc.so.6": {"GLIBC_2.17", "GLIBC_2.19", "GLIBC_PRIVATE"}}) == (
        ("libc.so.6", "GLIBC_2.19"),
        ("libc.so.6", "GLIBC_PRIVATE"),
    )
    assert offending(newest, {"libssl.so.3": {"OPENSSL_3.0.0"}}) == ()
    assert best(X86, {"libc.so.6": {"GLIBC_PRIVATE"}}).is_linux


def test_versions_of_the_loader_count() -> None:
    facts = EMPTY._replace(
        version_needs=(
            VersionNeed("libc.so.6", (Version("GLIBC_2.2.5", 2, weak=False),)),
            VersionNeed("ld-linux-x86-64.so.2", (Version("GLIBC_2.35", 3, weak=False),)),
        ),
    )
    needs = needs_of(facts)
    assert needs == {"libc.so.6": {"GLIBC_2.2.5"}, "ld-linux-x86-64.so.2": {"GLIBC_2.35"}}
    assert best(X86, needs).base == "manylinux_2_35"


def test_merge_needs() -> None:
    assert merge_needs([{"a": ["1"]}, {"a": ["2"], "b": []}]) == {"a": {"1", "2"}, "b": frozenset()}


def test_blacklisted() -> None:
    old, new = by_name("manylinux_2_17_x86_64"), by_name("manylinux_2_37_x86_64")
    undefined = ("inflate_fast", "__cxa_thread_atexit_impl", "uncompress2", "inflate")
    needed = ("libz.so.1", "libc.so.6")
    assert blacklisted(old, needed, undefined) == {
        "libz.so.1": ("inflate_fast", "uncompress2"),
        "libc.so.6": ("__cxa_thread_atexit_impl",),
    }
    assert blacklisted(new, needed, undefined) == {"libz.so.1": ("inflate_fast",)}
    assert blacklisted(old, ("libc.so.6",), ("uncompress2",)) == {}
    assert blacklisted(X86[-1], needed, undefined) == {}
    everything = new._replace(blacklist={"libz.so.1": frozenset("*")})
    assert blacklisted(everything, needed, ("b", "a")) == {"libz.so.1": ("a", "b")}


def test_allowed() -> None:
    old, new, linux = by_name("manylinux2010_x86_64"), by_name("manylinux_2_24_x86_64"), X86[-1]
    assert allowed(old, "libc.so.6")
    assert allowed(old, "ld-linux-x86-64.so.2")
    assert allowed(new, "libmvec.so.1")
    assert not allowed(old, "libmvec.so.1")
    assert not allowed(old, "libpython3.12.so.1.0")
    assert not allowed(old, "libc.musl-x86_64.so.1")
    assert allowed(linux, "libwhatever.so")
    musl = by_name("musllinux_1_2_i686")
    assert allowed(musl, "libc.musl-x86.so.1")
    assert allowed(musl, "libc.so")
    assert not allowed(musl, "libc.so.6")
    android = by_name("android_24_arm64_v8a")
    assert allowed(android, "libpython3.13.so")
    assert not allowed(android, "libc++_shared.so")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("libpython3.11.so.1.0", True),
        ("libpython3.13t.so.1.0", True),
        ("libpython3.so", True),
        ("libpython2.7.so.1.0", True),
        ("libpython3.6m.so.1.0", True),
        ("libpython3.14td.so", True),
        ("libpython.so", False),
        ("libpython3.11.so.1.0.bak", False),
        ("libboost_python311.so.1.81.0", False),
        ("libpython3.11-abc.so.1.0", False),
    ],
)
def test_is_libpython(name: str, expected: bool) -> None:
    assert is_libpython(name) is expected


def test_names() -> None:
    names = all_names()
    assert len(names) == len(set(names))
    for name in names:
        policy = by_name(name)
        assert name == policy.name or name in policy.aliases
    assert by_name("manylinux1_i686").base == "manylinux_2_5"
    assert by_name("linux_x86_64").libc is Libc.GLIBC
    assert by_name("linux_x86_64", Libc.MUSL).libc is Libc.MUSL
    assert by_name("android_35_x86_64").name == "android_35_x86_64"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "manylinux_2_17",
        "manylinux_2_18_x86_64",
        "manylinux1_aarch64",
        "manylinux_2_17_riscv64",
        "musllinux_1_1_loongarch64",
        "linux_mips",
        "android_20_x86_64",
        "android_24_riscv64",
        "android_x_x86_64",
        "android_99999999999999999999_y",
        "auto",
        "manylinux_2_17_x86_64\n",
        "manylinux_٢_17_x86_64",
    ],
)
def test_unknown_names(name: str) -> None:
    with pytest.raises(FastwheelError) as error:
        by_name(name)
    assert (error.value.code, error.value.exit_status) == ("FW602", 2)
    assert "\n" not in error.value.message


def test_policies_are_hashable_and_ordered() -> None:
    for libc in Libc:
        for arch in Arch:
            found = policies(libc, arch)
            assert len(set(found)) == len(found)
            assert [p.priority for p in found] == sorted((p.priority for p in found), reverse=True)
            assert found[-1].is_linux
            assert not any(p.is_linux for p in found[:-1])


EMPTY = Facts(
    bits=64, byte_order="little", osabi=0, abi_version=0, type=3, machine=62, flags=0, segments=(), dynamic=True,
    interpreter=None, soname=None, needed=(), rpath=None, runpath=None, dt_flags=0, dt_flags_1=0,
    text_relocations=False, stack_flags=None, version_needs=(), version_definitions=(), undefined=(),
    undefined_weak=(), init_functions=(), build_id=None, x86_isa_needed=0,
)  # fmt: skip
