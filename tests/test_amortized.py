"""Amortized variational EM: its two gradients, and where it leads."""

import numpy as np
import pytest
from generators import (
    COVARIANCE_TYPES,
    DTYPES,
    SCENARIOS,
    assert_same_bits,
    draw,
    hard_labels,
    mixture,
    sample_weights,
)
from marks import slow_once
from scipy.optimize import minimize
from scipy.special import log_softmax
from test_gradients import differences, model_of
from test_references import FAITHFUL, FAITHFUL_FITS, IRIS, LONG, SPECIES
from variants import REFERENCES, known

import fastgmm
from fastgmm import em
from fastgmm.data.samples import Samples

pytestmark = pytest.mark.one_backend

#: three components of which no two are apart
OVERLAP = em.MixtureParameters.from_covariances(
    "full",
    np.array([0.3, 0.3, 0.4]),
    np.array([[0.0, 0.0], [2.5, 0.0], [0.0, 3.0]]),
    np.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.5], [0.5, 1.0]], [[2.0, -0.5], [-0.5, 0.7]]]),
)
TIED = mixture("tied", 3, 2, scenario="overlapping")


def started(X, weight, parameters, **options):
    """Return a posterior whose one batch is all samples, and these."""
    samples = Samples(X, weight)
    posterior = em.AmortizedPosterior(10**6, n_jobs=1, **options)
    posterior.start(samples, parameters)
    return posterior, samples


def compare(X, result, posterior, weight=None):
    """Return the mean log-likelihood, and the mean divergence of q from the posterior."""
    model = model_of(result.parameters)
    q = posterior.predict_proba(X)
    total = len(X) if weight is None else weight.sum()
    divergence = fastgmm.kl_divergence(q, model.predict_proba(X), weight) / total
    return model.score(X, sample_weight=weight), divergence


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_statistics_bound_gradient_and_information(covariance_type, dtype, weighted):
    parameters = mixture(covariance_type, 3, 2, scenario="overlapping")
    X = draw(mixture("full", 3, 2), 200, dtype)
    weight = sample_weights(len(X)) if weighted else None
    posterior, samples = started(X, weight, parameters)
    posterior._coefficients += 0.3 * np.random.default_rng(0).normal(size=(6, 3))
    q = posterior.predict_proba(X)
    start, gradient, blocks = posterior._gradient(samples, parameters)
    statistics = posterior._statistics(samples, parameters)
    assert statistics.lower_bound == start
    weight = np.ones(len(X)) if weight is None else weight

    model = model_of(parameters)
    bound = fastgmm.elbo(model, X, q, weight)
    assert statistics.log_likelihood == pytest.approx(bound, rel=1e-11)
    np.testing.assert_allclose(statistics.moments.nk, weight @ q, rtol=1e-11)
    first = q.T @ (weight[:, None] * X) - (weight @ q)[:, None] * parameters.means
    np.testing.assert_allclose(statistics.moments.first, first, rtol=1e-9, atol=1e-9)

    where = posterior._coefficients

    def elbo_at(flat):
        posterior._coefficients = flat.reshape(where.shape)
        return fastgmm.elbo(model, X, posterior.predict_proba(X), weight) / weight.sum()

    expected = differences(elbo_at, where.ravel(), step=1e-3)
    np.testing.assert_allclose(
        gradient.ravel(), expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max()
    )

    H = posterior._scaling(X)
    covariances = np.einsum("ik,kl->ikl", q, np.eye(3)) - np.einsum("ik,il->ikl", q, q)
    fisher = np.einsum("i,ikl,if,ig->kflg", weight / weight.sum(), covariances, H, H)
    for k in range(3):
        np.testing.assert_allclose(blocks[k], fisher[k, :, k], rtol=1e-10, atol=1e-12)
    posterior._coefficients = where
    product = posterior._information_times(where, samples, parameters)
    expected = np.einsum("kflg,gl->fk", fisher, where)
    np.testing.assert_allclose(product, expected, rtol=1e-10, atol=1e-12)
    # conjugate gradients leave a tenth of the residual, measured by the blocks
    natural = posterior._natural_gradient(samples, parameters, gradient, blocks)
    residual = gradient - np.einsum("kflg,gl->fk", fisher, natural)

    def squared(vector):
        return sum(vector[:, k] @ np.linalg.solve(blocks[k], vector[:, k]) for k in range(3))

    assert squared(residual) < 0.011 * squared(gradient)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_two_components_are_exact_after_one_step(covariance_type):
    parameters = mixture(covariance_type, 2, 3, scenario="overlapping")
    X = draw(parameters, 500)
    posterior, samples = started(X, None, parameters)
    posterior._coefficients += np.random.default_rng(0).normal(size=(10, 2))
    posterior.summarize(samples, parameters)
    exact = model_of(parameters).predict_proba(X)
    np.testing.assert_allclose(posterior.predict_proba(X), exact, atol=1e-6)


