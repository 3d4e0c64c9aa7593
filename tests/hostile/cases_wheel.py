"""The wheel layer: sound archives that are no sound wheels, one change each, and odd ones that are."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from arena import INFO, INIT, NAME, Arena, Call, Case, Tools, parts_of, record_of
from zipkit import Part, assemble

__all__ = ["CASES"]

CASES: list[Case] = []
Make = Callable[[Tools], bytes]
TAG = "py3-none-linux_x86_64"
WHEEL = f"Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: false\nTag: {TAG}\n"
METADATA = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"


def add(
    name: str, rule: str, want: str | Sequence[str], make: Make, *args: str, file: str = NAME, **options: object
) -> None:
    """Keep a case that is one file named `file`; `args` are options of the command line."""

    def prepare(arena: Arena) -> Call:
        return Call(args=args, file=arena.save(make(arena.tools), file))

    wanted = (want,) if isinstance(want, str) else tuple(want)
    CASES.append(Case(f"wheel/{name}", rule, prepare, wanted, **options))  # type: ignore[arg-type]


def whole(tools: Tools, *more: Part, **changes: object) -> bytes:
    return assemble(parts_of(tools, *more, **changes))


def texts(**changes: object) -> Make:
    """A wheel whose METADATA, WHEEL or record is another; None: is missing."""
    encoded = {key: value.encode() if isinstance(value, str) else value for key, value in changes.items()}
    return lambda tools: whole(tools, **encoded)


def more(*parts: Part) -> Make:
    return lambda tools: whole(tools, *parts)


# --- .dist-info ------------------------------------------------------------------------------------------------------
def renamed(info: str) -> Make:
    return lambda tools: whole(tools, info=info)


def without_info(tools: Tools) -> bytes:
    return assemble(parts_of(tools)[:2])


for _name, _make in {
    "none": without_info, "nested": renamed("demo/demo-1.0.dist-info"), "upper-case": renamed("demo-1.0.DIST-INFO"),
    "egg-info": renamed("demo-1.0.egg-info"), "two": more(Part("other-1.0.dist-info/METADATA", METADATA.encode())),
    "two-of-one-project": more(Part("demo-2.0.dist-info/METADATA", METADATA.encode())),
    "two-spellings": more(Part("Demo-1.0.dist-info/METADATA", METADATA.encode())),
    "second-is-an-empty-folder": more(Part("o-1.dist-info/", method=0, mode=0o40755)),
    "in-data": renamed("demo-1.0.data/purelib/demo-1.0.dist-info"),
    "trailing-space": renamed("demo-1.0.dist-info "), "trailing-dot": renamed("demo-1.0.dist-info."),
}.items():  # fmt: skip
    add(f"dist-info/{_name}", "no-single-dist-info", ("FW201", "FW202"), _make)
for _info in (
    "other-1.0.dist-info", "demo-1.1.dist-info", "demo-1.0.1.dist-info", "demo.dist-info", "demo-.dist-info",
    "-1.0.dist-info", ".dist-info",
    "demo-x.dist-info", "demo-1.0-1.dist-info", "demo1.0.dist-info", "demo--1.0.dist-info", "dem\u043e-1.0.dist-info",
    "demo-1.0.post1.dist-info",
    "demo-2!1.0.dist-info", "demo-1.0+local.dist-info", "demo 1.0.dist-info", "demo_-1.0.dist-info",
):  # fmt: skip
    add(
        f"dist-info/other-{_info.encode('ascii', 'xmlcharrefreplace').decode()}",
        "other-project",
        ("FW201", "FW202"),
        renamed(_info),
    )
for _info in (
    "Demo-1.0.dist-info",
    "DEMO-1.0.dist-info",
    "demo-1.0.0.dist-info",
    "demo-1.dist-info",
    "demo-v1.0.dist-info",
    "demo-1.0.dist-info",
):
    add(f"dist-info/same-{_info}", "un-normalised-names", "ok", renamed(_info), imports=False)
for _name, _part in {
    "vendored": Part("demo/_vendor/x-1.0.dist-info/METADATA", b"Name: x\n"), "in-a-name": Part("demo/x.dist-info", b""),
    "folder-of-egg-info": Part("demo.egg-info/PKG-INFO", b""), "prefix": Part("dist-info/x", b""),
    "licenses": Part(f"{INFO}/licenses/LICENSE", b"MIT"),
    "sboms": Part(f"{INFO}/sboms/own.cdx.json", b"{}"), "direct-url": Part(f"{INFO}/direct_url.json", b"{}"),
    "entry-points": Part(f"{INFO}/entry_points.txt", b"[x"),
    "record-in-a-subfolder": Part(f"{INFO}/x/RECORD", b"../../etc,,\n"),
    "record-jws": Part(f"{INFO}/RECORD.jws", b"{}"), "record-p7s": Part(f"{INFO}/RECORD.p7s", b"\x30"),
    "editable-pth": Part("__editable__.demo-1.0.pth", b"/src/demo\n"),
    "evil-pth": Part("evil.pth", b"import os; os.system('true')\n"),
    "setup-py": Part("setup.py", b"raise SystemExit(1)\n"),
    "sitecustomize": Part("demo/sitecustomize.py", b"raise SystemExit\n"),
    "installer": Part(f"{INFO}/INSTALLER", b"pip\n"), "requested": Part(f"{INFO}/REQUESTED", b""),
    "old-json": Part(f"{INFO}/metadata.json", b"{"), "zip-safe": Part(f"{INFO}/zip-safe", b"\n"),
    "variant-json": Part(f"{INFO}/variant.json", b"{}"),
}.items():  # fmt: skip
    add(f"files/{_name}", "odd-files", "ok", more(_part), imports=_name not in ("entry-points", "installer"))
for _name in ("METADATA", "WHEEL", "RECORD"):
    _rule = {"METADATA": "metadata", "WHEEL": "wheel-file", "RECORD": "record-unreadable"}[_name]
    _code = {"METADATA": "FW203", "WHEEL": "FW204", "RECORD": "FW206"}[_name]
    add(f"{_name}/missing", _rule, _code, texts(**{"record" if _name == "RECORD" else _name: None}))
    add(
        f"{_name}/a-folder",
        _rule,
        _code,
        lambda t, n=_name: whole(
            t, Part(f"{INFO}/{n}/", method=0, mode=0o40755), **{"record" if n == "RECORD" else n: None}
        ),
    )
    add(
        f"{_name}/other-case",
        _rule,
        _code,
        lambda t, n=_name: whole(t, Part(f"{INFO}/{n.lower()}", b"x"), **{"record" if n == "RECORD" else n: None}),
    )
    for _kind, _raw in {
        "latin-1": b"\xe9\xe8",
        "utf-16": "Name: demo".encode("utf-16"),
        "binary": bytes(range(128, 256)) * 9,
        "surrogate": b"\xed\xa0\x80: x\n",
    }.items():
        add(f"{_name}/{_kind}", _rule, _code, texts(**{"record" if _name == "RECORD" else _name: _raw}))


# --- METADATA --------------------------------------------------------------------------------------------------------
for _name, _text, _want in [
    ("empty", "", "FW203"), ("blank-lines-first", "\n\n" + METADATA, "FW203"),
    ("no-name", "Metadata-Version: 2.1\nVersion: 1.0\n", "FW203"), ("no-version", "Name: demo\n", "FW203"),
    ("name-empty", "Name:\nVersion: 1.0\n", "FW203"), ("version-empty", "Name: demo\nVersion: \n", "FW203"),
    ("name-twice", METADATA + "Name: demo\n", "FW203"),
    ("version-twice", METADATA + "Version: 1.0\n", "FW203"),
    ("name-in-the-body", "Version: 1.0\n\nName: demo\n", "FW203"), ("no-colon", "Name demo\nVersion 1.0\n", "FW203"),
    ("other-name", METADATA.replace("demo", "evil"), "FW202"),
    ("other-version", METADATA.replace("1.0", "1.1"), "FW202"), ("json", '{"name": "demo"}', "FW203"),
    ("control-characters-in-name", METADATA.replace("demo", "de\x1b[2Jmo"), "FW202"),
    ("name-with-newline-escape", METADATA.replace("demo", "demo\\n"), "FW202"),
    ("html", "<html>\n", "FW203"), ("name-only-spaces", "Name:   \nVersion: 1.0\n", "FW203"),
    ("homoglyph", METADATA.replace("demo", "dem\u043e"), "FW202"),
]:  # fmt: skip
    add(f"METADATA/{_name}", "other-project" if _want == "FW202" else "metadata", _want, texts(METADATA=_text))
for _name, _text in {
    "crlf": METADATA.replace("\n", "\r\n"), "bom": "\ufeff" + METADATA,
    "bom-and-crlf": "\ufeff" + METADATA.replace("\n", "\r\n"), "other-case": METADATA.replace("Name", "NAME"),
    "name-other-case": METADATA.replace("demo", "Demo"), "no-spaces": METADATA.replace(": ", ":"),
    "many-spaces": METADATA.replace(": ", ":   \t "), "trailing-spaces": METADATA.replace("\n", "  \n"),
    "no-newline-at-end": METADATA.rstrip(), "description": METADATA + "\nName: other\nVersion: 9\n",
    "folded": METADATA + "Summary: a\n        b\n", "unknown-headers": METADATA + "X-Foo: bar\n",
    "newer": METADATA.replace("2.1", "99.9"), "no-metadata-version": METADATA.replace("Metadata-Version: 2.1\n", ""),
    "long-description": METADATA + "\n" + "word " * 200_000,
    "version-normalised": METADATA.replace("1.0", "1.0.0"), "version-v": METADATA.replace("1.0", "v1.0"),
    "utf-8": METADATA + "Author: Zoë 日本\n", "nul-in-description": METADATA + "\n\0\0\n",
    "form-feed": METADATA + "\n\x0c\n", "folded-name": "Metadata-Version: 2.1\nName:\n demo\nVersion: 1.0\n",
    "many-headers": METADATA + "Classifier: x\n" * 5000,
    "next-line-character": METADATA + "Summary: a\x85b\n",
}.items():  # fmt: skip
    add(f"METADATA/good-{_name}", "odd-metadata", "ok", texts(METADATA=_text))


# --- WHEEL -----------------------------------------------------------------------------------------------------------
for _name, _text, _want in [
    ("empty", "", "FW204"), ("no-tag", WHEEL.replace(f"Tag: {TAG}\n", ""), "FW204"),
    ("no-version", WHEEL.replace("Wheel-Version: 1.0\n", ""), "FW204"),
    ("version-2", WHEEL.replace("1.0", "2.0"), "FW205"), ("version-10", WHEEL.replace("1.0", "10.0"), "FW205"),
    ("version-999999999", WHEEL.replace("1.0", "999999999.0"), "FW205"),
    ("version-huge", WHEEL.replace("1.0", "9" * 5000 + ".0"), "FW204"),
    ("version-word", WHEEL.replace("1.0", "new"), "FW204"), ("version-one-part", WHEEL.replace("1.0", "1"), "FW204"),
    ("version-three-parts", WHEEL.replace("1.0", "1.0.0"), "FW204"),
    ("version-negative", WHEEL.replace("1.0", "-1.0"), "FW204"), ("version-empty", WHEEL.replace(" 1.0", ""), "FW204"),
    ("version-arabic-digits", WHEEL.replace("1.0", "\u0661.\u0660"), "FW204"),
    ("version-twice", "Wheel-Version: 1.0\n" + WHEEL, "FW204"),
    ("version-two-versions", "Wheel-Version: 2.0\n" + WHEEL, "FW204"),
    ("tag-word", WHEEL.replace(TAG, "any"), "FW204"), ("tag-two-parts", WHEEL.replace(TAG, "py3-none"), "FW204"),
    ("tag-four-parts", WHEEL.replace(TAG, TAG + "-x"), "FW204"),
    ("tag-empty", WHEEL.replace(TAG, ""), "FW204"), ("tag-spaces", WHEEL.replace(TAG, "py3 none any"), "FW204"),
    ("tag-traversal", WHEEL.replace(TAG, "../-none-any"), "FW204"),
    ("tag-control", WHEEL.replace(TAG, "py3-none-\x1b[2J"), "FW204"),
    ("tag-in-body", WHEEL.replace("Tag", "\nTag"), "FW204"), ("line-without-colon", WHEEL + "garbage\n", "FW204"),
    ("nul", WHEEL.replace("hand", "ha\0nd"), "FW204"),
    ("tag-bomb", WHEEL + "Tag: " + "-".join([".".join(["a"] * 3000)] * 3) + "\n", "FW204"),
    ("huge", WHEEL + "X: y\n" * 300_000, "FW204"),
    ("json", '{"Wheel-Version": "1.0"}', "FW204"), ("xml", "<?xml version='1.0'?>", "FW204"),
    ("header-name-with-space", "Wheel Version: 1.0\n" + WHEEL, "FW204"), ("starts-folded", " x\n" + WHEEL, "FW204"),
]:  # fmt: skip
    add(f"WHEEL/{_name}", "newer-wheel-version" if _want == "FW205" else "wheel-file", _want, texts(WHEEL=_text))
for _name, _text, _says in [
    ("crlf", WHEEL.replace("\n", "\r\n"), ""), ("bom", "\ufeff" + WHEEL, "byte order mark"),
    ("minor-1.9", WHEEL.replace("1.0", "1.9"), "newer"), ("version-0.1", WHEEL.replace("1.0", "0.1"), ""),
    ("purelib-true", WHEEL.replace("false", "true"), ""), ("purelib-TRUE", WHEEL.replace("false", "TRUE"), ""),
    ("purelib-missing", WHEEL.replace("Root-Is-Purelib: false\n", ""), ""),
    ("purelib-odd", WHEEL.replace("false", "maybe"), ""), ("purelib-twice", WHEEL + "Root-Is-Purelib: true\n", ""),
    ("purelib-empty", WHEEL.replace(" false", ""), ""),
    ("generator-missing", WHEEL.replace("Generator: hand\n", ""), ""),
    ("several-tags", WHEEL + "Tag: py2-none-linux_x86_64\n", "tags"), ("tag-twice", WHEEL + f"Tag: {TAG}\n", ""),
    ("tag-compressed", WHEEL.replace("py3-", "py2.py3-"), "tags"),
    ("tag-other", WHEEL.replace(TAG, "cp39-cp39-win32"), "tags"),
    ("tag-any", WHEEL.replace("linux_x86_64", "any"), "tags"),
    ("tag-manylinux", WHEEL.replace("linux_x86_64", "manylinux_2_17_x86_64"), "tags"),
    ("build", WHEEL + "Build: 7\n", "build"),
    ("unknown-headers", WHEEL + "X-Custom: value: with colons\nAnother:\n", ""),
    ("other-case", WHEEL.lower().replace("py3-none-linux", "py3-none-linux"), ""),
    ("spaces", WHEEL.replace(": ", ":\t  "), ""), ("trailing-spaces", WHEEL.replace("\n", " \t\n"), ""),
    ("no-newline-at-end", WHEEL.rstrip(), ""), ("blank-lines-at-end", WHEEL + "\n\n\n", ""),
    ("body", WHEEL + "\nsome text: here\nand no header\n", ""), ("folded", WHEEL.replace("hand", "hand\n  made"), ""),
    ("order", "\n".join(reversed(WHEEL.splitlines())) + "\n", ""),
    ("utf-8", WHEEL.replace("hand", "händ 日本"), ""),
]:  # fmt: skip
    # The reference installer wants Wheel-Version 1.
    add(f"WHEEL/good-{_name}", "odd-wheel-file", "ok", texts(WHEEL=_text), says=_says, imports=_name != "version-0.1")


# --- RECORD ----------------------------------------------------------------------------------------------------------
def rows(change: Callable[[list[str]], list[str]], *parts: Part) -> Make:
    """A wheel whose RECORD's lines are changed."""

    def make(tools: Tools) -> bytes:
        found = parts_of(tools, *parts)
        lines = found[-1].content.decode().splitlines()
        return assemble(
            [*found[:-1], replace(found[-1], content="".join(f"{line}\n" for line in change(lines)).encode())]
        )

    return make


