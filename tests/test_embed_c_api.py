"""The C functions, called through ctypes: results of the estimator, and codes for what is wrong."""

import ctypes
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from backends import skip_without
from generators import COVARIANCE_TYPES, DTYPES
from generators import mixture as random_mixture
from numpy.testing import assert_allclose, assert_array_equal

from fastgmm import BayesianGaussianMixture, GaussianMixture
from fastgmm.data.sample_data import load_sample
from fastgmm.em import ExactPosterior
from fastgmm.embed import CModel, c_functions

FAITHFUL = Path(__file__).parent / "data" / "faithful.csv"
GUARD = 64
#: points in a call: singly, in blocks, and both
CHUNKS = (1, 96, 300)
NULL_POINTER, WRONG_VERSION, WRONG_SIZE, WRONG_COVARIANCE_TYPE = -1, -2, -3, -4
NOT_FINITE, WORKSPACE_TOO_SMALL, WRONG_STATISTICS, MISALIGNED = -5, -6, -7, -8

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


@pytest.fixture(autouse=True)
def _kernels():
    skip_without("cython")


class Guarded:
    """Memory between guards, which must stay as they are."""

    def __init__(self, shape, dtype=np.float64):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        self.whole = np.full(size + 2 * GUARD, 0xA5, np.uint8)
        self.array = self.whole[GUARD : GUARD + size].view(dtype).reshape(shape)

    def check(self):
        assert (self.whole[:GUARD] == 0xA5).all()
        assert (self.whole[-GUARD:] == 0xA5).all()
        return self.array