@pytest.mark.parametrize(
    "update, covariance_type",
    [
        (em.GradientAscent, "full"),
        *slow_once(*((em.GradientAscent, name) for name in COVARIANCE_TYPES[1:])),
        *slow_once((em.GradientStep, "full")),
    ],
)
def test_simultaneous_ascent_on_old_faithful(update, covariance_type):
    start = hard_labels(FAITHFUL, LONG.astype(int), covariance_type)
    posterior = em.AmortizedPosterior(64, n_jobs=1)
    update = update(step_size=em.Decaying(0.5, delay=20, power=0.9))
    result = em.fit(FAITHFUL, start, posterior=posterior, update=update, max_iter=1000)
    score, divergence = compare(FAITHFUL, result, posterior)
    # what remains of the noise of batches of 64: half a thousandth of a nat
    assert score == pytest.approx(FAITHFUL_FITS[covariance_type][-1] / len(FAITHFUL), abs=5e-4)
    assert divergence < 5e-4


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize(
    "batch_size, update",
    [(10**6, em.ClosedForm(0.0)), (em.Growing(30), em.GradientAscent(0.5))],
    ids=["alternating", "simultaneous"],
)
def test_reference_log_likelihoods(batch_size, update, covariance_type, name):
    """All samples in one batch, sooner or later: no noise is left."""
    X, start, expected = known(name, covariance_type)
    posterior = em.AmortizedPosterior(batch_size, n_jobs=1)
    result = em.fit(
        X,
        start,
        posterior=posterior,
        update=update,
        convergence=em.Never() if posterior.objective == "estimate" else em.RemainingGain(1e-10),
        max_iter=400,
    )
    score, divergence = compare(X, result, posterior)
    assert score * len(X) == pytest.approx(expected, abs=1e-6)
    assert -1e-15 < divergence < 1e-10
    # a bound below the log-likelihood
    assert result.lower_bound < score + 1e-13


@pytest.mark.parametrize("dtype, weighted", [("float64", False), ("float32", True)])
def test_three_components_that_overlap(dtype, weighted):
    X = draw(OVERLAP, 3000, dtype)
    weight = sample_weights(len(X)) if weighted else None
    start = em.MixtureParameters.from_covariances(
        "full", np.full(3, 1 / 3), OVERLAP.means + 0.5, np.stack([np.eye(2)] * 3)
    )
    best = em.fit(
        X, start, sample_weight=weight, convergence=em.RemainingGain(1e-9), max_iter=2000
    ).lower_bound
    posterior = em.AmortizedPosterior(64, n_jobs=1)
    result = em.fit(
        X,
        start,
        sample_weight=weight,
        posterior=posterior,
        update=em.GradientAscent(em.Decaying(0.5, delay=20, power=0.9)),
        max_iter=1000,
    )
    score, divergence = compare(X, result, posterior, weight)
    assert score == pytest.approx(best, abs=5e-4)
    assert divergence < 1e-4