def first(change: Callable[[list[str]], Sequence[str]]) -> Make:
    """A wheel whose RECORD's first row, that of `demo/__init__.py`, is changed: a function of its fields."""
    return rows(lambda lines: [",".join(change(lines[0].split(","))), *lines[1:]])


def without_last_newline(tools: Tools) -> bytes:
    *body, record = parts_of(tools)
    return assemble([*body, replace(record, content=record.content.rstrip())])


def digest(algorithm: str, content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.new(algorithm, content).digest()).rstrip(b"=").decode()


ZERO = base64.urlsafe_b64encode(bytes(32)).rstrip(b"=").decode()
for _name, _make in {
    "no-csv-quote": rows(lambda r: ['"demo/__init__.py,x', *r[1:]]),
    "quote-in-the-middle": rows(lambda r: ['"a"b,,', *r]), "two-fields": rows(lambda r: [*r, "demo/x.py,"]),
    "one-field": rows(lambda r: [*r, "demo/x.py"]), "four-fields": rows(lambda r: [*r, "demo/x.py,,,"]),
    "no-fields": rows(lambda r: ["garbage"]), "json": texts(record="{}\n"),
    "row-twice-differently": rows(lambda r: [*r, r[0] + "1"]), "huge": texts(record="a,,\n" * 800_000),
    "one-huge-field": texts(record="a" * 2_000_000 + ",,\n"),
    "nul": rows(lambda r: [*r, "demo/\0,,"]), "only-commas": rows(lambda r: [*r, ",,,,,,"]),
    "html": texts(record="<html>\n<body>\n"), "tabs": rows(lambda r: [line.replace(",", "\t") for line in r]),
    "semicolons": rows(lambda r: [line.replace(",", ";") for line in r]),
}.items():  # fmt: skip
    add(f"RECORD/{_name}", "record-unreadable", ("FW206", "FW207"), _make)
