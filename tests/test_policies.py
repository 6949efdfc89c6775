"""em.fit: any posterior with any update, and one exact message where policies do not fit."""

import numpy as np
import pytest
from generators import COVARIANCE_TYPES, SHARED, draw, mixture

from fastgmm import GaussianMixture, em


class Blockwise(em.BlockwisePosterior):
    """The exact posterior, the long way round."""

    def restrict(self, resp, rows):
        assert len(resp) == rows.stop - rows.start
        return resp, np.zeros(len(resp))


class Impossible(Blockwise):
    """A distribution of which the posterior excludes the first sample."""

    def restrict(self, resp, rows):
        divergence = np.zeros(len(resp))
        divergence[0] = np.inf if rows.start == 0 else 0.0
        return resp, divergence


class Fluctuating(Blockwise):
    objective = "estimate"


class Nothing(em.Update):
    def __call__(self, statistics, previous):
        return em.Updated(previous, lower_bound=7.0)


class Special(em.Update):
    class parameters_type(em.MixtureParameters):
        pass

    def __call__(self, statistics, previous):
        raise AssertionError


def problem(covariance_type="full", n=3000):
    parameters = mixture(covariance_type, 3, 4)
    return draw(parameters, n), parameters


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_blockwise_posterior_sums_up_the_exact_one(covariance_type, dtype):
    X, start = problem(covariance_type, 12_345)
    X = X.astype(dtype)
    weight = np.random.default_rng(0).integers(0, 4, len(X))
    exact = em.fit(X, start, sample_weight=weight, max_iter=5)
    blockwise = em.fit(X, start, sample_weight=weight, max_iter=5, posterior=Blockwise())
    np.testing.assert_allclose(blockwise.lower_bounds, exact.lower_bounds, rtol=1e-11)
    np.testing.assert_allclose(
        blockwise.parameters.covariances, exact.parameters.covariances, rtol=1e-8, atol=1e-10
    )


def test_a_sample_of_weight_0_is_left_out_of_the_lower_bound_whatever_its_divergence():
    X, start = problem(n=100)
    weight = np.ones(100)
    weight[0] = 0.0
    result = em.fit(X, start, sample_weight=weight, max_iter=1, posterior=Impossible())
    expected = em.fit(X[1:], start, max_iter=1)
    assert result.lower_bound == pytest.approx(expected.lower_bound, rel=1e-12)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_a_component_without_samples_changes_no_other(covariance_type):
    X, alive = problem(covariance_type, 500)
    covariances = alive.covariances
    if covariance_type not in SHARED:
        covariances = np.concatenate([covariances, covariances[:1]])
    start = em.MixtureParameters.from_covariances(
        covariance_type,
        np.append(alive.weights, 0.0),
        np.concatenate([alive.means, alive.means[:1]]),
        covariances,
    )
    expected = em.fit(X, alive, max_iter=3)
    actual = em.fit(X, start, max_iter=3)
    np.testing.assert_allclose(actual.lower_bounds, expected.lower_bounds, rtol=1e-12)
    alive_covariances = actual.parameters.covariances
    if covariance_type not in SHARED:
        alive_covariances = alive_covariances[:3]
    np.testing.assert_allclose(alive_covariances, expected.parameters.covariances, rtol=1e-11)


def test_fit_is_the_estimator():
    X, start = problem()
    model = GaussianMixture(
        3,
        weights_init=start.weights,
        means_init=start.means,
        precisions_init=start.precisions,
        tol=1e-5,
        reg_covar="auto",
    ).fit(X)
    result = em.fit(X, start, convergence=em.LowerBoundChange(1e-5))
    assert result.converged
    np.testing.assert_allclose(result.lower_bounds, model.lower_bounds_, rtol=1e-12)
    assert em.fit(X.tolist(), start, max_iter=0).parameters is start


def test_a_dead_component_does_not_shrink_the_tied_covariance():
    X, start = problem("tied", 50)
    alone = em.fit(X, start, max_iter=1).parameters
    means = np.concatenate([start.means, np.full((1, 4), 1e5)])
    weights = np.append(start.weights, 0.0)
    with_dead = em.MixtureParameters.from_covariances("tied", weights, means, start.covariances)
    result = em.fit(X, with_dead, max_iter=1).parameters
    assert result.weights[-1] == 0.0
    np.testing.assert_allclose(result.covariances, alone.covariances, rtol=1e-7, atol=1e-9)


def test_an_update_may_define_its_own_bound():
    X, start = problem()
    result = em.fit(X, start, update=Nothing())
    assert result.lower_bounds == [7.0, 7.0]
    assert result.converged