class Keep(em.Update):
    """The model stays as it is."""

    def __call__(self, statistics, previous):
        return em.Updated(previous)


@pytest.mark.parametrize(
    "parameters, features, first, last",
    [
        (OVERLAP, "quadratic", 1e-15, 1e-6),
        (TIED, "linear", 1e-15, 1e-6),
        (TIED, "quadratic", 1e-15, 1e-6),
        (OVERLAP, "linear", 0.2, 0.01),
    ],
)
def test_which_posteriors_are_exact(parameters, features, first, last):
    """Linear features give those of tied covariances, quadratic ones all."""
    X = draw(OVERLAP, 1000)
    exact = model_of(parameters).predict_proba(X)

    def divergence():
        return fastgmm.kl_divergence(posterior.predict_proba(X), exact) / len(X)

    features = getattr(em, f"{features}_features")
    posterior = em.AmortizedPosterior(10**6, features=features)
    posterior.start(Samples(X), parameters)
    assert divergence() < first
    result = em.fit(X, parameters, posterior=posterior, update=Keep(), max_iter=300)
    assert divergence() < last
    # with the model as it is, the bound climbs to what the features allow
    best = model_of(parameters).score(X)
    assert min(np.diff(result.lower_bounds)) >= 0.0
    assert max(result.lower_bounds) <= best + 1e-12
    assert result.lower_bounds[-1] == pytest.approx(best - divergence(), abs=1e-12)
    if first == 0.2:
        assert result.lower_bounds[-1] > result.lower_bounds[0]
        assert divergence() > 1e-3


def optimum(posterior, X, parameters):
    """Return the best mean ELBO that SciPy reaches from the first q."""
    H = posterior._scaling(X)
    log_joint = posterior._log_joint(X, parameters.components())

    def negative(flat):
        log_q = log_softmax(H @ flat.reshape(posterior._coefficients.shape), axis=1)
        q, excess = np.exp(log_q), log_joint - log_q
        bounds = (q * excess).sum(axis=1)
        gradient = H.T @ (q * (excess - bounds[:, None])) / len(X)
        return -bounds.mean(), -gradient.ravel()

    return -minimize(negative, posterior._coefficients.ravel(), jac=True, tol=1e-9).fun


