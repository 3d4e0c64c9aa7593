"""One picture of all jobs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wheelbench.report import OURS
from wheelbench.runner import Result, Row

__all__ = ["draw"]

#: Program ↦ colour, mark, size of the mark.
_STYLES = {
    "repairwheel": ("#b8bec7", "D", 30),
    "auditwheel": ("#6b7280", "s", 38),
    "fastwheel (Python)": ("#f2b36b", "o", 40),
    "fastwheel (cached)": ("#1c7ed6", "o", 40),
    "fastwheel": ("#d9480f", "o", 58),
    "floor with checks": ("#9aa3ae", "|", 130),
    "floor": ("#1f2937", "|", 130),
}


def _figure(row: Row, panel: str) -> float:
    return {"wall": row.median.wall, "cpu": row.median.cpu, "memory": row.median.memory / 2**20}[panel]


def draw(results: Sequence[Result], target: Path) -> None:
    """Write the chart as SVG: for each job a line, for each program a mark; the same figures give the same file."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter, NullFormatter

    shown = [result for result in results if result.row(OURS) is not None]
    styles = {tool: style for tool, style in _STYLES.items() if any(result.row(tool) for result in shown)}
    labels = [f"{result.title}  {result.key}".replace("`", "") for result in shown]
    settings = {"svg.hashsalt": "fastwheel", "svg.fonttype": "path", "font.size": 9, "axes.axisbelow": True}
    with mpl.rc_context(settings):
        figure, axes = plt.subplots(1, 4, figsize=(13, 0.8 + 0.36 * len(shown)), sharey=True, layout="constrained")
        panels = (("wall", "wall time, seconds"), ("cpu", "CPU time, seconds"), ("memory", "peak memory, MiB"))
        for axis, (panel, title) in zip(axes, panels, strict=False):
            for tool, (colour, mark, size) in styles.items():
                points = [(row, place) for place, one in enumerate(shown) if (row := one.row(tool)) is not None]
                values = [_figure(row, panel) for row, _ in points]
                places = [place for _, place in points]
                axis.scatter(values, places, size, colour, marker=mark, label=tool, linewidths=2 if mark == "|" else 0)
            axis.set_xscale("log")
            axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.xaxis.set_minor_formatter(NullFormatter())
            axis.set_title(title, fontsize=9)
        _sizes(axes[3], shown)
        for axis in axes:
            axis.set_yticks(range(len(shown)), labels)
            axis.grid(color="#e5e7eb", linewidth=0.6)
            axis.tick_params(which="both", length=0)
            axis.spines[:].set_visible(False)
        axes[0].invert_yaxis()
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles[::-1], names[::-1], loc="outside upper center", ncols=len(names), frameon=False)
        figure.savefig(target, metadata={"Date": None, "Creator": None}, facecolor="white")
        plt.close(figure)


def _sizes(axis: object, shown: Sequence[Result]) -> None:
    """Output sizes, in per cent of auditwheel's."""
    from matplotlib.axes import Axes

    assert isinstance(axis, Axes)
    for tool, (colour, mark, size) in _STYLES.items():
        points = []
        for place, result in enumerate(shown):
            row, peer = result.row(tool), result.row("auditwheel")
            if row is not None and peer is not None and row.size and peer.size:
                points.append((100 * row.size / peer.size, place))
        values, places = [value for value, _ in points], [place for _, place in points]
        axis.scatter(values, places, size, colour, marker=mark, linewidths=2 if mark == "|" else 0)
    axis.set_title("output size, % of auditwheel's", fontsize=9)
