"""Checks of parameters: each error names what was expected and what was given."""

from typing import Any

import numpy as np

from .._kernels.floating_point import numpys_rules
from .._kernels.layout import Array
from ..data.containers import to_array
from ..data.samples import Samples
from .covariance import COVARIANCE_MODELS
from .covariance_model import CollapseError, CovarianceModel
from .factors import inverse_factors
from .parameters import MixtureParameters, distances_from_origin

_REASONS = {
    "singular": "is singular to rounding",
    "unresolved": "is too small beside the distances of the means: float64 cannot resolve it",
    "underflow": "has a variance below 1e-300, which float64 cannot invert",
}
# Correlations and their transposes may differ by this: matrices that were float32 do.
_ASYMMETRY = 1e-5


def check_weights(weights: Any, n_components: int, name: str) -> Array:
    """Return mixture weights: shape (K,), in [0, 1], summing to 1."""
    checked = check_array(weights, (n_components,), name)
    if not ((checked >= 0) & (checked <= 1)).all():
        raise ValueError(
            f"The parameter '{name}' should be in the range [0, 1], but got "
            f"max value {checked.max():.5f}, min value {checked.min():.5f}"
        )
    # float32 weights may be summed in float32
    if not np.isclose(checked.sum(), 1.0, rtol=0, atol=1e-6):
        raise ValueError(
            f"The parameter '{name}' should be normalized, but got a sum of {checked.sum():.8g}"
        )
    return checked


def check_means(means: Any, n_components: int, n_features: int, name: str) -> Array:
    """Return means: shape (K, d), finite, with squares that do not overflow."""
    checked = check_array(means, (n_components, n_features), name)
    limit, largest = _largest_magnitude(n_features), np.abs(checked).max()
    if largest > limit:
        raise ValueError(
            f"The parameter '{name}' should be at most {limit:.3g} in magnitude, "
            f"so that its squares do not overflow, but got {largest:.3g}"
        )
    return checked


def _largest_magnitude(n_terms: float) -> np.float64:
    """Return the largest number of which so many squares of differences have a finite sum."""
    # a NumPy number: comparisons with float32 do not cast it
    return np.float64(0.5 * np.sqrt(np.finfo(np.float64).max / n_terms))


def check_precisions(
    precisions: Any, model: CovarianceModel, n_components: int, n_features: int, name: str
) -> tuple[Array, Array]:
    """Return the inverses of positive definite precisions, and their factors U."""
    checked = check_array(precisions, model.shape(n_components, n_features), name)
    _check_positive_definite(checked, model, name)
    factors = model.factor_precisions(checked)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        covariances = model.covariances(factors)
    if not np.isfinite(covariances).all():
        raise ValueError(f"The parameter '{name}' should have inverses that do not overflow")
    return covariances, factors


def check_covariances(
    covariances: Any,
    model: CovarianceModel,
    n_components: int,
    n_features: int,
    name: str,
    distances: Array | None = None,
) -> tuple[Array, Array]:
    """Return positive definite covariances, and the factors U of their inverses."""
    checked = check_array(covariances, model.shape(n_components, n_features), name)
    _check_positive_definite(checked, model, name)
    try:
        return checked, model.precisions_cholesky(checked, distances)
    except CollapseError as error:
        where = "" if error.component is None else f" of component {error.component}"
        raise ValueError(f"The parameter '{name}'{where} {_REASONS[error.cause]}.") from error


def covariance_type_of(means: Any, covariances: Any) -> str:
    """Return the only covariance type whose covariances have this shape beside these means.

    Raises
    ------
    ValueError
        If there is none, or more than one.
    """
    shape = to_array(means, "means").shape
    got = to_array(covariances, "covariances").shape
    names = []
    if len(shape) == 2:
        names = [name for name, model in COVARIANCE_MODELS.items() if model.shape(*shape) == got]
    if len(names) == 1:
        return names[0]
    if names:
        raise ValueError(
            f"covariances of shape {got} may be of covariance_type {' or '.join(map(repr, names))} "
            f"beside means of shape {shape}. Give covariance_type."
        )
    raise ValueError(
        "The parameter 'covariances' should have the shape of (K, d, d) full, (d, d) tied, (K, d) "
        "diag, (K,) spherical or () tied-spherical, where means have the shape (K, d), "
        f"but got {got} and {shape}."
    )


@numpys_rules()
def check_mixture(
    model: CovarianceModel, weights: Any, means: Any, covariances: Any, suffix: str = ""
) -> MixtureParameters:
    """Return a mixture of given parameters.

    Parameters
    ----------
    model : CovarianceModel
    weights, means, covariances : array-like
    suffix : str, default=''
        What the user's names have behind 'weights', 'means' and 'covariances'.

    Raises
    ------
    TypeError, ValueError
        If shapes do not agree, weights do not sum to 1, covariances are not positive definite, or
        a number is not finite.
    """
    shape = to_array(means, f"means{suffix}").shape
    if len(shape) != 2 or 0 in shape:
        raise ValueError(
            f"The parameter 'means{suffix}' should have the shape of (n_components, n_features), "
            f"but got {shape}"
        )
    checked = check_means(means, *shape, f"means{suffix}")
    distances = distances_from_origin(checked)
    factored = check_covariances(covariances, model, *shape, f"covariances{suffix}", distances)
    return MixtureParameters(
        model, check_weights(weights, shape[0], f"weights{suffix}"), checked, *factored
    )