@pytest.mark.parametrize("step_size", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("labels", [SPECIES == 1, SPECIES == 2])
def test_the_bound_climbs_to_the_optimum_of_scipy(labels, step_size):
    """Linear features, parameters held: steps of 1 that are not searched overshoot."""
    parameters = hard_labels(IRIS, labels.astype(int), "full")
    posterior, _ = started(IRIS, None, parameters, step_size=step_size, features=em.linear_features)
    best = optimum(posterior, IRIS, parameters)
    result = em.fit(IRIS, parameters, posterior=posterior, update=Keep(), max_iter=300)
    assert min(np.diff(result.lower_bounds)) >= 0.0
    assert result.lower_bound > best - 1e-9


@pytest.mark.parametrize("K", [3, 4, 8])
def test_six_steps_from_a_random_q_are_exact(K):
    """Steps by the blocks of the information alone would end 1e-5 to 1e-3 nats short."""
    parameters = mixture("full", K, 3, scenario="overlapping")
    X = draw(parameters, 1000)
    posterior, samples = started(X, None, parameters)
    posterior._coefficients += np.random.default_rng(0).normal(size=(10, K))
    bounds = [posterior.summarize(samples, parameters).lower_bound for _ in range(6)]
    assert min(np.diff(bounds)) >= 0.0
    assert bounds[-1] == pytest.approx(model_of(parameters).score(X), abs=1e-12)


@pytest.mark.parametrize("features", [em.linear_features, em.quadratic_features])
@pytest.mark.parametrize("update", [em.ClosedForm(0.0), em.GradientStep()])
@pytest.mark.parametrize("K", [2, 3, 5])
def test_no_bound_of_all_samples_falls(K, update, features):
    X = np.random.default_rng(0).normal(size=(300, 2))
    start = em.starting_parameters(X, K, init_params="k-means++", random_state=0)
    posterior = em.AmortizedPosterior(300, features=features, n_jobs=1)
    result = em.fit(X, start, posterior=posterior, update=update, max_iter=60)
    assert not result.collapsed
    assert min(np.diff(result.lower_bounds)) > -1e-14


def test_a_bound_of_all_samples_falls_with_batches():
    start = hard_labels(IRIS, SPECIES, "full")
    posterior = em.AmortizedPosterior(30, n_jobs=1, features=em.linear_features)
    samples, model, bounds = Samples(IRIS), model_of(start), []
    posterior.start(samples, start)
    for _ in range(20):
        posterior.summarize(samples, start)
        bounds.append(fastgmm.elbo(model, IRIS, posterior.predict_proba(IRIS)))
    assert min(np.diff(bounds)) < -1e-3


@pytest.mark.parametrize("K, d", [(1, 1), (3, 1), (5, 2)])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_awkward_data(scenario, K, d):
    parameters = mixture("full", K, d, scenario=scenario)
    X = draw(parameters, 300)
    posterior = em.AmortizedPosterior(50, n_jobs=1)
    result = em.fit(X, parameters, posterior=posterior, update=em.GradientAscent(), max_iter=50)
    assert np.isfinite(result.lower_bound)
    for values in (result.parameters.weights, result.parameters.covariances):
        assert np.isfinite(values).all()
    np.testing.assert_allclose(posterior.predict_proba(X).sum(axis=1), 1.0, rtol=1e-12)


@pytest.mark.parametrize("update", [em.GradientAscent(), em.GradientStep(), em.ClosedForm()])
def test_constant_features_and_a_component_without_weight(update):
    X = np.hstack([draw(mixture("full", 2, 1), 200), np.full((200, 1), 3.0)])
    start = em.MixtureParameters.from_covariances(
        "diag", np.array([0.5, 0.0, 0.5]), np.array([[-1.0, 3], [0, 3], [1, 3]]), np.ones((3, 2))
    )
    posterior = em.AmortizedPosterior(50, n_jobs=1)
    result = em.fit(X, start, posterior=posterior, update=update, max_iter=20)
    assert np.isfinite(result.lower_bound)
    assert result.parameters.weights[1] == 0.0
    assert np.isfinite(posterior.predict_proba(X)).all()


def test_runs_repeat_and_do_not_depend_on_threads():
    start = hard_labels(FAITHFUL, LONG.astype(int), "full")
    results = []
    for n_jobs in (1, 2):
        posterior = em.AmortizedPosterior(100, seed=4, n_jobs=n_jobs)
        for _ in range(2):
            options = {"posterior": posterior, "update": em.GradientAscent(), "max_iter": 10}
            results.append(em.fit(FAITHFUL, start, **options).parameters)
    for other in results[1:]:
        assert_same_bits(other, results[0])


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: em.AmortizedPosterior(0), "batch_size should be a positive integer, got 0."),
        (lambda: em.AmortizedPosterior(9, -0.1), "step_size should be positive, or callable, got"),
        (lambda: em.AmortizedPosterior(9).predict_proba(FAITHFUL), "needs a run of em.fit before"),
        (
            lambda: started(FAITHFUL, None, mixture("full", 2, 2))[0].predict_proba(
                np.ones((3, 4))
            ),
            "X has 4 features, but 2 are expected",
        ),
        (
            lambda: em.fit(
                None,
                mixture("full", 2, 2),
                posterior=em.AmortizedPosterior(9),
                acceleration=em.QuasiNewton(),
            ),
            "but that of AmortizedPosterior is a number that fluctuates",
        ),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
