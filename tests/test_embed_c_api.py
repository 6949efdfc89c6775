"""The C functions, called through ctypes, have the results of the estimator."""

import ctypes
import os
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from backends import LEVELS, skip_without, using
from c_callers import Caller, fitted, sample
from generators import COVARIANCE_TYPES, DTYPES, draw
from generators import mixture as random_mixture
from numpy.lib.stride_tricks import as_strided
from numpy.testing import assert_allclose, assert_array_equal

from fastgmm import BayesianGaussianMixture, GaussianMixture
from fastgmm.data.samples import Samples
from fastgmm.em import ExactPosterior
from fastgmm.embed import CModel, c_functions, c_table

#: points in a call: singly, in blocks, and both
CHUNKS = (1, 96, 300)

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


@pytest.fixture(autouse=True)
def _kernels():
    skip_without("cython")


@pytest.fixture(scope="module")
def problems():
    """Return fitted estimators and their samples, by name and covariance type."""
    samples = {name: sample(name) for name in ("faithful", "patches")}
    return {
        (name, covariance_type): (X, fitted(X, covariance_type, K))
        for name, (X, K) in samples.items()
        for covariance_type in COVARIANCE_TYPES
    }


@pytest.fixture(params=LEVELS)
def each_level(request):
    """Let the functions, and the estimators, use one instruction set after the other."""
    skip_without(request.param)
    if os.environ.get("FASTGMM_INSTRUCTION_SET", request.param) != request.param:
        pytest.skip("another instruction set was asked for")
    caches = c_table.kernels, c_table.c_functions
    with using(request.param):
        for cache in caches:
            cache.cache_clear()
        yield request.param
    for cache in caches:
        cache.cache_clear()


def plain_distances(estimator, X):
    """Return (n, K) squared Mahalanobis distances, in plain NumPy."""
    z = X[:, None, :] - estimator.means_
    U = estimator.precisions_cholesky_
    if estimator.covariance_type == "full":
        y = np.einsum("nkj,kji->nki", z, U)
    elif estimator.covariance_type == "tied":
        y = z @ U
    else:
        y = z * np.reshape(U, (*np.shape(U)[:1], -1))
    return (y**2).sum(axis=2)


@each_dtype
@each_type
@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("name", ["faithful", "patches"])
def test_results_are_those_of_the_estimator(
    name, covariance_type, dtype, chunk, problems, each_level
):
    X, estimator = problems[name, covariance_type]
    X = X.astype(dtype)
    Z = X.astype(np.float64)
    call = Caller(estimator, chunk)
    log_density = estimator.score_samples(Z)
    log_joint = log_density[:, None] + np.log(estimator.predict_proba(Z).clip(1e-300))
    # some log-densities of order 10 are sums that nearly cancel
    assert_allclose(call.evaluate("log_density", X), log_density, rtol=1e-13, atol=1e-13)
    resp = call.evaluate("responsibilities", X, per_component=True)
    assert_allclose(resp, estimator.predict_proba(Z), atol=1e-12)
    joint = call.evaluate("log_joint", X, per_component=True)
    likely = resp > 1e-200
    assert_allclose(joint[likely], log_joint[likely], rtol=1e-11, atol=1e-11)
    labels = call.evaluate("component", X, dtype=np.int64)
    assert_array_equal(labels, estimator.predict(Z))
    distances = call.evaluate("mahalanobis", X, per_component=True)
    assert_allclose(distances, plain_distances(estimator, Z), rtol=1e-11, atol=1e-11)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
    for w in (None, weights):
        statistics = call.accumulate(X, w)
        expected = ExactPosterior().summarize(Samples(X, w), estimator.to_parameters())
        for actual, wanted in zip(statistics.central(), expected.central(), strict=True):
            assert_allclose(actual, wanted, atol=1e-12 * np.abs(wanted).max())
        assert_allclose(statistics.log_likelihood, expected.log_likelihood, rtol=1e-12)
        assert_allclose(statistics.weight, expected.weight, rtol=1e-12)


def test_each_level_has_functions_of_its_own(each_level):
    name = c_table.kernels().__name__
    assert name.endswith(f"passes_{each_level}_float64")
    assert ctypes.addressof(c_functions()) == c_table.kernels().c_api()[1]


