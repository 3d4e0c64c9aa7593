"""One case: a sandbox of folders, what is run in it, and the judge of what came of it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import time
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from zlib import crc32

from zipkit import Part, assemble

from fastwheel.errors import CODES

__all__ = [
    "NAME",
    "Arena",
    "Call",
    "Case",
    "Outcome",
    "Server",
    "Tools",
    "inspect",
    "judge",
    "parts_of",
    "record_of",
    "slowness",
]

NAME = "demo-1.0-py3-none-linux_x86_64.whl"
INFO = "demo-1.0.dist-info"
#: CPU seconds for a malformed input of at most 1 MiB.
MOST_CPU = 1.0
#: CPU seconds that `slowness` takes on the machine that such bounds are meant for.
REFERENCE = 0.12
#: FASTWHEEL_HOSTILE=all: every output is installed and repaired again, not every third one.
THOROUGH = os.environ.get("FASTWHEEL_HOSTILE") == "all"
INIT = b"""\
import ctypes
import os

VALUE = ctypes.CDLL(os.path.join(os.path.dirname(__file__), "_core.so")).value()
"""


class Server:
    """The process that runs the cases; see `server.py`."""

    def __init__(self, python: str = sys.executable, environ: dict[str, str] | None = None) -> None:
        line = [python, str(Path(__file__).with_name("server.py"))]
        environment = {**os.environ, "PYTHONWARNINGS": "ignore", **(environ or {})}
        self._process = subprocess.Popen(line, stdin=-1, stdout=-1, text=True, env=environment)

    def ask(self, request: dict[str, object]) -> dict[str, object]:
        """Run one case and return what came of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the server ended"
        return dict(json.loads(answer))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


