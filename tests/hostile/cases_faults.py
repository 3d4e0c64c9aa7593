"""Faults of the machine: odd files on the search path, odd inputs and outputs, limits, streams, environment."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from arena import NAME, Arena, Call, Case, parts_of
from zipkit import assemble

from fastwheel import engine
from fastwheel._elf.model import Edit

__all__ = ["CASES"]

CASES: list[Case] = []
NOBODY = 65534
OUTPUT = "demo-1.0-py3-none-manylinux1_x86_64.manylinux_2_5_x86_64.whl"
Prepare = Callable[[Arena], object]


def add(
    name: str,
    rule: str,
    want: str | Sequence[str],
    prepare: Prepare = lambda arena: None,
    *args: str,
    environ: Mapping[str, str] | None = None,
    request: Mapping[str, object] | None = None,
    file: Callable[[Arena], Path] | None = None,
    out: Callable[[Arena], Sequence[str]] | None = None,
    **options: object,
) -> None:
    """Keep a case of a sound wheel in a sandbox that `prepare` spoils.

    Args:
        name: the case's id.
        rule: the rule that it belongs to.
        want: what has to come of it.
        prepare: changes the sandbox; the wheel is there already.
        args: options of the command line.
        environ: variables.
        request: further fields of the request to the server.
        file: the path to give instead of the wheel's.
        out: the options that say where the output is to go.
        options: further fields of the case.
    """

    def make(arena: Arena) -> Call:
        path = arena.save(assemble(parts_of(arena.tools)))
        prepare(arena)
        if out is not None:
            arena.out_args = tuple(out(arena))
        fields = {key: value(arena) if callable(value) else value for key, value in (environ or {}).items()}
        settings = dict(request or {})
        changes = settings.pop("changes", ())
        return Call(args, file(arena) if file else path, fields, settings, changes)  # type: ignore[arg-type]

    wanted = (want,) if isinstance(want, str) else tuple(want)
    CASES.append(Case(f"fault/{name}", rule, make, wanted, **options))  # type: ignore[arg-type]


# --- the search path -------------------------------------------------------------------------------------------------
def library(arena: Arena) -> Path:
    return arena.system / "libfwhost.so.1"


def instead(make: Callable[[Path, Arena], object]) -> Prepare:
    """Put something else in the library's place."""

    def prepare(arena: Arena) -> None:
        library(arena).unlink()
        make(library(arena), arena)

    return prepare


def bind(path: Path) -> None:
    """A socket: its address has to be short."""
    here = os.open(path.parent, os.O_RDONLY)
    server = socket.socket(socket.AF_UNIX)
    server.bind(f"/proc/self/fd/{here}/{path.name}")
    server.close()
    os.close(here)


def two_folders(make: Callable[[Path, Arena], object]) -> Prepare:
    """Something odd in the first folder of the search path, the library in the second."""

    def prepare(arena: Arena) -> None:
        (arena.folder / "first").mkdir()
        make(arena.folder / "first" / "libfwhost.so.1", arena)

    return prepare


