"""Examples for the help of each verb: what is typed, and what for. A test parses them; no option goes without one."""

from __future__ import annotations

from typing import Final

__all__ = ["EXAMPLES"]

Example = tuple[str, str]

_COLOR: Final = "--color never"


def _limits(command: str) -> tuple[Example, ...]:
    """Wheels of strangers."""
    return (
        (f"{command} --untrusted", "a wheel of a stranger: tighter limits on what it may claim"),
        (
            f"{command} --untrusted --max-total-size 4G --max-elf-size 2G --max-ratio 500",
            "the same, some of them raised",
        ),
        (f"{command} --max-metadata-size 1M --max-members 50000 --max-needed 500", "the others"),
        (f"{command} --max-name-length 300 --max-depth 40", "of names"),
    )


def _search(command: str) -> tuple[Example, ...]:
    """Where libraries are."""
    return (
        (f"{command} --lib-path build/lib", "libraries that lie in the build's own folder"),
        (f"{command} --ldpaths /opt/sysroot/lib:/opt/sysroot/usr/lib", "libraries of another root than this machine's"),
        (f"{command} --exclude 'libcuda.so.*' --allow 'libsite.so.*'", "libraries that the target brings"),
        (f"{command} --include 'libplugin.so.1:pkg/plugins'", "a library that is loaded by name at run time"),
        (f"{command} --policy site.json", "platforms of your own"),
    )


_WHEEL: Final = "dist/pkg-1.0-cp312-cp312-linux_x86_64.whl"

