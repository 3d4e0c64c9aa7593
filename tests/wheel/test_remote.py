"""Wheels on a server: the same answers, and little more is read than what is looked at."""

from __future__ import annotations

import json
import re
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fastwheel import FastwheelError, audit, diff, explain, tree, verify
from fastwheel.cli.root import root
from fastwheel.wheel.archive import Archive
from fastwheel.wheel.remote import Url, is_url


@dataclass
class Server:
    """A server of the files of one folder, and how it misbehaves.

    Attributes:
        folder: its files.
        address: its own, with a slash at the end.
        ranges: whether it knows them.
        sent: the bytes of contents that it sent.
        spoil: changes the status, headers and body of an answer.
    """

    folder: Path
    address: str = ""
    ranges: bool = True
    sent: int = 0
    asked: list[str] = field(default_factory=list)
    spoil: Callable[[int, dict[str, str], bytes], tuple[int, dict[str, str], bytes]] | None = None

    def answer(self, path: str, wanted: str | None) -> tuple[int, dict[str, str], bytes]:
        file = self.folder / path.lstrip("/").partition("?")[0].replace("%2B", "+")
        if path == "/moved":
            return 302, {"Location": next(self.folder.iterdir()).name}, b""
        if path == "/elsewhere":
            return 302, {"Location": "http://example.invalid/x.whl"}, b""
        if not file.is_file():
            return 404, {}, b"nothing here"
        data = file.read_bytes()
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted or "")
        headers = {"ETag": '"1"'}
        if not self.ranges or found is None:
            return 200, headers, data
        start = int(found[1]) if found[1] else max(len(data) - int(found[2]), 0)
        stop = min(int(found[2]) + 1 if found[1] and found[2] else len(data), len(data))
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
        return 206, headers, data[start:stop]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "served"
    folder.mkdir()
    state = Server(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.headers.get("Range", ""))
            status, headers, body = state.answer(self.path, self.headers.get("Range"))
            headers = {"Content-Length": str(len(body)), **headers}
            if state.spoil is not None:
                status, headers, body = state.spoil(status, headers, body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            state.sent += len(body)  # before the client has it all, and looks
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        state.address = f"http://127.0.0.1:{httpd.server_port}/"
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield state
        httpd.shutdown()
        thread.join()


@pytest.fixture
def large(server: Server, built_wheel: Callable[[str], Path]) -> Path:
    """A wheel with an extension, and megabytes of data beside it that nobody needs to look at."""
    source = built_wheel("example-pkg")
    target = server.folder / source.name
    noise = b"".join(index.to_bytes(4, "little") * 3 for index in range(100_000))
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        record = next(name for name in old.namelist() if name.endswith("/RECORD"))
        for name in old.namelist():
            if name != record:
                new.writestr(name, old.read(name))
        rows = old.read(record).decode()
        for number in range(6):
            new.writestr(f"example_pkg/data{number}.bin", noise[number:], zipfile.ZIP_STORED)
            rows = f"example_pkg/data{number}.bin,,\n{rows}"
        new.writestr(record, rows)
    return target


def run(*arguments: str) -> Result:
    return CliRunner().invoke(root, arguments)


def test_show_reads_what_it_looks_at(server: Server, large: Path) -> None:
    here = json.loads(run("show", "--json", str(large)).stdout)
    done = run("show", "--json", server.address + large.name)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == here
    size = large.stat().st_size
    assert size > 7_000_000
    assert server.sent < 1_000_000
    said = re.search(r"note: read ([\d.]+) ([kM]B) of ([\d.]+) MB from 127\.0\.0\.1 in (\d+) requests", done.stderr)
    assert said is not None, done.stderr
    assert float(said[1]) * {"kB": 1e3, "MB": 1e6}[said[2]] == pytest.approx(server.sent, rel=0.06)
    assert int(said[4]) == len(server.asked) < 20


def test_explain_and_verify(server: Server, large: Path) -> None:
    address = server.address + large.name
    assert explain(address).to_dict() == explain(large).to_dict()
    assert server.sent < 2_000_000
    assert verify(address).to_dict() == verify(large).to_dict()
    done = run("verify", address)
    assert done.exit_code == run("verify", str(large)).exit_code
    assert "note: read " in done.stderr


def test_tree_and_report(server: Server, large: Path, tmp_path: Path) -> None:
    address = f"{server.address}{large.name}#sha256=00"
    assert tree(address).to_dict() == tree(large).to_dict()
    done = run("tree", "--json", address)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == json.loads(run("tree", "--json", str(large)).stdout)
    assert "note: read " in done.stderr
    assert server.sent < 2_000_000
    pages = [tmp_path / "here.html", tmp_path / "there.html"]
    for page, wheel in zip(pages, (str(large), address), strict=True):
        assert run("report", "-q", "-o", str(page), wheel).exit_code == 0
    assert pages[0].read_text() == pages[1].read_text()


def test_diff_reads_what_may_differ(server: Server, large: Path, tmp_path: Path) -> None:
    """One of the six large files differs; the other five are not read."""
    changed = tmp_path / large.name
    with zipfile.ZipFile(large) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            content = old.read(info)
            new.writestr(info, content[:-1] + b"!" if info.filename.endswith("data3.bin") else content)
    address = server.address + large.name
    here, there = diff(changed, large).to_dict(), diff(changed, address).to_dict()
    assert [member["after"]["name"] for member in here["members"]] == ["example_pkg/data3.bin"]
    assert {**there, "after": None} == {**here, "after": None}
    assert there["after"] != here["after"]
    assert 1_200_000 < server.sent < 2_000_000
    done = run("diff", str(changed), address)
    assert "data3.bin" in done.stdout
    assert "note: read " in done.stderr
    assert diff(address, address).equal
    assert run("report", "-q", "-o", str(tmp_path / "page"), "--before", address, str(changed)).exit_code == 0
    assert "data3.bin" in (tmp_path / "page").read_text()
    done = run("diff", "/bin/sh", address)
    assert isinstance(done.exception, FastwheelError)
    assert done.exception.code == "FW800"


def test_a_server_without_ranges(server: Server, large: Path) -> None:
    server.ranges = False
    assert audit(server.address + large.name).to_dict() == audit(large).to_dict()
    assert len(server.asked) == 1
    assert server.sent == large.stat().st_size


def test_names_and_redirects(server: Server, large: Path) -> None:
    assert Url(f"{server.address}{large.name}?x=1#sha256=0").name == large.name
    assert audit(f"{server.address}{large.name}?x=1#sha256=0").wheel == large.name
    for other in ("moved", "moved/"):
        with pytest.raises(FastwheelError) as caught:
            audit(server.address + other)
        assert caught.value.code in {"FW200", "FW700"}


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("http://example.invalid/pkg-1.0-py3-none-any.whl", "FW800"),
        ("ftp://example.invalid/pkg-1.0-py3-none-any.whl", "FW800"),
        ("file:///etc/pkg-1.0-py3-none-any.whl", "FW800"),
        ("https://127.0.0.1:1/pkg-1.0-py3-none-any.whl", "FW700"),
        ("http://127.0.0.1:1/pkg-1.0-py3-none-any.whl", "FW700"),
        ("http://[::1/pkg-1.0-py3-none-any.whl", "FW800"),
        ("https:///pkg-1.0-py3-none-any.whl", "FW700"),
    ],
)
def test_addresses_that_cannot_be_read(address: str, code: str) -> None:
    assert is_url(address)
    with pytest.raises(FastwheelError) as caught:
        audit(address)
    assert caught.value.code == code
    done = run("show", address)
    assert isinstance(done.exception, FastwheelError)


