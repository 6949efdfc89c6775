"""Formulas of the M step and of EM's variants in the course notes that no other test checks."""

import numpy as np
import pytest
from generators import COVARIANCE_TYPES, dense, mixture
from scipy.special import softmax
from test_gradients import differences, model_of
from test_notes import other_resp, problem
from test_references import FAITHFUL
from variants import log_joint

import fastgmm
from fastgmm import GaussianMixture, em
from fastgmm.model.gradients import q_function

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)


# the M step


def test_derivatives_in_a_mean_and_a_standard_deviation():
    """Those of diagonal covariances, under any q: of x_j and the j-th mean, not of x."""
    X, parameters = problem("diag")
    q = other_resp(model_of(parameters).predict_proba(X))
    means, deviations = parameters.means, np.sqrt(parameters.covariances)

    def bound(flat):
        m, s = flat.reshape(2, 3, 2)
        return fastgmm.elbo(
            GaussianMixture.from_parameters(parameters.weights, m, s**2, covariance_type="diag"),
            X,
            q,
        )

    z = X[:, np.newaxis] - means
    r = q[:, :, np.newaxis]
    in_mean = np.sum(r * z / deviations**2, axis=0)
    in_deviation = np.sum(r * (-1 / deviations + z**2 / deviations**3), axis=0)
    expected = differences(bound, np.stack([means, deviations]).ravel())
    actual = np.stack([in_mean, in_deviation]).ravel()
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)


def test_gradient_of_a_mean_has_the_terms_of_its_component_alone():
    X, parameters = problem()
    resp = softmax(log_joint(X, parameters), axis=1)
    gradient = fastgmm.log_likelihood_gradient(model_of(parameters), X).means
    for k, covariance in enumerate(parameters.covariances):
        z = X - parameters.means[k]
        expected = np.linalg.solve(covariance, resp[:, k] @ z)
        np.testing.assert_allclose(gradient[k], expected, rtol=1e-10)
        # with a sum over k in the numerator too, all samples count fully
        assert np.abs(np.linalg.solve(covariance, z.sum(axis=0)) - expected).max() > 1.0


def test_lemmas_on_determinant_and_inverse():
    """And the gradient in a covariance that follows, whose elements count as free numbers."""
    X, parameters = problem("full", K=1, d=3)
    S = parameters.covariances[0]
    A = S + np.triu(np.ones((3, 3)))  # not symmetric
    inverse = np.linalg.inv(A)
    for function, gradient in (
        (np.linalg.det, np.linalg.det(A) * inverse.T),
        (lambda B: np.linalg.slogdet(B)[1], inverse.T),
    ):
        expected = differences(lambda flat, f=function: f(flat.reshape(3, 3)), A.ravel())
        np.testing.assert_allclose(gradient.ravel(), expected, rtol=1e-8)
    for i, j in np.ndindex(3, 3):
        step = np.zeros((3, 3))
        step[i, j] = 1e-6
        expected = (np.linalg.inv(A + step) - np.linalg.inv(A - step)) / 2
        np.testing.assert_allclose(-inverse @ step @ inverse, expected, rtol=1e-6, atol=1e-15)
    P, z = np.linalg.inv(S), X - parameters.means[0]
    expected = -0.5 * (len(X) * P - P @ z.T @ z @ P)
    actual = fastgmm.log_likelihood_gradient(model_of(parameters), X).covariances[0]
    np.testing.assert_allclose(actual, expected, rtol=1e-9)


@each_type
def test_constant_of_q(covariance_type):
    """C is -d/2 log 2 pi for each sample: N times that in a sum, once in a mean."""
    X, parameters = problem(covariance_type)
    model = model_of(parameters)
    q = other_resp(model.predict_proba(X))
    z = X[:, np.newaxis] - parameters.means
    covariances = dense(parameters)
    squares = np.einsum("nki,kij,nkj->nk", z, np.linalg.inv(covariances), z)
    log_det = np.linalg.slogdet(covariances)[1]
    without = np.sum(q * (-0.5 * squares - 0.5 * log_det + np.log(parameters.weights)))
    constant = fastgmm.expected_complete_log_likelihood(model, X, q) - without
    assert constant == pytest.approx(-len(X) * np.log(2 * np.pi), rel=1e-9)


