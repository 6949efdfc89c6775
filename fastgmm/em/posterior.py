"""E-step policies: how the posterior over components is formed and summed up."""

from typing import Protocol

import numpy as np

from .. import _kernels as kernels
from ..moments import SufficientStatistics
from ..parameters import MixtureParameters
from ..samples import Samples


class Posterior(Protocol):
    """Turns samples and parameters into sufficient statistics."""

    def summarize(self, samples: Samples, parameters: MixtureParameters) -> SufficientStatistics:
        """Return the statistics of all samples about the means of ``parameters``."""


class ExactPosterior:
    """Responsibilities by Bayes' theorem, p(k | x) = w_k N(x | k) / p(x).

    One read of the samples; nothing of size n x K is formed.

    Parameters
    ----------
    n_threads : int
    """

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads

    def summarize(self, samples: Samples, parameters: MixtureParameters) -> SufficientStatistics:
        """Return the statistics of all samples about the means of ``parameters``."""
        total = SufficientStatistics.zeros(parameters.covariance_type, parameters.means)
        log_likelihood = np.zeros(1)
        components = parameters.components()
        for X, weight in samples.blocks():
            kernels.accumulate(X, weight, components, total.moments, log_likelihood, self.n_threads)
        return SufficientStatistics(
            total.covariance_type,
            total.centers,
            total.moments,
            float(log_likelihood[0]),
            samples.total_weight,
        )
