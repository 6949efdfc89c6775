"""Whatever holds numbers is read as those numbers at every door, or refused by one clear error."""

import array
import datetime
import decimal
import fractions
import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pytest
import scipy.sparse
import sklearn
from sklearn.utils.fixes import parse_version

from fastgmm import BayesianGaussianMixture, GaussianMixture, SoftKMeans, em
from fastgmm.data.samples import Samples

X = np.random.RandomState(0).poisson([[2, 9, 4]], (60, 3)).astype(np.float64)
START = em.MixtureParameters.from_covariances(
    "diag", np.array([0.5, 0.5]), np.array([[0.0, 5.0, 0.0], [5.0, 10.0, 9.0]]), 9 * np.ones((2, 3))
)
NAMES = ["age", "income", "ratio"]


def frame(**changed):
    return pd.DataFrame(X, columns=NAMES).assign(**changed)


def device_array(module):
    """Return an array that is on a device other than the processor's, for array_api_strict."""
    if parse_version(np.__version__) < parse_version("2.1"):
        pytest.skip("this NumPy reads no array of another device")
    other = module.__array_namespace_info__().devices()[1]
    return module.asarray(X, device=other)


def torch_tensor(**options):
    return pytest.importorskip("torch").tensor(X, **options)


RIGHT = {
    "masked array without a masked value": lambda: np.ma.array(X),
    "rows of masked arrays without one": lambda: [np.ma.array(row) for row in X],
    "Arrow table": lambda: pa.table(dict(zip(NAMES, X.T.copy(), strict=True))),
    "Arrow table in chunks": lambda: pa.concat_tables(
        pa.table(dict(zip(NAMES, part.T.copy(), strict=True))) for part in (X[:7], X[7:])
    ),
    "Arrow record batch": lambda: pa.record_batch(dict(zip(NAMES, X.T.copy(), strict=True))),
    "Arrow integers": lambda: pa.table(dict(zip(NAMES, X.T.astype(int), strict=True))),
    "Arrow decimals": lambda: pa.table(
        {n: pa.array([decimal.Decimal(int(v)) for v in x]) for n, x in zip(NAMES, X.T, strict=True)}
    ),
    "Polars": lambda: pl.DataFrame(X, schema=NAMES),
    "Polars integers": lambda: pl.DataFrame(X.astype(int), schema=NAMES),
    "nullable integers": lambda: frame().astype("Int64"),
    "nullable float32": lambda: frame().astype("Float32"),
    "pandas over Arrow": lambda: frame().astype("double[pyarrow]"),
    "categories that are numbers": lambda: frame().astype("category"),
    "strings that are numbers": lambda: frame().astype(str),
    "sparse columns": lambda: pd.DataFrame.sparse.from_spmatrix(scipy.sparse.csr_matrix(X)),
    "columns of one name": lambda: np.asarray(frame()),
    "names of several levels": lambda: frame().set_axis(
        pd.MultiIndex.from_tuples([("a", n) for n in NAMES]), axis=1
    ),
    "matrix": lambda: np.matrix(X),
    "strings": lambda: X.astype(str),
    "bytes": lambda: X.astype("S"),
    "objects": lambda: X.astype(object),
    "fractions": lambda: [[fractions.Fraction(int(v)) for v in row] for row in X],
    "decimals": lambda: [[decimal.Decimal(int(v)) for v in row] for row in X],
    "memoryview": lambda: memoryview(X),
    "rows of array.array": lambda: [array.array("d", row) for row in X],
    "long double": lambda: X.astype(np.longdouble),
    "float16": lambda: X.astype(np.float16),
    "big-endian float32": lambda: X.astype(">f4"),
    "torch": torch_tensor,
    "rows of torch tensors": lambda: list(torch_tensor()),
    "array_api_strict": lambda: pytest.importorskip("array_api_strict").asarray(X),
    "another device": lambda: device_array(pytest.importorskip("array_api_strict")),
}


@pytest.mark.parametrize("make", RIGHT.values(), ids=RIGHT.keys())
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_numbers_are_read(make):
    data, like_floats = make(), {"rtol": 1e-6, "atol": 1e-6}
    model = GaussianMixture(2, random_state=0, covariance_type="diag").fit(data)
    expected = GaussianMixture(2, random_state=0, covariance_type="diag").fit(X)
    assert model.lower_bounds_ == expected.lower_bounds_
    np.testing.assert_array_equal(model.means_, expected.means_)
    np.testing.assert_array_equal(model.predict(data), expected.predict(X))
    np.testing.assert_allclose(model.predict_proba(data), expected.predict_proba(X), **like_floats)
    result, plain = em.fit(data, START), em.fit(X, START)
    np.testing.assert_array_equal(result.parameters.means, plain.parameters.means)
    np.testing.assert_allclose(result.score_samples(data), plain.score_samples(X), **like_floats)


