"""Simulated mixtures of which the number of components is known."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# The closest components are so many standard deviations apart.
_SEPARATION = 4.0
_COVARIANCES = ("full", "tied", "diag")


def simulated_mixture(seed: int, largest: int = 50_000) -> tuple[Array, int]:
    """Return samples of a random mixture in unlike units, and its number of components.

    It has 2 to 9 components and 2 to 10 features. Covariances are full, tied or diagonal in turn.

    Parameters
    ----------
    seed : int
    largest : int
        Of 1,000 to so many rows, few are as likely as many.

    Returns
    -------
    X : (n, d) array
    n_components : int
    """
    rng = np.random.default_rng(seed)
    K, d = int(rng.integers(2, 10)), int(rng.integers(2, 11))
    n = int(np.exp(rng.uniform(np.log(1000), np.log(largest))))
    covariances = _covariances(rng, _COVARIANCES[seed % 3], K, d)
    means = rng.normal(size=(K, d))
    while _closest(means, covariances) < _SEPARATION:
        means *= 1.1
    labels = rng.choice(K, n, p=0.5 / K + 0.5 * rng.dirichlet(np.full(K, 10.0)))
    roots = np.linalg.cholesky(covariances)
    noise = np.einsum("nij,nj->ni", roots[labels], rng.normal(size=(n, d)))
    units = 10.0 ** rng.uniform(-4.0, 4.0, d)
    return units * (means[labels] + noise + rng.normal(0.0, 10.0, d)), K


def _covariances(rng: np.random.Generator, covariance_type: str, K: int, d: int) -> Array:
    A = rng.normal(size=(K, d, d)) / np.sqrt(d)
    covariances: Array = A @ A.swapaxes(1, 2) + 0.25 * np.eye(d)
    if covariance_type == "tied":
        covariances = np.tile(covariances[0], (K, 1, 1))
    elif covariance_type == "diag":
        covariances = covariances * np.eye(d)
    return covariances


def _closest(means: Array, covariances: Array) -> float:
    """Return the smallest distance of two components, in their mean standard deviations."""
    i, j = np.triu_indices(len(means), 1)
    differences = means[i] - means[j]
    mean = (covariances[i] + covariances[j]) / 2.0
    solved = np.linalg.solve(mean, differences[..., np.newaxis])[..., 0]
    return float(np.sqrt((differences * solved).sum(axis=1).min()))