ODD: dict[str, Callable[[Path, Arena], object]] = {
    "folder": lambda path, arena: path.mkdir(),
    "fifo": lambda path, arena: os.mkfifo(path),
    "socket": lambda path, arena: bind(path),
    "loop": lambda path, arena: path.symlink_to(path.name),
    "long-loop": lambda path,
    arena: [path.symlink_to("a"), (path.parent / "a").symlink_to("b"), (path.parent / "b").symlink_to("a")],
    "dangling": lambda path, arena: path.symlink_to("gone"),
    "null-device": lambda path, arena: path.symlink_to("/dev/null"),
    "zero-device": lambda path, arena: path.symlink_to("/dev/zero"),
    "tty": lambda path, arena: path.symlink_to("/dev/tty"),
    "memory": lambda path, arena: path.symlink_to("/proc/self/mem"),
    "environ": lambda path, arena: path.symlink_to("/proc/self/environ"),
    "link-to-folder": lambda path, arena: path.symlink_to("/etc"),
    "link-to-fifo": lambda path,
    arena: [os.mkfifo(arena.folder / "home" / "fifo"), path.symlink_to(arena.folder / "home" / "fifo")],
    "text": lambda path, arena: path.write_text("not a library\n"),
    "linker-script": lambda path, arena: path.write_text("/* GNU ld script */ GROUP ( /lib/libc.so.6 )\n"),
    "input-script": lambda path, arena: path.write_text("INPUT(-lfwhost)\n"),
    "empty": lambda path, arena: path.write_bytes(b""),
    "static-library": lambda path, arena: path.write_bytes(b"!<arch>\n"),
    "cut": lambda path, arena: path.write_bytes(arena.tools.host[:700]),
    "magic": lambda path, arena: path.write_bytes(b"\x7fELF"),
    "arm": lambda path, arena: path.write_bytes(arena.tools.host[:18] + struct.pack("<H", 40) + arena.tools.host[20:]),
    "32-bit": lambda path, arena: path.write_bytes(arena.tools.host[:4] + b"\1" + arena.tools.host[5:]),
    "object-file": lambda path, arena: path.write_bytes(arena.tools.host[:16] + b"\1\0" + arena.tools.host[18:]),
    "the-wheel-itself": lambda path, arena: path.symlink_to(arena.folder / "in" / NAME),
    "name-in-a-file": lambda path, arena: path.with_name("gone").write_text(""),
}  # fmt: skip
for _name, _make in ODD.items():
    add(f"search/{_name}", "search-path", "FW500", instead(_make), show=("ok",))
    add(
        f"search/{_name}-then-good",
        "search-path",
        "ok",
        two_folders(_make),
        environ={"LD_LIBRARY_PATH": lambda arena: f"{arena.folder}/first:{arena.system}"},
    )  # type: ignore[dict-item]
add("search/missing", "search-path", "FW500", instead(lambda path, arena: None), show=("ok",))
add(
    "search/link",
    "search-path",
    "ok",
    lambda a: [
        library(a).rename(a.folder / "home" / "real.so.1"),
        library(a).symlink_to(a.folder / "home" / "real.so.1"),
    ],
)
add(
    "search/link-chain",
    "search-path",
    "ok",
    lambda a: [
        library(a).rename(a.system / "x0"),
        *((a.system / f"x{i + 1}").symlink_to(f"x{i}") for i in range(8)),
        library(a).symlink_to("x8"),
    ],
)
add("search/hard-link", "search-path", "ok", lambda a: os.link(library(a), a.folder / "home" / "other-name"))
add("search/read-only", "search-path", "ok", lambda a: library(a).chmod(0o444))
add("search/not-executable", "search-path", "ok", lambda a: library(a).chmod(0o600))
add(
    "search/overlay-behind",
    "search-path",
    ("any",),
    lambda a: library(a).write_bytes(a.tools.host + b"PK\3\4" + bytes(5000)),
)
for _name, _path, _want, _says in [
    ("origin", "$ORIGIN/../system", "FW500", "$ORIGIN has no meaning"),
    ("origin-braces", "${ORIGIN}/../system", "FW500", "$ORIGIN"),
    ("origin-and-good", "$ORIGIN:{system}", "ok", "$ORIGIN has no meaning"),
    ("lib-token", "$LIB", "FW500", ""), ("missing-folder", "/gone:{system}", "ok", ""),
    ("file-as-folder", "/etc/passwd:{system}", "ok", ""), ("device", "/dev/null:{system}", "ok", ""),
    ("relative", "../system", "ok", ""),
    ("relative-dot", "./../system/.", "ok", ""), ("empty-entries", ":::{system}::", "ok", ""),
    ("semicolon", "/x;{system}", "ok", ""), ("slashes", "//{system}///", "ok", ""),
    ("twice", "{system}:{system}", "ok", ""), ("long", ":".join(["/gone"] * 20_000) + ":{system}", "ok", ""),
    ("long-entry", "/" + "x" * 5000 + ":{system}", "ok", ""), ("non-utf-8", "/gone\udcff:{system}", "ok", ""),
    ("control", "/gone\x1b[2J\n:{system}", "ok", ""), ("proc", "/proc/self/fd:/proc/self/cwd:{system}", "ok", ""),
    ("only-colon", ":", "FW500", ""),
]:  # fmt: skip
    add(
        f"search/path-{_name}",
        "search-path",
        _want,
        environ={"LD_LIBRARY_PATH": lambda a, p=_path: p.replace("{system}", str(a.system))},
        show=("ok",),
        says=_says,
    )  # type: ignore[dict-item]
