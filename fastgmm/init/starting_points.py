"""Starting points for EM, from a subsample where the data is large."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from .._kernels.layout import Array, Moments
from ..data.samples import Samples
from ..em.updates.closed_form import ClosedForm, estimate
from ..em.updates.conjugate import ConjugatePrior
from ..model.covariance_model import CovarianceModel
from ..model.parameters import MixtureParameters, distances_from_origin
from ..model.priors import NormalWishartPrior, VariationalParameters
from ..model.statistics import SufficientStatistics
from .automatic import Problem, best_scaled_start, best_start, in_order
from .seeding import SEEDING, Seeds, float64_rows, nearest, one_thread, seeding_subsample

INIT_PARAMS: tuple[str, ...] = ("auto", *SEEDING)

_SEARCHES = {"auto": best_start, "scaled": best_scaled_start}
_RESP_ELEMENTS = 2**20


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
    fixed: Iterable[str] = (),
) -> MixtureParameters:
    """Return the starting parameters: those that are given, and estimates of the others.

    Parameters
    ----------
    samples : Samples
    n_components : int
    covariance_model : CovarianceModel
    init_params : {'auto', 'scaled', 'kmeans', 'k-means++', 'random', 'random_from_data'}
        ``scaled``: as ``auto``, without the start that depends on units.
    reg_covar : float or (d,) array
    random_state : RandomState
    n_threads : int
    weights, means : array, optional
        Given parameters, already checked.
    factored : tuple of two arrays, optional
        Given covariances and the factors of their inverses, already checked.
    fixed : iterable of {'weights', 'covariances'}
        What EM does not change, which ``auto`` compares starts by.

    Raises
    ------
    CollapseError
        If not even the covariance of all the samples is positive definite.
    """
    if weights is not None and means is not None and factored is not None:
        return MixtureParameters(covariance_model, weights, means, *factored)
    given = _Given(covariance_model, reg_covar, n_threads, weights, means, factored)
    seeding = seeding_subsample(samples, n_components, random_state)
    if init_params not in _SEARCHES:
        return given.estimate_rest(*_seed(seeding, n_components, init_params, random_state))
    update = ClosedForm(reg_covar, n_threads, fixed)
    problem = Problem(n_components, given.estimate_rest, update, n_threads, means)
    start = _SEARCHES[init_params](seeding, problem, random_state)
    return start.estimated if given.has_any else in_order(start.reached)


@dataclass(frozen=True)
class _Given:
    """The parameters that are given, and how to estimate the others."""

    covariance_model: CovarianceModel
    reg_covar: float | Array
    n_threads: int
    weights: Array | None
    means: Array | None
    factored: tuple[Array, Array] | None

    @property
    def has_any(self) -> bool:
        return not (self.weights is None and self.means is None and self.factored is None)

    def estimate_rest(self, X: Array, weight: Array | None, seeds: Seeds) -> MixtureParameters:
        """Return the given parameters, and estimates of the others from rows and their seeds.

        Chosen samples begin in scikit-learn as components of equal weight and of the variance
        ``reg_covar``, which is small. This returns what its first iteration leads to. Where
        covariances are given, the samples are themselves the means. Given means take their place.
        """
        chosen = seeds.centers if seeds.resp is None else None
        if chosen is not None:
            centers = chosen if self.means is None else self.means
            seeds = Seeds(centers, nearest(X, centers))
        statistics = _summarize(X, weight, seeds, self.covariance_model, self.n_threads)
        weights, means, covariances = estimate(statistics, self.reg_covar)
        if chosen is not None and self.factored is not None:
            weights, means = np.full(len(weights), 1.0 / len(weights)), chosen
        weights = weights if self.weights is None else self.weights
        means = means if self.means is None else self.means
        if self.factored is not None:
            return MixtureParameters(self.covariance_model, weights, means, *self.factored)
        model = self.covariance_model
        factors, collapsed = model.factor(covariances, distances_from_origin(means))
        if not collapsed.any():
            return MixtureParameters(model, weights, means, covariances, factors)
        pooled = _pooled(statistics, self.reg_covar)
        covariances = model.replace(covariances, collapsed, pooled)
        return MixtureParameters.from_covariances(model, weights, means, covariances)


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
    seeding = seeding_subsample(samples, n_components, random_state)
    X, weight, seeds = _seed(seeding, n_components, init_params, random_state)
    if seeds.resp is None:
        single = SufficientStatistics.zeros(covariance_model, seeds.centers)
        single.moments.nk[:] = 1.0
        return replace(single, weight=float(n_components))
    statistics = _summarize(X, weight, seeds, covariance_model, n_threads)
    ratio = samples.total_weight / seeding.total_weight
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


def automatic_posterior(
    samples: Samples,
    *,
    n_components: int,
    covariance_model: CovarianceModel,
    prior: NormalWishartPrior,
    reg_covar: float | Array,
    random_state: np.random.RandomState,
    n_threads: int,
) -> VariationalParameters:
    """Return the better start for variational Bayes, by the lower bound of the evidence.

    The weights of a subsample are multiplied, so that it stands for all samples.

    Parameters
    ----------
    samples : Samples
    n_components : int
    covariance_model : CovarianceModel
    prior : NormalWishartPrior
    reg_covar : float or (d,) array
    random_state : RandomState
    n_threads : int
    """
    seeding = seeding_subsample(samples, n_components, random_state)
    if seeding.n_samples < samples.n_samples:
        ratio = samples.total_weight / seeding.total_weight
        seeding = seeding.with_weight(ratio * seeding.sample_weight)

    def estimate_posterior(X: Array, weight: Array | None, seeds: Seeds) -> VariationalParameters:
        statistics = _summarize(X, weight, seeds, covariance_model, n_threads)
        return initial_posterior(statistics, prior, reg_covar)

    update = ConjugatePrior(prior, reg_covar)
    problem = Problem(n_components, estimate_posterior, update, n_threads)
    reached = best_start(seeding, problem, random_state).reached
    assert isinstance(reached, VariationalParameters)
    return reached


def _seed(
    seeding: Samples, n_components: int, init_params: str, random_state: np.random.RandomState
) -> tuple[Array, Array | None, Seeds]:
    """Return the rows to seed from, their weights, and the seeds."""
    X, weight = float64_rows(seeding)
    # the order of sums in k-means and BLAS depends on their threads: one gives the same bits
    with one_thread():
        return X, weight, SEEDING[init_params](X, weight, n_components, random_state)


def _summarize(
    X: Array,
    weight: Array | None,
    seeds: Seeds,
    covariance_model: CovarianceModel,
    n_threads: int,
) -> SufficientStatistics:
    assert seeds.resp is not None
    if weight is None:
        weight = np.broadcast_to(np.float64(1.0), len(X))
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
