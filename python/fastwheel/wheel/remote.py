"""A wheel on a server, of which only the parts are fetched that are looked at.

They go into a sparse temporary file without a name, at their own offsets, so that whoever reads by offset need not know
where the wheel lies.

>>> from fastwheel.wheel.remote import Url, is_url
>>> is_url("https://example.org/pkg-1.0-py3-none-any.whl"), is_url("pkg-1.0-py3-none-any.whl")
(True, False)
>>> Url("https://example.org/a/pkg-1.0+cpu-py3-none-any.whl?x#sha256=00").name
'pkg-1.0+cpu-py3-none-any.whl'
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from fastwheel.errors import FastwheelError, escape
from fastwheel.portable import pread, pwrite

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from email.message import Message
    from http.client import HTTPResponse
    from urllib.request import OpenerDirector

__all__ = ["RemoteFile", "Url", "is_url", "locate"]

#: What is fetched and remembered as one, bytes.
_BLOCK: Final = 1 << 16
#: Missing blocks this far apart are fetched together: a request costs more than so many bytes.
_NEAR: Final = 4
#: What the first request asks for: the end of the file, where the table of members is.
_TAIL: Final = 2 * _BLOCK
_TIMEOUT: Final = 30
#: What a server may claim, bytes.
_MOST: Final = 1 << 40
_LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "::1")
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})\Z", re.ASCII)


def is_url(text: str) -> bool:
    """Whether this is an address and not a path."""
    return re.match(r"[a-z][a-z0-9+.-]*://", text, re.IGNORECASE) is not None


def locate(path: str | os.PathLike[str]) -> Path | Url:
    """Return what a caller means: an address or a path."""
    if isinstance(path, Url):
        return path
    return Url(path) if isinstance(path, str) and is_url(path) else Path(path)


class Url(str):
    """The address of a wheel.

    Attributes:
        fetched: the bytes that were read from the server.
        total: the size of the file there, once known.
        requests: how often the server was asked.
    """

    __slots__ = ("fetched", "requests", "total")

    def __init__(self, _: str) -> None:
        self.fetched = self.total = self.requests = 0

    @property
    def name(self) -> str:
        """The name of the file."""
        from urllib.parse import unquote, urlsplit

        try:
            return unquote(urlsplit(self).path.rpartition("/")[2])
        except ValueError:
            return self.rpartition("/")[2]

    @property
    def host(self) -> str:
        """The server."""
        from urllib.parse import urlsplit

        return urlsplit(self).hostname or ""


class RemoteFile:
    """A file at an address, read by offset.

    Attributes:
        fd: of the temporary file with the parts that were fetched; zero elsewhere.
        size: of the file on the server.

    Raises:
        FastwheelError: FW700 the server, the connection or the answer is at fault; FW800 no https address.
    """

    def __init__(self, url: Url) -> None:
        import tempfile

        self.url = url
        self._opener = _opener(url)
        self._have = bytearray()
        self._mark: str | None = None
        self.size = 0
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="fastwheel-")  # noqa: SIM115 - closed with the object
        self.fd = self._file.fileno()
        try:
            self._request(f"-{_TAIL}")
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Give the temporary file back; further calls do nothing."""
        self._file.close()

    def pread(self, length: int, offset: int) -> bytes:
        """Return up to `length` bytes at `offset`; fewer at the end of the file."""
        self.fetch([(offset, offset + length)])
        return pread(self.fd, length, offset)

    def fetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Fetch what is missing of the [start, stop) `ranges`, in as few requests as make sense."""
        wanted: set[int] = set()
        for start, stop in ranges:
            if start < min(stop, self.size):
                wanted.update(range(start // _BLOCK, (min(stop, self.size) - 1) // _BLOCK + 1))
        for first, last in _runs(sorted(block for block in wanted if not self._have[block])):
            self._request(f"{first * _BLOCK}-{min((last + 1) * _BLOCK, self.size) - 1}")

    def _request(self, wanted: str) -> None:
        """Ask for one range and keep what comes."""
        from http.client import HTTPException
        from urllib.error import HTTPError, URLError
        from urllib.request import Request

        headers = {"Range": f"bytes={wanted}", "Accept-Encoding": "identity", "User-Agent": "fastwheel"}
        self.url.requests += 1
        try:
            with self._opener.open(Request(str(self.url), headers=headers), timeout=_TIMEOUT) as answer:
                self._keep(answer, wanted)
        except HTTPError as error:
            error.close()
            if error.code != 416 or self.size:
                raise self._fault(f"the server says {error.code} {escape(str(error.reason))}") from error
            raise self._fault("the file is empty") from error
        except URLError as error:
            raise self._fault(escape(str(error.reason))) from error
        except (OSError, HTTPException, ValueError) as error:
            raise self._fault(escape(str(error) or type(error).__name__)) from error

    def _keep(self, answer: HTTPResponse, wanted: str) -> None:
        start, stop, size = _extent(answer.status, answer.headers)
        mark = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
        if size > _MOST:
            raise self._fault("it claims to be larger than a wheel can be")
        if not self.size:
            self.size = self.url.total = size
            self._mark = mark
            self._have = bytearray((size + _BLOCK - 1) // _BLOCK)
            os.ftruncate(self.fd, size)
        elif (size, mark) != (self.size, self._mark):
            raise self._fault("the file changed while it was read")
        if not wanted.startswith("-") and start > int(wanted.partition("-")[0]):
            raise self._fault("the server sent another part than it was asked for")
        at = start
        while data := answer.read(min(1 << 20, stop - at)):
            pwrite(self.fd, data, at)
            at += len(data)
            self.url.fetched += len(data)
        if at != stop:
            raise self._fault("the connection ended too early")
        first = (start + _BLOCK - 1) // _BLOCK
        for block in range(first, len(self._have) if stop == self.size else stop // _BLOCK):
            self._have[block] = 1

    def _fault(self, reason: str) -> FastwheelError:
        hint = "check the address and the connection, or download the wheel and name the file"
        return FastwheelError(f"cannot read {escape(self.url)}: {reason}", code="FW700", hint=hint)


def _extent(status: int, headers: Message) -> tuple[int, int, int]:
    """Return (start, stop, size of the file) of the bytes that an answer holds."""
    if status == 206:
        found = _CONTENT_RANGE.match(headers.get("Content-Range", ""))
        if found is None or not int(found[1]) <= int(found[2]) < int(found[3]):
            raise ValueError("an answer without a sensible Content-Range")
        return int(found[1]), int(found[2]) + 1, int(found[3])
    # A server that does not know ranges sends the whole file.
    length = headers.get("Content-Length", "")
    if not re.fullmatch(r"\d{1,18}", length, re.ASCII) or not int(length):
        raise ValueError("an answer without a length")
    return 0, int(length), int(length)


def _runs(blocks: list[int]) -> Iterator[tuple[int, int]]:
    """Yield (first, last) of runs of ascending numbers, those near each other joined."""
    run: tuple[int, int] | None = None
    for block in blocks:
        if run is not None and block - run[1] <= _NEAR:
            run = (run[0], block)
            continue
        if run is not None:
            yield run
        run = (block, block)
    if run is not None:
        yield run


def _opener(url: Url) -> OpenerDirector:
    """Return what opens https addresses, and http ones of this machine, through redirects that stay such."""
    from urllib.parse import urlsplit
    from urllib.request import HTTPRedirectHandler, Request, build_opener

    def check(address: str) -> None:
        try:
            parts = urlsplit(address)
            right = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL_HOSTS)
        except ValueError:
            right = False
        if not right:
            hint = "only https is read; download the wheel and name the file"
            raise FastwheelError(f"cannot read {escape(address)}: no https address", code="FW800", hint=hint)

    class Redirects(HTTPRedirectHandler):
        def redirect_request(
            self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
        ) -> Request | None:
            try:
                check(newurl)
            except FastwheelError:
                fp.close()
                raise
            return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]

    check(url)
    return build_opener(Redirects)
