"""Incremental and stepwise EM: against the same algorithms in plain NumPy, and EM's maxima."""

from dataclasses import replace

import numpy as np
import pytest
from generators import (
    COVARIANCE_TYPES,
    DTYPES,
    assert_same_bits,
    assert_same_mixture,
    draw,
    mixture,
    sample_weights,
)
from scipy.special import entr, softmax
from variants import (
    REFERENCES,
    Nothing,
    assert_same_statistics,
    check_absent_rows,
    check_awkward_shape,
    check_dying_component,
    check_far_from_zero,
    check_runs_start_anew,
    check_threads,
    known,
    log_joint,
    log_likelihood,
    plain_statistics,
    summarize,
)

from fastgmm import em
from fastgmm.data.samples import Samples
from fastgmm.em.posteriors.minibatch import Batches
from fastgmm.em.posteriors.stepwise import implied_statistics

pytestmark = pytest.mark.one_backend

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
EVERY = {
    "incremental": lambda **kw: em.IncrementalPosterior(3, **kw),
    "stepwise": lambda **kw: em.StepwisePosterior(300, **kw),
}
each = pytest.mark.parametrize("name", EVERY)


def problem(covariance_type="full", dtype="float64", n=600):
    parameters = mixture(covariance_type, 3, 3)
    return draw(parameters, n, dtype), parameters


