"""Each shape under each single operation, chains of editors, and what else meets an edited file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from elfcorpus.subject import Subject

DT_RPATH, DT_RUNPATH = 15, 29

#: Files that take seconds each say nothing more here than the others.
SLOW = ("many-", "go-")

WISHES: dict[str, dict[str, object]] = {
    "runpath": {"runpath": "$ORIGIN/../package.libs"},
    "rpath": {"rpath": "$ORIGIN/../package.libs"},
    "long-runpath": {"runpath": ":".join(f"/opt/folder/number/{index}" for index in range(40))},
    "short-runpath": {"runpath": "/x"},
    "remove-rpath": {"remove_rpath": True},
    "soname": {"soname": "libanother-name-0123abcd.so.7"},
    "short-soname": {"soname": "a.so"},
    "rename": {"replace_needed": (("libdep.so.1", "libdep-renamed.so.1"),)},
    "rename-to-suffix": {"replace_needed": (("libdep.so.1", "dep.so.1"),)},
    "add": {"add_needed": ("libextra.so.1",)},
    "add-three": {"add_needed": ("libextra.so.1", "libextra.so.2", "libextra.so.3")},
    "remove-libm": {"remove_needed": ("libm.so.6",), "drop_versions": True},
    "all": {
        "runpath": "$ORIGIN/../package.libs",
        "soname": "liball-0123abcd.so.7",
        "replace_needed": (("libdep.so.1", "libdep-renamed.so.1"),),
        "add_needed": ("libextra.so.1",),
    },
}


@pytest.fixture(scope="session")
def grafts(shapes: dict[str, Subject], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like a wheel, whose package.libs has the libraries that `WISHES` name, for every machine in turn."""
    return tmp_path_factory.mktemp("grafts")


def _expected(wish: dict[str, object], subject: Subject, data: bytes) -> tuple[object, ...]:
    """Return the NEEDED list, SONAME, RPATH and RUNPATH that an edit must lead to."""
    from elfcorpus.peek import peek

    facts = peek(data)
    names = dict(wish.get("replace_needed", ()))  # type: ignore[call-overload]
    needed = [names.get(name, name) for name in facts.needed]
    needed = [name for name in needed if name not in wish.get("remove_needed", ())]  # type: ignore[operator]
    needed += [name for name in wish.get("add_needed", ()) if name not in needed]  # type: ignore[attr-defined]
    rpath, runpath = facts.rpath, facts.runpath
    if wish.keys() & {"rpath", "runpath", "remove_rpath"}:
        rpath, runpath = wish.get("rpath"), wish.get("runpath")  # type: ignore[assignment]
    return list(dict.fromkeys(needed)), wish.get("soname", facts.soname), rpath, runpath


@pytest.mark.parametrize("wish", WISHES)
def test_every_single_operation(
    shapes: dict[str, Subject], engines: list[str], grafts: Path, wish: str, full: bool
) -> None:
    """The result is what was asked for, idempotent, and loads where nothing else is needed."""
    from elfcorpus.editors import wish_editor
    from elfcorpus.loader import close_servers, load
    from elfcorpus.operation import Site
    from elfcorpus.peek import peek

    wrong, loaded = [], 0
    for number, subject in enumerate(shapes.values()):
        # Of the shapes that other editors have changed before, and of other machines, every third is enough here.
        many = subject.name.startswith("patchelf-") or subject.machine not in {"x86_64", "x86_64-musl"}
        if subject.refused or (not full and (subject.name.startswith(SLOW) or (many and number % 3))):
            continue
        data = subject.path.read_bytes()
        found = {engine: wish_editor(engine, data, WISHES[wish]) for engine in engines}
        if len(set(found.values())) > 1:
            wrong.append(f"{subject.name}: the engines differ")
        out = found[engines[-1]]
        if isinstance(out, str):
            if not _may_refuse(subject.name, wish, out):
                wrong.append(f"{subject.name}: {out}")
            continue
        facts = peek(out)
        got = (list(dict.fromkeys(facts.needed)), facts.soname, facts.rpath, facts.runpath)
        if got != _expected(WISHES[wish], subject, data):
            wrong.append(f"{subject.name}: {got}")
        if wish_editor(engines[-1], out, WISHES[wish]) != out:
            wrong.append(f"{subject.name}: not idempotent")
        if subject.kind == "static" or "remove-libm" in wish:
            continue
        site = Site(grafts / subject.machine / subject.path.parent.name)
        for name in ("libdep-renamed.so.1", "dep.so.1", "libextra.so.1", "libextra.so.2", "libextra.so.3"):
            site.graft(name, subject.library_path[0] / "libdep.so.1")
        # RUNPATH is not always set here: the folder is in LD_LIBRARY_PATH as well.
        reach = _reach(subject, site.root / "package.libs")
        path = site.file("file", subject.path.name if subject.kind == "program" else "")
        path.write_bytes(out)
        path.chmod(0o755)
        answer = load(reach, path)
        loaded += 1
        if not answer.startswith("ok") or (subject.probe and answer != "ok 42"):
            wrong.append(f"{subject.name}: {answer}")
    close_servers()
    assert wrong == []
    assert loaded > 150 or "remove-libm" in wish


