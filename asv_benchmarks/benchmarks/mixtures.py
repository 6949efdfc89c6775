"""Samples and starting points of ``fastgmm bench``, and mixtures near them."""

from functools import lru_cache

import numpy as np

from fastgmm.benchmark import make_samples, make_start, unit_precisions
from fastgmm.model.parameters import MixtureParameters

__all__ = ["make_parameters", "make_start", "samples_and_means"]

# asv runs setup before each sample
samples_and_means = lru_cache(maxsize=1)(make_samples)


def make_parameters(means, covariance_type):
    """Return a mixture of equal weights and unit covariances."""
    K, d = means.shape
    factors = unit_precisions(covariance_type, d, K)
    weights = np.full(K, 1.0 / K)
    return MixtureParameters.from_precisions_cholesky(covariance_type, weights, means, factors)
