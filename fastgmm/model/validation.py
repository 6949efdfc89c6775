"""Checks of parameters and weights: each error names what was expected and what was given."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._kernels.layout import Array
from ..data.samples import Samples
from .covariance_model import CovarianceModel
from .parameters import MixtureParameters

_CHECKED_ROWS = 2**14


def check_sample_weight(sample_weight: Any, n_samples: int) -> Array | None:
    """Return weights as a float64 array of shape (n_samples,); None stays None.

    Raises
    ------
    ValueError
        If a weight is negative, not a number or infinite, if all are zero, or if the shape differs.
    """
    if sample_weight is None:
        return None
    weight: Array = np.asarray(_real(sample_weight, "sample_weight"), np.float64, order="C")
    if weight.shape != (n_samples,):
        raise ValueError(
            f"sample_weight should have the shape of ({n_samples},), but got {weight.shape}."
        )
    bad = np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)))
    if len(bad):
        raise ValueError(
            "sample_weight should be finite and non-negative, "
            f"but got {weight[bad[0]]} for sample {bad[0]}."
        )
    if not weight.any():
        raise ValueError("sample_weight should have a positive weight, but all are zero.")
    with np.errstate(over="ignore"):
        total = weight.sum()
    if total == np.inf:
        raise ValueError(
            "sample_weight should have a finite sum, but it overflows: "
            f"the largest weight is {weight.max()}."
        )
    return weight


def check_weights(weights: Any, n_components: int) -> Array:
    """Return mixture weights: shape (K,), in [0, 1], summing to 1."""
    checked = _check_array(weights, (n_components,), "weights")
    if not ((checked >= 0) & (checked <= 1)).all():
        raise ValueError(
            "The parameter 'weights' should be in the range [0, 1], but got "
            f"max value {checked.max():.5f}, min value {checked.min():.5f}"
        )
    # float32 weights may be summed in float32
    if not np.isclose(checked.sum(), 1.0, rtol=0, atol=1e-6):
        raise ValueError(
            "The parameter 'weights' should be normalized, "
            f"but got sum(weights) = {checked.sum():.5f}"
        )
    return checked


def check_means(means: Any, n_components: int, n_features: int) -> Array:
    """Return means: shape (K, d), finite."""
    return _check_array(means, (n_components, n_features), "means")


def check_precisions(
    precisions: Any, covariance_model: CovarianceModel, n_components: int, n_features: int
) -> Array:
    """Return precisions in the shape of the covariances, symmetric and positive-definite."""
    name = f"{covariance_model.name} precision"
    checked = _check_array(precisions, covariance_model.shape(n_components, n_features), name)
    covariance_model.check_precisions(checked)
    return checked


def check_mean_prior(mean: Any, n_features: int) -> Array:
    """Return the mean of a prior: shape (d,), finite."""
    return _check_array(mean, (n_features,), "mean_prior")


def check_covariance_prior(
    covariance: Any, covariance_model: CovarianceModel, n_features: int
) -> Array:
    """Return the covariance of a prior, in the shape of one component's, positive-definite."""
    shape = covariance_model.shape(1, n_features)
    shape = shape[1:] if covariance_model.per_component else shape
    checked = _check_array(covariance, shape, "covariance_prior")
    symmetric = len(shape) < 2 or np.allclose(checked, checked.T)
    smallest = np.linalg.eigvalsh(checked).min() if len(shape) == 2 else checked.min()
    if not symmetric or not smallest > 0:
        got = f"a smallest eigenvalue of {smallest}" if symmetric else "an asymmetric matrix"
        raise ValueError(
            f"The parameter 'covariance_prior' should be symmetric, positive-definite, got {got}."
        )
    return checked


def check_degrees_of_freedom(degrees_of_freedom: float, n_features: int) -> float:
    """Return the degrees of freedom of a Wishart prior: greater than d - 1."""
    if not degrees_of_freedom > n_features - 1:
        raise ValueError(
            "The parameter 'degrees_of_freedom_prior' should be greater than "
            f"{n_features - 1}, but got {degrees_of_freedom:.3f}."
        )
    return degrees_of_freedom


