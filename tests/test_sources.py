"""Samples that are read part by part: the bits of memory, for every source, and clear errors."""

import itertools
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from marks import slow

from fastgmm import BayesianGaussianMixture, GaussianMixture, SoftKMeans, em, select, sources

N, D = 9_001, 3
RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(-2, 1, (N // 2, D)), RNG.normal(2, 2, (N - N // 2, D))])
RNG.shuffle(X)
WEIGHT = RNG.integers(0, 4, N) + 0.5 * (RNG.random(N) < 0.5)
NAMES = ["a", "b", "c"]
KINDS = [
    *("one file", "files", "batches", "parquet"),
    *slow("columns in a file", "arrow", "zarr"),
]
START = em.MixtureParameters.from_covariances(
    "full", np.array([0.5, 0.5]), np.array([[-1.0] * D, [1.0] * D]), np.array([np.eye(D)] * 2)
)


pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Make parts of 1,536 rows, of which a few thousand samples have several."""
    monkeypatch.setattr("fastgmm.data.samples._PART_ELEMENTS", 1536 * D)
    monkeypatch.setattr("fastgmm.data.samples._PART_ROWS", 512)
    monkeypatch.setattr("fastgmm.data.samples._LEAST_PART_ROWS", 512)


def table(array, weight=None):
    columns = dict(zip(NAMES, array.T, strict=True))
    return pa.table(columns if weight is None else columns | {"weight": weight})


def make_source(kind, folder, array=X, weight=None):
    """Return the source of this kind that holds an array and, if it is given, weights."""
    paths, weights = [folder / "0.npy"], [folder / "0_weight.npy"]
    pieces = [array]
    if kind == "files":
        pieces = np.array_split(array, 3)
        paths = [folder / f"{i}.npy" for i in range(3)]
        weights = [folder / f"{i}_weight.npy" for i in range(3)]
    if kind in ("one file", "files", "columns in a file"):
        for path, piece in zip(paths, pieces, strict=True):
            np.save(path, np.asfortranarray(piece) if kind == "columns in a file" else piece)
        if weight is None:
            return sources.ArrayFiles(paths)
        for path, piece in zip(weights, np.array_split(weight, len(paths)), strict=True):
            np.save(path, piece)
        return sources.ArrayFiles(paths, weights)
    if kind == "batches":
        ends = [0, 1, 100, 1636, 1637, 6000, len(array)]
        cuts = [slice(*pair) for pair in itertools.pairwise(ends)]
        if weight is None:
            return sources.Batches(lambda: (array[cut] for cut in cuts))
        return sources.Batches(lambda: ((array[cut], weight[cut]) for cut in cuts))
    name = None if weight is None else "weight"
    if kind == "parquet":
        pq.write_table(table(array, weight), folder / "x.parquet", row_group_size=2000)
        return sources.Parquet(folder / "x.parquet", weight=name)
    if kind == "arrow":
        some = table(array, weight)
        return sources.Arrow(lambda: some.to_reader(777), weight=name)
    zarr = pytest.importorskip("zarr")
    arrays = {"x": array} if weight is None else {"x": array, "w": weight}
    for key, values in arrays.items():
        chunks = (700, *values.shape[1:])
        store = str(folder / f"{key}.zarr")
        made = zarr.create_array(store, shape=values.shape, chunks=chunks, dtype=values.dtype)
        made[:] = values
    return sources.Zarr(folder / "x.zarr", None if weight is None else folder / "w.zarr")


def fitted_arrays(model):
    return {
        name: value
        for name, value in vars(model).items()
        if name.endswith("_") and name != "feature_names_in_"
        if isinstance(value, np.ndarray | float | int)
    }


def assert_same(model, expected):
    assert model.n_iter_ > 1
    for name, value in fitted_arrays(model).items():
        assert np.array_equal(value, fitted_arrays(expected)[name]), name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float64, *slow(np.float32)])
def test_fit_and_predictions_have_the_bits_of_memory(kind, dtype, tmp_path):
    array = X.astype(dtype)
    source = make_source(kind, tmp_path, array)
    model = GaussianMixture(3, random_state=0, max_iter=4, tol=0).fit(array)
    streamed = GaussianMixture(3, random_state=0, max_iter=4, tol=0).fit(source)
    assert_same(streamed, model)
    assert streamed.score(source) == model.score(array)
    assert streamed.bic(source) == model.bic(array)
    for method in ["predict", "predict_proba", "score_samples", "mahalanobis"]:
        expected = getattr(model, method)(array)
        found = getattr(streamed, method)(source)
        assert np.array_equal(found, expected), method
        assert found.dtype == expected.dtype


@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_a_source(kind, tmp_path):
    source = make_source(kind, tmp_path, weight=WEIGHT)
    model = GaussianMixture(3, random_state=0, max_iter=4, tol=0).fit(X, sample_weight=WEIGHT)
    streamed = GaussianMixture(3, random_state=0, max_iter=4, tol=0).fit(source)
    assert_same(streamed, model)
    assert streamed.score(source) == model.score(X, sample_weight=WEIGHT)


ESTIMATORS = {
    "diag, quasi-newton, two starts": lambda: GaussianMixture(
        3, covariance_type="diag", acceleration="quasi-newton", n_init=2, random_state=0, max_iter=8
    ),
    "tied, split-merge": lambda: GaussianMixture(
        4, covariance_type="tied", acceleration="split-merge", random_state=0, max_iter=8
    ),
    "subsample": lambda: GaussianMixture(
        3, acceleration="subsample", random_state=0, max_iter=8, reg_covar="auto"
    ),
    "constraints": lambda: GaussianMixture(
        3, prior="mclust", covariance_floor=1e-3, random_state=0, max_iter=8
    ),
    "Bayesian": lambda: BayesianGaussianMixture(n_components=4, random_state=0, max_iter=8),
    "soft k-means": lambda: SoftKMeans(3, random_state=0, max_iter=8),
}


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("weight", [WEIGHT, *slow(None)], ids=["weighted", "unweighted"])
def test_every_estimator_takes_a_source(name, weight, tmp_path):
    source = make_source("parquet", tmp_path, weight=weight)
    expected = ESTIMATORS[name]().fit(X, sample_weight=weight)
    assert_same(ESTIMATORS[name]().fit(source), expected)


POSTERIORS = {
    "hard": em.HardPosterior,
    "truncated": lambda: em.TruncatedPosterior(1),
    "tempered": lambda: em.TemperedPosterior(0.5),
    "incremental": lambda: em.IncrementalPosterior(4),
    "sampled": lambda: em.SampledPosterior(3),
    "Metropolis": lambda: em.MetropolisPosterior(3),
}


@pytest.mark.parametrize("name", POSTERIORS)
def test_every_policy_that_reads_in_order_takes_a_source(name, tmp_path):
    source = make_source("files", tmp_path, weight=WEIGHT)
    results = [
        em.fit(
            data,
            START,
            sample_weight=weight,
            posterior=POSTERIORS[name](),
            convergence=em.Never(),
            max_iter=5,
        )
        for data, weight in ((X, WEIGHT), (source, None))
    ]
    assert results[0].lower_bounds == results[1].lower_bounds
    for attribute in ("weights", "means", "covariances"):
        expected, found = (getattr(result.parameters, attribute) for result in results)
        assert np.array_equal(found, expected)


def test_labels_of_a_source_are_predicted(tmp_path):
    source = make_source("files", tmp_path)
    model = SoftKMeans(3, random_state=0).fit(X)
    labels = model.labels_
    assert np.array_equal(model.fit_predict(source), labels)
    assert not hasattr(model, "labels_")


def test_select_takes_a_source(tmp_path):
    expected = select(X, range(1, 4), random_state=0)
    found = select(make_source("parquet", tmp_path), range(1, 4), random_state=0)
    assert [c.bic for c in found.candidates] == [c.bic for c in expected.candidates]
    assert [c.icl for c in found.candidates] == [c.icl for c in expected.candidates]


def test_predictions_go_to_a_file(tmp_path):
    source = make_source("parquet", tmp_path)
    model = GaussianMixture(2, random_state=0).fit(source)
    out = np.lib.format.open_memmap(tmp_path / "labels.npy", "w+", np.int64, (N,))
    model.predict(source, out=out)
    out.flush()
    expected = GaussianMixture(2, random_state=0).fit(X).predict(X)
    assert np.array_equal(np.load(tmp_path / "labels.npy"), expected)


def test_names_of_columns_are_features(tmp_path):
    source = make_source("parquet", tmp_path)
    model = GaussianMixture(2, random_state=0).fit(source)
    assert model.feature_names_in_.tolist() == NAMES
    other = sources.Parquet(tmp_path / "x.parquet", columns=["b", "a", "c"])
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(other)
    two = sources.Parquet(tmp_path / "x.parquet", columns=["c", "a"])
    expected = GaussianMixture(2, random_state=0).fit(X[:, [2, 0]])
    assert np.array_equal(GaussianMixture(2, random_state=0).fit(two).means_, expected.means_)


def test_absent_rows_may_hold_anything(tmp_path):
    broken = X.copy()
    broken[np.flatnonzero(WEIGHT == 0)[::2]] = np.nan
    broken[np.flatnonzero(WEIGHT == 0)[1::2]] = 1e300
    source = make_source("one file", tmp_path, broken, WEIGHT)
    model = GaussianMixture(2, random_state=0).fit(source)
    present = WEIGHT > 0
    expected = GaussianMixture(2, random_state=0).fit(X[present], sample_weight=WEIGHT[present])
    np.testing.assert_allclose(model.means_, expected.means_, rtol=1e-9)
    assert model.n_samples_seen_ == expected.n_samples_seen_


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_found(kind, value, tmp_path):
    broken = X.copy()
    broken[6543, 1] = value
    source = make_source(kind, tmp_path, broken)
    where = {"parquet": "row group 3 of", "files": "row 542 of .*2.npy"}.get(kind, "feature 1")
    with pytest.raises(ValueError, match=rf"(?s)in row 6543, feature 1.*{where}|{where}"):
        GaussianMixture(2).fit(source)


def test_a_weight_that_is_not_valid_is_found(tmp_path):
    weight = WEIGHT.copy()
    weight[7000] = -1.0
    source = make_source("parquet", tmp_path, weight=weight)
    with pytest.raises(ValueError, match=r"got -1.0 for sample 7000 .*row group 3 of"):
        GaussianMixture(2).fit(source)
    with pytest.raises(ValueError, match="a row of positive weight, but all are zero"):
        GaussianMixture(2).fit(make_source("parquet", tmp_path, weight=np.zeros(N)))


@pytest.mark.parametrize("kind", ["one file", "parquet"])
def test_a_file_that_changes_is_noticed(kind, tmp_path):
    source = make_source(kind, tmp_path)
    path = tmp_path / ("0.npy" if kind == "one file" else "x.parquet")

    def change(iteration):
        if iteration.number == 2:
            content = path.read_bytes()
            path.write_bytes(content)

    model = GaussianMixture(2, random_state=0, tol=0, max_iter=9)
    with pytest.raises(ValueError, match=rf"{path.name} has changed since it was opened"):
        model.fit(source, callback=change)
    assert not hasattr(model, "means_")


def test_batches_that_change_are_noticed():
    lengths = itertools.chain([N] * 4, itertools.repeat(N - 1))
    source = sources.Batches(lambda: [X[: next(lengths)]])
    with pytest.raises(ValueError, match=f"it yielded {N} rows before and {N - 1} now"):
        GaussianMixture(2, random_state=0).fit(source)


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda _: sources.Batches(iter([X])), TypeError, "a function that returns an iterable"),
        (lambda _: sources.Batches(list), ValueError, "it yields no rows"),
        (lambda _: sources.Batches(lambda: [X[0]]), ValueError, r"batch 0: .*\(n_samples, n_feat"),
        (lambda _: sources.Arrow([X]), TypeError, "pyarrow.Table, or a function"),
        (lambda _: sources.Arrow(table(X), ["a", "z"]), ValueError, "no column 'z'"),
        (lambda _: sources.Arrow(table(X), memory="2 bytes"), ValueError, "such as '2GB'"),
        (lambda path: sources.ArrayFiles(path / "*.npy"), ValueError, "of this pattern, found no"),
        (lambda path: sources.ArrayFiles(path / "no.npy"), FileNotFoundError, "no.npy"),
        (lambda path: sources.open_source(path / "x.csv"), ValueError, r"\.npy files, \.parquet"),
        (lambda path: sources.ArrayFiles([]), TypeError, "a path or several"),
    ],
)
def test_wrong_sources(make, error, message, tmp_path):
    with pytest.raises(error, match=message):
        make(tmp_path)


def test_wrong_files(tmp_path):
    np.save(tmp_path / "a.npy", X)
    np.save(tmp_path / "b.npy", X[:, :2])
    with pytest.raises(ValueError, match=r"b.npy: .*with 3 columns, got .*\(9001, 2\)"):
        sources.ArrayFiles([tmp_path / "a.npy", tmp_path / "b.npy"])
    np.save(tmp_path / "w.npy", WEIGHT[:-1])
    with pytest.raises(ValueError, match=r"one weight for each row .*\(9000,\)"):
        sources.ArrayFiles(tmp_path / "a.npy", tmp_path / "w.npy")
    pq.write_table(table(X), tmp_path / "a.parquet")
    pq.write_table(table(X).rename_columns(["a", "b", "z"]), tmp_path / "b.parquet")
    with pytest.raises(ValueError, match=r"b.parquet: expected the columns .*, got .*'z'"):
        sources.Parquet(tmp_path / "*.parquet")
    text = pa.table({"a": ["x"] * 3})
    pq.write_table(text, tmp_path / "t.parquet")
    with pytest.raises(ValueError, match="expected numbers, got string"):
        sources.Parquet(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    "fit, message",
    [
        (lambda s: GaussianMixture(2).fit(s, sample_weight=WEIGHT), "brings its own weights"),
        (lambda s: GaussianMixture(2, missing="marginalize").fit(s), "needs samples in memory"),
        (lambda s: select(s, [1, 2], criterion="held-out"), "needs samples in memory"),
        (
            lambda s: em.fit(s, START, posterior=em.MiniBatchPosterior(100)),
            "Random batches need samples in memory",
        ),
        (lambda s: GaussianMixture(10_000).fit(s), "n_components = 10000, n_samples = 9001"),
    ],
)
def test_what_a_source_cannot(fit, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        fit(make_source("one file", tmp_path))


def test_memory_is_forecast_before_anything_is_read():
    reads = []

    def batches():
        reads.append(1)
        yield X

    source = sources.Batches(batches, memory="100MB")
    reads.clear()
    with pytest.raises(ValueError, match=r"memory should be at least .* for a fit of 2 full"):
        GaussianMixture(2).fit(source)
    assert not reads
    model = GaussianMixture(2, random_state=0).fit(sources.Batches(batches, memory="1 TiB"))
    assert model.n_iter_ > 0


@pytest.mark.slow
def test_the_forecast_counts_what_many_components_take(tmp_path):
    """Three candidates of each row, now and next; the rows by which select compares starts."""

    def gigabytes(fit, n):
        path = tmp_path / "zeros.npy"
        np.lib.format.open_memmap(path, "w+", np.float32, (n, 1))  # takes no room on the disk
        with pytest.raises(ValueError, match="memory should be at least") as error:
            fit(sources.ArrayFiles(path, memory="1MB"))
        size, unit = re.search(r"at least (\S+) (.B) for", str(error.value)).groups()
        return float(size) * {"MB": 1e-3, "GB": 1.0}[unit]

    def by_rows(fit):  # what else the process takes counts in both
        return gigabytes(fit, 10**8) - gigabytes(fit, 10**6)

    model = GaussianMixture(300, covariance_type="diag", posterior="truncated")
    assert by_rows(model.fit) == pytest.approx(24 * 99e6 / 1e9, abs=0.1)
    rows = 256 * 100_000 - 10**6  # of five numbers and twenty more
    expected = (24 * 99e6 + 8 * 25 * rows) / 1e9
    assert by_rows(lambda source: select(source, 100_000, "diag")) == pytest.approx(expected, 0.02)


def test_open_source(tmp_path):
    make_source("parquet", tmp_path, weight=WEIGHT)
    make_source("files", tmp_path)
    parquet = sources.open_source(tmp_path / "*.parquet", columns=["a"], weight="weight")
    assert (parquet.n_samples, parquet.n_features, parquet.is_weighted) == (N, 1, True)
    arrays = sources.open_source([str(tmp_path / f"{i}.npy") for i in range(3)])
    assert (arrays.n_samples, arrays.n_features, arrays.is_weighted) == (N, D, False)
    with pytest.raises(ValueError, match="columns should be None"):
        sources.open_source(tmp_path / "0.npy", columns=["a"])


def test_interruption_between_parts():
    """An interrupt in a pass ends the fit, and the reader goes on for no more than a part."""
    made = []

    def batches():
        for i in range(6):
            made.append(i)
            if len(made) > 20 and i == 2:
                raise KeyboardInterrupt
            yield X[i * 1500 : (i + 1) * 1500]

    with pytest.raises(KeyboardInterrupt):
        GaussianMixture(2, random_state=0).fit(sources.Batches(batches))


@pytest.mark.one_backend
def test_the_command_line_reads_part_by_part(tmp_path, capsys, monkeypatch):
    from fastgmm.cli.main import main

    for i, piece in enumerate(np.array_split(X, 3)):
        pq.write_table(table(piece, WEIGHT[: len(piece)]), tmp_path / f"{i}.parquet")
    whole = pa.concat_tables([pq.read_table(tmp_path / f"{i}.parquet") for i in range(3)])
    monkeypatch.chdir(tmp_path)
    options = ["-K", "2", "--weights", "weight", "--json", "--force", "--max-iter", "9"]
    assert main(["fit", "*.parquet", *options, "--memory", "1TB", "-o", "model.npz"]) == 0
    assert main(["predict", "model.npz", "[0-2].parquet", "--columns", "a,b,c", "-o", "l.npy"]) == 0
    assert main(["score", "model.npz", "[0-2].parquet", "--columns", "a,b,c"]) == 0
    pq.write_table(whole, "whole.parquet")
    assert main(["fit", "whole.parquet", *options, "-o", "whole.npz"]) == 0
    assert main(["predict", "whole.npz", "whole.parquet", "-o", "w.npy"]) == 0
    assert np.array_equal(np.load("l.npy"), np.load("w.npy"))
    printed = capsys.readouterr().out
    first = next(line for line in printed.splitlines() if line.startswith("{"))
    assert '"n_samples": 9001' in first
    assert main(["fit", "*.parquet", "-K", "2", "--memory", "10MB"]) == 1
    assert "memory should be at least" in capsys.readouterr().err
    assert main(["fit", "whole.parquet", "-K", "2", "--memory", "1TB", "--id", "a"]) != 0
