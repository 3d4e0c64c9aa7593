"""Several wheels in one call: each library is worked on once, and every output is what it would be alone."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
from toolbox import Toolbox, extension

import fastwheel
from fastwheel import engine


class Remote(Executor):
    """Like a cluster's: what is handed over is pickled, in both directions."""

    def submit(self, function: Callable, /, *arguments: object, **named: object) -> Future:
        future: Future = Future()
        try:
            function, arguments, named = pickle.loads(pickle.dumps((function, arguments, named)))
            future.set_result(pickle.loads(pickle.dumps(function(*arguments, **named))))
        except BaseException as error:
            future.set_exception(pickle.loads(pickle.dumps(error)))
        return future


@pytest.fixture
def wheels(toolbox: Toolbox) -> list[Path]:
    """Wheels for four Pythons around the same two libraries, one of which is larger than a chunk."""
    ballast = "static const unsigned char noise[] = {"
    ballast += ",".join(str(number * number % 251) for number in range(400_000)) + "};"
    deep = toolbox.library("libdeep.so.1", "deep")
    source = f"{ballast} int wide(int n) {{ return noise[n] + 1; }} int call(void) {{ return 42; }}"
    toolbox.compile(
        toolbox.system / "libwide.so.2", source, "-Wl,-soname,libwide.so.2", "-Wl,--no-as-needed", str(deep)
    )
    made = []
    for version in ("310", "311", "312", "313"):
        module = toolbox.module("ext", "call", toolbox.system / "libwide.so.2", flags=[f"-DVERSION={version}"])
        files = {f"pkg/ext.cpython-{version}.so": module, "pkg/__init__.py": version.encode()}
        made.append(toolbox.wheel(files, tag=f"cp{version}-cp{version}-linux_x86_64"))
    return made


