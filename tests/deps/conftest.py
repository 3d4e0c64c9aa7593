"""Facts without files, and libraries made by gcc in a scratch folder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Protocol

import pytest

from fastwheel._elf.model import Facts

_BASE = Facts(
    bits=64, byte_order="little", osabi=0, abi_version=0, type=3, machine=62, flags=0, segments=(), dynamic=True,
    interpreter=None, soname=None, needed=(), rpath=None, runpath=None, dt_flags=0, dt_flags_1=0,
    text_relocations=False, stack_flags=None, version_needs=(), version_definitions=(), undefined=(),
    undefined_weak=(), init_functions=(), build_id=None, x86_isa_needed=0,
)  # fmt: skip


class MakeFacts(Protocol):
    def __call__(self, *needed: str, **changes: object) -> Facts: ...


class MakeLibrary(Protocol):
    def __call__(
        self,
        path: Path,
        *needed: str,
        soname: str | None = ...,
        rpath: str | None = ...,
        runpath: str | None = ...,
        flags: tuple[str, ...] = ...,
    ) -> Path: ...


@pytest.fixture
def facts() -> MakeFacts:
    def make(*needed: str, **changes: object) -> Facts:
        return _BASE._replace(needed=needed, **changes)

    return make


@pytest.fixture
def library(tmp_path_factory: pytest.TempPathFactory) -> MakeLibrary:
    """Make a shared library that needs libraries by name; the needed ones need not exist."""
    scratch = tmp_path_factory.mktemp("scratch")

    def make(
        path: Path,
        *needed: str,
        soname: str | None = None,
        rpath: str | None = None,
        runpath: str | None = None,
        flags: tuple[str, ...] = (),
    ) -> Path:
        options = [f"-Wl,-soname,{soname or path.name}"]
        for name in needed:
            stub = scratch / name.replace("/", "%")
            if not stub.exists():
                gcc("-o", stub, f"-Wl,-soname,{name}")
            options.append(str(stub))
        if rpath is not None:
            options += ["-Wl,--disable-new-dtags", f"-Wl,-rpath,{rpath}"]
        if runpath is not None:
            options += ["-Wl,--enable-new-dtags", f"-Wl,-rpath,{runpath}"]
        path.parent.mkdir(parents=True, exist_ok=True)
        gcc("-o", path, "-Wl,--no-as-needed", *options, *flags)
        return path

    return make


def gcc(*arguments: str | os.PathLike[str]) -> None:
    subprocess.run(
        ["gcc", "-shared", "-nostdlib", "-fPIC", "-x", "c", "/dev/null", "-x", "none", *arguments], check=True
    )
