"""The compact table says exactly what auditwheel's files and objects say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import auditwheel.policy
import pytest
from auditwheel.architecture import Architecture
from auditwheel.libc import Libc as PeerLibc

from fastwheel.policy import Arch, Libc, Policy, policies

PEER = Path(auditwheel.policy.__file__).parent
FILES = {Libc.GLIBC: "manylinux", Libc.MUSL: "musllinux", Libc.ANDROID: "android"}
SCRIPT = Path(__file__).parents[2] / ".ci" / "refresh-policies"


def entries(libc: Libc) -> list[dict]:
    return json.loads((PEER / f"{FILES[libc]}-policy.json").read_text())


CASES = [(libc, arch) for libc in Libc for arch in Arch]


@pytest.mark.parametrize(("libc", "arch"), CASES, ids=lambda x: x.value)
def test_every_field_equals_the_files(libc: Libc, arch: Arch) -> None:
    theirs = [e for e in entries(libc) if e["name"] == "linux" or arch.value in e["symbol_versions"]]
    theirs.sort(key=lambda e: -e["priority"])
    ours = policies(libc, arch)
    assert [p.base for p in ours] == [e["name"] for e in theirs]
    suffix = arch.android_name if libc is Libc.ANDROID else arch.value
    for policy, entry in zip(ours, theirs, strict=True):
        tag_arch = arch.value if policy.is_linux else suffix
        assert policy.name == f"{entry['name']}_{tag_arch}"
        assert policy.aliases == tuple(f"{a}_{tag_arch}" for a in entry["aliases"])
        assert policy.priority == entry["priority"]
        assert (policy.libc, policy.arch) == (libc, arch)
        versions = entry["symbol_versions"].get(arch.value, {})
        assert dict(policy.versions) == {k: frozenset(v) for k, v in versions.items()}
        assert {k: len(v) for k, v in policy.versions.items()} == {k: len(v) for k, v in versions.items()}
        libs = {arch.musl_libc if libc is Libc.MUSL and lib == "libc.so" else lib for lib in entry["lib_whitelist"]}
        assert policy.allowlist == libs
        assert dict(policy.blacklist) == {k: frozenset(v) for k, v in entry["blacklist"].items()}


def test_no_arch_of_theirs_is_unknown_here() -> None:
    names = {a for libc in Libc for e in entries(libc) for a in e["symbol_versions"]}
    assert names == {a.value for a in Arch}


def same(ours: Policy, theirs: object) -> None:
    assert ours.name == theirs.name
    assert ours.aliases == theirs.aliases
    assert ours.priority == theirs.priority
    assert dict(ours.versions) == theirs.symbol_versions
    assert ours.allowlist == theirs.whitelist
    assert dict(ours.blacklist) == theirs.blacklist


@pytest.mark.parametrize("arch", Arch, ids=lambda x: x.value)
def test_manylinux_equals_their_objects(arch: Arch) -> None:
    theirs = list(auditwheel.policy.WheelPolicies(libc=PeerLibc.GLIBC, arch=Architecture(arch.value)))
    ours = policies(Libc.GLIBC, arch)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, reversed(theirs), strict=True):
        same(a, b)


@pytest.mark.parametrize("base", ["musllinux_1_1", "musllinux_1_2"])
@pytest.mark.parametrize("arch", [a for a in Arch if a is not Arch.PPC64], ids=lambda x: x.value)
def test_musllinux_equals_their_objects(base: str, arch: Arch) -> None:
    ours = [p for p in policies(Libc.MUSL, arch) if p.base == base]
    if base == "musllinux_1_1" and arch is Arch.LOONGARCH64:
        assert ours == []
        return
    theirs = auditwheel.policy.WheelPolicies(libc=PeerLibc.MUSL, arch=Architecture(arch.value), musl_policy=base)
    same(ours[0], theirs.highest)


@pytest.mark.parametrize(("tag", "base"), [("21", 21), ("23", 21), ("24", 24), ("25", 24), ("26", 26), ("35", 27)])
@pytest.mark.parametrize("abi", ["arm64_v8a", "x86_64"])
def test_android_equals_their_objects(tag: str, base: int, abi: str) -> None:
    from fastwheel.policy import by_name

    name = f"android_{tag}_{abi}"
    theirs = auditwheel.policy.WheelPolicies(
        libc=PeerLibc.ANDROID,
        arch=Architecture("aarch64" if abi == "arm64_v8a" else abi),
        wheel_fn=Path(f"a-1-cp313-cp313-{name}.whl"),
    )
    same(by_name(name), theirs.highest)
    assert by_name(name).priority == {21: 79, 24: 76, 26: 74, 27: 73}[base]


def test_the_table_is_what_the_script_writes() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "up to date\n")


def test_the_script_takes_newer_files_and_refuses_what_it_cannot_hold(tmp_path: Path) -> None:
    data = entries(Libc.GLIBC)
    newest = max((e for e in data if e["name"] != "linux"), key=lambda e: -e["priority"])
    newer = json.loads(json.dumps(newest)) | {"name": "manylinux_2_42", "priority": 50, "aliases": []}
    newer["symbol_versions"]["x86_64"]["GLIBC"].append("2.42")
    source, output = tmp_path / "current-policies.json", tmp_path / "table.json"

    def run() -> subprocess.CompletedProcess[str]:
        source.write_text(json.dumps([*data, newer]))
        return subprocess.run(
            [sys.executable, SCRIPT, source, "--output", output], capture_output=True, text=True, check=False
        )

    assert run().returncode == 0
    table = json.loads(output.read_text())
    assert table["glibc"]["policies"][-1] == "manylinux_2_42 50"
    assert table["glibc"]["versions"]["GLIBC"]["x86_64"].count("q") == 1
    newer["symbol_versions"]["x86_64"]["GLIBC"].remove("2.17")
    done = run()
    assert done.returncode == 1
    assert "manylinux_2_42_x86_64 GLIBC loses ['2.17']" in done.stderr


def test_loading_is_quick_and_lazy() -> None:
    code = (
        "import time, fastwheel.policy.tables as t; from fastwheel.policy import *\n"
        "assert t._table.cache_info().currsize == 0\n"
        "start = time.perf_counter(); policies(Libc.GLIBC, Arch.X86_64)\n"
        "print(time.perf_counter() - start)"
    )
    runs = [float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(7)]
    assert min(runs) < 0.003