def _may_refuse(name: str, wish: str, error: str) -> bool:
    """Tell whether there is truly no room.

    That is so in libraries whose strings an earlier editor has put into a segment of their own, which they must not
    leave, with bytes behind it, while their full dynamic section has to find a place in another; and in a file with an
    archive behind its end that would have to grow.
    """
    if name.startswith("overlay-"):
        return error.startswith("FW401") and wish == "long-runpath"
    return name in {"lief-bfd", "lief-gold"} and error.startswith("FW400") and wish == "add-three"


def _reach(subject: Subject, folder: Path) -> Subject:
    from dataclasses import replace

    return replace(subject, library_path=(*subject.library_path, folder))


@pytest.mark.parametrize(
    "name", ["bfd-default", "gold-default", "lld14-default", "lld19-default", "mold-default", "code-first", "cxx-bfd"]
)
def test_chain_of_editors(shapes: dict[str, Subject], engine_name: str, tmp_path: Path, name: str) -> None:
    """fastwheel, patchelf, fastwheel, strip, fastwheel: every step loads."""
    from dataclasses import replace

    from elfcorpus.editors import editor
    from elfcorpus.judge import patch_again, strip
    from elfcorpus.loader import close_servers, load
    from elfcorpus.operation import RUNPATH, Site, repair_request

    subject, ours, site = shapes[name], editor(engine_name), Site(tmp_path)
    request = repair_request(subject, subject.path.read_bytes(), site)

    def edit(source: Path, step: str, runpath: str) -> Path:
        target = site.file(step)
        outcome = ours.edit(source.read_bytes(), replace(request, runpath=runpath))
        assert outcome.data is not None, (step, outcome.error)
        target.write_bytes(outcome.data)
        assert load(subject, target) == "ok 42", step
        return target

    one = edit(subject.path, "1", RUNPATH)
    two = site.file("2")
    assert patch_again(one, two) == ""
    assert load(subject, two) == "ok 42"
    three = edit(two, "3", "/opt/other/folder/which-is-longer:" + RUNPATH)
    four = site.file("4")
    # patchelf has put the program headers of a code-first file behind its end, which only LLVM's strip can bear.
    assert strip("llvm-strip" if name == "code-first" else "strip", subject, three, four) == ""
    assert load(subject, four) == "ok 42"
    edit(four, "5", RUNPATH)
    close_servers()


def test_other_readers(shapes: dict[str, Subject], engine_name: str, tmp_path: Path) -> None:
    """ldd, `ld.so --verify`, LD_DEBUG, gdb and pyelftools read an edited program without complaint."""
    from elfcorpus.editors import editor
    from elfcorpus.operation import Site, repair_request
    from elfcorpus.tools import run, tool
    from elftools.elf.elffile import ELFFile

    for name in ("program-bfd-pie", "program-lld14-pie", "program-mold-pie", "program-gold-no-pie"):
        subject, site = shapes[name], Site(tmp_path)
        data = subject.path.read_bytes()
        outcome = editor(engine_name).edit(data, repair_request(subject, data, site))
        assert outcome.data is not None
        path = site.file(name)
        path.write_bytes(outcome.data)
        path.chmod(0o755)
        assert b"not found" not in run([tool("ldd"), path]).stdout
        assert run(["/lib64/ld-linux-x86-64.so.2", "--verify", path], check=False).returncode == 0
        traced = run([path], env={"LD_DEBUG": "all"})
        assert traced.stdout == b"probe 42\n"
        before = run([subject.path], env={"LD_DEBUG": "all", "LD_LIBRARY_PATH": str(subject.library_path[0])})
        assert traced.stderr.count(b"error:") == before.stderr.count(b"error:")
        gdb = [tool("gdb"), "-q", "-batch", "-ex", "break probe", "-ex", "run", "-ex", "bt", path]
        text = run(gdb, merge=True, timeout=120).stdout
        assert b"probe () at" in text or b"in probe" in text, text
        assert b"warning" not in text.lower().replace(b"warning: error disabling address space", b""), text
        with path.open("rb") as opened:
            dynamic = ELFFile(opened).get_section_by_name(".dynamic")
            assert next(tag.needed for tag in dynamic.iter_tags("DT_NEEDED")).startswith("libdep-")
