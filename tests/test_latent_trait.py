"""The logistic latent trait model on real answers, against quadrature and SciPy."""

from itertools import product

import numpy as np
import pytest
from example_models import load
from numpy.polynomial.hermite_e import hermegauss
from scipy.linalg import solve_discrete_lyapunov
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logsumexp

from fastgmm import em

LatentTrait = load("latent_trait").LatentTrait

#: 1000 answers to five questions, right or wrong, by pattern from 00000 to 11111: section 6 of the
#: Law School Admission Test (Bock and Lieberman 1970, Fitting a response model for n dichotomously
#: scored items, Psychometrika 35).
COUNTS = [3, 6, 2, 11, 1, 1, 3, 4, 1, 8, 0, 16, 0, 3, 2, 15, 10, 29, 14, 81, 3, 28, 15, 80, 16, 56,
          21, 173, 11, 61, 28, 298]  # fmt: skip
PATTERNS = np.array(list(product([0.0, 1.0], repeat=5)))
ANSWERS = np.repeat(PATTERNS, COUNTS, axis=0)
#: The maximum as others print it: R's ltm, of 21 nodes.
SLOPES = [0.8254, 0.7229, 0.8905, 0.6886, 0.6575]
LOG_LIKELIHOOD = -2466.653

#: Nodes and weights of means over a standard normal.
NODES, WEIGHTS = hermegauss(60)
WEIGHTS = WEIGHTS / WEIGHTS.sum()
START = LatentTrait(np.ones((5, 1)), np.zeros(5))


def log_conditional(X, z, theta):
    """Return log p(x | z) of each sample (rows): at each z, or in row i at each z of row i."""
    odds = np.multiply.outer(z, theta[:5]) + theta[5:]
    signs = 2.0 * X - 1.0
    return log_expit(signs[:, np.newaxis] * odds).sum(axis=2)


def log_density(theta, X=PATTERNS):
    """Return log p(x) by quadrature."""
    return logsumexp(log_conditional(X, NODES, theta), b=WEIGHTS, axis=1)


def log_likelihood(theta):
    return COUNTS @ log_density(theta)


@pytest.fixture(scope="module")
def best():
    """Return the maximum that SciPy finds."""
    found = minimize(lambda theta: -log_likelihood(theta), START.theta, options={"gtol": 1e-3})
    return found.x


def test_quadrature_and_scipy_agree_with_what_is_published(best):
    assert log_likelihood(best) == pytest.approx(LOG_LIKELIHOOD, abs=1e-3)
    np.testing.assert_allclose(best[:5], SLOPES, atol=2e-3)


def hessian(function, x, h=1e-3):
    """Return second differences."""
    steps = h * np.eye(len(x))
    corners = [
        [[function(x + a * u + b * v) for b in (1, -1)] for a in (1, -1)]
        for u in steps
        for v in steps
    ]
    terms = np.array(corners).reshape(len(x), len(x), 4) @ [1.0, -1.0, -1.0, 1.0]
    return terms / (4.0 * h * h)


def error_of_the_last_iterations(theta, n_draws):
    """Return the covariance of the parameters of Monte Carlo EM in the end, by theory.

    An iteration is e -> (I - C^-1 O) e + C^-1 v: O and C are the information of the answers and of
    answers with z, v is the error of the score, whose variance is that under the posterior over
    n_draws, and by so much more as the draws of a chain are worth less.
    """
    worth = 5.0
    p = expit(np.multiply.outer(NODES, theta[:5]) + theta[5:])
    posterior = np.exp(log_conditional(PATTERNS, NODES, theta)) * WEIGHTS
    posterior /= posterior.sum(axis=1, keepdims=True)
    errors = PATTERNS[:, np.newaxis] - p
    scores = np.concatenate([errors * NODES[:, np.newaxis], errors], axis=2)
    centred = scores - np.einsum("iq,iqa->ia", posterior, scores)[:, np.newaxis]
    v = np.einsum("i,iq,iqa,iqb->ab", COUNTS, posterior, centred, centred, optimize=True)
    complete = np.zeros((10, 10))
    mass = COUNTS @ posterior
    for j in range(5):
        spread = mass * p[:, j] * (1.0 - p[:, j])
        for a, b in product(range(2), range(2)):
            complete[j + 5 * a, j + 5 * b] = spread @ NODES ** (2 - a - b)
    observed = -hessian(log_likelihood, theta)
    np.testing.assert_allclose(observed, complete - v, atol=0.05)  # Louis (1982)
    M = np.eye(10) - np.linalg.solve(complete, observed)
    noise = np.linalg.solve(complete, np.linalg.solve(complete, worth / n_draws * v).T)
    return solve_discrete_lyapunov(M, noise), observed


@pytest.mark.slow
@pytest.mark.one_backend
def test_monte_carlo_em_ends_within_its_error(best):
    n_draws = 100
    growing = em.Growing(5, 1.03)
    posterior = em.MCMCPosterior(lambda t: min(growing(t), n_draws))
    result = em.fit(ANSWERS, START, posterior=posterior, max_iter=250)
    covariance, observed = error_of_the_last_iterations(best, n_draws)
    theta = result.parameters.theta * np.sign(result.parameters.theta[0])
    theta[5:] = result.parameters.theta[5:]
    gap = log_likelihood(best) - log_likelihood(theta)
    expected = 0.5 * np.trace(observed @ covariance)  # of squares of 10 normals, of unlike size
    assert -1e-6 < gap < 4.0 * expected
    deviations = np.sqrt(np.diag(covariance))
    assert (np.abs(theta - best) < 4.5 * deviations).all()


