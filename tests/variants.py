"""What every posterior is tested for: known maxima, plain sums, threads, absent rows."""

import numpy as np
from generators import SHARED, assert_same_bits, dense, draw, hard_labels, mixture
from scipy.stats import multivariate_normal
from test_references import FAITHFUL, FAITHFUL_FITS, IRIS, IRIS_FITS, LONG, SPECIES

from fastgmm import em

REFERENCES = ("faithful", "iris")


class Nothing(em.Update):
    """Leave the parameters as they are."""

    def __call__(self, statistics, previous):
        return em.Updated(previous)


def known(name, covariance_type):
    """Return samples, the M step from their labels, and the log-likelihood at the maximum."""
    if name == "faithful":
        start = hard_labels(FAITHFUL, LONG.astype(int), covariance_type)
        return FAITHFUL, start, FAITHFUL_FITS[covariance_type][2]
    start = hard_labels(IRIS, SPECIES, covariance_type)
    return IRIS, start, IRIS_FITS[covariance_type][2]


def log_likelihood(X, parameters, weight=None):
    """Return the sum of w log p(x)."""
    total = len(X) if weight is None else weight.sum()
    return em.fit(X, parameters, sample_weight=weight, max_iter=1).lower_bound * total


def log_joint(X, parameters):
    """Return log p(x, k), (n, K), by SciPy."""
    return np.stack(
        [
            np.log(w) + multivariate_normal(mean, covariance).logpdf(X)
            for w, mean, covariance in zip(
                parameters.weights, parameters.means, dense(parameters), strict=True
            )
        ],
        axis=1,
    ).reshape(len(X), -1)


def plain_statistics(X, weight, q, parameters):
    """Return the moments under q, by NumPy."""
    total = em.SufficientStatistics.zeros(parameters.covariance_type, parameters.means)
    r, z = q * weight[:, np.newaxis], X[:, np.newaxis].astype(np.float64) - parameters.means
    squares = np.einsum("nk,nkd,nke->kde", r, z, z)
    total.moments.nk[...] = r.sum(axis=0)
    total.moments.first[...] = np.einsum("nk,nkd->kd", r, z)
    total.moments.second[...] = {
        "full": lambda: squares,
        "tied": lambda: squares.sum(axis=0),
        "diag": lambda: np.diagonal(squares, axis1=1, axis2=2),
        "spherical": lambda: np.trace(squares, axis1=1, axis2=2),
    }[parameters.covariance_model.kernel_kind]()
    return total


def summarize(posterior, X, parameters, weight=None):
    """Return the statistics of a first iteration."""
    samples = em.Samples(X, weight)
    posterior.start(samples, parameters)
    return posterior.summarize(samples, parameters)


def assert_same_statistics(actual, expected, rtol=1e-9):
    actual = actual.recenter(expected.centers)
    for a, b in zip(actual.moments, expected.moments, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=rtol * max(np.abs(b).max(), 1.0))


def check_threads(make):
    """The number of threads changes no bit."""
    start = mixture("full", 3, 4)
    X = draw(start, 20_000)
    results = [em.fit(X, start, posterior=make(n), max_iter=5) for n in (1, 2, 5)]
    for result in results[1:]:
        assert_same_bits(result.parameters, results[0].parameters)
        assert result.lower_bounds == results[0].lower_bounds


def check_runs_start_anew(posterior):
    """A policy that has been used gives the same again."""
    start = mixture("diag", 3, 2)
    X = draw(start, 700)
    first, second = (em.fit(X, start, posterior=posterior, max_iter=7) for _ in range(2))
    assert_same_bits(first.parameters, second.parameters)
    assert first.lower_bounds == second.lower_bounds


def check_dying_component(posterior, covariance_type, max_iter=20):
    """A component so far from all samples that it gets none stays where it is."""
    alive = mixture(covariance_type, 2, 3)
    X = draw(alive, 500)
    covariances = alive.covariances
    if covariance_type not in SHARED:
        covariances = np.concatenate([covariances, covariances[:1]])
    start = em.MixtureParameters.from_covariances(
        covariance_type,
        np.append(alive.weights * 0.9, 0.1),
        np.concatenate([alive.means, np.full((1, 3), 1e4)]),
        covariances,
    )
    result = em.fit(X, start, posterior=posterior, max_iter=max_iter, convergence=em.Never())
    for values in (result.parameters.weights, result.parameters.means, result.lower_bounds):
        assert np.isfinite(values).all()
    assert np.isfinite(result.parameters.covariances).all()
    return start, result


def check_absent_rows(make, far=1e160):
    """Rows without weight take no part, however far they lie."""
    start = mixture("full", 3, 4)
    X = draw(start, 900)
    weight = np.arange(900.0) % 3
    near = em.fit(X, start, sample_weight=weight, posterior=make(), max_iter=4)
    X[weight == 0] = far
    result = em.fit(X, start, sample_weight=weight, posterior=make(), max_iter=4)
    np.testing.assert_allclose(result.lower_bounds, near.lower_bounds, rtol=1e-12)
    np.testing.assert_allclose(result.parameters.means, near.parameters.means, atol=1e-10)


def check_far_from_zero(make, covariance_type, offset):
    """Samples that are moved far away give parameters that are moved as far."""
    start = mixture(covariance_type, 4, 3, scenario="overlapping")
    X = np.round(draw(start, 1500) * 64) / 64  # exact about the offset too
    moved = em.MixtureParameters.from_covariances(
        covariance_type, start.weights, start.means + offset, start.covariances
    )
    near = em.fit(X, start, posterior=make(), max_iter=4)
    far = em.fit(X + offset, moved, posterior=make(), max_iter=4)
    # means, of either start, are known to eps times the offset only
    tolerance = 1e-15 * offset
    np.testing.assert_allclose(far.lower_bounds, near.lower_bounds, rtol=0, atol=10 * tolerance)
    difference = far.parameters.means - offset - near.parameters.means
    np.testing.assert_allclose(difference, 0.0, atol=100 * tolerance)


def check_awkward_shape(posterior, K, d, n):
    """No component, feature or sample is too few."""
    start = mixture("diag", K, d)
    result = em.fit(draw(start, n), start, posterior=posterior, max_iter=8)
    assert np.isfinite(result.lower_bounds).all()
    assert np.isfinite(result.parameters.covariances).all()
