"""The rules of reading, writing and failing: each with what happens to input that it is about. Cases name them by key.

`docs/limits.md` has the same rules as a table, which `python tests/hostile/rules.py` prints; a test compares them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from arena import Case

__all__ = ["RULES", "table"]

RULES = {
    # refused: the archive
    "not-a-zip": "a file that is no zip archive",
    "truncated": "an archive that ends early",
    "several-end-records": "several end records, or a second table of members",
    "bytes-before": "bytes before the first member",
    "bytes-between": "bytes between members that belong to none",
    "bytes-after": "bytes after the end record",
    "wrong-offsets": "offsets, counts or sizes of the end records, zip64 ones too, that are not true",
    "wrong-sizes": "sizes and offsets of a member that zip64 fields contradict",
    "overlap": "members that overlap",
    "headers-disagree": "a local header or data descriptor that contradicts the central directory",
    "listed-twice": "a member listed twice",
    "file-and-folder": "a name that is a file and a folder",
    "damaged": "content that does not inflate, or not to its CRC and size",
    "encrypted": "encrypted members",
    "methods": "compression other than stored and deflate",
    "names": "names that are absolute, leave the archive, cannot be stored, or are not UTF-8",
    "non-regular": "symbolic links, devices and other special members",
    "extra-fields-malformed": "extra fields that run over, or give a member a second name",
    "bombs": "members that inflate beyond all proportion",
    "limits": "more than a limit allows",
    # accepted: the archive
    "sound": "a sound wheel",
    "data-descriptors": "data descriptors, in all four forms",
    "folder-entries": "folder entries or none",
    "stored-members": "stored members",
    "any-level": "any compression level",
    "zip64": "zip64, needed or not",
    "comments": "comments",
    "extra-fields": "extra fields",
    "many-members": "tens of thousands of members",
    "dates": "dates before 1980, and ones that no calendar has",
    "permissions": "unusual permissions and hosts",
    "order": "any order of members",
    "odd-names": "odd names",
    "case-twins": "names equal but for case or Unicode form: a warning",
    "harmless-differences": "headers that differ in time or version",
    "nested-archive": "archives inside of members",
    "ratio-floor": "small members that inflate far, and large ones where the limit is raised",
    # refused: the wheel
    "no-single-dist-info": "no or several .dist-info",
    "other-project": "metadata of another project than the file name",
    "metadata": "METADATA that is missing or unreadable",
    "wheel-file": "WHEEL that is missing, unreadable or without Tag",
    "newer-wheel-version": "Wheel-Version of a newer major",
    "record-unreadable": "RECORD that is missing or unreadable",
    "record-lists-absent": "RECORD that lists what is not in the archive, or outside of it",
    "record-contradicts": "RECORD with a hash that contradicts the content (repair)",
    "file-name": "invalid file names",
    "data-folder": "two files for one place, unknown schemes, libraries in purelib",
    "name-taken": "names of grafts that something else has",
    "pure": "a wheel without compiled code, unless allowed",
    # accepted: the wheel
    "un-normalised-names": "un-normalised names",
    "odd-files": "odd files in and beside .dist-info",
    "odd-metadata": "odd but readable METADATA",
    "odd-wheel-file": "odd but readable WHEEL",
    "record-mended": "RECORD that lacks or misstates files: a warning, and a new RECORD",
    "file-names": "build tags, compressed tags, variant labels",
    "data-trees": "several .data trees",
    # ELF files
    "elf": "damaged ELF files: a clear error, or what the loader would make of them",
    "elf-ignored": "ELF files for other machines, and object files: left alone",
    # the machine
    "search-path": "odd files, folders and names on the search path are skipped; a graft comes only from it",
    "input": "inputs that are no readable regular files",
    "output-name": "what lies under the output's name is replaced, never written through; special files are refused",
    "output-folder": "output folders that cannot be written, or are links, or the input's",
    "temporary-folder": "no temporary folder",
    "no-space": "no space, or limits on file sizes",
    "limits-of-the-process": "little memory, few files, no threads",
    "streams": "closed, broken and full streams",
    "environment": "any environment",
    "arguments": "wrong calls",
    "users": "root and other users",
}


def table(cases: Iterable[Case]) -> str:
    """The table of `docs/limits.md`: each rule, what comes of what it is about, and how many cases hold it to that."""
    wanted: dict[str, set[str]] = {}
    counts: dict[str, int] = {}
    for case in cases:
        wanted.setdefault(case.rule, set()).update(case.want)
        counts[case.rule] = counts.get(case.rule, 0) + 1
    lines = ["| what | what comes of it | cases |", "|---|---|---|"]
    for rule, text in RULES.items():
        codes = sorted(code for code in wanted[rule] if code.startswith("FW") and len(code) > 2)
        said = ", ".join(code if len(code) == 5 else code.ljust(5, "x") for code in codes)
        if wanted[rule] & {"ok", "any", "quiet"}:
            said = f"done; or {said}" if said else "done"
        lines.append(f"| {text} | {said or 'a clear error'} | {counts[rule]} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    import sys
    from pathlib import Path

    here = Path(__file__).resolve().parent
    sys.path[:0] = [str(here), str(here.parent / "wheel")]
    import cases_elf
    import cases_faults
    import cases_wheel
    import cases_zip_members
    import cases_zip_odd
    import cases_zip_records

    print(
        table(
            [
                *cases_zip_records.CASES,
                *cases_zip_members.CASES,
                *cases_zip_odd.CASES,
                *cases_wheel.CASES,
                *cases_elf.CASES,
                *cases_faults.CASES,
            ]
        ),
        end="",
    )
