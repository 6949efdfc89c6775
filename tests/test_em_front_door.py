"""fastgmm.em as users meet it: names, their types, and what a result can do."""

import ast
import importlib
import inspect
import pickle
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from generators import COVARIANCE_TYPES, draw, mixture, sample_weights
from numpy.testing import assert_array_equal

import fastgmm
from fastgmm import BayesianGaussianMixture, GaussianMixture, em
from fastgmm.model.covariance import Spherical

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)


def problem(covariance_type="full", n=600):
    X = draw(mixture(covariance_type, 3, 4), n)
    start = em.starting_parameters(X, 3, covariance_type=covariance_type, random_state=0)
    return X, sample_weights(n), start


def variational(covariance_type="full"):
    """Return samples, a prior, and the result of variational Bayes under it."""
    X, _, start = problem(covariance_type)
    model = start.covariance_model
    scale = model.dense(start.covariances, 3, 4).mean(axis=0)
    covariance = {"full": scale, "tied": scale, "diag": scale.diagonal()}.get(covariance_type)
    covariance = np.asarray(scale.trace() / 4 if covariance is None else covariance)
    prior = em.NormalWishartPrior("dirichlet_process", 0.5, X.mean(axis=0), 1.0, 5.0, covariance)
    return X, prior, em.fit(X, prior.around(start, len(X)), update=em.ConjugatePrior(prior))


def test_em_is_there_in_a_fresh_process(run_python):
    script = """
import sys
import fastgmm
heavy = {"numba", "sklearn", "scipy", "numpy"} & set(sys.modules)
print(fastgmm.em.fit.__name__, sorted(heavy), fastgmm.em is sys.modules["fastgmm.em"])
"""
    assert run_python(script).strip() == "fit [] True"


def test_starting_points_load_scikit_learn_and_a_loop_does_not(run_python):
    script = """
import sys
from fastgmm import em
em.fit, em.ClosedForm, em.EMResult
print("sklearn" in sys.modules)
em.starting_parameters
print("sklearn" in sys.modules)
"""
    assert run_python(script).split() == ["False", "True"]


def test_a_variant_finds_all_it_needs():
    needed = {
        *("Posterior", "BlockwisePosterior", "Update", "Updated", "Acceleration"),
        *("NoAcceleration", "Convergence", "Samples", "SufficientStatistics"),
        *("MixtureParameters", "starting_parameters", "EMResult", "CollapseError", "fit"),
    }
    assert needed <= set(em.__all__)
    assert dir(em) == sorted(em.__all__)
    with pytest.raises(AttributeError, match=r"module 'fastgmm\.em' has no attribute 'fti'"):
        em.fti  # noqa: B018


@pytest.mark.parametrize("package", ["fastgmm", "fastgmm.em"])
def test_type_checkers_see_every_name(package):
    """The names that load lazily are imported under TYPE_CHECKING, from the same modules."""
    module = importlib.import_module(package)
    tree = ast.parse(inspect.getsource(module))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {}
    for node in block.body:
        home = "." * node.level + (node.module or "")
        seen |= {name.name: home if node.module else home + name.name for name in node.names}
    assert seen == module._HOME
    assert set(seen) | {"__version__"} == {*module.__all__, "__version__"}


@each_type
@pytest.mark.parametrize(
    "init_params", ["auto", "kmeans", "k-means++", "random", "random_from_data"]
)
def test_starting_parameters_are_those_of_the_estimator(covariance_type, init_params):
    X, weight, _ = problem(covariance_type)
    options = {"covariance_type": covariance_type, "init_params": init_params, "random_state": 3}
    options["reg_covar"] = 1e-6
    start = em.starting_parameters(X, 3, sample_weight=weight, **options)
    model = GaussianMixture(3, **options, max_iter=0).fit(X, sample_weight=weight)
    assert_array_equal(start.means, model.means_)
    assert_array_equal(start.covariances, model.covariances_)


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"n_components": 0}, r"n_components should be a positive integer, got 0\."),
        ({"n_components": 9}, "Expected n_samples >= n_components but got n_components = 9, n_sa"),
        ({"init_params": "best"}, "init_params must be one of 'auto', 'tree', .*, got 'best'"),
        ({"covariance_type": "fool"}, "covariance_type must be one of 'full', .*, got 'fool'"),
        ({"X": np.zeros(3)}, r"Expected 2D array, .* X has the shape \(3,\)"),
        ({"X": np.zeros((3, 0))}, r"0 feature\(s\) \(shape=\(3, 0\)\)"),
        ({"sample_weight": np.ones(2)}, r"sample_weight should .* the shape of \(4,\)"),
    ],
)
def test_bad_arguments_of_starting_parameters(changed, message):
    with pytest.raises(ValueError, match=message):
        em.starting_parameters(**{"X": np.eye(4), "n_components": 2, **changed})


