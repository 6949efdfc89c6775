"""Checks of what a file says of a fitted model, before anything is computed from it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._kernels.layout import Array
from .._kernels.threads import count_threads
from ..data.archive import Mismatch
from ..em.updates.fixed import check_fixed, check_fixed_components
from ..model.covariance import get_covariance_model
from ..model.covariance_model import CovarianceModel
from ..model.penalties import NormalInverseWishartPrior
from ..model.regularization import check_covariance_floor
from ..model.validation import (
    check_covariance_prior,
    check_degrees_of_freedom,
    check_mean_prior,
    check_means,
    check_weights,
)

# How far products of factors may be from what they were computed from, in units of the rounding
# error of a sum over d products. 2400 fits of condition 1 to 1e16 were at most 2 away.
_ROUNDING = 100.0

Arrays = dict[str, NDArray[Any]]


def check_values(model: Any, arrays: Arrays) -> None:
    """Raise ValueError where an array cannot belong to a fitted model.

    Parameters
    ----------
    model : object
        With the parameters of the estimator's constructor, and the attributes that are numbers.
    arrays : dict
        Of the right shapes and dtypes.
    """
    count_threads(model.n_jobs)  # raises where it is no number of threads
    _check_history(arrays["history_"])
    if "feature_names_in_" in arrays:
        _check_names(arrays["feature_names_in_"])
    if "cluster_centers_" in arrays:
        _check_clustering(model, arrays)
    else:
        _check_mixture(model, arrays)
    if "mean_prior_" in arrays:
        _check_posterior(model, arrays)


def _check_clustering(model: Any, arrays: Arrays) -> None:
    K, labels = model.n_clusters, arrays["labels_"]
    check_means(arrays["cluster_centers_"], K, model.n_features_in_, "cluster_centers_")
    # -1 is the label of a row of weight 0
    if not len(labels) or labels.min() < -1 or not 0 <= labels.max() < K:
        raise Mismatch(f"labels_ from -1 to {K - 1}", _range(labels))


def _check_mixture(model: Any, arrays: Arrays) -> None:
    K, d = model.n_components, model.n_features_in_
    check_weights(arrays["weights_"], K, "weights_")
    check_means(arrays["means_"], K, d, "means_")
    if any(
        component >= K or not 1 <= number <= model.n_iter_
        for component, number in model.collapsed_.items()
    ):
        expected = f"collapsed_ of components below {K} in iterations 1 to {model.n_iter_}"
        raise Mismatch(expected, repr(model.collapsed_))
    kind = get_covariance_model(model.covariance_type)
    if hasattr(model, "fixed"):
        _check_constraints(model, kind, K, d)
    _check_covariances(
        kind, arrays["covariances_"], arrays["precisions_cholesky_"], arrays["precisions_"]
    )


def _check_constraints(model: Any, kind: CovarianceModel, K: int, d: int) -> None:
    check_fixed_components(model.fixed_components, K, kind, check_fixed(model.fixed))
    check_covariance_floor(model.covariance_floor, d)
    if isinstance(model.prior, NormalInverseWishartPrior):
        model.prior.checked(kind, K, d)
    elif model.prior not in (None, "mclust"):
        raise Mismatch("prior to be None, 'mclust' or its numbers", repr(model.prior))


def _check_posterior(model: Any, arrays: Arrays) -> None:
    d, kind = model.n_features_in_, get_covariance_model(model.covariance_type)
    for name in ("weight_concentration_", "mean_precision_", "degrees_of_freedom_"):
        _check_finite(name, arrays[name])
        lowest = d - 1 if name == "degrees_of_freedom_" else 0
        if not arrays[name].min() > lowest:
            raise Mismatch(f"{name} above {lowest}", _range(arrays[name]))
    check_mean_prior(arrays["mean_prior_"], d)
    check_covariance_prior(arrays["covariance_prior_"], kind, d)
    check_degrees_of_freedom(model.degrees_of_freedom_prior_, d)
    if model.mean_prior is not None:
        check_mean_prior(model.mean_prior, d)
    if model.covariance_prior is not None:
        check_covariance_prior(model.covariance_prior, kind, d)
    if model.degrees_of_freedom_prior is not None:
        check_degrees_of_freedom(model.degrees_of_freedom_prior, d)


def _check_covariances(
    kind: CovarianceModel, covariances: Array, factors: Array, precisions: Array
) -> None:
    """Raise where a covariance is not positive, or not the inverse of U U^T."""
    _check_finite("covariances_", covariances)
    _check_finite("precisions_cholesky_", factors)
    with np.errstate(all="ignore"):
        if not kind.is_matrix:
            _check_variances(covariances, factors, precisions)
            return
        d = covariances.shape[-1]
        matrices = (values.reshape(-1, d, d) for values in (covariances, factors, precisions))
        for covariance, factor, precision in zip(*matrices, strict=True):
            _check_matrix(covariance, factor, precision)


def _check_variances(variances: Array, factors: Array, precisions: Array) -> None:
    tolerance = _ROUNDING * np.finfo(float).eps
    for name, values in (("covariances_", variances), ("precisions_cholesky_", factors)):
        if not (values > 0).all():
            raise Mismatch(f"{name} that are positive", _range(values))
    if not (np.abs(factors**2 * variances - 1.0) <= tolerance).all():
        raise Mismatch("precisions_cholesky_ of covariances_", "those of other variances")
    _check_close(precisions, factors**2, np.abs(factors**2) * tolerance)


def _check_matrix(covariance: Array, factor: Array, precision: Array) -> None:
    d = len(covariance)
    tolerance = _ROUNDING * d * np.finfo(float).eps
    if not (np.diagonal(covariance) > 0).all():
        raise Mismatch("covariances_ with positive variances", _range(np.diagonal(covariance)))
    deviations = np.sqrt(np.diagonal(covariance))
    asymmetry = np.abs(covariance - covariance.T) / deviations / deviations[:, np.newaxis]
    if not (asymmetry <= tolerance).all():
        raise Mismatch("covariances_ that are symmetric", "an asymmetric matrix")
    if np.tril(factor, -1).any() or not (np.diagonal(factor) > 0).all():
        raise Mismatch("precisions_cholesky_ that are upper triangles", "another matrix")
    # no element of |U|^T |S| |U| is larger than the square of an element of |U|^T deviations
    largest = np.max(np.abs(factor).T @ deviations) ** 2
    residual = np.abs(factor.T @ covariance @ factor - np.eye(d))
    if not (residual <= tolerance * largest).all():
        raise Mismatch("precisions_cholesky_ of covariances_", "those of other covariances")
    product = factor @ factor.T
    roots = np.sqrt(np.diagonal(product))
    _check_close(precision, product, tolerance * roots * roots[:, np.newaxis])


def _check_close(precisions: Array, expected: Array, tolerance: Array) -> None:
    same = precisions == expected  # also where both overflow
    if not (same | (np.abs(precisions - expected) <= tolerance)).all():
        raise Mismatch("precisions_ of precisions_cholesky_", "others")


def _check_history(history: Array) -> None:
    numbers, bounds, changes, seconds = history.T
    if not np.array_equal(numbers, np.arange(1, len(history) + 1)):
        raise Mismatch("history_ with the numbers of the iterations", "other numbers")
    _check_finite("the lower bounds of history_", bounds)
    if not (changes > -np.inf).all():  # a first change is infinite
        raise Mismatch("changes in history_", _range(changes))
    if not ((seconds >= 0) & (seconds < np.inf)).all():
        raise Mismatch("seconds in history_", _range(seconds))


def check_end(model: Any, history: Array) -> None:
    """Raise ValueError where the outcome of a fit is not that of its last iteration.

    Parameters
    ----------
    model : object
        With the attributes ``converged_`` and ``lower_bound_``.
    history : (n_iter, 4) array
    """
    if not len(history):
        if model.converged_:
            raise Mismatch("converged_ after an iteration", "none")
        return
    if model.lower_bound_ != history[-1, 1]:
        raise Mismatch(f"lower_bound_ of {history[-1, 1]}", str(model.lower_bound_))


def _check_names(names: NDArray[Any]) -> None:
    for name in names.tolist():
        name.encode()  # lone surrogates are no text


def _check_finite(name: str, values: NDArray[Any]) -> None:
    if not np.isfinite(values).all():
        raise Mismatch(f"{name} to be finite", str(values[~np.isfinite(values)][0]))


def _range(values: NDArray[Any]) -> str:
    return f"{values.min()} to {values.max()}" if values.size else "none"
