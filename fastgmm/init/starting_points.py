"""Starting points for EM, from a subsample where the data is large."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._kernels.layout import Array, Moments
from ..data.samples import Samples
from ..em.updates.closed_form import ClosedForm, estimate
from ..model.covariance_model import CovarianceModel
from ..model.parameters import MixtureParameters, distances_from_origin
from ..model.statistics import SufficientStatistics
from .automatic import Problem, best_start, in_order
from .given import Resp, given_start, given_statistics, is_given
from .seed_statistics import pooled_covariance, statistics_of_seeds
from .seeding import (
    SEEDING,
    Seeds,
    float64_rows,
    nearest,
    one_thread,
    seeding_subsample,
    tree_seeds,
)

INIT_PARAMS: tuple[str, ...] = ("auto", "tree", *SEEDING)


def initial_parameters(samples: Samples, **options: Any) -> MixtureParameters:
    """Return the starting parameters; see `draw_parameters`, which takes the same options."""
    return draw_parameters(samples, **options)()


def draw_parameters(
    samples: Samples,
    *,
    n_components: int,
    covariance_model: CovarianceModel,
    init_params: Any,
    reg_covar: float | Array,
    random_state: np.random.RandomState,
    n_threads: int,
    weights: Array | None = None,
    means: Array | None = None,
    factored: tuple[Array, Array] | None = None,
    new_update: Callable[[], ClosedForm] | None = None,
) -> Callable[[], MixtureParameters]:
    """Draw what a start needs, and return a function that returns its parameters.

    They are those that are given, and estimates of the others. Starts are drawn one after the
    other; the functions may run at once.

    Parameters
    ----------
    samples : Samples
    n_components : int
    covariance_model : CovarianceModel
    init_params : str, array or callable
        One of ``INIT_PARAMS``. Or labels, responsibilities, or a function that returns them.
    reg_covar : float or (d,) array
    random_state : RandomState
    n_threads : int
    weights, means : array, optional
        Given parameters, already checked.
    factored : tuple of two arrays, optional
        Given covariances and the factors of their inverses, already checked.
    new_update : callable, optional
        Returns the M step, by which ``auto`` compares starts, and whose floor covariances have.

    Raises
    ------
    CollapseError
        If not even the covariance of all the samples is positive definite.
    """
    update = ClosedForm(reg_covar, n_threads) if new_update is None else new_update()
    if weights is not None and means is not None and factored is not None:
        parameters = MixtureParameters(covariance_model, weights, means, *factored)
        return lambda: parameters
    given = _Given(covariance_model, update, n_threads, weights, means, factored)
    if is_given(init_params):
        start = given_start(samples, init_params, n_components, covariance_model, random_state)
        return lambda: given.estimate_from(samples, start, n_components)
    seeding = seeding_subsample(samples, n_components, random_state)
    if init_params != "auto":
        X, weight, seeds = _seed(seeding, n_components, init_params, random_state, n_threads)
        estimated = given.estimate_rest(X, weight, seeds)
        return lambda: estimated
    problem = Problem(n_components, given.estimate_rest, update, n_threads, means)
    compute = best_start(seeding, problem, random_state)

    def automatic() -> MixtureParameters:
        start = compute()
        return start.estimated if given.has_any else in_order(start.reached)

    return automatic


def parameters_from_seeds(
    samples: Samples,
    seeds: Seeds,
    covariance_model: CovarianceModel,
    reg_covar: float | Array,
    n_threads: int,
) -> MixtureParameters:
    """Return the parameters of the clusters that seeds stand for.

    Parameters
    ----------
    samples : Samples
        The rows that the seeds are for.
    seeds : Seeds
    covariance_model : CovarianceModel
    reg_covar : float or (d,) array
    n_threads : int

    Raises
    ------
    CollapseError
        If not even the covariance of all the samples is positive definite.
    """
    X, weight = float64_rows(samples)
    return _nothing_given(covariance_model, reg_covar, n_threads).estimate_rest(X, weight, seeds)


def parameters_from_statistics(
    statistics: SufficientStatistics, reg_covar: float | Array, n_threads: int
) -> MixtureParameters:
    """Return the parameters of clusters whose statistics are known.

    Parameters
    ----------
    statistics : SufficientStatistics
    reg_covar : float or (d,) array
    n_threads : int

    Raises
    ------
    CollapseError
        If not even the covariance of all the samples is positive definite.
    """
    given = _nothing_given(statistics.covariance_model, reg_covar, n_threads)
    return given.estimate_all(statistics)


@dataclass(frozen=True)
class _Given:
    """The parameters that are given, and how to estimate the others."""

    covariance_model: CovarianceModel
    update: ClosedForm
    n_threads: int
    weights: Array | None
    means: Array | None
    factored: tuple[Array, Array] | None

    @property
    def has_any(self) -> bool:
        return not (self.weights is None and self.means is None and self.factored is None)

    def estimate_from(
        self, samples: Samples, start: MixtureParameters | Resp, n_components: int
    ) -> MixtureParameters:
        """Return the given parameters, and others from a start that the user hands in."""
        if not isinstance(start, MixtureParameters):
            model = self.covariance_model
            statistics = given_statistics(samples, start, n_components, model, self.n_threads)
            return self.estimate_all(statistics)
        covariances = start.covariances, start.precisions_cholesky
        return MixtureParameters(
            self.covariance_model,
            start.weights if self.weights is None else self.weights,
            start.means if self.means is None else self.means,
            *(covariances if self.factored is None else self.factored),
        )

    def estimate_all(self, statistics: SufficientStatistics) -> MixtureParameters:
        """Return the given parameters, and estimates of the others from statistics."""
        return self._complete(statistics, *self._estimate(statistics))

    def estimate_rest(self, X: Array, weight: Array | None, seeds: Seeds) -> MixtureParameters:
        """Return the given parameters, and estimates of the others from rows and their seeds.

        Chosen samples begin in scikit-learn as components of equal weight and of the variance
        ``reg_covar``, which is small. This returns what its first iteration leads to. Where
        covariances are given, the samples are themselves the means. Given means take their place.
        """
        chosen = seeds.centers if seeds.are_samples else None
        if chosen is not None:
            centers = chosen if self.means is None else self.means
            seeds = Seeds(centers, nearest(X, centers))
        statistics = statistics_of_seeds(X, weight, seeds, self.covariance_model, self.n_threads)
        weights, means, covariances = self._estimate(statistics)
        if seeds.groups is not None and _have_few_rows(statistics, len(X)):
            means = seeds.centers
        if chosen is not None and self.factored is not None:
            weights, means = np.full(len(weights), 1.0 / len(weights)), chosen
        return self._complete(statistics, weights, means, covariances)

    def _estimate(self, statistics: SufficientStatistics) -> tuple[Array, Array, Array]:
        weights, means, covariances = estimate(statistics, self.update.reg_covar)
        return weights, means, self.update.lift(self.covariance_model, covariances)

    def _complete(
        self, statistics: SufficientStatistics, weights: Array, means: Array, covariances: Array
    ) -> MixtureParameters:
        """Return the given parameters and these others; those that collapse are pooled."""
        weights = weights if self.weights is None else self.weights
        means = means if self.means is None else self.means
        if self.factored is not None:
            return MixtureParameters(self.covariance_model, weights, means, *self.factored)
        model = self.covariance_model
        factors, collapsed = model.factor(covariances, distances_from_origin(means))
        if not collapsed.any():
            return MixtureParameters(model, weights, means, covariances, factors)
        pooled = pooled_covariance(statistics, self.update.reg_covar)
        covariances = model.replace(covariances, collapsed, self.update.lift(model, pooled))
        return MixtureParameters.from_covariances(model, weights, means, covariances)


def _nothing_given(model: CovarianceModel, reg_covar: float | Array, n_threads: int) -> _Given:
    return _Given(model, ClosedForm(reg_covar, n_threads), n_threads, None, None, None)


def _have_few_rows(statistics: SufficientStatistics, n_rows: int) -> bool:
    """Return whether there are fewer than two rows for each parameter of the covariances.

    Then EM stays near such groups. From a random row of each in place of its mean it reached 0.03
    to 0.14 nats a sample more, on other samples too (200,000 patches: K = 1,000, full; K = 8,000,
    diagonal). With more rows it made no difference, or reached up to 0.1 less.
    """
    n_parameters = statistics.covariance_model.n_parameters(*statistics.centers.shape)
    return n_rows < 2 * n_parameters


def initial_statistics(
    samples: Samples,
    *,
    n_components: int,
    covariance_model: CovarianceModel,
    init_params: Any,
    random_state: np.random.RandomState,
    n_threads: int,
) -> SufficientStatistics | MixtureParameters:
    """Return the statistics of starting responsibilities, for an update that has a prior.

    For ``k-means++`` and ``random_from_data`` these are the statistics of the chosen samples alone,
    one for each component, as in scikit-learn. Otherwise the statistics of a subsample are
    multiplied by the ratio of the weights, so that they stand for all samples. A function that
    returns parameters is a start without statistics.

    Parameters
    ----------
    samples : Samples
    n_components : int
    covariance_model : CovarianceModel
    init_params : {'tree', 'kmeans', 'k-means++', 'random', 'random_from_data'}, array or callable
    random_state : RandomState
    n_threads : int
    """
    if is_given(init_params):
        start = given_start(samples, init_params, n_components, covariance_model, random_state)
        if isinstance(start, MixtureParameters):
            return start
        return given_statistics(samples, start, n_components, covariance_model, n_threads)
    seeding = seeding_subsample(samples, n_components, random_state)
    X, weight, seeds = _seed(seeding, n_components, init_params, random_state, n_threads)
    if seeds.are_samples:
        single = SufficientStatistics.zeros(covariance_model, seeds.centers)
        single.moments.nk[:] = 1.0
        return replace(single, weight=float(n_components))
    statistics = statistics_of_seeds(X, weight, seeds, covariance_model, n_threads)
    ratio = samples.total_weight / seeding.total_weight
    scaled = Moments(*(ratio * values for values in statistics.moments))
    return replace(statistics, moments=scaled, weight=samples.total_weight)


def _seed(
    seeding: Samples,
    n_components: int,
    init_params: str,
    random_state: np.random.RandomState,
    n_threads: int,
) -> tuple[Array, Array | None, Seeds]:
    """Return the rows to seed from, their weights, and the seeds."""
    X, weight = float64_rows(seeding)
    if init_params == "tree":
        return X, weight, tree_seeds(X, weight, n_components, random_state, n_threads)
    # the order of sums in k-means and BLAS depends on their threads: one gives the same bits
    with one_thread():
        return X, weight, SEEDING[init_params](X, weight, n_components, random_state)
