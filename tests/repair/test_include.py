"""Libraries that nothing needs by name: `--include`, and the warnings for those that grafts load at run time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fastwheel
from fastwheel import engine

if TYPE_CHECKING:
    from toolbox import Toolbox

Contents = Callable[[Path], dict[str, bytes]]

OPENER = """
extern void *dlopen(const char *, int); extern void *dlsym(void *, const char *);
static const char name[] = "{name}";
int opens(void) {{
    void *h = dlopen(name, 2);
    int (*f)(void) = h ? (int (*)(void)) dlsym(h, "{symbol}") : 0;
    return f ? f() : -1;
}}
"""


def _repair(wheel: Path, toolbox: Toolbox, **options: object) -> fastwheel.Repaired:
    environ = {"LD_LIBRARY_PATH": str(toolbox.system)}
    return fastwheel.repair(wheel, toolbox.folder / "out", environ=environ, **options)  # type: ignore[arg-type]


def _install(done: fastwheel.Repaired, contents: Contents, folder: Path) -> Path:
    assert done.path is not None
    for name, content in contents(done.path).items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return folder


def _opener(toolbox: Toolbox, name: str, symbol: str) -> Path:
    path = toolbox.system / "libfwopener.so.1"
    return toolbox.compile(path, OPENER.format(name=name, symbol=symbol), "-Wl,-soname,libfwopener.so.1")


def test_library_loaded_by_name_is_found_after_include(toolbox: Toolbox, contents: Contents) -> None:
    low = toolbox.library("libfwlow.so.2", "low")
    toolbox.library("libfwlate.so.1", "late", needs=[low])
    opener = _opener(toolbox, "libfwlate.so.1", "late")
    wheel = toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "opens", opener)})
    done = _repair(wheel, toolbox, include=["libfwlate.so.1"])
    site = _install(done, contents, toolbox.folder / "site")
    late = engine.read((site / "pkg.libs/libfwlate.so.1").read_bytes())
    assert late.soname == "libfwlate.so.1"
    assert late.needed[0].startswith("libfwlow-")
    (grafted,) = (site / "pkg.libs").glob("libfwopener-*")
    for library in toolbox.system.iterdir():
        library.unlink()
    code = f"import ctypes; print(ctypes.CDLL({str(grafted)!r}).opens())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "42\n"
    assert not any("libfwlate" in note for note in done.notes)


def test_library_loaded_by_name_is_warned_of(toolbox: Toolbox) -> None:
    toolbox.library("libfwlate.so.1", "late")
    opener = _opener(toolbox, "libfwlate.so.1", "late")
    wheel = toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "opens", opener)})
    notes = _repair(wheel, toolbox).notes
    assert "libfwopener.so.1 loads libfwlate.so.1 by name at run time, which the wheel does not hold" in notes
    notes = _repair(wheel, toolbox, exclude=["libfwopener.so.1"]).notes
    assert not any("libfwlate" in note for note in notes)


def test_plugin_folder_is_warned_of_until_it_is_included(toolbox: Toolbox, contents: Contents) -> None:
    plugin = sorted(Path("/usr/lib").glob("*/engines-3/*.so"))[0]  # OpenSSL's, which libpq-dev brings
    folder = str(plugin.parent)
    opener = _opener(toolbox, folder, "x")
    wheel = toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "opens", opener)})
    (warning,) = [note for note in _repair(wheel, toolbox).notes if folder in note]
    assert warning.startswith(f"libfwopener.so.1 loads plugins from {folder} (")
    done = _repair(wheel, toolbox, include=[f"{plugin}:pkg/plugins"])
    assert not any(folder in note for note in done.notes)
    assert done.path is not None
    included = engine.read(contents(done.path)[f"pkg/plugins/{plugin.name}"])
    assert any(name.startswith("libcrypto-") for name in included.needed)
    assert included.runpath == "$ORIGIN/../../pkg.libs"


def test_folder_is_taken_along_with_its_data(toolbox: Toolbox, contents: Contents) -> None:
    library = toolbox.library("libfwone.so.1", "one")
    tree = toolbox.folder / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub/table.bin").write_bytes(b"data")
    toolbox.library("plug.so", "plug", folder=tree)
    wheel = toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "one", library)})
    done = _repair(wheel, toolbox, include=[f"{tree}:pkg"])
    assert done.path is not None
    files = contents(done.path)
    assert files["pkg/tree/sub/table.bin"] == b"data"
    assert engine.read(files["pkg/tree/plug.so"]).soname == "plug.so"
    assert "pkg/tree/plug.so" in files["pkg-1.0.dist-info/RECORD"].decode()


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ("libnowhere.so.9", "FW503"),
        ("/nowhere/*.so", "FW503"),
        ("libc.so.6:/etc", "FW800"),
        ("libc.so.6:../x", "FW800"),
    ],
)
def test_what_cannot_be_included_is_refused(toolbox: Toolbox, request_: str, code: str) -> None:
    wheel = toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "getpid")})
    with pytest.raises(fastwheel.FastwheelError) as caught:
        _repair(wheel, toolbox, include=[request_])
    assert caught.value.code == code
    assert not (toolbox.folder / "out").exists()


def test_name_that_the_wheel_has_is_refused(toolbox: Toolbox) -> None:
    data = toolbox.folder / "data.txt"
    data.write_text("new")
    wheel = toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "getpid"), "pkg/data.txt": b"old"})
    with pytest.raises(fastwheel.FastwheelError) as caught:
        _repair(wheel, toolbox, include=[f"{data}:pkg"])
    assert caught.value.code == "FW504"


def test_allowed_library_is_left_to_the_target(toolbox: Toolbox, contents: Contents) -> None:
    library = toolbox.library("libfwone.so.1", "one")
    wheel = toolbox.wheel({"pkg/ext.so": toolbox.module("ext", "one", library)})
    done = _repair(wheel, toolbox, allow=["libfwone.so.*"])
    assert done.path is not None
    assert not any(".libs/" in name for name in contents(done.path))
