"""Starting points for EM, from a subsample where the data is large.

Seeding uses no more than ``seeding_size`` rows, so that it costs no more than a few iterations of
EM on all rows.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.utils.random import sample_without_replacement
from threadpoolctl import threadpool_limits

from .._kernels.layout import Array, Moments
from ..data.samples import Samples
from ..em.updates.closed_form import estimate
from ..model.covariance_model import CovarianceModel
from ..model.parameters import MixtureParameters, distances_from_origin
from ..model.priors import NormalWishartPrior, VariationalParameters
from ..model.statistics import SufficientStatistics

# Up to this many rows, seeding uses all of them, as scikit-learn does; beyond, a subsample.
_WHOLE_ROWS = 16384
_SEEDING_ROWS = 8192
_SEEDING_ROWS_PER_COMPONENT = 32
_RESP_ELEMENTS = 2**20


class Seeds(NamedTuple):
    """Centres and a rule that gives the responsibilities of rows ``start`` to ``stop``."""

    centers: Array
    resp: Callable[[int, int], Array]
    fixed_centers: bool  # the centres are themselves the means, with pooled covariances


def seeding_size(n_samples: int, n_components: int) -> int:
    """Return how many rows seeding uses."""
    if n_samples <= _WHOLE_ROWS:
        return n_samples
    return min(n_samples, max(_SEEDING_ROWS, _SEEDING_ROWS_PER_COMPONENT * n_components))


def seeding_subsample(
    samples: Samples, n_components: int, random_state: np.random.RandomState
) -> Samples:
    """Return the samples that seeding uses: rows of positive weight, without replacement."""
    weight = samples.sample_weight
    rows: Any = slice(None)
    n_samples = samples.n_samples
    if samples.is_weighted and not (weight > 0).all():
        rows = np.flatnonzero(weight)
        n_samples = len(rows)
    size = seeding_size(n_samples, n_components)
    if size < n_samples:
        chosen = np.sort(sample_without_replacement(n_samples, size, random_state=random_state))
        rows = chosen if isinstance(rows, slice) else rows[chosen]
    return Samples(samples.rows(rows), weight[rows] if samples.is_weighted else None)


def initial_parameters(
    samples: Samples,
    *,
    n_components: int,
    covariance_model: CovarianceModel,
    init_params: str,
    reg_covar: float | Array,
    random_state: np.random.RandomState,
    n_threads: int,
    weights: Array | None = None,
    means: Array | None = None,
    factored: tuple[Array, Array] | None = None,
) -> MixtureParameters:
    """Return the starting parameters: those that are given, and estimates of the others.

    Parameters
    ----------
    samples : Samples
    n_components : int
    covariance_model : CovarianceModel
    init_params : {'kmeans', 'k-means++', 'random', 'random_from_data'}
    reg_covar : float or (d,) array
    random_state : RandomState
    n_threads : int
    weights, means : array, optional
        Given parameters, already checked.
    factored : tuple of two arrays, optional
        Given covariances and the factors of their inverses, already checked.

    Raises
    ------
    CollapseError
        If not even the covariance of all the samples is positive definite.
    """
    if weights is not None and means is not None and factored is not None:
        return MixtureParameters(covariance_model, weights, means, *factored)
    X, weight, seeds = _seed(samples, n_components, init_params, random_state)
    statistics = _summarize(X, weight, seeds, covariance_model, n_threads)
    estimated = estimate(statistics, reg_covar)
    if seeds.fixed_centers:
        estimated = (np.full(n_components, 1.0 / n_components), seeds.centers, estimated[2])
    weights = estimated[0] if weights is None else weights
    means = estimated[1] if means is None else means
    if factored is not None:
        return MixtureParameters(covariance_model, weights, means, *factored)
    pooled = _pooled(statistics, reg_covar)
    if seeds.fixed_centers:
        return MixtureParameters.from_covariances(covariance_model, weights, means, pooled)
    return _repaired(covariance_model, weights, means, estimated[2], pooled)


def initial_statistics(
    samples: Samples,
    *,
    n_components: int,
    covariance_model: CovarianceModel,
    init_params: str,
    random_state: np.random.RandomState,
    n_threads: int,
) -> SufficientStatistics:
    """Return the statistics of starting responsibilities, for an update that has a prior.

    For ``k-means++`` and ``random_from_data`` these are the statistics of the chosen samples alone,
    one for each component, as in scikit-learn. Otherwise the statistics of a subsample are
    multiplied by the ratio of the weights, so that they stand for all samples.

    Parameters
    ----------
    samples : Samples
    n_components : int
    covariance_model : CovarianceModel
    init_params : {'kmeans', 'k-means++', 'random', 'random_from_data'}
    random_state : RandomState
    n_threads : int
    """
    X, weight, seeds = _seed(samples, n_components, init_params, random_state)
    if seeds.fixed_centers:
        single = SufficientStatistics.zeros(covariance_model, seeds.centers)
        single.moments.nk[:] = 1.0
        return replace(single, weight=float(n_components))
    statistics = _summarize(X, weight, seeds, covariance_model, n_threads)
    ratio = samples.total_weight / float(weight.sum())
    scaled = Moments(*(ratio * values for values in statistics.moments))
    return replace(statistics, moments=scaled, weight=samples.total_weight)


def initial_posterior(
    statistics: SufficientStatistics, prior: NormalWishartPrior, reg_covar: float | Array
) -> VariationalParameters:
    """Return the posterior given starting responsibilities.

    Components that collapse take the covariance of all samples about their centres.

    Raises
    ------
    CollapseError
        If that covariance is not positive definite either.
    """
    parameters, collapsed = prior.posterior(statistics, reg_covar)
    if not collapsed.any():
        return parameters
    pooled = MixtureParameters.from_covariances(
        statistics.covariance_model,
        parameters.weights,
        parameters.means,
        _pooled(statistics, reg_covar),
    )
    return prior.posterior(statistics, reg_covar, pooled)[0]


def _seed(
    samples: Samples, n_components: int, init_params: str, random_state: np.random.RandomState
) -> tuple[Array, Array, Seeds]:
    """Return the samples that seeding uses, their weights, and the seeds."""
    seeding = seeding_subsample(samples, n_components, random_state)
    X, weight = next(seeding.blocks())
    X = np.asarray(X, np.float64)
    given_weight = weight if seeding.is_weighted else None
    # the order of sums in k-means and BLAS depends on their threads: one gives the same bits
    with threadpool_limits(limits=1):
        return X, weight, _SEEDING[init_params](X, given_weight, n_components, random_state)


def _summarize(
    X: Array, weight: Array, seeds: Seeds, covariance_model: CovarianceModel, n_threads: int
) -> SufficientStatistics:
    statistics = SufficientStatistics.zeros(covariance_model, seeds.centers)
    step = max(_RESP_ELEMENTS // len(seeds.centers), 1)
    for start in range(0, len(X), step):
        stop = min(start + step, len(X))
        resp = seeds.resp(start, stop)
        statistics.add_moments(X[start:stop], weight[start:stop], resp, n_threads)
    return statistics


def _pooled(statistics: SufficientStatistics, reg_covar: float | Array) -> Array:
    """Return one covariance for every component: that of all samples about their centres.

    If that is invalid, because the samples of each centre coincide, it is that of all samples about
    their mean.
    """
    nk, means, _ = statistics.central()
    center = np.broadcast_to(nk @ means / nk.sum(), means.shape)
    model, distances = statistics.covariance_model, distances_from_origin(means)
    pooled, total = (_one_for_all(statistics.recenter(c), reg_covar) for c in (means, center))
    is_invalid = model.factor(pooled, distances)[1].any()
    return total if is_invalid and not model.factor(total, distances)[1].any() else pooled


def _one_for_all(statistics: SufficientStatistics, reg_covar: float | Array) -> Array:
    """Return the covariance of all samples about the centres, for every component."""
    model = statistics.covariance_model
    nk, _, second = statistics.moments
    if model.per_component:
        nk, second = np.full(nk.shape, nk.sum()), np.broadcast_to(second.sum(axis=0), second.shape)
    return model.regularize(model.estimate(second, nk, statistics.centers.shape[1]), reg_covar)


def _repaired(
    covariance_model: CovarianceModel,
    weights: Array,
    means: Array,
    covariances: Array,
    pooled: Array,
) -> MixtureParameters:
    """Give components that collapsed in seeding the pooled covariance."""
    _, collapsed = covariance_model.factor(covariances, distances_from_origin(means))
    covariances = covariance_model.replace(covariances, collapsed, pooled)
    return MixtureParameters.from_covariances(covariance_model, weights, means, covariances)


def _one_hot(labels: NDArray[np.integer[Any]], n_components: int) -> Callable[[int, int], Array]:
    def resp(start: int, stop: int) -> Array:
        table = np.zeros((stop - start, n_components))
        table[np.arange(stop - start), labels[start:stop]] = 1.0
        return table

    return resp


def _nearest(X: Array, centers: Array) -> Callable[[int, int], Array]:
    from sklearn.metrics import pairwise_distances_argmin

    # x^2 - 2 x c + c^2 cancels where the data is far from zero
    origin = X.mean(axis=0)
    return _one_hot(pairwise_distances_argmin(X - origin, centers - origin), len(centers))


def _kmeans(
    X: Array, weight: Array | None, n_components: int, random_state: np.random.RandomState
) -> Seeds:
    """Take the clusters of k-means."""
    fitted = KMeans(n_components, n_init=1, random_state=random_state).fit(X, sample_weight=weight)
    return Seeds(fitted.cluster_centers_, _one_hot(fitted.labels_, n_components), False)


def _kmeans_plusplus(
    X: Array, weight: Array | None, n_components: int, random_state: np.random.RandomState
) -> Seeds:
    """Choose samples far from one another."""
    _, rows = kmeans_plusplus(
        X - X.mean(axis=0), n_components, sample_weight=weight, random_state=random_state
    )
    return Seeds(X[rows], _nearest(X, X[rows]), True)


def _random_from_data(
    X: Array, weight: Array | None, n_components: int, random_state: np.random.RandomState
) -> Seeds:
    """Draw samples by weight."""
    p = None if weight is None else weight / weight.sum()
    rows = random_state.choice(len(X), size=n_components, replace=False, p=p)
    return Seeds(X[rows], _nearest(X, X[rows]), True)


def _random(
    X: Array, weight: Array | None, n_components: int, random_state: np.random.RandomState
) -> Seeds:
    """Draw responsibilities uniformly."""

    def resp(start: int, stop: int) -> Array:
        table = random_state.uniform(size=(stop - start, n_components))
        table /= table.sum(axis=1, keepdims=True)
        return table

    center = np.average(X, axis=0, weights=weight)
    return Seeds(np.tile(center, (n_components, 1)), resp, False)


_SEEDING: dict[str, Callable[..., Seeds]] = {
    "kmeans": _kmeans,
    "k-means++": _kmeans_plusplus,
    "random": _random,
    "random_from_data": _random_from_data,
}
INIT_PARAMS: tuple[str, ...] = tuple(_SEEDING)
