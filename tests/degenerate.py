"""Degenerate data sets by name, and what must hold of a fit to any of them.

A fit gives finite attributes and finite predictions, or raises a ValueError whose cause holds.
"""

import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from generators import Array
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from fastgmm import BayesianGaussianMixture, GaussianMixture, SoftKMeans
from fastgmm.model.covariance import get_covariance_model

N, D, K = 60, 3, 3


class Case(NamedTuple):
    """Samples, a number of components, and weights.

    ``flat``: some group of samples has no variance in some direction. ``alone``: some samples lie
    so far from all others that each may become a component, which has no variance at all.
    """

    X: NDArray[Any]
    n_components: int = K
    sample_weight: Array | None = None
    flat: bool = False
    alone: bool = False


def cases() -> dict[str, Case]:
    """Return all data sets by name."""
    parts = (constants, duplicates, subspaces, few_rows, scales, mixed_scales, tails, whole_numbers,
             weighted)  # fmt: skip
    return {name: case for part in parts for name, case in part()}


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def clusters(n: int = N, d: int = D, deviation: float = 1.0, distance: float = 6.0) -> Array:
    """Return three clusters in turns."""
    centers = distance * np.array([[0.0], [1.0], [-1.0]]) * np.ones(d)
    return np.asarray(centers[np.arange(n) % 3] + deviation * rng().normal(size=(n, d)))


def with_column(column: Any) -> Array:
    return np.c_[clusters(), np.broadcast_to(column, N)]


def constants() -> Iterator[tuple[str, Case]]:
    """Yield data of which much is constant."""
    for value in (0.0, 0.1, -7.0, 1e8 + 0.1, 1e150, 1e-160, 5e-324):
        yield f"all {value:g}", Case(np.full((N, D), value), flat=True)
    for value in (0.0, 7.0, 1e8, 1e-300):
        yield f"a constant column of {value:g}", Case(with_column(value), flat=True)
    yield "all but one column constant", Case(np.c_[clusters()[:, 0], np.ones((N, 2))], flat=True)
    one_differs = np.ones((N, D))
    one_differs[7] = 2.0
    yield "all rows but one equal", Case(one_differs, flat=True)
    yield (
        "one row differs by a rounding",
        Case(np.where(one_differs == 2.0, np.nextafter(1.0, 2.0), 1.0), flat=True),
    )
    yield (
        "noise of one rounding",
        Case(1.0 + np.spacing(1.0) * rng().integers(0, 2, (N, D)), flat=True),
    )
    yield "zero but for one number", Case(np.eye(N, D), flat=True)


