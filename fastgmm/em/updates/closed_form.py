"""The M step of EM: parameters that maximise the expected complete log-likelihood."""

from typing import ClassVar

import numpy as np

from ..._kernels.layout import Array
from ..._kernels.threads import count_threads
from ...model.parameters import MixtureParameters, smallest_variances
from ...model.statistics import SufficientStatistics
from .base import Update, Updated


class ClosedForm(Update):
    """The maximum of the expected complete log-likelihood.

    With N = sum_k nk::

        weight_k = nk / N
        mean_k = sum w r x / nk
        covariance_k = sum w r z z^T / nk + reg_covar I    with z = x - mean_k

    A component whose new covariance would not be positive definite keeps its previous covariance. A
    component without samples also keeps its previous mean. Both are generalized EM steps: the
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
    """Return the weights, means and covariances that maximise Q, without checks."""
    nk, means, second = statistics.central()
    model = statistics.covariance_model
    # a tied covariance is divided by the sum of nk, which is positive
    safe = np.where(nk > 0, nk, 1.0) if model.per_component else nk
    return nk / nk.sum(), means, model.estimate(second, safe, means.shape[1], reg_covar)
