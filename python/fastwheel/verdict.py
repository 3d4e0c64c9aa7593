"""What an audit is asked and what it answers: plain frozen data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastwheel.named import NamedTuple
from fastwheel.policy.arch import is_loader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastwheel.deps.include import Include
    from fastwheel.deps.objects import Graph
    from fastwheel.deps.search import Search
    from fastwheel.policy.tables import Policy
    from fastwheel.survey import Survey

__all__ = ["Findings", "Options", "Reference", "Verdict", "bears"]


def bears(policy: Policy, name: str) -> bool:
    """Whether `name` is the policy's tag or one of its aliases, with or without the architecture."""
    names = (policy.name, *policy.aliases)
    return name == policy.base or name in names or f"{name}_{policy.arch.value}" in names


class Options(NamedTuple):
    """How to look at a wheel.

    Attributes:
        plat: "auto", or the platform tag (or alias) to aim at: it settles what the file name leaves open.
        exclude: glob patterns of sonames or real paths that are never grafted (`fnmatch`, case-sensitive).
        allow: glob patterns of sonames that the target provides, besides the policies' allowlists.
        policy_file: a file with more policies (`fastwheel.policy.custom`).
        include: files to take along although no DT_NEEDED names them (`fastwheel.deps.include`).
        ldpaths: folders, joined by ":", that replace ld.so.conf and LD_LIBRARY_PATH; "" searches nothing.
        lib_paths: folders that are searched before all others.
        isa_check: whether instruction sets beyond the architecture's baseline count.
        environ: the environment to read LD_LIBRARY_PATH and its kin from; None is this process's.
        jobs: threads; 0 is one per processor.
    """

    plat: str = "auto"
    exclude: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    policy_file: str | None = None
    include: tuple[str, ...] = ()
    ldpaths: str | None = None
    lib_paths: tuple[str, ...] = ()
    isa_check: bool = True
    environ: Mapping[str, str] | None = None
    jobs: int = 0


class Reference(NamedTuple):
    """A library that the wheel needs, does not hold, and that a policy does not allow to expect.

    Attributes:
        soname: the DT_NEEDED string.
        path: the real path of this machine's copy, or None where none was found.
        needed_by: the ELF file that asks for it: an install path of the wheel or a real path of this machine.
        tried: where was looked, when `path` is None.
    """

    soname: str
    path: str | None
    needed_by: str
    tried: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON."""
        return {"soname": self.soname, "path": self.path, "needed_by": self.needed_by}


class Findings(NamedTuple):
    """How the wheel stands against one policy.

    Attributes:
        policy: the policy.
        references: what would have to be grafted for it, sorted by soname and path.
        blacklisted: (library, symbols) that the policy forbids to use.
        needs: the versions needed of each library once the grafts are in, sorted.
        too_recent: (library, version) of `needs` that the policy does not promise.
    """

    policy: Policy
    references: tuple[Reference, ...]
    blacklisted: tuple[tuple[str, tuple[str, ...]], ...]
    needs: tuple[tuple[str, tuple[str, ...]], ...]
    too_recent: tuple[tuple[str, str], ...]


class Verdict(NamedTuple):
    """What was found out about one wheel.

    Attributes:
        wheel: the file's name.
        findings: one entry per policy, the most widely compatible first, `linux_<arch>` last.
        overall: the best policy that the wheel satisfies as it is.
        symbols: the best policy by versioned symbols alone, grafts included.
        references_policy: the best policy that needs no graft.
        blacklist: the best policy by forbidden symbols alone.
        machine: the best policy by instruction sets alone.
        graft: the best policy that needs no more grafts than the one aimed at.
        ucs2: an extension of Python 2 that needs a narrow-unicode build.
        pyfpe: an extension that needs PyFPE_jbuf and its kin (PEP 513).
        executable_stack: install paths of ELF files that ask for an executable stack.
        includes: the files to take along.
        excluded: the sonames that `exclude` left out.
        unneeded_excludes: patterns of `exclude` that matched nothing.
        survey: the ELF files of the wheel.
        graph: who needs whom, resolved.
        search: where libraries were looked for.
        notes: what the user should know.
    """

    wheel: str
    findings: tuple[Findings, ...]
    overall: Policy
    symbols: Policy
    references_policy: Policy
    blacklist: Policy
    machine: Policy
    graft: Policy
    ucs2: bool
    pyfpe: bool
    executable_stack: tuple[str, ...]
    includes: tuple[Include, ...]
    excluded: tuple[str, ...]
    unneeded_excludes: tuple[str, ...]
    survey: Survey
    graph: Graph
    search: Search
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<Verdict on {self.wheel}: {self.overall.name}, repairable to {self.repairable.name}>"

    @property
    def repairable(self) -> Policy:
        """The best policy that the wheel can satisfy once its external libraries are grafted."""
        return min(
            (self.symbols, self.blacklist, self.machine, self.graft, self._python),
            key=lambda policy: policy.priority,
        )

    @property
    def _python(self) -> Policy:
        return self.linux if self.ucs2 or self.pyfpe else self.findings[0].policy

    @property
    def linux(self) -> Policy:
        """The policy that promises nothing."""
        return self.findings[-1].policy

    @property
    def references(self) -> tuple[Reference, ...]:
        """The libraries to graft for the policy that `fastwheel repair` would choose."""
        return self.of(self.repairable).references

    def is_external(self, soname: str, policy: Policy) -> bool:
        """Whether this machine has a library of this name that `policy` does not promise and nobody excluded."""
        from fastwheel.deps.files import abi_of
        from fastwheel.policy.match import allowed

        if allowed(policy, soname) or soname in self.excluded:
            return False
        search = self.search
        folders = (*search.first, *search.environment, *search.system)
        return search.find(soname, folders, abi_of(self.survey.units[0].facts)).file is not None

    def of(self, policy: Policy) -> Findings:
        """Return the findings for `policy`."""
        for findings in self.findings:
            if findings.policy.name == policy.name:
                return findings
        raise KeyError(policy.name)

    def to_dict(self) -> dict[str, object]:
        """Return the document of `fastwheel show --json`: auditwheel's version 1, so that its readers need no change.

        `versioned_symbols` leaves out the dynamic loader, as that document always did, although its versions count for
        `sym_tag`.
        """
        best = self.findings[0]
        return {
            "version": 1,
            "wheel": self.wheel,
            "pure": False,
            "overall_tag": self.overall.name,
            "sym_tag": self.symbols.name,
            "pyfpe": self.pyfpe,
            "ucs2": self.ucs2,
            "unsupported_isa": self.machine.priority == 0,
            "versioned_symbols": {
                library: list(versions) for library, versions in self.of(self.symbols).needs if not is_loader(library)
            },
            "external_libs": {reference.soname: reference.path for reference in best.references},
            "policy_upgrades": {
                finding.policy.name: upgrade
                for finding in reversed(self.findings)
                if finding.policy.priority > self.overall.priority and (upgrade := _upgrade(finding))
            },
        }


def _upgrade(finding: Findings) -> dict[str, object]:
    """What keeps the wheel from one policy."""
    upgrade: dict[str, object] = {}
    if finding.references:
        upgrade["libs_to_eliminate"] = sorted({reference.soname for reference in finding.references})
    if finding.blacklisted:
        upgrade["blacklisted_symbols"] = {library: list(symbols) for library, symbols in finding.blacklisted}
    return upgrade
