"""Draws of continuous z against exact posteriors and quadrature: chains, and Gaussian q."""

from copy import copy

import numpy as np
import pytest
from example_models import factors, load
from marks import slow_once

from fastgmm import em

ProbabilisticPCA = load("probabilistic_pca").ProbabilisticPCA
BernoulliMixture = load("bernoulli_mixture").BernoulliMixture


def still(model, seen=None):
    """Return a model that keeps its parameters, and notes the mean draw of each sample."""

    class Still(type(model)):
        def summarize_draws(self, X, Z, weight):
            if seen is not None:
                seen.append(Z.mean(axis=1))
            return super().summarize_draws(X, Z, weight)

        def update(self, sums):
            return self

    same = copy(model)
    same.__class__ = Still
    return same


def mean_draws(X, model, posterior, n_iter=1):
    """Return the mean draw of each sample in each iteration, at fixed parameters."""
    seen = []
    em.fit(X, still(model, seen), posterior=posterior, max_iter=n_iter)
    return np.concatenate(seen).reshape(n_iter, len(X), -1)


def exact_posterior(X, model):
    """Return the means (n, L) and the precision A (L, L) of p(z | x) under PPCA."""
    W = model.loadings
    A = np.eye(model.n_latent) + W.T @ W / model.variance
    return np.linalg.solve(A, W.T @ (X - model.mean).T / model.variance).T, A


def line(n):
    """Return n copies of one sample, and PPCA with z of one dimension."""
    return np.tile([1.5, 0.5, -1.0], (n, 1)), ProbabilisticPCA(
        np.array([[1.0], [0.5], [0.2]]), np.zeros(3), 0.8
    )


def asymptotic_variance(deviation, step):
    """Return lim S var(mean of S states) of a Metropolis chain over N(0, deviation^2).

    The chain on a fine grid: Poisson's equation (I - P + 1 pi) h = z, and 2 E[z h] - var z.
    """
    z = np.linspace(-7.0, 7.0, 701) * deviation
    pi = np.exp(-0.5 * (z / deviation) ** 2)
    propose = np.exp(-0.5 * ((z - z[:, np.newaxis]) / step) ** 2)
    propose *= (z[1] - z[0]) / (step * np.sqrt(2.0 * np.pi))
    P = propose * np.minimum(1.0, pi / pi[:, np.newaxis])
    P[np.diag_indices_from(P)] += 1.0 - P.sum(axis=1)
    pi /= pi.sum()
    h = np.linalg.solve(np.eye(len(z)) - P + pi, z)
    return 2.0 * (pi * z) @ h - (pi * z) @ z


@pytest.mark.slow
def test_errors_of_chains_shrink_with_the_root_of_the_draws():
    """Of 3000 chains, at three numbers of draws, by the factor that the theory of chains gives."""
    n = 3000
    X, model = line(n)
    mean, A = exact_posterior(X, model)
    variance = asymptotic_variance(A[0, 0] ** -0.5, 2.4)  # the length of steps in iteration 1
    assert 3.0 < variance * A[0, 0] < 8.0  # as many draws are worth one that is independent
    for n_draws in (250, 1000, 4000):
        errors = mean_draws(X, model, em.MCMCPosterior(n_draws, burn_in=50))[0] - mean
        ratio = (errors**2).mean() * n_draws / variance
        # a mean of n squares of normals, and a part of order 1 / n_draws at the ends of the chain
        assert ratio == pytest.approx(1.0, abs=4.0 * np.sqrt(2.0 / n) + 10.0 / n_draws)


@pytest.mark.slow
@pytest.mark.one_backend
def test_errors_of_the_sums():
    """The sum over samples of E[z] has the error of n independent chains, that of E[z^2] none."""
    n, n_draws = 2000, 500
    X, model = line(n)
    exact = model.summarize(X, np.ones(n))
    variance = asymptotic_variance(exact_posterior(X, model)[1][0, 0] ** -0.5, 2.4)

    sums = []

    class Noted(type(still(model))):
        def update(self, new):
            sums.append(new)
            return self

    noted = still(model)
    noted.__class__ = Noted
    em.fit(X, noted, posterior=em.MCMCPosterior(n_draws), max_iter=8)
    z = np.array([s["z"] for s in sums]) - exact["z"]
    # steps are longer or shorter after the first iteration, by which their error differs little
    assert 0.3 < (z**2).mean() / (n * variance / n_draws) < 3.0
    zz = np.mean([s["zz"] for s in sums], axis=0)
    np.testing.assert_allclose(zz, exact["zz"], rtol=5.0 * np.sqrt(2.0 * 8.0 / (8 * n * n_draws)))
    np.testing.assert_allclose(sums[0]["xx"], exact["xx"], rtol=1e-12)


