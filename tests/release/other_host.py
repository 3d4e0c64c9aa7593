"""Run a program of fastwheel as on another system: what that system's Python does not have is taken away first.

    other_host.py darwin|win32 COMMAND...      the command line
    other_host.py darwin|win32 --modules       import every module, and print their number

A stand-in: it finds what does not exist there, not what behaves otherwise.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import signal
import sys

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
        " O_SYNC O_DSYNC fdatasync sync chown lchown killpg getxattr setxattr listxattr posix_spawn",
        signal: "SIGHUP SIGQUIT SIGKILL SIGUSR1 SIGUSR2 SIGPIPE SIGALRM pthread_sigmask setitimer sigwait alarm pause",
    },
}
NO_MODULES = {
    "darwin": {"spwd"},
    "win32": {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog"},
}


def main() -> None:
    """Take things away, then run."""
    system, *arguments = sys.argv[1:]
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
    ):
        importlib.import_module(name)
    for module, names in MISSING[system].items():
        for name in names.split():
            if hasattr(module, name):
                delattr(module, name)
    for name in NO_MODULES[system]:
        sys.modules[name] = None  # type: ignore[assignment]
    sys.platform = system
    os.environ["FASTWHEEL_ENGINE"] = "python"
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