def test_arrow_and_polars_have_feature_names():
    for data in (RIGHT["Arrow table"](), RIGHT["Polars"]()):
        model = GaussianMixture().fit(data)
        assert model.feature_names_in_.tolist() == NAMES
        with pytest.raises(ValueError, match="Feature names unseen at fit time"):
            model.predict(frame().rename(columns={"age": "years"}))


def masked():
    return np.ma.masked_equal(np.where(X[4, 1] == X, -9999.0, X), -9999.0)


def with_value(value, dtype=object):
    data = X.astype(dtype)
    data[5, 1] = value
    return data


MASKED = r"X has masked values \(.*, the first at .* np.ma.compress_rows"
TIMES = "should be real numbers, but got times .* / np.timedelta64"
INCOME = r"feature 1 \('income'\) of X "
MISSING = r"Input X contains NaN, first in row 5, feature 1"
INSTANT = datetime.datetime(2020, 1, 1)
REFUSED = {
    "masked": (masked, ValueError, MASKED),
    "rows with masks": (lambda: list(masked()), ValueError, MASKED),
    "times": (lambda: np.datetime64("2020") + X.astype(int), TypeError, f"X {TIMES}"),
    "not a time": (lambda: np.full((9, 3), "NaT", "M8[s]"), TypeError, f"X {TIMES}"),
    "durations": (lambda: X.astype("m8[s]"), TypeError, f"X {TIMES}"),
    "objects of times": (lambda: with_value(INSTANT), TypeError, f"X {TIMES}"),
    "objects of NumPy's times": (lambda: with_value(np.datetime64("2020")), TypeError, TIMES),
    "column of times": (
        lambda: frame(income=pd.Timestamp("2020")),
        TypeError,
        INCOME + TIMES,
    ),
    "column of times with a zone": (
        lambda: frame(income=pd.Timestamp("2020", tz="UTC")),
        TypeError,
        INCOME + TIMES,
    ),
    "column of durations": (
        lambda: frame(income=pd.Timedelta("1s")),
        TypeError,
        INCOME + TIMES,
    ),
    "Polars dates": (
        lambda: pl.DataFrame({"age": [1, 2], "income": [INSTANT.date()] * 2, "ratio": [0, 1]}),
        TypeError,
        INCOME + TIMES,
    ),
    "Arrow times": (
        lambda: pa.table(
            {"age": [1, 2], "income": pa.array([1, 2], pa.timestamp("s")), "ratio": [0, 1]}
        ),
        TypeError,
        INCOME + TIMES,
    ),
    "lazy frame": (
        lambda: pl.DataFrame(X).lazy(),
        TypeError,
        r"X, a polars LazyFrame, is not in memory\. Load it first, with X\.collect\(\)",
    ),
    "Arrow data set": (
        lambda: pyarrow.dataset.dataset(pa.table({"a": [1.0, 2.0]})),
        TypeError,
        r"not in memory\. Load it first, with X\.to_table\(\)",
    ),
    "null of Polars": (
        lambda: pl.DataFrame(X, schema=NAMES).with_columns(
            income=pl.Series([*range(5), None, *range(54)])
        ),
        ValueError,
        MISSING + r" \('income'\)",
    ),
    "null of Arrow": (
        lambda: pa.table({"age": [0] * 6, "income": [*range(5), None], "ratio": [1] * 6}),
        ValueError,
        MISSING + r" \('income'\)",
    ),
    "NA of integers": (
        lambda: frame(income=pd.array([*range(5), None, *range(54)], "Int64")),
        ValueError,
        MISSING + r" \('income'\)",
    ),
    "NA of bools": (
        lambda: frame(income=pd.array([True] * 5 + [None] + [True] * 54, "boolean")),
        ValueError,
        MISSING + r" \('income'\)",
    ),
    "None": (lambda: with_value(None), ValueError, MISSING),
    "NA": (lambda: with_value(pd.NA), ValueError, MISSING),
    "NaN": (lambda: with_value(np.nan), ValueError, MISSING),
    "a word": (
        lambda: frame(income=["n/a" if i == 5 else "1" for i in range(60)]),
        ValueError,
        INCOME + "should be real numbers, but got 'n/a' in row 5",
    ),
    "a word in an array": (
        lambda: with_value("n/a"),
        ValueError,
        "X should be real numbers, but got 'n/a' in row 5",
    ),
    "a large integer": (lambda: with_value(10**400), ValueError, "X .* but got 10.* in row 5: int"),
    "complex objects": (lambda: with_value(np.complex64(1j)), ValueError, "Complex data .*: X"),
    "column of lists": (
        lambda: pl.DataFrame({"age": [1, 2], "income": [[1, 2], [3, 4]], "ratio": [0, 1]}),
        ValueError,
        INCOME + "should be real numbers",
    ),
    "column of arrays": (
        lambda: pl.DataFrame(
            {"age": [1, 2], "income": [[1, 2], [3, 4]], "ratio": [0, 1]},
            {"age": pl.Int8, "income": pl.Array(int, 2), "ratio": pl.Int8},
        ),
        ValueError,
        INCOME + r"should have one number in each row, but got \(2,\)",
    ),
    "named fields": (
        lambda: np.zeros(9, [("a", float), ("b", float)]),
        TypeError,
        r"X .* has the fields \('a', 'b'\)\. Use .*structured_to_unstructured\(X\)",
    ),
    "sparse": (
        lambda: scipy.sparse.csr_array(X),
        TypeError,
        r"Sparse data was passed as X, .* Use X\.toarray\(\)",
    ),
    "generator": (lambda: iter(X), TypeError, r"X .* an object of type iterator\. Use list\(X\)"),
    "dict": (lambda: {"age": [1.0, 2.0]}, TypeError, "X .* an object of type dict"),
    "a class": (lambda: pd.DataFrame, TypeError, "X should be .* an object of type type"),
    "a lazy class": (lambda: pl.LazyFrame, TypeError, "X should be .* an object of type type"),
    "nothing": (lambda: None, TypeError, "X should be an array of numbers, but got None"),
    "long double beyond float64": (
        lambda: with_value(np.longdouble("1e999"), np.longdouble),
        ValueError,
        "infinity or a value too large for float64: inf, first in row 5, feature 1",
    ),
    "Series": (lambda: pd.Series(X[:, 0]), ValueError, r"Expected 2D .* X\.to_frame\(\)"),
    "gradient": (
        lambda: torch_tensor(requires_grad=True),
        TypeError,
        r"X .* torch Tensor could not be read .* tensor\.detach\(\)",
    ),
}