@each_type
@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("d, K", [(1, 2), (4, 5), (16, 9), (33, 8)])
def test_distances_are_never_negative(covariance_type, d, K, chunk):
    """A point on a mean is at a distance of 0, or more by rounding, and not of -0."""
    parameters = random_mixture(covariance_type, K, d)
    X = np.tile(parameters.means, (300 // K + 1, 1))[:300]
    X[::7] *= 1 + 1e-15
    distances = Caller(parameters, chunk).evaluate("mahalanobis", X, per_component=True)
    estimator = GaussianMixture.from_parameters(
        parameters.weights, parameters.means, parameters.covariances,
        covariance_type=covariance_type,
    )  # fmt: skip
    for values in (distances, estimator.mahalanobis(X)):
        assert not np.signbit(values).any()
        assert_allclose(values, plain_distances(estimator, X), rtol=1e-11, atol=1e-11)


@each_type
@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("scenario", ["touching", "overlapping", "separated", "large", "small"])
def test_results_stay_in_their_range(covariance_type, chunk, scenario):
    d, K, n = 5, 9, 300
    parameters = random_mixture(covariance_type, K, d, scenario=scenario)
    call, X = Caller(parameters, chunk), draw(parameters, n)
    statistics = call.accumulate(X)
    nk, _, second = statistics.moments
    assert (nk >= 0.0).all()
    assert nk.sum() == pytest.approx(n, rel=1e-12)
    squares = second if second.shape in ((K,), (K, d)) else np.diagonal(second, axis1=-2, axis2=-1)
    assert (squares >= 0.0).all()
    X[::5] *= 1e160  # squares of these are infinite
    log_density = call.evaluate("log_density", X)
    joint = call.evaluate("log_joint", X, per_component=True)
    resp = call.evaluate("responsibilities", X, per_component=True)
    labels = call.evaluate("component", X, dtype=np.int64)
    assert np.isfinite(log_density).all()
    assert (joint.max(axis=1) <= log_density).all()
    assert_array_equal(labels, joint.argmax(axis=1))
    assert ((resp >= 0.0) & (resp <= 1.0)).all()
    assert_allclose(resp.sum(axis=1), 1.0, rtol=1e-14)
    assert (call.evaluate("mahalanobis", X, per_component=True) >= 0.0).all()


@each_type
@pytest.mark.parametrize("d, K", [(1, 1), (1, 9), (2, 8), (3, 5), (5, 17), (9, 3), (33, 40)])
@pytest.mark.parametrize("scenario", ["touching", "overlapping", "separated", "far from zero"])
def test_points_and_blocks_agree_on_all_shapes(covariance_type, d, K, scenario):
    parameters = random_mixture(covariance_type, K, d, scenario=scenario)
    rng = np.random.default_rng([d, K])
    labels = rng.integers(0, K, 130)
    X = parameters.means[labels] + rng.normal(size=(130, d))
    single, block = Caller(parameters, 1), Caller(parameters, 130)
    # far from zero, rounding of x alone moves a distance by more
    rtol = 1e-12 if scenario != "far from zero" else 1e-7
    for name, wide in (("log_density", False), ("log_joint", True), ("mahalanobis", True)):
        a, b = (call.evaluate(name, X, per_component=wide) for call in (single, block))
        assert_allclose(a, b, rtol=rtol, atol=1e-9 * np.abs(b).max() * rtol / 1e-12)
    a, b = (call.accumulate(X) for call in (single, block))
    for actual, wanted in zip(a.moments, b.moments, strict=True):
        assert_allclose(actual, wanted, atol=rtol * max(np.abs(wanted).max(), 130.0 * d))


def test_log_density_beside_responsibilities_and_strides(problems):
    X, estimator = problems["patches", "full"]
    call = Caller(estimator)
    wide = np.full((len(X), call.d + 3), np.nan)
    wide[:, : call.d] = X
    resp, norm = np.empty((len(X), call.K)), np.empty(len(X))
    call("responsibilities", wide, resp, norm)
    assert_allclose(norm, estimator.score_samples(X), rtol=1e-13)
    assert_allclose(resp, estimator.predict_proba(X), atol=1e-12)
    call("responsibilities", X, None, norm)
    assert_allclose(norm, estimator.score_samples(X), rtol=1e-13)


def test_bayesian_mixture():
    X, _ = sample("faithful")
    estimator = BayesianGaussianMixture(n_components=3, random_state=0).fit(X)
    assert_allclose(
        Caller(estimator).evaluate("log_density", X), estimator.score_samples(X), rtol=1e-13
    )


def test_a_component_of_weight_0_is_never_chosen():
    estimator = GaussianMixture.from_parameters(
        [0.0, 1.0], [[0.0], [5.0]], [[1.0], [1.0]], covariance_type="diag"
    )
    X = np.zeros((1, 1))
    assert Caller(estimator).evaluate("component", X, dtype=np.int64)[0] == 1


def test_of_equal_components_the_first():
    estimator = GaussianMixture.from_parameters([0.5, 0.5], [[1.0], [1.0]], [1.0, 1.0],
                                                covariance_type="spherical")  # fmt: skip
    for n in (1, 200):
        labels = Caller(estimator).evaluate("component", np.ones((n, 1)), dtype=np.int64)
        assert_array_equal(labels, np.zeros(n))


@each_dtype
@each_type
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["faithful", "patches"])
def test_points_that_are_not_finite(name, covariance_type, dtype, value, problems):
    """Their results are NaN and -1; those of their neighbours do not change."""
    X, estimator = problems[name, covariance_type]
    clean = X[:260].astype(dtype)
    bad = clean.copy()
    rows = [0, 100, 257]
    bad[rows, -1] = value
    good = np.setdiff1d(np.arange(260), rows)
    for chunk in (1, 260):
        call = Caller(estimator, chunk)
        for function in ("log_density", "log_joint", "responsibilities", "mahalanobis"):
            wide = function != "log_density"
            out = call.evaluate(function, bad, per_component=wide)
            assert np.isnan(out[rows]).all()
            assert_array_equal(out[good], call.evaluate(function, clean, per_component=wide)[good])
        labels = call.evaluate("component", bad, dtype=np.int64)
        assert_array_equal(labels[rows], [-1, -1, -1])
        assert_array_equal(labels[good], estimator.predict(clean[good].astype(np.float64)))
        poisoned = call.accumulate(bad)
        assert np.isnan(poisoned.moments.nk).all()
        assert np.isnan(poisoned.log_likelihood)
        weights = np.ones(260)
        weights[rows] = 0.0
        absent, expected = call.accumulate(bad, weights), call.accumulate(clean, weights)
        for actual, wanted in zip(absent.moments, expected.moments, strict=True):
            assert_allclose(actual, wanted, rtol=1e-12, atol=1e-12)
        assert absent.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-13)
        assert_allclose(poisoned.moments.first, absent.moments.first, rtol=1e-12, atol=1e-12)
        assert_allclose(poisoned.moments.second, absent.moments.second, rtol=1e-12, atol=1e-12)
        assert poisoned.weight == 260


