"""Wheels that are broken on purpose, each in one way: the right finding, the right file, the right reason."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from verify_kit import ALPHA, BETA, EXT, Kit

import fastwheel
from fastwheel._verify.model import FINDINGS

Way = Callable[[Kit], None]
WAYS: dict[str, tuple[Way, str, str, str | None, str]] = {}


def way(code: str, level: str, member: str | None, reason: str) -> Callable[[Way], Way]:
    """Register a way to break the good wheel, and what has to be found then."""

    def register(function: Way) -> Way:
        WAYS[function.__name__] = (function, code, level, member, reason)
        return function

    return register


# The loader


@way("FV301", "error", ALPHA, "libbeta-22222222.so.2, which is neither found nor promised")
def library_removed(kit: Kit) -> None:
    kit.build()
    del kit.files[BETA]
    kit.complete = True


@way("FV301", "error", EXT, "libalpha-99999999.so.1, which is neither found")
def soname_changed(kit: Kit) -> None:
    kit.files[BETA], _ = kit.beta(), kit.alpha(soname="libalpha-99999999.so.1")
    kit.files[EXT] = kit.ext()


@way("FV302", "error", EXT, "version ALPHA_0 of libalpha-11111111.so.1")
def version_renamed(kit: Kit) -> None:
    kit.files[BETA], _ = kit.beta(), kit.alpha(version="ALPHA_0")
    kit.files[EXT] = kit.ext()
    kit.files[ALPHA] = kit.alpha()


@way("FV303", "error", EXT, "alpha_call in version ALPHA_1")
def symbol_dropped(kit: Kit) -> None:
    kit.build()
    kit.files[ALPHA] = kit.alpha(globals_="alpha_call_more;")


@way("FV303", "error", ALPHA, "beta_call")
def symbol_of_a_graft_dropped(kit: Kit) -> None:
    kit.build()
    kit.files[BETA] = kit.beta(globals_="beta_more;")


@way("FV303", "error", EXT, "nowhere_at_all")
def symbol_of_nobody(kit: Kit) -> None:
    kit.files[BETA], kit.files[ALPHA] = kit.beta(), kit.alpha()
    kit.files[EXT] = kit.ext(before="int nowhere_at_all(void);", body="nowhere_at_all();")


@way("FV301", "error", EXT, "libalpha-11111111.so.1, which is neither found")
def search_path_cut(kit: Kit) -> None:
    kit.files[BETA], kit.files[ALPHA] = kit.beta(), kit.alpha()
    kit.files[EXT] = kit.ext(runpath=None)


@way("FV301", "error", ALPHA, "libbeta-22222222.so.2, which is neither found")
def search_path_of_a_graft_is_not_inherited(kit: Kit) -> None:
    kit.files[BETA] = kit.beta()
    kit.files[ALPHA] = kit.alpha(runpath=None)


@way("FV301", "error", EXT, "libstray.so.9")
def library_that_no_policy_promises(kit: Kit) -> None:
    kit.files[BETA], kit.files[ALPHA] = kit.beta(), kit.alpha()
    kit.compile("libstray.so.9", "int stray(void) { return 1; }", "-Wl,-soname,libstray.so.9")
    kit.files[EXT] = kit.ext("-Wl,--no-as-needed", "-l:libstray.so.9")


@way("FV301", "error", ALPHA, "pkg.libs/libbeta-22222222.so.2: aarch64 architecture")
def graft_of_another_machine(kit: Kit) -> None:
    kit.build()
    kit.files[BETA] = for_aarch64(kit.files[BETA])


@way("FV302", "error", EXT, "asks libalpha-11111111.so.1 for versions")
def version_asked_of_a_library_that_is_not_needed(kit: Kit) -> None:
    kit.build()
    kit.files[EXT] = renamed_needed(kit.files[EXT], b"libalpha-11111111.so.1", b"libbeta-22222222.so.2")


@way("FV305", "error", EXT, "position-independent program")
def module_linked_as_a_program(kit: Kit) -> None:
    kit.files[BETA], kit.files[ALPHA] = kit.beta(), kit.alpha()
    flags = ("-rdynamic", "-nostartfiles", "-Wl,--unresolved-symbols=ignore-all")
    kit.files[EXT] = kit.ext(*flags, kind=("-pie", "-fPIE"))


@way("FV306", "warning", EXT, "static thread-local memory")
def thread_local_memory_of_the_initial_kind(kit: Kit) -> None:
    kit.files[BETA], kit.files[ALPHA] = kit.beta(), kit.alpha()
    before = '__thread char large[1200] __attribute__((tls_model("initial-exec")));'
    kit.files[EXT] = kit.ext(before=before, body="large[7] = 1;")


@way("FV304", "warning", "pkg/tool", "calls absent_call")
def function_that_a_program_misses(kit: Kit) -> None:
    name = "-Wl,-soname,libstub.so.1"
    kit.compile("libstub.so.1", "int absent_call(void) { return 1; } int stub;", name)
    source = "int absent_call(void); int main(void) { return absent_call(); }"
    flags = ("-Wl,-z,lazy", "-nostartfiles", "-Wl,-e,main", "-l:libstub.so.1", "-Wl,-rpath,$ORIGIN")
    kit.files["pkg/tool"] = kit.compile("tool", source, *flags, kind=("-no-pie", "-fno-pie"))
    kit.files["pkg/libstub.so.1"] = kit.compile("libstub.so.1", "int stub;", name)


@way("FV307", "warning", "pkg/a/libtwin.so.1", "2 files have the soname libtwin.so.1")
def one_soname_for_two_libraries(kit: Kit) -> None:
    for folder, value in (("b", 2), ("a", 1)):
        source = f"int twin(void) {{ return {value}; }}"
        kit.files[f"pkg/{folder}/libtwin.so.1"] = kit.compile("libtwin.so.1", source, "-Wl,-soname,libtwin.so.1")
    user(kit, "$ORIGIN/a")


@way("FV307", "note", "pkg/libtwin.so.1", "2 files have the soname libtwin.so.1")
def copies_instead_of_symbolic_links(kit: Kit) -> None:
    twin = kit.compile("libtwin.so.1", "int twin(void) { return 1; }", "-Wl,-soname,libtwin.so.1")
    kit.files["pkg/libtwin.so.1"] = kit.files["pkg/libtwin.so.1.0.0"] = twin
    user(kit, "$ORIGIN")


@way("FV308", "warning", EXT, "libalpha-11111111.so.1 defines none")
def library_without_versions(kit: Kit) -> None:
    kit.build()
    source = "int beta_call(void); int alpha_call(void) { return beta_call(); }"
    flags = ("-Wl,-soname,libalpha-11111111.so.1", "-l:libbeta-22222222.so.2", "-Wl,-rpath,$ORIGIN")
    kit.files[ALPHA] = kit.compile("plain", source, *flags)


@way("FV301", "warning", "pkg/plugins/plugin.so", f"it loads only once {ALPHA} is loaded, as {EXT} does")
def plugin_that_finds_its_library_only_if_it_is_loaded(kit: Kit) -> None:
    kit.files[BETA], kit.files[ALPHA] = kit.beta(), kit.alpha()
    source = "int alpha_call(void); int plug(void) { return alpha_call(); }"
    kit.files["pkg/plugins/plugin.so"] = kit.compile("plugin.so", source, "-l:libalpha-11111111.so.1")


@way("FV301", "error", "pkg/plugins/plugin.so", "libfar.so.1, which is neither found")
def library_in_reach_of_nobody(kit: Kit) -> None:
    """As ctypes would load it: no module loads the other one before."""
    kit.files["pkg/far/libfar.so.1"] = kit.compile(
        "libfar.so.1", "int far(void) { return 1; }", "-Wl,-soname,libfar.so.1"
    )
    source = "int far(void); int plug(void) { return far(); }"
    kit.files["pkg/plugins/plugin.so"] = kit.compile("plugin.so", source, "-l:libfar.so.1")


@way("FV301", "error", "pkg/plugins/plugin.so", "libgone.so.1, which is neither found")
def plugin_whose_library_is_nowhere(kit: Kit) -> None:
    kit.compile("libgone.so.1", "int gone_call(void) { return 1; }", "-Wl,-soname,libgone.so.1")
    source = "int gone_call(void); int plug(void) { return gone_call(); }"
    kit.files["pkg/plugins/plugin.so"] = kit.compile("plugin.so", source, "-l:libgone.so.1")


# Tags


@way("FV205", "error", None, "GLIBC_2.34 of libc.so.6 is too recent")
def tag_too_old(kit: Kit) -> None:
    kit.files[BETA], kit.files[ALPHA] = kit.beta(), kit.alpha()
    kit.files[EXT] = kit.ext(
        before="int pthread_create(void *, void *, void *, void *);", body="pthread_create(0, 0, 0, 0);"
    )


@way("FV205", "error", None, "GLIBC_ABI_DT_RELR of libc.so.6 is too recent")
def packed_relocations(kit: Kit) -> None:
    kit.files[BETA], kit.files[ALPHA] = kit.beta(), kit.alpha()
    before = "int a, *pa = &a, *pb = &a; int puts(const char *);"
    kit.files[EXT] = kit.ext("-Wl,-z,pack-relative-relocs", before=before, body='puts("");')


@way("FV305", "error", EXT, "DT_RELR")
def packed_relocations_without_a_word(kit: Kit) -> None:
    kit.files[BETA], kit.files[ALPHA] = kit.beta(), kit.alpha()
    kit.files[EXT] = kit.ext("-nostdlib", "-Wl,-z,pack-relative-relocs", before="static int a; int *pa = &a, *pb = &a;")


@way("FV205", "error", None, "forbidden symbols of libz.so.1: uncompress2")
def forbidden_symbol(kit: Kit) -> None:
    kit.files[BETA], kit.files[ALPHA] = kit.beta(), kit.alpha()
    kit.compile("libz.so.1", "int uncompress2(void) { return 1; }", "-Wl,-soname,libz.so.1")
    kit.files[EXT] = kit.ext("-l:libz.so.1", before="int uncompress2(void);", body="uncompress2();")


@way("FV201", "error", "pkg-1.0.dist-info/WHEEL", "not those of the file name")
def tag_in_wheel_differs(kit: Kit) -> None:
    kit.wheel_tag = "cp311-cp311-linux_x86_64"


@way("FV202", "error", "pkg-1.0.dist-info/WHEEL", "build tag in WHEEL is 3")
def build_tag_differs(kit: Kit) -> None:
    kit.info = "Build: 3\n"


@way("FV203", "error", "pkg-1.0.dist-info/WHEEL", "Root-Is-Purelib: true")
def root_is_purelib(kit: Kit) -> None:
    kit.purelib = "true"


@way("FV204", "warning", None, "manylinux_9_99_x86_64")
def unknown_platform(kit: Kit) -> None:
    kit.tag = "cp311-cp311-manylinux_9_99_x86_64"


@way("FV207", "warning", None, "linux_x86_64 says nothing")
def linux_tag(kit: Kit) -> None:
    kit.tag = "cp311-cp311-linux_x86_64"


@way("FV208", "error", EXT, "the platform tag is any")
def compiled_code_in_a_pure_wheel(kit: Kit) -> None:
    kit.tag = "py3-none-any"


@way("FV209", "error", None, "holds no ELF file for it")
def platform_wheel_for_another_machine(kit: Kit) -> None:
    kit.build()
    kit.files = {name: for_aarch64(data) if b"\x7fELF" in data else data for name, data in kit.files.items()}


@way("FV404", "error", "pkg/other.cpython-311-x86_64-linux-gnu.so", "aarch64")
def module_for_another_machine(kit: Kit) -> None:
    kit.build()
    kit.files["pkg/other.cpython-311-x86_64-linux-gnu.so"] = for_aarch64(kit.files[EXT])


@way("FV405", "error", EXT, "x86-64-v3")
def instruction_set_beyond_the_baseline(kit: Kit) -> None:
    kit.files[BETA], kit.files[ALPHA] = kit.beta(), kit.alpha()
    kit.files[EXT] = kit.ext("-Wl,-z,x86-64-v3")


# ELF files


@way("FV401", "warning", EXT, "leaves the installed tree")
def absolute_search_path(kit: Kit) -> None:
    kit.files[BETA], kit.files[ALPHA] = kit.beta(), kit.alpha()
    kit.files[EXT] = kit.ext(runpath="$ORIGIN/../pkg.libs:/usr/local/lib")


@way("FV401", "warning", EXT, "leaves the installed tree")
def search_path_that_leaves_the_tree(kit: Kit) -> None:
    kit.files[BETA], kit.files[ALPHA] = kit.beta(), kit.alpha()
    kit.files[EXT] = kit.ext(runpath="$ORIGIN/../pkg.libs:$ORIGIN/../../../lib")


@way("FV402", "warning", "pkg/text.so", "text relocations")
def text_relocations(kit: Kit) -> None:
    source = '.text\n.globl f\n.type f,@function\nf: ret\n.quad f\n.section .note.GNU-stack,"",@progbits\n'
    kit.files["pkg/text.so"] = kit.assemble("text.so", source, "-Wl,-z,notext")


@way("FV403", "error", EXT, "glibc 2.41 refuses to load it")
def executable_stack(kit: Kit) -> None:
    kit.files[BETA], kit.files[ALPHA] = kit.beta(), kit.alpha()
    kit.files[EXT] = kit.ext("-Wl,-z,execstack")


@way("FV403", "error", EXT, "has no PT_GNU_STACK")
def no_word_on_the_stack(kit: Kit) -> None:
    kit.build()
    kit.files[EXT] = without_segment(kit.files[EXT], 0x6474E551)


@way("FV406", "warning", EXT, "kernels with pages of 64 KiB")
def pages_of_four_kilobytes(kit: Kit) -> None:
    kit.build()
    kit.tag = "cp311-cp311-manylinux_2_17_aarch64"
    kit.files = {path: for_aarch64(data) if data[:4] == b"\x7fELF" else data for path, data in kit.files.items()}


# Grafts


@way("FV501", "warning", "pkg.libs/libgamma-33333333.so.1", "nothing in the wheel needs")
def graft_unneeded(kit: Kit) -> None:
    flags = "-Wl,-soname,libgamma-33333333.so.1"
    kit.files["pkg.libs/libgamma-33333333.so.1"] = kit.compile("gamma", "int gamma_call(void) { return 1; }", flags)
    kit.files["pkg-1.0.dist-info/licenses/GAMMA"] = b"libgamma"


@way("FV502", "warning", "pkg.libs/libbeta-22222222.so.2", "are the same library")
def graft_twice(kit: Kit) -> None:
    kit.build()
    kit.files["pkg.libs/copy/libbeta-22222222.so.2"] = kit.files[BETA]


@way("FV502", "warning", "pkg.libs/libbeta-22222222.so.2", "all call themselves libbeta-22222222.so.2")
def soname_twice(kit: Kit) -> None:
    kit.build()
    kit.files["pkg/libbeta.so"] = kit.beta(before="int other;")


@way("FV503", "warning", ALPHA, "no license file of the wheel mentions")
def license_missing(kit: Kit) -> None:
    kit.licensed = False


@way("FV504", "warning", BETA, "needs libX11.so.6 of the target")
def system_library_for_a_graft_only(kit: Kit) -> None:
    kit.compile("libX11.so.6", "int XInitThreads(void) { return 1; }", "-Wl,-soname,libX11.so.6")
    kit.files[BETA] = kit.beta("-Wl,--no-as-needed", "-l:libX11.so.6")


@way("FV505", "warning", "pkg.libs/libgio-2-44444444.0.so.0", "libglib-2.0.so.0 from the target")
def half_a_family(kit: Kit) -> None:
    kit.compile("libglib-2.0.so.0", "int g_free(void) { return 1; }", "-Wl,-soname,libglib-2.0.so.0")
    half(kit, "pkg.libs/libgio-2-44444444.0.so.0", "libglib-2.0.so.0")


@way("FV505", "warning", "pkg.libs/libxcb-44444444.so.1", "libX11.so.6 from the target")
def xcb_without_xlib(kit: Kit) -> None:
    kit.compile("libX11.so.6", "int XInitThreads(void) { return 1; }", "-Wl,-soname,libX11.so.6")
    half(kit, "pkg.libs/libxcb-44444444.so.1", "libX11.so.6")


@way("FV506", "warning", BETA, "places of the build machine")
def compiled_in_places(kit: Kit) -> None:
    kit.files[BETA] = kit.beta(before='const char *place = "/opt/beta/share/beta-2/tables";')


@way("FV507", "note", BETA, "calls itself libbeta.so.2")
def soname_is_not_the_file_name(kit: Kit) -> None:
    kit.build()
    kit.files[BETA] = kit.beta(soname="libbeta.so.2")


# Python


@way("FV601", "error", EXT, "libpython3.11.so.1.0")
def libpython_needed(kit: Kit) -> None:
    kit.files[BETA], kit.files[ALPHA] = kit.beta(), kit.alpha()
    kit.compile("libpython3.11.so.1.0", "int x;", "-Wl,-soname,libpython3.11.so.1.0")
    kit.files[EXT] = kit.ext("-Wl,--no-as-needed", "-l:libpython3.11.so.1.0")


@way("FV602", "error", "pkg/_ext.abi3.so", "newer Pythons than 3.8")
def abi3_symbol_too_new(kit: Kit) -> None:
    limited(kit, "PyType_GetModule")


@way("FV603", "error", "pkg/_ext.abi3.so", "not in the stable ABI")
def private_symbol_of_python(kit: Kit) -> None:
    limited(kit, "_PyUnicode_Ready")


@way("FV604", "warning", EXT, "exports no PyInit__ext")
def init_function_missing(kit: Kit) -> None:
    kit.files[BETA], kit.files[ALPHA] = kit.beta(), kit.alpha()
    kit.files[EXT] = kit.ext(init="PyInit_other")


@way("FV605", "warning", "pkg/_ext.cpython-312-x86_64-linux-gnu.so", "only CPython 3.12 imports")
def module_for_another_python(kit: Kit) -> None:
    kit.build()
    kit.files["pkg/_ext.cpython-312-x86_64-linux-gnu.so"] = kit.files.pop(EXT)
    kit.complete = True


@way("FV605", "error", EXT, "the ABI tag abi3 promises all")
def module_for_one_python_in_an_abi3_wheel(kit: Kit) -> None:
    kit.tag = "cp311-abi3-manylinux_2_17_x86_64"


@way("FV606", "error", EXT, "PyDict_GetItemRef, which cp311 does not have")
def symbol_of_a_newer_python(kit: Kit) -> None:
    kit.files[BETA], kit.files[ALPHA] = kit.beta(), kit.alpha()
    kit.files[EXT] = kit.ext(before="int PyDict_GetItemRef(void *);", body="PyDict_GetItemRef(0);")


# The archive


@way("FV101", "warning", None, "differ only by case")
def names_that_differ_by_case(kit: Kit) -> None:
    kit.files["pkg/Data.txt"] = kit.files["pkg/data.txt"] = b""


@way("FV103", "error", None, "COPYING, which the wheel lacks")
def license_file_promised(kit: Kit) -> None:
    kit.metadata = "License-File: COPYING\n"


@way("FV104", "warning", None, "not spelled like the file name")
def dist_info_spelled_otherwise(kit: Kit) -> None:
    kit.dist_info = "PKG-1.0.dist-info"


@way("FV110", "error", EXT, "RECORD does not list")
def record_row_missing(kit: Kit) -> None:
    kit.record[EXT] = None


@way("FV111", "error", "pkg/__init__.py", "does not match its hash")
def record_hash_wrong(kit: Kit) -> None:
    kit.record["pkg/__init__.py"] = "pkg/__init__.py,sha256=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA,0"


@way("FV112", "error", "pkg/__init__.py", "has 7 bytes, it has 0")
def record_size_wrong(kit: Kit) -> None:
    kit.record["pkg/__init__.py"] = "pkg/__init__.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,7"


@way("FV113", "error", "pkg/__init__.py", "no hash")
def record_hash_missing(kit: Kit) -> None:
    kit.record["pkg/__init__.py"] = "pkg/__init__.py,,0"


@way("FV114", "error", "pkg/__init__.py", "md5")
def record_hash_weak(kit: Kit) -> None:
    kit.record["pkg/__init__.py"] = "pkg/__init__.py,md5=1B2M2Y8AsgTpgAmY7PhCfg,0"


@way("FV115", "warning", "pkg/__init__.py", "twice")
def record_row_twice(kit: Kit) -> None:
    kit.extra_rows = ["pkg/__init__.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0"]


@pytest.mark.parametrize("name", WAYS)
def test_the_right_finding(kit: Kit, name: str) -> None:
    apply, code, level, member, reason = WAYS[name]
    apply(kit)
    wheel = kit.build().pack()
    verified = fastwheel.verify(wheel)
    told = [(item.code, item.level, item.member, item.message, *item.details) for item in verified.findings]
    matching = [
        item
        for item in verified.findings
        if (item.code, item.level, item.member) == (code, level, member)
        and any(reason in line for line in (item.message, *item.details))
    ]
    assert len(matching) == 1, told
    # One cause, one error: what follows from it is not told as a fault of its own.
    allowed = {code, *CONSEQUENCES.get(name, ())}
    assert {item.code for item in verified.at("error")} <= allowed, told
    assert verified.proved is (level != "error")
    assert fastwheel.verify(wheel, ignore=sorted(allowed)).proved
    assert fastwheel.verify(wheel, strict=True).proved is not any(i.level != "note" for i in verified.findings)


#: Ways whose errors have more than one code, because two promises are broken at once.
CONSEQUENCES = {
    "soname_changed": {"FV301"},
    "version_asked_of_a_library_that_is_not_needed": {"FV303"},
    "private_symbol_of_python": {"FV605"},
}


def test_ways_enough() -> None:
    assert len(WAYS) >= 45
    assert {code for _, code, *_ in WAYS.values()} >= set(FINDINGS) - {
        "FV102", "FV116", "FV206", "FV309",
    }  # fmt: skip


# -- helpers -------------------------------------------------------------------------------------------------------


def for_aarch64(data: bytes) -> bytes:
    """The same file with another e_machine."""
    return data[:18] + (183).to_bytes(2, "little") + data[20:]


def renamed_needed(data: bytes, old: bytes, new: bytes) -> bytes:
    """Let DT_NEEDED name `new`, whose string the file has to hold, while the version need keeps asking `old`."""
    from fastwheel import elf

    with_both = elf.edit(data, elf.Edit(add_needed=(new.decode(),)))
    return elf_without_needed(with_both, old)


def elf_without_needed(data: bytes, name: bytes) -> bytes:
    """Turn the DT_NEEDED entry of `name` into an entry that loaders skip."""
    (offset,) = struct.unpack_from("<Q", data, 32)
    count = struct.unpack_from("<H", data, 56)[0]
    headers = [struct.unpack_from("<IIQQQQQQ", data, offset + 56 * i) for i in range(count)]
    dynamic = next(h for h in headers if h[0] == 2)
    loads = [h for h in headers if h[0] == 1]
    entries = [struct.unpack_from("<QQ", data, dynamic[2] + 16 * i) for i in range(dynamic[5] // 16)]
    strtab = next(value for tag, value in entries if tag == 5)
    base = next(h[2] + strtab - h[3] for h in loads if h[3] <= strtab < h[3] + h[5])
    changed = bytearray(data)
    for index, (tag, value) in enumerate(entries):
        if tag == 1 and data[base + value : data.index(b"\0", base + value)] == name:
            struct.pack_into("<QQ", changed, dynamic[2] + 16 * index, 0x6FFFFEF0, 0)
    return bytes(changed)


def without_segment(data: bytes, kind: int) -> bytes:
    """Turn the program headers of a type into PT_NULL."""
    (offset,) = struct.unpack_from("<Q", data, 32)
    changed = bytearray(data)
    for index in range(struct.unpack_from("<H", data, 56)[0]):
        if struct.unpack_from("<I", data, offset + 56 * index)[0] == kind:
            struct.pack_into("<I", changed, offset + 56 * index, 0)
    return bytes(changed)


def limited(kit: Kit, symbol: str) -> None:
    """An abi3 wheel for 3.8 whose module calls one function more."""
    kit.tag = "cp38-abi3-manylinux2014_x86_64.manylinux_2_17_x86_64"
    kit.files[BETA], kit.files[ALPHA] = kit.beta(), kit.alpha()
    kit.complete = True
    before, name = f"int {symbol}(void *);", "pkg/_ext.abi3.so"
    kit.files[name] = kit.ext(before=before, body=f"{symbol}(0);", name=name)


def user(kit: Kit, runpath: str) -> None:
    """A library that needs libtwin."""
    source = "int twin(void); int use(void) { return twin(); }"
    kit.files["pkg/libuse.so"] = kit.compile("libuse.so", source, "-l:libtwin.so.1", f"-Wl,-rpath,{runpath}")


def half(kit: Kit, member: str, needed: str) -> None:
    """A graft of a family of which the wheel's libbeta takes another part from the target."""
    name = member.rpartition("/")[2]
    kit.files[member] = kit.compile(name, "int half_call(void) { return 1; }", f"-Wl,-soname,{name}")
    kit.files[BETA] = kit.beta("-Wl,--no-as-needed", f"-l:{needed}", f"-l:{name}", "-Wl,-rpath,$ORIGIN")
