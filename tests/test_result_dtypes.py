"""The types of results: those of scikit-learn, computed in float64 and kept in float32."""

import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn.mixture
from generators import KERNEL_KINDS
from sklearn.utils.fixes import parse_version

import fastgmm
from fastgmm import BayesianGaussianMixture, GaussianMixture, SoftKMeans, em

X = np.random.RandomState(0).poisson([[3, 9], [12, 4]] * 100, (200, 2)).astype(np.float64)
DTYPES = ["float64", "float32", "float16", ">f4", "int32", "longdouble"]
FITTED = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("covariance_type", KERNEL_KINDS)  # those of scikit-learn
@pytest.mark.parametrize("name", ["GaussianMixture", "BayesianGaussianMixture"])
@pytest.mark.parametrize("of_fit", DTYPES)
@pytest.mark.filterwarnings("ignore:covariance is not symmetric:RuntimeWarning")  # theirs
@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"),
    reason="types are those of scikit-learn 1.9; 1.6 returns float64",
)
def test_types_are_those_of_scikit_learn(name, of_fit, covariance_type):
    options = {"n_components": 2, "covariance_type": covariance_type, "random_state": 0}
    model = getattr(fastgmm, name)(**options).fit(X.astype(of_fit))
    theirs = getattr(sklearn.mixture, name)(**options).fit(X.astype(of_fit))
    for dtype in DTYPES:
        if dtype == "longdouble":  # we have none
            assert model.score_samples(X.astype(dtype)).dtype == np.float64
            continue
        for method in ("predict_proba", "score_samples", "predict"):
            ours = getattr(model, method)(X.astype(dtype))
            assert ours.dtype == getattr(theirs, method)(X.astype(dtype)).dtype, (method, dtype)
    assert model.sample(3)[0].dtype == theirs.sample(3)[0].dtype == np.float64
    assert {getattr(model, name).dtype for name in FITTED} == {np.dtype(np.float64)}
    assert type(model.score(X.astype(of_fit))) is np.float64


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pd.DataFrame.from_records])
def test_frames_of_float32(make):
    frame = make(X.astype(np.float32))
    assert GaussianMixture().fit(frame).score_samples(frame).dtype == np.float32
    nullable = pd.DataFrame(X).astype("Float32")
    assert GaussianMixture().fit(nullable).predict_proba(nullable).dtype == np.float32
    mixed = pd.DataFrame(X).astype({0: "float32"})
    assert GaussianMixture().fit(mixed).predict_proba(mixed).dtype == np.float64


@pytest.mark.parametrize("n_samples, K", [(200, 2), (40_000, 40)])
@pytest.mark.parametrize("columns", [False, True])
def test_float32_results_are_those_of_float64_rounded(n_samples, K, columns):
    data = np.random.RandomState(1).standard_normal((n_samples, 2)).astype(np.float32)
    table = pd.DataFrame({"a": data[:, 0].copy(), "b": data[:, 1].copy()}) if columns else data
    model = GaussianMixture(K, init_params="random_from_data", max_iter=2, random_state=0)
    model.fit(table)
    double = table.astype(np.float64)
    for method in ("predict_proba", "score_samples"):
        expected = getattr(model, method)(double)
        assert expected.dtype == np.float64
        np.testing.assert_array_equal(getattr(model, method)(table), expected.astype(np.float32))
    np.testing.assert_array_equal(model.predict(table), model.predict(double))
    assert model.score(table) == model.score(double)


def test_a_sample_beyond_the_range_of_float32():
    model = GaussianMixture(2, random_state=0).fit(X.astype(np.float32))
    far = np.full((1, 2), 1e30, np.float32)
    assert model.score_samples(far)[0] == np.finfo(np.float32).min
    assert model.predict_proba(far).sum() == 1.0
    assert model.score(far) < -1e55


def test_float32_results_take_half_the_memory():
    data = np.random.RandomState(0).standard_normal((400_000, 2)).astype(np.float32)
    model = GaussianMixture(16, init_params="random_from_data", max_iter=1, random_state=0)
    model.fit(data).predict_proba(data[:9])
    tracemalloc.start()
    resp = model.predict_proba(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert resp.nbytes == 400_000 * 16 * 4
    assert peak < resp.nbytes + 12e6  # and 8 MB that are rounded at a time


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_results_of_em_are_those_of_estimators(dtype):
    data = X.astype(dtype)
    start = em.starting_parameters(data, 2, random_state=0)
    for result in (em.fit(data, start), em.gradient_ascent(data, start)):
        assert result.dtype == dtype
        model = result.to_estimator()
        for samples in (data, X, X.astype(np.float32), X.astype(int)):
            for method in ("predict_proba", "score_samples", "predict"):
                ours, expected = (getattr(of, method)(samples) for of in (result, model))
                assert ours.dtype == expected.dtype
                np.testing.assert_array_equal(ours, expected)


def test_a_variational_result_is_float64():
    data = X.astype(np.float32)
    start = em.starting_parameters(data, 2, random_state=0)
    result = em.fit(data, start, max_iter=1)
    assert result.predict_proba(data).dtype == np.float32
    model = BayesianGaussianMixture(n_components=2, random_state=0).fit(data)
    assert em.MixtureResult(model._parameters(), True, 0.0, dtype=np.dtype("f4")).predict_proba(
        data
    ).dtype == np.dtype(np.float64)


@pytest.mark.parametrize("of_fit", ["float64", "float32"])
def test_soft_kmeans(of_fit):
    model = SoftKMeans(2, random_state=0).fit(X.astype(of_fit))
    for dtype in ("float64", "float32"):
        expected = np.result_type(of_fit, dtype)
        for method in ("predict_proba", "score_samples", "transform"):
            assert getattr(model, method)(X.astype(dtype)).dtype == expected
    single = model.transform(X.astype(np.float32))
    np.testing.assert_array_equal(single, model.transform(X).astype(single.dtype))
    assert model.cluster_centers_.dtype == np.float64


def test_a_saved_model_remembers(tmp_path):
    for dtype in (np.float32, np.float64):
        model = GaussianMixture(2, random_state=0).fit(X.astype(dtype))
        fastgmm.save(model, tmp_path / "model")
        loaded = fastgmm.load(tmp_path / "model")
        data = X.astype(np.float32)
        np.testing.assert_array_equal(
            loaded.predict_proba(data), model.predict_proba(data), strict=True
        )
        assert loaded.predict_proba(data).dtype == dtype
