"""Configuration files, path strings and their expansion."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fastwheel.deps import Search, Via
from fastwheel.deps.files import Root
from fastwheel.deps.folders import expand, ld_so_conf, split_path
from fastwheel.policy import Arch, Libc


def write(root: Path, files: dict[str, str]) -> Root:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Root(root)


def test_ld_so_conf(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "etc/ld.so.conf": "# c\n/one # tail\n\ninclude ld.so.conf.d/*.conf /etc/extra.conf\n  /two/  \n/one\n",
            "etc/ld.so.conf.d/b.conf": "/b\ninclude nested/*.c\n",
            "etc/ld.so.conf.d/a.conf": "/a\nhwcap 0 nosegneg\nrelative/is/ignored\n/old=libc5\n",
            "etc/ld.so.conf.d/c.txt": "/no\n",
            "etc/ld.so.conf.d/nested/x.c": "/x\n",
            "etc/extra.conf": "\t/extra\ninclude\t/etc/missing.conf\n",
        },
    )
    assert ld_so_conf(root) == ("/one", "/a", "/old", "/b", "/x", "/extra", "/two")


def test_includes_may_form_loops(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "etc/ld.so.conf": "include ld.so.conf\ninclude *.conf\n/last\n",
            "etc/a.conf": "include ../etc/ld.so.conf\ninclude ./a.conf\n/a\n",
        },
    )
    assert ld_so_conf(root) == ("/a", "/last")


def test_includes_may_nest_deeply(tmp_path: Path) -> None:
    files = {f"etc/c{i}.conf": f"/d{i}\ninclude c{i + 1}.conf\n" for i in range(1200)}
    root = write(tmp_path, {"etc/ld.so.conf": "include c0.conf\n", **files})
    assert ld_so_conf(root) == tuple(f"/d{i}" for i in range(1200))


def test_odd_configuration_files(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    (etc / "ld.so.conf.d").mkdir(parents=True)
    (etc / "ld.so.conf").write_bytes(b"include ld.so.conf.d/*\n/\xff\xfe\n/ok\n")
    (etc / "ld.so.conf.d" / "a-folder").mkdir()
    os.mkfifo(etc / "ld.so.conf.d" / "b-fifo")
    (etc / "ld.so.conf.d" / "c-loop").symlink_to("c-loop")
    (etc / "ld.so.conf.d" / "d-dangling").symlink_to("/nowhere")
    (etc / "ld.so.conf.d" / "e-zeros").write_bytes(b"\0" * 100 + b"\n/e\n")
    assert ld_so_conf(Root(tmp_path)) == ("/e", "/\udcff\udcfe", "/ok")
    assert ld_so_conf(Root(tmp_path / "nowhere")) == ()


def test_absolute_links_stay_below_the_root(tmp_path: Path) -> None:
    root = write(tmp_path, {"etc/real.conf": "/inside\n"})
    (tmp_path / "etc" / "ld.so.conf").symlink_to("/etc/real.conf")
    assert ld_so_conf(root) == ("/inside",)
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "lib").symlink_to("/usr/lib")
    (tmp_path / "up").symlink_to("../../../../usr/../lib")
    assert root.real(f"{root.top}/lib") == f"{root.top}/usr/lib"
    assert root.real(f"{root.top}/up") == f"{root.top}/usr/lib"
    (tmp_path / "loop").symlink_to("/loop")
    with pytest.raises(OSError, match="symbolic links"):
        root.real(f"{root.top}/loop/x")


def paths(folders: tuple, root: Path) -> list[str]:
    return [folder.path.removeprefix(str(root)) for folder in folders]


def make(root: Path, *folders: str) -> None:
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)


def test_system_folders_of_glibc(tmp_path: Path) -> None:
    make(tmp_path, "usr/lib/x86_64-linux-gnu", "usr/lib64", "usr/lib", "opt/x", "usr/aarch64-linux-gnu/lib")
    (tmp_path / "lib").symlink_to("usr/lib")
    write(tmp_path, {"etc/ld.so.conf": "/opt/x\n/usr/lib\n/missing\n"})
    search = Search(Libc.GLIBC, Arch.X86_64, root=tmp_path, native=Arch.X86_64)
    assert paths(search.system, tmp_path) == [
        "/opt/x",
        "/usr/lib",
        "/lib/x86_64-linux-gnu",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib64",
        "/lib",
    ]
    foreign = Search(Libc.GLIBC, Arch.AARCH64, root=tmp_path, native=Arch.X86_64)
    assert paths(foreign.system, tmp_path)[-1] == "/usr/aarch64-linux-gnu/lib"
    assert foreign.system[-1].via is Via.CROSS
    narrow = Search(Libc.GLIBC, Arch.I686, root=tmp_path, native=Arch.I686)
    assert "/usr/lib64" not in paths(narrow.system, tmp_path)


def test_system_folders_of_musl(tmp_path: Path) -> None:
    make(tmp_path, "lib", "usr/local/lib", "usr/lib", "opt/x", "opt/y")
    search = Search(Libc.MUSL, Arch.X86_64, root=tmp_path)
    assert paths(search.system, tmp_path) == ["/lib", "/usr/local/lib", "/usr/lib"]
    write(tmp_path, {"etc/ld-musl-x86_64.path": "/opt/x:/none\n/opt/y\n\n", "etc/ld-musl-armhf.path": ""})
    search = Search(Libc.MUSL, Arch.X86_64, root=tmp_path)
    assert paths(search.system, tmp_path) == ["/opt/x", "/opt/y"]
    assert Search(Libc.MUSL, Arch.ARMV7L, root=tmp_path).system == ()


def test_ldpaths_replaces_configuration_and_environment(tmp_path: Path) -> None:
    make(tmp_path, "lib", "a", "b", "c", "d")
    environ = {
        "LD_LIBRARY_PATH": f"{tmp_path}/a",
        "AUDITWHEEL_LD_LIBRARY_PATH": f"{tmp_path}/b",
        "FASTWHEEL_LD_LIBRARY_PATH": f"{tmp_path}/c:{tmp_path}/a",
    }

    def search(ldpaths: str | None) -> Search:
        # Everything but the system's own folders is outside of the root here, as with a sysroot.
        return Search(Libc.GLIBC, Arch.X86_64, root="/", environ=environ, ldpaths=ldpaths)

    assert paths(search(None).environment, tmp_path) == ["/c", "/a", "/b"]
    assert paths(search("").environment, tmp_path) == ["/c", "/a", "/b"]
    environ["FASTWHEEL_LD_LIBRARY_PATH"] = ""
    assert paths(search(None).environment, tmp_path) == ["/b", "/a"]
    assert paths(search("").environment, tmp_path) == ["/b"]
    assert search("").system == ()
    assert paths(search(f"{tmp_path}/d:/nowhere").system, tmp_path) == ["/d"]
    assert search("").beside_interpreter("/lib64/ld-linux-x86-64.so.2") == ()


def test_android_has_nothing_of_this_machine() -> None:
    assert Search(Libc.ANDROID, Arch.AARCH64).system == ()


def test_relative_entries_start_at_the_callers_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "libs", "elsewhere/libs")
    environ = {"LD_LIBRARY_PATH": "libs::./libs/"}
    search = Search(Libc.GLIBC, Arch.X86_64, environ=environ, cwd=tmp_path)
    assert paths(search.environment, tmp_path) == ["/libs", "", "/./libs"]
    monkeypatch.chdir(tmp_path / "elsewhere")
    search = Search(Libc.GLIBC, Arch.X86_64, environ=environ)
    assert paths(search.environment, tmp_path) == ["/elsewhere/libs", "/elsewhere", "/elsewhere/./libs"]
    (tmp_path / "elsewhere/libs").rmdir()
    (tmp_path / "elsewhere").rmdir()
    assert Search(Libc.GLIBC, Arch.X86_64, environ=environ).environment == ()


def test_origin_in_the_environment_is_skipped_with_a_note(tmp_path: Path) -> None:
    make(tmp_path, "a")
    environ = {"LD_LIBRARY_PATH": f"$ORIGIN/x:{tmp_path}/a:${{ORIGIN}}"}
    search = Search(Libc.GLIBC, Arch.X86_64, environ=environ, lib_paths=["$ORIGIN", "/nowhere\n"])
    assert paths(search.environment, tmp_path) == ["/a"]
    assert search.first == ()
    assert search.notes == (
        "LD_LIBRARY_PATH: $ORIGIN/x is skipped, for $ORIGIN has no meaning there",
        "LD_LIBRARY_PATH: ${ORIGIN} is skipped, for $ORIGIN has no meaning there",
        "--lib-path: $ORIGIN is skipped, for $ORIGIN has no meaning there",
        "--lib-path: /nowhere\\n is not a folder",
    )


def test_split_path() -> None:
    assert split_path("", Libc.GLIBC) == ()
    assert split_path(":a;b:", Libc.GLIBC) == ("", "a;b")
    assert split_path("a;b", Libc.GLIBC, environment=True) == ("a", "b")
    assert split_path("::a\nb:", Libc.MUSL) == ("a", "b")
    assert len(split_path(":".join(map(str, range(100_000))), Libc.GLIBC)) == 1024


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("/x", ("/x",)),
        ("$ORIGIN", ("/o",)),
        ("${ORIGIN}/..", ("/o/..",)),
        ("$ORIGIN2", ("/o2",)),
        ("$ORIGIN_x", ("$ORIGIN_x",)),
        ("${ORIGINx}", ("${ORIGINx}",)),
        ("$FOO/$", ("$FOO/$",)),
        ("/p/$PLATFORM", ("/p/x86_64",)),
        ("/p/$LIB", ("/p/lib/x86_64-linux-gnu", "/p/lib64", "/p/lib")),
    ],
)
def test_expand(entry: str, expected: tuple[str, ...]) -> None:
    assert expand(entry, "/o", Libc.GLIBC, Arch.X86_64) == expected


def test_expand_elsewhere() -> None:
    assert expand("$LIB/$PLATFORM", "/o", Libc.GLIBC, Arch.ARMV7L) == ("lib/armv7l",)
    assert expand("$ORIGIN/$LIB", "/o", Libc.MUSL, Arch.X86_64) == ("/o/$LIB",)
