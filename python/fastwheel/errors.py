"""The one kind of exception that users of fastwheel see, and the table of its codes.

A fault of the input, of the machine or of the request is a `FastwheelError`: what happened, where, and a hint
at what to do. Every code is stable, listed here once, and decides the exit status (`docs/errors.md`).
"""

from __future__ import annotations

from typing import Final

from fastwheel.named import NamedTuple

__all__ = ["CODES", "CodeInfo", "ElfError", "FastwheelError", "escape"]


class CodeInfo(NamedTuple):
    """What one error code means: `slug`, a short name; `status`, the exit status of the command line."""

    slug: str
    status: int = 1


#: Every code that fastwheel raises. 1xx archive, 2xx wheel, 3xx ELF reading, 4xx ELF editing, 5xx dependencies,
#: 6xx policy and tags, 7xx files and folders, 8xx usage, 9xx faults of fastwheel itself.
CODES: Final[dict[str, CodeInfo]] = {
    # 1xx: the file is not an acceptable zip archive
    "FW100": CodeInfo("not-a-zip"),
    "FW101": CodeInfo("truncated-archive"),
    "FW102": CodeInfo("hidden-bytes"),
    "FW103": CodeInfo("bad-end-record"),
    "FW104": CodeInfo("bad-central-directory"),
    "FW105": CodeInfo("headers-disagree"),
    "FW106": CodeInfo("overlapping-members"),
    "FW107": CodeInfo("duplicate-member"),
    "FW108": CodeInfo("unsafe-name"),
    "FW109": CodeInfo("not-a-regular-member"),
    "FW110": CodeInfo("encrypted-member"),
    "FW111": CodeInfo("unsupported-compression"),
    "FW112": CodeInfo("damaged-content"),
    "FW113": CodeInfo("limit-exceeded"),
    "FW114": CodeInfo("file-and-folder"),
    # 2xx: the archive is not an acceptable wheel
    "FW200": CodeInfo("bad-file-name"),
    "FW201": CodeInfo("no-single-dist-info"),
    "FW202": CodeInfo("another-project"),
    "FW203": CodeInfo("bad-metadata-file"),
    "FW204": CodeInfo("bad-wheel-file"),
    "FW205": CodeInfo("newer-wheel-version"),
    "FW206": CodeInfo("bad-record"),
    "FW207": CodeInfo("record-lists-what-is-not-there"),
    "FW208": CodeInfo("record-contradicts-content"),
    "FW209": CodeInfo("install-clash"),
    "FW210": CodeInfo("bad-data-folder"),
    # 3xx: an ELF file cannot be read
    "FW300": CodeInfo("not-elf"),
    "FW301": CodeInfo("elf-truncated"),
    "FW302": CodeInfo("bad-elf-header"),
    "FW303": CodeInfo("bad-segment"),
    "FW304": CodeInfo("bad-dynamic-section"),
    "FW305": CodeInfo("bad-string-table"),
    "FW306": CodeInfo("bad-version-table"),
    "FW307": CodeInfo("bad-symbol-table"),
    "FW308": CodeInfo("bad-section-table"),
    # 4xx: an ELF file cannot be edited
    "FW400": CodeInfo("no-room"),
    "FW401": CodeInfo("not-editable"),
    "FW402": CodeInfo("sections-inconsistent"),
    "FW403": CodeInfo("bad-edit"),
    "FW404": CodeInfo("version-need-in-use"),
    # 5xx: a dependency is missing or ambiguous
    "FW500": CodeInfo("library-not-found"),
    "FW501": CodeInfo("no-dependencies"),
    "FW502": CodeInfo("ambiguous-graft"),
    "FW503": CodeInfo("include-not-found"),
    "FW504": CodeInfo("name-taken"),
    # 6xx: the wheel does not fit the wanted platform
    "FW600": CodeInfo("not-a-platform-wheel"),
    "FW601": CodeInfo("mixed-libc"),
    "FW602": CodeInfo("unknown-platform", 2),
    "FW603": CodeInfo("too-recent-symbols", 2),
    "FW604": CodeInfo("ucs2", 2),
    "FW605": CodeInfo("pyfpe", 2),
    "FW606": CodeInfo("black-listed-symbols", 2),
    "FW607": CodeInfo("unsupported-isa", 2),
    "FW608": CodeInfo("outside-of-site-packages"),
    "FW609": CodeInfo("no-elf-for-its-platform"),
    "FW610": CodeInfo("libraries-in-purelib"),
    "FW611": CodeInfo("another-platform", 2),
    "FW612": CodeInfo("bad-policy-file", 2),
    "FW613": CodeInfo("not-proved"),
    # 7xx: a file or folder cannot be read or written
    "FW700": CodeInfo("cannot-read"),
    "FW701": CodeInfo("not-a-regular-file"),
    "FW702": CodeInfo("cannot-write"),
    "FW703": CodeInfo("no-space"),
    "FW704": CodeInfo("output-name-taken"),
    "FW705": CodeInfo("interrupted"),
    "FW706": CodeInfo("out-of-resources"),
    # 8xx: the request makes no sense
    "FW800": CodeInfo("usage", 2),
    "FW801": CodeInfo("bad-settings", 2),
    # 9xx: fastwheel is wrong
    "FW900": CodeInfo("internal-error", 70),
}


#: From this number of kinds of characters on, going through a text once is quicker than once for each.
_FEW: Final = 8


def _visible(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode()


def escape(text: str) -> str:
    r"""Return `text` with control characters, line breaks and lone surrogates made visible.

    Names that come out of a wheel are hostile until shown otherwise: printed raw they could move the cursor or
    forge a line of output.

    >>> escape("a" + chr(10) + "b")
    'a\\nb'
    """
    if text.isprintable():
        return text
    hidden = [char for char in set(text) if not char.isprintable()]
    if len(hidden) > _FEW:
        return text.translate({ord(char): _visible(char) for char in hidden})
    for char in hidden:
        text = text.replace(char, _visible(char))
    return text


class FastwheelError(Exception):
    """A fault that the user can act on.

    Attributes:
        message: one line: what, where, why. Without a final full stop.
        code: a key of `CODES`.
        details: further lines, such as the folders that were searched.
        hint: what to do about it, or None.
    """

    def __init__(self, message: str, *, code: str, details: tuple[str, ...] = (), hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.details = details
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle it whole: executors hand errors from one process to another."""
        return _again, (type(self), self.message, self.code, self.details, self.hint)

    @property
    def exit_status(self) -> int:
        """The exit status of the command line for this error (0 is never an error)."""
        return CODES[self.code].status

    def to_dict(self) -> dict[str, object]:
        """Return the error as plain data for `--json`."""
        return {"code": self.code, "message": self.message, "details": list(self.details), "hint": self.hint}


def _again(
    kind: type[FastwheelError], message: str, code: str, details: tuple[str, ...], hint: str | None
) -> FastwheelError:
    """Make an error again of its parts."""
    error = kind.__new__(kind)
    FastwheelError.__init__(error, message, code=code, details=details, hint=hint)
    return error


class ElfError(FastwheelError):
    """An ELF file that cannot be read or edited; both engines raise it with the same code.

    >>> ElfError("FW300", "no ELF magic").code
    'FW300'
    """

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message, code=code, hint=hint)
