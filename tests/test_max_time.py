"""``max_time``: no iteration begins after it, and nothing of those before is lost."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from fastgmm import BayesianGaussianMixture, GaussianMixture, SoftKMeans, em

IRIS = load_iris().data
OPTIONS = {"tol": 0.0, "random_state": 0}
KMEANS = {**OPTIONS, "init_params": "kmeans"}

MODELS = {
    "EM": GaussianMixture(3, **KMEANS),
    "quasi-newton": GaussianMixture(3, acceleration="quasi-newton", **KMEANS),
    "split-merge": GaussianMixture(3, acceleration="split-merge", **KMEANS),
    "variational": BayesianGaussianMixture(n_components=3, **KMEANS),
    "soft k-means": SoftKMeans(3, **OPTIONS),
}
each_model = pytest.mark.parametrize("name", MODELS)


class Clock:
    """Time that stands still, until a callback moves it."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def passes_in(self, number, start=1):
        """Return a callback by which an hour passes in an iteration of a start."""
        starts = []

        def callback(iteration):
            starts.extend([iteration] * (iteration.number == 1))
            if (len(starts), iteration.number) == (start, number):
                self.now += 3600.0

        return callback


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("fastgmm.em.time_limit.perf_counter", clock)
    return clock


def fit(model, **options):
    """Fit, and return the estimator with the only warning of how it ended."""
    with pytest.warns(ConvergenceWarning) as caught:
        model.fit(IRIS, **options)
    texts = [str(warning.message) for warning in caught]
    (message,) = (text for text in texts if text.startswith(("max_time", "Best performing")))
    return model, message


def centers(model):
    return model.cluster_centers_ if isinstance(model, SoftKMeans) else model.means_


@each_model
def test_the_fit_is_one_of_fewer_iterations(name, clock):
    model, message = fit(clone(MODELS[name]).set_params(max_time=60), callback=clock.passes_in(4))
    assert (model.n_iter_, model.converged_, len(model.history_)) == (4, False, 4)
    assert message.startswith(
        "max_time=60 ended the fit. Its best start did not converge in 4 iteration(s): the last "
        "change is "
    )
    expected, _ = fit(clone(MODELS[name]).set_params(max_iter=4))
    np.testing.assert_array_equal(centers(model), centers(expected))


@each_model
def test_time_that_suffices_changes_nothing(name, clock):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        expected = clone(MODELS[name]).fit(IRIS)
        model = clone(MODELS[name]).set_params(max_time=60).fit(IRIS)
    assert model.n_iter_ == expected.n_iter_
    np.testing.assert_array_equal(centers(model), centers(expected))


@each_model
def test_no_start_follows(name, clock):
    model = clone(MODELS[name]).set_params(n_init=5, max_iter=6, max_time=60)
    numbers = []
    passes = clock.passes_in(2, start=2)

    def callback(iteration):
        numbers.append(iteration.number)
        passes(iteration)

    _, message = fit(model, callback=callback)
    assert numbers.count(1) == 2
    assert numbers[-2:] == [1, 2]
    assert message.startswith("max_time=60 ended the fit.")


def test_the_best_start_may_have_converged_before(clock):
    model = GaussianMixture(3, n_init=9, max_time=0.5, random_state=0)
    _, message = fit(model, callback=clock.passes_in(1, start=2))
    assert model.converged_
    assert message.startswith(
        "max_time=0.5 ended the fit before all was tried that n_init and acceleration ask for"
    )


def test_iteration_that_converges_in_time(clock):
    model = GaussianMixture(2, tol=1e9, max_time=60, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(IRIS, callback=clock.passes_in(2))
    assert (model.n_iter_, model.converged_) == (2, True)


def test_starting_points_take_time_too(monkeypatch):
    """The default start runs EM, which the limit ends as well; one iteration is always made."""
    readings = iter([0.0])
    monkeypatch.setattr("fastgmm.em.time_limit.perf_counter", lambda: next(readings, 3600.0))
    model, _ = fit(GaussianMixture(5, max_time=60, random_state=0))
    assert (model.n_iter_, model.converged_) == (1, False)
    assert np.isfinite(model.score(IRIS))


def test_result_of_em(clock):
    start = em.starting_parameters(IRIS, 3, init_params="kmeans", random_state=0)
    result = em.fit(IRIS, start, max_time=60, callback=clock.passes_in(3))
    assert (result.out_of_time, result.stopped, result.converged) == (True, False, False)
    assert result.n_iter == 3
    expected = em.fit(IRIS, start, max_iter=3)
    assert not expected.out_of_time
    np.testing.assert_array_equal(result.parameters.means, expected.parameters.means)


def test_a_fit_in_a_callback_has_its_own_time(clock):
    start = em.starting_parameters(IRIS, 3, init_params="kmeans", random_state=0)
    inner = []

    def callback(iteration):
        clock.now += 3600.0
        inner.append(em.fit(IRIS, start, max_iter=2, convergence=em.Never()))

    assert em.fit(IRIS, start, max_time=60, callback=callback).out_of_time
    assert [result.n_iter for result in inner] == [2]


@pytest.mark.parametrize("value, error", [(0, ValueError), (-1.0, ValueError), ("1", TypeError)])
def test_wrong_limits(value, error):
    start = em.starting_parameters(IRIS, 2, init_params="kmeans", random_state=0)
    with pytest.raises(error, match="max_time should be "):
        em.fit(IRIS, start, max_time=value)
    with pytest.raises(ValueError, match="'max_time' parameter"):
        GaussianMixture(2, max_time=value).fit(IRIS)
