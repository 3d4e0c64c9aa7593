"""Policies from a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fastwheel.errors import FastwheelError
from fastwheel.policy import Arch, Libc, policies
from fastwheel.policy.custom import load_policies, with_custom

OWN = {
    "name": "acme_1",
    "aliases": ["acme"],
    "priority": 66,
    "symbol_versions": {"x86_64": {"GLIBC": ["2.2.5", "2.27"]}},
    "lib_whitelist": ["libc.so.6", "libacme.so.1"],
    "blacklist": {"libc.so.6": ["gets"]},
}


def _write(folder: Path, content: object) -> Path:
    path = folder / "policies.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_policy_is_sorted_in_by_priority(tmp_path: Path) -> None:
    own = load_policies(_write(tmp_path, [OWN]), Libc.GLIBC, Arch.X86_64)
    assert [(p.name, p.aliases, p.allowlist) for p in own] == [
        ("acme_1_x86_64", ("acme_x86_64",), frozenset({"libc.so.6", "libacme.so.1"}))
    ]
    names = [policy.name for policy in with_custom(policies(Libc.GLIBC, Arch.X86_64), own)]
    at = names.index("acme_1_x86_64")
    assert names[at - 1 : at + 2] == ["manylinux_2_26_x86_64", "acme_1_x86_64", "manylinux_2_27_x86_64"]
    assert names[-1] == "linux_x86_64"


def test_other_processors_are_passed_over(tmp_path: Path) -> None:
    assert load_policies(_write(tmp_path, [OWN]), Libc.GLIBC, Arch.AARCH64) == ()


def test_policy_of_a_known_name_replaces_it(tmp_path: Path) -> None:
    own = load_policies(_write(tmp_path, [{**OWN, "name": "manylinux_2_17"}]), Libc.GLIBC, Arch.X86_64)
    merged = with_custom(policies(Libc.GLIBC, Arch.X86_64), own)
    assert [policy.priority for policy in merged if policy.name == "manylinux_2_17_x86_64"] == [66]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[",
        "{}",
        "[" * 100_000,
        [1],
        [{**OWN, "name": 5}],
        [{**OWN, "name": "a/b"}],
        [{**OWN, "priority": "high"}],
        [{**OWN, "priority": True}],
        [{**OWN, "symbol_versions": []}],
        [{**OWN, "symbol_versions": {"x86_64": {"GLIBC": [2]}}}],
        [{**OWN, "lib_whitelist": "libc.so.6"}],
        [{**OWN, "blacklist": ["gets"]}],
    ],
)
def test_malformed_files_are_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(FastwheelError) as caught:
        load_policies(_write(tmp_path, content), Libc.GLIBC, Arch.X86_64)
    assert caught.value.code == "FW612"


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FastwheelError) as caught:
        load_policies(tmp_path / "none.json", Libc.GLIBC, Arch.X86_64)
    assert caught.value.code == "FW700"