# Gaussian q


def still(theta):
    """Return a model that keeps its parameters."""

    class Still(LatentTrait):
        def update(self, sums):
            return self

    return Still(theta[:5, np.newaxis], theta[5:])


def bound_of(mean, log_scale, theta, X=PATTERNS):
    """Return, by quadrature, the bound of q of each sample, and the variance of a pair of draws."""
    values = []
    for sign in (1.0, -1.0):
        z = mean[:, np.newaxis] + sign * np.exp(log_scale)[:, np.newaxis] * NODES
        values.append(log_conditional(X, z, theta) - 0.5 * z**2 - 0.5 * np.log(2.0 * np.pi))
    pairs = 0.5 * (values[0] + values[1])
    expected = pairs @ WEIGHTS
    variance = (pairs - expected[:, np.newaxis]) ** 2 @ WEIGHTS
    return expected + log_scale + 0.5 * np.log(2.0 * np.pi * np.e), variance


def slopes_of_bound(mean, log_scale, theta):
    """Return the gradient of each pattern's bound by theta (32, 10), its mean and its log scale."""
    scale = np.exp(log_scale)[:, np.newaxis]
    z = mean[:, np.newaxis] + scale * NODES
    errors = PATTERNS[:, np.newaxis] - expit(np.multiply.outer(z, theta[:5]) + theta[5:])
    by_theta = np.concatenate([errors * z[:, :, np.newaxis], errors], axis=2)
    by_z = errors @ theta[:5] - z
    return WEIGHTS @ by_theta, by_z @ WEIGHTS, (by_z * scale * NODES) @ WEIGHTS + 1.0


def best_bound(theta):
    """Return the best q of each pattern, from SciPy, and its bound."""

    def loss(q):
        mean, log_scale = q.reshape(2, -1)
        _, *slopes = slopes_of_bound(mean, log_scale, theta)
        return -bound_of(mean, log_scale, theta)[0].sum(), -np.concatenate(slopes)

    q = minimize(loss, np.zeros(2 * len(PATTERNS)), jac=True, options={"gtol": 1e-6}).x
    mean, log_scale = q.reshape(2, -1)
    return mean, log_scale, bound_of(mean, log_scale, theta)[0]


@pytest.mark.slow
def test_gaussian_q_is_the_best_and_its_bound_below_the_likelihood(best):
    n_draws = 128
    posterior = em.GaussianPosterior(n_draws, 60, 0.2)
    result = em.fit(ANSWERS, still(best), posterior=posterior, max_iter=1)
    mean, scale = posterior.mean[:, 0], posterior.scale[:, 0]

    bounds, variance = bound_of(mean, np.log(scale), best, ANSWERS)
    error = np.sqrt(variance.sum() / (n_draws / 2)) / len(ANSWERS)
    assert result.lower_bound == pytest.approx(bounds.mean(), abs=4.0 * error)
    assert (bounds < log_density(best, ANSWERS)).all()

    good_mean, good_log_scale, good = best_bound(best)
    assert (good < log_density(best)).all()
    # log sigma follows means of 64 squares with steps of 0.2: as on PPCA
    noise = 0.5 * np.sqrt(0.2 / 1.8 * 2.0 / (n_draws / 2))
    shift = np.log(scale) - np.repeat(good_log_scale, COUNTS)
    assert np.sqrt((shift**2).mean()) < 1.5 * noise
    assert np.abs(mean - np.repeat(good_mean, COUNTS)).max() < 0.05
    assert (bounds <= np.repeat(good, COUNTS) + 1e-6).all()
    assert bounds.mean() > COUNTS @ good / 1000 - 2.0 * noise**2


def variational_maximum():
    """Return the largest bound over the parameters and q, from SciPy, in nats a person."""
    n = len(PATTERNS)

    def loss(values):
        theta, mean, log_scale = np.split(values, [10, 10 + n])
        by_theta, *slopes = slopes_of_bound(mean, log_scale, theta)
        gradient = np.concatenate([COUNTS @ by_theta, *(COUNTS * slope for slope in slopes)])
        return -(COUNTS @ bound_of(mean, log_scale, theta)[0]) / 1000, -gradient / 1000

    start = np.concatenate([START.theta, np.zeros(2 * n)])
    return -minimize(loss, start, jac=True, options={"gtol": 1e-7, "maxiter": 2000}).fun


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize(
    "posterior, max_iter",
    [
        (em.GaussianPosterior(em.Growing(8, 1.03), 5), 80),  # alternating
        (
            em.GaussianPosterior(em.Growing(8, 1.015), 1, em.Decaying(0.5, delay=100.0)),
            160,
        ),  # simultaneous
    ],
)
def test_variational_em_reaches_the_largest_bound(posterior, max_iter):
    """Its update is a step along a gradient from draws."""
    highest = variational_maximum()
    model = em.fit(ANSWERS, START, posterior=posterior, max_iter=max_iter).parameters
    bound = COUNTS @ best_bound(model.theta)[2] / 1000
    assert highest - 1e-4 < bound < highest + 1e-8
    assert highest < LOG_LIKELIHOOD / 1000