for _name, _path in {
    "absent": "demo/gone.py", "parent": "../evil.py", "parent-deep": "demo/../../evil.py", "absolute": "/etc/passwd",
    "backslash": "demo\\__init__.py", "drive": "C:/evil", "dot": "./demo/__init__.py",
    "double-slash": "demo//__init__.py", "empty": "", "absent-folder": "gone/", "other-case": "Demo/__init__.py",
    "absent-pyc": "demo/__pycache__/x.pyc", "control": "demo/\x1b[2J", "newline": '"demo/a\nb"',
    "scripts": "../../../bin/demo", "longest": "x" * 60_000, "decomposed": "demo/e\u0301", "space": " demo/__init__.py",
    "signature-elsewhere": "demo/RECORD.jws",
}.items():  # fmt: skip
    add(f"RECORD/lists-{_name}", "record-lists-absent", ("FW207",), rows(lambda r, p=_path: [*r, f"{p},,"]))
for _name, _hash in {
    "other": f"sha256={ZERO}", "sha512-other": "sha512=" + digest("sha512", b"other"),
    "sha384-other": "sha384=" + digest("sha384", b"other"), "padded-other": f"sha256={ZERO}=",
}.items():  # fmt: skip
    add(
        f"RECORD/hash-{_name}",
        "record-contradicts",
        ("FW208",),
        first(lambda f, h=_hash: [f[0], h, f[2]]),
        show=("ok",),
    )
