"""A row of weight zero is an absent row, whatever it holds."""

import numpy as np
import pandas as pd
import pytest
from generators import COVARIANCE_TYPES

from fastgmm import BayesianGaussianMixture, GaussianMixture, SoftKMeans, em, load, save

ANYTHING = [np.nan, np.inf, -np.inf, 1e200, 1e99, -1e300]
each_value = pytest.mark.parametrize("value", ANYTHING)


def problem(value, dtype=np.float64):
    """Return samples with absent rows, their weights, and the samples without them."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(60, 2)), rng.normal(8, 1, (60, 2))]).astype(dtype)
    weight = rng.integers(1, 4, 120).astype(float)
    absent = [0, 7, 119]
    weight[absent] = 0.0
    given = X.copy()
    with np.errstate(over="ignore"):
        given[absent[0]] = value
        given[absent[1], 1] = value
    present = weight > 0
    return given, weight, X[present], weight[present]


@pytest.mark.parametrize(
    "covariance_type, value, dtype",
    [
        *((kind, np.nan, dtype) for kind in COVARIANCE_TYPES for dtype in (np.float64, np.float32)),
        *(("full", value, np.float64) for value in ANYTHING[1:]),
        *(("diag", value, np.float32) for value in ANYTHING[1:]),
    ],
)
def test_fit_and_score(covariance_type, value, dtype):
    X, weight, kept, kept_weight = problem(value, dtype)
    options = {"covariance_type": covariance_type, "random_state": 0, "reg_covar": "auto"}
    for estimator in (GaussianMixture, BayesianGaussianMixture):
        model = estimator(n_components=2, **options).fit(X, sample_weight=weight)
        expected = estimator(n_components=2, **options).fit(kept, sample_weight=kept_weight)
        np.testing.assert_allclose(model.means_, expected.means_, rtol=1e-9)
        np.testing.assert_allclose(model.covariances_, expected.covariances_, rtol=1e-9)
        score = expected.score(kept, sample_weight=kept_weight)
        assert model.score(X, sample_weight=weight) == pytest.approx(score, rel=1e-9)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("acceleration", ["quasi-newton", "subsample", "split-merge"])
@pytest.mark.parametrize("init_params", ["k-means++", "random", "random_from_data"])
def test_every_start_and_acceleration(init_params, acceleration):
    X, weight, kept, kept_weight = problem(np.nan)
    options = {"init_params": init_params, "acceleration": acceleration, "random_state": 0}
    model = GaussianMixture(3, **options).fit(X, sample_weight=weight)
    expected = GaussianMixture(3, **options).fit(kept, sample_weight=kept_weight)
    np.testing.assert_allclose(model.means_, expected.means_, rtol=1e-9)


@each_value
def test_labels_of_rows_that_were_left_out(value):
    X, weight, kept, kept_weight = problem(value)
    for model in (GaussianMixture(2, random_state=0), SoftKMeans(n_clusters=2, random_state=0)):
        labels = model.fit_predict(X, sample_weight=weight)
        assert labels.shape == (120,)
        np.testing.assert_array_equal(labels[weight > 0], model.predict(kept))
        if not abs(value) <= 1e100:
            np.testing.assert_array_equal(labels[weight == 0], -1)
    expected = SoftKMeans(n_clusters=2, random_state=0).fit(kept, sample_weight=kept_weight)
    np.testing.assert_allclose(model.cluster_centers_, expected.cluster_centers_, rtol=1e-9)


def test_frames_and_functions():
    X, weight, kept, kept_weight = problem(np.nan)
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1].astype(np.float32)})
    model = GaussianMixture(2, random_state=0).fit(frame, sample_weight=weight)
    expected = GaussianMixture(2, random_state=0).fit(kept, sample_weight=kept_weight)
    np.testing.assert_allclose(model.means_, expected.means_, rtol=1e-6)
    start = em.starting_parameters(X, 2, sample_weight=weight, random_state=0)
    result = em.fit(X, start, sample_weight=weight)
    again = em.fit(kept, start, sample_weight=kept_weight)
    np.testing.assert_allclose(result.lower_bounds, again.lower_bounds, rtol=1e-12)
    score = again.score(kept, sample_weight=kept_weight)
    assert result.score(X, sample_weight=weight) == pytest.approx(score, rel=1e-12)


def test_rows_that_count_are_checked():
    X, weight, _, _ = problem(np.nan)
    X[5, 1] = np.nan
    with pytest.raises(ValueError, match=r"contains NaN, first in row 5, feature 1"):
        GaussianMixture(2).fit(X, sample_weight=weight)
    with pytest.raises(ValueError, match=r"contains NaN, first in row 0"):
        GaussianMixture(2).fit(X)


def test_a_feature_that_varies_in_absent_rows_alone():
    X = np.random.default_rng(0).normal(size=(60, 2))
    X[:, 1] = 0.0
    X[3, 1], weight = 5.0, np.ones(60)
    weight[3] = 0.0
    options = {"reg_covar": "auto", "random_state": 0}
    model = GaussianMixture(2, **options).fit(X, sample_weight=weight)
    expected = GaussianMixture(2, **options).fit(np.delete(X, 3, axis=0))
    np.testing.assert_allclose(model.covariances_, expected.covariances_, rtol=1e-9)


def test_labels_of_absent_rows_are_saved(tmp_path):
    X, weight, _, _ = problem(np.nan)
    model = SoftKMeans(2, random_state=0).fit(X, sample_weight=weight)
    save(model, tmp_path / "model.npz")
    np.testing.assert_array_equal(load(tmp_path / "model.npz").labels_, model.labels_)
