"""Gradient steps on Q in place of its maximum; batches in place of all samples."""

import numpy as np
import pytest
from generators import (
    COVARIANCE_TYPES,
    DTYPES,
    assert_same_bits,
    draw,
    hard_labels,
    mixture,
    sample_weights,
)
from marks import slow_once
from test_references import FAITHFUL, FAITHFUL_FITS, IRIS, IRIS_FITS, LONG, PAIRS, SPECIES

from fastgmm import em
from fastgmm.data.samples import Samples
from fastgmm.em.posteriors.exact import ExactPosterior
from fastgmm.em.posteriors.minibatch import Batches
from fastgmm.model.gradients import q_function

pytestmark = pytest.mark.one_backend

REFERENCES = pytest.mark.parametrize(
    "X, labels, fits",
    [(FAITHFUL, LONG.astype(int), FAITHFUL_FITS), (IRIS, SPECIES, IRIS_FITS)],
    ids=["faithful", "iris"],
)


def total(X, parameters, weight=None):
    return em.fit(X, parameters, sample_weight=weight, max_iter=1).lower_bound * len(X)


@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@REFERENCES
def test_generalized_em_climbs_to_the_maximum(X, labels, fits, covariance_type, n_steps):
    result = em.fit(
        X,
        hard_labels(X, labels, covariance_type),
        update=em.GradientStep(n_steps),
        convergence=em.RemainingGain(1e-10),
        max_iter=1000,
    )
    assert result.converged
    assert min(np.diff(result.lower_bounds)) > -1e-14
    assert result.lower_bound * len(X) == pytest.approx(fits[covariance_type][-1], abs=1e-6)


