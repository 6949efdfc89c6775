"""Data as users hold it gives the same result, without a copy of it."""

import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn.mixture
from generators import COVARIANCE_TYPES, memory_orders

from fastgmm import GaussianMixture
from fastgmm.data.samples import Samples
from fastgmm.em.float32 import SMALLEST_PASS

pytestmark = pytest.mark.filterwarnings("ignore:Best performing initialization did not converge")

N_SAMPLES, N_FEATURES, N_COMPONENTS = 700, 5, 3
ATTRIBUTES = ("weights_", "means_", "covariances_", "precisions_cholesky_")
INIT_PARAMS = ("auto", "tree", "kmeans", "k-means++", "random", "random_from_data")

# small non-negative integers: every numeric type holds them
DATA = (
    np.random.RandomState(0)
    .poisson([[2, 9, 4, 12, 3], [10, 2, 5, 3, 11], [6, 6, 1, 7, 7]] * 234, (702, N_FEATURES))[
        :N_SAMPLES
    ]
    .astype(np.float64)
)
HALVES = (np.arange(N_SAMPLES * N_FEATURES).reshape(DATA.shape) % 7) / 2  # not integers


def fit(X, init_params="kmeans", covariance_type="full", **options):
    return GaussianMixture(
        N_COMPONENTS,
        init_params=init_params,
        covariance_type=covariance_type,
        max_iter=4,
        random_state=0,
        n_jobs=1,
    ).fit(X, **options)


def assert_same_bits(model, expected):
    assert model.lower_bounds_ == expected.lower_bounds_
    for name in ATTRIBUTES:
        assert getattr(model, name).tobytes() == getattr(expected, name).tobytes(), name


def assert_same_results(X, values):
    """Compare fit and every prediction from X with those from a plain array."""
    model, expected = fit(X), fit(values)
    assert_same_bits(model, expected)
    assert model.n_features_in_ == values.shape[1]
    for method in ("predict", "predict_proba", "score_samples", "score", "aic", "bic", "icl"):
        result = getattr(model, method)(X)
        of_floats = np.asarray(getattr(expected, method)(values))
        assert np.array_equal(result, of_floats.astype(np.asarray(result).dtype)), method
    np.testing.assert_array_equal(model.fit_predict(X), expected.predict(values))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("order, X", list(memory_orders(HALVES + DATA)))
def test_memory_order(order, X, dtype):
    X = X if dtype == np.float64 else dict(memory_orders((HALVES + DATA).astype(dtype)))[order]
    assert X.dtype == dtype
    assert_same_results(X, HALVES + DATA)


@pytest.mark.parametrize(
    "rows, columns",
    [
        (slice(None, None, 2), slice(None)),
        (slice(None), slice(None, None, 3)),
        (slice(None, None, -1), slice(None)),
        (slice(None), slice(None, None, -1)),
        (slice(5, None, 3), slice(1, None, 2)),
        (slice(1), slice(None)),
    ],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_views(rows, columns, order):
    X = np.asarray(HALVES + DATA, order=order)
    view = X[rows, columns]
    model = fit(X[:, columns])
    assert np.array_equal(model.predict_proba(view), model.predict_proba(view.copy()))
    if len(view) > 1:
        assert_same_bits(fit(view), fit(view.copy()))


def test_broadcast_view():
    X = np.broadcast_to(DATA[:, :1], DATA.shape)
    assert X.strides[1] == 0
    assert_same_bits(fit(X), fit(X.copy()))


def test_read_only_memmap(tmp_path):
    path = tmp_path / "X.npy"
    np.save(path, DATA)
    X = np.load(path, mmap_mode="r")
    assert isinstance(X, np.memmap)
    assert_same_results(X, DATA)


NUMBERS = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "longdouble"]


@pytest.mark.parametrize("dtype", [*NUMBERS, ">f8", ">f4", ">i2", "O"])
def test_dtype(dtype):
    X = DATA.astype(dtype)
    assert np.array_equal(X.astype(np.float64), DATA)
    assert_same_results(X, DATA)


# the variance of a column of True and False is 0 in a cluster
discrete = pytest.mark.filterwarnings("ignore:reg_covar=1e-06 makes up")


@discrete
def test_bool():
    assert_same_results(DATA > 4, (DATA > 4).astype(np.float64))


