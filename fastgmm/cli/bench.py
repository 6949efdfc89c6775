"""``fastgmm bench``: time of an EM iteration on this machine, beside scikit-learn."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from .._versions import __version__
from .options import file_type, number
from .output_file import add_force

if TYPE_CHECKING:
    from ..benchmark import Shape, Timing
    from .output import Report

#: How the table and the picture mark a row, and what that means.
UNSTEADY_MARK = "!"
UNSTEADY = (
    "some iterations took less than 3/4 of the median. Other processes may have kept the cores "
    "busy."
)

ABOUT = "time EM iterations on this machine, beside scikit-learn"

_DIVISOR, _QUICK_DIVISOR = 4, 20
_LINE_SECONDS = 10.0
_LEGEND = """\
ms: the median EM iteration; ns: of that, for each sample and component. GFLOP/s: useful ones, not
exponentials, nor what responsibilities below 1e-16 do not need; of peak: of the peak above.
"""
_PEER_LEGEND = """\
ratio: scikit-learn's median iteration over fastgmm's; same process, data and start, in turns.
differ: the lower bounds of the two after {} iterations, relative to their size.
"""


def add_options(add: Callable[..., object]) -> None:
    """Declare the options of ``fastgmm bench``."""
    kinds = ("full", "tied", "diag", "spherical")
    add("--quick", action="store_true", help=f"1/{_QUICK_DIVISOR} of the samples, one turn each")
    add("--full-size", action="store_true", help=f"all samples (default: 1/{_DIVISOR})")
    add("--covariance-type", choices=kinds, help="these shapes alone (default: all)")
    add("--dtype", choices=("float32", "float64"), default="float64", help="of the samples")
    jobs = "threads of fastgmm (default: all cores); scikit-learn has no such option for mixtures"
    add("--n-jobs", type=number(int, 1), metavar="N", help=jobs)
    add("--no-peer", action="store_true", help="without scikit-learn")
    add("--json", action="store_true", help="all results as one JSON object instead of the table")
    picture = file_type(".png", ".pdf", ".svg")
    plot = "draw speed-ups and a roofline into a .png, .pdf or .svg file (needs matplotlib)"
    add("--plot", dest="output", type=picture, metavar="FILE", help=plot)
    add_force(add)


def run(args: argparse.Namespace, shapes: "Sequence[Shape] | None" = None) -> None:
    """Measure, and show each row when it is finished.

    Parameters
    ----------
    args : argparse.Namespace
        What ``add_options`` declares, and ``error``.
    shapes : sequence of Shape, optional
        At full size; by default the nine of ``fastgmm.benchmark``.
    """
    if args.quick and args.full_size:
        args.error("--quick does not go with --full-size")
    if args.output is not None:
        from ..displays.axes import check_matplotlib

        check_matplotlib("--plot")
    chosen = _choose(args, shapes)
    progress = _Progress(len(chosen))
    try:
        report = _measure(args, chosen, progress)
    finally:
        progress.close()
    if args.json:
        from .output import finite

        print(json.dumps(finite(report), allow_nan=False))
    if args.output is not None:
        from .bench_picture import draw

        draw(report, args.output)


def _choose(args: argparse.Namespace, shapes: "Sequence[Shape] | None") -> "list[Shape]":
    from ..benchmark import SHAPES

    return [
        shape.divided(_divisor(args))
        for shape in (SHAPES if shapes is None else shapes)
        if args.covariance_type in (None, shape.covariance_type)
    ]


def _divisor(args: argparse.Namespace) -> int:
    return 1 if args.full_size else _QUICK_DIVISOR if args.quick else _DIVISOR


def _measure(args: argparse.Namespace, shapes: "list[Shape]", progress: "_Progress") -> "Report":
    from ..benchmark import N_ITER_PEER

    progress.begin("machine", "the first run also compiles the kernels, about 6 s")
    report = _machine(args)
    table = _columns(with_peer=not args.no_peer)
    show = (lambda _: None) if args.json else progress.print
    show(f"{_header(report, not args.no_peer)}\n\n{_line(table)}")
    for timing in _timings(args, shapes, progress):
        row = _row(timing, report["peak_flops_per_second"])
        report["rows"].append(row)
        show(_line(table, row))
    show(f"\n{_legend(report, N_ITER_PEER, not args.no_peer)}")
    return report


def _legend(report: "Report", n_iter: int, with_peer: bool) -> str:
    text = _LEGEND
    if with_peer:
        text += _PEER_LEGEND.format(n_iter)
    if not all(row["steady"] for row in report["rows"]):
        text += f"{UNSTEADY_MARK}: {UNSTEADY}"
    return text.rstrip()


def _timings(
    args: argparse.Namespace, shapes: "list[Shape]", progress: "_Progress"
) -> "Iterator[Timing]":
    from ..benchmark import time_iterations

    for shape in shapes:
        progress.begin(_describe(shape))
        yield time_iterations(
            shape,
            dtype=args.dtype,
            n_jobs=args.n_jobs,
            n_rounds=1 if args.quick else 2,
            with_peer=not args.no_peer,
            phase=progress.phase,
        )
        progress.advance()


def _describe(shape: "Shape") -> str:
    return (
        f"{shape.covariance_type} {shape.n_samples:,} x {shape.n_features} K={shape.n_components}"
    )


def _machine(args: argparse.Namespace) -> "Report":
    from threadpoolctl import threadpool_info

    from .._kernels import backend_info
    from .._kernels.threads import count_threads
    from .._versions import versions
    from ..benchmark import measure_bandwidth, measure_peak

    peak, bandwidth = measure_peak(args.n_jobs), measure_bandwidth(args.n_jobs)
    info = backend_info()
    blas = [library for library in threadpool_info() if library["user_api"] == "blas"]
    return {
        "versions": {name: text for name, text in versions().items() if name not in info},
        "backend_info": info,
        "blas": blas,
        "dtype": args.dtype,
        "threads": count_threads(args.n_jobs),
        "divisor": _divisor(args),
        "peak_flops_per_second": peak,
        "memory_bytes_per_second": bandwidth,
        "rows": [],
    }


def _row(timing: "Timing", peak: float) -> "Report":
    n_pairs = timing.shape.n_samples * timing.shape.n_components
    return {
        **timing.shape._asdict(),
        "seconds_per_iteration": timing.median,
        "ns_per_sample_and_component": 1e9 * timing.median / n_pairs,
        "significant_share": timing.significant,
        "flops_per_second": timing.flops / timing.median,
        "fraction_of_peak": timing.flops / timing.median / peak,
        "flops_per_byte": timing.flops_per_byte,
        "peer_seconds_per_iteration": timing.peer_median,
        "speed_up": timing.speed_up,
        "lower_bound_difference": timing.difference,
        "steady": timing.is_steady,
    }


def _header(report: "Report", with_peer: bool) -> str:
    peer = f"scikit-learn {report['versions']['scikit-learn']}, " if with_peer else ""
    info = report["backend_info"]
    blas = {f"{library['internal_api']} {library['version']}" for library in report["blas"]}
    size = "the full number of samples"
    if report["divisor"] > 1:
        size = f"1/{report['divisor']} of {size} (--full-size), but at least 5 d K"
    return (
        f"fastgmm {__version__}, {info['backend']} ({info['instruction_set']}), "
        f"{report['threads']} threads; {peer}{', '.join(sorted(blas))}\n"
        f"{1e-9 * report['peak_flops_per_second']:.0f} GFLOP/s of multiply-adds, "
        f"{1e-9 * report['memory_bytes_per_second']:.0f} GB/s from memory\n"
        f"{report['dtype']}, {size}"
    )


class _Column(NamedTuple):
    title: str
    width: int
    key: str
    format: str
    scale: float | None = None

    def text(self, value: Any) -> str:
        return format(value if self.scale is None else self.scale * value, self.format)


def _columns(with_peer: bool) -> list[_Column]:
    own = [
        _Column("covariance", -10, "covariance_type", "s"),
        _Column("n", 11, "n_samples", ",d"),
        _Column("d", 5, "n_features", "d"),
        _Column("K", 5, "n_components", "d"),
        _Column("ms", 9, "seconds_per_iteration", ".2f", 1e3),
        _Column("ns", 8, "ns_per_sample_and_component", ".2f"),
        _Column("GFLOP/s", 9, "flops_per_second", ".1f", 1e-9),
        _Column("of peak", 9, "fraction_of_peak", ".0%"),
    ]
    peer = [
        _Column("scikit-learn ms", 17, "peer_seconds_per_iteration", ",.0f", 1e3),
        _Column("ratio", 7, "speed_up", ".1f"),
        _Column("differ", 9, "lower_bound_difference", ".0e"),
    ]
    return own + peer if with_peer else own


def _line(columns: list[_Column], row: "Report | None" = None) -> str:
    """Return a line of the table, or its head."""
    texts = [column.title if row is None else column.text(row[column.key]) for column in columns]
    cells = [
        text.ljust(-column.width) if column.width < 0 else text.rjust(column.width)
        for text, column in zip(texts, columns, strict=True)
    ]
    return "".join([*cells, "" if row is None or row["steady"] else f" {UNSTEADY_MARK}"])


class _Progress:
    """Progress on stderr: a bar on a terminal, elsewhere a line every 10 s."""

    def __init__(self, total: int) -> None:
        from ..em.progress_bar import open_bar
        from .progress import or_hint

        self._title = ""
        self._last_line = perf_counter()
        self._bar = or_hint(lambda: open_bar(total)) if sys.stderr.isatty() else None
        if self._bar is not None:
            self._bar.bar_format = "{n_fmt}/{total_fmt} |{bar}| {elapsed} {desc}"

    def begin(self, title: str, text: str = "") -> None:
        self._title = title
        self.phase(text)

    def phase(self, text: str) -> None:
        line = f"{self._title}{', ' if text else ''}{text}"
        if self._bar is not None:
            self._bar.set_description_str(line)
        elif perf_counter() - self._last_line > _LINE_SECONDS:
            self._last_line = perf_counter()
            print(f"fastgmm: {line}", file=sys.stderr)

    def print(self, text: str) -> None:
        """Print on stdout, even if the bar is on the same terminal."""
        if self._bar is not None:
            self._bar.clear()
        print(text, flush=True)

    def advance(self) -> None:
        if self._bar is not None:
            self._bar.update()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
