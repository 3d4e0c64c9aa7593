"""Run a program of fastwheel as on another system: what that system's Python does not have is taken away first.

    other_host.py darwin|win32 COMMAND...      the command line
    other_host.py darwin|win32 --modules       import every module, and print their number
    other_host.py win32 --script FILE          run a program

For Windows, files behave otherwise, too: what is open can be neither removed nor renamed nor replaced, folders cannot
be opened, and a file that was opened without O_BINARY is a mistake. It is a stand-in all the same: paths are those of
Linux.
"""

from __future__ import annotations

import errno
import importlib
import os
import pkgutil
import runpy
import signal
import stat
import sys
from collections.abc import Callable

#: What CPython's documentation marks as unavailable, of that which a program like this one may reach for.
MISSING = {
    "darwin": {
        os: "copy_file_range sched_getaffinity sched_setaffinity memfd_create eventfd posix_fadvise splice"
        " posix_fallocate O_TMPFILE O_PATH O_NOATIME fdatasync getxattr setxattr listxattr removexattr pidfd_open",
        signal: "SIGPWR SIGSTKFLT sigtimedwait sigwaitinfo",
    },
    "win32": {
        os: "pread preadv pwrite pwritev copy_file_range sendfile splice sched_getaffinity sched_setaffinity uname"
        " confstr sysconf fchmod fchown posix_fadvise posix_fallocate memfd_create getuid geteuid getgid getegid fork"
        " mkfifo mknod statvfs fstatvfs pathconf O_NONBLOCK O_CLOEXEC O_NOCTTY O_NOFOLLOW O_DIRECTORY O_TMPFILE O_PATH"
        " O_SYNC O_DSYNC fdatasync sync chown lchown killpg getxattr setxattr listxattr removexattr posix_spawn"
        " register_at_fork fchdir chroot lockf getgroups getpgid setsid openpty ttyname wait WIFEXITED sched_yield"
        " nice getpriority getloadavg initgroups eventfd pidfd_open O_NOATIME O_ASYNC O_NDELAY O_DIRECT O_RSYNC",
        signal: "SIGHUP SIGQUIT SIGKILL SIGUSR1 SIGUSR2 SIGPIPE SIGALRM SIGCHLD SIGSTOP pthread_sigmask pthread_kill"
        " setitimer getitimer sigwait sigpending alarm pause siginterrupt SIG_BLOCK",
    },
}
NO_MODULES = {
    "darwin": {"spwd"},
    "win32": {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "posix", "readline", "crypt"},
}

#: Flags that Windows has, as bits that Linux does not use.
BINARY, NOINHERIT, TEMPORARY, SHORT_LIVED = 1 << 26, 1 << 27, 1 << 28, 1 << 29


def open_names() -> set[str]:
    """The files that this process has open."""
    names = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            names.add(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            continue
    return names


def behave_as_windows() -> None:
    """Make the calls of `os` fail that fail there."""
    real_open, real_unlink, real_replace, real_rename = os.open, os.unlink, os.replace, os.rename
    real_utime, real_listdir = os.utime, os.listdir
    os.O_BINARY, os.O_NOINHERIT, os.O_TEMPORARY, os.O_SHORT_LIVED = BINARY, NOINHERIT, TEMPORARY, SHORT_LIVED  # type: ignore[attr-defined]

    def held(*paths: object) -> None:
        taken = open_names()
        for path in paths:
            if os.path.realpath(os.fspath(path)) in taken:  # type: ignore[call-overload]
                raise PermissionError(errno.EACCES, "the file is in use by this process", path)

    def windows_open(path: object, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if dir_fd is not None:
            raise NotImplementedError("dir_fd unavailable on this platform")
        if os.path.isdir(path):  # type: ignore[arg-type]
            raise PermissionError(errno.EACCES, "Permission denied", path)
        if path != os.devnull and not flags & BINARY:
            raise AssertionError(f"{path!r} is opened without O_BINARY")
        fd = real_open(path, flags & ~(BINARY | NOINHERIT | TEMPORARY | SHORT_LIVED), mode)  # type: ignore[call-overload]
        if flags & TEMPORARY:
            real_unlink(path)  # type: ignore[arg-type]
        return int(fd)

    def windows_unlink(path: object) -> None:
        held(path)
        real_unlink(path)  # type: ignore[arg-type]

    def windows_replace(source: object, target: object) -> None:
        held(source, target)
        real_replace(source, target)  # type: ignore[arg-type]

    def windows_rename(source: object, target: object) -> None:
        held(source)
        if os.path.lexists(target):  # type: ignore[arg-type]
            raise FileExistsError(errno.EEXIST, "the target exists", source, None, target)
        real_rename(source, target)  # type: ignore[arg-type]

    def by_path(function: Callable[..., object]) -> Callable[..., object]:
        def call(path: object = ".", *arguments: object, **options: object) -> object:
            if isinstance(path, int) or options.pop("dir_fd", None) is not None:
                raise TypeError(f"{function.__name__}: path should be string, bytes or os.PathLike, not int")
            return function(path, *arguments, **options)

        return call

    os.open = windows_open  # type: ignore[assignment]
    os.unlink = os.remove = windows_unlink  # type: ignore[assignment]
    os.replace, os.rename = windows_replace, windows_rename  # type: ignore[assignment]
    os.utime, os.listdir = by_path(real_utime), by_path(real_listdir)  # type: ignore[assignment]
    for name in ("supports_dir_fd", "supports_fd"):
        getattr(os, name).clear()
    assert stat.S_ISREG(os.stat(__file__).st_mode)


def main() -> None:
    """Take things away, then run."""
    system, *arguments = sys.argv[1:]
    if system == "win32":
        behave_as_windows()  # before anybody else can keep the calls as they were
    # Modules of the standard library and of others are there as on Linux: they are not what is looked at.
    for name in (
        "click",
        "click.testing",
        "packaging.version",
        "subprocess",
        "tempfile",
        "shutil",
        "mmap",
        "threading",
        "concurrent.futures.thread",
    ):
        importlib.import_module(name)
    if system == "win32":
        machine = os.uname().machine
        os.environ["PROCESSOR_ARCHITECTURE"] = {"x86_64": "AMD64", "aarch64": "ARM64"}.get(machine, machine)
    tempfile = importlib.import_module("tempfile")
    tempfile._O_TMPFILE_WORKS = False  # type: ignore[attr-defined]
    if system == "win32":
        tempfile.TemporaryFile = tempfile.NamedTemporaryFile  # type: ignore[attr-defined]
    for module, names in MISSING[system].items():
        for name in names.split():
            if hasattr(module, name):
                delattr(module, name)
    for name in NO_MODULES[system]:
        sys.modules[name] = None  # type: ignore[assignment]
    sys.platform = system
    os.environ["FASTWHEEL_ENGINE"] = "python"
    if arguments[0] == "--script":
        runpy.run_path(arguments[1], run_name="__main__")
        return
    if arguments == ["--modules"]:
        import fastwheel

        found = [module.name for module in pkgutil.walk_packages(fastwheel.__path__, "fastwheel.")]
        for name in found:
            if not name.endswith(("__main__", "._core")):
                importlib.import_module(name)
        print(len(found))
        return
    from fastwheel.cli import main as fastwheel_main

    fastwheel_main(arguments)


if __name__ == "__main__":
    main()