def doors():
    """Return every function that takes samples."""
    fitted = [
        GaussianMixture().fit(X),
        BayesianGaussianMixture().fit(X),
        SoftKMeans(1).fit(X),
    ]
    result = em.fit(X, START)
    named = {
        "fit": GaussianMixture().fit,
        "fit_predict": BayesianGaussianMixture().fit_predict,
        "SoftKMeans.fit": SoftKMeans(1).fit,
        "transform": fitted[2].transform,
        "em.fit": lambda data: em.fit(data, START),
        "em.gradient_ascent": lambda data: em.gradient_ascent(data, START),
        "em.starting_parameters": lambda data: em.starting_parameters(data, 1),
        "result.score": result.score,
        "result.predict_proba": result.predict_proba,
    }
    for model in fitted:
        for method in ("predict", "predict_proba", "score_samples", "score"):
            named[f"{type(model).__name__}.{method}"] = getattr(model, method)
    return named


DOORS = doors()


@pytest.mark.parametrize("make, error, message", REFUSED.values(), ids=REFUSED.keys())
def test_every_door_refuses_by_the_same_error(make, error, message):
    for door in DOORS.values():
        with pytest.raises(error, match=message):
            door(make())


def test_no_other_library_is_recommended():
    with pytest.raises(ValueError, match="leave out those with missing values") as caught:
        GaussianMixture().fit(with_value(np.nan, float))
    assert not re.search("sklearn|scikit|Hist|classif|regress|http", str(caught.value))


@pytest.mark.parametrize("collection", ["array", "dataframe", "series"])
def test_dask_is_not_loaded_in_silence(collection):
    pytest.importorskip("dask.dataframe")
    import dask.array
    import dask.dataframe

    lazy = dask.dataframe.from_pandas(frame(), npartitions=2)
    lazy = {"array": dask.array.from_array(X), "dataframe": lazy, "series": lazy["age"]}[collection]
    with pytest.raises(TypeError, match=r"X, a dask .*, is not in memory\. .* X\.compute\(\)"):
        GaussianMixture().fit(lazy)
    with pytest.raises(TypeError, match=r"sample_weight, a dask .* sample_weight\.compute\(\)"):
        em.fit(X, START, sample_weight=lazy)