def test_chains_go_on_and_their_steps_adapt():
    """A posterior a hundredth as wide as the first steps, 100 deviations away from the start."""
    X = np.ones((500, 1))
    model = ProbabilisticPCA(np.array([[1.0]]), np.zeros(1), 1e-4)
    mean, A = exact_posterior(X, model)
    draws = mean_draws(X, model, em.MCMCPosterior(100, burn_in=0), n_iter=60)
    assert np.abs(draws[0] - mean).mean() > 5.0 * A[0, 0] ** -0.5
    errors = draws[-10:].mean(axis=0) - mean
    # 8: more than steps of the best length need, a fiftieth of what the first steps would
    assert (errors**2).mean() < 8.0 / A[0, 0] / 1000.0


@pytest.mark.slow
def test_the_same_draws_for_any_number_of_threads():
    X = factors(700, 4, 2)
    model = ProbabilisticPCA(np.ones((4, 2)), np.zeros(4), 1.0)
    for make in (em.MCMCPosterior, em.GaussianPosterior):
        runs = [em.fit(X, model, posterior=make(6, n_jobs=n), max_iter=3) for n in (1, 2, 5)]
        other = em.fit(X, model, posterior=make(6, seed=1), max_iter=3)
        assert runs[0].lower_bounds == runs[1].lower_bounds == runs[2].lower_bounds
        assert other.lower_bounds != runs[0].lower_bounds
        again = make(6)
        for _ in range(2):  # a policy begins anew in each run
            assert (
                em.fit(X, model, posterior=again, max_iter=3).lower_bounds == runs[0].lower_bounds
            )


@pytest.mark.slow
@pytest.mark.one_backend
def test_weights_weigh_and_absent_rows_do_not():
    X = factors(60, 4, 2)
    model = ProbabilisticPCA(np.eye(4, 2), np.zeros(4), 1.0)
    weight = np.arange(60) % 3
    X[weight == 0] = 1e90
    for posterior in (em.MCMCPosterior(5), em.GaussianPosterior(4)):
        run = em.fit(X, still(model), sample_weight=weight, posterior=posterior, max_iter=2)
        X[weight == 0] = -1e90
        assert np.isfinite(run.lower_bounds).all()
        other = em.fit(X, still(model), sample_weight=weight, posterior=posterior, max_iter=2)
        assert other.lower_bounds == run.lower_bounds
        double = em.fit(X, still(model), sample_weight=2 * weight, posterior=posterior, max_iter=2)
        np.testing.assert_allclose(double.lower_bounds, run.lower_bounds, rtol=1e-13)


def test_monte_carlo_em_reaches_the_maximum_of_pca():
    """Growing draws: the exact likelihood of the parameters is within a thousandth of the best."""
    X = factors(400, 4, 1)
    start = ProbabilisticPCA(np.ones((4, 1)), np.zeros(4), 1.0)
    best = em.fit(X, start, convergence=em.LowerBoundChange(1e-12), max_iter=5000).lower_bound
    posterior = em.MCMCPosterior(em.Growing(5, 1.06))
    result = em.fit(X, start, posterior=posterior, max_iter=100)
    reached = em.fit(X, result.parameters, max_iter=1).lower_bound
    assert best - 1e-3 < reached <= best


# discrete z