for _name, _option in {"ldpaths": "--ldpaths", "lib-path": "--lib-path"}.items():
    add(
        f"search/{_name}-origin",
        "search-path",
        "FW500",
        lambda a: None,
        _option,
        "$ORIGIN/../system",
        environ={"LD_LIBRARY_PATH": ""},
        show=("ok",),
        says="$ORIGIN has no meaning",
    )
    add(
        f"search/{_name}-relative",
        "search-path",
        "ok",
        lambda a: None,
        _option,
        "../system",
        environ={"LD_LIBRARY_PATH": ""},
    )
    add(
        f"search/{_name}-missing",
        "search-path",
        "FW500",
        lambda a: None,
        _option,
        "/gone",
        environ={"LD_LIBRARY_PATH": ""},
        show=("ok",),
    )
    add(f"search/{_name}-odd-bytes", "search-path", ("any",), lambda a: None, _option, "/gone\udcff\x1b:\n")


def needs(name: str, want: str | Sequence[str], needed: Callable[[Arena], str], **options: object) -> None:
    """Keep a case whose ELF file needs a library of an odd name."""

    def make(arena: Arena) -> Call:
        core = engine.edit(arena.tools.core, Edit(replace_needed=(("libfwhost.so.1", needed(arena)),)))
        return Call(file=arena.save(assemble(parts_of(arena.tools, core=core))))

    wanted = (want,) if isinstance(want, str) else tuple(want)
    CASES.append(Case(f"fault/needed/{name}", "search-path", make, wanted, **{"show": ("ok",), **options}))  # type: ignore[arg-type]


needs(
    "absolute",
    ("FW500",),
    lambda a: str((a.folder / "home" / "libx.so").write_bytes(a.tools.host) and a.folder / "home" / "libx.so"),
)
needs("absolute-in-path", "ok", lambda a: str(library(a)))
for _name in (
    "../system/libfwhost.so.1", "./libfwhost.so.1", "system/libfwhost.so.1", "..", ".", "/", "/etc", "/etc/passwd",
    "/dev/zero", "/dev/stdin", "/proc/self/mem", "$ORIGIN/libfwhost.so.1", "libfwhost.so.1/", "//libfwhost.so.1",
    "~/libfwhost.so.1", "lib\x1b[2J.so", "lib\nerror: forged.so", "-rf", "--help", "lib*.so", "x" * 300, "x" * 5000,
    "libfwhost.so.1 ", "\u202elib.so", "NUL",
):  # fmt: skip
    needs(f"{len(_name)}-{_name.encode('unicode_escape').decode()[:60]}", ("FW500",), lambda a, n=_name: n)


# --- inputs ----------------------------------------------------------------------------------------------------------
def as_input(make: Callable[[Path], object], name: str = NAME) -> Callable[[Arena], Path]:
    def file(arena: Arena) -> Path:
        path = arena.folder / "home" / name
        make(path)
        return path

    return file


for _name, _make, _want in [
    ("missing", lambda path: None, "FW800"), ("folder", lambda path: path.mkdir(), "FW701"),
    ("fifo", os.mkfifo, "FW701"), ("socket", bind, "FW701"),
    ("dangling", lambda path: path.symlink_to("gone"), "FW800"),
    ("loop", lambda path: path.symlink_to(path.name), ("FW700", "FW800")),
    ("null", lambda path: path.symlink_to("/dev/null"), "FW701"),
    ("zero", lambda path: path.symlink_to("/dev/zero"), "FW701"),
    ("tty", lambda path: path.symlink_to("/dev/tty"), ("FW701", "FW700", "FW800")),
    ("memory", lambda path: path.symlink_to("/proc/self/mem"), ("FW1", "FW7")),
    ("proc-file", lambda path: path.symlink_to("/proc/self/maps"), ("FW1", "FW7")),
    ("sparse", lambda path: [path.touch(), os.truncate(path, 1 << 26)], ("FW100", "FW101")),
]:  # fmt: skip
    add(f"input/{_name}", "input", _want, file=as_input(_make))
