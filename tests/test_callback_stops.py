"""A callback that returns True stops a fit, with the parameters of the last complete iteration."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from fastgmm import BayesianGaussianMixture, GaussianMixture, SoftKMeans, em

IRIS = load_iris().data

MODELS = {
    "EM": GaussianMixture(3, tol=0.0, random_state=0),
    "quasi-newton": GaussianMixture(3, tol=0.0, acceleration="quasi-newton", random_state=0),
    "subsample": GaussianMixture(3, tol=0.0, acceleration="subsample", random_state=0),
    "split-merge": GaussianMixture(3, tol=0.0, acceleration="split-merge", random_state=0),
    "variational": BayesianGaussianMixture(n_components=3, tol=0.0, random_state=0),
    "soft k-means": SoftKMeans(3, tol=0.0, random_state=0),
}


def after(number):
    return lambda iteration: iteration.number == number


def centers(model):
    return model.cluster_centers_ if isinstance(model, SoftKMeans) else model.means_


def fit(model, **options):
    """Fit, and return the estimator with the only warning of how it ended."""
    with pytest.warns(ConvergenceWarning) as caught:
        model.fit(IRIS, **options)
    texts = [str(warning.message) for warning in caught]
    (message,) = (text for text in texts if text.startswith(("The callback", "Best performing")))
    return model, message


@pytest.mark.parametrize("name", MODELS)
def test_a_stopped_fit_is_one_of_fewer_iterations(name):
    model, message = fit(MODELS[name], callback=after(4))
    assert (model.n_iter_, model.converged_) == (4, False)
    assert len(model.lower_bounds_) == 4
    assert message.startswith(
        "The callback stopped the fit in iteration 4, before it converged: the last change is "
    )
    means = centers(model)
    model.set_params(max_iter=4)
    expected, message = fit(model)
    model.set_params(max_iter=100)
    assert message.startswith("Best performing initialization did not converge.")
    np.testing.assert_array_equal(means, centers(expected))


@pytest.mark.parametrize("name", MODELS)
def test_no_start_follows_a_stop(name):
    numbers = []

    def stop_in_the_second_start(iteration):
        numbers.append(iteration.number)
        return numbers.count(1) == 2 and iteration.number == 2

    options = {"init": "k-means++"} if name == "soft k-means" else {"init_params": "random"}
    model = clone(MODELS[name]).set_params(n_init=5, max_iter=6, **options)
    fit(model, callback=stop_in_the_second_start)
    assert numbers.count(1) == 2
    assert numbers[-2:] == [1, 2]
    assert model.n_iter_ in (2, 6)


def test_the_best_start_may_have_converged_before_the_stop():
    starts = []

    def stop_in_the_second_start(iteration):
        starts.extend([iteration] * (iteration.number == 1))
        return len(starts) == 2

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = GaussianMixture(3, n_init=9, random_state=0)
        model.fit(IRIS, callback=stop_in_the_second_start)
    assert model.converged_
    assert len(starts) == 2


def test_a_stop_in_the_iteration_that_converges():
    model = GaussianMixture(2, tol=1e9, random_state=0).fit(IRIS, callback=after(2))
    assert (model.n_iter_, model.converged_) == (2, True)


@pytest.mark.parametrize("answer", [None, False, 0, np.bool_(False)])
def test_other_answers_do_not_stop(answer):
    model = GaussianMixture(3, init_params="kmeans", random_state=0)
    expected = model.fit(IRIS).n_iter_
    assert model.fit(IRIS, callback=lambda iteration: answer).n_iter_ == expected > 3


@pytest.mark.parametrize("run", [em.fit, em.gradient_ascent])
def test_the_result_tells_that_it_was_stopped(run):
    start = em.starting_parameters(IRIS, 3, init_params="kmeans", random_state=0)
    seen = []
    result = run(IRIS, start, callback=lambda it: seen.append(it) or it.number == 3)
    assert (result.stopped, result.converged, result.n_iter) == (True, False, 3)
    assert seen == result.history
    assert not run(IRIS, start).stopped
