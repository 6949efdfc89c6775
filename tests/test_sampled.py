"""Monte Carlo posteriors: their means and variances are those of theory, from the same bits."""

import numpy as np
import pytest
from backends import available, using
from generators import COVARIANCE_TYPES, DTYPES, draw, mixture, sample_weights
from marks import slow_once
from scipy.special import softmax
from variants import (
    REFERENCES,
    Nothing,
    check_absent_rows,
    check_awkward_shape,
    check_dying_component,
    check_far_from_zero,
    check_runs_start_anew,
    check_threads,
    known,
    log_joint,
    log_likelihood,
    summarize,
)

from fastgmm import em
from fastgmm.data.samples import Samples
from fastgmm.em.posteriors import base as blocks
from fastgmm.em.posteriors.sampled import uniforms

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
EVERY = {
    "one draw": lambda **kw: em.SampledPosterior(1, **kw),
    "many draws": lambda **kw: em.SampledPosterior(lambda t: 3 * t, **kw),
    "chain": lambda **kw: em.MetropolisPosterior(2, **kw),
}
each = pytest.mark.parametrize("name", EVERY)


def problem(covariance_type="full", dtype="float64", K=3, n=400):
    parameters = mixture(covariance_type, K, 2, scenario="overlapping")
    return draw(parameters, n, dtype), parameters


def responsibilities(X, parameters):
    return softmax(log_joint(X, parameters), axis=1)


