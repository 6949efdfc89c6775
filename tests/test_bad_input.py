"""What cannot be fitted raises scikit-learn's kind of error, with the value in it."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import sklearn.mixture
from generators import COVARIANCE_TYPES, SHARED
from sklearn.exceptions import NotFittedError

from fastgmm import GaussianMixture
from fastgmm.data.samples import Samples
from fastgmm.model.covariance import get_covariance_model

pytestmark = pytest.mark.one_backend

N_SAMPLES, N_FEATURES = 50, 3
X = np.random.RandomState(0).standard_normal((N_SAMPLES, N_FEATURES))
IDENTITY = {
    "full": np.stack([np.eye(N_FEATURES)] * 2),
    "tied": np.eye(N_FEATURES),
    "diag": np.ones((2, N_FEATURES)),
    "spherical": np.ones(2),
    "tied-spherical": np.array(1.0),
}
METHODS = ("predict", "predict_proba", "score_samples", "score", "aic", "bic", "icl")
INIT_PARAMS = ("auto", "tree", "kmeans", "k-means++", "random", "random_from_data")


def with_value(value, row=10, dtype=np.float64):
    bad = X.astype(dtype)
    bad[row, 1] = value
    return bad


def weights_with(value, row=10):
    weights = np.ones(N_SAMPLES)
    weights[row] = value
    return weights


def start(covariance_type="full", **changed):
    given = {
        "n_components": 2,
        "covariance_type": covariance_type,
        "weights_init": [0.5, 0.5],
        "means_init": [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]],
        "precisions_init": IDENTITY[covariance_type],
    }
    return GaussianMixture(**{**given, **changed})


def dense(model):
    kind = get_covariance_model(model.covariance_type)
    return kind.dense(model.covariances_, *model.means_.shape)


def assert_finite(model):
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        assert np.isfinite(getattr(model, name)).all(), name


def strings():
    return pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": ["x", "y", "z"]})


DATA = {
    "NaN": (with_value(np.nan), ValueError, "Input X contains NaN"),
    "infinity": (with_value(np.inf), ValueError, "infinity .* float64: inf, first in row 10, fea"),
    "minus infinity": (with_value(-np.inf), ValueError, "infinity .* float64: -inf, first in row"),
    "float32 NaN": (with_value(np.nan, dtype=np.float32), ValueError, "Input X contains NaN"),
    "float32 infinity": (
        with_value(np.inf, dtype=np.float32),
        ValueError,
        "infinity or a value too large for float32: inf, first in row 10, feature 1",
    ),
    "float16 infinity": (with_value(np.inf, dtype=np.float16), ValueError, "infinity"),
    "Fortran NaN": (np.asfortranarray(with_value(np.nan)), ValueError, "Input X contains NaN"),
    "0-D": (np.float64(3.5), ValueError, r"Expected 2D array, got scalar array .* shape \(\)"),
    "1-D": (X[:, 0], ValueError, "Expected 2D array, got 1D array instead"),
    "3-D": (X[np.newaxis], ValueError, "Found array with dim 3"),
    "no rows": (X[:0], ValueError, r"0 sample\(s\) \(shape=\(0, 3\)\) while a minimum of 2"),
    "no columns": (X[:, :0], ValueError, r"0 feature\(s\) \(shape=\(50, 0\)\)"),
    "one sample": (X[:1], ValueError, r"1 sample\(s\) \(shape=\(1, 3\)\) while a minimum of 2"),
    "object strings": (
        np.array([["a", "b"], ["c", "d"]], object),
        ValueError,
        "could not convert string to float: 'a'",
    ),
    "strings": (np.array([["a", "b"], ["c", "d"]]), ValueError, "could not convert string .*'a'"),
    "a string": ("abc", ValueError, "X should be real numbers, but got 'abc'"),
    "complex": (X + 1j, ValueError, "Complex data not supported"),
    "ragged": ([[1, 2], [3]], ValueError, "inhomogeneous shape"),
    "csr_matrix": (scipy.sparse.csr_matrix(X), TypeError, "Sparse data was passed"),
    "csc_matrix": (scipy.sparse.csc_matrix(X), TypeError, "Sparse data was passed"),
    "csr_array": (scipy.sparse.csr_array(X), TypeError, "Sparse data was passed"),
    "coo_array": (scipy.sparse.coo_array(X), TypeError, "Sparse data was passed"),
    "frame of strings": (strings(), ValueError, "could not convert string to float: 'x'"),
    "frame with NaN": (
        pd.DataFrame({"a": [1.0, np.nan, 3.0], "b": [1, 2, 3]}),
        ValueError,
        "Input X contains NaN",
    ),
    "frame with NA": (
        pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": pd.array([1, None, 3], dtype="Int64")}),
        ValueError,
        "Input X contains NaN",
    ),
    "frame of complex": (
        pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1j, 2.0, 3.0]}),
        ValueError,
        "Complex data not supported",
    ),
    "frame of dates": (
        pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": pd.to_datetime(["2020-01-01"] * 3)}),
        TypeError,
        r"feature 1 \('b'\) of X should be real numbers, but got times \(datetime64",
    ),
    "frame of one row": (pd.DataFrame({"a": [1.0], "b": [2]}), ValueError, r"1 sample\(s\)"),
    "frame without rows": (pd.DataFrame({"a": [1.0], "b": [2]})[:0], ValueError, r"0 sample\(s\)"),
    "frame without columns": (pd.DataFrame(index=range(5)), ValueError, r"0 feature\(s\)"),
    "polars with null": (
        pl.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1, None, 3]}),
        ValueError,
        "Input X contains NaN",
    ),
    "polars strings": (
        pl.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}),
        ValueError,
        "could not convert string to float",
    ),
}


@pytest.mark.parametrize("data, error, message", DATA.values(), ids=DATA.keys())
def test_bad_data(data, error, message):
    with pytest.raises(error, match=message):
        GaussianMixture().fit(data)
    with pytest.raises(error):  # the same kind as scikit-learn's
        sklearn.mixture.GaussianMixture().fit(data)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "data, message",
    [
        (with_value(np.nan), "Input X contains NaN"),
        (with_value(np.inf, dtype=np.float32), "infinity .* float32"),
        (X[:0], r"0 sample\(s\)"),
        (X[:, :2], "X has 2 features, but GaussianMixture is expecting 3 features"),
        (X[:, 0], "Expected 2D array, got 1D array"),
        (pd.DataFrame({"a": [1.0, 2.0], "b": [1, 2]}), "X has 2 features"),
    ],
)
@pytest.mark.filterwarnings("ignore:X has feature names:UserWarning")
def test_bad_data_after_fit(method, data, message):
    model = GaussianMixture().fit(X)
    with pytest.raises(ValueError, match=message):
        getattr(model, method)(data)


@pytest.mark.parametrize("row", [0, 300_000, 599_999])
@pytest.mark.parametrize("value, message", [(np.nan, "NaN"), (np.inf, "infinity")])
def test_bad_value_in_any_block_of_a_frame(row, value, message):
    frame = pd.DataFrame({f"c{j}": np.arange(600_000.0) for j in range(8)})
    frame["c8"] = np.arange(600_000)
    frame.iloc[row, 3] = value
    assert len(list(Samples(frame).block_slices())) == 3
    with pytest.raises(ValueError, match="Input X contains " + message):
        GaussianMixture().fit(frame)


@pytest.mark.parametrize("method", [*METHODS, "sample"])
def test_not_fitted(method):
    arguments = [] if method == "sample" else [X]
    with pytest.raises(NotFittedError, match="This GaussianMixture instance is not fitted yet"):
        getattr(GaussianMixture(), method)(*arguments)


def test_feature_names():
    frame = pd.DataFrame(X, columns=list("abc"))
    model = GaussianMixture().fit(frame)
    with pytest.raises(ValueError, match="Feature names unseen at fit time:\n- d"):
        model.predict(frame.rename(columns={"c": "d"}))
    with pytest.raises(ValueError, match="must be in the same order"):
        model.predict(frame[list("bac")])
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        model.predict(X)
    with pytest.raises(TypeError, match=r"\['int', 'str'\]"):
        GaussianMixture().fit(frame.rename(columns={"c": 3}))


def test_feature_names_of_a_frame_of_many_blocks():
    frame = pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": [1, 2, 3]})
    model = GaussianMixture().fit(frame)
    assert model.feature_names_in_.tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="Feature names unseen at fit time:\n- c"):
        model.predict(frame.rename(columns={"b": "c"}))


@pytest.mark.parametrize(
    "name, value, expected",
    [
        ("n_components", 0, "an int in the range [1, inf)"),
        ("n_components", -3, "an int in the range [1, inf)"),
        ("n_components", 2.5, "an int in the range [1, inf)"),
        ("n_components", 2.0, "an int in the range [1, inf)"),
        ("n_components", "2", "an int in the range [1, inf)"),
        ("covariance_type", "diagonal", "a str among"),
        ("init_params", "k-means", "a str among"),
        ("tol", -1e-3, "a float in the range [0.0, inf)"),
        ("tol", np.nan, "a float in the range [0.0, inf)"),
        ("reg_covar", -1e-6, "a float in the range [0.0, inf)"),
        ("reg_covar", np.inf, "a float in the range [0.0, inf)"),
        ("max_iter", -1, "an int in the range [0, inf)"),
        ("n_init", 0, "an int in the range [1, inf)"),
        ("verbose_interval", 0, "an int in the range [1, inf)"),
        ("weights_init", 1.0, "an array-like or None"),
        ("random_state", "seed", "an int in the range"),
        ("warm_start", "yes", "an instance of 'bool'"),
        ("n_jobs", 1.5, "an instance of 'int' or None"),
    ],
)
def test_bad_parameter(name, value, expected):
    message = f"The {name!r} parameter of GaussianMixture must be {expected}"
    with pytest.raises(ValueError, match=re.escape(message) + f".*Got {re.escape(repr(value))}"):
        GaussianMixture(**{name: value}).fit(X)


def test_n_jobs_zero():
    message = "n_jobs must be None, a positive or a negative integer, got 0"
    with pytest.raises(ValueError, match=message):
        GaussianMixture(n_jobs=0).fit(X)
    with pytest.raises(ValueError, match=message):
        GaussianMixture().fit(X).set_params(n_jobs=0).predict(X)


def test_more_components_than_samples():
    message = r"Expected n_samples >= n_components but got n_components = 51, n_samples = 50$"
    with pytest.raises(ValueError, match=message):
        GaussianMixture(51).fit(X)


def test_more_components_than_samples_of_positive_weight():
    weight = np.zeros(N_SAMPLES)
    weight[:3] = 1.0
    message = "n_components = 4, n_samples = 3 of positive weight"
    with pytest.raises(ValueError, match=message):
        GaussianMixture(4).fit(X, sample_weight=weight)


@pytest.mark.parametrize(
    "weight, message",
    [
        (weights_with(-2.5), "finite and non-negative, but got -2.5 for sample 10"),
        (weights_with(np.nan), "finite and non-negative, but got nan for sample 10"),
        (weights_with(np.inf), "finite and non-negative, but got inf for sample 10"),
        (np.zeros(N_SAMPLES), "should have a positive weight, but all are zero"),
        (np.ones(N_SAMPLES - 1), r"one number or have the shape of \(50,\), but got \(49,\)"),
        (np.ones((N_SAMPLES, 1)), r"one number or have the shape of \(50,\), but got \(50, 1\)"),
        (0.0, "should have a positive weight, but all are zero"),
        (-2.0, "finite and non-negative, but got -2.0 for sample 0"),
        (np.full(N_SAMPLES, 1e308), r"finite sum, but it overflows: the largest .* 1e\+308"),
        (np.full(N_SAMPLES, 1j), "Complex data not supported: sample_weight"),
        (["a"] * N_SAMPLES, "could not convert string to float: .*'a'"),
    ],
)
def test_bad_sample_weight(weight, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture().fit(X, sample_weight=weight)
    model = GaussianMixture().fit(X)
    for method in (model.score, model.aic, model.bic):
        with pytest.raises(ValueError, match=message):
            method(X, sample_weight=weight)


@pytest.mark.parametrize(
    "weights, message",
    [
        ([0.3, 0.3, 0.4], r"'weights_init' should have the shape of \(2,\), but got \(3,\)"),
        ([[0.5], [0.5]], r"'weights_init' should have the shape of \(2,\), but got \(2, 1\)"),
        ([1.5, -0.5], r"in the range \[0, 1\], but got max value 1.50000, min value -0.50000"),
        ([0.5, 0.4], r"'weights_init' should be normalized, but got a sum of 0.9"),
        ([np.nan, 1.0], r"'weights_init' should be finite, but got nan at \(0,\)"),
        ([0.5j, 0.5], "Complex data not supported: weights_init"),
        (["a", "b"], "could not convert string to float: .*'a'"),
    ],
)
def test_bad_weights_init(weights, message):
    with pytest.raises(ValueError, match=message):
        start(weights_init=weights).fit(X)


@pytest.mark.parametrize(
    "means, message",
    [
        (np.ones((3, 3)), r"'means_init' should have the shape of \(2, 3\), but got \(3, 3\)"),
        (np.ones((2, 2)), r"'means_init' should have the shape of \(2, 3\), but got \(2, 2\)"),
        (np.ones(6), r"'means_init' should have the shape of \(2, 3\), but got \(6,\)"),
        ([[0, 0, 0], [0, np.inf, 0]], r"'means_init' should be finite, but got inf at \(1, 1\)"),
        ([[0, 0, 0], [0]], "inhomogeneous shape"),
    ],
)
def test_bad_means_init(means, message):
    with pytest.raises(ValueError, match=message):
        start(means_init=means).fit(X)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_precisions_init_of_wrong_shape(covariance_type):
    good = IDENTITY[covariance_type]
    bad = np.ones([*(size + 1 for size in good.shape[:1]), *good.shape[1:]] or 2)
    message = (
        f"The parameter 'precisions_init' should have the shape of {good.shape}, "
        f"but got {bad.shape}"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        start(covariance_type, precisions_init=bad).fit(X)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_precisions_init_not_finite(covariance_type, value):
    bad = IDENTITY[covariance_type].copy()
    last = tuple(size - 1 for size in bad.shape)
    bad[last] = value
    message = f"'precisions_init' should be finite, but got {value} at {last}"
    with pytest.raises(ValueError, match=re.escape(message)):
        start(covariance_type, precisions_init=bad).fit(X)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("value", [0.0, -2.0])
def test_precisions_init_not_positive(covariance_type, value):
    bad = IDENTITY[covariance_type].copy()
    bad[tuple(size - 1 for size in bad.shape)] = value
    is_matrix = covariance_type in ("full", "tied")
    expected = "symmetric and positive definite" if is_matrix else "positive"
    got = f"a variance of {value}" + ("" if covariance_type in SHARED else " in component 1")
    message = f"'precisions_init' should be {expected}, but got {got}."
    with pytest.raises(ValueError, match=re.escape(message)):
        start(covariance_type, precisions_init=bad).fit(X)


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_precisions_init_asymmetric(covariance_type):
    bad = IDENTITY[covariance_type].copy()
    bad[..., 0, 1] = 0.5
    message = "'precisions_init' should be symmetric.* got an asymmetric matrix"
    with pytest.raises(ValueError, match=message):
        start(covariance_type, precisions_init=bad).fit(X)


@pytest.mark.parametrize("n_samples", [0, -1])
def test_sample_of_no_samples(n_samples):
    message = f"Invalid value for 'n_samples': expected at least 1, got {n_samples}"
    with pytest.raises(ValueError, match=message):
        GaussianMixture().fit(X).sample(n_samples)


@pytest.mark.parametrize(
    "bad, options",
    [
        (with_value(np.nan), {}),
        (np.ones((1, 7)), {}),
        (np.ones((20, 2)), {"reg_covar": 0.0}),
        (pd.DataFrame({"a": [1.0, 2.0], "b": [1, 2]}), {"n_components": 3}),
        (X[:, :2], {"sample_weight": -np.ones(N_SAMPLES)}),
        (X[:, :2], {"means_init": np.ones((2, 3))}),
        (X * 1e200, {}),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_failed_fit_loses_nothing(bad, options):
    model = GaussianMixture(2, random_state=0).fit(pd.DataFrame(X, columns=list("abc")))
    before = {name: value for name, value in vars(model).items() if name.endswith("_")}
    assert {"feature_names_in_", "n_features_in_", "means_", "history_"} <= set(before)
    fit_options = {name: options[name] for name in options if name == "sample_weight"}
    model.set_params(**{name: options[name] for name in options if name != "sample_weight"})
    with pytest.raises(ValueError, match=r"."):
        model.fit(bad, **fit_options)
    after = {name: value for name, value in vars(model).items() if name.endswith("_")}
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)


def test_failed_first_fit_leaves_the_estimator_unfitted():
    model = GaussianMixture(51)
    with pytest.raises(ValueError, match="n_samples = 50"):
        model.fit(X)
    assert vars(model).keys() == GaussianMixture().get_params().keys()


@pytest.mark.parametrize("init_params", INIT_PARAMS)
@pytest.mark.parametrize("scale", [1e160, 1e200, 1e300])
def test_too_large_for_float64(init_params, scale):
    largest = np.abs(X).max() * scale
    message = rf"X is too large for float64.* got {re.escape(f'{largest:.3g}')}\. Scale"
    with pytest.raises(ValueError, match=message):
        GaussianMixture(2, init_params=init_params).fit(X * scale)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_one_sample_too_large_for_float64(covariance_type):
    message = r"X is too large for float64.* total weight of 50, but got 1e\+155"
    with pytest.raises(ValueError, match=message):
        start(covariance_type).fit(with_value(-1e155))


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_distances_that_overflow(covariance_type):
    precise = start(covariance_type, precisions_init=1e200 * IDENTITY[covariance_type])
    with pytest.raises(ValueError, match=r"log-likelihood in iteration 1 is -.*e\+.*too large"):
        precise.fit(X * 1e60)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_predictions_for_samples_whose_distances_overflow(covariance_type):
    model = start(covariance_type).fit(X)
    far = X[:5] * 1e200
    np.testing.assert_allclose(model.predict_proba(far).sum(axis=1), 1.0, rtol=1e-14)
    assert (model.score_samples(far) < -1e290).all()
    assert set(model.predict(far)) <= {0, 1}


def test_too_large_in_the_last_block_of_a_frame():
    frame = pd.DataFrame({"a": np.arange(3_000_000.0), "b": np.arange(3_000_000)})
    frame.iloc[-1, 0] = 1e200
    with pytest.raises(ValueError, match=r"too large .* got 1e\+200"):
        GaussianMixture().fit(frame)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("scale", [1e-100, 1e100, 1e150])
def test_extreme_scale_is_only_a_change_of_units(covariance_type, scale):
    options = {"covariance_type": covariance_type, "reg_covar": 0.0, "random_state": 0}
    model = GaussianMixture(2, **options).fit(X)
    scaled = GaussianMixture(2, **options).fit(X * scale)
    assert_finite(scaled)
    np.testing.assert_allclose(scaled.means_ / scale, model.means_, rtol=1e-6, atol=1e-6)


def test_float32_beyond_its_own_squares():
    large = (X * 1e30).astype(np.float32)
    model = GaussianMixture(2, random_state=0).fit(large)
    expected = GaussianMixture(2, random_state=0).fit(large.astype(np.float64))
    np.testing.assert_array_equal(model.covariances_, expected.covariances_)


DEGENERATE = {
    "identical points": np.full((N_SAMPLES, N_FEATURES), 0.1),
    "identical points far away": np.full((N_SAMPLES, N_FEATURES), 1e8 + 0.1),
    "zeros": np.zeros((N_SAMPLES, N_FEATURES)),
    "two distinct points": np.repeat([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]], 25, axis=0),
    "constant feature": np.c_[X, np.full(N_SAMPLES, 7.0)],
    "duplicated feature": np.c_[X, X[:, 0]],
    "fewer samples than features": X[:4].repeat(3, axis=1),
}


@pytest.mark.parametrize("data", DEGENERATE.values(), ids=DEGENERATE.keys())
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("init_params", INIT_PARAMS)
@pytest.mark.parametrize("reg_covar", [0.0, 1e-6])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_degenerate_data(data, covariance_type, init_params, reg_covar):
    model = GaussianMixture(
        4,
        covariance_type=covariance_type,
        init_params=init_params,
        reg_covar=reg_covar,
        random_state=0,
        n_jobs=1,
    )
    try:
        model.fit(data)
    except ValueError as error:
        assert reg_covar == 0.0
        assert "ill-defined empirical covariance" in str(error)  # noqa: PT017
        return
    assert_finite(model)
    np.testing.assert_allclose(model.predict_proba(data).sum(axis=1), 1.0, rtol=1e-12)
    assert np.isfinite(model.score(data))


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("init_params", INIT_PARAMS)
@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_start_that_collapses_names_component_and_remedy(covariance_type, init_params):
    where = "The tied covariance" if covariance_type in SHARED else "Component 0"
    message = f"increase reg_covar, or scale the input data. {where} is not positive definite"
    options = {"covariance_type": covariance_type, "init_params": init_params, "reg_covar": 0.0}
    with pytest.raises(ValueError, match=message):
        GaussianMixture(2, **options).fit(DEGENERATE["zeros"])


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_all_samples_identical_closed_form(covariance_type):
    model = GaussianMixture(1, covariance_type=covariance_type, reg_covar=0.25)
    model.fit(DEGENERATE["identical points far away"])
    np.testing.assert_allclose(model.means_, 1e8 + 0.1, rtol=1e-15)
    np.testing.assert_allclose(model.covariances_.ravel()[0], 0.25, rtol=1e-12)
    np.testing.assert_allclose(np.trace(dense(model)[0]), 3 * 0.25, rtol=1e-12)
