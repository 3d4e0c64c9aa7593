"""Owners by dpkg's and apk's databases, in made-up roots."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fastwheel.deps.packages import Package, distro_of, owners

STATUS = """\
Package: libbz2-1.0
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Source: bzip2
Version: 1.0.8-5+b1
Description: a library
 Version: not this one

Package: libgone
Status: deinstall ok not-installed
Architecture: amd64
Version: 0

Package: libfoo
Status: install ok installed
Version: 1:2.3~rc1-1
Architecture: i386
Source: foo (2.2-9)

Package: libfoo
Status: install ok installed
Version: 1:2.3-1
Architecture: amd64

Package: other
Status: install ok installed
Version: 9
Architecture: all
"""


class Machine:
    """A root folder with a merged /usr and a dpkg database."""

    def __init__(self, top: Path) -> None:
        self.top = top
        (top / "usr/lib/x86_64-linux-gnu").mkdir(parents=True)
        (top / "lib").symlink_to("usr/lib")
        (top / "etc").mkdir()
        self.write("etc/os-release", 'PRETTY_NAME="x"\nID=debian\nVERSION_ID="12"\n')

    def write(self, path: str, text: str | bytes = "") -> str:
        place = self.top / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text.encode() if isinstance(text, str) else text)
        return "/" + path

    def dpkg(self, **lists: str) -> None:
        self.write("var/lib/dpkg/status", STATUS)
        for name, text in lists.items():
            self.write(f"var/lib/dpkg/info/{name.replace('__', ':').replace('_', '-')}.list", text)

    def owner(self, path: str) -> Package | None:
        notes: list[str] = []
        found = owners([path], root=self.top, notes=notes)
        assert notes == []
        assert set(found) <= {path}
        return found.get(path)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


BZ2 = Package("deb", "libbz2-1.0", "1.0.8-5+b1", "amd64", "debian", "bzip2")


def bz2_list(folder: str, end: str = "\n") -> str:
    return f"/.\n{folder}\n{folder}/libbz2.so.1.0.4{end}"


@pytest.mark.parametrize("listed", ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu"])
@pytest.mark.parametrize("end", ["\n", "", "\r\n"])
def test_either_spelling_of_a_merged_usr(machine: Machine, listed: str, end: str) -> None:
    path = machine.write("usr/lib/x86_64-linux-gnu/libbz2.so.1.0.4")
    machine.write("var/lib/dpkg/status", STATUS)
    machine.write("var/lib/dpkg/info/libbz2-1.0:amd64.list", bz2_list(listed, end))
    assert machine.owner(path) == BZ2
    assert machine.owner("/lib/x86_64-linux-gnu/libbz2.so.1.0.4") == BZ2
    assert machine.owner(str(machine.top) + path) == BZ2


def test_an_absolute_link_stays_below_the_root(machine: Machine) -> None:
    (machine.top / "lib").unlink()
    (machine.top / "lib").symlink_to("/usr/lib")
    path = machine.write("usr/lib/x86_64-linux-gnu/libbz2.so.1.0.4")
    machine.dpkg()
    machine.write("var/lib/dpkg/info/libbz2-1.0:amd64.list", bz2_list("/lib/x86_64-linux-gnu"))
    assert machine.owner(path) == BZ2


def test_an_unmerged_usr_has_two_files(machine: Machine) -> None:
    (machine.top / "lib").unlink()
    machine.dpkg()
    old = machine.write("lib/x86_64-linux-gnu/libbz2.so.1.0.4")
    new = machine.write("usr/lib/x86_64-linux-gnu/libbz2.so.1.0.4")
    machine.write("var/lib/dpkg/info/libbz2-1.0:amd64.list", bz2_list("/lib/x86_64-linux-gnu"))
    assert machine.owner(old) == BZ2
    assert machine.owner(new) is None


def test_a_listed_folder_that_is_gone(machine: Machine) -> None:
    (machine.top / "lib").unlink()
    path = machine.write("usr/lib/x86_64-linux-gnu/libbz2.so.1.0.4")
    machine.dpkg()
    machine.write("var/lib/dpkg/info/libbz2-1.0:amd64.list", bz2_list("/lib/x86_64-linux-gnu"))
    assert machine.owner(path) == BZ2


def test_the_architecture_of_the_list_decides(machine: Machine) -> None:
    amd64 = machine.write("usr/lib/x86_64-linux-gnu/libfoo.so.2")
    i386 = machine.write("usr/lib/i386-linux-gnu/libfoo.so.2")
    machine.dpkg(libfoo__amd64=amd64 + "\n", libfoo__i386=i386 + "\n")
    first, second = machine.owner(amd64), machine.owner(i386)
    assert first == Package("deb", "libfoo", "1:2.3-1", "amd64", "debian", "libfoo")
    assert second == Package("deb", "libfoo", "1:2.3~rc1-1", "i386", "debian", "foo")
    assert second is not None
    assert second.purl == "pkg:deb/debian/libfoo@1:2.3~rc1-1"
    assert owners([amd64, i386], root=machine.top) == {amd64: first, i386: second}


def test_a_name_that_ends_in_another(machine: Machine) -> None:
    path = machine.write("usr/lib/libfoo.so.2")
    machine.dpkg(other="/usr/lib/xlibfoo.so.2\n/usr/lib/libfoo.so.2.1\n/usr/lib/libfoo.so.2/x\n/opt/libfoo.so.2\n")
    assert machine.owner(path) is None


def test_diversions(machine: Machine) -> None:
    taken = machine.write("usr/lib/libfoo.so.2")
    moved = machine.write("usr/lib/libfoo.so.2.orig")
    machine.dpkg(libfoo__amd64="/lib/libfoo.so.2\n", other="/usr/lib/libfoo.so.2\n")
    machine.write("var/lib/dpkg/diversions", "/usr/lib/libfoo.so.2\n/usr/lib/libfoo.so.2.orig\nother\n")
    first, second = machine.owner(taken), machine.owner(moved)
    assert first is not None
    assert first.name == "other"
    assert second is not None
    assert second.name == "libfoo"


def test_a_local_diversion_leaves_the_place_to_nobody(machine: Machine) -> None:
    taken = machine.write("usr/lib/libfoo.so.2")
    machine.dpkg(libfoo__amd64="/usr/lib/libfoo.so.2\n")
    machine.write("var/lib/dpkg/diversions", "/usr/lib/libfoo.so.2\n/usr/lib/libfoo.so.2.orig\n:\n")
    assert machine.owner(taken) is None


def test_a_link_of_update_alternatives_is_followed(machine: Machine) -> None:
    real = machine.write("usr/lib/x86_64-linux-gnu/openblas/libblas.so.3")
    link = machine.top / "usr/lib/x86_64-linux-gnu/libblas.so.3"
    (machine.top / "etc/alternatives").mkdir()
    (machine.top / "etc/alternatives/libblas").symlink_to(real)
    link.symlink_to("/etc/alternatives/libblas")
    machine.dpkg(other=real + "\n")
    found = machine.owner("/usr/lib/x86_64-linux-gnu/libblas.so.3")
    assert found is not None
    assert found.name == "other"


def test_names_that_are_no_libraries(machine: Machine) -> None:
    plugin, program = machine.write("usr/lib/plugin"), machine.write("usr/lib/a+b(c)[d].so.1")
    machine.dpkg(other=f"{plugin}\n{program}\n")
    assert set(owners([plugin, program, "relative", "/", ""], root=machine.top)) == {plugin, program}


def test_distroless(machine: Machine) -> None:
    path = machine.write("usr/lib/x86_64-linux-gnu/libbz2.so.1.0.4")
    machine.write("var/lib/dpkg/status.d/libbz2-1", STATUS.partition("\n\n")[0] + "\n")
    machine.write(
        "var/lib/dpkg/status.d/libbz2-1.md5sums",
        f"{'0' * 32}  lib/x86_64-linux-gnu/libbz2.so.1.0.4\n{'1' * 32}  usr/share/doc/libbz2-1.0/copyright\n",
    )
    assert machine.owner(path) == BZ2


def test_a_package_without_status(machine: Machine) -> None:
    path = machine.write("usr/lib/libgone.so.1")
    machine.dpkg(libgone=path + "\n")
    notes: list[str] = []
    assert owners([path], root=machine.top, notes=notes) == {}
    assert notes == ["dpkg's status has no version of libgone"]


APK = b"""\
C:Q1xx=
P:musl
V:1.2.5-r0
A:x86_64
o:musl
F:lib
R:ld-musl-x86_64.so.1
a:0:0:755
F:usr
F:usr/lib

