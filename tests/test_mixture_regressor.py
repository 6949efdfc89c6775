"""Regression by conditioning: scikit-learn's rules, linear regression, densities, draws."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from generators import COVARIANCE_TYPES, draw, mixture
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from test_references import FAITHFUL

import fastgmm
from fastgmm import BayesianGaussianMixture, GaussianMixture, MixtureRegressor, SoftKMeans

pytestmark = pytest.mark.one_backend

#: No test here may fail by chance more often than this.
CHANCE = 1e-4


CHECKS = parametrize_with_checks(
    [MixtureRegressor(), MixtureRegressor(GaussianMixture(2, max_iter=5, random_state=0))]
)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_estimator_checks(estimator, check):
    if estimator.estimator is not None and "check_sample_weight_equivalence" in str(check):
        pytest.skip("starts of weighted samples are others than those of repeated samples")
    check(estimator)


def bent(n=3000, seed=0):
    """Return samples of a curve whose noise grows with x."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-3, 3, (n, 1))
    y = np.sin(X[:, 0]) + rng.normal(0, 0.05 + 0.1 * (X[:, 0] + 3))
    return X, y


@pytest.mark.parametrize("n_targets", [None, 1, 3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_one_component_is_linear_regression(n_targets, dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 5))
    shape = (5,) if n_targets is None else (5, n_targets)
    y = X @ rng.normal(size=shape) + rng.normal(size=(400, *shape[1:]))
    X, y = X.astype(dtype), y.astype(dtype)
    model = MixtureRegressor(GaussianMixture(reg_covar=0.0)).fit(X, y)
    reference = LinearRegression().fit(X.astype(np.float64), y.astype(np.float64))
    mean, std = model.predict(X, return_std=True)
    expected = reference.predict(X.astype(np.float64))
    assert mean.shape == std.shape == y.shape
    assert mean.dtype == std.dtype == np.float64
    np.testing.assert_allclose(mean, expected, rtol=1e-9, atol=1e-9)
    spread = np.sqrt(((y - expected) ** 2).mean(axis=0))
    np.testing.assert_allclose(std, np.broadcast_to(spread, y.shape), rtol=1e-6)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_predictions_are_those_of_the_conditional_mixture(covariance_type):
    X, y = load_diabetes(return_X_y=True)
    X = StandardScaler().fit_transform(X[:, [2, 3, 8]])
    mixture = GaussianMixture(3, covariance_type=covariance_type, random_state=0)
    model = MixtureRegressor(mixture).fit(X, y)
    joint = clone(mixture).fit(np.column_stack([X, y]))
    conditional = joint.condition([0, 1, 2], X)
    mean, std = model.predict(X, return_std=True)
    np.testing.assert_array_equal(mean, conditional.mean()[:, 0])
    np.testing.assert_array_equal(std, conditional.std()[:, 0])
    np.testing.assert_array_equal(model.predict(X), mean)
    given = model.condition(X)
    np.testing.assert_array_equal(given.weights, conditional.weights)
    np.testing.assert_array_equal(given.features, [3])
    assert not hasattr(mixture, "means_")


def test_a_curve_and_its_spread():
    X, y = bent()
    model = MixtureRegressor(GaussianMixture(8, random_state=0, tol=1e-4)).fit(X, y)
    new = np.linspace(-2.8, 2.8, 57)[:, np.newaxis]
    mean, std = model.predict(new, return_std=True)
    assert np.abs(mean - np.sin(new[:, 0])).max() < 0.25
    assert np.abs(std / (0.05 + 0.1 * (new[:, 0] + 3)) - 1).max() < 0.5
    assert model.score(X, y) > LinearRegression().fit(X, y).score(X, y) + 0.1
    Z, t = bent(seed=1)
    mean, std = model.predict(Z, return_std=True)
    within = (np.abs(t - mean) < 1.96 * std).mean()
    assert within == pytest.approx(0.95, abs=0.02)


def test_draws_have_the_conditional_distribution():
    eruptions, waiting = FAITHFUL[:, :1], FAITHFUL[:, 1]
    model = MixtureRegressor(GaussianMixture(2, random_state=0)).fit(eruptions, waiting)
    draws = model.sample([[2.0], [3.0]], 5000, random_state=0)
    assert draws.shape == (2, 5000)
    given = model.condition([[2.0], [3.0]])
    for i in range(2):

        def cdf(y, i=i):
            normal = scipy.stats.norm(given.means[i, :, 0], np.sqrt(given.covariances[:, 0, 0]))
            return normal.cdf(y[:, np.newaxis]) @ given.weights[i]

        assert scipy.stats.kstest(draws[i], cdf).pvalue > CHANCE


def test_shapes_and_seeds_of_draws():
    parameters = mixture("full", 2, 4)
    table = draw(parameters, 300)
    model = MixtureRegressor(GaussianMixture(2, random_state=3)).fit(table[:, :2], table[:, 2:])
    X = table[:7, :2]
    first = model.sample(X, 5)
    assert first.shape == (7, 2, 5)  # as GaussianProcessRegressor.sample_y
    np.testing.assert_array_equal(first, model.sample(X, 5))
    np.testing.assert_array_equal(first, model.sample(X, 5, random_state=3))
    assert not np.isin(first, model.sample(X, 5, random_state=4)).any()
    np.testing.assert_array_equal(first, model.condition(X).sample(5, 3).swapaxes(1, 2))
    one_column = MixtureRegressor(GaussianMixture(random_state=3)).fit(X, table[:7, 2:3])
    assert one_column.predict(X).shape == (7, 1)
    assert one_column.sample(X).shape == (7, 1, 1)


def test_rows_do_not_depend_on_blocks(monkeypatch):
    table = draw(mixture("full", 3, 4), 3000)
    model = MixtureRegressor(GaussianMixture(3, random_state=0)).fit(table[:, :2], table[:, 2:])
    expected = model.predict(table[:, :2], return_std=True)
    monkeypatch.setattr("fastgmm.estimators.mixture_regressor._MEANS", 6 * 256)
    for actual, whole in zip(model.predict(table[:, :2], return_std=True), expected, strict=True):
        np.testing.assert_array_equal(actual, whole)


def test_threads_change_no_bit():
    table = draw(mixture("full", 3, 4), 20_000)
    models = [
        MixtureRegressor(GaussianMixture(3, random_state=0, n_jobs=n)).fit(
            table[:, :2], table[:, 2]
        )
        for n in (1, 3)
    ]
    first, second = (model.predict(table[:, :2], return_std=True) for model in models)
    np.testing.assert_array_equal(first, second)


def test_weights_count():
    """Samples of weight 0 change nothing, and one weight for all changes nothing."""
    X, y = bent(500)
    X2, y2 = np.concatenate([X, X]), np.concatenate([y, y + 100.0])
    weight = np.repeat([1.0, 0.0], 500)
    model = MixtureRegressor().fit(X2, y2, sample_weight=weight)
    np.testing.assert_allclose(model.predict(X), MixtureRegressor().fit(X, y).predict(X), rtol=1e-9)
    np.testing.assert_allclose(
        MixtureRegressor().fit(X, y, 2.0).predict(X), MixtureRegressor().fit(X, y).predict(X)
    )


def test_a_variational_mixture():
    X, y = bent()
    mixture = BayesianGaussianMixture(n_components=12, random_state=0, max_iter=500)
    model = MixtureRegressor(mixture).fit(X, y)
    assert np.abs(model.predict([[1.5]]) - np.sin(1.5)) < 0.2
    assert isinstance(model.estimator_, BayesianGaussianMixture)


def test_in_scikit_learn():
    X, y = load_diabetes(return_X_y=True)
    mixture = GaussianMixture(random_state=0, reg_covar=1e-3, max_iter=500)
    X = X[:, [2, 3, 8]]
    model = make_pipeline(StandardScaler(), MixtureRegressor(mixture))
    assert cross_val_score(model, X, y).mean() > 0.4
    grid = {
        "mixtureregressor__estimator__n_components": [1, 2],
        "mixtureregressor__estimator__covariance_type": ["full", "tied"],
    }
    search = GridSearchCV(model, grid).fit(X, y)
    assert search.best_score_ > 0.4
    best = search.best_estimator_[-1]
    copy = pickle.loads(pickle.dumps(best))
    np.testing.assert_array_equal(copy.predict(X), best.predict(X))


def test_feature_names():
    frame = pd.DataFrame(FAITHFUL, columns=["eruptions", "waiting"])
    model = MixtureRegressor().fit(frame[["eruptions"]], frame["waiting"])
    assert model.feature_names_in_.tolist() == ["eruptions"]
    assert model.predict(frame[["eruptions"]]).shape == (272,)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[["waiting"]])


