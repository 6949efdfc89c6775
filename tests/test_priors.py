"""Conjugate posteriors against plain sums, expectations against derivatives and draws."""

import numpy as np
import pytest
from generators import COVARIANCE_TYPES, SHARED, draw, mixture, sample_weights
from scipy import stats
from scipy.special import digamma

from fastgmm import em
from fastgmm.data.samples import Samples
from fastgmm.em.posteriors.exact import ExactPosterior
from fastgmm.em.updates.conjugate import entropy
from fastgmm.model.covariance import Full, Spherical, get_covariance_model
from fastgmm.model.priors import Dirichlet, StickBreaking
from fastgmm.model.statistics import SufficientStatistics, sample_moments

PRIOR_TYPES = ("dirichlet_process", "dirichlet_distribution")


def make_prior(prior_type, covariance_type, d, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(d, d))
    full = A @ A.T + np.eye(d)
    shapes = {"full": full, "tied": full, "diag": np.diagonal(full)}
    covariance = np.asarray(shapes.get(covariance_type, full[0, 0]))
    return em.NormalWishartPrior(
        prior_type,
        0.7,
        rng.normal(size=d),
        2.5,
        d + 0.5,
        covariance,
    )


def scale_inverse(prior, covariance_type, d):
    """Return W_0^-1 as a matrix."""
    if covariance_type in ("full", "tied"):
        return prior.covariance
    return np.diag(np.broadcast_to(prior.covariance, d))


def statistics_of(X, weight, resp, covariance_type):
    """Return plain moments about centres that are not the means."""
    K, d = resp.shape[1], X.shape[1]
    centers = np.random.default_rng(5).normal(size=(K, d)) + X.mean(axis=0)
    z = X[:, np.newaxis] - centers
    wr = weight[:, np.newaxis] * resp
    second = np.einsum("nk,nki,nkj->kij", wr, z, z)
    traces = np.trace(second, axis1=1, axis2=2)
    shaped = {
        "full": second,
        "tied": second.sum(axis=0),
        "diag": np.diagonal(second, axis1=1, axis2=2),
    }.get(covariance_type, traces)
    total = SufficientStatistics.zeros(covariance_type, centers)
    for to, value in zip(
        total.moments,
        (wr.sum(axis=0), np.einsum("nk,nki->ki", wr, z), shaped),
        strict=True,
    ):
        to[...] = value
    return total


def full_posteriors(X, weight, resp, prior, covariance_type, reg_covar):
    """Return kappa, m, W^-1 and nu of each component, as Bishop writes them (10.60 to 10.63)."""
    d = X.shape[1]
    for r in resp.T:
        nk = weight @ r
        mean = (weight * r) @ X / nk
        z = X - mean
        S = (weight * r * z.T) @ z + nk * reg_covar * np.eye(d)
        kappa = prior.mean_precision + nk
        m = (prior.mean_precision * prior.mean + nk * mean) / kappa
        off = mean - prior.mean
        coupling = prior.mean_precision * nk / kappa * np.outer(off, off)
        yield kappa, m, scale_inverse(prior, covariance_type, d) + S + coupling


@pytest.mark.parametrize("prior_type", PRIOR_TYPES)
@pytest.mark.parametrize("K, d", [(1, 1), (3, 1), (1, 3), (4, 5)])
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_posterior_is_the_plain_one(covariance_type, K, d, prior_type):
    rng = np.random.default_rng([K, d])
    X, weight = 3.0 * rng.normal(size=(40, d)) + 2.0, sample_weights(40)
    resp = rng.dirichlet(np.ones(K), size=40)
    prior = make_prior(prior_type, covariance_type, d)
    statistics = statistics_of(X, weight, resp, covariance_type)
    parameters, collapsed = prior.posterior(statistics, 0.25)
    assert not collapsed.any()
    nk = weight @ resp
    kappa, m, inverse = zip(
        *full_posteriors(X, weight, resp, prior, covariance_type, 0.25), strict=True
    )
    np.testing.assert_allclose(parameters.mean_precision, kappa, rtol=1e-12)
    np.testing.assert_allclose(parameters.means, m, rtol=1e-11, atol=1e-11)
    inverse = np.array(inverse)
    nu = prior.degrees_of_freedom + nk
    if covariance_type in SHARED:
        nu = np.asarray(prior.degrees_of_freedom + nk.sum() / K)
    if covariance_type == "full":
        expected = inverse / nu[:, None, None]
    elif covariance_type == "tied":
        expected = inverse.mean(axis=0) / nu
    else:
        diagonals = np.diagonal(inverse, axis1=1, axis2=2)
        expected = {
            "diag": lambda: diagonals / nu[:, None],
            "spherical": lambda: diagonals.mean(axis=1) / nu,
            "tied-spherical": lambda: diagonals.mean() / nu,
        }[covariance_type]()
    np.testing.assert_allclose(parameters.degrees_of_freedom, nu, rtol=1e-12)
    np.testing.assert_allclose(parameters.covariances, expected, rtol=1e-10, atol=1e-10)
    weights = parameters.weight_distribution
    if prior_type == "dirichlet_distribution":
        np.testing.assert_allclose(weights.concentration, 0.7 + nk)
    else:
        beyond = [nk[k + 1 :].sum() for k in range(K)]
        np.testing.assert_allclose(weights.taken, 1.0 + nk)
        np.testing.assert_allclose(weights.left, 0.7 + np.array(beyond))