@each_type
@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e200, -1e300])
def test_points_of_weight_0_add_nothing(covariance_type, chunk, value, problems):
    X, estimator = problems["patches", covariance_type]
    X = X[:300].copy()
    X[::7, 2] = value
    call = Caller(estimator, chunk)
    statistics = call.accumulate(X, np.zeros(300))
    assert not any(part.any() for part in statistics.moments)
    assert (statistics.log_likelihood, statistics.weight) == (0.0, 0.0)


def test_statistics_add_up_and_may_be_copied(problems):
    X, estimator = problems["patches", "full"]
    call = Caller(estimator)
    functions, address = c_functions(), call.model.address
    whole = call.accumulate(X)
    parts = []
    for rows in (X[:300], X[300:]):
        memory = call.model.new_statistics()
        workspace = np.empty(call.model.workspace_size(len(rows)), np.uint8)
        code = functions.accumulate_f64(
            *(address, rows.ctypes.data, len(rows), call.d, None, memory.ctypes.data),
            *(workspace.ctypes.data, workspace.nbytes),
        )
        assert code == 0
        parts.append(memory.copy())
    assert functions.statistics_add(address, parts[0].ctypes.data, parts[1].ctypes.data) == 0
    total = CModel(estimator).read_statistics(parts[1])
    for actual, wanted in zip(total.moments, whole.moments, strict=True):
        assert_allclose(actual, wanted, atol=1e-12 * len(X))
    assert total.weight == len(X)
    assert total.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-13)


@each_dtype
@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("stride", [0, 1, 3, -2, -7])
def test_rows_may_overlap_and_go_backwards(stride, chunk, dtype):
    d, K, n = 4, 3, 300
    call = Caller(random_mixture("full", K, d), chunk)
    numbers = np.random.default_rng(0).normal(size=abs(stride) * (n - 1) + d).astype(dtype)
    first = numbers[max(-stride, 0) * (n - 1) :]
    step = stride * numbers.itemsize
    rows = as_strided(first, (n, d), (step, numbers.itemsize), writeable=False)
    copy = rows.copy()
    for name, wide in (("log_density", False), ("responsibilities", True), ("mahalanobis", True)):
        actual, expected = (call.evaluate(name, X, per_component=wide) for X in (rows, copy))
        assert_array_equal(actual, expected)
    labels = [call.evaluate("component", X, dtype=np.int64) for X in (rows, copy)]
    assert_array_equal(*labels)
    for actual, expected in zip(
        call.accumulate(rows).moments, call.accumulate(copy).moments, strict=True
    ):
        assert_array_equal(actual, expected)