C:Q1yy=
P:libstdc++
V:13.2.1_git20240309-r0
A:x86_64
o:gcc
F:usr/lib
R:libstdc++.so.6
R:libstdc++.so.6.0.32
Z:Q1zz=

P:toplevel
V:1-r0
F:
R:libtop.so.1

P:
F:usr/lib
R:libnameless.so.1
"""


@pytest.mark.parametrize("place", ["lib/apk/db/installed", "usr/lib/apk/db/installed"])
def test_apk(machine: Machine, place: str) -> None:
    (machine.top / "lib").unlink()
    machine.write("etc/os-release", "ID=alpine\n")
    machine.write(place, APK)
    path = machine.write("usr/lib/libstdc++.so.6.0.32")
    found = machine.owner(path)
    assert found == Package("apk", "libstdc++", "13.2.1_git20240309-r0", "x86_64", "alpine", "gcc")
    assert found is not None
    assert found.purl == "pkg:apk/alpine/libstdc%2B%2B@13.2.1_git20240309-r0"
    musl = machine.owner("/lib/ld-musl-x86_64.so.1")
    assert musl is not None
    assert musl.name == "musl"
    top = machine.owner("/libtop.so.1")
    assert top == Package("apk", "toplevel", "1-r0", None, "alpine", None)
    assert machine.owner("/usr/lib/libnot.so.1") is None
    notes: list[str] = []
    assert owners(["/usr/lib/libnameless.so.1"], root=machine.top, notes=notes) == {}
    assert notes == ["apk's database does not name the package of /usr/lib/libnameless.so.1"]


@pytest.mark.parametrize(
    ("text", "distro"),
    [
        ("ID=debian\n", "debian"),
        ('ID="opensuse-leap"\n', "opensuse-leap"),
        ("ID='Fedora'\nID_LIKE=x\n", "fedora"),
        ("VERSION_ID=3\n", "linux"),
        ("ID=a/b\n", "linux"),
        (b"\xff\xfeID=\x00", "linux"),
    ],
)
def test_distro(machine: Machine, text: str | bytes, distro: str) -> None:
    from fastwheel.deps.files import Root

    machine.write("etc/os-release", text)
    machine.write("usr/lib/os-release", "ID=wrong\n")
    assert distro_of(Root(machine.top)) == distro
    (machine.top / "etc/os-release").unlink()
    assert distro_of(Root(machine.top)) == "wrong"
    (machine.top / "usr/lib/os-release").unlink()
    assert distro_of(Root(machine.top)) == "linux"


def test_no_database(machine: Machine) -> None:
    assert machine.owner(machine.write("usr/lib/libfoo.so.1")) is None
    assert owners([], root=machine.top) == {}


def test_things_that_are_no_databases(machine: Machine) -> None:
    """A pipe must not be waited for, a folder not be read."""
    path = machine.write("usr/lib/libfoo.so.1")
    machine.dpkg(other=path + "\n")
    os.mkfifo(machine.top / "var/lib/dpkg/info/libpipe.list")
    (machine.top / "var/lib/dpkg/info/libfolder.list").mkdir()
    os.mkfifo(machine.top / "var/lib/dpkg/diversions")
    (machine.top / "var/lib/rpm").mkdir()
    os.mkfifo(machine.top / "var/lib/rpm/Packages")
    (machine.top / "lib/apk/db").mkdir(parents=True)
    os.mkfifo(machine.top / "lib/apk/db/installed")
    notes: list[str] = []
    assert set(owners([path, "/usr/lib/libbar.so.1"], root=machine.top, notes=notes)) == {path}
    assert len(notes) == 5
    assert all("not a regular file" in note for note in notes)