def test_covariance_types_are_means_of_one_another():
    rng = np.random.default_rng(0)
    X, weight, resp = rng.normal(size=(50, 3)), np.ones(50), rng.dirichlet(np.ones(4), size=50)
    inverse = {}
    for kind in COVARIANCE_TYPES:
        covariance = np.broadcast_to(2.0, 3) if kind == "diag" else 2.0 * np.eye(3)
        prior = em.NormalWishartPrior(
            "dirichlet_process",
            1.0,
            np.zeros(3),
            1.0,
            3.0,
            np.array(2.0) if kind.endswith("spherical") else covariance,
        )
        q, _ = prior.posterior(statistics_of(X, weight, resp, kind))
        nu = q.degrees_of_freedom
        shape = (*nu.shape, *[1] * (q.covariances.ndim - nu.ndim))
        inverse[kind] = q.covariances * nu.reshape(shape)
    np.testing.assert_allclose(inverse["tied"], inverse["full"].mean(axis=0))
    np.testing.assert_allclose(inverse["diag"], np.diagonal(inverse["full"], axis1=1, axis2=2))
    np.testing.assert_allclose(inverse["spherical"], inverse["diag"].mean(axis=1))
    np.testing.assert_allclose(inverse["tied-spherical"], inverse["spherical"].mean())


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_posterior_around_a_mixture(covariance_type):
    """As many samples as drown the prior give the mixture back."""
    parameters = mixture(covariance_type, 3, 4)
    prior = make_prior("dirichlet_distribution", covariance_type, 4)
    q = prior.around(parameters, 1e9)
    np.testing.assert_allclose(q.weights, parameters.weights, rtol=1e-6)
    np.testing.assert_allclose(q.means, parameters.means, atol=1e-6)
    np.testing.assert_allclose(q.covariances, parameters.covariances, atol=1e-5)
    X = draw(parameters, 500)
    result = em.fit(X, prior.around(parameters, len(X)), update=em.ConjugatePrior(prior))
    assert result.converged


def test_posterior_around_a_mixture_without_spread():
    zero, one = np.zeros((1, 2)), np.ones(1)
    prior = em.NormalWishartPrior("dirichlet_process", 1.0, zero[0], 1.0, 2.0, np.array(0.0))
    narrow = em.MixtureParameters("spherical", one, zero, np.zeros(1), np.full(1, np.inf))
    with pytest.raises(ValueError, match="Component 0 is not positive definite"):
        prior.around(narrow, 10.0)


def derivatives(function, values, step=1e-5):
    """Return central differences."""
    for k in range(len(values)):
        shift = np.zeros(len(values))
        shift[k] = step
        yield (function(values + shift) - function(values - shift)) / (2 * step)


