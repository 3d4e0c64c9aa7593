"""RECORD, written by other code than fastwheel's."""

from __future__ import annotations

import csv
import hashlib
import io
from base64 import urlsafe_b64encode

__all__ = ["record_row"]


def record_row(name: str, content: bytes) -> str:
    """Return the line about one file."""
    digest = urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow((name, f"sha256={digest}", len(content)))
    return line.getvalue()
