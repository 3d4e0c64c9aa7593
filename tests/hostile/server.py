"""Runs the command line in a fresh process for each case, without starting an interpreter each time.

A line of JSON on stdin says what to run, one on stdout what came of it. The server imports fastwheel once and forks; a
case that is to be run by a new interpreter (`"exec": true`) gets one.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import signal
import sys
import time

MODULES = (
    "fastwheel.cli.streams", "fastwheel.cli.terminal", "fastwheel.cli.config",
    "fastwheel.cli.show", "fastwheel.cli.repair", "fastwheel.cli.patch", "fastwheel.cli.lddtree", "fastwheel._repair",
    "fastwheel._audit", "fastwheel._patch", "fastwheel.proof", "fastwheel.sbom", "fastwheel.deps.packages",
    "fastwheel.deps.hidden", "fastwheel.deps.alternatives", "fastwheel.deps.graph", "fastwheel.deps.include",
    "fastwheel.report.text", "fastwheel.report.lddtree", "fastwheel.wheel.writer", "fastwheel.wheel.stamp",
    "packaging.utils", "packaging.version", "difflib", "glob", "fnmatch", "tomllib", "traceback", "getpass", "pwd",
    "encodings.idna", "encodings.latin_1", "encodings.ascii", "encodings.raw_unicode_escape",
    "encodings.unicode_escape",
    "encodings.punycode", "concurrent.futures.thread", "json", "csv", "datetime", "fastwheel.elf",
)  # fmt: skip
OPTIONAL = ("fastwheel.cli.verify", "fastwheel.verify", "fastwheel._core", "fastwheel.cache", "fastwheel._fallback")
FAULTS = {"stdin": 0, "stdout": 1, "stderr": 2}


def limits(request: dict) -> None:
    """Put this process under the limits that the case asks for."""
    if "umask" in request:
        os.umask(request["umask"])
    for name, value in request.get("rlimits", {}).items():
        resource.setrlimit(getattr(resource, name), (value, value))
    if request.get("user"):
        os.setgroups([])
        os.setgid(request["user"])
        os.setuid(request["user"])


def streams(request: dict) -> None:
    """Connect the standard streams to files, or close them."""
    closed = request.get("closed", [])
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    for name in ("stdout", "stderr"):
        target = request[name]
        if target == "broken-pipe":
            reading, writing = os.pipe()
            os.close(reading)
        else:
            writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(writing, FAULTS[name])
        os.close(writing)
    for name in closed:
        os.close(FAULTS[name])


def child(request: dict, report: int) -> None:
    """Run the case in this process; never returns."""
    status = 99
    try:
        streams(request)
        os.environ.clear()
        os.environ.update(request["env"])
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if request.get("exec"):
            os.set_inheritable(report, False)
            os.chdir(request["cwd"])
            limits(request)
            line = [sys.executable, "-P", "-m", "fastwheel", *map(os.fsencode, request["args"])]
            if sys.version_info < (3, 11):
                line.remove("-P")
            os.execve(sys.executable, line, os.environ)
        os.chdir(request["cwd"])
        if request.get("vanish"):
            os.rmdir(request["cwd"])
        limits(request)
        status = imported(request) if "import" in request else in_process(request, report)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(status)


def imported(request: dict) -> int:
    """Import a module that finds its grafts itself."""
    from importlib import import_module

    sys.path.insert(0, request["site"])
    return 0 if import_module(request["import"]).VALUE == 42 else 97


def in_process(request: dict, report: int) -> int:
    import fastwheel.cli as cli

    shim = None
    if "arm" in request:
        import ctypes

        shim = ctypes.CDLL(None)
        point, action = request["arm"]
        shim.fw_arm(ctypes.c_long(point), action, os.fsencode(request["below"]))
    original = cli._report

    def noting(error, arguments, cause=None):
        os.write(report, error.code.encode())
        return original(error, arguments, cause)

    cli._report = noting
    try:
        cli.main([os.fsencode(arg).decode("utf-8", "surrogateescape") for arg in request["args"]])
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 1
    finally:
        if shim is not None:
            shim.fw_count.restype = ctypes.c_long
            os.write(report, f"#{shim.fw_count()}".encode())
        try:
            sys.stderr.flush()
            sys.stdout.flush()
        except (OSError, ValueError):
            pass
    return 98


def handle(request: dict) -> dict:
    reading, writing = os.pipe()
    started = time.monotonic()
    number = os.fork()
    if number == 0:
        os.close(reading)
        child(request, writing)
    os.close(writing)
    ready = os.pidfd_open(number) if hasattr(os, "pidfd_open") else -1
    hung = not select.select([ready], [], [], request.get("timeout", 60))[0]
    if hung:
        os.kill(number, signal.SIGKILL)
    os.close(ready)
    _, state, usage = os.wait4(number, 0)
    code, _, count = os.read(reading, 100).decode().partition("#")
    os.close(reading)
    return {
        "status": os.waitstatus_to_exitcode(state),
        "hung": hung,
        "code": code,
        "count": count,
        "cpu": usage.ru_utime + usage.ru_stime,
        "memory": usage.ru_maxrss * 1024,
        "seconds": time.monotonic() - started,
    }


def main() -> None:
    from importlib import import_module

    for name in MODULES:
        if name != "tomllib" or sys.version_info >= (3, 11):
            import_module(name)
    for name in OPTIONAL:
        try:
            import_module(name)
        except ImportError:
            continue
    gc.collect()
    gc.freeze()  # what is shared with the children stays shared
    out = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        out.write(json.dumps(handle(json.loads(line))) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