def test_expected_log_weights_are_derivatives_of_the_log_partition():
    """Both are exponential families in log weights, and in log v and log (1 - v)."""
    a, b = np.array([0.4, 3.0, 17.0]), np.array([2.0, 0.3, 9.0])
    expected = list(derivatives(lambda c: Dirichlet(c).log_partition(), a))
    np.testing.assert_allclose(Dirichlet(a).expected_log_weights(), expected, rtol=1e-7)
    taken = np.array(list(derivatives(lambda c: StickBreaking(c, b).log_partition(), a)))
    left = np.array(list(derivatives(lambda c: StickBreaking(a, c).log_partition(), b)))
    sticks = taken + np.append(0.0, np.cumsum(left)[:-1])
    np.testing.assert_allclose(StickBreaking(a, b).expected_log_weights(), sticks, rtol=1e-6)


def test_expected_weights():
    a, b = np.array([0.4, 3.0, 17.0]), np.array([2.0, 0.3, 9.0])
    np.testing.assert_allclose(Dirichlet(a).expected_weights(), a / a.sum())
    v = np.random.default_rng(0).beta(a, b, size=(400_000, 3))
    weights = v * np.cumprod(np.column_stack([np.ones(len(v)), 1.0 - v[:, :-1]]), axis=1)
    mean = weights.mean(axis=0)
    actual = StickBreaking(a, b).expected_weights()
    np.testing.assert_allclose(actual, mean / mean.sum(), atol=2e-3)
    assert actual.sum() == pytest.approx(1.0, abs=1e-15)


def posterior(covariance_type, prior_type="dirichlet_distribution", n=120, K=3, d=3):
    X = draw(mixture(covariance_type, K, d), n)
    resp = np.random.default_rng(1).dirichlet(np.ones(K), size=n)
    prior = make_prior(prior_type, covariance_type, d)
    q, _ = prior.posterior(statistics_of(X, np.ones(n), resp, covariance_type))
    return X, prior, q


def scales(q):
    """Return W_k as matrices, and nu_k."""
    K, d = q.means.shape
    nu = np.broadcast_to(q.degrees_of_freedom, K)
    precisions = {
        "full": lambda p: p,
        "tied": lambda p: np.broadcast_to(p, (K, d, d)),
        "diag": lambda p: p[:, :, None] * np.eye(d),
        "spherical": lambda p: p[:, None, None] * np.eye(d),
        "tied-spherical": lambda p: np.broadcast_to(p * np.eye(d), (K, d, d)),
    }[q.covariance_type](q.precisions)
    return precisions / nu[:, None, None], nu


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_pass_takes_expected_log_densities(covariance_type):
    """log rho = E log weight + E log N(x | mu, Lambda), by draws from q."""
    X, _, q = posterior(covariance_type, n=20)
    rng = np.random.default_rng(2)
    components = q.components()
    for k, (W, nu) in enumerate(zip(*scales(q), strict=True)):
        Lambda = stats.wishart(nu, W).rvs(20_000, random_state=rng)
        L = np.linalg.cholesky(np.linalg.inv(Lambda) / q.mean_precision[k])
        mu = q.means[k] + np.einsum("sij,sj->si", L, rng.normal(size=(20_000, 3)))
        z = X[0] - mu
        log_density = 0.5 * (
            np.linalg.slogdet(Lambda)[1]
            - 3 * np.log(2 * np.pi)
            - np.einsum("si,sij,sj->s", z, Lambda, z)
        )
        expected = log_density.mean() + q.weight_distribution.expected_log_weights()[k]
        whitened = (X[0] - q.means[k]) @ np.linalg.cholesky(nu * W)
        actual = components.log_coefficients[k] - 0.5 * whitened @ whitened
        error = log_density.std() / np.sqrt(len(mu))
        assert abs(actual - expected) < 5 * error