for _index, _name in enumerate(("module", "elf", "metadata", "wheel")):
    add(
        f"RECORD/hash-of-{_name}-other",
        "record-contradicts",
        ("FW208",),
        rows(
            lambda r, i=_index: [
                ",".join([line.split(",")[0], f"sha256={ZERO}", line.split(",")[2]]) if n == i else line
                for n, line in enumerate(r)
            ]
        ),
        show=("ok",),
    )
for _name, _make, _says in [
    ("empty", texts(record=b"\n"), "RECORD"), ("row-missing", rows(lambda r: r[1:]), "does not list"),
    ("elf-row-missing", rows(lambda r: r[:1] + r[2:]), "does not list"),
    ("only-itself", rows(lambda r: r[-1:]), "does not list"),
    ("without-itself", rows(lambda r: r[:-1]), "does not list"),
    ("size-other", first(lambda f: [f[0], f[1], "7"]), "bytes"),
    ("size-word", first(lambda f: [f[0], f[1], "many"]), "bytes"),
    ("size-negative", first(lambda f: [f[0], f[1], "-1"]), "bytes"),
    ("size-huge", first(lambda f: [f[0], f[1], "9" * 5000]), "bytes"),
    ("size-missing", first(lambda f: [f[0], f[1], ""]), ""),
    ("size-spaces", first(lambda f: [f[0], f[1], f" {f[2]} "]), ""),
    ("size-zeros", first(lambda f: [f[0], f[1], f"000{f[2]}"]), ""),
    ("no-hash", first(lambda f: [f[0], "", f[2]]), "no hash"),
    ("md5", first(lambda f: [f[0], "md5=" + digest("md5", b"x"), f[2]]), "no valid hash"),
    ("sha1", first(lambda f: [f[0], "sha1=" + digest("sha1", b"x"), f[2]]), "no valid hash"),
    ("unknown-algorithm", first(lambda f: [f[0], "blake9=abc", f[2]]), "no valid hash"),
    ("hash-word", first(lambda f: [f[0], "sha256", f[2]]), "no valid hash"),
    ("hash-hex", first(lambda f: [f[0], "sha256=" + "0" * 64, f[2]]), "no valid hash"),
    ("hash-short", first(lambda f: [f[0], "sha256=abcd", f[2]]), "no valid hash"),
    ("hash-empty", first(lambda f: [f[0], "sha256=", f[2]]), "no valid hash"),
    ("hash-padded", first(lambda f: [f[0], f[1] + "=", f[2]]), ""),
    ("hash-non-ascii", first(lambda f: [f[0], "sha256=é", f[2]]), "no valid hash"),
    ("hash-other-alphabet", first(lambda f: [f[0], f[1].replace("-", "+").replace("_", "/"), f[2]]), ""),
    ("algorithm-upper-case", first(lambda f: [f[0], f[1].replace("sha256", "SHA256"), f[2]]), ""),
    ("repeated", rows(lambda r: [*r, r[0]]), "twice"),
    ("repeated-often", rows(lambda r: [*r, *[r[0]] * 2000]), "twice"),
    ("itself-twice", rows(lambda r: [*r, r[-1]]), "twice"),
    ("itself-with-hash", rows(lambda r: [*r[:-1], f"{INFO}/RECORD,sha256={ZERO},77"]), ""),
    ("folder", rows(lambda r: [*r, "demo/,,"]), "folder"), ("no-newline-at-end", without_last_newline, ""),
    ("crlf", rows(lambda r: [f"{line}\r" for line in r]), ""), ("blank-lines", rows(lambda r: ["", *r, "", ""]), ""),
    ("all-quoted", rows(lambda r: [",".join(f'"{f}"' for f in line.split(",")) for line in r]), ""),
    ("order", rows(lambda r: r[::-1]), ""), ("bom", rows(lambda r: ["\ufeff" + r[0], *r[1:]]), "byte order mark"),
    ("signature-rows", rows(lambda r: [*r, f"{INFO}/RECORD.jws,,", f"{INFO}/RECORD.p7s,,"]), ""),
    ("sha512", first(lambda f: [f[0], "sha512=" + digest("sha512", INIT), f[2]]), ""),
    ("sha384", first(lambda f: [f[0], "sha384=" + digest("sha384", INIT), f[2]]), ""),
]:  # fmt: skip
    add(f"RECORD/good-{_name}", "record-mended", "ok", _make, says="")
    if _says:
        # What show does not look at, it cannot say.
        CASES[-1] = replace(CASES[-1], verbs=("repair",), says=_says)