def check_resp(
    resp: Any, name: str, n_samples: int | None = None, n_components: int | None = None
) -> Array:
    """Return responsibilities: non-negative, finite, rows that sum to 1 (to 1e-5, for float32)."""
    array = np.ascontiguousarray(_real(resp, name), dtype=np.float64)
    shape = (n_samples, n_components)
    if array.ndim != 2 or any(
        wanted not in (None, size) for wanted, size in zip(shape, array.shape, strict=True)
    ):
        wanted = tuple(
            name if size is None else size
            for name, size in zip(("n_samples", "n_components"), shape, strict=True)
        )
        raise ValueError(f"{name} should have the shape of {wanted}, but got {array.shape}.")
    bad = np.flatnonzero(~((array >= 0).all(axis=1) & (np.abs(array.sum(axis=1) - 1) < 1e-5)))
    if len(bad):
        raise ValueError(
            f"{name} should be non-negative with rows that sum to 1, "
            f"but row {bad[0]} is {array[bad[0]][:8]} with sum {array[bad[0]].sum():g}."
        )
    return array


def check_table(X: Any, n_features: int | None = None) -> Any:
    """Return samples as an array of shape (n_samples, n_features): finite real numbers.

    float64 and float32 arrays are returned as they are, others as float64.
    """
    table = _real(X, "X")
    if table.dtype.kind not in "biuf":
        table = table.astype(np.float64)
    if table.ndim != 2 or table.shape[1] != (n_features or table.shape[1]) or not table.size:
        raise ValueError(
            f"X should have the shape of (n_samples, {n_features or 'n_features'}) with a sample "
            "at least, "
            f"but got {table.shape}."
        )
    for start in range(0, len(table), _CHECKED_ROWS):
        finite = np.isfinite(table[start : start + _CHECKED_ROWS])
        if not finite.all():
            row, column = (int(i) for i in np.argwhere(~finite)[0])
            got = table[start + row, column]
            raise ValueError(
                f"X should be finite, but got {got} in sample {start + row}, feature {column}."
            )
    return table


def check_enough(samples: Samples, n_components: int, name: str = "n_components") -> None:
    """Raise ValueError where there are fewer samples of positive weight than components."""
    n_samples = samples.n_samples
    if samples.is_weighted:
        n_samples = int(np.count_nonzero(samples.sample_weight))
    if n_samples < n_components:
        kind = " of positive weight" if samples.is_weighted else ""
        raise ValueError(
            f"Expected n_samples >= {name} "
            f"but got {name} = {n_components}, n_samples = {n_samples}{kind}"
        )


def check_warm_start(parameters: MixtureParameters, n_components: int, n_features: int) -> None:
    """Raise ValueError where the parameters of the last fit are those of another model."""
    shape = parameters.covariance_model.shape
    for name, values, expected in (
        ("means_", parameters.means, (n_components, n_features)),
        ("covariances_", parameters.covariances, shape(n_components, n_features)),
    ):
        if values.shape != expected:
            raise ValueError(
                f"warm_start=True continues from {name} of shape {expected} "
                f"(n_components={n_components}, n_features={n_features}, "
                f"covariance_type={parameters.covariance_type!r}), "
                f"but {name} has shape {values.shape}."
            )


def _real(values: Any, name: str) -> NDArray[Any]:
    array = np.asarray(values)
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} should be real.")
    return array


def _check_array(values: Any, shape: tuple[int, ...], name: str) -> Array:
    array = np.array(_real(values, f"the parameter '{name}'"), np.float64, order="C")
    if array.shape != shape:
        raise ValueError(
            f"The parameter '{name}' should have the shape of {shape}, but got {array.shape}"
        )
    if not np.isfinite(array).all():
        position = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(
            f"The parameter '{name}' should be finite, but got {array[position]} at {position}"
        )
    return array