#: verb ▶ (command line, what it is for)
EXAMPLES: Final[dict[str, tuple[Example, ...]]] = {
    "show": (
        (f"fastwheel show {_WHEEL}", "the tags that hold, and what is in the way of older ones"),
        (f"fastwheel show --json {_WHEEL}", "the same for programs"),
        (f"fastwheel show -v {_COLOR} {_WHEEL}", "what each platform would ask for"),
        (f"fastwheel show --disable-isa-ext-check {_WHEEL}", "a wheel for new processors only"),
        (f"fastwheel show --allow-pure-python-wheel {_WHEEL}", "also where nothing is compiled"),
        *_search(f"fastwheel show {_WHEEL}"),
        *_limits(f"fastwheel show {_WHEEL}"),
    ),
    "repair": (
        (f"fastwheel repair -w wheelhouse {_WHEEL}", "the best tag that the wheel can reach"),
        (f"fastwheel repair --plat manylinux_2_28_x86_64 --only-plat {_WHEEL}", "one tag and no better one"),
        (f"fastwheel repair --dry-run {_WHEEL}", "say what would be done"),
        (f"fastwheel repair --json -q {_WHEEL}", "what was done, for programs"),
        (
            "fastwheel repair -j 8 --cache-dir ~/.cache/fastwheel --cache-size 4G dist/*.whl",
            "work done once for many runs",
        ),
        (f"fastwheel repair --no-cache {_WHEEL}", "without the cache that a variable or a file names"),
        (f"fastwheel repair --verify full {_WHEEL}", "and prove that the outcome loads wherever its tag says"),
        (f"fastwheel repair --strip -z 9 {_WHEEL}", "a small wheel"),
        (f"fastwheel repair -L .grafts --no-update-tags {_WHEEL}", "another folder for grafts; the name stays"),
        (f"fastwheel repair --force-rpath --keep-rpath {_WHEEL}", "DT_RPATH, and the search paths that were there"),
        (f'fastwheel repair --summary "$GITHUB_STEP_SUMMARY" {_WHEEL}', "with a table on the page of the CI job"),
        (f"fastwheel repair --patcher patchelf {_WHEEL}", "accepted for auditwheel's sake"),
        (f"fastwheel repair --disable-isa-ext-check {_WHEEL}", "a wheel for new processors only"),
        (f"fastwheel repair --allow-pure-python-wheel -v {_COLOR} {_WHEEL}", "also where nothing is compiled"),
        *_search(f"fastwheel repair {_WHEEL}"),
        *_limits(f"fastwheel repair {_WHEEL}"),
    ),
    "tree": (
        (f"fastwheel tree {_WHEEL}", "who needs whom"),
        ("fastwheel tree /usr/bin/python3 --json", "an ELF file of this machine, for programs"),
        (f"fastwheel tree --format dot {_WHEEL} | dot -Tpng -o tree.png", "a picture by Graphviz"),
        (f"fastwheel tree --plat manylinux_2_28_x86_64 -v {_COLOR} {_WHEEL}", "up to what this platform has"),
        (f"fastwheel tree --allow-pure-python-wheel {_WHEEL}", "also where nothing is compiled"),
        *_search(f"fastwheel tree {_WHEEL}"),
        *_limits(f"fastwheel tree {_WHEEL}"),
    ),
    "verify": (
        ("fastwheel verify wheelhouse/*.whl", "do they load wherever their tags say?"),
        (f"fastwheel verify --plat manylinux_2_28_x86_64 {_WHEEL}", "would it load there?"),
        ("fastwheel verify --strict --ignore FV503 -q wheelhouse/*.whl", "in CI: warnings count, but this one"),
        ("fastwheel verify --provides libtorch.so wheelhouse/*.whl", "libraries that another package brings"),
        (f"fastwheel verify --json -v {_COLOR} wheelhouse/*.whl", "for programs"),
        ('fastwheel verify --summary "$GITHUB_STEP_SUMMARY" wheelhouse/*.whl', "a table on the page of the CI job"),
        ("fastwheel verify --policy site.json wheelhouse/*.whl", "platforms of your own"),
        *_limits("fastwheel verify wheelhouse/*.whl"),
    ),
    "diff": (
        (f"fastwheel diff {_WHEEL} wheelhouse/pkg.whl", "what a repair did"),
        ("fastwheel diff --contents -v old.whl new.whl", "also which bytes"),
        (f"fastwheel diff --content-only --json {_COLOR} old.whl new.whl", "for programs; the archives may differ"),
        *_limits("fastwheel diff old.whl new.whl"),
    ),
    "explain": (
        (f"fastwheel explain {_WHEEL}", "why this tag, and what keeps the next one"),
        (f"fastwheel explain --plat manylinux_2_17_x86_64 {_WHEEL}", "what keeps this one"),
        (f"fastwheel explain --json -v {_COLOR} {_WHEEL}", "for programs"),
        (f"fastwheel explain --disable-isa-ext-check {_WHEEL}", "a wheel for new processors only"),
        *_search(f"fastwheel explain {_WHEEL}"),
        *_limits(f"fastwheel explain {_WHEEL}"),
    ),
    "report": (
        (f"fastwheel report -o page.html {_WHEEL}", "one file to read and to send around"),
        (f"fastwheel report --before {_WHEEL} -q -v {_COLOR} wheelhouse/pkg.whl", "with what the repair did"),
        *_search(f"fastwheel report {_WHEEL}"),
        *_limits(f"fastwheel report {_WHEEL}"),
    ),
    "patch": (
        ("fastwheel patch --print libfoo.so", "what the dynamic section says"),
        (f"fastwheel patch --print --json -v {_COLOR} libfoo.so", "the same for programs"),
        ("fastwheel patch --set-runpath '$ORIGIN/../pkg.libs' libfoo.so", "where its libraries are"),
        ("fastwheel patch --set-rpath '$ORIGIN' -o patched.so libfoo.so", "the older entry; the input stays"),
        ("fastwheel patch --remove-rpath libfoo.so", "nowhere in particular"),
        (
            "fastwheel patch --set-soname libfoo.so.2 --add-needed libbar.so.1 libfoo.so",
            "what it is called, what it needs",
        ),
        ("fastwheel patch --replace-needed libz.so.1 libz-1a2b3c4d.so.1 libfoo.so", "another name of what it needs"),
        ("fastwheel patch --remove-needed libz.so.1 --drop-versions libfoo.so", "what it is not to need, versions too"),
    ),
    "lddtree": (
        ("fastwheel lddtree /usr/bin/python3", "what is loaded, and from where"),
        (f"fastwheel lddtree --ldpaths /opt/lib -v {_COLOR} /opt/bin/tool", "with libraries from there only"),
    ),
    "completion": (
        ('eval "$(fastwheel completion bash)"', "in ~/.bashrc"),
        ('eval "$(fastwheel completion zsh)"', "in ~/.zshrc"),
        ("fastwheel completion fish > ~/.config/fish/completions/fastwheel.fish", "once"),
        (f"fastwheel completion -v {_COLOR} bash", "to read it"),
    ),
}
