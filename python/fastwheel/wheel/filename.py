"""The file name of a wheel, split without losing a byte.

`{project}-{version}[-{build}]-{python}-{abi}-{platform}[-{variant}].whl` (PEP 427, 491; variant label: PEP 825).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn

from fastwheel.errors import FastwheelError
from fastwheel.named import NamedTuple
from fastwheel.wheel.names import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["WheelFileName"]

_TAGS = re.compile(r"\w+(?:\.\w+)*", re.ASCII)
#: ABI and Python tags: where the platform should be, they show that something was put before them.
_NO_PLATFORM = re.compile(r"none|abi\d.*|(?:cp|pp|py)\d.*", re.ASCII)
#: A name without a build tag and with a version in its normal form (PEP 440): nothing more is to be checked in it.
_PLAIN = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9_.]*"
    r"-\d{1,9}(?:\.\d{1,9})*(?:(?:a|b|rc)\d{1,9})?(?:\.post\d{1,9})?(?:\.dev\d{1,9})?(?:\+[a-z0-9]{1,9}(?:\.[a-z0-9]{1,9})*)?"
    r"-[a-z]\w*(?:\.[a-z]\w*)*-\w+(?:\.\w+)*-\w+(?:\.\w+)*",
    re.ASCII,
)


class WheelFileName(NamedTuple):
    """The parts of a wheel's file name, each spelled as in the name; compressed tag sets split, in their order.

    Attributes:
        project: the distribution's name.
        version: its version.
        build: the build tag, or "".
        python_tags: such as `("cp312",)`.
        abi_tags: such as `("abi3",)`.
        platform_tags: such as `("manylinux2014_x86_64", "manylinux_2_17_x86_64")`.
        variant: the variant label, or "".
    """

    project: str
    version: str
    build: str
    python_tags: tuple[str, ...]
    abi_tags: tuple[str, ...]
    platform_tags: tuple[str, ...]
    variant: str

    @classmethod
    def parse(cls, name: str) -> WheelFileName:
        """Split the file name of a wheel.

        >>> WheelFileName.parse("Foo-1.0-2-py2.py3-none-any.whl").python_tags
        ('py2', 'py3')

        Raises:
            FastwheelError: FW200 it is no valid name of a wheel.
        """
        if not name.endswith(".whl"):
            _invalid(name, "it does not end in .whl")
        parts = name[:-4].split("-")
        # A build tag begins with a digit, a Python tag never does: that tells a build tag from a variant label.
        build = parts.pop(2) if len(parts) > 5 and parts[2][:1].isdigit() else ""
        if len(parts) == 6 and _NO_PLATFORM.fullmatch(parts[4]):
            _invalid(name, f"'{shown(parts[2])}' is no build tag: those begin with a digit")
        variant = parts.pop(5) if len(parts) == 6 else None
        if len(parts) != 5:
            _invalid(name, "it needs five parts joined by '-': project, version, Python tag, ABI tag, platform tag")
        if variant is not None and not _TAGS.fullmatch(variant):
            _invalid(name, f"'{shown(variant)}' is no variant label")
        for tags in parts[2:]:
            if not _TAGS.fullmatch(tags):
                _invalid(name, f"'{shown(tags)}' is no set of tags")
        project, version, *tag_sets = parts
        middle = [build] if build else []
        stem = "-".join([project, version, *middle, *tag_sets])
        if not _PLAIN.fullmatch(stem) or "__" in project:
            _check(stem, name)
        python, abi, platform = (tuple(tags.split(".")) for tags in tag_sets)
        return cls(project, version, build, python, abi, platform, variant or "")

    @property
    def name(self) -> str:
        """The file name; of a parsed one, byte for byte the same."""
        parts = [self.project, self.version]
        if self.build:
            parts.append(self.build)
        parts += [".".join(tags) for tags in (self.python_tags, self.abi_tags, self.platform_tags)]
        if self.variant:
            parts.append(self.variant)
        return "-".join(parts) + ".whl"

    @property
    def prefix(self) -> str:
        """The project's name as spelled in the file name: the folder of grafts is `<prefix>.libs`."""
        return self.project

    @property
    def tags(self) -> tuple[str, ...]:
        """The expanded product of the compressed tag sets, as the `Tag` lines of WHEEL spell it."""
        return tuple(
            f"{python}-{abi}-{platform}"
            for python in self.python_tags
            for abi in self.abi_tags
            for platform in self.platform_tags
        )

    def with_platforms(self, tags: Iterable[str]) -> WheelFileName:
        """Return the name with these platform tags instead, sorted, each once."""
        return self._replace(platform_tags=tuple(sorted(set(tags))))


def _check(stem: str, name: str) -> None:
    """Refuse a name that `packaging` refuses; importing it takes a tenth of the time of a `show`."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        parse_wheel_filename(f"{stem}.whl")
    except (InvalidWheelFilename, ValueError) as error:
        _invalid(name, shown(_reason(str(error))))


def _reason(message: str) -> str:
    """Shorten the message of `packaging` to its point."""
    inner = re.search(r"\(([^)]*)\)", message)
    return inner[1] if inner else message.partition(":")[0].lower()


def _invalid(name: str, reason: str) -> NoReturn:
    raise FastwheelError(
        f"'{shown(name)}' is not a valid file name of a wheel: {reason}",
        code="FW200",
        hint="wheels are named project-version[-build]-python-abi-platform.whl; give the file its original name",
    )