def test_one_iteration_is_the_summary():
    """The covariance is about the new mean: about the old one it is larger."""
    X, old = problem()
    new = em.fit(X, old, update=em.ClosedForm(0.0), max_iter=1).parameters
    resp = softmax(log_joint(X, old), axis=1)
    nk = resp.sum(axis=0)
    np.testing.assert_allclose(new.weights, nk / len(X), rtol=1e-10)
    np.testing.assert_allclose(new.means, resp.T @ X / nk[:, np.newaxis], rtol=1e-9, atol=1e-12)
    for k in range(3):
        z = X - new.means[k]
        covariance = (resp[:, k] * z.T) @ z / nk[k]
        np.testing.assert_allclose(new.covariances[k], covariance, rtol=1e-9, atol=1e-12)
        about_old = (resp[:, k] * (X - old.means[k]).T) @ (X - old.means[k]) / nk[k]
        move = new.means[k] - old.means[k]
        np.testing.assert_allclose(about_old - covariance, np.outer(move, move), atol=1e-9)


def test_sum_or_mean_of_q():
    """Bounds of a fit are means; `elbo` and `expected_complete_log_likelihood` are sums."""
    X, parameters = problem()
    model = model_of(parameters)
    posterior = model.predict_proba(X)
    bound = em.fit(X, parameters, max_iter=1).lower_bound
    assert bound * len(X) == pytest.approx(fastgmm.elbo(model, X, posterior), rel=1e-12)
    # the maximum does not depend on the factor, nor do steps, which are along the mean's gradient
    for update in (em.ClosedForm(0.0), em.GradientStep(), em.GradientAscent(0.5)):
        once, tenfold = (
            em.fit(X, parameters, sample_weight=s, update=update, max_iter=1).parameters
            for s in (1.0, 10.0)
        )
        np.testing.assert_allclose(once.means, tenfold.means, rtol=1e-10)
        np.testing.assert_allclose(once.covariances, tenfold.covariances, rtol=1e-10)


def test_a_fixed_step_raises_q_below_a_limit_alone():
    """Q is quadratic in a mean: it rises if and only if step < 2 s^2 / nk, in one dimension.

    Steps that search for a higher Q raise it from any first step.
    """
    X = FAITHFUL[:, :1]
    start = em.MixtureParameters.from_covariances(
        "diag", np.full(2, 0.5), np.array([[2.5], [4.0]]), np.full((2, 1), 0.5)
    )
    model = model_of(start)
    resp = model.predict_proba(X)
    limit = 2 * 0.5 / resp.sum(axis=0)[0]
    gradient = fastgmm.log_likelihood_gradient(model, X).means[0, 0]

    def after(step):
        means = start.means.copy()
        means[0] += step * gradient
        return GaussianMixture.from_parameters(
            start.weights, means, start.covariances, covariance_type="diag"
        )

    before = fastgmm.expected_complete_log_likelihood(model, X, resp)
    for factor, rises in ((0.5, True), (0.999, True), (1.001, False), (3.0, False)):
        moved = after(factor * limit)
        assert (fastgmm.expected_complete_log_likelihood(moved, X, resp) > before) == rises
    assert after(3.0 * limit).score(X) < model.score(X) - 0.01
    checked = em.fit(X, start, update=em.GradientStep(1, 50.0), convergence=em.Never(), max_iter=20)
    assert np.diff(checked.lower_bounds).min() >= 0.0


# variants