def test_remaining_gain_goes_on_where_the_last_change_creeps():
    # components overlap: EM gains little a step, for long
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (2000, 1)), rng.normal(3, 1, (1000, 1))])
    start = em.MixtureParameters.from_covariances(
        "full", np.full(2, 0.5), np.array([[-1.0], [1.0]]), np.ones((2, 1, 1))
    )
    tol = 1e-5
    options = {"posterior": em.ExactPosterior(1), "max_iter": 5000}
    best = em.fit(X, start, convergence=em.Never(), **options).lower_bound
    last = em.fit(X, start, convergence=em.LowerBoundChange(tol), **options)
    remaining = em.fit(X, start, convergence=em.RemainingGain(tol), **options)
    assert best - last.lower_bound > 2 * tol
    assert best - remaining.lower_bound < 2 * tol
    assert remaining.n_iter < 5000
    for rule, n_iter in (("last-change", last.n_iter), ("remaining-gain", remaining.n_iter)):
        model = GaussianMixture(
            2,
            weights_init=start.weights,
            means_init=start.means,
            precisions_init=start.precisions,
            tol=tol,
            max_iter=5000,
            stop_rule=rule,
            n_jobs=1,
        ).fit(X)
        assert model.n_iter_ == n_iter


def test_remaining_gain_finds_the_deviation_of_overlapping_returns():
    """Of 260 daily returns a fifth have 3.4 times the deviation of the others."""
    rng = np.random.default_rng(3)
    X = rng.normal(0, np.where(rng.random(260) < 0.8, 0.01, 0.034))[:, np.newaxis]
    options = {"n_components": 2, "reg_covar": "auto", "init_params": "kmeans", "random_state": 0}
    best = GaussianMixture(**options, tol=1e-10, max_iter=100_000).fit(X)
    last = GaussianMixture(**options).fit(X)
    remaining = GaussianMixture(**options, stop_rule="remaining-gain").fit(X)
    assert best.score(X) - last.score(X) > 5e-3
    assert best.score(X) - remaining.score(X) < 1e-3
    widest = [np.sqrt(model.covariances_.max()) for model in (best, last, remaining)]
    assert abs(widest[2] - widest[0]) < 0.4 * abs(widest[1] - widest[0])


@pytest.mark.parametrize("gains", [[1.0, 0.5, 0.25], [1.0, 1.0, 1.0], [1e-9, 1e-8, 1e-7], [0, 0]])
def test_remaining_gain_of_given_gains(gains):
    rule = em.RemainingGain(1e-3)
    assert not any(rule(gain) for gain in [np.inf, *gains])
    rule.start()
    assert [rule(0.0) for _ in range(4)] == [False, False, True, True]
    rule.start()
    assert not any(rule(0.0, remaining=np.nan) for _ in range(4))


@pytest.mark.parametrize(
    "policies, error, message",
    [
        (
            {"posterior": Fluctuating(), "acceleration": em.QuasiNewton()},
            ValueError,
            "acceleration QuasiNewton needs a posterior whose lower bound is the log-likelihood, "
            "but that of Fluctuating is a number that fluctuates.",
        ),
        (
            {"posterior": Fluctuating(), "convergence": em.LowerBoundChange(1e-3)},
            ValueError,
            "convergence LowerBoundChange needs a posterior whose lower bound is the "
            "log-likelihood or a bound below the log-likelihood, but that of Fluctuating is a "
            "number that fluctuates.",
        ),
        (
            {"update": Nothing(), "acceleration": em.QuasiNewton()},
            ValueError,
            "acceleration QuasiNewton needs an update that maximises the expected complete "
            "log-likelihood, but Nothing does not.",
        ),
        (
            {"update": Special()},
            TypeError,
            "update Special needs parameters_type, but got MixtureParameters.",
        ),
        ({"max_iter": -1}, ValueError, "max_iter should be at least 0, got -1."),
    ],
)
def test_policies_that_do_not_fit_fail_before_the_data_is_touched(policies, error, message):
    _, start = problem()
    with pytest.raises(error) as caught:
        em.fit(None, start, **policies)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "X, message",
    [
        (np.ones((3, 5)), "X has 5 features, but 4 are expected"),
        (np.ones(4), r"Expected 2D array, got 1D array instead: X has the shape \(4,\)"),
        (np.ones((0, 4)), r"0 sample\(s\) \(shape=\(0, 4\)\)"),
        ([[1.0, 2.0, 3.0, np.inf]], "infinity .*: inf, first in row 0, feature 3"),
        (np.ones((3, 4), complex), "Complex data not supported"),
    ],
)
def test_bad_samples(X, message):
    _, start = problem()
    with pytest.raises(ValueError, match=message):
        em.fit(X, start)


def test_bad_weights():
    X, start = problem()
    with pytest.raises(ValueError, match="sample_weight should be finite and non-negative"):
        em.fit(X, start, sample_weight=-np.ones(len(X)))
