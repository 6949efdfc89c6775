"""Quasi-Newton acceleration: coordinates, the guard, and EM's own maxima in fewer passes."""

import numpy as np
import pytest
from generators import (
    COVARIANCE_TYPES,
    DTYPES,
    assert_same_bits,
    assert_same_mixture,
    draw,
    em,
    mixture,
    sample_weights,
)

from fastgmm import GaussianMixture
from fastgmm.data.samples import Samples
from fastgmm.em.acceleration import QuasiNewton
from fastgmm.em.convergence import LowerBoundChange
from fastgmm.em.coordinates import EMCoordinates
from fastgmm.em.loop import run
from fastgmm.em.posteriors.exact import ExactPosterior
from fastgmm.em.updates.closed_form import ClosedForm
from fastgmm.model.parameters import MixtureParameters

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)


def accelerated(X, start, *, sample_weight=None, n_threads=1, tol=1e-10, max_iter=2000, **options):
    return run(
        Samples(X, sample_weight),
        start,
        posterior=ExactPosterior(n_threads),
        update=ClosedForm(0.0),
        convergence=LowerBoundChange(tol),
        max_iter=max_iter,
        acceleration=QuasiNewton(**options),
    )


def overlapping(covariance_type, n=4000, seed=0):
    """Return data of two close components, on which EM is slow, and a start."""
    truth = mixture(covariance_type, 2, 3, seed=seed)
    means = np.array([[-0.9, 0.0, 0.0], [0.9, 0.0, 0.0]])
    truth = MixtureParameters.from_covariances(
        covariance_type, np.array([0.6, 0.4]), means, truth.covariances
    )
    start = MixtureParameters.from_covariances(
        covariance_type, np.array([0.5, 0.5]), means * 1.5, truth.covariances
    )
    return draw(truth, n), start


@each_type
@pytest.mark.parametrize("d", [1, 2, 5])
def test_coordinates_round_trip(covariance_type, d):
    reference = mixture(covariance_type, 4, d, seed=1)
    other = mixture(covariance_type, 4, d, seed=2)
    about = EMCoordinates(reference, np.array([1.0, 2.0, 3.0, 4.0]))
    np.testing.assert_allclose(about.coordinates(reference), 0.0, atol=1e-12)
    assert_same_mixture(about.parameters(about.coordinates(other)), other, 1e-12)


@each_type
def test_step_of_em_is_the_gradient(covariance_type):
    X, start = overlapping(covariance_type)
    point = em(X, start, 40).parameters  # near enough for the first order to be all
    samples, posterior = Samples(X, None), ExactPosterior(1)
    statistics = posterior.summarize(samples, point)
    updated = ClosedForm(0.0)(statistics, point).parameters
    about = EMCoordinates(point, statistics.moments.nk)
    step = about.coordinates(updated)
    gradient = np.empty_like(step)
    for i in range(len(step)):
        h = np.zeros_like(step)
        h[i] = 1e-5
        up, down = (
            posterior.summarize(samples, about.parameters(sign * h)).lower_bound for sign in (1, -1)
        )
        gradient[i] = (up - down) / 2e-5
    np.testing.assert_allclose(gradient, step, atol=0.02 * np.abs(step).max())


@each_type
def test_largest_change_is_in_standard_deviations(covariance_type):
    reference = mixture(covariance_type, 3, 2, scenario="large")
    about = EMCoordinates(reference, np.array([5.0, 1.0, 9.0]))
    deviation = 1.0 / np.abs(reference.precisions_cholesky.reshape(-1)[0])
    means = reference.means.copy()
    means[0, 0] += 0.25 * deviation
    moved = MixtureParameters.from_covariances(
        covariance_type, reference.weights, means, reference.covariances
    )
    assert about.largest_change(about.coordinates(moved)) == pytest.approx(0.25, rel=1e-6)


