"""A software bill of materials: what was grafted into a wheel, and where it came from.

CycloneDX JSON (https://cyclonedx.org/docs/1.4/json/), to be kept in `.dist-info/sboms/` as PEP 770 says. Version 1.4
has all that is told here, and every reader of a newer one accepts it. `docs/sbom.md` explains each field.
"""

from __future__ import annotations

import json
import re
from posixpath import basename
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import quote

from fastwheel import engine
from fastwheel.deps.packages import purl_quote
from fastwheel.errors import FastwheelError, escape
from fastwheel.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from fastwheel.deps.packages import Package

__all__ = ["GraftedLibrary", "make_sbom", "sbom_member"]

#: A JSON object; insertion order is the order in the document.
_Json: TypeAlias = "dict[str, object]"

_NAMESPACE: Final = "urn:fastwheel:sbom"
_TIME_VARIABLE: Final = "SOURCE_DATE_EPOCH"
_LAST_TIME: Final = 253_402_300_799  # 9999-12-31T23:59:59Z
_VERSION_SUFFIX: Final = re.compile(r"\.so\.([0-9]+(?:\.[0-9]+)*)$")


class GraftedLibrary(NamedTuple):
    """A library that a repair copied into a wheel.

    Attributes:
        name: its file name in the wheel.
        soname: the name under which it was asked for.
        source: the path that it was copied from.
        member: its name in the archive.
        sha256_source: of the file at `source`, hex.
        sha256_final: of the member, hex.
        needs: the members that its DT_NEEDED entries mean.
    """

    name: str
    soname: str
    source: str
    member: str
    sha256_source: str
    sha256_final: str
    needs: tuple[str, ...] = ()


def sbom_member(dist_info: str, members: Container[str]) -> str:
    """Return the archive name for a new document; an earlier one, of a wheel repaired before, keeps its name.

    >>> sbom_member("p-1.dist-info", {"p-1.dist-info/sboms/fastwheel.cdx.json"})
    'p-1.dist-info/sboms/fastwheel-2.cdx.json'
    """
    name, number = f"{dist_info}/sboms/fastwheel.cdx.json", 1
    while name in members:
        number += 1
        name = f"{dist_info}/sboms/fastwheel-{number}.cdx.json"
    return name


def make_sbom(
    project: str,
    version: str,
    file_name: str,
    grafts: Sequence[GraftedLibrary],
    packages: Mapping[str, Package],
    environ: Mapping[str, str],
) -> bytes:
    """Return the document, the same bytes for the same arguments in whatever order.

    Args:
        project: name of the wheel's project.
        version: of the project.
        file_name: of the repaired wheel.
        grafts: what was copied into it.
        packages: by `source`, the package that owns the file; those without one are listed too.
        environ: where SOURCE_DATE_EPOCH is looked up; without it the document has no time.

    Raises:
        FastwheelError: FW800 SOURCE_DATE_EPOCH is not a number.
    """
    from fastwheel import __version__

    wheel = _wheel(project, version, file_name)
    ordered = sorted(grafts, key=lambda graft: graft.member)
    refs = {graft.member: _clean(graft.member) for graft in ordered}
    metadata: _Json = {}
    time = _time(environ)
    if time is not None:
        metadata["timestamp"] = time
    metadata["tools"] = [{"name": "fastwheel", "version": __version__}]
    metadata["component"] = wheel
    dependencies = [{"ref": wheel["bom-ref"], "dependsOn": list(refs.values())}]
    for graft in ordered:
        needs = sorted(refs[member] for member in refs.keys() & set(graft.needs))
        dependencies.append({"ref": refs[graft.member], "dependsOn": needs})
    body: _Json = {
        "version": 1,
        "metadata": metadata,
        "components": [_component(graft, packages.get(graft.source)) for graft in ordered],
        "dependencies": dependencies,
    }
    head: _Json = {"bomFormat": "CycloneDX", "specVersion": "1.4", "serialNumber": _serial_number(body)}
    return _bytes({**head, **body})


def _bytes(value: _Json) -> bytes:
    return (json.dumps(value, separators=(",", ":")) + "\n").encode("ascii")


def _serial_number(body: _Json) -> str:
    """One for each content: a random one would make repairs irreproducible.

    It is an UUID of version 8 (RFC 9562, section 5.8) from SHA-256; version 5 would load OpenSSL for its SHA-1.
    """
    digits = engine.sha256_many([_NAMESPACE.encode() + b"\n" + _bytes(body)])[0].hex()
    variant = "89ab"[int(digits[16], 16) % 4]
    return f"urn:uuid:{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


def _wheel(project: str, version: str, file_name: str) -> _Json:
    # the package-url type "pypi" has names in lower case, and "-" for "_"
    name = purl_quote(project.lower().replace("_", "-"))
    purl = f"pkg:pypi/{name}@{purl_quote(version)}?file_name={quote(file_name, safe='', errors='replace')}"
    return {"type": "library", "bom-ref": purl, "name": project, "version": version, "purl": purl}


def _component(graft: GraftedLibrary, package: Package | None) -> _Json:
    source = basename(graft.source)
    properties = {
        "fastwheel:graft:path": graft.member,
        "fastwheel:graft:soname": graft.soname,
        "fastwheel:graft:source-file": source,
        "fastwheel:graft:source-sha256": graft.sha256_source,
    }
    component: _Json = {"type": "library", "bom-ref": _clean(graft.member)}
    if package is None:
        component["name"] = _clean(graft.soname.partition(".so")[0] or graft.soname or source)
        found = _VERSION_SUFFIX.search(source)
        if found is not None:
            component["version"] = found[1]
            properties["fastwheel:version:from"] = "file-name"
        properties["fastwheel:package"] = "none"
    else:
        component["name"] = package.name
        component["version"] = package.version
        details = {"arch": package.arch, "source": package.source, "epoch": package.epoch}
        properties |= {f"fastwheel:package:{key}": str(value) for key, value in details.items() if value is not None}
    component["hashes"] = [{"alg": "SHA-256", "content": graft.sha256_final}]
    if package is not None:
        component["purl"] = package.purl
    component["properties"] = [{"name": key, "value": _clean(value)} for key, value in sorted(properties.items())]
    return component


def _clean(text: str) -> str:
    """Return text that any JSON reader takes: lone surrogates stand for bytes that are not UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _time(environ: Mapping[str, str]) -> str | None:
    text = environ.get(_TIME_VARIABLE, "").strip()
    if not text:
        return None
    if not re.fullmatch(r"[+-]?[0-9]{1,30}", text):
        raise FastwheelError(
            f"{_TIME_VARIABLE} is '{escape(text)}', not a number of seconds",
            code="FW800",
            hint="set it to seconds since 1970-01-01, or unset it",
        )
    from datetime import datetime, timezone

    when = datetime.fromtimestamp(min(max(int(text), 0), _LAST_TIME), timezone.utc)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
