"""Predictions into arrays that the caller owns: out= of the batch methods."""

import json
import threading

import numpy as np
import pytest
from generators import COVARIANCE_TYPES, draw, mixture

from fastgmm import BayesianGaussianMixture, GaussianMixture, SoftKMeans

METHODS = ("score_samples", "predict_proba", "predict", "mahalanobis")
K, D = 3, 5


def estimator(covariance_type="full", **options):
    parameters = mixture(covariance_type, K, D)
    return GaussianMixture.from_parameters(
        parameters.weights,
        parameters.means,
        parameters.covariances,
        covariance_type=covariance_type,
        **options,
    )


def samples(n=1000, dtype="float64"):
    return draw(mixture("full", K, D), n, dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("method", METHODS)
def test_out_is_filled_and_returned(method, covariance_type, dtype):
    predict, X = getattr(estimator(covariance_type), method), samples(dtype=dtype)
    expected = predict(X)
    out = np.full(expected.shape, 7, expected.dtype)
    assert predict(X, out=out) is out
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("model", [BayesianGaussianMixture(), SoftKMeans(3, random_state=0)])
def test_other_estimators(model):
    X = samples()
    model.fit(X)
    for method in ("score_samples", "predict_proba", "predict"):
        expected = getattr(model, method)(X)
        out = np.full_like(expected, 7)
        assert getattr(model, method)(X, out=out) is out
        np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("method", ["score_samples", "predict_proba"])
def test_float32_results_may_be_taken_in_float64(method):
    X = samples(dtype="float32")
    model = GaussianMixture(K, random_state=0).fit(X)
    rounded = getattr(model, method)(X)
    assert rounded.dtype == np.float32
    for dtype in (np.float32, np.float64):
        out = np.empty(rounded.shape, dtype)
        getattr(model, method)(X, out=out)
        np.testing.assert_array_equal(out.astype(np.float32), rounded)


def test_mahalanobis():
    model, X = estimator(), samples(20)
    z = X[:, np.newaxis] - model.means_
    expected = np.einsum("nki,kij,nkj->nk", z, model.precisions_, z)
    np.testing.assert_allclose(model.mahalanobis(X), expected, rtol=1e-10)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_distances_of_the_means_are_not_negative(covariance_type):
    model = estimator(covariance_type)
    distances = model.mahalanobis(model.means_ + 1e-9)
    assert (distances >= 0).all()
    np.testing.assert_allclose(np.diagonal(distances), 0.0, atol=1e-12)


def not_writable(shape):
    out = np.empty(shape)
    out.flags.writeable = False
    return out


@pytest.mark.parametrize(
    "out, error, message",
    [
        ([0.0] * 10, TypeError, "out should be a NumPy array, but got list."),
        (np.empty(10, ">f8"), TypeError, "out should have the dtype float64, but got >f8."),
        (np.empty(10, np.float32), TypeError, "have the dtype float64, but got float32."),
        (np.empty(9), ValueError, r"out should have the shape of \(10,\), but got \(9,\)."),
        (np.empty((10, 1)), ValueError, r"shape of \(10,\), but got \(10, 1\)."),
        (np.empty(20)[::2], ValueError, "out should be C-contiguous, but got an array that is not"),
        (not_writable(10), ValueError, "out should be writable, but got an array that is not"),
        (
            np.empty(81, np.uint8)[1:].view(np.float64),
            ValueError,
            "out should be aligned, but got an array that is not",
        ),
    ],
)
def test_arrays_that_cannot_take_the_result(out, error, message):
    with pytest.raises(error, match=message):
        estimator().score_samples(samples(10), out=out)


def test_labels_are_int64():
    with pytest.raises(TypeError, match=r"out should have the dtype int64, but got float64\."):
        estimator().predict(samples(10), out=np.empty(10))


@pytest.mark.parametrize("method", ["score_samples", "predict_proba", "mahalanobis"])
def test_overlap_is_refused(method):
    memory = np.zeros(200)
    X = memory[:50].reshape(10, 5)
    shape = (10,) if method == "score_samples" else (10, K)
    with pytest.raises(ValueError, match="out should not overlap X"):
        getattr(estimator(), method)(X, out=memory[45 : 45 + np.prod(shape)].reshape(shape))
    assert not memory.any()
    getattr(estimator(), method)(X, out=memory[50 : 50 + np.prod(shape)].reshape(shape))
    assert memory[50:].any()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_many_threads_at_once(n_jobs):
    model, X = estimator(n_jobs=n_jobs), samples(20_000)
    expected = {method: getattr(model, method)(X) for method in METHODS}
    found = [{name: np.empty_like(array) for name, array in expected.items()} for _ in range(8)]
    start = threading.Barrier(len(found))

    def work(outputs):
        start.wait()
        for _ in range(5):
            for method, out in outputs.items():
                getattr(model, method)(X, out=out)

    threads = [threading.Thread(target=work, args=(outputs,)) for outputs in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for outputs in found:
        for method, out in outputs.items():
            np.testing.assert_array_equal(out, expected[method])


#: The results take 8 MB (a number a sample) to 64 MB.
MEMORY = """
import json, tracemalloc
import numpy as np
from fastgmm import GaussianMixture

X = np.random.default_rng(0).standard_normal((1_000_000, 2)).astype("{dtype}")
model = GaussianMixture(8, init_params="random_from_data", max_iter=1, tol=1e9, n_jobs=2)
model.fit(X[:1000])
grown = {{}}
for method in ("score_samples", "predict_proba", "predict", "mahalanobis"):
    predict = getattr(model, method)
    small = predict(X[:10])
    out = np.empty((len(X), *small.shape[1:]), small.dtype)
    tracemalloc.start()
    predict(X, out=out)
    grown[method] = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
print(json.dumps(grown))
"""


@pytest.mark.slow
def test_no_memory_grows_with_the_samples(run_python):
    grown = json.loads(run_python(MEMORY.format(dtype="float64")))
    assert len(grown) == 4
    assert max(grown.values()) < 4, grown


@pytest.mark.slow
def test_what_is_rounded_to_float32_waits_in_blocks(run_python):
    grown = json.loads(run_python(MEMORY.format(dtype="float32")))
    assert max(grown.values()) < 12, grown