class Caller:
    """A model with workspace of exactly the size that it asks for."""

    def __init__(self, mixture, chunk=300):
        self.model = CModel(mixture)
        self.chunk = chunk
        self.K, self.d = self.model.n_components, self.model.n_features

    def __call__(self, name, X, *outputs):
        """Call a function for chunk after chunk; all outputs have a row for each point."""
        function = getattr(c_functions(), f"{name}_f{8 * X.itemsize}")
        workspace = Guarded(self.model.workspace_size(self.chunk), np.uint8)
        for start in range(0, len(X), self.chunk):
            rows = X[start : start + self.chunk]
            pointers = [None if out is None else out[start:].ctypes.data for out in outputs]
            code = function(
                *(self.model.address, rows.ctypes.data, len(rows), X.strides[0] // X.itemsize),
                *pointers,
                *(workspace.array.ctypes.data, workspace.array.nbytes),
            )
            assert code == 0, c_functions().strerror(code)
            workspace.check()

    def evaluate(self, name, X, *, dtype=np.float64, per_component=False):
        out = Guarded((len(X), self.K) if per_component else len(X), dtype)
        outputs = (out.array, None) if name == "responsibilities" else (out.array,)
        self(name, X, *outputs)
        return out.check()

    def accumulate(self, X, weights=None):
        statistics = Guarded(len(self.model.new_statistics()))
        assert c_functions().statistics_clear(self.model.address, statistics.array.ctypes.data) == 0
        function = getattr(c_functions(), f"accumulate_f{8 * X.itemsize}")
        workspace = np.empty(self.model.workspace_size(self.chunk), np.uint8)
        for start in range(0, len(X), self.chunk):
            rows = X[start : start + self.chunk]
            code = function(
                *(self.model.address, rows.ctypes.data, len(rows), X.strides[0] // X.itemsize),
                None if weights is None else weights[start:].ctypes.data,
                *(statistics.array.ctypes.data, workspace.ctypes.data, workspace.nbytes),
            )
            assert code == 0, c_functions().strerror(code)
        return self.model.read_statistics(statistics.check())


def sample(name):
    if name == "faithful":
        return np.loadtxt(FAITHFUL, delimiter=",", skiprows=1), 2
    return np.ascontiguousarray(load_sample("patches")[::1080]), 11


def fitted(X, covariance_type, K):
    estimator = GaussianMixture(
        K, covariance_type=covariance_type, random_state=0, max_iter=8, tol=1e-2, reg_covar=1e-4
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a few iterations do
        return estimator.fit(X)


@pytest.fixture(scope="module")
def problems():
    """Return fitted estimators and their samples, by name and covariance type."""
    samples = {name: sample(name) for name in ("faithful", "patches")}
    return {
        (name, covariance_type): (X, fitted(X, covariance_type, K))
        for name, (X, K) in samples.items()
        for covariance_type in COVARIANCE_TYPES
    }


def expected_statistics(estimator, X, weights=None):
    """Return nk, first and second moments about the means, in plain NumPy."""
    w = np.ones(len(X)) if weights is None else weights
    r = estimator.predict_proba(X) * w[:, None]
    z = X[:, None, :] - estimator.means_
    second = {
        "full": "nk,nkd,nke->kde",
        "tied": "nk,nkd,nke->de",
        "diag": "nk,nkd,nkd->kd",
        "spherical": "nk,nkd,nkd->k",
    }[estimator.covariance_type]
    return r.sum(axis=0), np.einsum("nk,nkd->kd", r, z), np.einsum(second, r, z, z)


def plain_distances(estimator, X):
    """Return (n, K) squared Mahalanobis distances, in plain NumPy."""
    z = X[:, None, :] - estimator.means_
    U = estimator.precisions_cholesky_
    if estimator.covariance_type == "full":
        y = np.einsum("nkj,kji->nki", z, U)
    elif estimator.covariance_type == "tied":
        y = z @ U
    else:
        y = z * U.reshape(len(estimator.means_), -1)
    return (y**2).sum(axis=2)


@each_dtype
@each_type
@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("name", ["faithful", "patches"])
def test_results_are_those_of_the_estimator(name, covariance_type, dtype, chunk, problems):
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
        expected = expected_statistics(estimator, Z, w)
        for actual, wanted in zip(statistics.moments, expected, strict=True):
            assert_allclose(actual, wanted, atol=1e-12 * max(np.abs(wanted).max(), len(X)))
        w = np.ones(len(X)) if w is None else w
        assert_allclose(statistics.log_likelihood, w @ log_density, rtol=1e-12)
        assert_allclose(statistics.weight, w.sum(), rtol=1e-13)


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


def test_statistics_are_those_of_the_library(problems):
    from fastgmm.data.samples import Samples

    X, estimator = problems["patches", "tied"]
    parameters = estimator.to_parameters()
    expected = ExactPosterior().summarize(Samples(X), parameters)
    actual = Caller(estimator).accumulate(X)
    for a, b in zip(actual.central(), expected.central(), strict=True):
        assert_allclose(a, b, rtol=1e-10, atol=1e-10)


def copy_of(model):
    """Return a copy of a fastgmm_model that a test may spoil."""
    size = (ctypes.c_uint32 * 2).from_address(model.address)[1]
    return bytearray(ctypes.string_at(model.address, size))


def address_of(memory):
    return ctypes.addressof(ctypes.c_uint8.from_buffer(memory))


OFFSETS = {"version": (0, 4), "struct_size": (4, 4), "covariance_type": (8, 4), "leading": (12, 4),
           "n_components": (16, 8), "n_features": (24, 8)}  # fmt: skip


def spoil(memory, name, value):
    start, size = OFFSETS[name]
    memory[start : start + size] = value.to_bytes(size, "little")


BAD_MODELS = [
    ("version", 99, WRONG_VERSION),
    ("struct_size", 8, WRONG_VERSION),
    ("covariance_type", 4, WRONG_COVARIANCE_TYPE),
    ("n_components", 0, WRONG_SIZE),
    ("n_components", 2**62, WRONG_SIZE),
    ("n_features", 0, WRONG_SIZE),
    ("n_features", 2**40, WRONG_SIZE),
]


def all_calls(address, x, out, statistics, workspace, size):
    """Yield a call of every function that takes a model."""
    f = c_functions()
    one = (address, x, 1, 2)
    yield lambda: f.check(address)
    yield lambda: f.workspace_size(address, 1, out)
    for suffix in ("f64", "f32"):
        for name in ("log_density", "log_joint", "mahalanobis", "component"):
            yield lambda n=name, s=suffix: getattr(f, f"{n}_{s}")(*one, out, workspace, size)
        for name in ("responsibilities", "accumulate"):
            second = out if name == "responsibilities" else statistics
            yield lambda n=name, s=suffix, o=second: getattr(f, f"{n}_{s}")(
                *one, None, o, workspace, size
            )
    yield lambda: f.statistics_size(address, out)
    yield lambda: f.statistics_clear(address, statistics)
    yield lambda: f.statistics_add(address, statistics, statistics)
    yield lambda: f.statistics_read(address, statistics, None, None, None, out, None)


@pytest.fixture
def arguments(problems):
    _, estimator = problems["faithful", "full"]
    model = CModel(estimator)
    workspace = np.empty(model.workspace_size(1), np.uint8)
    kept = [np.ones(8), np.empty(8), model.new_statistics(), workspace, model]
    return model, [a.ctypes.data for a in kept[:4]] + [workspace.nbytes], kept


def test_good_arguments_are_no_error(arguments):
    model, given, _ = arguments
    assert {call() for call in all_calls(model.address, *given)} == {0}


@pytest.mark.parametrize("field, value, code", BAD_MODELS)
def test_every_function_refuses_a_bad_model(field, value, code, arguments):
    model, given, _ = arguments
    memory = copy_of(model)
    spoil(memory, field, value)
    codes = {call() for call in all_calls(address_of(memory), *given)}
    assert codes == {code}


def test_null_pointers(arguments):
    model, (x, out, statistics, workspace, size), _ = arguments
    assert {call() for call in all_calls(None, x, out, statistics, workspace, size)} == {
        NULL_POINTER
    }
    f = c_functions()
    a = model.address
    assert f.log_density_f64(a, None, 1, 2, out, workspace, size) == NULL_POINTER
    assert f.log_density_f64(a, x, 1, 2, None, workspace, size) == NULL_POINTER
    assert f.log_density_f64(a, x, 1, 2, out, None, size) == NULL_POINTER
    assert f.mahalanobis_f64(a, x, 1, 2, None, workspace, size) == NULL_POINTER
    assert f.responsibilities_f64(a, x, 1, 2, None, None, workspace, size) == NULL_POINTER
    assert f.accumulate_f64(a, x, 1, 2, None, None, workspace, size) == NULL_POINTER
    assert f.workspace_size(a, 1, None) == NULL_POINTER
    assert f.statistics_size(a, None) == NULL_POINTER
    assert f.statistics_clear(a, None) == NULL_POINTER
    assert f.statistics_add(a, None, statistics) == NULL_POINTER
    assert f.statistics_read(a, None, None, None, None, None, None) == NULL_POINTER


def test_workspace_and_statistics_are_checked(arguments, problems):
    model, (x, out, statistics, workspace, size), kept = arguments
    f, a = c_functions(), model.address
    assert f.log_density_f64(a, x, 1, 2, out, workspace, size - 1) == WORKSPACE_TOO_SMALL
    assert f.log_density_f64(a, x, 96, 2, out, workspace, size) == WORKSPACE_TOO_SMALL
    assert f.accumulate_f64(a, x, 1, 2, None, statistics, workspace, 0) == WORKSPACE_TOO_SMALL
    assert f.statistics_clear(a, statistics + 4) == MISALIGNED
    assert f.accumulate_f64(a, x, 1, 2, None, statistics + 4, workspace, size) == MISALIGNED
    other = CModel(random_mixture("full", 2, 2))
    theirs = other.new_statistics().ctypes.data
    assert f.statistics_add(a, theirs, statistics) == WRONG_STATISTICS
    assert f.accumulate_f64(a, x, 1, 2, None, theirs, workspace, size) == WRONG_STATISTICS
    with pytest.raises(ValueError, match="were not cleared"):
        model.read_statistics(np.zeros_like(kept[2]))


def test_no_points_are_no_error(arguments):
    model, (x, out, statistics, workspace, size), _ = arguments
    f, a = c_functions(), model.address
    assert f.log_density_f64(a, x, 0, 2, out, workspace, size) == 0
    assert f.accumulate_f64(a, x, 0, 2, None, statistics, workspace, size) == 0
    assert model.read_statistics(statistics).weight == 0.0


def test_check_looks_at_every_number_and_pointer(arguments):
    """Each array in turn holds a NaN; each pointer in turn is NULL."""
    model, *_ = arguments
    f = c_functions()
    first, last = 40, len(copy_of(model))
    found = 0
    for start in range(first, last, 8):
        memory = copy_of(model)
        address = int.from_bytes(memory[start : start + 8], "little")
        if not address:
            continue  # of other covariance types
        found += 1
        nan = np.full(256, np.nan)
        memory[start : start + 8] = nan.ctypes.data.to_bytes(8, "little")
        assert f.check(address_of(memory)) == NOT_FINITE, start
        memory[start : start + 8] = bytes(8)
        assert f.check(address_of(memory)) == NULL_POINTER, start
    assert found >= 10
    memory = copy_of(model)
    spoil(memory, "leading", 3)
    assert f.check(address_of(memory)) == WRONG_SIZE


def test_codes_have_texts():
    f = c_functions()
    texts = {f.strerror(code) for code in range(-8, 1)}
    assert len(texts) == 9
    assert f.strerror(-99) == b"unknown error code"
    assert f.strerror(0) == b"no error"


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
    function, user_data = c_functions().density_integrand, integrand.user_data
    assert function(1, point, user_data) == pytest.approx(np.exp(line.score_samples([[0.0]])[0]))
    assert np.isnan(function(2, point, user_data))  # two variables, and a model of one


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
