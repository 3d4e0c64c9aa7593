"""Platform policies: the table, the processor and C library of a wheel, and the rules that judge it."""

from __future__ import annotations

from fastwheel.policy.arch import (
    Arch,
    Libc,
    arch_from_tags,
    arch_of,
    float_abi,
    is_loader,
    isa_level,
    libc_from_tags,
    libc_of,
    machine_name,
)
from fastwheel.policy.match import (
    allowed,
    best,
    blacklisted,
    is_libpython,
    merge_needs,
    needs_of,
    offending,
    offending_by_policy,
    satisfied,
)
from fastwheel.policy.tables import Policy, all_names, android_policy, by_name, policies, source

__all__ = [
    "Arch",
    "Libc",
    "Policy",
    "all_names",
    "allowed",
    "android_policy",
    "arch_from_tags",
    "arch_of",
    "best",
    "blacklisted",
    "by_name",
    "float_abi",
    "is_libpython",
    "is_loader",
    "isa_level",
    "libc_from_tags",
    "libc_of",
    "machine_name",
    "merge_needs",
    "needs_of",
    "offending",
    "offending_by_policy",
    "policies",
    "satisfied",
    "source",
]
