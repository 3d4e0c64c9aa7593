"""The jobs: which wheels, and what is to be done with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from wheelbench.generate import huge_wheel, tiny_wheel
from wheelbench.store import built, download, taken_apart

__all__ = ["FULL", "JOBS", "Job", "Spec"]


@dataclass(frozen=True)
class Job:
    """Something to measure.

    Attributes:
        key: its short name, as in the table.
        verb: "repair", "show" or "start" (the program is only started).
        wheels: what the programs are given, in one call.
        libraries: a folder that they are told to search, if any.
        modules: what can be imported once the first wheel is installed; empty if that is not tried.
    """

    key: str
    verb: str
    wheels: tuple[Path, ...] = ()
    libraries: Path | None = None
    modules: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spec:
    """A job that is not ready: `prepare` downloads, builds and generates what it needs.

    Attributes:
        key: the job's key.
        title: what it is, for the table.
        prepare: makes the job.
        small: whether the short form of the benchmark runs it.
        peers: auditwheel and repairwheel do it too.
    """

    key: str
    title: str
    prepare: Callable[[], Job]
    small: bool = False
    peers: tuple[str, ...] = ("auditwheel", "repairwheel")


def _built(key: str, verb: str, name: str, *modules: str) -> Callable[[], Job]:
    return lambda: Job(key, verb, (built(name),), modules=modules)


def _unrepaired(key: str, verb: str, requirement: str, *modules: str) -> Callable[[], Job]:
    def prepare() -> Job:
        wheels, libraries = taken_apart((download(requirement),))
        return Job(key, verb, wheels, libraries, modules)

    return prepare


def _six(key: str, verb: str) -> Callable[[], Job]:
    def prepare() -> Job:
        published = tuple(download("pillow==11.3.0", f"3.{minor}") for minor in range(9, 15))
        return Job(key, verb, *taken_apart(published))

    return prepare


def _huge(key: str, verb: str) -> Callable[[], Job]:
    def prepare() -> Job:
        wheel, libraries = huge_wheel()
        return Job(key, verb, (wheel,), libraries)

    return prepare


SCIPY = "scipy==1.17.1"
OPENCV = "opencv-python-headless==5.0.0.93"

_SMALL = (
    Spec(
        "a", "repair: the example, one module over OpenBLAS", _built("a", "repair", "example-pkg", "example_pkg"), True
    ),
    Spec("b", "repair: Pillow, built on Debian", _built("b", "repair", "pillow", "PIL._imaging"), True),
    Spec("g0", "show: a tiny wheel", lambda: Job("g0", "show", (tiny_wheel(),)), True),
    Spec("ga", "show: the wheel of a", _built("ga", "show", "example-pkg"), True),
    Spec("gb", "show: the wheel of b", _built("gb", "show", "pillow"), True),
    Spec("h", "`--version`", lambda: Job("h", "start"), True),
)
_LARGE = (
    Spec("b2", "repair: lxml, built on Debian", _built("b2", "repair", "lxml", "lxml.etree")),
    Spec("c", "repair: SciPy, un-repaired", _unrepaired("c", "repair", SCIPY, "scipy.linalg", "scipy.special")),
    Spec("c2", "repair: OpenCV, un-repaired", _unrepaired("c2", "repair", OPENCV, "cv2")),
    Spec("d", "repair: 1.6 GB of large members, two change", _huge("d", "repair"), peers=("auditwheel",)),
    Spec("e", "repair: Pillow for six Pythons, un-repaired", _six("e", "repair")),
    Spec("f", "repair: OpenCV as published, nothing to do", lambda: Job("f", "repair", (download(OPENCV),))),
    Spec("gc", "show: the wheel of c", _unrepaired("gc", "show", SCIPY)),
    Spec("gc2", "show: the wheel of c2", _unrepaired("gc2", "show", OPENCV)),
    Spec("gd", "show: the wheel of d", _huge("gd", "show")),
    Spec("gf", "show: the wheel of f", lambda: Job("gf", "show", (download(OPENCV),))),
)

#: In the order of the table.
JOBS: Mapping[str, Spec] = {spec.key: spec for spec in sorted((*_SMALL, *_LARGE), key=lambda spec: spec.key)}

#: What `--full` adds: published wheels with many grafts.
FULL: Mapping[str, Spec] = {
    spec.key: spec
    for spec in (
        Spec("x1", "repair: PyAV, un-repaired", _unrepaired("x1", "repair", "av==18.1.0")),
        Spec("x2", "repair: rasterio, un-repaired", _unrepaired("x2", "repair", "rasterio==1.4.4")),
        Spec("x3", "repair: pygame, un-repaired", _unrepaired("x3", "repair", "pygame==2.6.1")),
        Spec("x4", "repair: h5py, un-repaired", _unrepaired("x4", "repair", "h5py==3.16.0")),
        Spec("x5", "repair: NumPy, un-repaired", _unrepaired("x5", "repair", "numpy==2.4.6")),
    )
}
