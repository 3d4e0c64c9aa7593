"""A file that appears under its name whole, or not at all.

It is written under a temporary name in the same folder, synced, proved and renamed. Errors and the signals that ask a
process to end remove the temporary file; only a kill that cannot be caught leaves one, never under the final name.
"""

from __future__ import annotations

import errno
import os
import signal
import stat
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

from fastwheel.beside import Beside
from fastwheel.errors import FastwheelError
from fastwheel.portable import CREATE, HOLDS_OPEN, SHORT_LIVED, UNNAMED
from fastwheel.wheel.names import shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType, TracebackType

__all__ = ["check_target", "open_spill", "write_atomically", "write_error"]

_T = TypeVar("_T")
#: Signals that end the process. SIGINT is taken over first and given back last: Python's own handler for it raises,
#: which must not happen while the others are half taken over.
#: Windows has no SIGHUP, and others no SIGBREAK.
_NAMES: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
_ENDING: Final = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))
_NAME_MAX: Final = 255


def check_target(target: Path) -> None:
    """Check that a file may be put under this name: there is none, or a regular file or a link, which loses the name.

    Raises:
        FastwheelError: FW704 something else has the name; FW702 the folder cannot be searched.
    """
    try:
        mode = target.lstat().st_mode
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        _fail(target, error)
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
        kind = kinds.get(stat.S_IFMT(mode), "a device")
        raise FastwheelError(
            f"cannot write {shown(str(target))}: {kind} has this name",
            code="FW704",
            hint="move it away, or choose another output folder",
        )


def write_atomically(
    target: Path,
    fill: Callable[[int], _T],
    prove: Callable[[Path], object] | None = None,
    release: Callable[[], object] | None = None,
) -> _T:
    """Make the file `target` of what `fill` writes to the descriptor it is given; return what `fill` returns.

    Args:
        target: the final name, in a folder that exists. A file or link of that name is replaced, not written through.
        fill: writes the file, from position 0 on.
        prove: called with the path of the complete temporary file before the rename; raises if it is not good.
        release: closes what may be open under the final name, called where a file that is open cannot be replaced.

    Raises:
        FastwheelError: FW702 the folder cannot be written; FW703 no space; FW704 see `check_target`; and what `fill`
            and `prove` raise. In all cases the folder is left as it was.
    """
    target = target.absolute()
    check_target(target)
    with _Signals() as signals:
        draft = _Draft(target)
        try:
            try:
                signals.release()
                draft.create()
                result = fill(draft.fd)
                if prove is None or HOLDS_OPEN:
                    if prove is not None:
                        prove(draft.path)
                    os.fsync(draft.fd)
                else:
                    # A descriptor of its own: this one is closed when a signal ends all.
                    synced = Beside(partial(_sync, os.dup(draft.fd)))
                    prove(draft.path)
                    synced.result()
                check_target(target)
                signals.hold()
                if HOLDS_OPEN:
                    draft.close()
                    if release is not None:
                        release()
                draft.rename()
            except OSError as error:
                _fail(target, error)
            finally:
                signals.hold()
                draft.discard()
        except _Stopped:
            # The signal may have come while the lines above cleaned up; it can come through only once.
            draft.discard()
            raise
    return result