add(
    "input/link",
    "input",
    "ok",
    file=lambda a: (a.folder / "home" / NAME).symlink_to(a.folder / "in" / NAME) or a.folder / "home" / NAME,
)
add("input/read-only", "input", "ok", lambda a: (a.folder / "in" / NAME).chmod(0o444))
add("input/in-a-file", "input", "FW800", file=lambda a: a.folder / "in" / NAME / "x.whl")
add("input/relative", "input", "ok", file=lambda a: Path("../in") / NAME)
add("input/empty-name", "input", ("FW7", "FW8"), file=lambda a: Path(""))
add("input/odd-folder", "input", "ok", file=lambda a: _moved(a, "f\udcff\n\x1b[2J é"))
add("input/long-path", "input", ("FW7", "FW8"), file=lambda a: Path("/" + "x/" * 3000) / NAME)
add("input/unreadable", "input", ("FW700",), lambda a: (a.folder / "in" / NAME).chmod(0), request={"user": NOBODY})
add(
    "input/unreadable-folder",
    "input",
    ("FW700", "FW800"),
    lambda a: (a.folder / "in").chmod(0),
    request={"user": NOBODY},
)


def _moved(arena: Arena, folder: str) -> Path:
    place = arena.folder / "home" / folder
    place.mkdir()
    return (arena.folder / "in" / NAME).rename(place / NAME)


# --- outputs ---------------------------------------------------------------------------------------------------------
def taken(make: Callable[[Path, Arena], object]) -> Prepare:
    """Something lies where the output has to appear."""

    def prepare(arena: Arena) -> None:
        arena.out.mkdir()
        make(arena.out / OUTPUT, arena)

    return prepare


REPAIR = {"verbs": ("repair",)}
for _name, _make in {"folder": ODD["folder"], "fifo": ODD["fifo"], "socket": ODD["socket"]}.items():
    add(f"output/name-is-a-{_name}", "output-name", "FW704", taken(_make), **REPAIR)  # type: ignore[arg-type]
for _name, _make in {
    "file": lambda path, arena: path.write_text("old"), "read-only-file": lambda path,
    arena: [path.write_text("old"), path.chmod(0o444)], "link": lambda path,
    arena: [path.symlink_to("../home/precious"), (arena.folder / "home" / "precious").write_text("x")],
    "dangling-link": ODD["dangling"], "loop": ODD["loop"], "link-to-device": ODD["null-device"],
    "link-to-folder": ODD["link-to-folder"], "hard-link": lambda path, arena: os.link(arena.folder / "in" / NAME, path),
    "link-to-input": lambda path, arena: path.symlink_to(arena.folder / "in" / NAME),
}.items():  # fmt: skip
    add(
        f"output/name-is-a-{_name}",
        "output-name",
        "ok",
        taken(_make),
        replaces=f"out/{OUTPUT}",
        again=False,
        imports=False,
        **REPAIR,
    )  # type: ignore[arg-type]
