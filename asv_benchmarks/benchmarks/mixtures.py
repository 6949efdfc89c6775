"""Data, parameters and starting points that the benchmarks share."""

import numpy as np

from fastgmm._kernels.layout import Components


def make_samples(n, d, K, dtype="float64", seed=0):
    """Return (n, d) samples of K unit-variance clusters with means from N(0, 9)."""
    rng = np.random.default_rng(seed)
    means = 3.0 * rng.standard_normal((K, d))
    X = means[rng.integers(K, size=n)] + rng.standard_normal((n, d))
    return X.astype(dtype), means


def unit_precisions(covariance_type, d, K):
    """Return identity precisions (and so their factors) in the shape of the covariance type."""
    return {
        "full": np.tile(np.eye(d), (K, 1, 1)),
        "tied": np.eye(d),
        "diag": np.ones((K, d)),
        "spherical": np.ones(K),
    }[covariance_type]


def make_start(means, covariance_type, seed=1):
    """Return weights, means and precisions near the truth but not on it."""
    K, d = means.shape
    jitter = 0.5 * np.random.default_rng(seed).standard_normal((K, d))
    return {
        "weights_init": np.full(K, 1.0 / K),
        "means_init": means + jitter,
        "precisions_init": unit_precisions(covariance_type, d, K),
    }


def make_components(means, covariance_type):
    """Return the kernels' parameters for equal weights and unit covariances."""
    K, d = means.shape
    log_coefficients = np.full(K, -np.log(K) - 0.5 * d * np.log(2.0 * np.pi))
    return Components(
        covariance_type, log_coefficients, means, unit_precisions(covariance_type, d, K)
    )