def check_mean_prior(mean: Any, n_features: int) -> Array:
    """Return the mean of a prior: shape (d,), finite."""
    return check_array(mean, (n_features,), "mean_prior")


def check_covariance_prior(
    covariance: Any,
    covariance_model: CovarianceModel,
    n_features: int,
    name: str = "covariance_prior",
) -> Array:
    """Return the covariance of a prior, in the shape of one component's, positive-definite."""
    shape = covariance_model.shape(1, n_features)
    shape = shape[1:] if covariance_model.per_component else shape
    checked = check_array(covariance, shape, name)
    alone = checked[np.newaxis] if covariance_model.per_component else checked
    _check_positive_definite(alone, covariance_model, name, named=False)
    # symmetric to the last bit, as all covariances that follow from it
    return 0.5 * (checked + checked.T) if len(shape) == 2 else checked


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
    array = np.ascontiguousarray(to_array(resp, name), dtype=np.float64)
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


def check_enough(samples: Samples, n_components: int, name: str = "n_components") -> None:
    """Raise ValueError where there are fewer samples of positive weight than components."""
    if isinstance(n_components, bool):  # which is an integer to scikit-learn
        raise TypeError(f"{name} should be an integer, but got {n_components}.")
    n_samples = samples.n_present
    kind = " of positive weight" if samples.is_weighted else ""
    if samples.gaps is not None:
        n_samples -= int(np.count_nonzero(samples.gaps.blank & (samples.sample_weight > 0)))
        kind += " with a value"
    if n_samples < n_components:
        raise ValueError(
            f"Expected n_samples >= {name} "
            f"but got {name} = {n_components}, n_samples = {n_samples}{kind}"
        )


def check_observed(samples: Samples) -> None:
    """Raise ValueError where a feature has no value in any sample of positive weight."""
    if samples.gaps is None:
        return
    is_there = np.zeros(samples.n_features, np.bool_)
    for X, weight in samples.blocks():
        is_there |= (~np.isnan(X) & (weight > 0)[:, np.newaxis]).any(axis=0)
    if not is_there.all():
        raise ValueError(
            "Every feature should have a value in some sample, but all of feature "
            f"{int(is_there.argmin())} are missing. Leave the feature out."
        )


def check_complete(samples: Samples, caller: str) -> None:
    """Raise ValueError where values are missing, in the name of what needs them all."""
    if samples.gaps is not None:
        raise ValueError(
            f"{caller} needs samples without missing values. GaussianMixture.impute fills the gaps."
        )


def check_magnitude(samples: Samples) -> None:
    """Raise ValueError where weighted sums of squares of the samples overflow float64."""
    limit = _largest_magnitude(samples.n_features * max(samples.total_weight, 1.0))
    largest = samples.largest_magnitude
    if largest > limit:
        raise ValueError(
            "X is too large for float64, where sums of its squares overflow: its magnitude "
            f"should be at most {limit:.3g} with a total weight of {samples.total_weight:.3g}, "
            f"but got {largest:.3g}. Scale the input data."
        )


def check_warm_start(
    model: CovarianceModel,
    means: Any,
    covariances: Any,
    n_components: int,
    n_features: int,
    caller: str = "warm_start=True",
) -> None:
    """Raise ValueError where the parameters of the last fit are those of another model."""
    for name, values, expected in (
        ("means_", means, (n_components, n_features)),
        ("covariances_", covariances, model.shape(n_components, n_features)),
    ):
        shape = to_array(values, name).shape
        if shape != expected:
            raise ValueError(
                f"{caller} continues from {name} of shape {expected} "
                f"(n_components={n_components}, n_features={n_features}, "
                f"covariance_type={model.name!r}), but {name} has shape {shape}."
            )


def check_array(values: Any, shape: tuple[int, ...], name: str) -> Array:
    """Return a float64 array of this shape, finite."""
    array = np.array(to_array(values, name), np.float64, order="C")
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


def _check_positive_definite(
    values: Array, model: CovarianceModel, name: str, *, named: bool = True
) -> None:
    """Raise ValueError where variances or matrices are not positive, each by its own scale."""
    expected = "symmetric and positive definite" if model.is_matrix else "positive"
    matrices = values.reshape(-1, *values.shape[-2:]) if model.is_matrix else np.atleast_1d(values)
    variances = np.diagonal(matrices, axis1=1, axis2=2) if model.is_matrix else matrices

    def fail(got: str, component: int) -> None:
        where = f" in component {component}" if named and model.per_component else ""
        raise ValueError(f"The parameter '{name}' should be {expected}, but got {got}{where}.")

    bad = np.argwhere(~(variances > 0))
    if len(bad):
        fail(f"a variance of {variances[tuple(bad[0])]}", int(bad[0][0]))
    for k, matrix in enumerate(matrices if model.is_matrix else ()):
        scale = np.sqrt(variances[k])
        with np.errstate(over="ignore", invalid="ignore"):  # infinite, and so not symmetric
            correlations = matrix / scale / scale[:, np.newaxis]
            asymmetry = np.abs(correlations - correlations.T)
        if not (asymmetry <= _ASYMMETRY).all():
            fail("an asymmetric matrix", k)
        _, failed = inverse_factors(correlations[np.newaxis], 1)
        if failed[0]:
            smallest = np.linalg.eigvalsh(correlations)[0]
            fail(f"correlations with a smallest eigenvalue of {smallest}", k)