def test_workspace_of_any_alignment(problems):
    X, estimator = problems["patches", "full"]
    model, out, n = CModel(estimator), np.empty(300), 300
    size = model.workspace_size(n)
    for offset in range(0, 64, 9):
        memory = np.full(size + 128, 0xA5, np.uint8)
        start = memory.ctypes.data + offset
        code = c_functions().log_density_f64(
            model.address, X.ctypes.data, n, X.shape[1], out.ctypes.data, start, size
        )
        assert code == 0
        assert (memory[:offset] == 0xA5).all()
        assert (memory[offset + size :] == 0xA5).all()
        assert_allclose(out, estimator.score_samples(X[:n]), rtol=1e-13)


@pytest.mark.parametrize("part", [slice(4), slice(None, None, -1)])
def test_statistics_are_not_read_beyond_an_array(part):
    model = CModel(random_mixture("full", 2, 2))
    with pytest.raises(ValueError, match="statistics should be an array of 352 contiguous bytes"):
        model.read_statistics(model.new_statistics()[part])


def test_the_model_is_a_copy_that_its_capsule_keeps(problems):
    X, estimator = problems["faithful", "full"]
    mixture = GaussianMixture.from_parameters(
        estimator.weights_, estimator.means_.copy(), estimator.covariances_
    )
    expected = mixture.score_samples(X)
    call = Caller(mixture)
    mixture.means_ += 1.0
    assert_allclose(call.evaluate("log_density", X), expected, rtol=1e-13)
    capsule, address = call.model.capsule, call.model.address
    del call, mixture
    assert c_functions().check(address) == 0
    assert "fastgmm_model" in repr(capsule)


def test_models_are_freed():
    """The statement after each model ends the life of the one before, and of its capsule."""
    parameters = random_mixture("full", 50, 20)
    size = parameters.covariances.nbytes
    CModel(parameters)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(4):
            kept = CModel(parameters).capsule
        assert tracemalloc.get_traced_memory()[0] - before > size / 2
        del kept
        assert tracemalloc.get_traced_memory()[0] - before < size / 2
    finally:
        tracemalloc.stop()


def test_many_threads_share_a_model(problems):
    X, estimator = problems["patches", "full"]
    call = Caller(estimator)
    expected = call.evaluate("log_density", X)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: call.evaluate("log_density", X), range(16)))
    for result in results:
        assert_array_equal(result, expected)


def test_low_level_callable():
    from scipy.integrate import nquad, quad

    line = GaussianMixture.from_parameters([0.3, 0.7], [[0.0], [3.0]], [[[1.0]], [[0.5]]])
    model = CModel(line)
    assert quad(model.low_level_callable(), -12.0, 15.0)[0] == pytest.approx(1.0, abs=1e-8)
    plane = CModel(random_mixture("full", 2, 2))
    assert nquad(plane.low_level_callable(), [(-25, 25), (-25, 25)], opts={"limit": 200})[
        0
    ] == pytest.approx(1.0, abs=1e-4)
    entropy = quad(model.low_level_callable("log_density"), -1.0, 1.0)[0]
    grid = np.linspace(-1.0, 1.0, 2001)[:, None]
    assert entropy == pytest.approx(np.trapezoid(line.score_samples(grid), grid[:, 0]), abs=1e-6)
    with pytest.raises(ValueError, match="function must be"):
        model.low_level_callable("entropy")
    point = (ctypes.c_double * 2)()
    integrand = model.low_level_callable()
    value = c_functions().density_integrand(1, point, integrand.user_data)
    assert value == pytest.approx(np.exp(line.score_samples([[0.0]])[0]))


def test_without_kernels_the_error_says_how_to_get_them(run_python):
    printed = run_python("""
from fastgmm._kernels import build
build.LEVELS, build.MISSING = {}, "no working C compiler"
from fastgmm import GaussianMixture
from fastgmm.embed import CModel, get_include
get_include()
try:
    CModel(object())
except ImportError as error:
    print(error)
""")
    assert "missing (no working C compiler). Build fastgmm" in printed
    assert "pip install" in printed


def test_workspace_size_takes_any_number_of_points_but_a_negative_one():
    model = CModel(random_mixture("full", 3, 2))
    assert model.workspace_size(2**70) == model.workspace_size(256)
    assert 0 < model.workspace_size(0) <= model.workspace_size(1) < model.workspace_size(256)
    with pytest.raises(ValueError, match="max_points should be at least 0, got -1"):
        model.workspace_size(-1)
