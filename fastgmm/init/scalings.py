"""Maps of samples to coordinates that do not depend on the units of the features.

K-means finds clusters in the coordinates that vary most. To divide by deviations makes all alike.
To divide by the deviations that are left within clusters puts those first in which samples lie in
clusters: there, little is left.
"""

from collections.abc import Callable

import numpy as np

from .._kernels.layout import Array

#: An affine map of rows. Multiplying a feature by a positive number changes nothing behind it.
Scaling = Callable[[Array], Array]

# Clusters of one coordinate are estimated from so many rows, and are at most so many.
_ROWS = 2048
_CLUSTERS = 8
_ITERATIONS = 100
# A lesser variance, relative to the largest or to the squared width, is one of rounding errors, or
# of weights that differ by more than 1e12. What is divided by its root may overflow.
_LEAST = 1e-12


def unit_variance(X: Array, weight: Array | None, n_components: int) -> Scaling:  # noqa: ARG001
    """Return the map to features of mean 0 and variance 1.

    Parameters
    ----------
    X : (n, d) array
    weight : (n,) array or None
    n_components : int

    Returns
    -------
    Scaling
    """
    low, widths = X.min(axis=0), np.ptp(X, axis=0)
    widths[widths == 0.0] = 1.0
    unit = (X - low) / widths  # whose squares neither overflow nor underflow
    mean = np.average(unit, axis=0, weights=weight)
    variances = np.average((unit - mean) ** 2, axis=0, weights=weight)
    deviations = np.sqrt(np.maximum(variances, _LEAST))
    return lambda rows: ((rows - low) / widths - mean) / deviations


def unit_within_features(X: Array, weight: Array | None, n_components: int) -> Scaling:
    """Return the map to features of variance 1 within the clusters of each.

    Parameters
    ----------
    X : (n, d) array
    weight : (n,) array or None
    n_components : int

    Returns
    -------
    Scaling
    """
    to_unit = unit_variance(X, weight, n_components)
    deviations = _within(to_unit(X), weight, n_components)
    return lambda rows: to_unit(rows) / deviations


def unit_within_axes(X: Array, weight: Array | None, n_components: int) -> Scaling:
    """Return the map to principal axes, of variance 1 within the clusters of each.

    Parameters
    ----------
    X : (n, d) array
    weight : (n,) array or None
    n_components : int

    Returns
    -------
    Scaling
    """
    to_unit = unit_variance(X, weight, n_components)
    unit = to_unit(X)
    covariance = np.atleast_2d(np.cov(unit, rowvar=False, bias=True, aweights=weight))
    variances, axes = np.linalg.eigh(covariance)
    kept = variances >= _LEAST * variances[-1]
    whitening = axes[:, kept] / np.sqrt(np.maximum(variances[kept], _LEAST))
    deviations = _within(unit @ whitening, weight, n_components)
    return lambda rows: to_unit(rows) @ whitening / deviations


def _within(unit: Array, weight: Array | None, n_components: int) -> Array:
    """Return the deviation within the clusters of each coordinate, whose variance is 1."""
    step = -(-len(unit) // _ROWS)
    rows = unit[::step]
    weight = np.ones(len(rows)) if weight is None else weight[::step]
    K = min(n_components, _CLUSTERS)
    left = [variance_within(column, weight, K) for column in rows.T]
    return np.sqrt(np.maximum(left, _LEAST))


def variance_within(values: Array, weight: Array, n_clusters: int) -> float:
    """Return the variance that k-means of one coordinate leaves; it begins with quantiles.

    Clusters are ranges of the sorted values, and their sums are differences of cumulative sums.
    scikit-learn's k-means takes four times as long, most of it for checks.
    """
    order = np.argsort(values)
    values, weight = values[order], weight[order]
    sums = np.zeros((2, len(values) + 1))
    np.cumsum([weight, weight * values], axis=1, out=sums[:, 1:])
    total = sums[0, -1]
    middles = (np.arange(n_clusters) + 0.5) / n_clusters * total
    # values that occur, so that no cluster is empty
    centers = np.unique(values[np.searchsorted(sums[0, 1:], middles).clip(max=len(values) - 1)])
    bounds = np.full(len(centers) + 1, len(values))
    for _ in range(_ITERATIONS):
        before, bounds = bounds, bounds.copy()
        bounds[0] = 0
        bounds[1:-1] = np.searchsorted(values, (centers[1:] + centers[:-1]) / 2.0, side="right")
        counts, firsts = np.diff(sums[:, bounds])
        np.divide(firsts, counts, out=centers, where=counts > 0.0)
        if np.array_equal(bounds, before):
            break
    between = counts @ centers**2
    return float(weight @ values**2 - between) / float(total)


SCALINGS: tuple[Callable[[Array, Array | None, int], Scaling], ...] = (
    unit_variance,
    unit_within_features,
    unit_within_axes,
)
