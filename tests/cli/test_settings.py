"""Settings: the command line beats the environment, that the file; what is not understood is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from fastwheel.cli import main

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """A function that runs the command line in `tmp_path`: arguments ↦ status, output, errors."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("FASTWHEEL_", "AUDITWHEEL_")):
            monkeypatch.delenv(name)

    def run(*arguments: object, **environment: str) -> tuple[int, str, str]:
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


def settings(call: Call, *arguments: str, **environment: str) -> dict[str, Any]:
    """What `--show-settings` says, read back as the TOML that it is."""
    status, out, err = call("--show-settings", *arguments, **environment)
    assert (status, err) == (0, "")
    return tomllib.loads(out)["tool"]["fastwheel"]


def write(folder: Path, text: str, name: str = "pyproject.toml") -> Path:
    """Write a settings file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def test_without_a_file_everything_has_its_default(call: Call) -> None:
    said = settings(call)
    assert {"show", "repair", "verify", "explain", "tree"} <= said.keys()
    assert {"patch", "lddtree", "completion"} & said.keys() == set()
    assert said["repair"]["plat"] == "auto"
    assert said["repair"]["exclude"] == []
    assert said["repair"]["strip"] is False
    assert "json" not in said["repair"]
    assert call("--show-settings")[1].startswith("# no settings file\n")


def test_each_source_beats_the_next(call: Call, tmp_path: Path) -> None:
    write(tmp_path, '[tool.fastwheel.repair]\nplat = "file"\nzip-compression-level = 3\nstrip = true\n')
    assert settings(call, "repair")["repair"]["plat"] == "file"
    assert settings(call, "repair", FASTWHEEL_PLAT="variable")["repair"]["plat"] == "variable"
    assert settings(call, "repair", AUDITWHEEL_PLAT="variable")["repair"]["plat"] == "variable"
    assert settings(call, "repair", "--plat", "line", FASTWHEEL_PLAT="variable")["repair"]["plat"] == "line"
    said = settings(call, "repair", FASTWHEEL_ZIP_COMPRESSION_LEVEL="4")["repair"]
    assert (said["zip-compression-level"], said["strip"]) == (4, True)
    assert settings(call, "repair", FASTWHEEL_STRIP="0")["repair"]["strip"] is False


def test_it_says_where_a_value_comes_from(call: Call, tmp_path: Path) -> None:
    file = write(tmp_path, "[tool.fastwheel.repair]\nstrip = true\n")
    lines = call("--show-settings", "repair", "-w", "out", FASTWHEEL_EXCLUDE="a b")[1].splitlines()
    assert f"# {file}" in lines
    assert 'wheel-dir = "out"  # command line' in lines
    assert 'exclude = ["a", "b"]  # environment' in lines
    assert "strip = true  # file" in lines
    assert 'lib-sdir = ".libs"  # default' in lines
    assert "# ldpaths =" in lines


def test_keys_of_the_table_hold_for_all_verbs_that_know_them(call: Call, tmp_path: Path) -> None:
    text = '[tool.fastwheel]\nexclude = ["libcuda.so.*"]\nstrict = true\nquiet = true\n'
    write(tmp_path, text + '[tool.fastwheel.show]\nexclude = ["liba.so"]\n')
    said = settings(call)
    assert said["repair"]["exclude"] == said["explain"]["exclude"] == ["libcuda.so.*"]
    assert said["show"]["exclude"] == ["liba.so"]
    assert said["verify"]["strict"] is True
    assert said["repair"]["quiet"] is said["verify"]["quiet"] is True


def test_the_nearest_file_with_a_table_counts(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, '[tool.fastwheel.repair]\nplat = "outer"\n')
    inner = write(tmp_path / "a/b", '[project]\nname = "fastwheel-user"\n').parent
    monkeypatch.chdir(inner)
    assert settings(call, "repair")["repair"]["plat"] == "outer"
    write(tmp_path / "a", '[tool]\nfastwheel = {repair = {plat = "middle"}}\n')
    assert settings(call, "repair")["repair"]["plat"] == "middle"
    assert settings(call, "--no-config", "repair")["repair"]["plat"] == "auto"


def test_a_file_of_its_own(call: Call, tmp_path: Path) -> None:
    write(tmp_path, '[tool.fastwheel.repair]\nplat = "found"\n')
    own = write(tmp_path / "ci", '[repair]\nplat = "own"\n', "fastwheel.toml")
    like = write(tmp_path / "ci", '[tool.fastwheel.repair]\nplat = "like"\n', "other.toml")
    assert settings(call, "--config", str(own), "repair")["repair"]["plat"] == "own"
    assert settings(call, "--config", str(like), "repair")["repair"]["plat"] == "like"
    assert settings(call, "repair", FASTWHEEL_CONFIG=str(own))["repair"]["plat"] == "own"
    assert settings(call, "--no-config", "repair", FASTWHEEL_CONFIG=str(own))["repair"]["plat"] == "auto"
    assert call("--config", own, "--no-config", "show", "x")[0] == 2
    status, _, err = call("--config", tmp_path / "none.toml", "repair", "x")
    assert status == 2
    assert "none.toml: can't be read" in err


def test_paths_start_at_the_file(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = '[tool.fastwheel]\nlib-path = ["build/lib", "/opt/lib"]\nldpaths = "a:/b"\n'
    write(tmp_path, table + '[tool.fastwheel.repair]\nwheel-dir = "out"\n')
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    said = settings(call, "repair")["repair"]
    assert said["lib-path"] == [str(tmp_path / "build/lib"), "/opt/lib"]
    assert said["ldpaths"] == f"{tmp_path}/a:/b"
    assert said["wheel-dir"] == str(tmp_path / "out")
    assert settings(call, "repair", "-w", "here")["repair"]["wheel-dir"] == "here"


def test_a_size_may_be_a_number(call: Call, tmp_path: Path) -> None:
    write(tmp_path, '[tool.fastwheel]\nmax-ratio = 300\nmax-total-size = "2G"\n')
    said = settings(call)
    assert (said["show"]["max-ratio"], said["verify"]["max-total-size"]) == (300, 2 << 30)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[tool.fastwheel]\nexcludes = []\n", "unknown key 'excludes' in [tool.fastwheel]", "did you mean exclude?"),
        ("[tool.fastwheel]\nlib_path = []\n", "unknown key 'lib_path' in [tool.fastwheel]", "did you mean lib-path?"),
        ("[tool.fastwheel.show]\nstrict = 1\n", "unknown key 'strict' in [tool.fastwheel.show]", "option of verify"),
        ("[tool.fastwheel.patch]\nset-soname = 'x'\n", "unknown key 'patch'", ""),
        ("[tool.fastwheel]\nqqqq = 1\n", "unknown key 'qqqq'", "--show-settings"),
        ("[tool.fastwheel]\nplat = 'x'\n", "plat means something else to each verb", "below [tool.fastwheel."),
        ("[tool.fastwheel]\nexclude = 'x'\n", "exclude must be a list of strings", ""),
        ("[tool.fastwheel]\nexclude = [1]\n", "exclude must be a list of strings", ""),
        ("[tool.fastwheel.repair]\nstrip = 'yes'\n", "strip must be true or false", ""),
        ("[tool.fastwheel.repair]\nplat = 3\n", "plat must be a string", ""),
        ("[tool.fastwheel.repair]\nzip-compression-level = true\n", "zip-compression-level must be a number", ""),
        ("[tool.fastwheel.repair]\nzip-compression-level = 12\n", "pyproject.toml: zip-compression-level:", ""),
        ("[tool.fastwheel]\nmax-ratio = 'many'\n", "pyproject.toml: max-ratio:", ""),
        ("[tool]\nfastwheel = 1\n", "tool.fastwheel must be a table", ""),
        ("[tool.fastwheel]\nrepair = 1\n", "repair must be a table", ""),
        ("[tool.fastwheel\n", "is not TOML", ""),
        ('[tool.fastwheel]\nfastwheel = "\\ud800"\n', "is not TOML", ""),
        ("[tool.fastwheel]\na = " + "[" * 9000, "is not TOML", ""),
    ],
)
@pytest.mark.parametrize("verb", ["repair", "show"])
def test_what_is_not_understood_is_refused(
    text: str, message: str, hint: str, verb: str, call: Call, tmp_path: Path
) -> None:
    file = write(tmp_path, text)
    if verb == "show" and "zip-compression-level = 12" in text:
        return  # only the verb that uses a value looks at it
    (tmp_path / "x-1.0-py3-none-any.whl").touch()
    status, out, err = call(verb, "x-1.0-py3-none-any.whl")
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {file}: "), err
    assert message in err
    assert hint in err
    assert "Traceback" not in err


def test_bytes_that_are_no_text(call: Call, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"fastwheel\xff")
    status, _, err = call("show", "x")
    assert status == 2
    assert "is not TOML" in err


def test_a_bad_variable_is_named(call: Call, tmp_path: Path) -> None:
    (tmp_path / "x-1.0-py3-none-any.whl").touch()
    status, _, err = call("repair", "x-1.0-py3-none-any.whl", FASTWHEEL_ZIP_COMPRESSION_LEVEL="12")
    assert status == 2
    assert "FASTWHEEL_ZIP_COMPRESSION_LEVEL: " in err


def test_verbs_without_settings_read_no_file(call: Call, tmp_path: Path) -> None:
    write(tmp_path, "[tool.fastwheel]\nqqqq = 1\n")
    assert call("completion", "bash")[0] == 0
    assert call("--help")[0] == 0
    assert call("--version")[0] == 0


def test_a_setting_is_obeyed(call: Call, tmp_path: Path, built_wheel: Callable[[str], Path]) -> None:
    """Not only shown."""
    wheel = built_wheel("example-pkg")
    write(tmp_path, '[tool.fastwheel.repair]\nwheel-dir = "house"\nlib-sdir = ".grafts"\nquiet = true\n')
    status, out, err = call("repair", wheel)
    assert (status, out) == (0, "")
    assert "Fixed-up" not in err
    (made,) = (tmp_path / "house").iterdir()
    listing = subprocess.run([sys.executable, "-m", "zipfile", "-l", made], capture_output=True, text=True).stdout
    assert "example_pkg.grafts/" in listing
    said = json.loads(call("show", "--json", wheel)[1])
    assert said["external_libs"]


def test_no_toml_is_read_without_need(tmp_path: Path) -> None:
    """Of a file that says nothing about fastwheel nothing is parsed."""
    write(tmp_path, "[tool.other]\na = 1\n")
    code = (
        "import sys\nfrom fastwheel.cli import main\n"
        "try:\n    main(['show', 'none'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'tomllib', 'tomli'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "[]\n", done.stderr