class _Draft:
    """The temporary file."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target
        self.fd = -1
        self._exists = False

    def create(self) -> None:
        """Make it beside the target, under a name of its own."""
        while self.fd < 0:
            self.path = _temporary_name(self.target)
            self._exists = True  # said first: a signal may come between the two
            try:
                self.fd = os.open(self.path, CREATE, 0o666)
            except FileExistsError:
                self._exists = False

    def rename(self) -> None:
        """Give it the final name."""
        self.path.replace(self.target)
        self._exists = False

    def close(self) -> None:
        """Close it; can be called again."""
        fd, self.fd = self.fd, -1
        with suppress(OSError):
            if fd >= 0:
                os.close(fd)

    def discard(self) -> None:
        """Close it, and remove it if it has not been renamed; can be called again."""
        self.close()
        if self._exists:
            with suppress(OSError):
                self.path.unlink()
            self._exists = False


def _temporary_name(target: Path) -> Path:
    """A hidden name beside `target` that no tool takes for a wheel."""
    tail = f".{os.urandom(6).hex()}.tmp"
    head = os.fsencode(f".{target.name}")[: _NAME_MAX - len(tail)]
    return target.with_name(head.decode("utf-8", "ignore") + tail)


def open_spill(folder: Path) -> int:
    """Return a descriptor of a new file in `folder` that has no name: it is gone as soon as it is closed, in any way.

    Raises:
        FastwheelError: FW702, FW703 the folder cannot be written.
    """
    try:
        if UNNAMED:
            with suppress(OSError):  # not every file system can
                return os.open(folder, UNNAMED, 0o600)
        path = folder / f".fastwheel.{os.urandom(8).hex()}.tmp"
        fd = os.open(path, CREATE | SHORT_LIVED, 0o600)
        if not SHORT_LIVED:
            path.unlink()
        return fd
    except OSError as error:
        raise write_error(folder / "new wheels", error) from error


def _sync(fd: int) -> None:
    """Bring a file to the disk, and close the descriptor."""
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _fail(target: Path, error: OSError | ValueError) -> NoReturn:
    raise write_error(target, error) from error


def write_error(target: Path, error: OSError | ValueError) -> FastwheelError:
    """Return the error for a failed write."""
    number = error.errno if isinstance(error, OSError) else None
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    folder = shown(str(target.parent))
    code, hint = "FW702", None
    if number in (errno.ENOSPC, errno.EDQUOT):
        code, hint = "FW703", f"free some space for {folder}, or choose another output folder"
    elif number == errno.EFBIG:
        code, hint = "FW703", "the file is larger than this process (ulimit -f) or file system may write"
    elif number in (errno.EACCES, errno.EPERM, errno.EROFS):
        hint = f"may you write to {folder}?"
    elif number in (errno.ENOENT, errno.ENOTDIR):
        hint = f"does the folder {folder} exist?"
    elif number == errno.ENAMETOOLONG:
        hint = "ask for fewer platform tags"
    return FastwheelError(f"cannot write {shown(str(target))}: {reason}", code=code, hint=hint)


class _Stopped(BaseException):
    """Unwinds the writing after a signal."""


class _Signals:
    """While active, a signal that would end the process unwinds instead; on leaving it has its usual effect.

    Only signals with their default effect are taken over, and only in the main thread, where Python delivers them.
    """

    def __init__(self) -> None:
        self._old: dict[signal.Signals, signal.Handlers | Callable[[int, FrameType | None], object]] = {}
        self._held = True  # until all is ready to unwind
        self._caught: int | None = None

    def release(self) -> None:
        """From now on a signal unwinds; one that has come already does so at once."""
        self._held = False
        if self._caught is not None:
            self._held = True
            raise _Stopped

    def hold(self) -> None:
        """From now on only note a signal: what follows must not be interrupted."""
        self._held = True

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self._caught = self._caught or number
        if not self._held:
            self._held = True
            raise _Stopped

    def __enter__(self) -> _Signals:
        if threading.current_thread() is threading.main_thread():
            for number in _ENDING:
                old = signal.getsignal(number)
                if old in (signal.SIG_DFL, signal.default_int_handler):
                    self._old[number] = signal.SIG_DFL if old == signal.SIG_DFL else signal.default_int_handler
                    signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held = True
        for number in reversed(self._old):
            signal.signal(number, self._old[number])
        if self._caught is not None:
            if self._old[signal.Signals(self._caught)] == signal.default_int_handler:
                raise KeyboardInterrupt from None
            os.kill(os.getpid(), self._caught)
            raise FastwheelError("interrupted by a signal", code="FW705") from None
