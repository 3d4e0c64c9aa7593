"""The good wheel has nothing to complain of; everything else in this folder breaks one part of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest
from verify_kit import ALPHA, EXT, Kit

import fastwheel

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_nothing_is_found_in_the_good_wheel(kit: Kit) -> None:
    verified = kit.verify()
    assert [item for item in verified.findings if item.level != "note"] == []
    assert {item.code for item in verified.findings} <= {"FV206"}
    assert verified.proved
    assert (verified.proof.objects, verified.proof.loaded) == (3, 3)
    assert verified.proof.interpreters == ("cp311",)
    assert verified.proof.baselines == ("manylinux_2_17_x86_64",)
    assert verified.proof.symbols > 3


@pytest.mark.parametrize("engine", ["python", "rust"])
def test_both_engines_answer_alike(kit: Kit, engine: str, command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.files[ALPHA] = kit.beta() and kit.alpha(version="OTHER_1")
    kit.alpha()
    wheel = kit.build().pack()
    expected = fastwheel.verify(wheel).to_dict()
    monkeypatch.setenv("FASTWHEEL_ENGINE", engine)
    document = json.loads(command("fastwheel", "verify", "--json", wheel, check=False).stdout)
    assert document["version"] == 1
    assert document["wheels"] == [{key: value for key, value in expected.items() if key != "version"}]


def test_the_better_tag_is_only_a_note(kit: Kit) -> None:
    kit.tag = "cp311-cp311-manylinux_2_28_x86_64"
    (note,) = kit.verify().findings
    assert (note.code, note.level) == ("FV206", "note")
    assert "manylinux_2_5_x86_64" in note.message


def test_another_platform_than_its_own(kit: Kit) -> None:
    wheel = kit.build().pack()
    verified = fastwheel.verify(wheel, plat="manylinux_2_34_x86_64")
    assert verified.tags == ("manylinux_2_34_x86_64",)
    assert {item.code for item in verified.findings} == {"FV206"}
    with pytest.raises(fastwheel.FastwheelError) as error:
        fastwheel.verify(wheel, plat="manylinux_2_17_aarch64")
    assert error.value.code == "FW611"


def test_a_pure_wheel(kit: Kit) -> None:
    kit.tag, kit.purelib = "py3-none-any", "true"
    verified = fastwheel.verify(kit.pack())
    assert verified.findings == ()
    assert verified.proof.objects == 0


def test_tags_between_known_policies(kit: Kit) -> None:
    """PEP 600 allows every version of glibc; the policy is made of its neighbours."""
    kit.tag = "cp311-cp311-manylinux_2_30_x86_64"
    assert kit.verify().proved
    kit.files[EXT] = kit.ext(before="int stat(const char *, void *);", body="stat(0, 0);")
    (finding,) = kit.verify().at("error")
    assert finding.code == "FV205"
    kit.tag = "cp311-cp311-manylinux_2_33_x86_64"
    assert kit.verify().proved