@pytest.mark.parametrize("step_size", [1e-2, 1.0, 50.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_neither_q_nor_the_likelihood_falls(covariance_type, dtype, weighted, step_size):
    X = draw(mixture(covariance_type, 3, 3), 500, dtype)
    weight = sample_weights(len(X)) if weighted else None
    point = mixture(covariance_type, 3, 3, seed=7)
    posterior, update = ExactPosterior(1), em.GradientStep(2, step_size)
    last = -np.inf
    for t in range(15):
        statistics = posterior.summarize(Samples(X, weight), point)
        assert statistics.lower_bound >= last - 1e-13 * abs(last)  # the rounding of a sum
        last = statistics.lower_bound
        moved = update(statistics, point).parameters
        before, after = q_function(statistics, point), q_function(statistics, moved)
        assert after > before or (after == before and t > 4)  # it has converged
        point = moved


def test_the_likelihood_of_all_samples_falls_with_batches_alone():
    """A step climbs Q of its batch; only where that is all samples does the likelihood follow."""
    start = hard_labels(FAITHFUL, LONG.astype(int), "full")
    posteriors = ExactPosterior(1), em.MiniBatchPosterior(30, n_jobs=1), em.MiniBatchPosterior(272)
    falls = []
    for posterior in posteriors:
        samples, update, point = Samples(FAITHFUL), em.GradientStep(), start
        posterior.start(samples, point)
        changes = []
        for _ in range(40):
            statistics = posterior.summarize(samples, point)
            moved = update(statistics, point).parameters
            assert q_function(statistics, moved) >= q_function(statistics, point)
            changes.append(total(FAITHFUL, moved) - total(FAITHFUL, point))
            point = moved
        falls.append(sum(change < -1e-9 for change in changes))
    assert falls[0] == falls[2] == 0
    assert falls[1] >= 10


def test_a_step_of_size_one_is_that_of_em_to_first_order():
    X = draw(mixture("full", 3, 3), 2000)
    start = mixture("full", 3, 3)
    errors = []
    for n_iter in (10, 60):
        point = em.fit(X, start, convergence=em.Never(), max_iter=n_iter).parameters
        statistics = ExactPosterior(1).summarize(Samples(X), point)
        exact = em.ClosedForm(0.0)(statistics, point).parameters.covariances
        step = em.GradientStep()(statistics, point).parameters.covariances
        errors.append((np.abs(step - exact).max(), np.abs(exact - point.covariances).max()))
    (far, long), (near, short) = errors
    # the error is of second order in the length of the step
    assert near / short < 3.0 * far / long * short / long
    assert near < 0.01 * short


@pytest.mark.parametrize("update", [em.GradientStep(), em.GradientAscent(0.5)])
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_a_covariance_that_collapses_is_kept(covariance_type, update):
    start = hard_labels(PAIRS, np.array([0, 0, 1, 1, 2, 2]), covariance_type, reg_covar=1e-2)
    result = em.fit(PAIRS, start, update=update, convergence=em.Never(), max_iter=150)
    assert np.isfinite(result.lower_bound)
    # pairs of points are singular in two dimensions; tied and spherical ones do not collapse
    assert bool(result.collapsed) == (covariance_type == "full")


@pytest.mark.parametrize("update", [em.GradientStep(), em.GradientAscent(0.5)])
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_a_component_without_weight_stays_without(covariance_type, update):
    p = mixture(covariance_type, 3, 2, scenario="apart")
    X = draw(p, 500)
    start = em.MixtureParameters.from_covariances(
        covariance_type, np.array([0.4, 0.6, 0.0]), p.means, p.covariances
    )
    result = em.fit(X, start, update=update, max_iter=20)
    assert result.parameters.weights[2] == 0.0
    np.testing.assert_array_equal(result.parameters.means[2], p.means[2])
    for values in (result.parameters.weights, result.parameters.covariances):
        assert np.isfinite(values).all()


@pytest.mark.parametrize("covariance_type", ["full", *slow_once(*COVARIANCE_TYPES[1:])])
@pytest.mark.parametrize(
    "update, X, labels, fits",
    [
        (em.GradientStep, FAITHFUL, LONG.astype(int), FAITHFUL_FITS),
        (em.GradientAscent, IRIS, SPECIES, IRIS_FITS),
    ],
    ids=["faithful", "iris"],
)
def test_batches_lead_near_the_maximum(X, labels, fits, covariance_type, update):
    """Within 0.0015 nats in total for each free parameter: each adds its own variance."""
    start = hard_labels(X, labels, covariance_type)
    result = em.fit(
        X,
        start,
        posterior=em.MiniBatchPosterior(32, n_jobs=1),
        update=update(step_size=em.Decaying(0.5, delay=10, power=0.9)),
        max_iter=2000,
    )
    assert result.n_iter == 2000
    reached = total(X, result.parameters)
    best = fits[covariance_type][-1]
    assert best - 0.0015 * start.n_parameters < reached < best + 1e-6


def test_weighted_batches():
    X = draw(mixture("full", 2, 2), 1000)
    weight = sample_weights(len(X))
    start = mixture("full", 2, 2)
    exact = em.fit(X, start, sample_weight=weight, convergence=em.RemainingGain(1e-9), max_iter=999)
    result = em.fit(
        X,
        start,
        sample_weight=weight,
        posterior=em.MiniBatchPosterior(100, n_jobs=1),
        update=em.GradientAscent(em.Decaying(0.5, delay=10, power=0.9)),
        max_iter=2000,
    )
    reached = em.fit(X, result.parameters, sample_weight=weight, max_iter=1).lower_bound
    assert reached == pytest.approx(exact.lower_bound, abs=1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_batches_of_an_epoch_add_up_to_all_samples(covariance_type, dtype):
    parameters = mixture(covariance_type, 3, 2)
    X = draw(parameters, 600, dtype)
    weight = np.zeros(600)
    weight[::3] = np.random.default_rng(0).gamma(2.0, size=200)
    samples = Samples(X, weight)
    posterior = em.MiniBatchPosterior(50, seed=3, n_jobs=1)
    posterior.start(samples, parameters)
    for _ in range(2):
        batches = [posterior.summarize(samples, parameters) for _ in range(4)]
        whole = ExactPosterior(1).summarize(samples, parameters)
        assert all(batch.weight == whole.weight for batch in batches)
        mean = np.mean([batch.lower_bound for batch in batches])
        assert mean == pytest.approx(whole.lower_bound, rel=1e-12)
        for j, expected in enumerate(whole.moments):
            actual = np.mean([batch.moments[j] for batch in batches], axis=0)
            np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-10)


def test_batches_take_every_sample_once_an_epoch_and_repeat_in_each_run():
    X = np.arange(10.0)[:, np.newaxis]
    batches = Batches(Samples(X), lambda _: 4, seed=0)
    epochs = [[batches.draw() for _ in range(3)] for _ in range(3)]
    for epoch in epochs:
        rows = np.concatenate([batch.rows(slice(None))[:, 0] for batch in epoch])
        assert sorted(rows) == list(range(10))
        assert [batch.n_samples for batch in epoch] == [3, 3, 4]
        for batch in epoch:
            assert batch.total_weight == pytest.approx(10.0, rel=1e-15)
    start = hard_labels(FAITHFUL, LONG.astype(int), "full")
    posterior = em.MiniBatchPosterior(20, seed=1)
    first, second = (em.fit(FAITHFUL, start, posterior=posterior, max_iter=5) for _ in range(2))
    assert_same_bits(first.parameters, second.parameters)


@pytest.mark.parametrize("weighted", [False, True])
def test_batches_that_grow(weighted):
    """What is left of an epoch is cut anew, until a batch is all samples of positive weight."""
    X = np.arange(12.0)[:, np.newaxis]
    weight = np.where(X[:, 0] < 10, 2.0, 0.0) if weighted else None
    n = 10 if weighted else 12
    samples = Samples(X, weight)
    batches = Batches(samples, em.Growing(4, 1.3), seed=0)
    drawn, whole = [], []
    for _ in range(6):
        drawn.append(batches.draw())
        whole.append(batches.n_whole)
    # at most 4, 5, 7, 9, 11, 15; all of the first three are one epoch
    sizes = [batch.n_samples for batch in drawn]
    assert sizes == ([3, 3, 4, 5, 10, 10] if weighted else [4, 4, 4, 6, 6, 12])
    assert whole == ([0, 0, 0, 0, 1, 2] if weighted else [0, 0, 0, 0, 0, 1])
    rows = np.concatenate([batch.rows(slice(None))[:, 0] for batch in drawn[:3]])
    assert sorted(rows) == list(range(n))
    np.testing.assert_array_equal(drawn[-1].rows(slice(None))[:, 0], np.arange(n))
    assert (drawn[-1] is samples) == (not weighted)
    for batch in drawn:
        assert batch.total_weight == pytest.approx(samples.total_weight, rel=1e-15)


@pytest.mark.parametrize("step_size", [0.5, 1.0])
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@REFERENCES
def test_growing_batches_lead_to_the_maximum(X, labels, fits, covariance_type, step_size):
    """From all samples on, steps that do not fall converge as EM does, and a stop rule sees it."""
    result = em.fit(
        X,
        hard_labels(X, labels, covariance_type),
        posterior=em.MiniBatchPosterior(em.Growing(30), n_jobs=1),
        update=em.GradientAscent(step_size),
        convergence=em.RemainingGain(1e-10),
        max_iter=1000,
    )
    assert result.converged
    assert total(X, result.parameters) == pytest.approx(fits[covariance_type][-1], abs=1e-6)


def test_stop_rules_wait_for_all_samples():
    start = hard_labels(FAITHFUL, LONG.astype(int), "full")
    posterior = em.MiniBatchPosterior([100, 100, 300])
    options = {"posterior": posterior, "max_iter": 9}
    result = em.fit(FAITHFUL, start, convergence=em.LowerBoundChange(1e300), **options)
    assert result.converged
    assert result.n_iter == 4  # two batches of all
    never = em.MiniBatchPosterior([100, 200])
    assert not em.fit(FAITHFUL, start, posterior=never, max_iter=9).converged


def test_growing():
    sizes = em.Growing(3, 2.0)
    assert [sizes(t) for t in (1, 2, 3)] == [3, 6, 12]
    assert isinstance(sizes(10**9), int)
    assert sizes(10**9) > 1e12


def test_step_sizes():
    schedule = em.Decaying(2.0, delay=5, power=0.5)
    assert [schedule(t) for t in (0, 15)] == [2.0, 1.0]
    asked = []

    def step_size(t):
        asked.append(t)
        return 0.1

    start = hard_labels(FAITHFUL, LONG.astype(int), "full")
    update = em.GradientAscent(step_size)
    for _ in range(2):  # each run begins with iteration 0
        em.fit(FAITHFUL, start, update=update, convergence=em.Never(), max_iter=3)
    assert asked == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: em.GradientStep(0), r"n_steps should be at least 1, got 0\."),
        (lambda: em.GradientStep(1, 0.0), r"step_size should be positive, or callable, got 0\.0\."),
        (lambda: em.GradientAscent(-1), r"step_size should be positive, or callable, got -1\."),
        (lambda: em.MiniBatchPosterior(0), "batch_size should be a positive integer, got 0."),
        (lambda: em.MiniBatchPosterior([9, 0]), "batch_size should be a positive integer, got 0."),
        (
            lambda: em.fit(
                FAITHFUL,
                hard_labels(FAITHFUL, LONG.astype(int), "full"),
                posterior=em.MiniBatchPosterior(lambda t: 2 - t),
            ),
            r"batch_size\(2\) should be a positive integer, got 0\.",
        ),
        (lambda: em.Growing(0), r"first should be a positive integer, got 0\."),
        (lambda: em.Growing(9, 1.0), r"factor should be above 1 and finite, got 1\.0\."),
        (lambda: em.Growing(9, np.inf), r"factor should be above 1 and finite, got inf\."),
        (
            lambda: em.fit(
                None,
                mixture("full", 2, 2),
                posterior=em.MiniBatchPosterior(em.Growing(9)),
                acceleration=em.QuasiNewton(),
            ),
            "acceleration QuasiNewton needs a posterior whose lower bound is the log-likelihood, "
            "but that of MiniBatchPosterior is a bound below the log-likelihood.",
        ),
        (
            lambda: em.fit(
                None,
                mixture("full", 2, 2),
                posterior=em.MiniBatchPosterior(9),
                convergence=em.LowerBoundChange(),
            ),
            "but that of MiniBatchPosterior is a number that fluctuates",
        ),
        (
            lambda: em.fit(
                None,
                mixture("full", 2, 2),
                update=em.GradientStep(),
                acceleration=em.QuasiNewton(),
            ),
            "log-likelihood, but GradientStep does not",
        ),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
