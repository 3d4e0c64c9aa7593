"""The bill of materials: valid, complete, the same bytes for the same content."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import warnings
from typing import Any

import pytest
from cyclonedx.model.bom import Bom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given
from hypothesis import strategies as st
from packageurl import PackageURL

from fastwheel import __version__
from fastwheel.deps.packages import Package
from fastwheel.errors import FastwheelError
from fastwheel.sbom import GraftedLibrary, make_sbom, sbom_member

WHEEL = "Example_Pkg-1.0+local.1-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
FORTRAN = GraftedLibrary(
    "libgfortran-0a1b2c3d.so.5.0.0",
    "libgfortran.so.5",
    "/usr/lib/x86_64-linux-gnu/libgfortran.so.5.0.0",
    "Example_Pkg.libs/libgfortran-0a1b2c3d.so.5.0.0",
    "0a1b2c3d" * 8,
    "1" * 64,
    ("Example_Pkg.libs/libquadmath-44444444.so.0.0.0", "not/a/graft.so"),
)
QUADMATH = GraftedLibrary(
    "libquadmath-44444444.so.0.0.0",
    "libquadmath.so.0",
    "/usr/lib/x86_64-linux-gnu/libquadmath.so.0.0.0",
    "Example_Pkg.libs/libquadmath-44444444.so.0.0.0",
    "4" * 64,
    "5" * 64,
)
OWN = GraftedLibrary(
    "libown-22222222.so.3.1",
    "libown.so.3",
    "/home/builder/secret/lib/libown.so.3.1",
    "Example_Pkg.libs/libown-22222222.so.3.1",
    "2" * 64,
    "3" * 64,
    (FORTRAN.member,),
)
PACKAGES = {
    FORTRAN.source: Package("deb", "libgfortran5", "12.2.0-14", "amd64", "debian", "gcc-12"),
    QUADMATH.source: Package("deb", "libquadmath0", "12.2.0-14", "amd64", "debian", "gcc-12"),
}
GRAFTS = (OWN, FORTRAN, QUADMATH)


def document(*grafts: GraftedLibrary, **environ: str) -> dict[str, Any]:
    value = json.loads(make_sbom("Example_Pkg", "1.0+local.1", WHEEL, grafts or GRAFTS, PACKAGES, environ))
    assert isinstance(value, dict)
    return value


def component(name: str, *grafts: GraftedLibrary) -> dict[str, Any]:
    (found,) = (item for item in document(*grafts)["components"] if item["name"] == name)
    assert isinstance(found, dict)
    return found


def properties(item: dict[str, Any]) -> dict[str, str]:
    return {pair["name"]: pair["value"] for pair in item["properties"]}


def validate(content: bytes) -> None:
    error = JsonStrictValidator(SchemaVersion.V1_4).validate_str(content.decode())
    assert error is None, error
    # newer readers take it too: nothing in it was removed
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(content.decode().replace('"1.4"', '"1.6"', 1))
    assert error is None, error
    with warnings.catch_warnings():
        # of 1.5 and later; 1.4 has no other way to name a tool
        warnings.filterwarnings("ignore", "`@.tools` is deprecated")
        bom = Bom.from_json(data=json.loads(content))
    assert bom.validate()


@pytest.mark.parametrize("environ", [{}, {"SOURCE_DATE_EPOCH": "1700000000"}])
@pytest.mark.parametrize("grafts", [GRAFTS, (OWN,), ()])
def test_valid(grafts: tuple[GraftedLibrary, ...], environ: dict[str, str]) -> None:
    validate(make_sbom("Example_Pkg", "1.0+local.1", WHEEL, grafts, PACKAGES, environ))


def test_the_validator_sees_faults() -> None:
    """So that the test above can fail."""
    content = make_sbom("Example_Pkg", "1.0", WHEEL, GRAFTS, PACKAGES, {})
    with pytest.raises(AssertionError):
        validate(content.replace(b'"SHA-256"', b'"SHA-1024"'))


def test_whole_document_of_the_wheel() -> None:
    found = document()
    wheel = found["metadata"]["component"]
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.4")
    assert found["metadata"]["tools"] == [{"name": "fastwheel", "version": __version__}]
    assert (wheel["type"], wheel["name"], wheel["version"]) == ("library", "Example_Pkg", "1.0+local.1")
    purl = PackageURL.from_string(wheel["purl"])
    assert (purl.type, purl.name, purl.version) == ("pypi", "example-pkg", "1.0+local.1")
    assert purl.qualifiers == {"file_name": WHEEL}
    assert wheel["bom-ref"] == wheel["purl"]
    assert wheel["purl"].startswith("pkg:pypi/example-pkg@1.0%2Blocal.1?file_name=Example_Pkg-1.0%2Blocal.1-cp312-")


def test_a_library_of_a_package() -> None:
    found = component("libgfortran5")
    assert found["version"] == "12.2.0-14"
    assert found["purl"] == "pkg:deb/debian/libgfortran5@12.2.0-14"
    assert found["hashes"] == [{"alg": "SHA-256", "content": "1" * 64}]
    assert properties(found) == {
        "fastwheel:graft:path": FORTRAN.member,
        "fastwheel:graft:soname": "libgfortran.so.5",
        "fastwheel:graft:source-file": "libgfortran.so.5.0.0",
        "fastwheel:graft:source-sha256": "0a1b2c3d" * 8,
        "fastwheel:package:arch": "amd64",
        "fastwheel:package:source": "gcc-12",
    }


def test_a_library_of_no_package() -> None:
    found = component("libown")
    assert found["version"] == "3.1"
    assert "purl" not in found
    assert properties(found)["fastwheel:package"] == "none"
    assert properties(found)["fastwheel:version:from"] == "file-name"


@pytest.mark.parametrize(
    ("file", "soname", "name", "version"),
    [
        ("libx.so.1.2.3", "libx.so.1", "libx", "1.2.3"),
        ("libx.so", "libx.so", "libx", None),
        ("libx-2.40.so", "libx-2.40.so", "libx-2.40", None),
        ("libx.so.1a", "libx.so.1a", "libx", None),
        ("plugin", "plugin", "plugin", None),
        ("libx.so.4", "", "libx.so.4", "4"),
        (".so", ".so", ".so", None),
    ],
)
def test_names_of_libraries_of_no_package(file: str, soname: str, name: str, version: str | None) -> None:
    found = component(name, OWN._replace(source=f"/opt/{file}", soname=soname))
    assert found.get("version") == version


def test_relations() -> None:
    found = {item["ref"]: item["dependsOn"] for item in document()["dependencies"]}
    wheel = document()["metadata"]["component"]["bom-ref"]
    assert found == {
        wheel: [FORTRAN.member, OWN.member, QUADMATH.member],
        FORTRAN.member: [QUADMATH.member],
        OWN.member: [FORTRAN.member],
        QUADMATH.member: [],
    }


def test_no_path_of_the_build_machine() -> None:
    content = make_sbom("Example_Pkg", "1.0", WHEEL, GRAFTS, PACKAGES, {})
    assert b"/home/" not in content
    assert b"/usr/" not in content


def test_time_only_when_asked_for() -> None:
    assert "timestamp" not in document()["metadata"]
    assert "timestamp" not in document(SOURCE_DATE_EPOCH="")["metadata"]
    assert document(SOURCE_DATE_EPOCH="1700000000")["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
    assert document(SOURCE_DATE_EPOCH="-1")["metadata"]["timestamp"] == "1970-01-01T00:00:00Z"
    assert document(SOURCE_DATE_EPOCH="9" * 20)["metadata"]["timestamp"] == "9999-12-31T23:59:59Z"
    with pytest.raises(FastwheelError, match=r"SOURCE_DATE_EPOCH is 'now\\n!'") as caught:
        document(SOURCE_DATE_EPOCH="now\n!")
    assert caught.value.code == "FW800"


def test_same_bytes_in_any_order() -> None:
    first = make_sbom("p", "1", WHEEL, GRAFTS, PACKAGES, {})
    turned = FORTRAN._replace(needs=FORTRAN.needs[::-1])
    assert make_sbom("p", "1", WHEEL, (QUADMATH, turned, OWN), dict(reversed(PACKAGES.items())), {}) == first


def test_same_bytes_wherever_the_library_lay() -> None:
    first = make_sbom("p", "1", WHEEL, (OWN,), {}, {})
    assert make_sbom("p", "1", WHEEL, (OWN._replace(source="/elsewhere/libown.so.3.1"),), {}, {}) == first


def test_same_bytes_in_another_process() -> None:
    code = (
        "import sys; from fastwheel.sbom import *; sys.stdout.buffer.write(make_sbom('p', '1', 'w.whl',"
        " [GraftedLibrary(n, n, '/' + n, 'p.libs/' + n, '0', '1', ('p.libs/a', 'p.libs/b', 'p.libs/c'))"
        " for n in 'abc'], {}, {}))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1


def test_serial_number_is_of_the_content() -> None:
    first, second = document()["serialNumber"], document(OWN)["serialNumber"]
    assert re.fullmatch("urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", first)
    assert first == document()["serialNumber"] != second


def test_member_name() -> None:
    assert sbom_member("p-1.dist-info", ()) == "p-1.dist-info/sboms/fastwheel.cdx.json"
    taken = {"p-1.dist-info/sboms/auditwheel.cdx.json"}
    assert sbom_member("p-1.dist-info", taken) == "p-1.dist-info/sboms/fastwheel.cdx.json"
    taken |= {"p-1.dist-info/sboms/fastwheel.cdx.json", "p-1.dist-info/sboms/fastwheel-2.cdx.json"}
    assert sbom_member("p-1.dist-info", taken) == "p-1.dist-info/sboms/fastwheel-3.cdx.json"


# Names come from the file system and from databases: any bytes but NUL and "/".
names = st.binary(min_size=1, max_size=12).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"x").replace(b"/", b"y")))


@given(st.lists(names, max_size=5, unique=True), names, names)
def test_valid_for_any_names(files: list[str], package: str, version: str) -> None:
    grafts = [
        GraftedLibrary(name, name, f"/x/{name}", f"p.libs/{number}{name}", "0" * 64, "1" * 64, ())
        for number, name in enumerate(files)
    ]
    printable = [text.encode("utf-8", "replace").decode() for text in (package, version)]
    owned = {graft.source: Package("rpm", printable[0], printable[1], None, "linux") for graft in grafts[::2]}
    content = make_sbom("p", "1", "p-1-py3-none-any.whl", grafts, owned, {})
    assert content.isascii()
    error = JsonStrictValidator(SchemaVersion.V1_4).validate_str(content.decode())
    assert error is None, error
    json.dumps(json.loads(content), ensure_ascii=False).encode("utf-8")  # fails for lone surrogates