add(
    "RECORD/without-rows-of-many-files",
    "record-mended",
    "ok",
    lambda t: whole(t, *(Part(f"demo/f{i}", b"") for i in range(3000)), record=f"{INFO}/RECORD,,\n".encode()),
    imports=False,
    cpu=3,
)


# --- file names ------------------------------------------------------------------------------------------------------
GOOD = texts()
for _file in (
    "demo.whl", "demo-1.0.whl", "demo-1.0-py3-none.whl", "demo-1.0-py3-none-linux_x86_64.zip",
    "demo-1.0-py3-none-linux_x86_64.WHL", "demo-1.0-py3-none-linux_x86_64", ".whl", "-.whl", "-----.whl",
    "demo--py3-none-linux_x86_64.whl", "-1.0-py3-none-linux_x86_64.whl", "demo-1.0--none-linux_x86_64.whl",
    "demo-1.0-py3--linux_x86_64.whl", "demo-1.0-py3-none-.whl", "demo-x-py3-none-linux_x86_64.whl",
    "demo-1.0-b-py3-none-linux_x86_64.whl", "demo-1.0-1-py3-none-linux_x86_64-a-b.whl",
    "de mo-1.0-py3-none-linux_x86_64.whl", "demo-1.0-py3-none-linux x86.whl", "demo-1.0-py3-none-linux_x86_64 (1).whl",
    "demo-1.0-py3-none-linux_x86_64.whl.whl.zip", "démo-1.0-py3-none-linux_x86_64.whl",
    "demo-1.0-py3-none-linux_x86_64.whl~", "demo-1.0-py3-none-l\u0131nux_x86_64.whl",
    "demo-1.0-py3-none-linux_x86_64\n.whl",
    "demo-1.0-py3-none-..whl", "demo-1.0-py3..py2-none-linux_x86_64.whl", "demo-1.0-py3-none-linux_x86_64..whl",
    "demo-1.0.tar.gz", "demo-1.0-py3-none-linux_x86_64-.whl", "demo__x-1.0-py3-none-linux_x86_64.whl",
    "demo-1.0-py3-none-linux_x86_64;a.whl",
    "demo-1..0-py3-none-linux_x86_64.whl", "demo-1.0\x1b[2J-py3-none-linux_x86_64.whl",
    "demo-1.0-py3-none-linux-x86_64-v1-v2.whl",
):  # fmt: skip
    _id = _file.encode("ascii", "backslashreplace").decode().encode("unicode_escape").decode().replace("\n", "")
    add(f"file-name/{_id}", "file-name", ("FW200", "FW202"), GOOD, file=_file)