class Tools:
    """A library of the build machine and ELF files that need it, compiled once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def compile(self, name: str, source: str, *flags: str) -> bytes:
        """Compile C source into a shared object."""
        path = self.folder / name
        line = ["gcc", "-shared", "-fPIC", "-O1", "-s", "-x", "c", "-", "-o", str(path), "-x", "none", *flags]
        subprocess.run(line, input=source.encode(), check=True, capture_output=True)
        return path.read_bytes()

    @cached_property
    def host(self) -> bytes:
        """`libfwhost.so.1`, which the build machine has."""
        return self.compile("libfwhost.so.1", "int host(void) { return 42; }", "-Wl,-soname,libfwhost.so.1")

    @cached_property
    def core(self) -> bytes:
        """A library of the wheel that needs `libfwhost.so.1`."""
        assert self.host  # it has to be there to be linked to
        source = "int host(void); int getpid(void); int value(void) { return getpid() ? host() : 0; }"
        return self.compile("_core.so", source, str(self.folder / "libfwhost.so.1"))

    @cached_property
    def plain(self) -> bytes:
        """A library that needs the C library only."""
        return self.compile("plain.so", "int value(void) { return 42; }")


@dataclass
class Call:
    """What is run.

    Attributes:
        args: those of the command line after the verb and before the file.
        file: the input; None if `args` hold all there is.
        environ: variables on top of the sandbox's.
        options: further fields of a request to the server.
        changes: paths of the sandbox that the case itself changes meanwhile.
    """

    args: Sequence[str] = ()
    file: Path | None = None
    environ: dict[str, str] = field(default_factory=dict)
    options: dict[str, object] = field(default_factory=dict)
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """One thing that may be wrong, or odd, with what fastwheel is given.

    Attributes:
        name: its id.
        rule: the key of `rules.RULES` that it belongs to.
        make: prepares an arena.
        want: "ok", or error codes of which one has to come; `FW1` stands for all that begin so.
        show: the same for `show`, if it differs; None leaves `show` out.
        says: what stderr has to hold.
        verbs: what is run.
        imports: whether the repaired wheel is to be installed and imported.
        again: whether it is to be repaired a second time.
        cpu: how many seconds of CPU it may take.
        out: where the output is to appear.
        replaces: what may lie under its name before.
    """

    name: str
    rule: str
    make: Callable[[Arena], Call]
    want: tuple[str, ...]
    show: tuple[str, ...] | None = None
    says: str = ""
    verbs: tuple[str, ...] = ("repair", "show")
    imports: bool = True
    again: bool = True
    cpu: float = MOST_CPU
    out: str = "out/"
    replaces: str = ""


class Arena:
    """The folders of one case: `in`, `out`, `tmp`, `home`, `cwd`, `system` (the library folder of the machine)."""

    def __init__(self, folder: Path, tools: Tools, server: Server) -> None:
        self.folder = folder
        self.tools = tools
        self.server = server
        for name in ("in", "tmp", "home", "cwd", "system", "log"):
            (folder / name).mkdir(parents=True)
        (folder / "system" / "libfwhost.so.1").write_bytes(tools.host)
        (folder / "log").chmod(0o777)
        self.out = folder / "out"
        self.system = folder / "system"
        self.out_args: tuple[str, ...] = ("-w", str(self.out))

    def save(self, data: bytes, name: str = NAME) -> Path:
        """Write an input."""
        path = self.folder / "in" / name
        path.write_bytes(data)
        return path

    def environ(self) -> dict[str, str]:
        """The variables of every run."""
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "LC_ALL": "C.UTF-8",
            "LD_LIBRARY_PATH": str(self.system),
            "FASTWHEEL_ENGINE": os.environ.get("FASTWHEEL_ENGINE", ""),
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(self, line: Sequence[str], call: Call) -> Outcome:
        """Run the command line in the sandbox."""
        environ = self.environ()
        environ.update(call.environ)
        logs = {name: str(self.folder / "log" / name) for name in ("stdout", "stderr")}
        for path in logs.values():
            Path(path).unlink(missing_ok=True)
        request = {"args": list(line), "env": environ, "cwd": str(self.folder / "cwd"), **logs, **call.options}
        answer = self.server.ask(request)
        texts = {name: Path(path).read_bytes() if Path(path).exists() else b"" for name, path in logs.items()}
        return Outcome(answer, texts["stdout"], texts["stderr"])

    def state(self, *skip: str) -> dict[str, object]:
        """Everything in the sandbox but the logs: name ▶ kind, permissions and content."""
        found: dict[str, object] = {}
        for top, folders, files in os.walk(self.folder):
            if top == str(self.folder):
                folders[:] = [name for name in folders if name not in ("log", *skip)]
            for name in (*folders, *files):
                path = Path(top, name)
                info = path.lstat()
                content: object = None
                if stat.S_ISLNK(info.st_mode):
                    content = os.readlink(path)
                elif stat.S_ISREG(info.st_mode):
                    content = (info.st_ino, info.st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
                found[os.path.relpath(path, self.folder)] = (info.st_mode, content)
        return found

    def close(self) -> None:
        """Remove the sandbox."""
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass
class Outcome:
    """What came of a run."""

    answer: dict[str, object]
    stdout: bytes
    stderr: bytes

    @property
    def status(self) -> int:
        """The exit status; negative: the signal that ended the process."""
        return int(str(self.answer["status"]))

    @property
    def code(self) -> str:
        """The code of the error that was printed; "" if there was none, or if a new interpreter ran."""
        return str(self.answer["code"])


def parts_of(tools: Tools, *more: Part, core: bytes | None = None, **changes: object) -> list[Part]:
    """The members of a small wheel that needs a graft; `changes` replace the content of WHEEL, METADATA or RECORD."""
    contents = {
        "METADATA": b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
        "WHEEL": b"Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: false\nTag: py3-none-linux_x86_64\n",
        **changes,
    }
    info = str(contents.pop("info", INFO))
    record = contents.pop("record", b"")
    body = [
        Part("demo/__init__.py", INIT),
        Part("demo/_core.so", tools.core if core is None else core, mode=0o100755),
        *more,
    ]
    body += [Part(f"{info}/{name}", text) for name, text in contents.items() if isinstance(text, bytes)]
    if record is not None:
        assert isinstance(record, bytes)
        body.append(Part(f"{info}/RECORD", record or record_of(body, info)))
    return body


def record_of(parts: Sequence[Part], info: str = INFO, line_end: str = "\n") -> bytes:
    """RECORD as it should be."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator=line_end)
    for part in parts:
        name = part.raw_name.decode("utf-8", "replace")
        if not name.endswith("/"):
            digest = urlsafe_b64encode(hashlib.sha256(part.content).digest()).rstrip(b"=").decode()
            writer.writerow((name, f"sha256={digest}", len(part.content)))
    writer.writerow((f"{info}/RECORD", "", ""))
    return out.getvalue().encode()


def _matches(code: str, wanted: Sequence[str]) -> bool:
    return any(code.startswith(prefix) for prefix in wanted)


