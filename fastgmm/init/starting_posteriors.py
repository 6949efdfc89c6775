"""Starting points for variational Bayes: the posterior given starting responsibilities."""

from collections.abc import Callable

import numpy as np

from .._kernels.layout import Array
from ..data.samples import Samples
from ..em.updates.conjugate import ConjugatePrior
from ..model.covariance_model import CovarianceModel
from ..model.parameters import MixtureParameters
from ..model.priors import NormalWishartPrior, VariationalParameters
from ..model.statistics import SufficientStatistics
from .automatic import Problem, best_start
from .seed_statistics import pooled_covariance, statistics_of_seeds
from .seeding import Seeds, seeding_subsample


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
        pooled_covariance(statistics, reg_covar),
    )
    return prior.posterior(statistics, reg_covar, pooled)[0]


def draw_posterior(
    samples: Samples,
    *,
    n_components: int,
    covariance_model: CovarianceModel,
    prior: NormalWishartPrior,
    reg_covar: float | Array,
    random_state: np.random.RandomState,
    n_threads: int,
) -> Callable[[], VariationalParameters]:
    """Draw what a start needs; return a function that returns it.

    It is the better start for variational Bayes, by the lower bound of the evidence.

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
        statistics = statistics_of_seeds(X, weight, seeds, covariance_model, n_threads)
        return initial_posterior(statistics, prior, reg_covar)

    update = ConjugatePrior(prior, reg_covar)
    problem = Problem(n_components, estimate_posterior, update, n_threads)
    compute = best_start(seeding, problem, random_state)

    def automatic() -> VariationalParameters:
        reached = compute().reached
        assert isinstance(reached, VariationalParameters)
        return reached

    return automatic
