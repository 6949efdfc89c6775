"""Data, parameters and starting points that the benchmarks share with ``fastgmm bench``."""

import numpy as np

from fastgmm._kernels.layout import Components
from fastgmm.benchmark import make_samples, make_start, unit_precisions

__all__ = ["make_components", "make_samples", "make_start"]


def make_components(means, covariance_type):
    """Return the kernels' parameters for equal weights and unit covariances."""
    K, d = means.shape
    log_coefficients = np.full(K, -np.log(K) - 0.5 * d * np.log(2.0 * np.pi))
    return Components(
        covariance_type, log_coefficients, means, unit_precisions(covariance_type, d, K)
    )
