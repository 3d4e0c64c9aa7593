"""Policies from a file of the user's: for a company's own baseline, or a platform that the table does not know yet.

The file is JSON in the form of auditwheel's policies: a list of objects with `name` (without the processor),
`aliases`, `priority`, `symbol_versions` (by processor and prefix), `lib_whitelist` and `blacklist`.
"""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, NoReturn

from fastwheel.errors import FastwheelError, escape
from fastwheel.policy.tables import Policy

if TYPE_CHECKING:
    import os

    from fastwheel.policy.arch import Arch, Libc

__all__ = ["load_policies", "with_custom"]

_LARGEST = 16 << 20  # bytes


def load_policies(path: str | os.PathLike[str], libc: Libc, arch: Arch) -> tuple[Policy, ...]:
    """Return the policies of the file at `path` that name the processor `arch`, in the file's order.

    Raises:
        FastwheelError: FW700 the file cannot be read; FW612 it is not of that form.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise FastwheelError(f"cannot read {escape(str(path))}: {error.strerror}", code="FW700") from error
    name = escape(str(path))
    if len(content) > _LARGEST:
        _bad(name, "it is too large")
    try:
        entries = json.loads(content)
    except (ValueError, RecursionError) as error:
        _bad(name, f"it is not JSON: {error}")
    if not isinstance(entries, list):
        _bad(name, "it is not a list of policies")
    found = [_policy(entry, f"policy {index + 1}", name, libc, arch) for index, entry in enumerate(entries)]
    return tuple(policy for policy in found if policy is not None)


def with_custom(known: tuple[Policy, ...], custom: tuple[Policy, ...]) -> tuple[Policy, ...]:
    """Return `known` with `custom` sorted in by priority; one of the same name replaces the known one."""
    names = {policy.name for policy in custom}
    merged = [*custom, *(policy for policy in known if policy.name not in names)]
    return tuple(sorted(merged, key=lambda policy: -policy.priority))


def _bad(name: str, reason: str) -> NoReturn:
    raise FastwheelError(
        f"{name} is not a file of policies: {escape(reason)}", code="FW612", hint="docs/policies.md shows the form"
    )


def _policy(entry: object, where: str, name: str, libc: Libc, arch: Arch) -> Policy | None:
    if not isinstance(entry, dict):
        _bad(name, f"{where} is not an object")
    base, priority = entry.get("name"), entry.get("priority")
    if not isinstance(base, str) or not base.isidentifier():
        _bad(name, f"the name of {where} is not a word")
    if type(priority) is not int or priority < 0:
        _bad(name, f"the priority of {base} is not a number from 0 on")
    if priority == 0:
        return None  # linux, which is always there
    versions = entry.get("symbol_versions", {})
    if not isinstance(versions, dict):
        _bad(name, f"symbol_versions of {base} is not an object")
    if arch.value not in versions:
        return None
    by_prefix = versions[arch.value]
    blacklist = entry.get("blacklist", {})
    if not isinstance(by_prefix, dict) or not isinstance(blacklist, dict):
        _bad(name, f"symbol_versions or blacklist of {base} is not an object")
    return Policy(
        name=f"{base}_{arch.value}",
        base=base,
        arch=arch,
        libc=libc,
        aliases=tuple(
            f"{alias}_{arch.value}" for alias in _strings(entry.get("aliases", []), f"aliases of {base}", name)
        ),
        priority=priority,
        versions=MappingProxyType({p: frozenset(_strings(v, f"{p} of {base}", name)) for p, v in by_prefix.items()}),
        allowlist=frozenset(_strings(entry.get("lib_whitelist", []), f"lib_whitelist of {base}", name)),
        blacklist=MappingProxyType(
            {lib: frozenset(_strings(v, f"blacklist of {base}", name)) for lib, v in blacklist.items()}
        ),
    )


def _strings(value: object, what: str, name: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        _bad(name, f"{what} is not a list of strings")
    return value
