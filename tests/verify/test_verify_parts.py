"""The parts of `verify` by themselves: families, compiled-in places, policies between policies, codes, annotations."""

from __future__ import annotations

import pytest
from verify_kit import ALPHA, BETA, EXT, Kit

import fastwheel
from fastwheel import engine
from fastwheel._verify.families import FAMILIES, base_name, families_of
from fastwheel._verify.loading import CODES, ELSEWHERE
from fastwheel._verify.model import FINDINGS, finding, known_codes
from fastwheel._verify.paths import compiled_in
from fastwheel._verify.targets import claimed_policy, is_foreign
from fastwheel.loader import Kind
from fastwheel.policy import Arch, Libc, by_name
from fastwheel.report.verify import annotate


@pytest.mark.parametrize(
    ("name", "base", "families"),
    [
        ("libglib-2.0.so.0", "libglib-2.0", ("GLib",)),
        ("libgio-2-1a2b3c4d.0.so.0.7400.6", "libgio-2.0", ("GLib",)),
        ("libssl-1a2b3c4d.so.3", "libssl", ("OpenSSL",)),
        ("libstdc++.so.6", "libstdc++", ("the C++ runtime",)),
        ("libX11.so.6", "libX11", ("XCB and Xlib", "the X extensions")),
        ("libQt6Core.so.6", "libQt6Core", ("Qt",)),
        ("libc.so.6", "libc", ()),
        ("libfoo.so", "libfoo", ()),
    ],
)
def test_families(name: str, base: str, families: tuple[str, ...]) -> None:
    assert base_name(name) == base
    assert families_of(name) == families


def test_members_of_the_x_extensions_get_along_with_the_targets_xlib() -> None:
    family = FAMILIES["the X extensions"]
    assert family.may_be_apart("libX11", "libXi")
    assert not family.may_be_apart("libXi", "libXi")
    assert not family.may_be_apart("libXext", "libX11")


def test_clients_are_members() -> None:
    for family in FAMILIES.values():
        assert all(family.holds(client) for client in family.clients)


def places(kit: Kit, *texts: str, loads: bool = False) -> list[tuple[str, str]]:
    strings = "".join(f'const char *s{number} = "{text}";' for number, text in enumerate(texts))
    call = "void *dlopen(const char *, int); void *f(void) { return dlopen(s0, 1); }" if loads else ""
    content = kit.compile("places", strings + call)
    return list(compiled_in(content, engine.read(content)))


def test_data_that_stays_behind(kit: Kit) -> None:
    found = places(
        kit,
        "/usr/local/share/proj",
        "/opt/_internal/openssl-3/ssl",
        "/etc/ssl/certs",
        "/usr/share/locale",
        "/usr/share/zoneinfo/UTC",
        "/usr/local/share/proj/proj.db",
        "/home/me/work/lib/file.c",
        "/usr/bin/perl",
        "/etc/passwd",
        "/usr/local/share/%s/x",
    )
    assert found == [
        ("data", "/etc/ssl/certs"),
        ("data", "/opt/_internal/openssl-3/ssl"),
        ("data", "/usr/local/share/proj"),
    ]


def test_plugins_need_a_loader(kit: Kit) -> None:
    texts = ("/usr/lib/x86_64-linux-gnu/sasl2", "/tmp/vendor/lib/alsa-lib", "/usr/lib", "/build/x/lib/y.a")
    assert places(kit, *texts) == []
    assert places(kit, *texts, loads=True) == [
        ("plugins", "/tmp/vendor/lib/alsa-lib"),
        ("plugins", "/usr/lib/x86_64-linux-gnu/sasl2"),
    ]


@pytest.mark.parametrize("tag", ["win_amd64", "win32", "macosx_11_0_arm64", "ios_13_0_arm64_iphoneos"])
def test_other_systems(kit: Kit, tag: str) -> None:
    assert is_foreign(tag)
    kit.tag = f"cp311-cp311-{tag}"
    verified = fastwheel.verify(kit.pack())
    assert [(item.code, item.level) for item in verified.findings] == [("FV204", "note")]


def test_a_policy_between_two() -> None:
    between = claimed_policy("manylinux_2_30_x86_64", Libc.GLIBC, Arch.X86_64)
    older, newer = by_name("manylinux_2_28_x86_64"), by_name("manylinux_2_31_x86_64")
    assert between is not None
    assert "2.30" in between.versions["GLIBC"]
    assert "2.31" not in between.versions["GLIBC"]
    assert older.versions["GLIBC"] <= between.versions["GLIBC"] <= newer.versions["GLIBC"]
    assert between.versions["GLIBCXX"] == older.versions["GLIBCXX"]
    assert older.priority > between.priority > newer.priority
    for unknown in ("manylinux_2_99_x86_64", "manylinux_2_4_x86_64", "manylinux_3_1_x86_64", "linux_x86_64", "any"):
        assert claimed_policy(unknown, Libc.GLIBC, Arch.X86_64) is None


def test_nothing_that_the_simulation_finds_is_lost() -> None:
    assert CODES.keys() | ELSEWHERE == set(Kind)
    assert not CODES.keys() & ELSEWHERE
    assert set(CODES.values()) <= set(FINDINGS)


def test_codes_and_names() -> None:
    assert known_codes(["fv301", "tags-differ"]) == {"FV301", "FV201"}
    assert len({info.slug for info in FINDINGS.values()}) == len(FINDINGS)


def test_annotations_are_one_line_each() -> None:
    item = finding("FV301", "a\r\nb", details=("100%", "c:d,e"), hint="x")
    (line,) = annotate("dir:a,b\n.whl", [item])
    assert line == (
        "::error file=dir%3Aa%2Cb\\n.whl,title=FV301 library-not-found::a\\r%0Ab%0A100%25%0Ac:d,e%0Ahint: x"
    )


def test_several_architectures_in_one_wheel(kit: Kit) -> None:
    """Each file belongs to one of the tags."""
    kit.build()
    other = kit.files[BETA][:18] + (183).to_bytes(2, "little") + kit.files[BETA][20:]
    kit.files["pkg/libarm.so"] = other
    kit.tag = "cp311-cp311-manylinux_2_17_aarch64.manylinux_2_17_x86_64"
    verified = fastwheel.verify(kit.pack())
    assert "FV404" not in {item.code for item in verified.findings}
    assert verified.proof.objects == 4
    assert verified.proof.baselines == ("manylinux_2_17_aarch64", "manylinux_2_17_x86_64")
    assert {ALPHA, BETA, EXT} < set(kit.files)
