"""Output of the command line: progress, and reports as dictionaries and as text."""

import math
import sys
from collections.abc import Callable
from shutil import get_terminal_size
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._kernels.layout import Array
from ..em.result import Iteration
from ..model import criteria

_LINE_SECONDS = 10.0
_BAR_COLUMNS = 96
_SHOWN_COMPONENTS = 10
_SHOWN_FEATURES = 5
_NUMBERS_WIDTH = 66

Report = dict[str, Any]


class Progress:
    """Phases and iterations on stderr: a bar on a terminal, elsewhere a line every 10 s.

    Attributes
    ----------
    n_samples : int
        How many an iteration reads.
    seconds : list of float
        Wall time of each iteration so far, over all starts.
    """

    def __init__(self, quiet: bool, max_iter: int, n_init: int) -> None:
        self.n_samples = 0
        self.seconds: list[float] = []
        self._n_init = n_init
        self._start = 0
        self._quiet = quiet
        self._last_line = perf_counter()
        self._bar = None if quiet or not sys.stderr.isatty() else open_bar(max_iter)

    def phase(self, text: str) -> None:
        """Show what is done before the first iteration."""
        if self._bar is not None:
            self._bar.set_description_str(text)

    def __call__(self, iteration: Iteration) -> None:
        """Show an iteration."""
        self.seconds.append(iteration.seconds)
        self._start += iteration.number == 1
        if self._bar is not None:
            self._advance(self._bar, iteration)
        elif not self._quiet and perf_counter() - self._last_line > _LINE_SECONDS:
            self._last_line = perf_counter()
            print(
                f"fastgmm: {self._title()}, iteration {iteration.number}: {self._state(iteration)}",
                file=sys.stderr,
            )

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()

    def _advance(self, bar: Any, iteration: Iteration) -> None:
        bar.set_postfix_str(self._state(iteration), refresh=False)
        if iteration.number == 1:
            bar.bar_format = "{desc} {n_fmt}/{total_fmt} |{bar}| {elapsed}{postfix}"
            bar.set_description_str(self._title(), refresh=False)
            bar.reset()
        bar.update()

    def _title(self) -> str:
        return "EM" if self._n_init == 1 else f"start {self._start}/{self._n_init}"

    def _state(self, iteration: Iteration) -> str:
        change = f" ({iteration.change:+.1e})" if math.isfinite(iteration.change) else ""
        rate = 1e-6 * self.n_samples / max(iteration.seconds, 1e-9)
        return f"log-likelihood {iteration.lower_bound:.5f}{change}, {rate:.3f} M samples/s"


def open_bar(total: int) -> Any:
    """Return a bar on stderr, or None, with a hint, where tqdm is missing."""
    try:
        from tqdm import tqdm
    except ImportError:
        print("fastgmm: for a progress bar: pip install 'fastgmm[cli]'", file=sys.stderr)
        return None
    # tqdm shows nothing on a terminal that does not tell its size; get_terminal_size falls back to
    # 80 x 24
    columns, lines = get_terminal_size()
    shape = {"ncols": min(_BAR_COLUMNS, columns), "nrows": lines}
    return tqdm(total=total, file=sys.stderr, leave=False, bar_format="{desc}", **shape)


def evaluate(model: Any, X: NDArray[Any], sample_weight: Array | None) -> Report:
    """Return log-likelihood, AIC and BIC of the model's parameters, from one pass over X."""
    mean = float(model.score(X, sample_weight=sample_weight))
    total = float(len(X) if sample_weight is None else np.sum(sample_weight, dtype=np.float64))
    return {
        "n_samples": len(X),
        "sum_of_weights": total,
        "mean_log_likelihood": mean,
        "log_likelihood": mean * total,
        "aic": criteria.aic(mean * total, model._n_parameters()),
        "bic": criteria.bic(mean * total, model._n_parameters(), total),
    }


def describe_model(model: Any) -> Report:
    """Return size, outcome and components (by falling weight) of a fitted model."""
    deviations = _standard_deviations(model)
    return {
        "class": type(model).__name__,
        "n_components": model.n_components,
        "n_features": model.n_features_in_,
        "covariance_type": model.covariance_type,
        "n_parameters": model._n_parameters(),
        "feature_names": list(getattr(model, "feature_names_in_", [])) or None,
        "converged": bool(model.converged_),
        "n_iter": model.n_iter_,
        "tol": model.tol,
        "lower_bound": model.lower_bound_,
        "last_change": model.history_[-1].change if model.history_ else None,
        "components": [
            {
                "label": int(k),
                "weight": float(model.weights_[k]),
                "standard_deviation": float(deviations[k]),
                "mean": model.means_[k].tolist(),
            }
            for k in np.argsort(-model.weights_, kind="stable")
        ],
    }


def describe_speed(progress: Progress, n_components: int) -> Report | None:
    """Return the median time of an iteration, in several units; None without iterations."""
    if not progress.seconds:
        return None
    seconds = max(float(np.median(progress.seconds)), 1e-9)
    return {
        "seconds_per_iteration": seconds,
        "ns_per_sample_and_component": 1e9 * seconds / (progress.n_samples * n_components),
        "samples_per_second": progress.n_samples / seconds,
    }


_MEAN_VARIANCE: dict[str, Callable[[Array], Any]] = {
    "full": lambda covariances: np.einsum("kii->k", covariances) / covariances.shape[1],
    "tied": lambda covariance: np.trace(covariance) / len(covariance),
    "diag": lambda variances: variances.mean(axis=1),
    "spherical": lambda variances: variances,
}