def expected_bound(X, weight, resp, prior, q):
    """Return E log p(X, Z, parameters) - E log q, term by term (Bishop, 10.70 to 10.77)."""
    K, d = q.means.shape
    inverse0 = scale_inverse(prior, q.covariance_type, d)
    gamma, kappa0, nu0 = prior.weight_concentration, prior.mean_precision, prior.degrees_of_freedom
    distribution = q.weight_distribution
    log_weights = distribution.expected_log_weights()
    if isinstance(distribution, Dirichlet):
        bound = (gamma - 1.0) * log_weights.sum()
        bound += stats.dirichlet(distribution.concentration).entropy()
    else:
        a, b = distribution.taken, distribution.left
        log_left = np.array(list(derivatives(lambda c: StickBreaking(a, c).log_partition(), b)))
        bound = ((gamma - 1.0) * log_left).sum() + stats.beta(a, b).entropy().sum()
    W, nu = scales(q)
    for k in range(K):
        log_det = digamma(0.5 * (nu[k] - np.arange(d))).sum() + d * np.log(2)
        log_det += np.linalg.slogdet(W[k])[1]
        z, off = X - q.means[k], q.means[k] - prior.mean
        quadratic = nu[k] * np.einsum("ni,ij,nj->n", z, W[k], z) + d / q.mean_precision[k]
        log_density = 0.5 * (log_det - d * np.log(2 * np.pi) - quadratic)
        bound += (weight * resp[:, k]) @ (log_weights[k] + log_density)
        ratio = kappa0 / q.mean_precision[k]
        # prior of the mean and entropy of its posterior: E log det Lambda cancels
        bound += 0.5 * d * (np.log(ratio) + 1.0 - ratio) - 0.5 * kappa0 * nu[k] * off @ W[k] @ off
        bound += 0.5 * (nu0 - d - 1) * log_det - 0.5 * nu[k] * np.trace(inverse0 @ W[k])
        bound += stats.wishart(nu[k], W[k]).entropy()
    return bound - weight @ np.where(resp > 0, resp * np.log(np.maximum(resp, 1e-300)), 0).sum(1)


@pytest.mark.parametrize("prior_type", PRIOR_TYPES)
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_bound_is_the_evidence_bound_up_to_a_constant(covariance_type, prior_type):
    X, prior, q = posterior(covariance_type, prior_type)
    weight = sample_weights(len(X))
    samples, update = Samples(X, weight), em.ConjugatePrior(prior, 0.0)
    differences = []
    for _ in range(4):
        statistics = ExactPosterior(1).summarize(samples, q)
        log_rho = np.empty((len(X), q.n_components))
        components = q.components()
        for k, (W, nu) in enumerate(zip(*scales(q), strict=True)):
            z = X - q.means[k]
            log_rho[:, k] = components.log_coefficients[k]
            log_rho[:, k] -= 0.5 * nu * np.einsum("ni,ij,nj->n", z, W, z)
        resp = np.exp(log_rho - np.logaddexp.reduce(log_rho, axis=1, keepdims=True))
        plain = -weight @ np.where(resp > 0, resp * np.log(np.maximum(resp, 1e-300)), 0).sum(axis=1)
        assert entropy(statistics, q) == pytest.approx(plain, rel=1e-10, abs=1e-10)
        updated = update(statistics, q)
        q = updated.parameters
        differences.append(expected_bound(X, weight, resp, prior, q) - updated.lower_bound)
    # expectations of log (1 - v) are differences of log B, right to 1e-8
    np.testing.assert_allclose(differences, differences[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("offset", [0.0, 1e8])
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_sample_moments(covariance_type, offset):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40_000, 3)) @ np.diag([1.0, 2.0, 3.0]) + offset
    counts = rng.integers(0, 3, len(X))
    counts[0] = 0
    repeated = np.repeat(X, counts, axis=0)
    mean, covariance = sample_moments(
        Samples(X, counts.astype(float)), get_covariance_model(covariance_type), 1
    )
    full = np.cov((repeated - offset).T)
    expected = {
        "full": full,
        "tied": full,
        "diag": np.diagonal(full),
    }.get(covariance_type, np.diagonal(full).mean())
    np.testing.assert_allclose(mean, repeated.mean(axis=0), rtol=1e-12, atol=1e-12)
    assert np.shape(covariance) == np.shape(expected)
    np.testing.assert_allclose(covariance, expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("far", [1e12, 1e100])
def test_sample_moments_about_a_far_first_sample(far):
    X = np.array([[far], [1.0], [2.0], [3.0]])
    mean, covariance = sample_moments(Samples(X, np.array([0.0, 1.0, 1.0, 1.0])), Full(), 1)
    np.testing.assert_allclose(mean, [2.0], rtol=1e-3)
    np.testing.assert_allclose(covariance, [[1.0]], rtol=1e-6)


@pytest.mark.parametrize("total", [0.5, 1.0, 1.5])
def test_weights_of_less_than_two_samples(total):
    X = np.array([[0.0], [2.0]])
    _, covariance = sample_moments(Samples(X, np.full(2, total / 2)), Spherical(), 1)
    assert covariance == pytest.approx(2.0)
