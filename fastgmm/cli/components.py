"""The table of components: weight, and mean and deviation of each feature in its own units."""

from math import floor, log10
from typing import Any

import numpy as np

_SHOWN_COMPONENTS = 10
_WIDTH = 96
_NAME_WIDTH = 16
_FIXED_DIGITS = 15
_EXPONENT_DIGITS = 6


def describe_components(parameters: Any) -> list[dict[str, Any]]:
    """Return the components by falling weight.

    Parameters
    ----------
    parameters : MixtureParameters
    """
    variances = parameters.covariance_model.variances(
        parameters.covariances, *parameters.means.shape
    )
    deviations = np.sqrt(variances)
    return [
        {
            "label": int(k),
            "weight": float(parameters.weights[k]),
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
    lines = ["", "label    weight"]
    lines += [f"{row['label']:>5}{row['weight']:>10.6f}" for row in shown]
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


def _block(name: str, components: list[dict[str, Any]], i: int) -> list[str]:
    """Return the lines of one feature: its name, the heads, and a mean and deviation in each."""
    means = [row["mean"][i] for row in components]
    deviations = [row["standard_deviation"][i] for row in components]
    finest = min((value for value in deviations if value > 0), default=1.0)
    columns = [_aligned("mean", means, finest), _aligned("std. dev.", deviations, finest)]
    lines = ["".join(cells) for cells in zip(*columns, strict=True)]
    name = "".join(letter if letter.isprintable() else " " for letter in name)
    name = name if len(name) <= _NAME_WIDTH else f"{name[: _NAME_WIDTH - 2]}.."
    width = max(len(lines[0]), len(name) + 2)
    return [line.rjust(width) for line in (name, *lines)]


def _aligned(head: str, values: list[float], finest: float) -> list[str]:
    texts = [head, *_formatted(values, finest)]
    width = max(map(len, texts)) + 2
    return [text.rjust(width) for text in texts]


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