@each_type
@pytest.mark.parametrize("dtype", DTYPES)
def test_likelihood_never_falls(covariance_type, dtype):
    parameters = mixture(covariance_type, 6, 3, scenario="touching")
    X = draw(parameters, 3000, dtype)
    start = MixtureParameters.from_covariances(
        covariance_type, np.full(6, 1 / 6), parameters.means + 0.7, 2.0 * parameters.covariances
    )
    result = accelerated(
        X, start, sample_weight=sample_weights(3000), start_below=np.inf, tol=1e-9, max_iter=300
    )
    assert not result.collapsed  # near a singular covariance the likelihood is mostly rounding
    assert (np.diff(result.lower_bounds) >= 0.0).all()
    final = em(X, result.parameters, 1, sample_weight=sample_weights(3000)).lower_bound
    assert final >= result.lower_bound - 1e-12


@each_type
def test_same_maximum_in_fewer_iterations(covariance_type):
    X, start = overlapping(covariance_type)
    plain = run(
        Samples(X, None),
        start,
        posterior=ExactPosterior(1),
        update=ClosedForm(0.0),
        convergence=LowerBoundChange(1e-13),
        max_iter=20_000,
    )
    quick = accelerated(X, start, tol=1e-13)
    assert quick.converged
    assert quick.n_iter < plain.n_iter / 3
    assert quick.lower_bound >= plain.lower_bound - 1e-10
    assert_same_mixture(quick.parameters, plain.parameters, 2e-3)


def test_stops_where_little_is_left_to_gain():
    X, start = overlapping("full")
    best = accelerated(X, start, tol=1e-14).lower_bound
    for tol in (1e-4, 1e-6, 1e-8):
        result = accelerated(X, start, tol=tol)
        assert result.converged
        assert best - result.lower_bound < 3 * tol


def test_rejected_steps_are_recorded_without_change():
    X, start = overlapping("full", n=300, seed=3)
    # steps without bound from the first iteration on overshoot
    result = accelerated(X, start, start_below=np.inf, largest=50.0, max_iter=200)
    assert any(iteration.change == 0.0 for iteration in result.history)
    assert (np.diff(result.lower_bounds) >= 0.0).all()


def test_ends_at_the_best_point_whatever_max_iter_is():
    X, start = overlapping("full", n=300)
    for max_iter in range(1, 40):
        result = accelerated(X, start, start_below=np.inf, largest=50.0, max_iter=max_iter, tol=0.0)
        after = em(X, result.parameters, 1).lower_bound
        assert after >= result.lower_bound - 1e-12


def test_threads_change_no_bit():
    X, start = overlapping("full", n=5000)
    one, three = (accelerated(X, start, n_threads=n_threads) for n_threads in (1, 3))
    assert one.lower_bounds == three.lower_bounds
    assert_same_bits(one.parameters, three.parameters)


@each_type
def test_goes_on_without_a_component_that_dies(covariance_type):
    X, start = overlapping(covariance_type)
    weights = np.array([1.0, 0.0])
    dead = MixtureParameters.from_covariances(
        covariance_type, weights, start.means, start.covariances
    )
    result = accelerated(X, dead, max_iter=50)
    assert np.isfinite(result.lower_bound)
    assert result.parameters.weights[1] == 0.0


def test_collapse_is_no_crash():
    X = np.repeat(np.random.default_rng(0).normal(size=(12, 2)), 20, axis=0)
    model = GaussianMixture(10, reg_covar=0.0, tol=1e-8, max_iter=200, random_state=0)
    with pytest.warns(UserWarning, match="kept as it was"):
        model.set_params(acceleration="quasi-newton").fit(X)
    assert np.isfinite(model.lower_bound_)


def test_estimator_accelerates():
    X, _ = overlapping("full", n=20_000)
    options = {"n_components": 2, "tol": 1e-9, "max_iter": 10_000, "random_state": 0}
    plain = GaussianMixture(**options).fit(X)
    quick = GaussianMixture(**options, acceleration="quasi-newton").fit(X)
    assert quick.n_iter_ < plain.n_iter_ / 2
    assert quick.score(X) >= plain.score(X) - 1e-8


def test_estimator_names_what_it_accepts():
    with pytest.raises(ValueError, match=r"'acceleration' .*'quasi-newton'.*'squarem'"):
        GaussianMixture(acceleration="squarem").fit(np.eye(3))