class DrawnMixture(BernoulliMixture):
    """A mixture of Bernoullis whose z chains draw: the share of a component is its sum."""

    n_latent = 1

    def __init__(self, weights, probabilities):
        super().__init__(weights, probabilities)
        self.n_states = len(weights)
        self.theta = np.concatenate([weights, probabilities.ravel()])

    @staticmethod
    def log_joint(x, z, theta):
        d, k = len(x), int(z[0])
        n_states = len(theta) // (d + 1)
        total = np.log(theta[k])
        for j in range(d):
            p = theta[n_states + k * d + j]
            total += x[j] * np.log(p) + (1.0 - x[j]) * np.log(1.0 - p)
        return total

    def summarize_draws(self, X, Z, weight):
        shares = (np.arange(self.n_states) == Z).mean(axis=1)
        return self.sums_of(X, weight[:, np.newaxis] * shares)

    def sums_of(self, X, r):
        return {"counts": r.sum(axis=0), "ones": r.T @ X}

    def update(self, sums):
        mixture = super().update(sums)
        return DrawnMixture(mixture.weights, mixture.probabilities)


def binary_samples(n):
    rng = np.random.default_rng(0)
    p = np.array([[0.8, 0.7, 0.3, 0.5], [0.2, 0.6, 0.6, 0.4], [0.5, 0.2, 0.8, 0.7]])
    X = (rng.random((n, 4)) < p[rng.integers(0, 3, n)]).astype(float)
    return X, DrawnMixture(np.array([0.5, 0.3, 0.2]), p)


@pytest.mark.slow
def test_shares_of_discrete_draws_are_responsibilities():
    """By the error of each chain: its transition matrix, and Poisson's equation."""
    n, n_draws = 300, 2000
    X, model = binary_samples(n)
    shares = []

    class Noted(DrawnMixture):
        def sums_of(self, X, r):
            shares.append(r)
            return super().sums_of(X, r)

    model.__class__ = Noted
    em.fit(X, model, posterior=em.MCMCPosterior(n_draws), max_iter=1)
    r = np.exp(model.log_joint_table(X))
    r /= r.sum(axis=1, keepdims=True)
    P = np.minimum(1.0, r[:, np.newaxis] / r[:, :, np.newaxis]) / 2.0  # one of two others
    diagonal = np.arange(3)
    P[:, diagonal, diagonal] = 0.0
    P[:, diagonal, diagonal] = 1.0 - P.sum(axis=2)
    h = np.linalg.inv(np.eye(3) - P + r[:, np.newaxis])  # of the indicators, column by column
    variance = 2.0 * r * h[:, diagonal, diagonal] - r**2 - r
    scores = (np.concatenate(shares) - r) / np.sqrt(variance / n_draws)
    assert np.abs(scores).max() < 5.0
    assert (scores**2).mean() == pytest.approx(1.0, abs=0.2)


@pytest.mark.slow
@pytest.mark.one_backend
def test_monte_carlo_em_of_a_mixture_follows_em():
    """After 30 iterations the exact likelihood is that of EM, within a part of what both gained."""
    X, start = binary_samples(500)
    exact = BernoulliMixture(start.weights, start.probabilities)
    wanted = em.fit(X, exact, max_iter=31, convergence=em.Never()).lower_bounds
    result = em.fit(X, start, posterior=em.MCMCPosterior(em.Growing(20, 1.1)), max_iter=30)
    reached = em.fit(X, result.parameters, max_iter=1).lower_bound
    assert reached == pytest.approx(wanted[-1], abs=0.05 * (wanted[-1] - wanted[0]))


# Gaussian q


def settled(X, model, n_draws=200, n_steps=400, step_size=0.2):
    """Return a Gaussian q after many steps at fixed parameters, and its bound."""
    posterior = em.GaussianPosterior(n_draws, n_steps, step_size)
    result = em.fit(X, still(model), posterior=posterior, max_iter=1)
    return posterior, result.lower_bound


def models_of_pca():
    """Return samples, and models whose posterior is diagonal, and is not."""
    X = factors(40, 5, 3)
    W = np.linalg.qr(np.random.default_rng(3).normal(size=(5, 3)))[0] * [1.0, 2.0, 3.0]
    R = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]
    return X, [ProbabilisticPCA(loadings, X.mean(axis=0), 1.5) for loadings in (W, W @ R)]