@each_type
def test_a_result_predicts_as_the_estimator_does(covariance_type):
    X, weight, start = problem(covariance_type)
    result = em.fit(X, start, sample_weight=weight)
    model = GaussianMixture(3, covariance_type=covariance_type, random_state=0)
    model.set_params(means_init=start.means, weights_init=start.weights, reg_covar="auto")
    model.set_params(precisions_init=start.precisions).fit(X, sample_weight=weight)
    np.testing.assert_allclose(result.parameters.means, model.means_, rtol=1e-9)
    same = result.to_estimator()
    assert isinstance(same, GaussianMixture)
    assert_array_equal(result.predict(X), same.predict(X))
    assert_array_equal(result.predict_proba(X), same.predict_proba(X))
    assert_array_equal(result.score_samples(X), same.score_samples(X))
    assert result.score(X) == same.score(X)
    assert result.score(X, sample_weight=weight) == same.score(X, sample_weight=weight)
    assert_array_equal(result.predict_proba(X, n_jobs=1), result.predict_proba(X, n_jobs=3))


@each_type
def test_round_trip_to_an_estimator(covariance_type, tmp_path):
    X, _, start = problem(covariance_type)
    result = em.fit(X, start)
    model = result.to_estimator()
    assert model.get_params()["covariance_type"] == covariance_type
    assert (model.n_components, model.n_features_in_, model.n_iter_) == (3, 4, result.n_iter)
    assert model.lower_bounds_ == result.lower_bounds
    assert model.converged_
    assert model.bic(X) == result.to_estimator().bic(X)
    assert model.sample(5)[0].shape == (5, 4)
    fastgmm.save(model, tmp_path / "model.npz")
    assert_array_equal(
        fastgmm.load(tmp_path / "model.npz").predict_proba(X), result.predict_proba(X)
    )
    again = model.set_params(warm_start=True, tol=1e-8, max_iter=500).fit(X)
    assert again.lower_bound_ >= result.lower_bound - 1e-12


@each_type
def test_round_trip_of_variational_bayes(covariance_type, tmp_path):
    X, prior, result = variational(covariance_type)
    model = result.to_estimator(prior)
    assert isinstance(model, BayesianGaussianMixture)
    assert_array_equal(result.predict_proba(X), model.predict_proba(X))
    assert_array_equal(result.score_samples(X), model.score_samples(X))
    assert model.mean_precision_prior_ == 1.0
    fastgmm.save(model, tmp_path / "model.npz")
    assert_array_equal(fastgmm.load(tmp_path / "model.npz").predict(X), result.predict(X))
    model.set_params(warm_start=True).fit(X)
    np.testing.assert_allclose(model.means_, result.parameters.means, atol=0.05)


def test_a_prior_goes_with_variational_parameters_alone():
    X, prior, result = variational()
    with pytest.raises(TypeError, match=r"needs the prior of VariationalParameters.* prior=None"):
        result.to_estimator()
    plain = em.fit(X, em.starting_parameters(X, 2, random_state=0))
    message = "needs no prior with MixtureParameters, but got prior=NormalWishartPrior"
    with pytest.raises(TypeError, match=message):
        plain.to_estimator(prior)


class Coins(NamedTuple):
    """Parameters that are no Gaussian mixture."""

    heads: float


class Flips(em.Posterior):
    def summarize(self, samples, parameters):
        empty = em.SufficientStatistics.zeros("diag", np.ones((1, 1)))
        return replace(empty, log_likelihood=-1.0, weight=1.0)


class Estimate(em.Update):
    parameters_type = Coins

    def __call__(self, statistics, previous):
        return em.Updated(Coins(0.5 * previous.heads))


def test_policies_of_your_own_take_parameters_of_any_type():
    policies = {"posterior": Flips(), "update": Estimate(), "convergence": em.Never()}
    result = em.fit(np.zeros((3, 1)), Coins(0.5), **policies, max_iter=2)
    assert result.parameters == Coins(0.125)
    assert type(result) is em.EMResult
    message = (
        "posterior ExactPosterior needs MixtureParameters or LatentVariableModel, but got Coins"
    )
    with pytest.raises(TypeError, match=message):
        em.fit(None, Coins(0.5))