@pytest.mark.parametrize("weight", [2.0, 3, np.float32(0.5), np.array(2.0), True])
def test_one_number_is_the_weight_of_every_sample(weight):
    each = np.full(len(X), float(weight))
    for fit in (GaussianMixture(2, random_state=0).fit, BayesianGaussianMixture().fit):
        model = fit(X, sample_weight=weight)
        bounds = model.lower_bounds_
        assert bounds == fit(X, sample_weight=each).lower_bounds_
        assert model.score(X, sample_weight=weight) == model.score(X, sample_weight=each)
    one, all_ = em.fit(X, START, sample_weight=weight), em.fit(X, START, sample_weight=each)
    assert one.lower_bounds == all_.lower_bounds


WEIGHTS = {
    "masked": (
        lambda: np.ma.masked_equal(np.arange(60.0), 3.0),
        ValueError,
        r"sample_weight has masked values \(1, the first at \(3,\)\)",
    ),
    "times": (
        lambda: np.full(60, "2020", "M8[D]"),
        TypeError,
        "sample_weight should be real numbers, but got times",
    ),
    "missing": (
        lambda: pd.Series([1] * 59 + [None], dtype="Int64"),
        ValueError,
        "sample_weight should be finite and non-negative, but got nan for sample 59",
    ),
    "null": (
        lambda: pl.Series([1] * 59 + [None]),
        ValueError,
        "sample_weight should be finite and non-negative, but got nan for sample 59",
    ),
    "NaN": (lambda: np.nan, ValueError, "sample_weight .* got nan"),
    "generator": (lambda: iter([1.0] * 60), TypeError, r"sample_weight .* Use list\(sample_weigh"),
    "sparse": (lambda: scipy.sparse.csr_array(X), TypeError, "passed as sample_weight"),
}


@pytest.mark.parametrize("make, error, message", WEIGHTS.values(), ids=WEIGHTS.keys())
def test_weights_are_read_like_samples(make, error, message):
    with pytest.raises(error, match=message):
        GaussianMixture().fit(X, sample_weight=make())
    with pytest.raises(error, match=message):
        em.fit(X, START, sample_weight=make())


@pytest.mark.parametrize("values", [pl.Series, pd.Series, pa.array, list, tuple])
def test_weights_of_any_container(values):
    weight = np.arange(60) % 4 + 0.5
    model = GaussianMixture(2, random_state=0).fit(X, sample_weight=values(weight))
    expected = GaussianMixture(2, random_state=0).fit(X, sample_weight=weight)
    assert model.lower_bounds_ == expected.lower_bounds_


STARTING_VALUES = {
    "weights_init": np.array([0.5, 0.5]),
    "means_init": X[:2],
    "precisions_init": np.stack([np.eye(3)] * 2),
    "covariances_init": np.stack([np.eye(3)] * 2),
}


@pytest.mark.parametrize("name", STARTING_VALUES)
def test_starting_values_are_read_like_samples(name):
    values = STARTING_VALUES[name]
    mask = np.zeros(values.shape, bool)
    mask.flat[0] = True
    for bad, error, message in (
        (np.ma.array(values, mask=mask), ValueError, "masked values"),
        (values.astype("m8[s]"), TypeError, "should be real numbers, but got times"),
        (values + 0j, ValueError, "Complex data not supported"),
        (np.where(mask, np.nan, values), ValueError, "should be finite, but got nan at"),
        (np.where(mask, None, values), ValueError, "should be finite, but got nan at"),
    ):
        with pytest.raises(error, match=rf"{name}.*{message}|{message}.*{name}"):
            GaussianMixture(2, **{name: bad}).fit(X)
    model = GaussianMixture(2, **{name: values.astype(object)}, random_state=0).fit(X)
    expected = GaussianMixture(2, **{name: values}, random_state=0).fit(X)
    assert model.lower_bounds_ == expected.lower_bounds_


def test_assume_finite_leaves_out_the_search_for_nan():
    data = with_value(np.nan, float)
    model = GaussianMixture().fit(X)
    with sklearn.config_context(assume_finite=True):
        assert np.isnan(model.score_samples(data)[5]) or model.score_samples(data)[5] < -1e280
    with pytest.raises(ValueError, match=MISSING):
        model.score_samples(data)


def test_floating_point_errors_may_be_raised():
    data = X.astype(np.float32)
    data[0, 0] = data[1, 0] = np.finfo(np.float32).max
    with np.errstate(all="raise"):
        assert Samples(data).dtype == np.float32
        result = em.fit(data, START, max_iter=0)
        assert result.n_iter == 0
        with pytest.raises(ValueError, match="infinity"):
            em.fit(np.where(X[0, 0] == X, np.inf, X), START)
