"""Tries dlopen(RTLD_NOW | RTLD_LOCAL) on each path of standard input, each in a process of its own; run by the tests.

First it prints the libraries that its process has loaded, then for each path a line of JSON: [path, error or null].
"""

import ctypes
import json
import os
import sys


def attempt(path: str) -> str | None:
    """Load a library in a fork, and return the loader's message, or None."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 1)
        os.dup2(null, 2)
        try:
            ctypes.CDLL(path, mode=os.RTLD_NOW | os.RTLD_LOCAL)
            answer = b"+"
        except OSError as error:
            answer = b"-" + str(error).encode("utf-8", "surrogateescape")
        os.write(writing, answer[:60000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    if not answer:
        return f"it ended with status {status}"
    return None if answer == b"+" else answer[1:].decode("utf-8", "replace")


def loaded() -> list[str]:
    """Return the files mapped as code into this process."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        rows = [line.split(maxsplit=5) for line in maps]
    return sorted({row[5].strip() for row in rows if len(row) > 5 and "x" in row[1] and row[5].startswith("/")})


if __name__ == "__main__":
    print(json.dumps(loaded()), flush=True)
    for line in sys.stdin:
        path = json.loads(line)
        print(json.dumps([path, attempt(path)]), flush=True)
