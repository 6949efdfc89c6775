"""M-step policies: how parameters follow from sufficient statistics."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import numpy as np

from ..._kernels.layout import Array
from ..._kernels.threads import count_threads
from ...data.samples import Samples
from ...model.parameters import MixtureParameters, smallest_variances
from ...model.statistics import SufficientStatistics


class Updated(NamedTuple):
    """What an update returns.

    Attributes
    ----------
    parameters : MixtureParameters
    collapsed : frozenset of int
        Components whose covariance had to be kept as it was; all where they share one.
    lower_bound : float, optional
        Of the new parameters under the responsibilities of this iteration, where the update
        defines its own objective; in place of that of the statistics.
    """

    parameters: MixtureParameters
    collapsed: frozenset[int] = frozenset()
    lower_bound: float | None = None


class Update(ABC):
    """Turns statistics into parameters.

    Attributes
    ----------
    parameters_type : type
        Of the parameters that it takes and returns.
    is_em_step : bool
        Whether it maximises the expected complete log-likelihood.
    """

    parameters_type: ClassVar[type[MixtureParameters]] = MixtureParameters
    is_em_step: ClassVar[bool] = False

    def start(self, samples: Samples, parameters: MixtureParameters) -> None:  # noqa: B027
        """Begin a run: check that the policy fits the data, and forget earlier runs.

        Parameters
        ----------
        samples : Samples
        parameters : MixtureParameters
        """

    @abstractmethod
    def __call__(self, statistics: SufficientStatistics, previous: MixtureParameters) -> Updated:
        """Return the next parameters."""


class ClosedForm(Update):
    """The maximum of the expected complete log-likelihood.

    With N = sum_k nk::

        weight_k = nk / N
        mean_k = sum w r x / nk
        covariance_k = sum w r z z^T / nk + reg_covar I    with z = x - mean_k

    A component whose covariance would not be positive definite keeps its previous one, and a
    component without samples its previous mean too. Both are generalized EM steps: the
    likelihood does not fall, and the fit goes on.

    Parameters
    ----------
    reg_covar : float, default=1e-6
        Added to the diagonal of the covariances.
    n_jobs : int or None, default=None
        Number of threads, for large covariances; None: all cores.
    """

    is_em_step: ClassVar[bool] = True

    def __init__(self, reg_covar: float = 1e-6, n_jobs: int | None = None) -> None:
        self.reg_covar = reg_covar
        self.n_threads = count_threads(n_jobs)

    def __call__(self, statistics: SufficientStatistics, previous: MixtureParameters) -> Updated:
        """Return the next parameters."""
        model = statistics.covariance_model
        weights, means, covariances = estimate(statistics, self.reg_covar)
        factors, collapsed = model.factor(covariances, smallest_variances(means), self.n_threads)
        dead = statistics.moments.nk <= 0
        kept = collapsed | dead if model.per_component else collapsed
        parameters = MixtureParameters(
            model,
            weights,
            means,
            model.replace(covariances, kept, previous.covariances),
            model.replace(factors, kept, previous.precisions_cholesky),
        )
        return Updated(parameters, frozenset(np.flatnonzero(collapsed & ~dead).tolist()))


def estimate(statistics: SufficientStatistics, reg_covar: float) -> tuple[Array, Array, Array]:
    """Return the weights, means and covariances that maximise Q, whatever they are."""
    nk, means, second = statistics.central()
    model = statistics.covariance_model
    # a tied covariance is divided by the sum of all, which is positive
    safe = np.where(nk > 0, nk, 1.0) if model.per_component else nk
    return nk / nk.sum(), means, model.estimate(second, safe, means.shape[1], reg_covar)