def _standard_deviations(model: Any) -> Array:
    """Return the root of the mean variance over the features, for each component."""
    variances = _MEAN_VARIANCE[model.covariance_type](model.covariances_)
    return np.broadcast_to(np.sqrt(variances), (model.n_components,))


def finite(value: Any) -> Any:
    """Replace numbers that JSON does not know by None."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def format_fit(report: Report) -> str:
    """Return the summary of ``fastgmm fit``."""
    data, score = report["data"], report["score"]
    shape = f"{_count(data['n_samples'], 'sample')} x {_count(data['n_features'], 'feature')}"
    rows = [("data", f"{data['source']}: {shape}, {data['dtype']}")]
    if data["weights"] is not None:
        rows.append(("weights", f"{data['weights']}: sum {score['sum_of_weights']:,.10g}"))
    if report["parameters"]["n_init"] > 1:
        rows.append(("starts", f"{report['parameters']['n_init']}, of which the best is kept"))
    rows += [
        ("model", _format_size(report["model"])),
        ("outcome", _format_outcome(report["model"])),
        *_format_score(score, ", of the final parameters"),
        *_format_times(report["seconds"], report["speed"]),
    ]
    if report["output"] is not None:
        rows.append(("saved to", report["output"]))
    return f"{_align(rows)}\n\n{_format_components(report['model'])}"


def format_model(path: str, model: Report) -> str:
    """Return the summary of ``fastgmm info MODEL``."""
    rows = [
        ("file", path),
        ("model", f"{model['class']}, {_format_size(model)}"),
        ("features", _shorten(", ".join(model["feature_names"] or [str(model["n_features"])]), 75)),
        ("outcome", _format_outcome(model)),
        ("lower bound", f"{model['lower_bound']:.6f} nats per sample, before the last update"),
    ]
    return f"{_align(rows)}\n\n{_format_components(model)}"


def format_score(score: Report) -> str:
    """Return what ``fastgmm score`` prints."""
    rows = [("samples", f"{score['n_samples']:,}")]
    if score["sum_of_weights"] != score["n_samples"]:
        rows.append(("sum of weights", f"{score['sum_of_weights']:,.10g}"))
    return _align([*rows, *_format_score(score)])


def _align(rows: list[tuple[str, str]]) -> str:
    width = max(len(label) for label, _ in rows) + 2
    return "\n".join(f"{label:<{width}}{text}" for label, text in rows)


def _shorten(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 2]}.."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _format_size(model: Report) -> str:
    components = _count(model["n_components"], "component")
    parameters = _count(model["n_parameters"], "free parameter")
    return f"{components}, {model['covariance_type']} covariance, {parameters}"


def _format_outcome(model: Report) -> str:
    if model["last_change"] is None:
        return "starting point, no iterations"
    state = "converged" if model["converged"] else "not converged"
    change = f"last change {model['last_change']:.2g}, tol {model['tol']:g}"
    return f"{state} after {_count(model['n_iter'], 'iteration')} ({change})"


def _format_score(score: Report, note: str = "") -> list[tuple[str, str]]:
    mean = f"{score['mean_log_likelihood']:.6f} nats per sample{note}"
    aic, bic = (f"{score[key]:,.2f}" for key in ("aic", "bic"))
    width = max(len(aic), len(bic))
    return [("mean log-likelihood", mean), ("AIC", aic.rjust(width)), ("BIC", bic.rjust(width))]


def _format_times(seconds: Report, speed: Report | None) -> list[tuple[str, str]]:
    phases = ", ".join(f"{name} {value:.2f} s" for name, value in seconds.items())
    if speed is None:
        return [("time", phases)]
    each = (
        f"{digits(1e3 * speed['seconds_per_iteration'])} ms, "
        f"{digits(speed['ns_per_sample_and_component'])} ns per sample and component, "
        f"{digits(1e-6 * speed['samples_per_second'])} M samples/s"
    )
    return [("time", phases), ("median iteration", each)]


def digits(value: float) -> str:
    """Format with three significant digits, and never an exponent for large values."""
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _format_components(model: Report) -> str:
    """Return the table of the heaviest components; labels are those that predict returns."""
    n_shown = min(model["n_features"], _SHOWN_FEATURES)
    names = (model["feature_names"] or [f"mean[{i}]" for i in range(n_shown)])[:n_shown]
    width = max(12, min(_NUMBERS_WIDTH // n_shown, max(map(len, names)) + 2))
    cut = " ..." if model["n_features"] > n_shown else ""
    heads = [f"{_shorten(name, width - 2):>{width}}" for name in names]
    lines = [f"label    weight   std. dev.{''.join(heads)}{cut}"]
    shown = model["components"][:_SHOWN_COMPONENTS]
    columns = [_fixed([row["standard_deviation"] for row in shown], 12)]
    columns += [_fixed([row["mean"][i] for row in shown], width) for i in range(n_shown)]
    for row, numbers in zip(shown, zip(*columns, strict=True), strict=True):
        lines.append(f"{row['label']:>5}{row['weight']:>10.6f}{''.join(numbers)}{cut}")
    hidden = len(model["components"]) - len(shown)
    return "\n".join([*lines, f"... and {hidden} more"] if hidden else lines)


def _fixed(values: list[float], width: int) -> list[str]:
    """Format a column with five significant digits of its largest number."""
    largest = max(map(abs, values))
    if not 1e-4 <= largest < 1e8:
        return [f"{value:>{width}.4g}" for value in values]
    decimals = max(4 - math.floor(math.log10(largest)), 0)
    return [f"{value:>{width}.{decimals}f}" for value in values]