@pytest.mark.parametrize(
    "posterior, update",
    [
        (em.MiniBatchPosterior(32, n_jobs=1), em.GradientStep()),
        (em.SampledPosterior(1), em.ClosedForm(0.0)),
        (em.HardPosterior(), em.ClosedForm(0.0)),
    ],
    ids=["batch", "draws", "restricted"],
)
def test_the_likelihood_may_fall(posterior, update):
    """From its maximum every step leads down, that of EM not at all."""
    start = GaussianMixture(2, random_state=0, tol=1e-13, max_iter=5000, reg_covar=0.0)
    start = start.fit(FAITHFUL).to_parameters()
    options = {"convergence": em.Never(), "max_iter": 1}
    best = em.fit(FAITHFUL, start, **options).lower_bound
    exact = em.fit(FAITHFUL, start, update=em.ClosedForm(0.0), **options)
    assert exact.score(FAITHFUL) == pytest.approx(best, abs=1e-12)
    result = em.fit(FAITHFUL, start, posterior=posterior, update=update, **options)
    assert result.score(FAITHFUL) < best - 1e-5


@pytest.mark.parametrize("n_draws", [1, 5])
def test_q_of_draws_has_the_mean_and_variance_of_theory(n_draws):
    """(1 / S) sum_s log p(x, z_s): unbiased, with the variance of log p(x, z) over S."""
    X, parameters = problem()
    elsewhere = mixture("full", 3, 2, seed=5)  # Q at other parameters than those of the draws
    log_prob, resp = log_joint(X, elsewhere), softmax(log_joint(X, parameters), axis=1)
    mean = np.sum(resp * log_prob, axis=1)
    variance = np.sum(np.sum(resp * log_prob**2, axis=1) - mean**2) / n_draws
    samples, n_seeds = em.Samples(X), 200
    z = []
    for seed in range(n_seeds):
        statistics = em.SampledPosterior(n_draws, seed).summarize(samples, parameters)
        z.append((q_function(statistics, elsewhere) - mean.sum()) / np.sqrt(variance))
    assert abs(np.mean(z)) < 4.5 / np.sqrt(n_seeds)
    assert np.mean(np.square(z)) == pytest.approx(1.0, abs=4.5 * np.sqrt(2 / n_seeds))


def test_responsibilities_of_one_shared_variance():
    """The normalisers cancel; with equal weights those of soft k-means, beta = 1 / (2 s^2)."""
    X, parameters = problem("spherical")
    variance = 0.7
    squares = ((X[:, np.newaxis] - parameters.means) ** 2).sum(axis=2)
    for weights in (parameters.weights, np.full(3, 1 / 3)):
        model = GaussianMixture.from_parameters(
            weights, parameters.means, np.full(3, variance), covariance_type="spherical"
        )
        expected = softmax(np.log(weights) - squares / (2 * variance), axis=1)
        np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-10)
    soft = fastgmm.SoftKMeans(3, 1 / (2 * variance), init=parameters.means, max_iter=0).fit(X)
    np.testing.assert_allclose(soft.predict_proba(X), expected, rtol=1e-10)
    # weights that are updated do not stay equal
    assert np.ptp(expected.mean(axis=0)) > 0.01


@pytest.mark.parametrize("n_best", [1, 2])
def test_smallest_divergence_is_the_greatest_bound(n_best):
    """Their sum is log p(X), which does not depend on q."""
    X, parameters = problem()
    model = model_of(parameters)
    posterior, log_likelihood = model.predict_proba(X), model.score_samples(X).sum()
    result = em.fit(X, parameters, posterior=em.TruncatedPosterior(n_best), max_iter=1)
    greatest = result.lower_bound * len(X)
    rng = np.random.default_rng(0)
    for _ in range(20):
        q = np.zeros_like(posterior)  # another of the family
        for row in q:
            row[rng.choice(3, n_best, replace=False)] = rng.dirichlet(np.ones(n_best))
        bound, divergence = fastgmm.elbo(model, X, q), fastgmm.kl_divergence(q, posterior)
        assert bound + divergence == pytest.approx(log_likelihood, rel=1e-10)
        assert bound < greatest
        assert divergence > log_likelihood - greatest