def test_what_is_refused():
    X, y = bent(50)
    for estimator in (SoftKMeans(2), LinearRegression(), 3):
        with pytest.raises(ValueError, match="The 'estimator' parameter of MixtureRegressor"):
            MixtureRegressor(estimator).fit(X, y)
    with pytest.raises(ValueError, match="Input y contains NaN"):
        MixtureRegressor().fit(X, np.where(y > 0, y, np.nan))
    with pytest.raises(ValueError, match="sample_weight should be one number or have the shape"):
        MixtureRegressor().fit(X, y, sample_weight=np.ones(3))
    model = MixtureRegressor().fit(X, y)
    with pytest.raises(ValueError, match="X has 2 features, but MixtureRegressor is expecting 1"):
        model.predict(np.zeros((3, 2)))
    with pytest.raises(ValueError, match="n_samples should be a number of draws"):
        model.sample(X, -1)
    with pytest.raises(TypeError, match="model should be a fitted"):
        fastgmm.save(model, "never.npz")


def test_a_fit_that_fails_changes_nothing():
    X, y = bent(50)
    model = MixtureRegressor().fit(X, y)
    before = model.predict(X)
    with pytest.raises(ValueError, match="sample_weight"):
        model.fit(np.hstack([X, X]), y, sample_weight=-1.0)
    np.testing.assert_array_equal(model.predict(X), before)
