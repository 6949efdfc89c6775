"""Hard, truncated and tempered posteriors: against plain sums, Lloyd's algorithm, and EM."""

import numpy as np
import pytest
from generators import COVARIANCE_TYPES, DTYPES, assert_same_bits, draw, mixture, sample_weights
from scipy.special import entr, logsumexp, softmax
from sklearn.cluster import KMeans
from variants import (
    REFERENCES,
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


class MeansOnly(em.Update):
    """The M step of k-means: weights and covariances stay."""

    def __call__(self, statistics, previous):
        _, means, _ = statistics.central()
        return em.Updated(
            em.MixtureParameters.from_covariances(
                previous.covariance_type, previous.weights, means, previous.covariances
            )
        )


def best(log_prob, n_best):
    """Return q on the n_best components, and log sum of p(x, k) over them."""
    order = np.argsort(-log_prob, axis=1, kind="stable")[:, :n_best]
    kept = np.full_like(log_prob, -np.inf)
    np.put_along_axis(kept, order, np.take_along_axis(log_prob, order, axis=1), axis=1)
    return softmax(kept, axis=1), logsumexp(kept, axis=1)


def problem(covariance_type, dtype="float64", K=4, d=3, n=1500):
    parameters = mixture(covariance_type, K, d, scenario="overlapping")
    return draw(parameters, n, dtype), parameters


RESTRICTED = {
    "hard": (em.HardPosterior, 1),
    "one": (lambda **kw: em.TruncatedPosterior(1, **kw), 1),
    "two": (lambda **kw: em.TruncatedPosterior(2, **kw), 2),
    "three": (lambda **kw: em.TruncatedPosterior(3, **kw), 3),
}
each_restricted = pytest.mark.parametrize("name", RESTRICTED)
each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
EVERY = {
    **{name: make for name, (make, _) in RESTRICTED.items()},
    "tempered": lambda **kw: em.TemperedPosterior([3.0, 0.5, 1.5], **kw),
}
each = pytest.mark.parametrize("name", EVERY)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@each_type
@each_restricted
def test_restricted_statistics_are_plain_sums(name, covariance_type, dtype, weighted):
    make, n_best = RESTRICTED[name]
    X, parameters = problem(covariance_type, dtype)
    weight = sample_weights(len(X)) if weighted else np.ones(len(X))
    q, bound = best(log_joint(X, parameters), n_best)
    actual = summarize(make(), X, parameters, weight if weighted else None)
    assert_same_statistics(actual, plain_statistics(X, weight, q, parameters))
    assert actual.log_likelihood == pytest.approx(weight @ bound, rel=1e-11)
    assert actual.weight == pytest.approx(weight.sum())


@pytest.mark.parametrize("weights", [[0.2, 0.2, 0.2, 0.2, 0.2], [0.15, 0.15, 0.15, 0.4, 0.15]])
@each_restricted
def test_of_equal_components_the_first_are_taken(name, weights):
    """The component at 9 comes last; of the others one may be better than the rest."""
    make, n_best = RESTRICTED[name]
    parameters = em.MixtureParameters.from_covariances(
        "diag", np.array(weights), np.array([[9.0], [0.0], [0.0], [0.0], [0.0]]), np.ones((5, 1))
    )
    nk = summarize(make(), np.zeros((7, 1)), parameters).moments.nk
    taken = sorted(range(1, 5), key=lambda k: -weights[k])[:n_best]
    expected = np.zeros(5)
    expected[taken] = np.array(weights)[taken]
    np.testing.assert_allclose(nk, 7.0 * expected / expected.sum(), rtol=1e-14)


@each_type
@each_restricted
def test_bounds_do_not_fall_and_stay_below_the_likelihood(name, covariance_type):
    X, start = problem(covariance_type, n=3000)
    posterior = RESTRICTED[name][0]()
    result = em.fit(
        X, start, posterior=posterior, update=em.ClosedForm(0.0), convergence=em.Never(),
        max_iter=60,
    )  # fmt: skip
    assert not result.collapsed  # near a singular covariance the bound is mostly rounding
    assert np.diff(result.lower_bounds).min() >= -1e-12
    assert result.lower_bounds[0] < log_likelihood(X, start) / len(X)


@each_type
def test_truncated_to_all_components_is_em(covariance_type):
    X, start = problem(covariance_type)
    weight = sample_weights(len(X))
    exact = em.fit(X, start, sample_weight=weight, max_iter=10)
    for n_best in (4, 9):
        result = em.fit(
            X, start, sample_weight=weight, max_iter=10, posterior=em.TruncatedPosterior(n_best)
        )
        np.testing.assert_allclose(result.lower_bounds, exact.lower_bounds, rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_hard_posterior_with_equal_spheres_is_k_means(weighted):
    X, start = problem("spherical", K=5)
    weight = sample_weights(len(X)) if weighted else None
    start = em.MixtureParameters.from_covariances(
        "spherical", np.full(5, 0.2), X[:5].copy(), np.ones(5)
    )
    result = em.fit(
        X, start, sample_weight=weight, posterior=em.HardPosterior(), update=MeansOnly(),
        convergence=em.LowerBoundChange(1e-15), max_iter=300,
    )  # fmt: skip
    lloyd = KMeans(5, init=start.means, n_init=1, algorithm="lloyd", tol=0.0, max_iter=300)
    lloyd.fit(X, sample_weight=weight)
    assert result.converged
    np.testing.assert_allclose(result.parameters.means, lloyd.cluster_centers_, atol=1e-10)
    # the bound is - inertia / 2 and a constant
    total = len(X) if weight is None else weight.sum()
    constant = np.log(0.2) - 1.5 * np.log(2 * np.pi)
    inertia = 2 * total * (constant - result.lower_bound)
    assert inertia == pytest.approx(lloyd.inertia_, rel=1e-10)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("T", [0.3, 1.0, 2.5])
@each_type
def test_tempered_statistics_and_free_energy(covariance_type, T, dtype, weighted):
    X, parameters = problem(covariance_type, dtype)
    weight = sample_weights(len(X)) if weighted else np.ones(len(X))
    log_prob = log_joint(X, parameters)
    q = softmax(log_prob / T, axis=1)
    actual = summarize(em.TemperedPosterior(T), X, parameters, weight if weighted else None)
    assert_same_statistics(actual, plain_statistics(X, weight, q, parameters))
    energy = (q * log_prob).sum(axis=1) + T * entr(q).sum(axis=1)
    assert actual.log_likelihood == pytest.approx(weight @ energy, rel=1e-11)


@pytest.mark.parametrize("T", [0.4, 1.7])
@each_type
def test_free_energy_does_not_fall_at_one_temperature(covariance_type, T):
    X, start = problem(covariance_type)
    result = em.fit(
        X, start, posterior=em.TemperedPosterior(T), update=em.ClosedForm(0.0),
        convergence=em.Never(), max_iter=60,
    )  # fmt: skip
    assert np.diff(result.lower_bounds).min() >= -1e-12


@each_type
def test_limits_of_the_temperature(covariance_type):
    X, start = problem(covariance_type, "float32", n=20_000)
    exact = em.fit(X, start, max_iter=3)
    one = em.fit(X, start, max_iter=3, posterior=em.TemperedPosterior(1))
    assert_same_bits(one.parameters, exact.parameters)
    assert one.lower_bounds == exact.lower_bounds
    X = X[:500].astype(float)
    cold = summarize(em.TemperedPosterior(1e-9), X, start)
    hard = summarize(em.HardPosterior(), X, start)
    np.testing.assert_allclose(cold.moments.nk, hard.moments.nk, atol=1e-9)
    assert cold.log_likelihood == pytest.approx(hard.log_likelihood, rel=1e-9)
    hot = summarize(em.TemperedPosterior(1e12), X, start)
    np.testing.assert_allclose(hot.moments.nk, len(X) / 4, rtol=1e-8)


def test_float32_blocks_of_a_tempered_posterior():
    X, parameters = problem("full", "float32", n=40_000)
    float64 = summarize(em.TemperedPosterior(1.5), X.astype(float), parameters)
    float32 = summarize(em.TemperedPosterior(1.5), X, parameters)
    assert not np.array_equal(float32.moments.nk, float64.moments.nk)
    assert_same_statistics(float32, float64, rtol=1e-5)
    assert float32.lower_bound == pytest.approx(float64.lower_bound, abs=1e-5)


def test_no_stop_before_the_last_temperature_has_stayed():
    X, start = problem("full")
    schedule = [1.5] * 4 + [1.2] * 3 + [1.0]
    for rule in (em.LowerBoundChange(1e300), em.RemainingGain(1e300)):
        posterior = em.TemperedPosterior(schedule)
        result = em.fit(X, start, posterior=posterior, convergence=rule)
        n_more = {em.LowerBoundChange: 1, em.RemainingGain: 3}[type(rule)]
        assert result.converged
        assert result.n_iter == len(schedule) + n_more
    posterior = em.TemperedPosterior(np.array(schedule))
    samples = Samples(X)
    for n_done in range(10):
        assert posterior.settled == (n_done > 8)
        energy = posterior.summarize(samples, start).log_likelihood
        T = schedule[min(n_done, 7)]
        expected = T * logsumexp(log_joint(X, start) / T, axis=1).sum()
        assert energy == pytest.approx(expected, rel=1e-11)
    posterior.start(samples, start)
    assert not posterior.settled


@pytest.mark.parametrize("name", REFERENCES)
@each_type
def test_annealing_and_truncation_to_all_end_at_the_maximum(name, covariance_type):
    X, start, expected = known(name, covariance_type)
    for posterior in (
        em.TemperedPosterior([1.2, 1.1, 1.0]),
        em.TruncatedPosterior(start.n_components),
    ):
        result = em.fit(
            X, start, posterior=posterior, update=em.ClosedForm(0.0),
            convergence=em.LowerBoundChange(1e-13), max_iter=20_000,
        )  # fmt: skip
        assert result.converged
        assert log_likelihood(X, result.parameters) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("factor, merges", [(1.1, True), (0.9, False)])
def test_means_merge_above_the_critical_temperature(factor, merges):
    """Rose (1998): with weights and unit variances fixed, at the largest eigenvalue of cov(X)."""
    X = np.random.default_rng(0).normal(size=(2000, 2)) * [3.0, 1.0]
    critical = np.linalg.eigvalsh(np.cov(X.T, bias=True)).max()
    start = em.MixtureParameters.from_covariances(
        "spherical", np.full(3, 1 / 3), np.array([[-2.0, 0.5], [0.0, 0.0], [1.0, 1.0]]), np.ones(3)
    )
    result = em.fit(
        X, start, posterior=em.TemperedPosterior(factor * critical), update=MeansOnly(),
        convergence=em.Never(), max_iter=500,
    )  # fmt: skip
    spread = np.ptp(result.parameters.means, axis=0).max()
    assert (spread < 1e-9) if merges else (spread > 0.5)


@each
def test_threads(name):
    check_threads(lambda n_jobs: EVERY[name](n_jobs=n_jobs))


@each
def test_runs_start_anew(name):
    check_runs_start_anew(EVERY[name]())


@each
def test_absent_rows(name):
    check_absent_rows(EVERY[name])


@each
def test_integer_weights_are_copies(name):
    X, start = problem("full", n=600)
    weight = np.arange(600) % 4
    weighted = em.fit(X, start, sample_weight=weight, posterior=EVERY[name](), max_iter=5)
    copies = em.fit(np.repeat(X, weight, axis=0), start, posterior=EVERY[name](), max_iter=5)
    np.testing.assert_allclose(weighted.lower_bounds, copies.lower_bounds, rtol=1e-11)
    np.testing.assert_allclose(weighted.parameters.means, copies.parameters.means, atol=1e-9)


@each_type
@each
def test_dying_component(name, covariance_type):
    start, result = check_dying_component(EVERY[name](), covariance_type)
    # at T = 3 the distance is still beyond exp
    assert result.parameters.weights[2] == 0.0
    np.testing.assert_array_equal(result.parameters.means[2], start.means[2])


@pytest.mark.parametrize("offset", [1e6, 1e8])
@each_type
@each
def test_far_from_zero(name, covariance_type, offset):
    check_far_from_zero(EVERY[name], covariance_type, offset)


@pytest.mark.parametrize("K, d, n", [(1, 1, 5), (1, 3, 40), (3, 1, 50), (6, 2, 4)])
@each
def test_awkward_shapes(name, K, d, n):
    check_awkward_shape(EVERY[name](), K, d, n)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: em.TruncatedPosterior(0), "n_best should be a positive integer, got 0."),
        (lambda: em.TruncatedPosterior(1.5), "n_best should be a positive integer, got 1.5."),
        (
            lambda: em.TemperedPosterior([]),
            "temperature should be a number or a sequence of at least one, got [].",
        ),
        (
            lambda: em.TemperedPosterior(0),
            "temperature should be positive and finite, got 0.0.",
        ),
        (
            lambda: em.TemperedPosterior([2.0, -1.0]),
            "temperature should be positive and finite, got -1.0.",
        ),
        (
            lambda: em.TemperedPosterior([2.0, np.inf]),
            "temperature should be positive and finite, got inf.",
        ),
        (
            lambda: em.TemperedPosterior(np.nan),
            "temperature should be positive and finite, got nan.",
        ),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        make()
    assert str(caught.value) == message
