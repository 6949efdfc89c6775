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
# Squares relative to the largest below which nothing but rounding errors is left.
_ROUNDING = 1e-12


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
    deviations = np.sqrt(np.average((unit - mean) ** 2, axis=0, weights=weight))
    deviations[deviations == 0.0] = 1.0
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
    kept = variances >= _ROUNDING * variances[-1]
    whitening = axes[:, kept] / np.sqrt(np.maximum(variances[kept], np.finfo(float).tiny))
    deviations = _within(unit @ whitening, weight, n_components)
    return lambda rows: to_unit(rows) @ whitening / deviations


def _within(unit: Array, weight: Array | None, n_components: int) -> Array:
    """Return the deviation within the clusters of each coordinate, whose variance is 1."""
    from sklearn.cluster import KMeans

    step = -(-len(unit) // _ROWS)
    rows, weight = unit[::step], None if weight is None else weight[::step]
    K = min(n_components, _CLUSTERS)
    middles = (np.arange(K) + 0.5) / K
    # values that occur: each is the nearest centre of a sample
    starts = np.quantile(rows, middles, axis=0, weights=weight, method="inverted_cdf")
    total = len(rows) if weight is None else weight.sum()
    left = np.empty(unit.shape[1])
    for j, column in enumerate(rows.T):
        centers = np.unique(starts[:, j])[:, np.newaxis]
        clusters = KMeans(len(centers), init=centers, n_init=1)
        left[j] = clusters.fit(column[:, np.newaxis], sample_weight=weight).inertia_ / total
    return np.sqrt(np.maximum(left, _ROUNDING))


SCALINGS: tuple[Callable[[Array, Array | None, int], Scaling], ...] = (
    unit_variance,
    unit_within_features,
    unit_within_axes,
)
