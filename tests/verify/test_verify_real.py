"""Wheels of real packages, built here and repaired: no finding that is not true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import fastwheel


def test_repaired_wheels_are_proved(repaired_wheel: Callable[[str], Path], real_package: str) -> None:
    verified = fastwheel.verify(repaired_wheel(real_package))
    assert verified.at("error") == (), [item.message for item in verified.at("error")]
    assert verified.proof.loaded == verified.proof.objects > 0
    assert verified.proof.symbols > 100
    # These are true of libraries that Debian builds: nobody shipped their licenses, and they look below /usr and /etc.
    assert {item.code for item in verified.at("warning")} <= {"FV503", "FV504", "FV505", "FV506"}


def test_before_the_repair_they_are_not(built_wheel: Callable[[str], Path], real_package: str) -> None:
    """A wheel as built promises nothing (`linux_*`); told to hold to a platform, it lacks libraries."""
    wheel = built_wheel(real_package)
    assert {item.code for item in fastwheel.verify(wheel).at("error")} == set()
    codes = Counter(item.code for item in fastwheel.verify(wheel, plat="manylinux_2_39_x86_64").at("error"))
    assert codes["FV301"] >= 1
    assert set(codes) <= {"FV301", "FV601"}
