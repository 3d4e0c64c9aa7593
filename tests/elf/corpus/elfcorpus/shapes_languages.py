"""Shapes of other languages and C libraries: Rust, Go, musl."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .tools import SOURCES, run, tool

if TYPE_CHECKING:
    from .family import Workshop

__all__ = ["build_go", "build_loongarch", "build_musl", "build_rust"]

GO = "/usr/lib/go-1.19/bin/go"


def build_rust(workshop: Workshop) -> None:
    """Rust libraries by the toolchain's own linker and by the system's (row 14)."""
    workshop.library_for_all()
    for name, flags in {
        "default": [],
        "stripped": ["-Cstrip=symbols"],
        "bfd": ["-Clink-arg=-fuse-ld=bfd"],
        "mold": ["-Clink-arg=-fuse-ld=mold"],
        "soname": ["-Clink-arg=-Wl,-soname,librust.so.1"],
    }.items():
        target = workshop.path(f"librust-{name}.so")
        run([tool("rustc"), "--edition=2021", "--crate-type=cdylib", "-O", *flags, SOURCES / "lib.rs", "-o", target])
        workshop.add(f"rust-{name}", target)


def build_go(workshop: Workshop) -> None:
    """Go: a C library, a position-independent program, one linked by Go's own linker (row 15)."""
    workshop.library_for_all()
    source = workshop.path("go/main.go")
    source.write_bytes((SOURCES / "shared.go").read_bytes())
    plain = workshop.path("plain/main.go")
    plain.write_bytes((SOURCES / "plain.go").read_bytes())
    env = {
        "GOCACHE": str(workshop.path("gocache/x").parent),
        "GOPATH": str(workshop.path("gopath/x").parent),
        "GO111MODULE": "off",
        "GOFLAGS": "-trimpath",
        "CGO_LDFLAGS": f"-L{workshop.deps} -ldep",
        "CGO_ENABLED": "1",
    }
    library = workshop.path("libgo.so")
    run([GO, "build", "-buildmode=c-shared", "-o", library, "main.go"], cwd=source.parent, env=env)
    workshop.add("go-c-shared", library)
    program = workshop.path("program")
    run([GO, "build", "-o", program, "main.go"], cwd=source.parent, env=env)
    workshop.add("go-program", program, kind="program")
    stripped = workshop.path("program-s")
    run([GO, "build", "-ldflags=-s -w", "-o", stripped, "main.go"], cwd=source.parent, env=env)
    workshop.add("go-program-stripped", stripped, kind="program")
    pie = workshop.path("pie")
    internal = ["-buildmode=pie", "-ldflags=-linkmode=internal"]
    run([GO, "build", *internal, "-o", pie, "main.go"], cwd=plain.parent, env={**env, "CGO_ENABLED": "0"})
    workshop.add("go-pie-internal", pie, kind="program")
    import shutil

    shutil.rmtree(env["GOCACHE"])


def build_musl(workshop: Workshop) -> None:
    """Libraries and programs for musl: no symbol versions, `libc.so` needed (row 17)."""
    compiler = tool("musl-gcc", "musl-tools")
    dep = workshop.path("deps/libdep.so.1")
    run([compiler, "-shared", "-fPIC", "-O1", SOURCES / "dep.c", "-o", dep, "-Wl,-soname,libdep.so.1"])
    (workshop.deps / "libdep.so").symlink_to("libdep.so.1")
    for name, flags in {
        "default": [],
        "stripped": ["-s"],
        "sysv": ["-Wl,--hash-style=sysv"],
        "noseparate": ["-Wl,-z,noseparate-code"],
        "gold": ["-fuse-ld=gold"],
        "lld": ["-fuse-ld=lld"],
        "mold": ["-fuse-ld=mold"],
    }.items():
        target = workshop.path(f"musl-{name}.so")
        # TLS descriptors and IFUNC aside, the source is the one that glibc gets.
        run(
            [
                compiler,
                "-shared",
                "-fPIC",
                "-O1",
                SOURCES / "lib.c",
                "-o",
                target,
                *flags,
                f"-Wl,-soname,libmusl{name}.so.1",
                f"-L{workshop.deps}",
                "-ldep",
                "-lm",
            ]
        )
        workshop.add(f"musl-{name}", target)
        if name in {"default", "noseparate"}:
            program = workshop.path(f"musl-program-{name}")
            run(
                [
                    compiler,
                    "-fPIE",
                    "-pie",
                    "-O1",
                    SOURCES / "main.c",
                    SOURCES / "lib.c",
                    "-o",
                    program,
                    *flags,
                    f"-L{workshop.deps}",
                    "-ldep",
                    "-lm",
                ]
            )
            workshop.add(f"musl-program-{name}", program, kind="program")


def build_loongarch(workshop: Workshop) -> None:
    """loongarch64: rustc's code generator and linker, no library to run it with (row 18)."""
    linker = next(Path(run([tool("rustc"), "--print", "sysroot"]).stdout.decode().strip()).glob("**/bin/rust-lld"))
    env = {"RUSTC_BOOTSTRAP": "1"}
    for source in ("nocore", "nocore_dep"):
        target = workshop.path(f"{source}.o")
        run(
            [
                tool("rustc"),
                "--edition=2021",
                "--crate-type=lib",
                "--emit=obj",
                "--target=loongarch64-unknown-linux-gnu",
                "-Crelocation-model=pic",
                "-Cpanic=abort",
                SOURCES / f"{source}.rs",
                "-o",
                target,
            ],
            env=env,
        )
    dep = workshop.path("deps/libdep.so.1")
    lld = [linker, "-flavor", "gnu", "-shared", "-m", "elf64loongarch"]
    run(
        [
            *lld,
            workshop.root / "nocore_dep.o",
            "-soname",
            "libdep.so.1",
            "-o",
            dep,
            f"--version-script={SOURCES / 'dep.map'}",
            "--undefined-version",
        ]
    )
    for name, flags in {"default": [], "64k": ["-z", "max-page-size=65536"], "stripped": ["-s"]}.items():
        target = workshop.path(f"loong-{name}.so")
        run([*lld, workshop.root / "nocore.o", "-soname", f"libloong{name}.so.1", *flags, dep, "-o", target])
        workshop.add(f"loongarch64-{name}", target, kind="static", probe=False)
