"""The picture of ``fastgmm bench``: speed-ups over scikit-learn, and a roofline."""

from math import atan2, degrees, exp, log
from typing import TYPE_CHECKING, Any

from .bench import UNSTEADY, UNSTEADY_MARK
from .output import Report, digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLORS = {"full": "#0072B2", "tied": "#009E73", "diag": "#D55E00", "spherical": "#CC79A7"}
_GREY = "#555555"
_LEAST_ROWS = 4
#: What the label of a bar takes, of the width of the axes.
_ROOM = 0.3


def draw(report: Report, path: str) -> None:
    """Draw what ``fastgmm bench`` measured into a file.

    Parameters
    ----------
    report : dict
        As `picture` takes it.
    path : str
        File to write.
    """
    picture(report).savefig(path, dpi=200)


def picture(report: Report) -> "Figure":
    """Return the picture of what ``fastgmm bench`` measured.

    Parameters
    ----------
    report : dict
        With ``rows``, ``peak_flops_per_second`` and ``memory_bytes_per_second``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    rows = report["rows"]
    with_peer = all(row["speed_up"] is not None for row in rows)
    with rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(11, 2 + 0.27 * max(len(rows), _LEAST_ROWS)), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
        _draw_bars(left, rows, with_peer)
        _draw_roofline(right, report)
        figure.suptitle(_title(report, with_peer), fontsize=9, color=_GREY)
        if not all(row["steady"] for row in rows):
            text = f"{UNSTEADY_MARK}: {UNSTEADY}"
            figure.supxlabel(text, fontsize=8, color=_GREY, x=0.01, ha="left")
    return figure


def _title(report: Report, with_peer: bool) -> str:
    info, versions = report["backend_info"], report["versions"]
    peer = f"; scikit-learn {versions['scikit-learn']}" if with_peer else ""
    return (
        f"fastgmm {versions['fastgmm']}, {info['backend']} ({info['instruction_set']}), "
        f"{report['threads']} threads, {report['dtype']}{peer}"
    )


def _draw_bars(axes: Any, rows: list[Report], with_peer: bool) -> None:
    """Draw the speed-ups or, without scikit-learn, the times themselves.

    Speed-ups are factors: their bars begin at 1, on a logarithmic axis, where one that is large
    leaves the others legible.
    """
    times = [1e3 * row["seconds_per_iteration"] for row in rows]
    values = [row["speed_up"] for row in rows] if with_peer else times
    places = range(1, len(rows) + 1)
    start = 1.0 if with_peer else 0.0
    widths = [value - start for value in values]
    bars = axes.barh(places, widths, left=start, color=[_color(row) for row in rows], height=0.7)
    if with_peer:
        _scale_to_factors(axes, values)
    texts = [f"{digits(time)} ms" for time in times]
    if with_peer:
        texts = [f"{digits(value)}×  ({text})" for value, text in zip(values, texts, strict=True)]
    axes.bar_label(bars, texts, padding=3, fontsize=8)
    for place, row in zip(places, rows, strict=True):
        _number(axes, place, row, (-0.032, place), axes.get_yaxis_transform())
    axes.set_yticks(places, [_name(row) for row in rows])
    axes.tick_params(axis="y", length=0, pad=20)
    axes.set_ylim(max(len(rows), _LEAST_ROWS) + 0.6, 0.4)
    if not with_peer:
        axes.margins(x=0.28)
    axes.set_title("One EM iteration", loc="left", fontsize=10, weight="bold")
    axes.set_xlabel("Speed-up over scikit-learn (and fastgmm's time)" if with_peer else "Time (ms)")


def _scale_to_factors(axes: Any, values: list[float]) -> None:
    """Make the axis logarithmic, with room for the labels of bars on either side of 1."""
    low, high = min(1.0, *values), max(2.0, *values)
    left, right = (_ROOM if low < 1.0 else 0.0), _ROOM
    width = log(high / low) / (1.0 - left - right)
    axes.set_xscale("log")
    axes.set_xlim(low * exp(-left * width), high * exp(right * width))
    axes.axvline(1.0, color=_GREY, lw=0.8)
    axes.xaxis.set_major_formatter("{x:g}")


def _draw_roofline(axes: Any, report: Report) -> None:
    """Draw each shape under the lower of two roofs: multiply-adds, and bytes read from memory."""
    rows = report["rows"]
    peak = 1e-9 * report["peak_flops_per_second"]
    bandwidth = 1e-9 * report["memory_bytes_per_second"]
    ridge = peak / bandwidth
    points = [(row["flops_per_byte"], 1e-9 * row["flops_per_second"]) for row in rows]
    low = min(ridge / 10, *(x / 2 for x, _ in points))
    high = max(ridge * 10, *(x * 2 for x, _ in points))
    axes.loglog([low, ridge, high], [low * bandwidth, peak, peak], color="black", lw=1.5)
    axes.set_xlim(low, high)
    axes.set_ylim(min(low * bandwidth, *(y for _, y in points)) / 1.7, peak * 2)
    _label_roofs(axes, low, high, peak, bandwidth)
    for i, (row, point) in enumerate(zip(rows, points, strict=True), start=1):
        _number(axes, i, row, point, axes.transData)
    axes.grid(which="major", color="#dddddd", lw=0.6)
    axes.set_xlabel("Useful FLOP per byte of X, which an iteration reads once")
    axes.set_ylabel("Useful GFLOP/s")
    axes.set_title("Roofline", loc="left", fontsize=10, weight="bold")


def _label_roofs(axes: Any, low: float, high: float, peak: float, bandwidth: float) -> None:
    style = {"color": _GREY, "fontsize": 8}
    axes.text(high / 1.05, peak * 1.08, f"multiply-adds: {peak:.3g} GFLOP/s", ha="right", **style)
    # a line of slope 1 in both logarithms: its direction in data coordinates is that of (x, y)
    x, y = low * 1.3, low * 1.3 * bandwidth * 1.15
    axes.text(
        x, y, f"memory: {bandwidth:.3g} GB/s", rotation=degrees(atan2(y, x)),
        rotation_mode="anchor", transform_rotates_text=True, **style,
    )  # fmt: skip


def _number(axes: Any, i: int, row: Report, point: tuple[float, float], transform: Any) -> None:
    """Draw the number of a row on a disk: it stands for the row in both panels."""
    style = {"transform": transform, "clip_on": False}
    axes.plot(*point, "o", ms=11, color=_color(row), mec="white", zorder=3, **style)
    axes.text(
        *point, str(i), ha="center", va="center_baseline", color="white", fontsize=7.5,
        weight="bold", zorder=4, **style,
    )  # fmt: skip


def _name(row: Report) -> str:
    size = f"{row['n_samples']:,} × {row['n_features']}"
    mark = "" if row["steady"] else f" {UNSTEADY_MARK}"
    return f"{row['covariance_type']}  {size}, K = {row['n_components']}{mark}"


def _color(row: Report) -> str:
    return _COLORS[row["covariance_type"]]
