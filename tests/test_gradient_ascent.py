"""Gradient ascent finds EM's maximum; on batches, to a stated tolerance."""

import numpy as np
import pytest
from generators import (
    COVARIANCE_TYPES,
    DTYPES,
    assert_same_mixture,
    draw,
    hard_labels,
    mixture,
    sample_weights,
)
from test_references import (
    FAITHFUL,
    FAITHFUL_FITS,
    IRIS,
    IRIS_FITS,
    LONG,
    PAIRS,
    SPECIES,
)

from fastgmm import em


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize(
    "X, labels, fits",
    [(FAITHFUL, LONG.astype(int), FAITHFUL_FITS), (IRIS, SPECIES, IRIS_FITS)],
    ids=["faithful", "iris"],
)
def test_reference_log_likelihoods(X, labels, fits, covariance_type):
    start = hard_labels(X, labels, covariance_type)
    result = em.gradient_ascent(X, start, tol=1e-10, max_iter=200)
    assert result.converged
    assert result.lower_bound * len(X) == pytest.approx(fits[covariance_type][-1], abs=1e-6)
    assert result.lower_bounds[-1] == result.lower_bound
    assert (np.diff(result.lower_bounds) >= 0).all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_reaches_the_maximum_of_em(covariance_type, dtype, weighted):
    truth = mixture(covariance_type, 3, 3)
    X = draw(truth, 1000, dtype)
    weight = sample_weights(len(X)) if weighted else None
    ascent = em.gradient_ascent(X, truth, sample_weight=weight, tol=1e-11, max_iter=300)
    exact = em.fit(
        X,
        truth,
        sample_weight=weight,
        update=em.ClosedForm(0.0),
        convergence=em.RemainingGain(1e-12),
        max_iter=5000,
    )
    assert ascent.converged
    assert ascent.lower_bound == pytest.approx(exact.lower_bound, abs=1e-9)
    assert_same_mixture(ascent.parameters, exact.parameters, 1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_from_far_to_a_point_where_em_stays(seed):
    """A start of other means and covariances; which of several maxima it finds is open."""
    X = draw(mixture("full", 5, 4, seed=seed), 2000)
    start = mixture("full", 5, 4, seed=seed + 100)
    ascent = em.gradient_ascent(X, start, tol=1e-9, max_iter=300)
    assert ascent.converged
    further = em.fit(
        X,
        ascent.parameters,
        update=em.ClosedForm(0.0),
        convergence=em.RemainingGain(1e-9),
        max_iter=1000,
    )
    assert further.lower_bound == pytest.approx(ascent.lower_bound, abs=1e-7)


@pytest.mark.parametrize("K, d", [(1, 1), (1, 3), (4, 1), (6, 2)])
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_awkward_shapes(covariance_type, K, d):
    X = draw(mixture(covariance_type, K, d), 200)
    start = mixture(covariance_type, K, d, seed=1)
    result = em.gradient_ascent(X, start, tol=1e-8, max_iter=50)
    assert np.isfinite(result.lower_bound)
    assert result.lower_bounds[-1] >= result.lower_bounds[0]
    if K == 1:
        exact = em.fit(X, start, update=em.ClosedForm(0.0), max_iter=3).parameters
        assert_same_mixture(result.parameters, exact, 1e-4)


@pytest.mark.parametrize("offset", [1e6, 1e8])
def test_far_from_zero(offset):
    X = np.round(FAITHFUL * 1024) / 1024
    near, far = (
        em.gradient_ascent(
            X + shift, hard_labels(X + shift, LONG.astype(int), "full"), tol=1e-10, max_iter=100
        )
        for shift in (0.0, offset)
    )
    # P (x - mu) is formed to |P mu| eps: 1e-7 at 1e8
    assert far.lower_bound == pytest.approx(near.lower_bound, abs=1e-7)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_a_singular_maximum_ends_without_error(covariance_type):
    start = hard_labels(PAIRS, np.array([0, 0, 1, 1, 2, 2]), covariance_type, reg_covar=1e-2)
    result = em.gradient_ascent(PAIRS, start, tol=1e-8, max_iter=300)
    assert np.isfinite(result.lower_bound)
    assert result.lower_bound >= result.lower_bounds[0]
    for values in (result.parameters.weights, result.parameters.means):
        assert np.isfinite(values).all()


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("dead", ["far away", "no weight"])
def test_a_dead_component_stays_where_it_is(covariance_type, dead):
    p = mixture(covariance_type, 3, 2, scenario="apart")
    X = draw(p, 500)
    weights, means = p.weights, p.means
    if dead == "far away":
        means = np.vstack([means[:2], [[1e4, 1e4]]])
    else:
        weights = np.array([0.4, 0.6, 0.0])
    start = em.MixtureParameters.from_covariances(covariance_type, weights, means, p.covariances)
    result = em.gradient_ascent(X, start, tol=1e-8, max_iter=300)
    exact = em.fit(X, start, convergence=em.LowerBoundChange(1e-10), max_iter=3000)
    assert result.lower_bound == pytest.approx(exact.lower_bound, abs=1e-5)
    assert np.isfinite(result.parameters.covariances).all()


def test_the_start_callback_and_errors():
    start = hard_labels(FAITHFUL, LONG.astype(int), "full")
    result = em.gradient_ascent(FAITHFUL, start, max_iter=0)
    assert result.parameters is start
    assert not result.converged
    assert result.n_iter == 0
    seen = []
    result = em.gradient_ascent(FAITHFUL, start, tol=0.0, max_iter=3, callback=seen.append)
    assert seen == result.history
    assert [iteration.number for iteration in seen] == [1, 2, 3]
    assert not result.converged
    with pytest.raises(ValueError, match=r"max_iter should be at least 0, got -1\."):
        em.gradient_ascent(FAITHFUL, start, max_iter=-1)
    with pytest.raises(ValueError, match="X has 4 features, but 2 are expected"):
        em.gradient_ascent(IRIS, start)
    with pytest.raises(ValueError, match=r"log-likelihood of the start is -\S+: the input or"):
        em.gradient_ascent(FAITHFUL * 1e160, start)
