"""Every JSON document that the command line prints is what its schema says, on good, bad and odd input."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError
from toolbox import Toolbox, extension

from fastwheel import FastwheelError, schemas

#: How each verb is made to print JSON.
VERBS: dict[str, list[str]] = {
    "show": ["--json"],
    "verify": ["--json"],
    "explain": ["--json"],
    "tree": ["--format", "json"],
    "lddtree": [],
    "patch": ["--print", "--json"],
}


def printed(verb: str, *args: object, env: dict[str, str] | None = None) -> Any:
    """The document that a verb prints; whatever the exit status, stdout is one JSON document."""
    command = [sys.executable, "-m", "fastwheel", verb, *VERBS.get(verb, ["--json"]), *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(env or {})}, check=False)
    assert done.returncode in (0, 1, 2), done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


def check(verb: str, document: Any) -> Any:
    """Validate a document; return it."""
    Draft202012Validator(schemas.load(verb)).validate(document)
    return document


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """All schemas of objects inside a schema."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for value in schema.values():
            yield from objects(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from objects(value)


@pytest.mark.parametrize("name", schemas.names())
def test_schemas_are_schemas_and_closed(name: str) -> None:
    schema = schemas.load(name)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for item in objects(schema):
        assert "additionalProperties" in item
        if "properties" in item:
            assert item["additionalProperties"] is False


def test_there_is_one_for_each_verb_with_json() -> None:
    assert set(schemas.names()) == {*VERBS, "repair", "diff"}
    with pytest.raises(FastwheelError):
        schemas.load("../show")


@pytest.fixture
def pure(tmp_path: Path) -> Path:
    path = tmp_path / "pure-1.0-py3-none-any.whl"
    info = "pure-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: pure\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return path


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken-1.0-cp311-cp311-linux_x86_64.whl"
    path.write_bytes(b"PK\x05\x06 no zip")
    return path


@pytest.fixture
def odd(toolbox: Toolbox) -> Path:
    """A wheel whose names are not UTF-8, control characters and quotes, and whose libraries are missing."""
    library = toolbox.library("libodd.so.1", "odd", folder=toolbox.folder / "own")
    module = toolbox.module("a", "odd", library, flags=['-Wl,-rpath,/x"y:$ORIGIN/../z'])
    module = module.replace(b"libodd.so.1\0", b'\xff"\x1b[3;\n\\<&>\0')
    stack = extension(toolbox, "-Wl,-z,execstack")
    return toolbox.wheel(
        {'pkg/ö "<&>.so': module, "pkg/ext.so": stack, "pkg.libs/libx.so": library.read_bytes()}, project="odd"
    )


def wheels(verb: str, diamond: Path, pure: Path, broken: Path, odd: Path, env: dict[str, str]) -> list[Any]:
    """What a verb says of each kind of wheel."""
    found = [
        check(verb, printed(verb, diamond, env=env)),
        check(verb, printed(verb, diamond, env={"LD_LIBRARY_PATH": ""})),
    ]
    found += [check(verb, printed(verb, path)) for path in (pure, broken, odd)]
    return found


@pytest.mark.parametrize("verb", ["show", "verify", "explain", "tree"])
def test_of_wheels(verb: str, diamond: Path, pure: Path, broken: Path, odd: Path, environ: dict[str, str]) -> None:
    found = wheels(verb, diamond, pure, broken, odd, environ)
    failed = found[3]["wheels"][0] if verb == "verify" else found[3]
    assert failed["code"].startswith("FW1")


@pytest.mark.parametrize("verb", ["show", "tree"])
def test_a_pure_wheel_that_is_allowed(verb: str, pure: Path) -> None:
    document = check(verb, printed(verb, "--allow-pure-python-wheel", pure))
    assert document["pure"] is True


def test_repair(diamond: Path, pure: Path, broken: Path, odd: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    def run(*args: object, **env: str) -> Any:
        return check("repair", printed("repair", "-w", tmp_path / "out", *args, env={**environ, **env}))["wheels"]

    dry = run("--dry-run", diamond)
    assert (len(dry), dry[0]["path"]) == (1, None)
    assert not (tmp_path / "out").exists()
    (done,) = run(diamond)
    assert Path(done["path"]).exists()
    assert {graft["soname"] for graft in done["plan"]["grafts"]} == {"libleft.so.1", "libright.so.1", "libbase.so.1"}
    assert run("--allow-pure-python-wheel", pure)[0]["plan"] is None
    several = run(diamond, broken, diamond)
    assert [entry.get("code") for entry in several] == [None, "FW103"] or several[1]["code"].startswith("FW1")
    assert run(odd)[0]["code"] == "FW500"
    assert run("--exclude", "*", "--strip", "--force-rpath", odd)[0]["wheel"]


def test_single_files(toolbox: Toolbox, environ: dict[str, str]) -> None:
    base = toolbox.library("libbase.so.1", "base")
    top = toolbox.library("libtop.so.1", "top", needs=[base], flags=["-Wl,-rpath,$ORIGIN"])
    for path in (sys.executable, top, base):
        for verb in ("patch", "lddtree", "tree"):
            check(verb, printed(verb, path, env=environ))
    base.unlink()
    assert check("lddtree", printed("lddtree", top))["libraries"]["libbase.so.1"]["path"] is None


def test_diff(diamond: Path, broken: Path, odd: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    out = tmp_path / "out"
    printed("repair", "-w", out, diamond, env=environ)
    (repaired,) = out.iterdir()
    for a, b in ((diamond, diamond), (diamond, repaired), (repaired, odd), (odd, diamond), (sys.executable, "/bin/ls")):
        check("diff", printed("diff", a, b))
        check("diff", printed("diff", "--contents", a, b))
    assert check("diff", printed("diff", diamond, broken))["code"].startswith("FW1")
    assert check("diff", printed("diff", diamond, "/bin/ls"))["code"] == "FW800"


@pytest.mark.parametrize("verb", ["show", "verify", "explain", "tree"])
def test_real_wheels(verb: str, real_package: str, built_wheel: Any, repaired_wheel: Any) -> None:
    check(verb, printed(verb, built_wheel(real_package)))
    check(verb, printed(verb, repaired_wheel(real_package)))


def test_a_document_with_something_more_or_less_is_refused(diamond: Path, environ: dict[str, str]) -> None:
    document = printed("tree", diamond, env=environ)
    more = copy.deepcopy(document)
    more["nodes"][0]["colour"] = "red"
    less = copy.deepcopy(document)
    del less["edges"][0]["why"]
    for wrong in (more, less, {**document, "version": 2}):
        with pytest.raises(ValidationError):
            check("tree", wrong)