def judge(arena: Arena, case: Case) -> list[str]:
    """Run a case with each of its verbs; return what is wrong with what came of it."""
    call = case.make(arena)
    complaints: list[str] = []
    for verb in case.verbs:
        want = case.show if verb == "show" and case.show is not None else case.want
        line = [verb, *call.args]
        if verb == "repair":
            line += arena.out_args
        if call.file is not None:
            line.append(str(call.file))
        before = arena.state(*call.changes)
        outcome = arena.run(line, call)
        after = arena.state(*call.changes)
        faults = list(inspect(outcome, want, case, exec_=bool(call.options.get("exec"))))
        if verb == "patch" and outcome.status == 0 and call.file is not None:
            for state in (before, after):  # edited in place
                state.pop(os.path.relpath(call.file, arena.folder))
        if outcome.status == 0 and case.replaces and verb == "repair":
            before.pop(case.replaces)
        fresh = sorted(after.keys() - before.keys())
        changed = sorted(name for name in before if after.get(name) != before[name])
        if changed and changed != ["out"]:
            faults.append(f"changed: {changed}")
        fresh = [name for name in fresh if name != "out"]
        if outcome.status == 0 and verb == "repair" and want in (("ok",), ("any",)):
            if len(fresh) != 1 or not fresh[0].startswith(case.out) or not fresh[0].endswith(".whl"):
                faults.append(f"instead of one wheel there is {fresh}")
            else:
                output = arena.folder / fresh[0]
                faults += _sound(arena, output, case, imports=case.imports and want == ("ok",))
                output.unlink()
        elif fresh:
            faults.append(f"left behind: {fresh}")
        complaints += [f"{verb}: {fault}" for fault in faults]
        if faults:
            said = outcome.stderr.decode(errors="replace")[:2000]
            complaints.append(f"{verb} said, with status {outcome.status}: {said}")
    return complaints


def slowness() -> float:
    """How much slower than a common machine this one is just now, at least 1."""
    begun = time.process_time()
    table: dict[str, int] = {}
    for number in range(400_000):
        table[f"l{number % 5000}"] = table.get(f"l{number % 4999}", 0) + 1
    return max(1.0, (time.process_time() - begun) / REFERENCE)


def inspect(outcome: Outcome, want: Sequence[str], case: Case | None = None, *, exec_: bool = False) -> list[str]:
    """Return what is wrong with status, code and words of a run."""
    faults = []
    answer, status = outcome.answer, outcome.status
    text = outcome.stderr.decode("utf-8", "replace")
    if answer["hung"]:
        return ["it did not end"]
    if status < 0:
        faults.append(f"ended by signal {-status}")
    if "Traceback" in text or "panicked" in text or "Exception ignored" in text:
        faults.append("a traceback")
    if len(text) > 20_000:
        faults.append(f"{len(text)} characters of messages")
    cpu = float(str(answer["cpu"]))
    most = case.cpu if case else MOST_CPU
    if cpu > most and cpu > most * max(slowness() for _ in range(3)):
        faults.append(f"{cpu:.2f} s of CPU")
    if case is not None and case.says not in text:
        faults.append(f"it does not say {case.says!r}")
    if want == ("silent",):
        return faults if status == 1 else [*faults, f"status {status}"]
    if want == ("quiet",):  # nobody reads what it says
        return faults if status in (0, 1, 120) else [*faults, f"status {status}"]
    if want == ("any",):
        if outcome.code == "FW900" or status in (70, 98, 99):
            faults.append(f"status {status}, {outcome.code}")
        if status:
            faults += _block(text, outcome)
        return faults
    if want == ("ok",):
        if status:
            faults.append(f"status {status}, {outcome.code}")
        if any(line.startswith("error: ") for line in text.splitlines()):
            faults.append("an error block in spite of success")
        return faults
    if not status:
        return [*faults, f"accepted, {want} expected"]
    if exec_:
        statuses = {info.status for code, info in CODES.items() if _matches(code, want)}
        if status not in statuses:
            faults.append(f"status {status} instead of {statuses}")
    elif not _matches(outcome.code, want):
        faults.append(f"{outcome.code} instead of {want}")
    elif status != CODES[outcome.code].status:
        faults.append(f"status {status}, {outcome.code} asks for {CODES[outcome.code].status}")
    return faults + _block(text, outcome)


