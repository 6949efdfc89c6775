"""What is added to the variances, so that a component cannot collapse onto a few samples."""

import contextlib
from typing import Any, Literal

import numpy as np

from .._kernels.layout import Array
from ..data.samples import Samples
from .covariance import Diag
from .statistics import sample_moments

#: A number, one number for each feature, or "auto": relative to each feature's variance.
RegCovar = float | Array | Literal["auto"]

# Standard deviations are then at least a thousandth of those of all samples.
_RELATIVE = 1e-6
# The variance of a constant is this times its square, at the most.
_ROUNDING = float(np.finfo(np.float64).eps) ** 2
# Squares below this lose digits.
_SMALLEST_SQUARE = 1e-290
_TOO_SMALL = (
    "reg_covar='auto' needs features whose squares float64 can represent, but those of feature "
    "{feature} are about {square:.3g}. Scale the input data."
)


def added_variances(
    reg_covar: RegCovar, weights: Array, means: Array, variances: Array
) -> float | Array:
    r"""Return what ``reg_covar`` adds to the variance of each feature.

    "auto" is 1e-6 times the variance of the feature over all samples, so that a fit does not depend
    on the units of the features:

    .. math:: 10^{-6} \sum_k w_k (\sigma_{kj}^2 + (\mu_{kj} - \mu_j)^2), \qquad
        \mu_j = \sum_k w_k \mu_{kj}

    A feature that is constant counts as if its standard deviation were its distance from 0.

    Parameters
    ----------
    reg_covar : float, (d,) array or 'auto'
    weights : (K,) array
    means : (K, d) array
    variances : (K, d) array

    Returns
    -------
    float or (d,) array
        In squared units of the features.

    Raises
    ------
    ValueError
        If "auto" is asked for and the squares of a feature underflow, or if there is another number
        of values than of features.
    """
    if not isinstance(reg_covar, str):
        if np.shape(reg_covar) not in ((), means.shape[1:]):
            raise ValueError(
                f"reg_covar should be one number or have the shape of {means.shape[1:]}, "
                f"got {np.shape(reg_covar)}."
            )
        return reg_covar
    mean = weights @ means
    total = weights @ (variances + (means - mean) ** 2)
    squares = mean**2
    lowest = _ROUNDING * squares
    if (total > np.maximum(lowest, _SMALLEST_SQUARE)).all():
        return np.asarray(_RELATIVE * total)
    scale = np.where(total <= lowest, squares, total)
    too_small = np.flatnonzero((scale > 0.0) & (scale < _SMALLEST_SQUARE))
    if len(too_small):
        j = too_small[0]
        raise ValueError(_TOO_SMALL.format(feature=j, square=scale[j]))
    return np.asarray(_RELATIVE * np.where(scale > 0.0, scale, 1.0))


def added_to_samples(reg_covar: RegCovar, samples: Samples, n_threads: int) -> float | Array:
    """Return what ``reg_covar`` adds to the variance of each feature of given samples.

    Parameters
    ----------
    reg_covar : float, (d,) array or 'auto'
    samples : Samples
    n_threads : int
        Does not change the result.

    Returns
    -------
    float or (d,) array
    """
    if not isinstance(reg_covar, str):
        return reg_covar
    mean, variance = sample_moments(samples, Diag(), n_threads)
    for j in np.flatnonzero((mean**2 == 0.0) & (variance == 0.0)):
        if samples.sum(_count_nonzero, j, n_threads=n_threads):
            raise ValueError(_TOO_SMALL.format(feature=j, square=0.0))
    return added_variances(reg_covar, np.ones(1), mean[np.newaxis], variance[np.newaxis])


def _count_nonzero(samples: Samples, feature: int, n_threads: int) -> int:  # noqa: ARG001
    """Return how many samples of positive weight have a value other than 0."""
    values = (X[weight > 0.0, feature] for X, weight in samples.blocks())
    return sum(int(np.count_nonzero(np.nan_to_num(some))) for some in values)


def check_covariance_floor(floor: Any, n_features: int | None = None) -> RegCovar:
    """Return a number of at least 0, or a positive one for each feature, or 'auto'.

    Parameters
    ----------
    floor : float, array-like or 'auto'
    n_features : int, optional

    Raises
    ------
    ValueError
        If it is none of these.
    """
    checked = check_reg_covar(floor, "covariance_floor")
    if np.ndim(checked) and not np.all(np.asarray(checked) > 0.0):
        raise ValueError(
            f"covariance_floor should be positive for each feature, or one number, got {floor!r}."
        )
    if n_features is not None and np.shape(checked) not in ((), (n_features,)):
        raise ValueError(
            f"covariance_floor should be one number or have the shape of ({n_features},), "
            f"got {np.shape(checked)}."
        )
    return checked


def check_reg_covar(reg_covar: Any, name: str = "reg_covar") -> RegCovar:
    """Return a number of at least 0, or one for each feature, or 'auto'.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if isinstance(reg_covar, str):
        if reg_covar == "auto":
            return "auto"
    else:
        values = np.empty(0, object)
        with contextlib.suppress(ValueError):  # rows of several lengths
            values = np.asarray(reg_covar)
        is_number = values.dtype.kind in "iuf" and values.ndim < 2
        if is_number and np.all((values >= 0.0) & np.isfinite(values)):
            return values.astype(np.float64)[()]
    raise ValueError(
        f"{name} should be 'auto', a number of at least 0, or one for each feature, "
        f"got {reg_covar!r}."
    )