add("output/in-the-input-folder", "output-folder", "ok", out=lambda a: ("-w", str(a.folder / "in")), **REPAIR)  # type: ignore[arg-type]
CASES[-1] = Case(**{**CASES[-1].__dict__, "out": "in/"})
add("output/is-a-file", "output-folder", "FW702", lambda a: a.out.write_text("x"), **REPAIR)  # type: ignore[arg-type]
add("output/is-a-fifo", "output-folder", "FW702", lambda a: os.mkfifo(a.out), **REPAIR)  # type: ignore[arg-type]
add("output/is-a-dangling-link", "output-folder", "FW702", lambda a: a.out.symlink_to("gone"), **REPAIR)  # type: ignore[arg-type]
add("output/is-a-loop", "output-folder", "FW702", lambda a: a.out.symlink_to("out"), **REPAIR)  # type: ignore[arg-type]
add("output/below-a-file", "output-folder", "FW702", out=lambda a: ("-w", str(a.folder / "in" / NAME / "x")), **REPAIR)  # type: ignore[arg-type]
add("output/is-null", "output-folder", "FW702", out=lambda a: ("-w", "/dev/null"), **REPAIR)  # type: ignore[arg-type]
add("output/in-proc", "output-folder", "FW702", out=lambda a: ("-w", "/proc/self"), **REPAIR)  # type: ignore[arg-type]
add("output/too-long", "output-folder", "FW702", out=lambda a: ("-w", str(a.folder / ("x" * 300))), **REPAIR)  # type: ignore[arg-type]
add(
    "output/link-to-a-folder",
    "output-folder",
    "ok",
    lambda a: [(a.folder / "home" / "real").mkdir(), a.out.symlink_to("home/real")],
    **REPAIR,
)  # type: ignore[arg-type]
CASES[-1] = Case(**{**CASES[-1].__dict__, "out": "home/real/"})
add(
    "output/read-only-folder",
    "output-folder",
    "FW702",
    lambda a: [a.out.mkdir(), a.out.chmod(0o555)],
    request={"user": NOBODY},
    **REPAIR,
)  # type: ignore[arg-type]
add("output/read-only-parent", "output-folder", "FW702", request={"user": NOBODY}, **REPAIR)  # type: ignore[arg-type]
add(
    "output/not-listable-folder",
    "output-folder",
    ("ok",),
    lambda a: [a.out.mkdir(), a.out.chmod(0o733)],
    request={"user": NOBODY},
    imports=False,
    again=False,
    **REPAIR,
)  # type: ignore[arg-type]
for _umask in (0, 0o022, 0o077, 0o377, 0o777):
    add(
        f"output/umask-{_umask:o}",
        "output-folder",
        "ok",
        request={"umask": _umask},
        imports=False,
        again=False,
        **REPAIR,
    )  # type: ignore[arg-type]
    add(
        f"output/umask-{_umask:o}-as-user",
        "output-folder",
        ("any",),
        lambda a: [a.out.mkdir(), a.out.chmod(0o777)],
        request={"umask": _umask, "user": NOBODY},
        imports=False,
        again=False,
        **REPAIR,
    )  # type: ignore[arg-type]
for _name, _folder in {
    "missing": "/gone",
    "file": "/etc/passwd",
    "device": "/dev/null",
    "empty": "",
    "relative": "../tmp",
    "loop": "/proc/self/exe",
}.items():
    add(f"tmpdir/{_name}", "temporary-folder", "ok", environ={"TMPDIR": _folder})
add(
    "tmpdir/read-only-home",
    "temporary-folder",
    "ok",
    lambda a: [(a.folder / "home").chmod(0o555), a.out.mkdir(), a.out.chmod(0o777)],
    request={"user": NOBODY},
    environ={"TMPDIR": "/gone"},
    imports=False,
    again=False,
)


# --- limits of the process -------------------------------------------------------------------------------------------
for _size in (0, 1, 1000, 2000, 4096):
    add(
        f"rlimit/file-size-{_size}",
        "no-space",
        "FW703" if _size >= 1000 else "silent",
        request={"rlimits": {"RLIMIT_FSIZE": _size}},
        show=("any",),
    )
    CASES[-1] = Case(**{**CASES[-1].__dict__, "verbs": ("repair",)})
for _number in (3, 4, 5, 6, 7, 8, 10, 12, 20):
    add(
        f"rlimit/files-{_number}",
        "limits-of-the-process",
        ("any",),
        request={"rlimits": {"RLIMIT_NOFILE": _number}},
        imports=False,
        again=False,
    )
for _mib in (20, 60, 100, 200, 400, 1000):
    add(
        f"rlimit/memory-{_mib}",
        "limits-of-the-process",
        ("any",),
        request={"rlimits": {"RLIMIT_AS": _mib << 20}},
        imports=False,
        again=False,
    )
add(
    "rlimit/no-threads",
    "limits-of-the-process",
    ("any",),
    lambda a: [a.out.mkdir(), a.out.chmod(0o777)],
    request={"rlimits": {"RLIMIT_NPROC": 1}, "user": NOBODY},
    imports=False,
    again=False,
)
add("rlimit/core", "limits-of-the-process", "ok", request={"rlimits": {"RLIMIT_CORE": 0}})
add(
    "rlimit/stack",
    "limits-of-the-process",
    ("any",),
    request={"rlimits": {"RLIMIT_STACK": 1 << 20}, "exec": True},
    cpu=3.0,
    imports=False,
    again=False,
)


