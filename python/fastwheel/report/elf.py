"""What one ELF file's dynamic section says, as text and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastwheel.errors import escape

if TYPE_CHECKING:
    from fastwheel._elf.model import Facts

__all__ = ["facts_document", "facts_text"]


def facts_document(facts: Facts) -> dict[str, object]:
    """Return the facts that an edit can change, and those that decide whether it may, as plain data."""
    return {
        "bits": facts.bits,
        "byte_order": facts.byte_order,
        "machine": facts.machine,
        "type": facts.type,
        "interpreter": facts.interpreter,
        "soname": facts.soname,
        "needed": list(facts.needed),
        "rpath": facts.rpath,
        "runpath": facts.runpath,
        "version_needs": {need.file: [version.name for version in need.versions] for need in facts.version_needs},
        "version_definitions": [definition.name for definition in facts.version_definitions if not definition.base],
        "build_id": facts.build_id,
    }


def facts_text(facts: Facts) -> str:
    """Return one line per entry, the words those of `readelf -d`."""
    lines = [f"class      ELF{facts.bits}, {facts.byte_order}-endian, machine {facts.machine}"]
    if facts.interpreter is not None:
        lines.append(f"INTERP     {escape(facts.interpreter)}")
    if facts.soname is not None:
        lines.append(f"SONAME     {escape(facts.soname)}")
    lines += [f"NEEDED     {escape(name)}" for name in facts.needed]
    if facts.rpath is not None:
        lines.append(f"RPATH      {escape(facts.rpath)}")
    if facts.runpath is not None:
        lines.append(f"RUNPATH    {escape(facts.runpath)}")
    for need in facts.version_needs:
        lines.append(f"VERNEED    {escape(need.file)}: {', '.join(escape(v.name) for v in need.versions)}")
    return "\n".join(lines)
