"""RECORD: the list of a wheel's files with their hashes and sizes (PEP 376, 427).

The central directory says which files there are; RECORD is only compared with it.
"""

from __future__ import annotations

import csv
import io
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from typing import TYPE_CHECKING, Final, NoReturn

from fastwheel.errors import FastwheelError
from fastwheel.named import NamedTuple
from fastwheel.wheel.metadata import MARK
from fastwheel.wheel.names import first_fault, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["STRONG", "Record", "Row", "format_record", "hash_text", "row"]

#: Hash algorithms that RECORD may use, with the length of their digests in bytes ("sha256 or better").
STRONG: Final = {"sha256": 32, "sha384": 48, "sha512": 64}


class Row(NamedTuple):
    """One row: `hash` is `algorithm=digest` in urlsafe base64 without padding, or ""; `size` is decimal, or ""."""

    path: str
    hash: str
    size: str

    @property
    def digest(self) -> tuple[str, bytes] | None:
        """The algorithm and the digest, or None where there is none that PEP 427 allows."""
        algorithm, _, text = self.hash.partition("=")
        try:
            digest = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except (Base64Error, ValueError):
            return None
        return (algorithm, digest) if len(digest) == STRONG.get(algorithm) else None


class Record(NamedTuple):
    """The rows of a RECORD file by path, in its order.

    Attributes:
        rows: path ▶ row.
        repeated: paths that have a second, equal row.
        marked: whether the file begins with a byte order mark.
    """

    rows: Mapping[str, Row]
    repeated: tuple[str, ...] = ()
    marked: bool = False

    @classmethod
    def parse(cls, content: bytes) -> Record:
        """Read a RECORD file.

        Raises:
            FastwheelError: FW206 it is not UTF-8, not CSV, or gives a file two different rows; FW207 it lists a path
                that leaves the folder of installation.
        """
        try:
            content.decode()
        except UnicodeDecodeError:
            _bad("RECORD is not UTF-8")
        # Decoded again line by line: a StringIO would take four bytes a character while it is read.
        lines = io.TextIOWrapper(io.BytesIO(content.removeprefix(MARK)), encoding="utf-8", newline="")
        rows: dict[str, Row] = {}
        repeated: list[str] = []
        make = Row._make
        try:
            for fields in csv.reader(lines, strict=True):
                if not fields:
                    continue
                if len(fields) != 3:
                    _bad(f"RECORD has a row of {len(fields)} fields instead of 3: '{shown(','.join(fields))}'")
                new = make(fields)
                old = rows.setdefault(fields[0], new)
                if old is new:
                    continue
                if old != new:
                    _bad(f"RECORD lists '{shown(new.path)}' twice, differently")
                repeated.append(new.path)
        except csv.Error as error:
            _bad(f"RECORD is not CSV: {error}")
        fault = first_fault(list(rows))
        if fault is not None:
            raise FastwheelError(f"RECORD lists '{shown(fault[0])}', a path that {fault[1]}", code="FW207")
        return cls(rows, tuple(repeated), content.startswith(MARK))


def row(path: str, sha256: bytes, size: int) -> Row:
    """Return the row of a file whose content has this SHA-256 digest (32 bytes) and size (bytes)."""
    return Row(path, hash_text(sha256), str(size))


def hash_text(sha256: bytes) -> str:
    """Return a SHA-256 digest as RECORD spells it."""
    return "sha256=" + urlsafe_b64encode(sha256)[:-1].decode("ascii")


def format_record(rows: Iterable[tuple[str, str, str]], record_path: str) -> bytes:
    """Return a RECORD file of these rows and, last, the bare one of RECORD itself.

    >>> format_record([row("a,b.py", bytes(32), 7)], "p-1.dist-info/RECORD").splitlines()[-1]
    b'p-1.dist-info/RECORD,,'
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows(rows)
    writer.writerow((record_path, "", ""))
    return out.getvalue().encode()


def _bad(message: str) -> NoReturn:
    raise FastwheelError(message, code="FW206")