# --- streams and environment: a new interpreter ----------------------------------------------------------------------
NEW = {"exec": True}
SLOW = {"cpu": 3.0, "imports": False, "again": False}
for _closed in (("stdin",), ("stdout",), ("stderr",), ("stdout", "stderr"), ("stdin", "stdout", "stderr")):
    add(f"streams/closed-{'-'.join(_closed)}", "streams", ("ok",), request={**NEW, "closed": list(_closed)}, **SLOW)  # type: ignore[arg-type]
for _stream in ("stdout", "stderr"):
    add(
        f"streams/broken-{_stream}",
        "streams",
        ("ok",),
        show=("quiet",),
        request={**NEW, _stream: "broken-pipe"},
        **SLOW,
    )  # type: ignore[arg-type]
    add(f"streams/full-{_stream}", "streams", ("ok",), show=("quiet",), request={**NEW, _stream: "/dev/full"}, **SLOW)  # type: ignore[arg-type]
for _name, _environ in {
    "c-locale": {"LC_ALL": "C"}, "posix-locale": {"LC_ALL": "POSIX"}, "unknown-locale": {"LC_ALL": "xx_YY.nothing"},
    "ascii-streams": {"PYTHONIOENCODING": "ascii"},
    "no-utf-8-mode": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, "no-home": {"HOME": ""},
    "home-missing": {"HOME": "/gone"}, "no-path": {"PATH": ""}, "columns": {"COLUMNS": "1"},
    "term": {"TERM": "nonsense"}, "optimised": {"PYTHONOPTIMIZE": "2"}, "dev-mode": {"PYTHONDEVMODE": "1"},
    "hash-seed": {"PYTHONHASHSEED": "4242"}, "warnings-are-errors": {"PYTHONWARNINGS": "error"},
    "no-color": {"NO_COLOR": "1", "FORCE_COLOR": "1"}, "malloc": {"PYTHONMALLOC": "debug"},
}.items():  # fmt: skip
    add(f"environment/{_name}", "environment", "ok", environ=_environ, request=NEW, **SLOW, **REPAIR)  # type: ignore[arg-type]
for _name, _value, _want in [
    ("number", "1700000000", "ok"), ("zero", "0", "ok"), ("negative", "-1", "ok"), ("huge", "9" * 29, "ok"),
    ("larger", "9" * 300, "FW800"), ("empty", "", "ok"), ("spaces", " 1700000000 ", "ok"), ("word", "today", "FW800"),
    ("float", "1.5", "FW800"), ("hex", "0x10", "FW800"),
    ("arabic", "\u0661", "FW800"), ("newline", "1\n2", "FW800"), ("control", "\x1b[2J", "FW800"),
    ("date", "2024-01-01", "FW800"), ("non-utf-8", "\udcff", "FW800"),
]:  # fmt: skip
    add(f"environment/epoch-{_name}", "environment", _want, environ={"SOURCE_DATE_EPOCH": _value}, show=("ok",))
for _name, _environ, _want in [
    ("plat-nonsense", {"FASTWHEEL_PLAT": "nonsense"}, ("FW602", "FW6")),
    ("plat-control", {"AUDITWHEEL_PLAT": "\x1b[2J"}, ("FW6",)),
    ("level-99", {"FASTWHEEL_ZIP_COMPRESSION_LEVEL": "99"}, ("FW800",)),
    ("level-word", {"AUDITWHEEL_ZIP_COMPRESSION_LEVEL": "best"}, ("FW800",)),
    ("level-empty", {"FASTWHEEL_ZIP_COMPRESSION_LEVEL": ""}, ("ok",)),
    ("patcher", {"FASTWHEEL_PATCHER": "nonsense"}, ("ok",)),
]:  # fmt: skip
    add(f"environment/{_name}", "environment", _want, environ=_environ, **REPAIR)  # type: ignore[arg-type]