def test_unaligned():
    fields = np.zeros(N_SAMPLES, np.dtype([("tag", "i1"), ("values", "f8", N_FEATURES)]))
    fields["values"] = DATA
    X = fields["values"]
    assert not X.flags.aligned
    assert Samples(X).rows(slice(0, 3)).flags.aligned
    assert_same_results(X, DATA)


class ArrayLike:
    """Offers nothing but __array__."""

    def __init__(self, values):
        self._values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self._values, dtype=dtype)


@pytest.mark.parametrize("convert", [list, np.ndarray.tolist, tuple, ArrayLike])
def test_sequences(convert):
    assert_same_results(convert(DATA), DATA)


def _columns():
    return {f"c{j}": DATA[:, j].copy() for j in range(N_FEATURES)}


def _grown():
    frame = pd.DataFrame(index=range(N_SAMPLES))
    for name, values in _columns().items():
        frame[name] = values
    return frame


FRAMES = {
    "one array": lambda: pd.DataFrame(DATA, columns=list("abcde")),
    "one array without names": lambda: pd.DataFrame(DATA),
    "one array of integers": lambda: pd.DataFrame(DATA.astype(np.int32)),
    "one array of float32": lambda: pd.DataFrame(DATA.astype(np.float32)),
    "grown column by column": _grown,
    "float and integer": lambda: _grown().astype({"c1": "i8", "c3": "u1"}),
    "float32, float64 and bool": lambda: _grown().astype({"c0": "f4"}).assign(c4=DATA[:, 4] > 7),
    "nullable": lambda: _grown().astype({"c1": "Int64", "c2": "Float32"}),
    "other index": lambda: _grown().set_index(np.arange(N_SAMPLES)[::-1]),
    "rows of another frame": lambda: pd.concat([_grown(), _grown()]).iloc[::2].iloc[:N_SAMPLES],
    "polars": lambda: pl.DataFrame(_columns()),
    "polars of many types": lambda: pl.DataFrame(_columns()).cast(
        {"c0": pl.Float32, "c1": pl.Int16, "c2": pl.UInt64}
    ),
}


@discrete
@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES.keys())
def test_data_frame(make):
    frame = make()
    values = np.asarray(frame.to_numpy(), np.float64)
    assert_same_results(frame, values)
    theirs = sklearn.mixture.GaussianMixture().fit(frame)
    expected = getattr(theirs, "feature_names_in_", None)
    np.testing.assert_array_equal(getattr(fit(frame), "feature_names_in_", None), expected)


@discrete
@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES.keys())
def test_one_row_of_a_data_frame(make):
    frame = make()
    model = fit(frame)
    assert np.array_equal(model.score_samples(frame[:1]), model.score_samples(frame)[:1])


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("init_params", INIT_PARAMS)
def test_every_start_is_the_same_for_every_container(covariance_type, init_params):
    expected = fit(DATA, init_params, covariance_type)
    for X in (
        np.asfortranarray(DATA),
        DATA.astype(np.float32),
        DATA.astype(np.uint8),
        FRAMES["float and integer"](),
        FRAMES["polars"](),
    ):
        assert_same_bits(fit(X, init_params, covariance_type), expected)


def test_data_is_not_changed():
    for X in (DATA.copy(), DATA.astype(np.float32), DATA.astype(np.int8)):
        before = X.tobytes()
        model = fit(X)
        model.predict_proba(X)
        model.score(X)
        assert X.tobytes() == before


WEIGHT = (np.arange(N_SAMPLES) % 5) / 4  # exact in float32
WEIGHTS = {
    "list": WEIGHT.tolist(),
    "tuple": tuple(WEIGHT),
    "strided": np.repeat(WEIGHT, 3)[::3],
    "negative stride": WEIGHT[::-1].copy()[::-1],
    "float32": WEIGHT.astype(np.float32),
    "float16": WEIGHT.astype(np.float16),
    "big-endian": WEIGHT.astype(">f8"),
    "Series": pd.Series(WEIGHT, index=np.arange(N_SAMPLES)[::-1]),
    "polars Series": pl.Series(WEIGHT),
    "read-only": np.frombuffer(WEIGHT.tobytes()),
    "column of a matrix": np.c_[WEIGHT, WEIGHT][:, 0],
}


