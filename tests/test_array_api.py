"""With scikit-learn's Array API dispatch, results and attributes follow the library of X."""

import pytest
import sklearn
from sklearn.utils.fixes import parse_version

# SciPy reads SCIPY_ARRAY_API when it is imported, so each test has an interpreter of its own.
BEGIN = """
import numpy as np
import sklearn
from sklearn.base import clone

import fastgmm

X = np.random.RandomState(0).poisson([[3, 9], [12, 4]] * 60, (120, 2)).astype(np.float64)
X += np.random.RandomState(1).uniform(size=X.shape)
MODELS = [
    fastgmm.GaussianMixture(2, random_state=0),
    fastgmm.GaussianMixture(2, covariance_type="tied", init_params="random", random_state=0),
    fastgmm.BayesianGaussianMixture(n_components=2, random_state=0),
    fastgmm.SoftKMeans(2, random_state=0),
]
METHODS = ("predict", "predict_proba", "score_samples", "transform")


def raised(call):
    try:
        call()
    except ValueError as error:
        return str(error)
    raise AssertionError("nothing was raised")
"""

LIBRARIES = {
    "torch": "import torch as library; device = torch_device = library.device('cpu')",
    "array_api_strict": (
        "import array_api_strict as library; device = library.Device('CPU_DEVICE')"
    ),
    "array_api_strict, another device": (
        "import array_api_strict as library; device = library.Device('device1')"
    ),
}

FOLLOWS = """
import warnings

warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)


def numpy_of(array):
    assert type(array) is type(library.asarray([0.0])), type(array)
    assert array.device == device
    return np.from_dlpack(array)


for model in MODELS:
    for dtype in ("float64", "float32"):
        plain = clone(model).fit(X.astype(dtype))
        data = library.asarray(X.astype(dtype), device=device)
        weight = library.asarray(np.ones(len(X)), device=device)
        with sklearn.config_context(array_api_dispatch=True):
            fitted = clone(model).fit(data)
            for method in METHODS:
                if hasattr(plain, method):
                    result = numpy_of(getattr(fitted, method)(data))
                    expected = getattr(plain, method)(X.astype(dtype))
                    assert result.dtype == expected.dtype
                    np.testing.assert_array_equal(result, expected)
            expected = plain.score(X.astype(dtype), sample_weight=np.ones(len(X)))
            assert fitted.score(data, sample_weight=weight) == expected
            for ours, expected in zip(fitted.sample(5), plain.sample(5)):
                np.testing.assert_array_equal(numpy_of(ours), expected)
            for name, value in vars(plain).items():
                if name.endswith("_") and isinstance(value, np.ndarray):
                    np.testing.assert_array_equal(numpy_of(getattr(fitted, name)), value)
            if hasattr(plain, "marginal"):
                part = data[:, 1:]
                marginal, expected = fitted.marginal(1), plain.marginal(1)
                np.testing.assert_array_equal(numpy_of(marginal.means_), expected.means_)
                expected = plain.condition(1, X[:, 1:].astype(dtype))
                np.testing.assert_array_equal(fitted.condition(1, part).means, expected.means)
                score = plain.outlier_score(X.astype(dtype), n_draws=100)
                ours = numpy_of(fitted.outlier_score(data, n_draws=100))
                np.testing.assert_array_equal(ours, score)
                merged = plain.merge_components(X.astype(dtype))
                ours = fitted.merge_components(data)
                np.testing.assert_array_equal(ours.entropies, merged.entropies)
                for ask in ("predict", "predict_proba"):
                    expected = getattr(merged, ask)(X.astype(dtype))
                    np.testing.assert_array_equal(numpy_of(getattr(ours, ask)(data)), expected)
            name = type(model).__name__
            assert f"Inputs passed to {name}.predict() must use the same namespace" in raised(
                lambda: fitted.predict(X)
            )
            assert "expected an array of NumPy" in raised(lambda: plain.predict(data))
            assert "Input X contains NaN" in raised(lambda: clone(model).fit(data * float("nan")))
        # without dispatch the same arrays are read and results are NumPy's
        outside = clone(model).fit(data).predict(data)
        assert type(outside) is np.ndarray
        np.testing.assert_array_equal(outside, plain.predict(X.astype(dtype)))

with sklearn.config_context(array_api_dispatch=True):
    start = [library.asarray(values, device=device) for values in ([0.5, 0.5], X[:2], [1.0, 1.0])]
    given = dict(zip(("weights_init", "means_init", "covariances_init"), start))
    model = fastgmm.GaussianMixture(2, covariance_type="spherical", **given).fit(data)
    numpy_of(model.covariances_)
    known = fastgmm.GaussianMixture.from_parameters(*start, covariance_type="spherical")
    numpy_of(known.predict(data))
    lists = fastgmm.GaussianMixture(2, random_state=0).fit(X.tolist())
    assert type(lists.means_) is np.ndarray
print("ok")
"""


@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"),
    reason="mixtures have dispatch since scikit-learn 1.8, and the same parts of it since 1.9",
)
@pytest.mark.parametrize("library", LIBRARIES)
def test_results_follow_the_samples(library, run_python):
    pytest.importorskip(library.partition(",")[0])
    script = f"{BEGIN}\n{LIBRARIES[library]}\n{FOLLOWS}"
    assert run_python(script, SCIPY_ARRAY_API="1").endswith("ok\n")


CHECKS = """
import warnings

from sklearn.utils.estimator_checks import check_estimator

warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)
for model in (*MODELS, fastgmm.GaussianMixture(), fastgmm.SoftKMeans()):
    if getattr(model, "n_components", 1) > 1:  # where a start depends on the order of samples
        model.set_params(n_components=1)
    outcomes = check_estimator(model, on_skip=None, on_fail=None)
    failed = [o for o in outcomes if o["status"] not in ("passed", "skipped")]
    # torch lists CUDA also where it has no driver
    assert all("CUDA" in str(o["exception"]) for o in failed), failed
    names = {o["check_name"] for o in outcomes if o["status"] == "passed"}
    assert {"check_array_api_input", "check_array_api_same_namespace"} <= names
print("ok")
"""


@pytest.mark.slow
@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"), reason="checks are those of 1.9"
)
def test_the_checks_of_scikit_learn(run_python):
    pytest.importorskip("array_api_strict")
    assert run_python(f"{BEGIN}\n{CHECKS}", SCIPY_ARRAY_API="1").endswith("ok\n")