def many(wheels: Sequence[Path], folder: Path, toolbox: Toolbox, **options: object) -> dict[str, bytes]:
    """The outputs by name."""
    environ = {"LD_LIBRARY_PATH": str(toolbox.system)}
    done = fastwheel.repair_many(wheels, folder, environ=environ, **options)  # type: ignore[arg-type]
    assert [entry.wheel for entry in done] == list(wheels)
    assert {entry.path for entry in done} == set(folder.iterdir())
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def alone(wheels: Sequence[Path], folder: Path, toolbox: Toolbox) -> dict[str, bytes]:
    environ = {"LD_LIBRARY_PATH": str(toolbox.system)}
    for wheel in wheels:
        fastwheel.repair(wheel, folder, environ=environ)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_each_library_is_worked_on_once(
    wheels: list[Path], toolbox: Toolbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = alone(wheels, tmp_path / "alone", toolbox)
    packed: Counter[str] = Counter()
    studied: Counter[str] = Counter()
    inflated: Counter[str] = Counter()
    pack, study, scan = engine.pack, engine.study, engine.scan

    def counting_pack(spill: int, tasks: Sequence[engine.Task], *rest: object, **named: object) -> object:
        packed.update(Path(task.label).name for task in tasks)
        return pack(spill, tasks, *rest, **named)  # type: ignore[arg-type]

    def counting_study(questions: Sequence[engine.Question], **named: object) -> object:
        studied.update(Path(question.path).name for question in questions)
        return study(questions, **named)  # type: ignore[arg-type]

    def counting_scan(fd: int, spans: Sequence[engine.Span], **named: object) -> object:
        inflated.update(str(span.size) for span in spans)
        return scan(fd, spans, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(engine, "pack", counting_pack)
    monkeypatch.setattr(engine, "study", counting_study)
    monkeypatch.setattr(engine, "scan", counting_scan)
    assert many(wheels, tmp_path / "many", toolbox) == expected
    libraries = ["libdeep.so.1", "libwide.so.2"]
    assert [studied[name] for name in libraries] == [1, 1]
    assert [packed[name] for name in libraries] == [1, 1]
    large = (toolbox.system / "libwide.so.2").stat().st_size
    assert large > 400_000
    # `pack` has inflated them; the proof of each wheel only compares their data
    assert sum(count for size, count in inflated.items() if int(size) > 400_000) == 0


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_the_number_of_threads_and_the_place_do_not_matter(
    wheels: list[Path], toolbox: Toolbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    expected = alone(wheels[:2], tmp_path / "alone", toolbox)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    assert many(wheels[1::-1], tmp_path / "many", toolbox, jobs=jobs) == expected
    assert not any((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("kind", ["threads", "processes", "remote"])
def test_any_executor(wheels: list[Path], toolbox: Toolbox, tmp_path: Path, kind: str) -> None:
    executors = {
        "threads": lambda: ThreadPoolExecutor(3),
        "processes": lambda: ProcessPoolExecutor(2),
        "remote": Remote,
    }
    with executors[kind]() as executor:
        outputs = many(wheels, tmp_path / "many", toolbox, executor=executor)
    assert outputs == alone(wheels, tmp_path / "alone", toolbox)


@pytest.mark.parametrize("executor", [None, ThreadPoolExecutor, Remote])
def test_the_first_that_fails_is_told(
    wheels: list[Path], toolbox: Toolbox, tmp_path: Path, executor: type[Executor] | None
) -> None:
    broken = toolbox.wheel({"pkg/text.py": b""}, project="other")
    pool = None if executor is None else executor()
    with pytest.raises(fastwheel.FastwheelError) as caught:
        many([*wheels[:2], broken, wheels[2]], tmp_path / "out", toolbox, executor=pool)
    assert caught.value.code == "FW609"
    names = {path.name.split("-")[2] for path in (tmp_path / "out").iterdir()}
    assert {"cp310", "cp311"} <= names
    assert len(names) == 2 or executor is not None


def test_no_wheels(tmp_path: Path) -> None:
    assert fastwheel.repair_many([], tmp_path / "out") == []
    assert not (tmp_path / "out").exists()


def test_a_library_that_changes_meanwhile_is_not_grafted(
    wheels: list[Path], toolbox: Toolbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = toolbox.system / "libwide.so.2"
    study = engine.study

    def change_it(questions: Sequence[engine.Question], **named: object) -> object:
        answers = study(questions, **named)  # type: ignore[arg-type]
        library.write_bytes(library.read_bytes() + b"more")
        return answers

    monkeypatch.setattr(engine, "study", change_it)
    with pytest.raises(fastwheel.FastwheelError, match="was changed while it was read") as caught:
        many(wheels[:1], tmp_path / "out", toolbox)
    assert caught.value.code == "FW700"
    assert not any((tmp_path / "out").iterdir())


def test_the_command_line_shares_too(wheels: list[Path], toolbox: Toolbox, tmp_path: Path) -> None:
    expected = alone(wheels, tmp_path / "alone", toolbox)
    command = [sys.executable, "-m", "fastwheel", "repair", "-w", str(tmp_path / "out"), "-j", "2", *map(str, wheels)]
    environ = {**os.environ, "LD_LIBRARY_PATH": str(toolbox.system)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environ)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == expected
    assert done.stderr.count("cp31") >= 4


def test_memory_does_not_grow_with_the_wheels(toolbox: Toolbox, tmp_path: Path) -> None:
    """Twelve grafts of 8 MB each: they are never in memory together."""
    needs = []
    for number in range(12):
        blob = tmp_path / f"blob{number}"
        blob.write_bytes(bytes((at * at * 7 + at * number) % 251 for at in range(65_537)) * 122)
        source = f'__asm__(".section .rodata\\n.incbin \\"{blob}\\"\\n.text");\nint f{number}(void) {{ return 1; }}'
        name = f"libblob{number}.so"
        needs.append(toolbox.compile(toolbox.system / name, source, f"-Wl,-soname,{name}"))
    module = extension(toolbox, "-Wl,--no-as-needed", *map(str, needs))
    wheel = toolbox.wheel({"pkg/ext.so": module})
    script = (
        "import re, sys, fastwheel\n"
        "done = fastwheel.repair(sys.argv[1], sys.argv[2], level=1)\n"
        # not ru_maxrss, which begins with that of the parent
        "print(len(done.plan.grafts), re.search('VmHWM:\\\\s+([0-9]+)', open('/proc/self/status').read())[1])\n"
    )
    environ = {**os.environ, "LD_LIBRARY_PATH": str(toolbox.system)}
    command = [sys.executable, "-c", script, str(wheel), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environ)
    grafts, peak = map(int, done.stdout.split())
    assert grafts == 12
    largest = needs[0].stat().st_size
    assert largest > 7_900_000
    if engine.name() == "rust":
        assert peak * 1024 < (64 << 20) + 1.5 * largest
    else:
        assert peak * 1024 < (64 << 20) + 6 * largest