for _file, _wheel in {
    "demo-1.0-1-py3-none-linux_x86_64.whl": WHEEL + "Build: 1\n",
    "demo-1.0-1abc-py3-none-linux_x86_64.whl": WHEEL + "Build: 1abc\n",
    "demo-1.0-20240101.1-py3-none-linux_x86_64.whl": WHEEL + "Build: 20240101.1\n",
    "demo-1.0-py2.py3-none-linux_x86_64.whl": WHEEL + "Tag: py2-none-linux_x86_64\n",
    "Demo-1.0-py3-none-linux_x86_64.whl": WHEEL, "DEMO-1.0-py3-none-linux_x86_64.whl": WHEEL,
    "demo-1.0.0-py3-none-linux_x86_64.whl": WHEEL,
    "demo-1.0-py3-none-linux_x86_64-v3.whl": WHEEL,
    "demo-1.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl": WHEEL.replace(
        TAG, "py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64"
    ),
    "demo-1.0-py3-none-linux_x86_64.manylinux_2_5_x86_64.whl": WHEEL + "Tag: py3-none-manylinux_2_5_x86_64\n",
    "demo-1.0-cp39.cp310.cp311-abi3.none-linux_x86_64.whl": WHEEL.replace(
        TAG, "cp39.cp310.cp311-abi3.none-linux_x86_64"
    ),
}.items():  # fmt: skip
    add(f"file-name/good-{_file}", "file-names", "ok", texts(WHEEL=_wheel), file=_file, imports="v3" not in _file)