def test_uniforms_depend_on_the_row_alone():
    whole = uniforms(3, 7, slice(0, 1000), 5)
    assert whole.shape == (1000, 5)
    for rows in (slice(0, 1), slice(1, 2), slice(13, 700), slice(998, 1000)):
        assert np.array_equal(uniforms(3, 7, rows, 5), whole[rows])
    others = uniforms(4, 7, slice(0, 1000), 5), uniforms(3, 8, slice(0, 1000), 5)
    for other in others:
        assert abs(np.corrcoef(whole.ravel(), other.ravel())[0, 1]) < 4 / np.sqrt(5000)
    # a seed of 64 bits, and a row beyond 2^40
    assert uniforms(2**64 - 1, 1, slice(2**40, 2**40 + 2), 3).shape == (2, 3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_draws", [1, 4, 25])
@each_type
def test_draws_have_the_mean_and_variance_of_theory(covariance_type, n_draws, dtype):
    X, parameters = problem(covariance_type, dtype)
    weight = sample_weights(len(X))
    resp = responsibilities(X.astype(float), parameters)
    mean = weight @ resp
    variance = weight**2 @ (resp * (1 - resp)) / n_draws
    n_seeds = 200
    samples = Samples(X, weight)
    nk = []
    for seed in range(n_seeds):
        policy = em.SampledPosterior(n_draws, seed)
        nk.append(policy.summarize(samples, parameters).moments.nk)
    z = (np.array(nk) - mean) / np.sqrt(variance)
    np.testing.assert_allclose(np.sum(nk, axis=1), weight.sum(), rtol=1e-12)
    # 4.5 standard deviations of the mean and of the variance of normal numbers
    np.testing.assert_allclose(z.mean(axis=0), 0.0, atol=4.5 / np.sqrt(n_seeds))
    np.testing.assert_allclose((z**2).mean(axis=0), 1.0, atol=4.5 * np.sqrt(2 / n_seeds))


def test_draws_of_different_rows_and_iterations_are_independent():
    """Sums over rows and iterations would have other variances if they were not."""
    start = em.MixtureParameters.from_covariances(
        "diag", np.array([0.3, 0.7]), np.zeros((2, 1)), np.ones((2, 1))
    )
    policy, samples = em.SampledPosterior(3), Samples(np.zeros((100, 1)))
    nk = [policy.summarize(samples, start).moments.nk[0] for _ in range(500)]
    z = (np.array(nk) - 30) / np.sqrt(100 * 0.21 / 3)
    assert z.var() == pytest.approx(1.0, abs=4.5 * np.sqrt(2 / 500))
    assert abs(np.mean(z[1:] * z[:-1])) < 4.5 / np.sqrt(500)


def test_lower_bound_is_the_log_likelihood():
    X, parameters = problem()
    weight = sample_weights(len(X))
    statistics = summarize(em.SampledPosterior(2), X, parameters, weight)
    expected = log_likelihood(X, parameters, weight)
    assert statistics.log_likelihood == pytest.approx(expected, rel=1e-12)


def test_schedules():
    X, start = problem()
    by_function = em.SampledPosterior(lambda t: min(t, 3))
    by_sequence = em.SampledPosterior([1, 2, 3])
    bounds = [em.fit(X, start, posterior=p, max_iter=6).lower_bounds
              for p in (by_function, by_sequence)]  # fmt: skip
    assert bounds[0] == bounds[1]
    assert bounds[0] != em.fit(X, start, posterior=em.SampledPosterior(3), max_iter=6).lower_bounds
    other = em.SampledPosterior([1, 2, 3], seed=1)
    assert bounds[0] != em.fit(X, start, posterior=other, max_iter=6).lower_bounds


@each
def test_size_of_blocks(name, monkeypatch):
    X, start = problem(n=2000)
    expected = em.fit(X, start, posterior=EVERY[name](), max_iter=4).lower_bounds
    monkeypatch.setattr(blocks, "_RESPONSIBILITIES", 1000)
    actual = em.fit(X, start, posterior=EVERY[name](), max_iter=4).lower_bounds
    # another draw would change them by 1e-3
    np.testing.assert_allclose(actual, expected, rtol=1e-11)


@each
def test_backends_draw_the_same(name):
    X, start = problem("full", n=2000)
    bounds = []
    for variant in available():
        with using(variant):
            bounds.append(em.fit(X, start, posterior=EVERY[name](), max_iter=4).lower_bounds)
    for other in bounds[1:]:
        np.testing.assert_allclose(other, bounds[0], rtol=1e-11)


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("covariance_type", ["full", *slow_once(*COVARIANCE_TYPES[1:])])
def test_parameters_stay_as_near_the_maximum_as_theory_says(name, covariance_type):
    """With the missing information's eigenvalues l the mean loss is sum l / (1 + l) / (2 m) nats.

    Of p parameters that is p / (4 m) at the most: each iteration adds noise of covariance
    J / m to an error that shrinks by J, in the metric of the complete data.
    """
    X, start, expected = known(name, covariance_type)
    update = em.ClosedForm(0.0)
    start = em.fit(
        X, start, update=update, convergence=em.LowerBoundChange(1e-12), max_iter=20_000
    ).parameters
    m, n_iter = 40, 400
    for posterior, factor in (
        (em.SampledPosterior(m), 1),
        # a chain's states are correlated: up to K times the variance where p(k) is 1 / K
        (em.MetropolisPosterior(m), start.n_components),
    ):
        result = em.fit(X, start, update=update, posterior=posterior, max_iter=n_iter)
        final = log_likelihood(X, result.parameters)
        assert expected - 20 * factor * start.n_parameters / (4 * m) < final < expected + 1e-6
        if isinstance(posterior, em.SampledPosterior):
            loss = expected - np.array(result.lower_bounds[50:]) * len(X)
            assert loss.min() > -1e-6
            assert 0.0 < loss.mean() < start.n_parameters / (4 * m)


@each_type
def test_growing_draws_converge(covariance_type):
    X, start, expected = known("faithful", covariance_type)
    losses = []
    for n_iter in (10, 30, 90):
        result = em.fit(
            X, start, posterior=em.SampledPosterior(lambda t: t**2), max_iter=n_iter,
            update=em.ClosedForm(0.0),
        )  # fmt: skip
        losses.append(expected - log_likelihood(X, result.parameters))
    assert losses[2] < losses[0]
    # p / (4 m) on average
    assert 0.0 < losses[2] < 10 * start.n_parameters / (4 * 90**2)


@pytest.mark.parametrize("n_steps, n_iter", [(1, 100), (30, 5)])
def test_chains_have_the_mean_and_variance_of_theory(n_steps, n_iter):
    """Of two components: a two-state chain, whose second eigenvalue is 1 - P(0, 1) - P(1, 0)."""
    X, parameters = problem("diag", K=2, n=50)
    resp = responsibilities(X, parameters)
    ratio = resp[:, 1] / resp[:, 0]
    eigenvalue = 1 - 0.5 * np.minimum(1, ratio) - 0.5 * np.minimum(1, 1 / ratio)
    n = n_steps * n_iter
    t = np.arange(1, n)[:, np.newaxis]
    correlated = 1 + 2 * np.sum((1 - t / n) * eigenvalue**t, axis=0)
    variance = np.sum(resp[:, 0] * resp[:, 1] * correlated) / n
    samples, z = Samples(X), []
    n_seeds = 40
    for seed in range(n_seeds):
        policy = em.MetropolisPosterior(n_steps, seed, n_jobs=1)
        policy.start(samples, parameters)
        n_first = -(-20 // n_steps)  # until it has forgotten where it began
        nk = [policy.summarize(samples, parameters).moments.nk[0] for _ in range(n_iter + n_first)]
        z.append((np.mean(nk[n_first:]) - resp[:, 0].sum()) / np.sqrt(variance))
    assert abs(np.mean(z)) < 4.5 / np.sqrt(n_seeds)
    assert np.mean(np.square(z)) == pytest.approx(1.0, abs=4.5 * np.sqrt(2 / n_seeds))


@each_type
def test_chains_of_many_components_tend_to_the_posterior(covariance_type):
    X, parameters = problem(covariance_type, K=5)
    policy, samples = em.MetropolisPosterior(4000), Samples(X)
    policy.start(samples, parameters)
    statistics = policy.summarize(samples, parameters)
    expected = responsibilities(X, parameters).sum(axis=0)
    # independent draws would deviate by sqrt(400 / 4 / 4000) = 0.16 at most, the chain by sqrt(2 K)
    # times as much
    np.testing.assert_allclose(statistics.moments.nk, expected, atol=4 * 0.16 * np.sqrt(10))
    # a bound, short of the likelihood by about (K - 1) K / n_steps
    exact = log_likelihood(X, parameters)
    assert exact - 0.005 * len(X) < statistics.log_likelihood < exact


def test_chains_begin_at_the_best_component_and_go_on():
    """Where the others are 40 standard deviations away no step is accepted."""
    parameters = em.MixtureParameters.from_covariances(
        "spherical", np.full(3, 1 / 3), np.array([[0.0], [40.0], [80.0]]), np.ones(3)
    )
    X = np.array([[0.0], [40.0], [40.0], [81.0]])
    moved = em.MixtureParameters.from_covariances(
        "spherical", np.full(3, 1 / 3), np.zeros((3, 1)), np.full(3, 1e9)
    )
    policy, samples = em.MetropolisPosterior(50), Samples(X)
    policy.start(samples, parameters)
    np.testing.assert_array_equal(policy.summarize(samples, parameters).moments.nk, [1, 2, 1])
    assert policy.summarize(samples, moved).moments.nk.max() < 4  # all equal: anywhere
    policy.start(samples, parameters)
    np.testing.assert_array_equal(policy.summarize(samples, parameters).moments.nk, [1, 2, 1])


@each
def test_threads(name):
    check_threads(lambda n_jobs: EVERY[name](n_jobs=n_jobs))


@each
def test_runs_start_anew(name):
    check_runs_start_anew(EVERY[name]())


@each
def test_absent_rows(name):
    check_absent_rows(EVERY[name])


@each_type
@each
def test_dying_component(name, covariance_type):
    start, result = check_dying_component(EVERY[name](), covariance_type)
    assert result.parameters.weights[2] == 0.0
    np.testing.assert_array_equal(result.parameters.means[2], start.means[2])


@each_type
@each
def test_far_from_zero(name, covariance_type):
    # farther out, rounding of the means moves some draw
    check_far_from_zero(EVERY[name], covariance_type, 1e6)


@pytest.mark.parametrize("K, d, n", [(1, 1, 5), (1, 3, 40), (3, 1, 50), (6, 2, 4)])
@each
def test_awkward_shapes(name, K, d, n):
    check_awkward_shape(EVERY[name](), K, d, n)


def test_stop_rules_are_refused():
    X, start = problem()
    assert em.fit(X, start, posterior=em.SampledPosterior(1), max_iter=3).n_iter == 3
    for policy in (em.SampledPosterior(1), em.MetropolisPosterior(1)):
        with pytest.raises(ValueError, match=f"{type(policy).__name__} is a number that fluct"):
            em.fit(X, start, posterior=policy, convergence=em.LowerBoundChange())


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: em.SampledPosterior(0), "n_draws should be a positive integer, got 0."),
        (lambda: em.SampledPosterior([2, 1.5]), "n_draws should be a positive integer, got 1.5."),
        (
            lambda: em.SampledPosterior(()),
            "n_draws should be a number or a sequence of at least one, got [].",
        ),
        (
            lambda: em.SampledPosterior(1, seed=-1),
            "seed should be an integer from 0 to 2**64 - 1, got -1.",
        ),
        (
            lambda: em.SampledPosterior(1, seed=None),
            "seed should be an integer from 0 to 2**64 - 1, got None.",
        ),
        (
            lambda: em.MetropolisPosterior(1, seed=2**64),
            f"seed should be an integer from 0 to 2**64 - 1, got {2**64}.",
        ),
        (lambda: em.MetropolisPosterior("a"), "n_steps should be a positive integer, got 'a'."),
        (
            lambda: em.fit(
                *problem(), posterior=em.SampledPosterior(lambda t: 2 - t), update=Nothing()
            ),
            "n_draws(2) should be a positive integer, got 0.",
        ),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        make()
    assert str(caught.value) == message
