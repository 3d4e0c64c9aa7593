"""Where the grafted libraries of a wheel came from, as the bills of materials inside of it say (PEP 770, CycloneDX).

The documents are whoever's: what is not shaped as it should be is passed over.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastwheel.wheel.archive import Archive, Member

__all__ = ["Origin", "origins"]

_LARGEST: Final = 8 << 20
_MOST_DOCUMENTS: Final = 50


@dataclass(frozen=True, slots=True)
class Origin:
    """One library of a bill of materials.

    Attributes:
        member: its name in the archive; None where the document does not say it.
        name: of the package that it came from, or of the library.
        version: of the same, or None.
        purl: the package URL, or None: no package owned the file.
        soname: the name under which it was needed before it was renamed, or None.
        source_file: its file name on the build machine, without folders, or None.
        license: as the document says it, or None.
        document: the member that says so.
    """

    member: str | None
    name: str
    version: str | None
    purl: str | None
    soname: str | None
    source_file: str | None
    license: str | None
    document: str


def origins(archive: Archive) -> tuple[Origin, ...]:
    """Return the libraries that the CycloneDX documents in `.dist-info/sboms/` list, in their order.

    Raises:
        FastwheelError: FW112, a document's compressed data are damaged.
    """
    return tuple(origin for document in _documents(archive) for origin in _origins(archive, document))


def _documents(archive: Archive) -> list[Member]:
    found = []
    for member in archive.members:
        parts = member.name.split("/")
        if len(parts) == 3 and parts[0].endswith(".dist-info") and parts[1] == "sboms" and parts[2].endswith(".json"):
            found.append(member)
    return [member for member in found if member.size <= _LARGEST][:_MOST_DOCUMENTS]


def _origins(archive: Archive, document: Member) -> Iterator[Origin]:
    try:
        content = json.loads(archive.read(document))
    except (ValueError, RecursionError):
        return
    components = content.get("components") if isinstance(content, dict) else None
    for component in components if isinstance(components, list) else ():
        if not isinstance(component, dict) or not isinstance(component.get("name"), str):
            continue
        told = _properties(component)
        reference = component.get("bom-ref")
        path = told.get("fastwheel:graft:path", reference)
        yield Origin(
            path if isinstance(path, str) and path in archive.names else None,
            component["name"],
            _text(component, "version"),
            _text(component, "purl"),
            told.get("fastwheel:graft:soname"),
            told.get("fastwheel:graft:source-file"),
            _license(component),
            document.name,
        )


def _text(component: dict[str, object], key: str) -> str | None:
    value = component.get(key)
    return value if isinstance(value, str) and value else None


def _license(component: dict[str, object]) -> str | None:
    """The licenses of a component: `licenses` holds expressions, or licenses with an id or a name."""
    listed = component.get("licenses")
    found = []
    for item in listed if isinstance(listed, list) else ():
        if not isinstance(item, dict):
            continue
        inner = item.get("license")
        named = inner if isinstance(inner, dict) else {}
        found += [text for text in (item.get("expression"), named.get("id"), named.get("name")) if text][:1]
    return ", ".join(text for text in found if isinstance(text, str)) or None


def _properties(component: dict[str, object]) -> dict[str, str]:
    listed = component.get("properties")
    found = {}
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, dict) and isinstance(item.get("name"), str) and isinstance(item.get("value"), str):
            found[item["name"]] = item["value"]
    return found