def test_functions_of_a_fitted_model_take_a_result():
    X, weight, start = problem()
    result = em.fit(X, start, sample_weight=weight)
    model, resp = result.to_estimator(), result.predict_proba(X)
    for function in (fastgmm.elbo, fastgmm.expected_complete_log_likelihood):
        assert function(result, X, resp, weight) == function(model, X, resp, weight)
    gradients = [fastgmm.log_likelihood_gradient(fit, X, weight) for fit in (result, model)]
    for ours, expected in zip(*gradients, strict=True):
        assert_array_equal(ours, expected)
    assert result.to_parameters() is result.parameters


def test_a_result_checks_what_it_predicts():
    X, _, start = problem()
    result = em.fit(X, start, max_iter=1)
    with pytest.raises(ValueError, match="X has 3 features, but 4 are expected"):
        result.predict(X[:, :3])
    with pytest.raises(ValueError, match="Input X contains NaN, first in row 0, feature 1"):
        result.score_samples(np.array([[0.0, np.nan, 0.0, 0.0]]))
    with pytest.raises(ValueError, match="sample_weight should be finite and non-negative"):
        result.score(X, sample_weight=-np.ones(len(X)))


class OneVariance(Spherical):
    """One variance for all components: a model that shares the kernel of another."""

    name = "one variance"

    def n_parameters(self, n_components, n_features):
        return 1

    def estimate(self, second, nk, n_features):
        return np.full(len(nk), second.sum() / (nk.sum() * n_features))


def test_a_model_of_covariances_of_your_own_shares_a_kernel():
    X, _, spherical = problem("spherical")
    start = em.MixtureParameters.from_covariances(
        OneVariance(), spherical.weights, spherical.means, np.ones(3)
    )
    assert (start.covariance_type, start.n_parameters) == ("one variance", 1 + 12 + 2)
    result = em.fit(X, start, update=em.ClosedForm(reg_covar=0.0), max_iter=50)
    assert len(set(result.parameters.covariances)) == 1
    assert (np.diff(result.lower_bounds) >= -1e-12).all()
    # the same in plain NumPy
    q = result.predict_proba(X)
    step = em.fit(X, result.parameters, update=em.ClosedForm(reg_covar=0.0), max_iter=1).parameters
    means = q.T @ X / q.sum(axis=0)[:, np.newaxis]
    squares = ((X[:, np.newaxis] - means) ** 2).sum(axis=2)
    assert step.covariances[0] == pytest.approx((q * squares).sum() / X.size, rel=1e-10)
    with pytest.raises(ValueError, match=r"covariance_type must be one of .*, got 'one variance'"):
        result.to_estimator()


def test_statistics_of_another_process_can_be_added():
    X, weight, start = problem("tied")
    whole = em.SufficientStatistics.zeros("tied", start.means)
    whole.add_moments(X, weight, np.full((len(X), 3), 1 / 3))
    doubled = whole + pickle.loads(pickle.dumps(whole))
    for twice, once in zip(doubled.moments, whole.moments, strict=True):
        assert_array_equal(twice, 2.0 * once)


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("X", np.zeros((5, 3)), r"X should have shape \(5, 4\) and type float64 or float32, but"),
        ("X", np.zeros((5, 4), int), "but got .*int"),
        ("sample_weight", np.ones(4), r"sample_weight should have shape \(5,\).* got \(4,\)"),
        ("resp", np.ones((5, 2)), r"resp should have shape \(5, 3\) and type float64, but got"),
        ("resp", np.ones((5, 3), np.float32), r"and type float64, but got \(5, 3\) and float32"),
    ],
)
def test_statistics_check_what_they_add(name, value, message):
    given = {"X": np.zeros((5, 4)), "sample_weight": np.ones(5), "resp": np.ones((5, 3))}
    statistics = em.SufficientStatistics.zeros("full", np.zeros((3, 4)))
    with pytest.raises(ValueError, match=message):
        statistics.add_moments(**{**given, name: value})


def test_responsibilities_are_taken_in_any_memory_order():
    resp = np.random.default_rng(0).dirichlet(np.ones(3), size=500)
    X, one, other = (
        draw(mixture("diag", 3, 4), 500),
        *(em.SufficientStatistics.zeros("diag", np.zeros((3, 4))) for _ in range(2)),
    )
    one.add_moments(X, np.ones(500), resp)
    other.add_moments(X, np.ones(500), np.asfortranarray(resp))
    for a, b in zip(one.moments, other.moments, strict=True):
        assert_array_equal(a, b)