def duplicates() -> Iterator[tuple[str, Case]]:
    """Yield data with few distinct rows."""
    points = rng().normal(size=(N, D))
    for count, n_components in ((2, 2), (2, 3), (3, 3), (3, 5), (4, 3)):
        X = np.repeat(points[:count], N // count, axis=0)
        yield f"{count} distinct points, K = {n_components}", Case(X, n_components, flat=True)
    yield "each row twice", Case(np.repeat(clusters(30), 2, axis=0))
    yield "each row twenty times", Case(np.repeat(points[:3], 20, axis=0), flat=True)
    mostly = points.copy()
    mostly[:55] = points[0]
    yield "one row 55 times", Case(mostly, flat=True)
    yield "distinct points at 1e8", Case(1e8 + np.repeat(points[:4], 15, axis=0), flat=True)
    yield (
        "two points a rounding apart",
        Case(
            np.where(np.arange(N)[:, None] % 2, 1.0, np.nextafter(1.0, 2.0)) * np.ones(D), flat=True
        ),
    )


def subspaces() -> Iterator[tuple[str, Case]]:
    """Yield data that lie in a subspace or on a curve."""
    X = clusters()
    line = rng().normal(size=(N, 1)) @ np.array([[1.0, 2.0, -3.0]])
    plane = rng().normal(size=(N, 2)) @ rng().normal(size=(2, 3))
    angle = np.linspace(0.0, 2 * np.pi, N)
    t = np.linspace(-1.0, 1.0, N)[:, np.newaxis]
    yield "a column twice", Case(np.c_[X, X[:, 0]], flat=True)
    yield "a column and its negative", Case(np.c_[X, -X[:, 0]], flat=True)
    yield "a column and its sum with another", Case(np.c_[X, X[:, 0] + X[:, 1]], flat=True)
    yield "a column again, times 1e10", Case(np.c_[X, 1e10 * X[:, 0]], flat=True)
    yield "a column again, times 1e-10", Case(np.c_[X, 1e-10 * X[:, 0]], flat=True)
    yield (
        "a column again with noise of 1e-9",
        Case(np.c_[X, X[:, 0] + 1e-9 * rng().normal(size=N)], flat=True),
    )
    yield "on a line", Case(line, flat=True)
    yield "on a line at 1e8", Case(line + 1e8, flat=True)
    yield "on a plane", Case(plane, flat=True)
    yield "on a circle", Case(np.c_[np.cos(angle), np.sin(angle)])
    yield "powers", Case(t ** np.arange(1, 7), flat=True)
    yield "all dummies of a category", Case(np.eye(4)[np.arange(N) % 4], flat=True)
    yield "more features than rows", Case(rng().normal(size=(10, 20)), 2, flat=True)


def few_rows() -> Iterator[tuple[str, Case]]:
    """Yield data with hardly more rows than components."""
    X = clusters()
    yield "one row, K = 1", Case(X[:1], 1, flat=True)
    yield "two rows, K = 1", Case(X[:2], 1, flat=True)
    yield "two rows, K = 2", Case(X[:2], 2, flat=True)
    yield "two equal rows", Case(X[[0, 0]], 2, flat=True)
    yield "K = n", Case(X[:12], 12, flat=True)
    yield "K = n, one feature", Case(X[:12, :1], 12, flat=True)
    yield "K = n - 1", Case(X[:12], 11, flat=True)
    yield "K > n", Case(X[:4], 5, flat=True)
    yield "as many rows as features", Case(rng().normal(size=(5, 5)), 1, flat=True)
    yield "one row more than features", Case(rng().normal(size=(6, 5)), 1, flat=True)


def scales() -> Iterator[tuple[str, Case]]:
    """Yield clusters in other units."""
    for scale in (5e-324, 1e-310, 1e-160, 1e-100, 1e-40, 1e-30, 1e-12, 1e-6):
        yield f"times {scale:g}", Case(clusters(distance=6.0) * scale, flat=scale < 1e-300)
    for scale in (1e6, 1e12, 1e30, 1e37, 1e100, 1e150, 1e160, 1e300):
        yield f"times {scale:g}", Case(clusters() * scale)
    for scale in (1e-160, 1e-8, 1e8, 1e150):
        yield f"one feature, times {scale:g}", Case(clusters(d=1) * scale)


def mixed_scales() -> Iterator[tuple[str, Case]]:
    """Yield features or clusters of very different scales."""
    X, z = clusters(), rng().normal(size=N)
    for ratio in (1e-160, 1e-10, 1e10, 1e150):
        yield f"a feature times {ratio:g}", Case(X * np.array([1.0, 1.0, ratio]))
    yield "features of 1e-9, 1 and 1e9", Case(X * np.array([1e-9, 1.0, 1e9]))
    yield "features of 1e-150, 1 and 1e150", Case(X * np.array([1e-150, 1.0, 1e150]))
    yield "nanoseconds since 1970", Case(with_column(np.round(1.7e18 + 1e13 * z)))
    yield (
        "nanoseconds and a constant",
        Case(np.c_[np.round(1.7e18 + 1e13 * z), X[:, 0], np.ones(N)], flat=True),
    )
    yield "clusters at 1e8 of deviation 1e-3", Case(clusters(deviation=1e-3, distance=1e8))
    yield "clusters 1e12 deviations apart", Case(clusters(deviation=1.0, distance=1e12))
    for offset in (1e4, 1e8, 1e12, 1e15):
        yield f"offset by {offset:g}", Case(X + offset)
    widths = np.array([1e-6, 1.0, 1e6])[np.arange(N) % 3]
    yield "deviations of 1e-6, 1 and 1e6", Case(rng().normal(size=(N, D)) * widths[:, np.newaxis])
    yield (
        "a cluster of 1e-12 inside another",
        Case(rng().normal(size=(N, D)) * np.where(np.arange(N) % 2, 1e-12, 1.0)[:, np.newaxis]),
    )


def tails() -> Iterator[tuple[str, Case]]:
    """Yield outliers and heavy tails."""
    for size in (1e4, 1e10, 1e100):
        X = clusters()
        X[5, 1] = size
        yield f"an outlier of {size:g}", Case(X, alone=True)
    X = clusters()
    X[[3, 4, 5], [0, 1, 2]] = 1e10
    yield "an outlier in each column", Case(X, flat=True)
    X = clusters()
    X[3], X[4] = 1e10, -1e10
    yield "two opposite outliers", Case(X, alone=True)
    yield "Cauchy", Case(rng().standard_cauchy((N, D)), flat=True)
    yield "Student's t of 0.2", Case(rng().standard_t(0.2, (N, D)), flat=True)
    yield "lognormal of 20", Case(rng().lognormal(0.0, 20.0, (N, D)), flat=True)
    yield "Pareto of 0.1", Case(rng().pareto(0.1, (N, D)), flat=True)
    yield "exponential", Case(rng().exponential(size=(N, D)))
    yield "uniform", Case(rng().random((N, D)))


def whole_numbers() -> Iterator[tuple[str, Case]]:
    """Yield integers and logical values."""
    yield "small integers", Case(rng().integers(0, 4, (N, D)), flat=True)
    yield "logical values", Case(rng().random((N, D)) < 0.3, flat=True)
    yield "rare counts", Case(rng().poisson(0.05, (N, D)), flat=True)
    yield "row numbers", Case(np.arange(N)[:, np.newaxis])
    yield "integers above 2**53", Case(2**53 + rng().integers(0, 1000, (N, D)))


def weighted() -> Iterator[tuple[str, Case]]:
    """Yield clusters with weights."""
    X, third = clusters(), np.arange(N) % 3
    positions = np.arange(N)
    for name, weight in {
        "no weight on a cluster": (third != 0).astype(float),
        "weights of 1e-300": np.full(N, 1e-300),
        "weights of 1e300": np.full(N, 1e300),
        "weights from 1e-300 to 1e300": np.geomspace(1e-300, 1e300, N),
        "weights of 1e-20 on a cluster": np.where(third == 0, 1e-20, 1.0),
        "a weight of 1e20": np.where(positions == 7, 1e20, 1.0),
    }.items():
        yield name, Case(X, K, weight, flat="1e20" in name or "to" in name)
    for count in (1, 2, 3, 4):
        weight = (positions < count).astype(float)
        yield f"weight on {count} of the rows", Case(X, K, weight, flat=True)


def estimators(
    case: Case, reg_covar: float | str, covariance_types: tuple[str, ...]
) -> Iterator[tuple[str, Any]]:
    """Yield the estimators that are fitted to a data set, with names."""
    common = {"max_iter": 30, "random_state": 0, "n_jobs": 1}
    for kind in covariance_types:
        options = {"covariance_type": kind, "reg_covar": reg_covar, **common}
        for family in (GaussianMixture, BayesianGaussianMixture):
            name = f"{family.__name__}, {kind}, reg_covar={reg_covar}"
            yield name, family(n_components=case.n_components, **options)
    if reg_covar == 1e-6:
        yield "SoftKMeans", SoftKMeans(n_clusters=case.n_components, **common)


def in_type(case: Case, dtype: str) -> Case:
    """Return the case with X in a float type; numbers beyond its range become its largest."""
    info = np.finfo(dtype)
    X = np.clip(case.X.astype(np.float64), float(info.min), float(info.max)).astype(dtype)
    # rounding may leave a few distinct numbers
    rounded = min(len(np.unique(column)) for column in X.T) <= len(X) / 2
    return case._replace(X=X, flat=case.flat or rounded)


def find_fault(model: Any, case: Case) -> str:
    """Fit, and return what of the law does not hold; empty if all does."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model.fit(case.X, sample_weight=case.sample_weight)
        except ValueError as error:
            return _fault_of_error(str(error), model, case)
        faults = [_fault_of_fit(model, case)]
    messages = [w.message for w in caught if not issubclass(w.category, ConvergenceWarning)]
    faults += [f"warns: {messages[0]!r}"] if messages else []
    return "; ".join(filter(None, faults))


def _fault_of_error(message: str, model: Any, case: Case) -> str:
    for pattern, holds in CAUSES.items():
        if re.search(pattern, message):
            return "" if holds(model, case) else f"raises what does not hold: {message}"
    return f"raises an unknown error: {message}"


def _is_too_large(model: Any, case: Case) -> bool:
    """Return whether a sum of squared distances times weights may overflow."""
    weight = 1.0 if case.sample_weight is None else max(float(case.sample_weight.sum()), 1.0)
    largest = np.log10(np.abs(case.X.astype(np.float64)).max(initial=1e-300))
    stiffness = getattr(model, "beta", 1.0)
    return bool(2 * largest + np.log10(weight) + np.log10(stiffness * case.X.size) > 279)


def _added(model: Any, case: Case) -> Array:
    """Return what is added to the variance of each feature."""
    variances = np.var(case.X.astype(np.float64), axis=0)
    if model.reg_covar == "auto":
        return 1e-6 * variances
    return np.full(variances.shape, model.reg_covar)


def _is_singular(model: Any, case: Case) -> bool:
    """Return whether a covariance may be singular: no variance but what rounding takes away."""
    added = _added(model, case)
    if added.min() == 0.0:
        return case.flat or case.alone
    variances = np.var(case.X.astype(np.float64), axis=0)
    return bool(case.flat and added.min() <= 1e-13 * variances.max())


def _is_unresolved(model: Any, case: Case) -> bool:
    """Return whether a component may be 1e14 times narrower than its distance from the others."""
    spread = np.ptp(case.X.astype(np.float64), axis=0)
    far = spread.max() >= 1e13 * np.sqrt(_added(model, case).min())
    return bool((case.flat or case.alone) and far)


def _is_too_small(model: Any, case: Case) -> bool:
    """Return whether a variance may be below the smallest whose inverse is finite."""
    deviation = float(np.std(case.X.astype(np.float64), axis=0).min())
    return bool(_added(model, case).min() < 1e-300 and (case.flat or deviation < 1e-149))


def _has_tiny_feature(model: Any, case: Case) -> bool:
    """Return whether the square of a feature's deviation, or of a constant feature, underflows."""
    X = case.X.astype(np.float64)
    sizes = np.where(np.std(X, axis=0) > 0.0, np.std(X, axis=0), np.abs(X).max(axis=0))
    return bool(np.any((sizes > 0.0) & (sizes < 1e-144)))


def _is_short(model: Any, case: Case) -> bool:
    """Return whether there are too few rows that count."""
    weight = np.ones(len(case.X)) if case.sample_weight is None else case.sample_weight
    return len(case.X) < 2 or np.count_nonzero(weight) < case.n_components


#: What an error says, and whether it holds.
CAUSES: dict[str, Callable[[Any, Case], bool]] = {
    "n_samples >= n_(components|clusters)|minimum of 2 is required": _is_short,
    "too large": _is_too_large,
    "not positive definite": _is_singular,
    "cannot resolve the distances": _is_unresolved,
    "cannot invert variances below 1e-300": _is_too_small,
    "needs features whose squares float64 can represent": _has_tiny_feature,
}


def _fault_of_fit(model: Any, case: Case) -> str:
    """Return what is wrong with a fitted model."""
    for name, value in vars(model).items():
        is_number = name.endswith("_") and name not in ("history_", "collapsed_", "restarts_")
        if is_number and not np.all(np.isfinite(np.asarray(value, np.float64))):
            return f"{name} is not finite"
    with np.errstate(over="ignore"):
        resp, density = model.predict_proba(case.X), model.score_samples(case.X)
    if not (np.isfinite(density).all() and np.isfinite(model.score(case.X))):
        return "scores are not finite"
    if not np.allclose(resp.sum(axis=1), 1.0, rtol=0, atol=1e-6) or resp.min() < 0:
        return "responsibilities do not sum to 1"
    if set(model.predict(case.X)) - set(range(case.n_components)):
        return "predicts components that do not exist"
    return _fault_of_bounds(model, case)


def _fault_of_bounds(model: Any, case: Case) -> str:
    """Return where the likelihood fell by more than rounding; reg_covar is no part of it."""
    if getattr(model, "reg_covar", "none") != 0.0 or len(model.lower_bounds_) < 2:
        return ""
    bounds = np.array(model.lower_bounds_)
    # that of a variational posterior is a sum over the samples
    n = len(case.X) if isinstance(model, BayesianGaussianMixture) else 1
    allowed = n * _rounding(model)
    falls = -np.diff(bounds) - 1e-8 * np.maximum(1.0, np.abs(bounds[:-1]))
    return f"the lower bound falls by {falls.max():.1g}" if falls.max() > allowed else ""


def _rounding(model: Any) -> float:
    """Return the order of the rounding error of a log-density.

    That of a factor is d eps times the condition of the correlations. A mean is rounded by eps
    times its size and its distance from the kernels' origin, which count in deviations.
    """
    d = model.means_.shape[1]
    matrices = get_covariance_model(model.covariance_type).dense(
        model.covariances_, *model.means_.shape
    )
    deviations = np.sqrt(np.diagonal(matrices, axis1=1, axis2=2))
    correlations = matrices / deviations[:, :, np.newaxis] / deviations[:, np.newaxis, :]
    eps = float(np.finfo(np.float64).eps)
    smallest = max(float(np.linalg.eigvalsh(correlations).min()), eps)
    sizes = np.abs(model.means_) + np.abs(model.means_ - model.means_.mean(axis=0))
    return d * eps * (1.0 / smallest + float((sizes / deviations).max()))
