"""Whether what a repair adds has room beside what the wheel holds: names that are taken, by whatever it may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastwheel.errors import FastwheelError
from fastwheel.wheel.layout import InstallLayout
from fastwheel.wheel.names import file_and_folder, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastwheel.plan import Plan
    from fastwheel.survey import Unit
    from fastwheel.wheel.wheel import Wheel

__all__ = ["check_clashes"]


def check_clashes(wheel: Wheel, units: Sequence[Unit], plan: Plan) -> None:
    """Refuse a plan whose new files would fall on files of the wheel.

    A graft's name may be taken by that same graft, which an earlier repair has brought: by a library of that soname.

    Args:
        wheel: the input, open.
        units: its ELF files.
        plan: what is to be done.

    Raises:
        FastwheelError: FW504 a name is taken; FW209 two files would be installed to the same place.
    """
    names = wheel.archive.names
    sonames = {unit.member: unit.facts.soname for unit in units}
    for graft in plan.grafts:
        if graft.member in names and sonames.get(graft.member) != graft.name:
            _taken(f"the wheel already holds '{shown(graft.member)}', which is not the library of that name")
    wanted = [graft.member for graft in plan.grafts]
    wanted += [name for _, name in plan.extras]
    wanted += [patch.moved_to for patch in plan.patches if patch.moved_to is not None]
    added = [name for name in dict.fromkeys(wanted) if name not in names]
    if not added:
        return
    after = [*names, *added]
    clash = file_and_folder(after)
    if clash is not None:
        _taken(f"'{shown(clash[0])}' is a file, but '{shown(clash[1])}' needs a folder of that name")
    InstallLayout(wheel.data_folder, after)


def _taken(message: str) -> None:
    raise FastwheelError(message, code="FW504", hint="choose another folder for grafts with --lib-sdir")
