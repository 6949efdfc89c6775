"""The table of components: weight, size, mean and deviation of each feature in its own units."""

from html import escape
from math import floor, log10
from typing import Any

import numpy as np

from .._kernels.layout import Array
from .parameters import MixtureParameters

_SHOWN_COMPONENTS = 10
_SHOWN_IN_HTML = 50
_TENTHS_BELOW = 1000
_WIDTH = 96
_NAME_WIDTH = 16
_FIXED_DIGITS = 15
_EXPONENT_DIGITS = 6


def describe_components(
    parameters: MixtureParameters, sizes: Array | None = None
) -> list[dict[str, Any]]:
    """Return the components by falling weight.

    Parameters
    ----------
    parameters : MixtureParameters
    sizes : array of shape (n_components,), optional
        Expected number of samples of each component, where it is known.

    Returns
    -------
    list of dict
        With label, weight, size (or None), mean and standard_deviation.
    """
    variances = parameters.covariance_model.variances(
        parameters.covariances, *parameters.means.shape
    )
    deviations = np.sqrt(variances)
    return [
        {
            "label": int(k),
            "weight": float(parameters.weights[k]),
            "size": None if sizes is None else float(sizes[k]),
            "mean": parameters.means[k].tolist(),
            "standard_deviation": deviations[k].tolist(),
        }
        for k in np.argsort(-parameters.weights, kind="stable")
    ]


def format_components(components: list[dict[str, Any]], names: list[str] | None) -> str:
    """Return the table of the heaviest components; labels are those that predict returns.

    Parameters
    ----------
    components : list of dict
        From `describe_components`.
    names : list of str or None
        Of the features.
    """
    shown = components[:_SHOWN_COMPONENTS]
    lines = _first_columns(shown)
    n_features = len(shown[0]["mean"])
    for i in range(n_features):
        name = f"feature {i + 1}" if names is None else names[i]
        block = _block(name, shown, i)
        if i > 0 and len(lines[1]) + len(block[0]) > _WIDTH:
            lines = [lines[0], *(f"{line} ..." for line in lines[1:])]
            break
        lines = [
            line.ljust(len(lines[1])) + cells for line, cells in zip(lines, block, strict=True)
        ]
    hidden = len(components) - len(shown)
    return "\n".join([*lines, f"... and {hidden} more"] if hidden else lines)


def html_components(components: list[dict[str, Any]], names: list[str]) -> str:
    """Return the table of the heaviest components as HTML, with all features.

    Parameters
    ----------
    components : list of dict
        From `describe_components`.
    names : list of str
        Of the features.
    """
    shown = components[:_SHOWN_IN_HTML]
    with_size = shown[0]["size"] is not None
    first = ["label", "weight", *(["size"] if with_size else [])]
    columns = [[str(row["label"]) for row in shown], [f"{row['weight']:.6f}" for row in shown]]
    columns += [[format_size(row["size"]) for row in shown]] if with_size else []
    for i in range(len(names)):
        columns += [cells for _, cells in _numbers(shown, i)]
    top = "".join(f'<th rowspan="2">{head}</th>' for head in first)
    top += "".join(f'<th colspan="2">{escape(name)}</th>' for name in names)
    heads = "".join(f"<th>{head}</th>" for head, _ in _numbers(shown, 0)) * len(names)
    rows = [
        f"<tr><th>{label}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        for label, *cells in zip(*columns, strict=True)
    ]
    hidden = len(components) - len(shown)
    more = f"<p>... and {hidden} more</p>" if hidden else ""
    head = f"<thead><tr>{top}</tr><tr>{heads}</tr></thead>"
    return f"<table>{head}<tbody>{''.join(rows)}</tbody></table>{more}"


def format_size(size: float) -> str:
    """Format an expected number of samples: to a tenth below 1000, else to the unit."""
    return f"{size:,.1f}" if size < _TENTHS_BELOW else f"{size:,.0f}"


def _first_columns(components: list[dict[str, Any]]) -> list[str]:
    """Return the lines of label, weight and, where it is known, size."""
    lines = ["", "label    weight"]
    lines += [f"{row['label']:>5}{row['weight']:>10.6f}" for row in components]
    if components[0]["size"] is None:
        return lines
    sizes = ["", "size", *(format_size(row["size"]) for row in components)]
    width = max(map(len, sizes)) + 2
    lines = [line + size.rjust(width) for line, size in zip(lines, sizes, strict=True)]
    return ["", *lines[1:]]


def _block(name: str, components: list[dict[str, Any]], i: int) -> list[str]:
    """Return the lines of one feature: its name, the heads, and a mean and deviation in each."""
    columns = [_aligned(head, cells) for head, cells in _numbers(components, i)]
    lines = ["".join(cells) for cells in zip(*columns, strict=True)]
    name = "".join(letter if letter.isprintable() else " " for letter in name)
    name = name if len(name) <= _NAME_WIDTH else f"{name[: _NAME_WIDTH - 2]}.."
    width = max(len(lines[0]), len(name) + 2)
    return [line.rjust(width) for line in (name, *lines)]


def _numbers(components: list[dict[str, Any]], i: int) -> list[tuple[str, list[str]]]:
    """Return the head and the formatted numbers of the means and deviations of a feature."""
    means = [row["mean"][i] for row in components]
    deviations = [row["standard_deviation"][i] for row in components]
    finest = min((value for value in deviations if value > 0), default=1.0)
    return [("mean", _formatted(means, finest)), ("std. dev.", _formatted(deviations, finest))]


def _aligned(head: str, texts: list[str]) -> list[str]:
    width = max(map(len, (head, *texts))) + 2
    return [text.rjust(width) for text in (head, *texts)]


def _formatted(values: list[float], finest: float) -> list[str]:
    """Format numbers of one unit so that a difference of a hundredth of ``finest`` shows."""
    largest = max(map(abs, values))
    if largest == 0:
        return ["0"] * len(values)
    decimals, n_digits = 2 - floor(log10(finest)), floor(log10(largest)) + 1
    if largest >= 1e-3 and max(n_digits, 1) + max(decimals, 0) <= _FIXED_DIGITS:
        return [f"{value:.{max(decimals, 0)}f}" for value in values]
    significant = min(max(n_digits + decimals, 3), _EXPONENT_DIGITS)
    return [f"{value:.{significant - 1}e}" for value in values]