@pytest.mark.parametrize("weight", WEIGHTS.values(), ids=WEIGHTS.keys())
def test_sample_weight(weight):
    model, expected = fit(DATA, sample_weight=weight), fit(DATA, sample_weight=WEIGHT)
    assert_same_bits(model, expected)
    for method in (model.score, model.aic, model.bic):
        assert method(DATA, sample_weight=weight) == method(DATA, sample_weight=WEIGHT)


@pytest.mark.parametrize("dtype", [bool, np.int64, np.uint8])
def test_sample_weight_of_integers(dtype):
    weight = (4 * WEIGHT).astype(dtype)
    expected = fit(DATA, sample_weight=weight.astype(np.float64))
    assert_same_bits(fit(DATA, sample_weight=weight), expected)


@pytest.mark.parametrize("dtype", [np.int64, np.float16, ">f8"])
def test_conversion_block_by_block(dtype):
    X = (np.random.RandomState(1).standard_normal((300_000, 16)) * 8).astype(np.int8).astype(dtype)
    assert len(list(Samples(X).block_slices())) == 3
    model, expected = (fit(data, covariance_type="diag") for data in (X, X.astype(np.float64)))
    for name in ATTRIBUTES:
        # blocks are summed one after the other, so in another order
        np.testing.assert_allclose(
            getattr(model, name), getattr(expected, name), rtol=1e-10, atol=1e-12
        )
    np.testing.assert_array_equal(model.predict(X), model.predict(X.astype(np.float64)))


N_LARGE, D_LARGE = 500_000, 16


def _large(dtype=np.float64):
    return np.random.RandomState(0).randint(-99, 99, (N_LARGE, D_LARGE), np.int8).astype(dtype)


def _large_frame():
    X = _large()
    frame = pd.DataFrame({f"c{j}": X[:, j] for j in range(D_LARGE)})
    return frame.astype(dict.fromkeys(frame.columns[::2], "i8"))


# 65,536 rows to start from, in three copies of 8 MB, for any number of samples
IN_PLACE = 30
# two blocks of 17 MB while the second is converted
CONVERTED = 40
# 32 MB in float32, 64 MB else
LARGE = {
    "C": (_large, IN_PLACE),
    "Fortran": (lambda: np.asfortranarray(_large()), IN_PLACE),
    "rows strided": (lambda: np.repeat(_large(), 2, axis=0)[::2], IN_PLACE),
    "columns strided": (lambda: np.repeat(_large(), 2, axis=1)[:, ::2], IN_PLACE),
    "float32": (lambda: _large(np.float32), IN_PLACE),
    "frame of one array": (lambda: pd.DataFrame(_large()), IN_PLACE),
    "int64": (lambda: _large(np.int64), CONVERTED),
    "big-endian": (lambda: _large(">f8"), CONVERTED),
    "frame of many blocks": (_large_frame, CONVERTED),
    "polars": (lambda: pl.DataFrame(_large()), CONVERTED),
}


@pytest.mark.parametrize("make, limit", LARGE.values(), ids=LARGE.keys())
def test_nothing_copies_the_data(make, limit):
    X = make()
    if isinstance(X, np.ndarray):
        X.flags.writeable = False
    given = {
        "weights_init": np.full(2, 0.5),
        "means_init": np.stack([np.full(D_LARGE, -9.0), np.full(D_LARGE, 9.0)]),
        "precisions_init": np.full((2, D_LARGE), 1e-3),
    }
    options = {"n_components": 2, "covariance_type": "diag", "random_state": 0, "max_iter": 1}
    from_given = GaussianMixture(**options, **given)
    from_kmeans = GaussianMixture(**options)
    some = X[:SMALLEST_PASS]  # enough for float32 blocks
    from_kmeans.fit(some).predict(some)  # imports, and loads what is compiled
    operations = {
        "fit from given start": lambda: from_given.fit(X),
        "fit": lambda: from_kmeans.fit(X),
        "predict": lambda: from_kmeans.predict(X),
        "score": lambda: from_kmeans.score(X),
    }
    peaks = {name: _peak_megabytes(operation) for name, operation in operations.items()}
    assert max(peaks.values()) < limit, peaks


def _peak_megabytes(operation):
    tracemalloc.start()
    try:
        operation()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