for _platform in (
    "any",
    "win_amd64",
    "macosx_11_0_arm64",
    "linux_aarch64",
    "manylinux_2_99_x86_64",
    "musllinux_1_2_x86_64",
    "android_24_arm64_v8a",
    "linux_riscv64",
    "unknown",
    "linux_x86_64.win32",
    "manylinux1_i686",
):
    add(
        f"file-name/platform-{_platform}",
        "file-names",
        ("any",),
        texts(WHEEL=WHEEL.replace("linux_x86_64", _platform)),
        file=f"demo-1.0-py3-none-{_platform}.whl",
    )


# --- layout ----------------------------------------------------------------------------------------------------------
DATA = "demo-1.0.data"
for _name, _parts, _want in [
    ("unknown-scheme", [Part(f"{DATA}/lib/a.py", b"1")], "FW210"),
    ("file-at-the-top", [Part(f"{DATA}/a.py", b"1")], "FW210"),
    ("scheme-is-a-file", [Part(f"{DATA}/purelib", b"1")], "FW210"),
    ("scheme-other-case", [Part(f"{DATA}/Purelib/x", b"1")], "FW210"),
    ("platinclude", [Part(f"{DATA}/platinclude/x.h", b"1")], "FW210"),
    ("clash-with-root", [Part(f"{DATA}/purelib/demo/__init__.py", b"1")], "FW209"),
    ("clash-of-schemes", [Part(f"{DATA}/purelib/a", b"1"), Part(f"{DATA}/platlib/a", b"2")], "FW209"),
    ("clash-with-metadata", [Part(f"{DATA}/platlib/{INFO}/METADATA", b"1")], "FW209"),
    ("clash-with-record", [Part(f"{DATA}/purelib/{INFO}/RECORD", b"1")], "FW209"),
    ("clash-with-elf", [Part(f"{DATA}/platlib/demo/_core.so", b"1")], "FW209"),
    ("clash-file-and-folder", [Part(f"{DATA}/purelib/demo", b"1")], "FW209"),
    ("clash-of-two-trees", [Part(f"{DATA}/scripts/x", b"1"), Part("other-1.0.data/scripts/x", b"2")], "FW209"),
]:  # fmt: skip
    add(f"data/{_name}", "data-folder", _want, more(*_parts))