def test_a_redirect_does_not_leave_https(server: Server) -> None:
    with pytest.raises(FastwheelError) as caught:
        Archive.open(server.address + "elsewhere")
    assert caught.value.code == "FW800"


def test_what_is_not_there(server: Server) -> None:
    with pytest.raises(FastwheelError, match="404") as caught:
        audit(server.address + "pkg-1.0-py3-none-any.whl")
    assert caught.value.code == "FW700"


SPOILS: dict[str, Callable[[int, dict[str, str], bytes], tuple[int, dict[str, str], bytes]]] = {
    "no range": lambda status, headers, body: (206, {**headers, "Content-Range": "bytes"}, body),
    "range backward": lambda status, headers, body: (206, {**headers, "Content-Range": "bytes 9-3/10"}, body),
    "range outside": lambda status, headers, body: (206, {**headers, "Content-Range": "bytes 0-9/10"}, body),
    "huge": lambda status, headers, body: (206, {**headers, "Content-Range": f"bytes 0-{10**17}/{10**18 - 1}"}, body),
    "cut": lambda status, headers, body: (status, headers, body[:-9]),
    "nothing": lambda status, headers, body: (status, {**headers, "Content-Length": "0"}, b""),
    "server error": lambda status, headers, body: (500, {"Content-Length": "0"}, b""),
    "no length": lambda status, headers, body: (200, {}, body),
    "zeros": lambda status, headers, body: (status, headers, bytes(len(body))),
}


@pytest.mark.parametrize("name", SPOILS)
def test_bad_answers(server: Server, large: Path, name: str) -> None:
    server.spoil = SPOILS[name]
    with pytest.raises(FastwheelError) as caught:
        audit(server.address + large.name)
    assert caught.value.code in {"FW700", "FW100", "FW101", "FW103", "FW104"}


def test_a_file_that_changes_meanwhile(server: Server, large: Path) -> None:
    def spoil(status: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        return status, {**headers, "ETag": f'"{len(server.asked)}"'}, body

    server.spoil = spoil
    with pytest.raises(FastwheelError, match="changed while it was read"):
        audit(server.address + large.name)


def test_a_repair_wants_a_file(server: Server, large: Path) -> None:
    done = run("repair", server.address + large.name)
    assert done.exit_code == 2
    assert "No such file" in done.output
