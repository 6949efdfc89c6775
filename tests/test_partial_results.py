"""``partial()`` of the iteration that a callback is called with."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris

from fastgmm import BayesianGaussianMixture, GaussianMixture, SoftKMeans, em

IRIS = load_iris(as_frame=True).data
OPTIONS = {"tol": 0.0, "max_iter": 6, "random_state": 0}
KMEANS = {**OPTIONS, "init_params": "kmeans"}

MODELS = {
    "EM": GaussianMixture(3, **KMEANS),
    "subsample": GaussianMixture(3, acceleration="subsample", **KMEANS),
    "split-merge": GaussianMixture(3, acceleration="split-merge", **KMEANS),
    "variational": BayesianGaussianMixture(n_components=3, **KMEANS),
    "soft k-means": SoftKMeans(3, **OPTIONS),
}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def partials(model):
    """Fit; return the estimators of all iterations."""
    found = []
    model.fit(IRIS, callback=lambda iteration: found.append(iteration.partial()))
    return found


@pytest.mark.parametrize("name", MODELS)
def test_each_is_the_fit_of_so_many_iterations(name):
    model = clone(MODELS[name])
    found = partials(model)
    assert [partial.n_iter_ for partial in found] == [1, 2, 3, 4, 5, 6]
    for number in (2, 6):
        expected = clone(model).set_params(max_iter=number).fit(IRIS)
        partial = found[number - 1]
        assert type(partial) is type(model)
        assert partial.get_params() == model.get_params()
        assert partial.lower_bounds_ == expected.lower_bounds_
        assert partial.feature_names_in_.tolist() == list(IRIS.columns)
        np.testing.assert_array_equal(partial.predict(IRIS), expected.predict(IRIS))
        np.testing.assert_array_equal(partial.score_samples(IRIS), expected.score_samples(IRIS))
    assert found[-1].score(IRIS) == model.score(IRIS)


@pytest.mark.parametrize("run", [em.fit, em.gradient_ascent])
def test_results_of_em(run):
    start = em.starting_parameters(IRIS, 3, init_params="kmeans", random_state=0)
    found = []
    result = run(IRIS, start, callback=lambda iteration: found.append(iteration.partial()))
    assert [partial.n_iter for partial in found] == list(range(1, result.n_iter + 1))
    assert {type(partial) for partial in found} == {em.MixtureResult}
    assert found[-1].history == result.history
    assert found[0].score(IRIS) < found[-1].score(IRIS) == result.score(IRIS)
    assert found[-1].to_estimator().score(IRIS.to_numpy()) == result.score(IRIS)


def test_results_of_models_of_your_own():
    class Mean(em.LatentVariableModel):
        latent = "discrete"

        def __init__(self, mean):
            self.mean = mean

        def summarize(self, X, weight):
            bound = -0.5 * weight @ (X[:, 0] - self.mean) ** 2
            return em.Sums(bound, weight.sum(), {"x": weight @ X[:, :1]})

        def update(self, sums):
            return Mean(float(sums["x"][0] / sums.weight))

    found = []
    em.fit(
        np.array([[1.0], [3.0]]),
        Mean(0.0),
        max_iter=2,
        callback=lambda iteration: found.append(iteration.partial()),
    )
    assert [partial.parameters.mean for partial in found] == [2.0, 2.0]


def test_none_is_kept_after_the_callback():
    """Callbacks that collect iterations hold numbers alone, and so does the history."""
    kept = []
    model = GaussianMixture(2, random_state=0).fit(IRIS, callback=kept.append)
    assert kept == model.history_
    for iteration in (kept[-1], model.history_[-1], copy.copy(kept[0])):
        with pytest.raises(RuntimeError, match=r"partial\(\) is for the iteration that a callback"):
            iteration.partial()
    assert pickle.loads(pickle.dumps(kept)) == model.history_


def test_best_start_is_not_disturbed():
    model = GaussianMixture(3, n_init=3, init_params="random", random_state=0)
    expected = clone(model).fit(IRIS)
    model.fit(IRIS, callback=lambda iteration: iteration.partial().predict(IRIS) is None)
    np.testing.assert_array_equal(model.means_, expected.means_)
