"""What a fitted mixture is, in words and as a table: for ``summary`` and the command line."""

from html import escape
from typing import Any

from .._kernels.layout import Array
from .component_table import describe_components, format_components, html_components

Report = dict[str, Any]

_LONGEST_FEATURES = 75


class MixtureSummary:
    """What ``summary`` of a fitted mixture returns: text where printed, a table in a notebook.

    Parameters
    ----------
    report : dict
        From `describe_model`.
    feature_names : list of str
    """

    def __init__(self, report: Report, feature_names: list[str]) -> None:
        self._report = report
        self._feature_names = feature_names

    def __repr__(self) -> str:
        names = self._feature_names
        table = format_components(self._report["components"], names)
        return f"{align(_model_rows(self._report, names))}\n\n{table}"

    def _repr_html_(self) -> str:
        rows = _model_rows(self._report, self._feature_names)
        lines = "<br>".join(f"<b>{escape(head)}</b> {escape(text)}" for head, text in rows)
        return f"<p>{lines}</p>{html_components(self._report['components'], self._feature_names)}"


def describe_model(model: Any, sizes: Array | None = None) -> Report:
    """Return size, outcome and components (by falling weight) of a fitted model.

    Parameters
    ----------
    model : fitted mixture
    sizes : array of shape (n_components,), optional
        Expected number of samples of each component. Default: those of the fit.
    """
    parameters = model._parameters()
    changes = [iteration.change for iteration in model.history_]
    return {
        "class": type(model).__name__,
        "n_components": parameters.n_components,
        "n_features": model.n_features_in_,
        "covariance_type": parameters.covariance_model.name,
        "n_parameters": model.n_parameters_,
        "feature_names": list(getattr(model, "feature_names_in_", [])) or None,
        "converged": bool(model.converged_),
        "n_iter": model.n_iter_,
        "tol": model.tol,
        "lower_bound": model.lower_bound_,
        "last_change": changes[-1] if changes else None,
        "components": describe_components(
            parameters, model._fitted_sizes() if sizes is None else sizes
        ),
    }


def format_model(path: str, model: Report) -> str:
    """Return the summary of ``fastgmm info MODEL``."""
    names = model["feature_names"] or [str(model["n_features"])]
    return f"{align([('file', path), *_model_rows(model, names)])}\n\n{components_text(model)}"


def _model_rows(model: Report, names: list[str]) -> list[tuple[str, str]]:
    return [
        ("model", f"{model['class']}, {format_shape(model)}"),
        ("features", _shorten(", ".join(names), _LONGEST_FEATURES)),
        ("outcome", format_outcome(model)),
        ("lower bound", f"{model['lower_bound']:.6f} nats per sample, before the last update"),
    ]


def align(rows: list[tuple[str, str]]) -> str:
    """Return a line for each pair of a head and a text; the texts begin in one column."""
    width = max(len(label) for label, _ in rows) + 2
    return "\n".join(f"{label:<{width}}{text}" for label, text in rows)


def count(number: int, noun: str) -> str:
    """Return a number and a noun in its singular or plural."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def format_shape(model: Report) -> str:
    """Return the numbers of components and parameters, and the covariance type."""
    components = count(model["n_components"], "component")
    parameters = count(model["n_parameters"], "free parameter")
    return f"{components}, {model['covariance_type']} covariance, {parameters}"


def format_outcome(model: Report) -> str:
    """Return whether and when the fit converged."""
    if model["last_change"] is None:
        return "starting point, no iterations"
    state = "converged" if model["converged"] else "not converged"
    change = f"last change {model['last_change']:.2g}, tol {model['tol']:g}"
    return f"{state} after {count(model['n_iter'], 'iteration')} ({change})"


def components_text(model: Report) -> str:
    """Return the table of the components."""
    return format_components(model["components"], model["feature_names"])


def _shorten(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 2]}.."
