"""`verify` over published wheels for many processors and C libraries: each error is true."""

from __future__ import annotations

from pathlib import Path

import pytest
from peer import download, sdist

import fastwheel

LINES = (Path(__file__).parent / "published.txt").read_text().splitlines()
PUBLISHED = [pytest.param(*line.split(), id="-".join(line.split()[:2])) for line in LINES if not line.startswith("#")]


@pytest.mark.parametrize(("requirement", "platform", "python", "abi", "digest"), PUBLISHED)
def test_published_wheels_are_proved(requirement: str, platform: str, python: str, abi: str, digest: str) -> None:
    verified = fastwheel.verify(download(requirement, platform, python, abi, digest))
    assert verified.at("error") == (), [item.message for item in verified.at("error")]
    assert verified.proof.loaded == verified.proof.objects > 0
    # Grafts without licenses and with compiled-in folders there are; nothing else.
    assert {item.code for item in verified.at("warning")} <= {"FV503", "FV506"}


@pytest.mark.parametrize(
    ("name", "errors"),
    [
        # Linked against newer libraries than its tag allows, and against libpython.
        ("python_mscl-67.0.1.0-cp313-cp313-manylinux2014_aarch64", {"FV205", "FV601"}),
        # libc++_shared.so is part of no Android.
        ("android/spam-0.1.0-cp313-cp313-android_24_arm64_v8a", {"FV301"}),
        ("fpewheel-0.0.0-cp35-cp35m-linux_x86_64", set()),
        # Renamed from cp311.
        ("glibc/testsimple-0.0.1-cp313-cp313-linux_mips64", {"FV201", "FV209"}),
        ("glibc/testsimple-0.0.1-cp313-cp313-linux_riscv64", set()),
        ("plumbum-1.6.8-py2.py3-none-any", set()),
    ],
)
def test_wheels_of_the_peers_tests(name: str, errors: set[str]) -> None:
    verified = fastwheel.verify(sdist() / "tests" / "bundled-wheels" / f"{name}.whl")
    assert {item.code for item in verified.at("error")} == errors, verified.findings