def plain_incremental(X, weight, start, n_blocks, n_iter):
    """Yield parameters and the free energy before each update, with all of q in one array."""
    parameters, q = start, None
    for t in range(n_iter):
        log_prob = log_joint(X, parameters)
        renewed = softmax(log_prob, axis=1)
        if q is None:
            q = renewed
        else:
            block = (t - 1) % n_blocks
            rows = slice(block * len(X) // n_blocks, (block + 1) * len(X) // n_blocks)
            q[rows] = renewed[rows]
        energy = weight @ (q * log_prob + entr(q)).sum(axis=1)
        statistics = plain_statistics(X, weight, q, parameters)
        parameters = em.ClosedForm(0.0)(statistics, parameters).parameters
        yield parameters, energy


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@each_type
def test_incremental_em_is_the_plain_one(covariance_type, dtype, weighted):
    X, start = problem(covariance_type, dtype)
    weight = sample_weights(len(X)) if weighted else np.ones(len(X))
    n_blocks, n_iter = 7, 22
    result = em.fit(
        X, start, sample_weight=weight if weighted else None, update=em.ClosedForm(0.0),
        posterior=em.IncrementalPosterior(n_blocks), max_iter=n_iter, convergence=em.Never(),
    )  # fmt: skip
    steps = list(plain_incremental(X.astype(float), weight, start, n_blocks, n_iter))
    assert_same_mixture(result.parameters, steps[-1][0], 1e-9)
    energies = np.array([energy for _, energy in steps]) / weight.sum()
    assert np.diff(energies).min() > -1e-12
    # reported at the end of an epoch
    reported = np.repeat(energies[::n_blocks], n_blocks)[:n_iter]
    np.testing.assert_allclose(result.lower_bounds, reported, rtol=1e-12)
    assert all(change == 0.0 for number, _, change, _ in result.history if number % 7 != 1)


@each_type
def test_one_block_is_em(covariance_type):
    X, start = problem(covariance_type)
    weight = sample_weights(len(X))
    exact = em.fit(X, start, sample_weight=weight, convergence=em.RemainingGain(1e-6))
    result = em.fit(
        X, start, sample_weight=weight, convergence=em.RemainingGain(1e-6),
        posterior=em.IncrementalPosterior(1),
    )  # fmt: skip
    assert result.n_iter == exact.n_iter
    np.testing.assert_allclose(result.lower_bounds, exact.lower_bounds, rtol=1e-12)


@pytest.mark.parametrize("name", REFERENCES)
@each_type
def test_incremental_em_ends_at_the_maximum_in_fewer_passes(name, covariance_type):
    """Iris is sorted by species: blocks hold one or two of them."""
    X, start, expected = known(name, covariance_type)
    options = {
        "update": em.ClosedForm(0.0),
        "convergence": em.LowerBoundChange(1e-13),
        "max_iter": 20_000,
    }
    n_blocks = 7
    exact = em.fit(X, start, **options)
    result = em.fit(X, start, posterior=em.IncrementalPosterior(n_blocks), **options)
    assert result.converged
    assert log_likelihood(X, result.parameters) == pytest.approx(expected, abs=1e-6)
    assert np.diff(result.lower_bounds).min() >= -1e-13
    # 5 to 83 epochs where EM takes 5 to 122 iterations
    assert result.n_iter / n_blocks < exact.n_iter


@pytest.mark.parametrize("rule", [em.LowerBoundChange, em.RemainingGain])
def test_stop_rules_see_epochs(rule):
    """A block in 30 gains a thirtieth: judged by that, EM would stop far from the maximum."""
    X, start, expected = known("iris", "diag")
    tol = 1e-5
    losses = []
    for posterior in (em.ExactPosterior(), em.IncrementalPosterior(30)):
        result = em.fit(
            X, start, posterior=posterior, convergence=rule(tol), update=em.ClosedForm(0.0),
            max_iter=10_000,
        )  # fmt: skip
        assert result.converged
        losses.append(expected - log_likelihood(X, result.parameters))
    assert result.n_iter % 30 == 1
    assert losses[1] < losses[0]
    needed = {em.LowerBoundChange: 1, em.RemainingGain: 3}[rule]
    posterior = em.IncrementalPosterior(30)
    result = em.fit(X, start, posterior=posterior, convergence=rule(1e300), max_iter=1000)
    assert result.n_iter == 1 + 30 * needed


def test_settled_between_epochs():
    X, start = problem()
    posterior, samples = em.IncrementalPosterior(3), Samples(X)
    posterior.start(samples, start)
    settled = []
    for _ in range(7):
        posterior.summarize(samples, start)
        settled.append(posterior.settled)
    assert settled == [True, False, False, True, False, False, True]


@pytest.mark.parametrize("dead", [False, True])
@each_type
def test_implied_statistics_give_the_parameters_back(covariance_type, dead):
    parameters = mixture(covariance_type, 3, 4)
    if dead:
        weights = parameters.weights * [1.0, 0.0, 1.0]
        parameters = replace(parameters, weights=weights / weights.sum())
    statistics = implied_statistics(parameters, 50.0)
    assert statistics.weight == 50.0
    assert statistics.moments.nk.sum() == pytest.approx(50.0)
    actual = em.ClosedForm(0.0)(statistics, parameters).parameters
    assert_same_mixture(actual, parameters, 1e-14)


@pytest.mark.parametrize("weighted", [False, True])
@each_type
def test_stepwise_em_is_the_plain_one(covariance_type, weighted):
    """On the same batches, of a third of the samples."""
    X, start = problem(covariance_type)
    weight = sample_weights(len(X)) if weighted else np.ones(len(X))
    result = em.fit(
        X, start, sample_weight=weight if weighted else None, update=em.ClosedForm(0.0),
        posterior=em.StepwisePosterior(200, 0.75, 3.0), max_iter=6,
    )  # fmt: skip
    batches = Batches(Samples(X, weight), lambda _: 200, seed=0)
    parameters, s = start, implied_statistics(start, weight.sum())
    for t in range(6):
        batch = batches.draw()
        x, w = batch.rows(slice(None)), batch.sample_weight
        q = softmax(log_joint(x, parameters), axis=1)
        bound = log_likelihood(x, parameters, w) / w.sum()
        assert result.lower_bounds[t] == pytest.approx(bound, rel=1e-12)
        gamma = (t + 3.0) ** -0.75
        new = plain_statistics(x, w, q, parameters)
        s = new.scaled(gamma) + s.scaled(1 - gamma)
        parameters = em.ClosedForm(0.0)(s, parameters).parameters
    assert_same_mixture(result.parameters, parameters, 1e-10)


@each_type
def test_a_batch_of_all_samples_is_em(covariance_type):
    X, start = problem(covariance_type)
    weight = sample_weights(len(X))
    exact, stepwise = (
        em.fit(X, start, sample_weight=weight, posterior=p, convergence=em.Never(), max_iter=5)
        for p in (em.ExactPosterior(), em.StepwisePosterior(10**9))
    )
    np.testing.assert_allclose(stepwise.lower_bounds, exact.lower_bounds, rtol=1e-13)
    assert_same_mixture(stepwise.parameters, exact.parameters, 1e-12)


def test_batches_of_an_epoch_are_all_samples_once():
    """Steps of 1, 1/2, 1/3 make the statistics the mean of those of all batches so far."""
    X, start = problem(n=1000)
    weight = sample_weights(len(X)) + 0.5
    posterior, samples = em.StepwisePosterior(130, 1.0, 1.0), Samples(X, weight)
    exact = summarize(em.ExactPosterior(), X, start, weight)
    posterior.start(samples, start)
    for _ in range(2):
        for _ in range(8):  # of 125
            mean = posterior.summarize(samples, start)
        assert_same_statistics(mean, exact, rtol=1e-12)
        assert mean.weight == pytest.approx(weight.sum(), rel=1e-12)


@pytest.mark.parametrize("n_batches", [4, 10])
def test_batches_are_unbiased_with_the_variance_of_sampling_without_replacement(n_batches):
    X, start = problem(n=400)
    weight = sample_weights(len(X))
    present = weight > 0
    n, m = int(present.sum()), int(present.sum()) // n_batches
    n -= n % n_batches
    weight[np.flatnonzero(present)[n:]] = 0.0
    resp = weight[:, np.newaxis] * softmax(log_joint(X, start), axis=1)
    terms = resp[weight > 0]
    samples, nk = Samples(X, weight), []
    n_seeds = 300
    for seed in range(n_seeds):
        posterior = em.StepwisePosterior(m, 1.0, 1.0, seed, n_jobs=1)  # a first step of 1
        posterior.start(samples, start)
        nk.append(posterior.summarize(samples, start).moments.nk)
    deviation = np.sqrt(n**2 / m * (1 - m / n) * terms.var(axis=0, ddof=1))
    z = (np.array(nk) - terms.sum(axis=0)) / deviation
    np.testing.assert_allclose(z.mean(axis=0), 0.0, atol=4.5 / np.sqrt(n_seeds))
    np.testing.assert_allclose((z**2).mean(axis=0), 1.0, atol=4.5 * np.sqrt(2 / n_seeds))


@pytest.mark.slow
@pytest.mark.one_backend
@pytest.mark.parametrize("name", REFERENCES)
@each_type
def test_stepwise_em_comes_near_the_maximum(name, covariance_type):
    X, start, expected = known(name, covariance_type)
    losses = []
    for n_iter in (100, 2500):
        result = em.fit(
            X, start, posterior=em.StepwisePosterior(30), update=em.ClosedForm(0.0),
            max_iter=n_iter,
        )  # fmt: skip
        losses.append(expected - log_likelihood(X, result.parameters))
    # 2e-5 to 7e-5 after 3000 batches; the last step is 0.009
    assert -1e-6 < losses[1] < 5e-4
    assert losses[1] < losses[0]


@pytest.mark.parametrize("name", REFERENCES)
@each_type
def test_growing_batches_end_at_the_maximum(name, covariance_type):
    X, start, expected = known(name, covariance_type)
    result = em.fit(
        X, start, posterior=em.StepwisePosterior(em.Growing(30)), update=em.ClosedForm(0.0),
        convergence=em.RemainingGain(1e-10), max_iter=1000,
    )  # fmt: skip
    assert result.converged
    assert log_likelihood(X, result.parameters) == pytest.approx(expected, abs=1e-6)


def test_an_epoch_of_stepwise_em_is_worth_several_iterations():
    X, start = mixture_far_from_its_start()
    step = em.fit(X, start, posterior=em.StepwisePosterior(500), max_iter=40)
    exact = em.fit(X, start, max_iter=5, convergence=em.Never())
    assert log_likelihood(X, step.parameters) > log_likelihood(X, exact.parameters)


def mixture_far_from_its_start():
    truth = mixture("full", 3, 3)
    X = draw(truth, 20_000)
    return X, em.MixtureParameters.from_covariances(
        "full", np.full(3, 1 / 3), 0.3 * truth.means, np.tile(np.cov(X.T), (3, 1, 1))
    )


def test_seeds():
    X, start = problem()
    results = [em.fit(X, start, posterior=em.StepwisePosterior(100, seed=seed), max_iter=9)
               for seed in (1, 1, 2)]  # fmt: skip
    assert_same_bits(results[0].parameters, results[1].parameters)
    assert results[0].lower_bounds != results[2].lower_bounds


def test_samples_without_weight_are_as_if_not_there():
    X, start = problem()
    weight = np.arange(600.0) % 3
    kept = weight > 0
    whole, part = (
        em.fit(x, start, sample_weight=w, posterior=em.StepwisePosterior(70), max_iter=30)
        for x, w in ((X, weight), (X[kept], weight[kept]))
    )
    assert_same_bits(whole.parameters, part.parameters)
    assert whole.lower_bounds == part.lower_bounds


def test_float32_and_integers_are_read_as_they_are():
    X, start = problem(n=60_000)
    X = np.round(X * 8)
    start = em.MixtureParameters.from_covariances(
        "full", start.weights, start.means * 8, start.covariances * 64
    )
    for make in EVERY.values():
        expected = em.fit(X, start, posterior=make(), max_iter=7)
        for dtype, tolerance in (("float32", 1e-5), ("int32", 1e-12)):
            result = em.fit(X.astype(dtype), start, posterior=make(), max_iter=7)
            assert_same_mixture(result.parameters, expected.parameters, tolerance)
    # a block of 20,000 rows is long enough for float32 arithmetic
    single = em.IncrementalPosterior(3)
    result = em.fit(X.astype("float32"), start, posterior=single, max_iter=40)
    assert result.converged
    assert np.diff(result.lower_bounds).min() > -1e-6


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
def test_dying_component_of_incremental_em(covariance_type):
    start, result = check_dying_component(EVERY["incremental"](), covariance_type)
    assert result.parameters.weights[2] == 0.0
    np.testing.assert_array_equal(result.parameters.means[2], start.means[2])


@each_type
def test_dying_component_of_stepwise_em(covariance_type):
    """It fades as the memory of the start does, and stays where it is."""
    start, result = check_dying_component(EVERY["stepwise"](), covariance_type, 400)
    faded = np.prod([1 - (t + 2.0) ** -0.6 for t in range(400)])
    assert result.parameters.weights[2] == pytest.approx(0.1 * faded, rel=1e-9)
    np.testing.assert_allclose(result.parameters.means[2], start.means[2], rtol=1e-12)


@pytest.mark.parametrize("offset", [1e6, 1e8])
@each_type
@each
def test_far_from_zero(name, covariance_type, offset):
    check_far_from_zero(EVERY[name], covariance_type, offset)


@pytest.mark.parametrize("K, d, n", [(1, 1, 5), (1, 3, 40), (3, 1, 50), (6, 2, 4)])
@each
def test_awkward_shapes(name, K, d, n):
    check_awkward_shape(EVERY[name](), K, d, n)


def test_blocks_without_weight():
    X, start = problem()
    weight = np.ones(600)
    weight[:250] = 0.0
    result = em.fit(
        X, start, sample_weight=weight, posterior=em.IncrementalPosterior(6),
        convergence=em.LowerBoundChange(1e-10), max_iter=1000,
    )  # fmt: skip
    exact = em.fit(X[250:], start, convergence=em.LowerBoundChange(1e-10), max_iter=1000)
    assert result.converged
    assert result.lower_bound == pytest.approx(exact.lower_bound, abs=1e-7)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: em.IncrementalPosterior(0), "n_blocks should be a positive integer, got 0."),
        (
            lambda: em.fit(*problem(n=5), posterior=em.IncrementalPosterior(6), update=Nothing()),
            "n_blocks should be at most n_samples=5, got 6.",
        ),
        (lambda: em.StepwisePosterior(2.5), "batch_size should be a positive integer, got 2.5."),
        (
            lambda: em.StepwisePosterior(9, 0.5),
            "exponent should be above 0.5 and at most 1, got 0.5.",
        ),
        (
            lambda: em.StepwisePosterior(9, np.nan),
            "exponent should be above 0.5 and at most 1, got nan.",
        ),
        (
            lambda: em.StepwisePosterior(9, offset=0.9),
            "offset should be at least 1 and finite, got 0.9.",
        ),
        (
            lambda: em.StepwisePosterior(9, seed=-3),
            "seed should be an integer from 0 to 2**64 - 1, got -3.",
        ),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        make()
    assert str(caught.value) == message
