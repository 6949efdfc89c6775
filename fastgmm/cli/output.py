"""Reports of the command line, as dictionaries and as text."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .._kernels.layout import Array
from ..model import criteria
from ..model.summary import align, components_text, count, format_outcome, format_shape

if TYPE_CHECKING:
    from .progress import Progress

Report = dict[str, Any]


def evaluate(model: Any, X: Any, sample_weight: Array | None, n_samples: int) -> Report:
    """Return log-likelihood, AIC and BIC of the model's parameters, from one pass over X."""
    log_likelihood, total = model._log_likelihood("score", X, sample_weight)
    mean = log_likelihood / total
    return {
        "n_samples": n_samples,
        "sum_of_weights": total,
        "mean_log_likelihood": mean,
        "log_likelihood": mean * total,
        "aic": criteria.aic(mean * total, model.n_parameters_),
        "bic": criteria.bic(mean * total, model.n_parameters_, total),
    }


def describe_speed(progress: "Progress", n_components: int) -> Report | None:
    """Return the median time of an iteration, in several units; None without iterations."""
    if not progress.seconds:
        return None
    seconds = max(float(np.median(progress.seconds)), 1e-9)
    return {
        "seconds_per_iteration": seconds,
        "ns_per_sample_and_component": 1e9 * seconds / (progress.n_samples * n_components),
        "samples_per_second": progress.n_samples / seconds,
    }


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
    shape = f"{count(data['n_samples'], 'sample')} x {count(data['n_features'], 'feature')}"
    rows = [("data", f"{data['source']}: {shape}, {data['dtype']}")]
    if data["weights"] is not None:
        rows.append(("weights", f"{data['weights']}: sum {score['sum_of_weights']:,.10g}"))
    if report["selection"] is not None:
        rows.append(("chosen", _format_selection(report["selection"])))
    if report["parameters"]["n_init"] > 1:
        rows.append(("starts", f"{report['parameters']['n_init']}, of which the best is kept"))
    rows += [
        ("model", format_shape(report["model"])),
        ("outcome", format_outcome(report["model"])),
        *_format_score(score, ", of the final parameters"),
        *_format_times(report["seconds"], report["speed"]),
    ]
    if report["output"] is not None:
        rows.append(("saved to", report["output"]))
    return f"{align(rows)}\n\n{components_text(report['model'])}"


def _format_selection(selection: Report) -> str:
    """Return the best number of components and the next one."""
    compared = [each for each in selection["candidates"] if each["fault"] is None]
    compared.sort(key=lambda each: each["bic"])
    best, *others = (f"K = {each['n_components']} (BIC {each['bic']:,.2f})" for each in compared)
    return f"{best}, before {others[0]}" if others else best


def format_score(score: Report) -> str:
    """Return what ``fastgmm score`` prints."""
    rows = [("samples", f"{score['n_samples']:,}")]
    if score["sum_of_weights"] != score["n_samples"]:
        rows.append(("sum of weights", f"{score['sum_of_weights']:,.10g}"))
    return align([*rows, *_format_score(score)])


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