for _name, _part, _says in [
    ("purelib", Part(f"{DATA}/purelib/other/x.py", b"1"), ""),
    ("platlib", Part(f"{DATA}/platlib/other/x.py", b"1"), ""),
    ("scripts", Part(f"{DATA}/scripts/run", b"#!python\n", mode=0o100755), ""),
    ("headers", Part(f"{DATA}/headers/x.h", b"1"), ""),
    ("data", Part(f"{DATA}/data/share/x", b"1"), ""),
    ("empty-folder", Part(f"{DATA}/scripts/", method=0, mode=0o40755), ""),
    ("several-trees", Part("other-2.data/data/x", b"1"), ""),
    ("other-tree-odd", Part("other-2.data/x", b"1"), "installers treat it differently"),
    ("named-data", Part("my.data/readme.txt", b"1"), "installers treat"),
    ("script-link-name", Part(f"{DATA}/scripts/a b", b"1"), ""),
]:  # fmt: skip
    add(
        f"data/good-{_name}",
        "data-trees",
        "ok",
        more(_part),
        says=_says,
        imports=_name not in ("several-trees", "other-tree-odd", "named-data", "script-link-name"),
    )
add("data/elf-in-purelib", "data-folder", "FW610", lambda t: whole(t, Part(f"{DATA}/purelib/x.so", t.plain)))
add("data/elf-in-platlib", "data-trees", "ok", lambda t: whole(t, Part(f"{DATA}/platlib/demo/x.so", t.plain)))
add("data/elf-in-data", "data-trees", ("any",), lambda t: whole(t, Part(f"{DATA}/data/lib/x.so", t.core)))
add("data/elf-in-scripts", "data-trees", ("any",), lambda t: whole(t, Part(f"{DATA}/scripts/x", t.core, mode=0o100755)))


# --- names that repairs use ------------------------------------------------------------------------------------------
def graft_name(tools: Tools) -> str:
    return f"demo.libs/libfwhost-{hashlib.sha256(tools.host).hexdigest()[:8]}.so.1"


add(
    "taken/graft-by-text",
    "name-taken",
    ("FW504", "FW502"),
    lambda t: whole(t, Part(graft_name(t), b"not a library")),
    show=("ok",),
)
add(
    "taken/graft-by-other-elf",
    "name-taken",
    ("FW504", "FW502"),
    lambda t: whole(t, Part(graft_name(t), t.plain)),
    show=("ok",),
)
add(
    "taken/graft-is-a-folder",
    "name-taken",
    ("FW504", "FW114"),
    lambda t: whole(t, Part(graft_name(t) + "/x", b"1")),
    show=("ok",),
)
add(
    "taken/folder-of-grafts-is-a-file",
    "name-taken",
    ("FW504", "FW114"),
    lambda t: whole(t, Part("demo.libs", b"1")),
    show=("ok",),
)
add("taken/sbom", "name-taken", "ok", lambda t: whole(t, Part(f"{INFO}/sboms/auditwheel.cdx.json", b"{}")))
add("taken/sbom-own", "name-taken", "ok", lambda t: whole(t, Part(f"{INFO}/sboms/fastwheel.cdx.json", b"{}")))
add("taken/folder-of-grafts-exists", "name-taken", "ok", lambda t: whole(t, Part("demo.libs/readme", b"1")))
add("taken/folder-of-grafts-other-case", "case-twins", "ok", lambda t: whole(t, Part("Demo.libs/readme", b"1")))


# --- not a platform wheel --------------------------------------------------------------------------------------------
def pure(tools: Tools, **changes: object) -> bytes:
    wheel = WHEEL.replace("linux_x86_64", "any").replace("false", "true").encode()
    parts = [part for part in parts_of(tools, WHEEL=wheel, record=None, **changes) if part.name != "demo/_core.so"]
    parts[0] = replace(parts[0], content=b"VALUE = 42\n")
    return assemble([*parts, Part(f"{INFO}/RECORD", record_of(parts))])


PURE = "demo-1.0-py3-none-any.whl"
add("pure/refused", "pure", "FW600", pure, file=PURE)
add("pure/allowed", "pure", "ok", pure, "--allow-pure-python-wheel", file=PURE)
add(
    "pure/bad-record",
    "record-lists-absent",
    "FW207",
    lambda t: assemble([*[p for p in parts_of(t) if p.name != "demo/_core.so"]]),
    "--allow-pure-python-wheel",
    file=PURE,
)
add(
    "pure/no-members-but-metadata",
    "pure",
    "FW600",
    lambda t: assemble(
        [*parts_of(t, record=None)[2:], Part(f"{INFO}/RECORD", record_of(parts_of(t, record=None)[2:]))]
    ),
    file=PURE,
)
add(
    "pure/libc-of-text",
    "pure",
    "FW609",
    lambda t: assemble([Part("demo/__init__.py", b""), *parts_of(t, record=None)[2:], Part(f"{INFO}/RECORD", b"")]),
)