def _block(text: str, outcome: Outcome) -> list[str]:
    """Return what is wrong with the error block at the end of stderr."""
    lines = text.split("\n")
    faults = []
    if lines.pop() != "":
        faults.append("the last line has no end")
    starts = [number for number, line in enumerate(lines) if line.startswith("error: ")]
    if len(starts) != 1:
        return [*faults, f"{len(starts)} error blocks"]
    before, block = lines[: starts[0]], lines[starts[0] :]
    if any(not line.startswith(("warning: ", "note: ")) for line in before):
        faults.append("other lines before the error")
    details = block[1:]
    if details and details[-1].startswith("hint: "):
        details.pop()
    if any(not line.startswith("  ") for line in details):
        faults.append("lines that are no part of the block")
    if not all(line.isprintable() for line in lines):
        faults.append("unprintable characters")
    if any(len(line) > 2000 for line in block):
        faults.append("a line of more than 2,000 characters")
    if outcome.stdout:
        faults.append("output on stdout")
    return faults


def _sound(arena: Arena, output: Path, case: Case, *, imports: bool) -> list[str]:
    """Check a repaired wheel: sound, installable, importable, and a fixed point of repairs."""
    faults = []
    with zipfile.ZipFile(output) as archive:
        if archive.testzip() is not None:
            faults.append("a damaged member")
        names = archive.namelist()
        if len(set(names)) != len(names):
            faults.append("a member twice")
        record = names[-1]
        if not record.endswith(".dist-info/RECORD"):
            faults.append("RECORD is not the last member")
        rows = {row[0]: row for row in csv.reader(io.StringIO(archive.read(record).decode(), newline=""))}
        for name in names:
            if not name.endswith("/") and name != record and (len(names) < 1000 or name.startswith("demo/")):
                content = archive.read(name)
                digest = urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
                if rows.get(name) not in (
                    [name, f"sha256={digest}", str(len(content))],
                    [name, f"sha256={digest}", ""],
                ):
                    algorithm = rows.get(name, ["", ""])[1].partition("=")[0]
                    if algorithm not in ("sha384", "sha512"):
                        faults.append(f"RECORD is wrong on {name}: {rows.get(name)}")
        if set(rows) - set(names) - {name.rstrip("/") for name in names} - {f"{record}.jws", f"{record}.p7s"}:
            faults.append("RECORD lists more than there is")
    mode = stat.S_IMODE(output.stat().st_mode)
    if mode & 0o111:
        faults.append(f"mode {mode:o}")
    if imports and (THOROUGH or crc32(case.name.encode()) % 3 == 0):
        faults += _imports(arena, output)
    if case.again and (THOROUGH or crc32(case.name.encode()) % 3 == 1):
        call = Call(environ={"LD_LIBRARY_PATH": ""})
        second = arena.run(
            ["repair", "--allow-pure-python-wheel", "-w", str(arena.folder / "again"), str(output)], call
        )
        copy = arena.folder / "again" / output.name
        if second.status or not copy.exists():
            faults.append(f"the second repair: {second.status}, {second.stderr.decode(errors='replace')}")
        elif copy.read_bytes() != output.read_bytes():
            faults.append("the second repair changes bytes")
        shutil.rmtree(arena.folder / "again", ignore_errors=True)
    return faults


def _imports(arena: Arena, output: Path) -> list[str]:
    from installer import install
    from installer.destinations import SchemeDictionaryDestination
    from installer.sources import WheelFile

    site = arena.folder / "site"
    schemes = {"purelib": site, "platlib": site}
    schemes |= {name: arena.folder / "site" / f".{name}" for name in ("scripts", "headers", "data")}
    destination = SchemeDictionaryDestination(
        {key: str(path) for key, path in schemes.items()}, sys.executable, "posix"
    )
    try:
        with WheelFile.open(output) as source:
            install(source, destination, {"INSTALLER": b"test"})
        request = {"import": "demo", "site": str(site), "env": {**arena.environ(), "LD_LIBRARY_PATH": ""}}
        logs = {name: str(arena.folder / "log" / name) for name in ("stdout", "stderr")}
        answer = arena.server.ask({"args": [], "cwd": "/", **logs, **request})
        if answer["status"] != 0:
            return [f"the installed wheel can't be imported: {Path(logs['stderr']).read_text()[-500:]}"]
    except Exception as error:
        return [f"the wheel can't be installed: {type(error).__name__}: {error}"]
    finally:
        shutil.rmtree(site, ignore_errors=True)
    return []


def wheel(tools: Tools, *more: Part, **changes: object) -> bytes:
    """A sound wheel; see `parts_of`."""
    return assemble(parts_of(tools, *more, **changes))
