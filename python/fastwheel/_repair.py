"""Plan ▶ output wheel, atomically: written once beside its final place, proved, then renamed.

>>> import fastwheel
>>> done = fastwheel.repair("pkg-1.0-cp312-cp312-linux_x86_64.whl", "wheelhouse")  # doctest: +SKIP
>>> done.path.name, [graft.name for graft in done.plan.grafts]  # doctest: +SKIP
('pkg-1.0-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl', ['libfoo-01234567.so.3.0.1'])
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypedDict

from fastwheel.errors import FastwheelError, escape
from fastwheel.job import Job
from fastwheel.named import NamedTuple
from fastwheel.plan import PlanOptions
from fastwheel.repaired import Repaired
from fastwheel.verdict import Options
from fastwheel.wheel.wheel import Wheel
from fastwheel.workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence
    from concurrent.futures import Executor

    from typing_extensions import Unpack

    from fastwheel.wheel.limits import Limits

__all__ = ["CACHE_SIZE", "RepairOptions", "Repaired", "repair", "repair_each", "repair_many"]


#: How large the folder of finished grafts may get by default, bytes.
CACHE_SIZE: Final = 2 << 30


class RepairOptions(TypedDict, total=False):
    """The keyword arguments of `repair`, which describes them."""

    plat: str
    only_plat: bool
    update_tags: bool
    lib_sdir: str
    level: int
    force_rpath: bool
    keep_rpath: bool
    strip: bool
    dry_run: bool
    isa_check: bool
    allow_pure: bool
    exclude: Sequence[str]
    allow: Sequence[str]
    policy_file: str | os.PathLike[str] | None
    include: Sequence[str]
    ldpaths: str | None
    lib_paths: Sequence[str]
    environ: Mapping[str, str] | None
    limits: Limits | None
    jobs: int
    cache_dir: str | os.PathLike[str] | None
    cache_size: int
    verify: Literal["basic", "full"]


def repair(
    path: str | os.PathLike[str],
    out_dir: str | os.PathLike[str] = "wheelhouse",
    *,
    plat: str = "auto",
    only_plat: bool = False,
    update_tags: bool = True,
    lib_sdir: str = ".libs",
    level: int = 6,
    force_rpath: bool = False,
    keep_rpath: bool = False,
    strip: bool = False,
    dry_run: bool = False,
    isa_check: bool = True,
    allow_pure: bool = False,
    exclude: Sequence[str] = (),
    allow: Sequence[str] = (),
    policy_file: str | os.PathLike[str] | None = None,
    include: Sequence[str] = (),
    ldpaths: str | None = None,
    lib_paths: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    limits: Limits | None = None,
    jobs: int = 0,
    cache_dir: str | os.PathLike[str] | None = None,
    cache_size: int = CACHE_SIZE,
    verify: Literal["basic", "full"] = "basic",
) -> Repaired:
    """Repair the wheel at `path` into the folder `out_dir`, which is made if need be.

    The output appears under its name only once it is whole and proved; on any error nothing is left behind, and the
    input is never changed. A wheel that needs nothing is copied byte for byte.

    Args:
        path: the wheel.
        out_dir: where the output goes.
        plat: "auto", or the platform tag to reach.
        only_plat: do not add a better tag than `plat`.
        update_tags: whether to change the file name and WHEEL.
        lib_sdir: the folder of grafts is the project's name with this behind it.
        level: of deflate, 0 to 9.
        force_rpath: write DT_RPATH instead of DT_RUNPATH.
        keep_rpath: keep search path entries that lead out of the installed tree.
        strip: drop symbol tables and debugging sections from grafts and from the wheel's own ELF files.
        dry_run: decide everything, write nothing.
        isa_check: whether instruction sets beyond the baseline count.
        allow_pure: copy a wheel without compiled code instead of refusing it.
        exclude: glob patterns of sonames or real paths that are never grafted.
        allow: glob patterns of sonames that the target provides.
        policy_file: a file with more policies (docs/policies.md).
        include: files to take along although no DT_NEEDED names them (docs/repair.md).
        ldpaths: folders that replace ld.so.conf and LD_LIBRARY_PATH.
        lib_paths: folders that are searched before all others.
        environ: the environment to read SOURCE_DATE_EPOCH, LD_LIBRARY_PATH and its kin from; None is this process's.
        limits: bounds on what an archive may claim.
        jobs: threads; 0 is one per processor. The output is the same whatever their number.
        cache_dir: a folder that keeps finished grafts for later calls (docs/repair.md); None keeps none.
        cache_size: how large that folder may get, bytes.
        verify: how the output is proved before it appears: "basic", or "full" for all that `fastwheel.verify` knows;
            an error that the input does not have is FW613 then.

    Raises:
        FastwheelError: the wheel cannot be repaired; `code` says why (`docs/errors.md`).
    """
    call = _Call(
        Path(out_dir),
        plat=plat,
        only_plat=only_plat,
        update_tags=update_tags,
        lib_sdir=lib_sdir,
        level=level,
        force_rpath=force_rpath,
        keep_rpath=keep_rpath,
        strip=strip,
        dry_run=dry_run,
        isa_check=isa_check,
        allow_pure=allow_pure,
        exclude=exclude,
        allow=allow,
        policy_file=policy_file,
        include=include,
        ldpaths=ldpaths,
        lib_paths=lib_paths,
        environ=environ,
        limits=limits,
        jobs=jobs,
        cache_dir=cache_dir,
        cache_size=cache_size,
        verify=verify,
    )
    with call.workshop() as workshop:
        return call.run(path, workshop)


def repair_many(
    wheels: Iterable[str | os.PathLike[str]],
    out_dir: str | os.PathLike[str] = "wheelhouse",
    *,
    executor: Executor | None = None,
    **options: Unpack[RepairOptions],
) -> list[Repaired]:
    """Repair several wheels into one folder; each library of this machine is read, edited and deflated once for all.

    The outputs are the same as those of `repair`, one by one.

    Args:
        wheels: their paths.
        out_dir: where the outputs go.
        executor: runs the repairs; any of `concurrent.futures` or one that acts like it, on this machine or on others
            that see the same files. In threads the wheels still share what is made; in other processes only
            `cache_dir` does that. None repairs wheel by wheel in this thread, each with all processors.
        options: as for `repair`, the same for all.

    Returns:
        What was done, in the order of `wheels`.

    Raises:
        FastwheelError: of the first of `wheels` that cannot be repaired. Those before it are done; those behind it
            may be, if an executor had begun with them.
    """
    if executor is None:
        return list(repair_each(wheels, out_dir, **options))
    from concurrent.futures import ThreadPoolExecutor

    call = _Call(Path(out_dir), **options)
    with call.workshop() as workshop:
        if isinstance(executor, ThreadPoolExecutor):
            futures = [executor.submit(call.run, path, workshop) for path in wheels]
        else:
            futures = [executor.submit(call.run_alone, os.fspath(path)) for path in wheels]
        try:
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            for future in futures:
                # What has begun uses the workshop.
                if not future.cancelled():
                    future.exception()
            raise


def repair_each(
    wheels: Iterable[str | os.PathLike[str]],
    out_dir: str | os.PathLike[str] = "wheelhouse",
    **options: Unpack[RepairOptions],
) -> Generator[Repaired, None, None]:
    """Do what `repair_many` does wheel by wheel, and yield what was done to each as soon as it is.

    Raises:
        FastwheelError: as `repair_many`.
    """
    call = _Call(Path(out_dir), **options)
    with call.workshop() as workshop:
        for path in wheels:
            yield call.run(path, workshop)


class _Call(NamedTuple):
    """The arguments of `repair`, but for the wheel: the same for all wheels of a call."""

    out_dir: Path
    plat: str = "auto"
    only_plat: bool = False
    update_tags: bool = True
    lib_sdir: str = ".libs"
    level: int = 6
    force_rpath: bool = False
    keep_rpath: bool = False
    strip: bool = False
    dry_run: bool = False
    isa_check: bool = True
    allow_pure: bool = False
    exclude: Sequence[str] = ()
    allow: Sequence[str] = ()
    policy_file: str | os.PathLike[str] | None = None
    include: Sequence[str] = ()
    ldpaths: str | None = None
    lib_paths: Sequence[str] = ()
    environ: Mapping[str, str] | None = None
    limits: Limits | None = None
    jobs: int = 0
    cache_dir: str | os.PathLike[str] | None = None
    cache_size: int = CACHE_SIZE
    verify: Literal["basic", "full"] = "basic"

    def workshop(self) -> Workshop:
        """What the wheels of this call share."""
        cache = None
        if self.cache_dir is not None and not self.dry_run:
            from fastwheel.cache import Cache

            cache = Cache(Path(self.cache_dir), self.cache_size)
        return Workshop(self.out_dir, level=self.level, jobs=self.jobs, strip=self.strip, cache=cache)

    def run_alone(self, path: str) -> Repaired:
        """Repair one wheel that shares nothing."""
        with self.workshop() as workshop:
            return self.run(path, workshop)

    def run(self, path: str | os.PathLike[str], workshop: Workshop) -> Repaired:
        """Repair one wheel."""
        if self.verify not in ("basic", "full"):
            raise FastwheelError(f"verify is {escape(str(self.verify))}, not basic or full", code="FW800")
        source = Path(path)
        environ = os.environ if self.environ is None else self.environ
        options = Options(
            plat=self.plat,
            exclude=tuple(self.exclude),
            allow=tuple(self.allow),
            policy_file=None if self.policy_file is None else os.fspath(self.policy_file),
            include=tuple(self.include),
            ldpaths=self.ldpaths,
            lib_paths=tuple(self.lib_paths),
            isa_check=self.isa_check,
            environ=environ,
            jobs=self.jobs,
        )
        planning = PlanOptions(
            self.plat,
            self.only_plat,
            self.update_tags,
            self.lib_sdir,
            self.force_rpath,
            self.keep_rpath,
            self.strip,
        )
        with Wheel.open(source, self.limits) as wheel:
            job = Job(
                wheel,
                source,
                self.out_dir,
                options,
                planning,
                self.level,
                self.dry_run,
                environ,
                workshop,
                self.verify,
            )
            try:
                return job.run()
            except FastwheelError as error:
                if error.code == "FW600" and self.allow_pure:
                    return job.copy_pure(error.message)
                raise