add(
    "environment/folder-vanished",
    "environment",
    ("ok",),
    request={"vanish": True, "changes": ("cwd",)},
    imports=False,
    again=False,
    verbs=("show",),
)
for _name, _make in ODD.items():
    if _name != "the-wheel-itself":
        add(
            f"settings/{_name}",
            "environment",
            "ok",
            lambda a, m=_make: m(a.folder / "cwd" / "pyproject.toml", a),
            imports=False,
            again=False,
            **REPAIR,
        )  # type: ignore[arg-type]
for _name, _text, _want in [
    ("broken", "[tool.fastwheel\n", ("FW801",)), ("binary", "[tool.fastwheel]\n\0", ("FW801",)),
    ("unknown-key", "[tool.fastwheel.repair]\nnonsense = 1\n", ("FW801",)),
    ("wrong-kind", "[tool.fastwheel.repair]\nexclude = 7\n", ("FW801",)),
    ("others", "[tool.other]\nx = 1\n", ("ok",)),
    ("deep", "[tool.fastwheel.repair]\nexclude = " + "[" * 5000 + "]" * 5000 + "\n", ("FW801",)),
    ("latin-1", "[tool.fastwheel]\nx = 'é'\n", ("FW801",)),
]:  # fmt: skip
    add(
        f"settings/text-{_name}",
        "environment",
        _want,
        lambda a, t=_text: (a.folder / "cwd" / "pyproject.toml").write_bytes(t.encode("latin-1")),
        imports=False,
        again=False,
        **REPAIR,
    )  # type: ignore[arg-type]
for _name, _args in {
    "plat-nonsense": ("--plat", "nonsense"), "plat-control": ("--plat", "\x1b[2J"), "plat-empty": ("--plat", ""),
    "plat-traversal": ("--plat", "../../x"), "plat-musl": ("--plat", "musllinux_1_2_aarch64"), "level": ("-z", "10"),
    "level-negative": ("-z", "-1"),
    "lib-sdir-parents": ("-L", "/../../x"), "lib-sdir-control": ("-L", "\n"), "lib-sdir-nul-like": ("-L", "\\0"),
    "lib-sdir-long": ("-L", "x" * 5000), "lib-sdir-dist-info": ("-L", "-1.0.dist-info"),
    "unknown-option": ("--nonsense",),
    "policy-missing": ("--policy", "/gone"), "policy-folder": ("--policy", "/etc"),
    "policy-device": ("--policy", "/dev/zero"), "policy-binary": ("--policy", "/proc/self/exe"),
    "include-missing": ("--include", "/gone"), "include-absolute-target": ("--include", "/etc/passwd:/etc"),
    "include-parent": ("--include", "/etc/passwd:../x"), "include-device": ("--include", "/dev/zero"),
    "include-proc": ("--include", "/proc/self/mem"),
}.items():  # fmt: skip
    add(f"arguments/{_name}", "arguments", ("FW",), lambda a: None, *_args, **REPAIR)  # type: ignore[arg-type]
for _name, _args in {
    "exclude-bracket": ("--exclude", "["),
    "exclude-all": ("--exclude", "*"),
    "exclude-control": ("--exclude", "\x1b"),
    "lib-sdir-empty": ("-L", ""),
    "lib-sdir-dots": ("-L", "..."),
    "quiet-and-verbose": ("-v", "-v", "-q"),
}.items():
    add(f"arguments/good-{_name}", "arguments", ("any",), lambda a: None, *_args, imports=False, **REPAIR)  # type: ignore[arg-type]
for _name in ("exclude-all", "lib-sdir-dots"):
    CASES[:] = [Case(**{**case.__dict__, "again": False}) if case.name.endswith(_name) else case for case in CASES]
add("user/plain", "users", "ok", lambda a: [a.out.mkdir(), a.out.chmod(0o777)], request={"user": NOBODY})
add(
    "user/unreadable-library",
    "search-path",
    "FW500",
    lambda a: library(a).chmod(0),
    request={"user": NOBODY},
    show=("ok",),
)
add(
    "user/unreadable-search-folder",
    "search-path",
    "FW500",
    lambda a: a.system.chmod(0),
    request={"user": NOBODY},
    show=("ok",),
)