@pytest.mark.parametrize("is_diagonal", [True, False])
def test_gaussian_q_of_pca(is_diagonal):
    """The same p(x), by a rotation of z: log p(x) less KL = (sum log A_jj - log det A) / 2."""
    X, models = models_of_pca()
    model = models[0 if is_diagonal else 1]
    (mean, A), (n, n_latent), n_draws = exact_posterior(X, model), (len(X), 3), 200
    divergence = 0.5 * (np.log(np.diag(A)).sum() - np.linalg.slogdet(A)[1])
    assert (divergence < 1e-12) if is_diagonal else (divergence > 0.2)

    posterior, bound = settled(X, model, n_draws)
    # pairs of e and -e: the gradient of a quadratic has no error at the mean
    np.testing.assert_allclose(posterior.mean, mean, atol=1e-9)
    # 2 log sigma follows means of n_draws / 2 squares, of variance 2, with steps of 0.2
    noise = np.sqrt(0.2 / 1.8 * 2.0 / (n_draws / 2))
    logs = 2.0 * np.log(posterior.scale) + np.log(np.diag(A))
    assert np.abs(logs).max() < 5.0 * noise
    assert np.sqrt((logs**2).mean()) == pytest.approx(noise, rel=0.2)

    log_likelihood = em.fit(X, model, max_iter=1).lower_bound
    # too wide or too narrow q costs half of the square of log sigma^2, over 2
    cost = n_latent * noise**2 / 4.0
    error = np.sqrt(n_latent / (n_draws * n))  # of the mean of -e^2 / 2
    assert bound == pytest.approx(log_likelihood - divergence - cost, abs=4.0 * error)


def test_the_bound_of_gaussian_q_rises_to_its_end():
    """Without noise but that of 2000 draws, from standard normals."""
    X, models = models_of_pca()
    posterior = em.GaussianPosterior(2000, 1, 0.3)
    bounds = em.fit(X, still(models[1]), posterior=posterior, max_iter=40).lower_bounds
    assert np.diff(bounds)[:8].min() > 0.0
    assert bounds[-1] > bounds[0] + 1.0
    assert max(bounds) - bounds[-1] < 0.02


def test_an_odd_number_of_draws_is_rounded_up():
    X, models = models_of_pca()
    runs = [
        em.fit(X, models[1], posterior=em.GaussianPosterior(n_draws, 2), max_iter=3).lower_bounds
        for n_draws in ([3, 4, 5], lambda t: 2 * (t + 3) // 2, [4, 4, 6])
    ]
    assert runs[0] == runs[2]
    assert np.isfinite(runs[1]).all()


class InSteps(ProbabilisticPCA):
    """PPCA whose update is a step along a gradient, scaled by the inverse information of z."""

    def update(self, sums):
        new, rate = super().update(sums), 0.1
        W = self.loadings + rate * (new.loadings - self.loadings)
        mean = self.mean + rate * (new.mean - self.mean)
        return InSteps(W, mean, self.variance + rate * (new.variance - self.variance))


@pytest.mark.slow
@pytest.mark.parametrize("model_type", [ProbabilisticPCA, *slow_once(InSteps)])
@pytest.mark.parametrize("n_steps", [1, 10])
def test_variational_em_of_pca_reaches_the_maximum(model_type, n_steps):
    """Alternating and simultaneous steps turn z until its posterior is diagonal: no loss is left.

    p(x) does not depend on the rotation of z, and only where W^T W is diagonal q can be exact.
    """
    X = factors(200, 5, 2)
    start = model_type(np.random.default_rng(1).normal(size=(5, 2)), X.mean(axis=0), 1.0)
    best = em.fit(X, start, convergence=em.LowerBoundChange(1e-12), max_iter=9000).lower_bound
    posterior = em.GaussianPosterior(16, n_steps, em.Decaying(0.5, delay=200.0))
    model = em.fit(X, start, posterior=posterior, max_iter=1000).parameters
    assert best - 2e-3 < em.fit(X, model, max_iter=1).lower_bound <= best
    products = model.loadings.T @ model.loadings
    cosine = products[0, 1] / np.sqrt(products[0, 0] * products[1, 1])
    assert abs(cosine) < 0.05
