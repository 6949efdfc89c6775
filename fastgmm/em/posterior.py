"""E-step policies: how the posterior over components is formed and summed up."""

from typing import Protocol

import numpy as np

from .. import _kernels as kernels
from ..moments import SufficientStatistics
from ..parameters import MixtureParameters
from ..precision import allows_float32
from ..samples import Samples


class Posterior(Protocol):
    """Turns samples and parameters into sufficient statistics."""

    def summarize(self, samples: Samples, parameters: MixtureParameters) -> SufficientStatistics:
        """Return the statistics of all samples, about (or near) the means of ``parameters``."""


class ExactPosterior:
    """Responsibilities by Bayes' theorem, p(k | x) = w_k N(x | k) / p(x).

    One read of the samples; nothing of size n x K is formed. Blocks of float32 samples are
    computed in float32 where ``allows_float32`` finds it safe, and summed up in float64.

    Parameters
    ----------
    n_threads : int
    """

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads

    def summarize(self, samples: Samples, parameters: MixtureParameters) -> SufficientStatistics:
        """Return the statistics of all samples, about the means or what float32 makes of them."""
        float32_blocks = allows_float32(samples, parameters)
        means = parameters.means
        centers = kernels.float32_centers(means) if float32_blocks else means
        total = SufficientStatistics.zeros(parameters.covariance_type, centers)
        log_likelihood = np.zeros(1)
        sums = total.moments, log_likelihood
        components = parameters.components()
        for X, weight in samples.blocks():
            kernels.accumulate(X, weight, components, *sums, self.n_threads, float32_blocks)
        return SufficientStatistics(
            total.covariance_type,
            total.centers,
            total.moments,
            float(log_likelihood[0]),
            samples.total_weight,
        )
