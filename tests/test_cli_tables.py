"""The command line and people's tables: columns, weights, units, identifiers, files of output."""

import errno
import gzip
import io
import json
import os
import random
import re
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from command_line import mixture
from pyarrow import csv, parquet
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler

import fastgmm

pytestmark = [
    pytest.mark.one_backend,
    pytest.mark.filterwarnings("ignore:X does not have valid feature names"),
]

IRIS = load_iris().data
NAMES = ["sl", "sw", "pl", "pw"]
FIT = ["-K", "3", "--quiet", "-o", "m.npz"]


@pytest.fixture
def flowers(run):
    """Write iris with a name and a weight for each flower, in two files of other column orders."""
    rows = [[f"flower {i}", *map(repr, x), repr(1.0 + i % 2)] for i, x in enumerate(IRIS.tolist())]
    head = ["name", *NAMES, "weight"]
    for path, order in (("iris.csv", [0, 1, 2, 3, 4, 5]), ("turned.csv", [5, 4, 0, 2, 3, 1])):
        lines = [",".join(row[i] for i in order) for row in [head, *rows]]
        Path(path).write_text("\n".join(lines) + "\n")
    return run


def fit(run, *options):
    code, out, _ = run("fit", *options, *FIT)
    assert (code, out) == (0, "")
    return fastgmm.load("m.npz")


def rows_of(text):
    """Return the columns of text output."""
    return csv.read_csv(io.BytesIO(text.encode())).to_pydict()


# what is read


def test_columns_of_a_model_in_any_order(flowers):
    model = fit(flowers, "iris.csv", "--columns", ",".join(NAMES))
    assert model.feature_names_in_.tolist() == NAMES
    expected = mixture(3).fit(IRIS)
    np.testing.assert_array_equal(model.means_, expected.means_)
    for source in ("iris.csv", "turned.csv"):
        code, out, err = flowers("predict", "m.npz", source, "--id", "name")
        assert (code, err) == (0, "")
        assert rows_of(out) == {
            "name": [f"flower {i}" for i in range(150)],
            "label": expected.predict(IRIS).tolist(),
        }
        code, out, err = flowers("score", "m.npz", source)
        assert (code, err) == (0, "")
        assert f"{expected.score(IRIS):.6f} nats" in out


def test_identifiers_are_no_features(flowers):
    model = fit(flowers, "iris.csv", "--id", "name", "--weights", "weight")
    assert model.feature_names_in_.tolist() == NAMES
    _, out, _ = flowers("score", "m.npz", "turned.csv", "--id", "name", "--weights", "weight")
    assert out.startswith("samples              150\n")


def test_weights_are_a_column_or_a_file(flowers):
    weights = 1.0 + np.arange(150) % 2
    np.save("w.npy", weights)
    expected = mixture(3).fit(IRIS, sample_weight=weights)
    for given in ("weight", "6", "w.npy"):
        model = fit(flowers, "iris.csv", "--columns", "sl,sw,pl,pw", "--weights", given)
        np.testing.assert_array_equal(model.means_, expected.means_)
        Path("m.npz").unlink()
    fit(flowers, "iris.csv", "--columns", "2,3,4,5", "--weights", "weight")
    _, out, _ = flowers("score", "m.npz", "turned.csv", "--weights", "weight")
    assert f"{expected.score(IRIS, sample_weight=weights):.6f} nats" in out
    assert re.search(r"sum of weights +225\n", out)


def test_errors_name_the_column_and_the_remedy(flowers, fail):
    assert fail("fit", "iris.csv", "-K", 3) == (
        "iris.csv, row 2, column 'name': expected a number, got 'flower 0'. "
        "Choose features with --columns, or leave it out with --id."
    )
    assert fail("fit", "iris.csv", "-K", 3, "--columns", "sl,pW", "--weights", "zz") == (
        "iris.csv: no column 'zz': it has name, sl, sw, pl, pw, weight."
    )
    fit(flowers, "iris.csv", "--columns", "sl,pw")
    Path("x.csv").write_text("sl,sw\n1,2\n")
    assert fail("predict", "m.npz", "x.csv") == (
        "x.csv: the model needs the columns sl, pw, but there is no 'pw'."
    )


def test_standard_input(run, monkeypatch):
    model = fit(run, "sample:iris")
    text = "".join(",".join(map(repr, row)) + "\n" for row in IRIS.tolist())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    code, out, err = run("predict", "m.npz", "-", "--no-header")
    assert (code, err) == (0, "")
    assert rows_of(out)["label"] == model.predict(IRIS).tolist()


def test_numeric_header_is_a_warning(run):
    np.savetxt("x.csv", np.vstack([np.arange(4), IRIS]), delimiter=";", fmt="%g")
    code, out, err = run("fit", "x.csv", "-K", 1)
    assert (code, err.count("\n")) == (0, 1)
    assert "x.csv: 151 samples x 4 features" in out
    assert err == (
        "fastgmm: warning: x.csv: the first row holds numbers (0, 1, 2, 3) and is read as a "
        "sample. Say --header if they are names, or --no-header.\n"
    )
    code, out, err = run("fit", "x.csv", "-K", 3, "--header", "--separator", ";")
    assert (code, err) == (0, "")
    assert "x.csv: 150 samples x 4 features" in out


def test_missing_values(run, fail):
    X = IRIS.copy()
    X[[3, 77], [1, 2]] = np.nan
    np.save("x.npy", X)
    message = fail("fit", "x.npy", "-K", 3)
    assert message == (
        "x.npy: found 2 of 150 rows with missing values, the first in row 4, column 2. "
        "--drop-missing leaves such rows out, --missing marginalize uses what they have."
    )
    np.save("w.npy", np.linspace(1, 2, 150))
    code, _, err = run("fit", "x.npy", "--drop-missing", "--weights", "w.npy", *FIT)
    assert (code, err) == (
        0,
        "fastgmm: warning: x.npy: left out 2 of 150 rows with missing values, "
        "the first in row 4, column 2.\n",
    )
    keep = ~np.isnan(X).any(axis=1)
    expected = mixture(3)
    expected.fit(X[keep], sample_weight=np.linspace(1, 2, 150)[keep])
    np.testing.assert_array_equal(fastgmm.load("m.npz").means_, expected.means_)
    _, out, _ = run("predict", "m.npz", "x.npy", "--drop-missing")
    assert rows_of(out)["label"] == expected.predict(X[keep]).tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float32_stays(run, dtype):
    table = {name: IRIS[:, i].astype(dtype) for i, name in enumerate(NAMES)}
    parquet.write_table(pa.table(table), "iris.parquet")
    _, out, _ = run("fit", "iris.parquet", "-K", 3)
    assert f"iris.parquet: 150 samples x 4 features, {np.dtype(dtype)}" in out


# units


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
def test_standardize_stores_the_model_in_the_own_units(run, covariance_type):
    X = IRIS * [1e-6, 1.0, 1e3, 1e6] + [0, 5, 0, -1e7]
    np.save("x.npy", X)
    options = ["--covariance-type", covariance_type, "--reg-covar", "1e-6"]
    code, out, err = run("fit", "x.npy", "--standardize", *options, "-K", 3, "-o", "m.npz")
    assert (code, err) == (0, "")
    model = fastgmm.load("m.npz")
    scaler = StandardScaler().fit(X)
    Z = scaler.transform(X)
    fitted = mixture(3, covariance_type=covariance_type, reg_covar=1e-6).fit(Z)
    shift = np.log(scaler.scale_).sum()
    np.testing.assert_allclose(model.score_samples(X), fitted.score_samples(Z) - shift, rtol=1e-9)
    np.testing.assert_array_equal(model.predict(X), fitted.predict(Z))
    np.testing.assert_allclose(model.lower_bounds_, np.subtract(fitted.lower_bounds_, shift))
    assert f"{model.score(X):.6f} nats per sample" in out
    dense = {
        "full": lambda c: c, "tied": lambda c: c, "diag": lambda c: c[..., np.newaxis] * np.eye(4)
    }[covariance_type]  # fmt: skip
    covariances, precisions = dense(model.covariances_), dense(model.precisions_)
    identity = np.broadcast_to(np.eye(4), covariances.shape)
    scaled = (covariances @ precisions) * scaler.scale_ / scaler.scale_[:, np.newaxis]
    np.testing.assert_allclose(scaled, identity, atol=1e-7)
    _, out, _ = run("score", "m.npz", "x.npy")
    assert f"{model.score(X):.6f} nats per sample" in out


@pytest.mark.parametrize("dtype", ["i2", "?", ">f8", "f2", "f4"])
def test_standardize_takes_every_type(run, dtype):
    X = np.random.default_rng(0).integers(0, 2, (60, 2)).astype(dtype)
    np.save("x.npy", X)
    code, _, _ = run("fit", "x.npy", "-K", 1, "--standardize", "--quiet", "-o", "m.npz")
    model = fastgmm.load("m.npz")
    assert code == 0
    np.testing.assert_allclose(model.means_[0], X.mean(axis=0, dtype=float), rtol=1e-6)
    deviations = np.sqrt(np.diagonal(model.covariances_[0]))
    np.testing.assert_allclose(deviations, X.std(axis=0, dtype=float), rtol=1e-5)


def test_standardize_with_weights_constant_features_and_tiny_units(run, fail):
    X = np.column_stack([IRIS, np.ones(150)])
    weights = np.linspace(0, 2, 150)
    np.save("x.npy", X)
    np.save("w.npy", weights)
    model = fit(run, "x.npy", "--standardize", "--weights", "w.npy", "--covariance-type", "diag")
    scaler = StandardScaler().fit(X, sample_weight=weights)
    Z = scaler.transform(X)
    fitted = mixture(3, covariance_type="diag")
    fitted.fit(Z, sample_weight=weights)
    np.testing.assert_allclose(model.means_, scaler.mean_ + scaler.scale_ * fitted.means_)
    np.save("tiny.npy", IRIS * 1e-170)
    assert fail("fit", "tiny.npy", "-K", 1, "--standardize").startswith(
        "--standardize: float64 cannot hold the variance of column 1, or its inverse. "
    )
    for kind in ("spherical", "tied-spherical"):
        message = fail("fit", "x.npy", "-K", 1, "--standardize", "--covariance-type", kind, code=2)
        assert message.startswith(f"--standardize does not go with --covariance-type {kind}, whose")


def test_what_a_fit_holds_fixed(run, fail):
    np.save("x.npy", IRIS)
    options = ["-K", 3, "--covariance-type", "tied-spherical", "--tol", "1e-6", "-o", "m.npz"]
    code, _, err = run("fit", "x.npy", *options, "--equal-weights", "--variance", 0.2)
    assert (code, err) == (0, "")
    model = fastgmm.load("m.npz")
    assert (model.fixed, model.covariances_) == (("weights", "covariances"), 0.2)
    np.testing.assert_array_equal(model.weights_, np.full(3, 1 / 3))
    soft = fastgmm.SoftKMeans(3, beta=2.5, init=model.means_, tol=1e-9).fit(IRIS)
    np.testing.assert_allclose(model.means_, soft.cluster_centers_, atol=1e-2)
    message = fail("fit", "x.npy", "-K", 3, "--variance", 0.2, code=2)
    assert message.startswith("--variance goes with --covariance-type tied-spherical alone")
    message = fail("fit", "x.npy", *options, "--variance", 0, code=2)
    assert "--variance: expected a number of at least 1e-300, got '0'" in message


def test_standardize_leaves_absent_rows_out(run, fail):
    weights = np.ones(150)
    weights[5] = 0.0
    X = np.column_stack([IRIS, np.ones(150)])
    X[5] = [1e200, np.nan, -1.0, 0.0, 2.0]  # of which the last feature is else constant
    np.save("x.npy", X)
    np.save("w.npy", weights)
    np.save("without.npy", np.delete(X, 5, axis=0))
    options = ["--covariance-type", "diag", "--standardize"]
    model = fit(run, "x.npy", "--weights", "w.npy", *options)
    expected = fit(run, "without.npy", *options, "--force")
    np.testing.assert_allclose(model.means_, expected.means_, rtol=1e-9)
    np.testing.assert_allclose(model.covariances_, expected.covariances_, rtol=1e-9)
    np.save("w.npy", np.zeros(150))
    message = fail("fit", "x.npy", "--weights", "w.npy", "-K", 1, "--standardize")
    assert message == "--weights should have a positive weight, but all are zero."


def test_standardize_keeps_the_factors_of_the_fit(run):
    """Factors of the covariances in the own units would be others, or none."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 50))
    X[:, -1] = X[:, :-1].sum(axis=1) / 7.0 + 2e-7 * rng.normal(size=3000)
    np.save("x.npy", X * 1e3)
    options = ["-K", 1, "--reg-covar", 0, "--quiet", "-o", "m.npz"]
    scores = []
    for more in ([], ["--standardize"]):
        assert run("fit", "x.npy", *options, *more, "--force")[0] == 0
        model = fastgmm.load("m.npz")
        scores.append(model.score(X * 1e3))
        assert model._checksum == model._sum_up()
    assert scores[0] == pytest.approx(scores[1], rel=1e-6)


def test_blanks_beside_a_missing_value(run, fail):
    Path("x.csv").write_text("a, b\n1.0, 2.0\n3.0, \n4.0, NA\nNA , 7\n1, 4\n  ,1\n2,3\n")
    assert "found 4 of 7 rows" in fail("fit", "x.csv", "-K", 1)
    code, out, _ = run("fit", "x.csv", "-K", 1, "--drop-missing", "--json")
    assert code == 0
    assert json.loads(out)["data"]["n_samples"] == 3


def test_messages_keep_the_words_of_the_user(run, fail):
    Path("x.csv").write_text("max_iter,b\n1,2\n3,4\n5,7\n")
    message = fail("fit", "x.csv", "-K", 1, "--columns", "max_itr,b")
    assert message == "x.csv: no column 'max_itr'. Did you mean 'max_iter'?"
    np.save("x.npy", IRIS)
    np.save("w.npy", np.where(np.arange(150) == 7, -np.inf, 1.0))
    assert fail("fit", "x.npy", "-K", 1, "--weights", "w.npy") == (
        "w.npy, row 8: expected a finite weight of at least 0, got -inf."
    )
    Path("y.csv").write_text("a,w\n1,2\n3,-1\n1e300,2\n")
    assert fail("fit", "y.csv", "-K", 1, "--weights", "w") == (
        "y.csv, row 3: expected a finite weight of at least 0, got -1.0."
    )
    assert fail("fit", "y.csv", "-K", 1, "--dtype", "float32") == (
        "y.csv, row 4, column 'a': expected a finite number, got inf (as float32)."
    )
    assert "argument --tol: " in fail("fit", "x.npy", "-K", 1, "--tol", "-inf", code=2)


def test_identifiers_of_one_name(run, fail):
    Path("x.csv").write_text("x,x,w\n1,2,3\n4,5,6\n7,8,8\n")
    assert run("fit", "x.csv", "--columns", "w", "-K", 1, "-o", "m.npz")[0] == 0
    assert fail("predict", "m.npz", "x.csv", "--id", "1,2") == ("x.csv: --id chooses 'x' 2 times.")


def test_empty_lines_of_one_column_are_missing_values(run, fail):
    text = "x\n1\n\n3\n9\n\n10\n11\n"
    for name, content in {
        "x.csv": text.encode(),
        "windows.csv": text.replace("\n", "\r\n").encode(),
        "more.csv": (text + "\n\n").encode(),
        "x.csv.gz": gzip.compress(text.encode()),
    }.items():
        Path(name).write_bytes(content)
        assert "found 2 of 7 rows with missing values, the first in row 3" in fail(
            "fit", name, "-K", 2
        )
        assert run("fit", name, "-K", 1, "--drop-missing", "-o", "m.npz", "--force")[0] == 0
        code, out, err = run("predict", "m.npz", name, "--drop-missing")
        assert code == 0
        assert len(rows_of(out)["label"]) == 5
        assert "left out 2 of 7 rows" in err


def test_a_first_row_of_missing_values_is_a_sample(run, fail):
    Path("x.csv").write_text("NA\n1\n3\n4\n8\n")
    assert "found 1 of 5 rows with missing values, the first in row 1" in fail(
        "fit", "x.csv", "-K", 1
    )
    Path("y.csv").write_text("NA,?\n1,2\n3,4\n4,4\n")
    assert "found 1 of 4 rows" in fail("fit", "y.csv", "-K", 1)


def test_identifiers_that_are_features_too_keep_their_words(run):
    ids = ["007", "9007199254740993", "9007199254740995", "1e1"]
    Path("x.csv").write_text("id,a\n" + "".join(f"{i},{j}\n" for j, i in enumerate(ids)))
    assert run("fit", "x.csv", "-K", 1, "-o", "m.npz")[0] == 0
    _, out, _ = run("predict", "m.npz", "x.csv", "--id", "id,a")
    assert out.splitlines() == ["id,a,label", *(f"{i},{j},0" for j, i in enumerate(ids))]


def test_weights_that_are_missing_or_text(run, fail):
    Path("x.csv").write_text("a,b\n1,2\n3,4\n5,6\n8,9\n")
    Path("w.csv").write_text("w\n1\nNA\n3\n2\n")
    assert fail("fit", "x.csv", "-K", 1, "--weights", "w.csv") == (
        "x.csv: found 1 of 4 rows with missing values, the first in w.csv, row 3. --drop-missing "
        "leaves such rows out."
    )
    assert "left out 1 of 4 rows" in run(
        "fit", "x.csv", "-K", 1, "--weights", "w.csv", "--drop-missing"
    )[2]  # fmt: skip
    Path("y.csv").write_text("a,w\n1,2\n3,\n5,6\n8,x\n")
    assert fail("fit", "y.csv", "-K", 1, "--weights", "w") == (
        "y.csv, row 5, column 'w': expected a number, got 'x'."
    )
    Path("y.csv").write_text("a,w\n1,2\n3,\n5,6\n8,1\n")
    assert "the first in row 3, column 'w'." in fail("fit", "y.csv", "-K", 1, "--weights", "w")


def test_a_table_of_another_width_than_the_model(run, fail):
    np.save("x.npy", IRIS)
    fit(run, "x.npy", "--id", "1")
    assert fail("predict", "m.npz", "x.npy") == (
        "x.npy: the model needs 3 features, got 4 columns. --columns chooses features, --id names "
        "columns that are none."
    )


def test_columns_that_a_table_lacks(run, fail):
    Path("x.csv").write_text("age,ratio,b\n1,2,3\n2,2,4\n5,1,1\n")
    Path("y.csv").write_text("age,Ratio,c\n1,2,3\n")
    assert run("fit", "x.csv", "-K", 1, "-o", "m.npz")[0] == 0
    assert fail("predict", "m.npz", "y.csv") == (
        "y.csv: the model needs the columns age, ratio, b, but there is no 'ratio', 'b'. "
        "Is it 'Ratio'?"
    )


def test_files_of_another_kind_than_their_name(run, fail):
    text = b"a,b\n1,2\n3,4\n"
    Path("x.csv").write_bytes(gzip.compress(text))
    assert fail("fit", "x.csv", "-K", 1).endswith(
        "It is a file of another kind: its name should end in .csv.gz."
    )
    Path("y.csv").write_bytes(text)
    assert fail("fit", "y.csv", "-K", 1, "--separator", ";") == (
        "y.csv: the first row has no ';'. Without --separator it is found."
    )


def test_errors_and_warnings_of_a_fit_name_columns(run, fail):
    X = IRIS.copy()
    X[:, 2] *= 1e-200
    for header, column in (("a,b,c d,e\n", "c d"), ("", "3")):
        rows = "".join(",".join(map(str, row)) + "\n" for row in X)
        Path("x.csv").write_text(header + rows)
        message = fail("fit", "x.csv", "-K", 1, *([] if header else ["--no-header"]))
        assert f"but those of column {column} are about" in message
    message = fail("fit", "x.csv", "-K", 1, "--columns", "2,3", "--no-header")
    assert "but those of column 3 are about" in message
    np.save("x.npy", IRIS * 1e-4)
    _, _, err = run("fit", "x.npy", "-K", 2, "--reg-covar", "1e-6")
    assert re.search(r"--reg-covar=1e-06 makes up .* % of the variance of column [1-4] in", err)


# what is written


def test_identifiers_and_probabilities_in_text_and_parquet(flowers):
    model = fit(flowers, "iris.csv", "--columns", "sl,sw,pl,pw")
    proba = model.predict_proba(IRIS)
    options = ["predict", "m.npz", "turned.csv", "--id", "weight,name", "--proba"]
    _, text, _ = flowers(*options)
    assert text.startswith("weight,name,label,p0,p1,p2\n")
    assert flowers(*options, "-o", "y.parquet") == (0, "", "")
    assert flowers(*options, "-o", "y.csv") == (0, "", "")
    assert Path("y.csv").read_text() == text
    for columns in (rows_of(text), parquet.read_table("y.parquet").to_pydict()):
        assert columns["name"][149] == "flower 149"
        assert [float(value) for value in columns["weight"]] == (1.0 + np.arange(150) % 2).tolist()
        assert columns["label"] == model.predict(IRIS).tolist()
        np.testing.assert_array_equal([columns[f"p{k}"] for k in range(3)], proba.T)


def test_npy_holds_numbers_alone(flowers, fail):
    model = fit(flowers, "iris.csv", "--columns", "sl,sw,pl,pw")
    assert flowers("predict", "m.npz", "iris.csv", "-o", "y.npy") == (0, "", "")
    np.testing.assert_array_equal(np.load("y.npy"), model.predict(IRIS), strict=True)
    assert flowers("predict", "m.npz", "iris.csv", "--proba", "-o", "p.npy") == (0, "", "")
    np.testing.assert_array_equal(np.load("p.npy"), model.predict_proba(IRIS), strict=True)
    message = fail("predict", "m.npz", "iris.csv", "--id", "name", "-o", "z.npy")
    assert message == "z.npy: --id needs a .csv or .parquet file."
    assert flowers("score", "m.npz", "iris.csv", "--samples", "--id", "name", "-o", "s.csv")[0] == 0
    columns = rows_of(Path("s.csv").read_text())
    assert list(columns) == ["name", "log_density"]
    assert columns["log_density"] == model.score_samples(IRIS).tolist()


def test_identifiers_that_need_quotes_or_take_a_name(run, fail):
    Path("x.csv").write_text('id,label,a\n"a ""b"", c",1,2\n007,2,3\n"line\nbreak",3,5\n')
    run("fit", "x.csv", "--columns", "a", "-K", "1", "--quiet", "-o", "m.npz")
    _, out, _ = run("predict", "m.npz", "x.csv", "--id", "id")
    assert out == 'id,label\n"a ""b"", c",0\n007,0\n"line\nbreak",0\n'
    message = fail("predict", "m.npz", "x.csv", "--id", "label")
    assert message == "--id label: the output has a column of that name."


# files that exist


OUTPUTS = {
    "fit": ("fit sample:iris -K 2 --quiet -o", "out.npz"),
    "predict": ("predict m.npz sample:iris -o", "out.csv"),
    "score": ("score m.npz sample:iris --samples -o", "out.parquet"),
    "bench": ("bench --quick --no-peer --covariance-type tied --plot", "out.png"),
}


@pytest.mark.parametrize("command", OUTPUTS)
def test_nothing_is_replaced_without_force(run, fail, monkeypatch, command):
    fit(run, "sample:iris")
    options, output = OUTPUTS[command]
    Path(output).write_text("precious")
    argv = [*options.split(), output]
    assert fail(*argv) == f"{output}: the file exists. --force replaces it."
    assert Path(output).read_text() == "precious"
    if command != "bench":
        code, _, err = run(*argv, "--force")
        assert (code, err) == (0, "")
        assert Path(output).read_bytes() != b"precious"


def alias(kind, path):
    """Return another name of a file."""
    if kind == "itself":
        return path
    if kind == "relative path":
        return f"../{Path.cwd().name}/./{path}"
    if kind == "absolute path":
        return str(Path(path).resolve())
    other = f"other{Path(path).suffix}"
    if kind == "symlink":
        Path(other).symlink_to(path)
    else:
        Path(other).hardlink_to(path)
    return other


ALIASES = ("itself", "relative path", "absolute path", "symlink", "hard link")


@pytest.mark.parametrize("kind", ALIASES)
@pytest.mark.parametrize("read", ["DATA", "WEIGHTS", "MODEL"])
def test_what_is_read_is_never_replaced(run, fail, kind, read):
    fit(run, "sample:iris")
    np.savetxt("x.csv", IRIS, delimiter=",", header=",".join(NAMES), comments="")
    np.savetxt("w.csv", np.ones(150))
    source = {"DATA": "x.csv", "WEIGHTS": "w.csv", "MODEL": "m.npz"}[read]
    content = Path(source).read_bytes()
    output = alias(kind, source)
    argv = ["fit", "x.csv", "-K", 3, "--weights", "w.csv"]
    if read == "MODEL":
        # a model is no name of an output table, but a link to it may be
        argv = ["predict", "m.npz", "x.csv"]
        output = "y.csv"
        Path(output).hardlink_to(source) if kind == "hard link" else Path(output).symlink_to(source)
    for force in ([], ["--force"]):
        message = fail(*argv, "-o", output, *force)
        assert message == f"{output}: expected another file than {read}, which is read."
    assert Path(source).read_bytes() == content


def test_arrays_and_standard_input_are_files_too(run, fail, monkeypatch):
    np.savez("x.npz", a=IRIS, b=IRIS)
    message = fail("fit", "x.npz:a", "-K", 3, "-o", "x.npz", "--force")
    assert message == "x.npz: expected another file than DATA, which is read."
    np.savetxt("x.csv", IRIS, delimiter=",")
    with Path("x.csv").open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        message = fail("fit", "-", "-K", 3, "-o", "x.csv", "--force")
    assert message == "x.csv: expected another file than DATA, which is read."


def test_errors_name_the_output_as_it_was_typed(fail, monkeypatch):
    name = "x" * 300 + ".npz"
    message = fail("fit", "nothing.npy", "-K", 3, "-o", name)
    assert message == f"{name}: File name too long"

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert fail("fit", "sample:iris", *FIT) == "m.npz: No space left on device"
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    "argv",
    ["fit '' -K 3", "fit x -K 3 -o ''", "fit x -K 3 --weights ''", "predict '' x", "info ''",
     "fit x -K 3 --columns ''", "predict m x -o ''", "fit x -K 3 --separator ''",
     "fit x -K 3 --encoding ''", "predict m x --id ''"],
)  # fmt: skip
def test_no_empty_names(fail, argv):
    arguments = [word.replace("''", "") for word in argv.split()]
    message = fail(*arguments, code=2)
    assert re.search(r"argument \S+: expected .*, got ''", message)


# damaged files


def text_of(X):
    return "a,b,c\n" + "".join(",".join(map(repr, row)) + "\n" for row in X.tolist())


def write_kind(name, X):
    """Write a table of the kind that the name tells."""
    if name.endswith(".npy"):
        np.save(name, X)
    elif name.endswith(".npz"):
        np.savez_compressed(name, X)
    elif name.endswith(".csv"):
        Path(name).write_text(text_of(X))
    elif name.endswith(".gz"):
        Path(name).write_bytes(gzip.compress(text_of(X).encode()))
    else:
        parquet.write_table(pa.table({k: X[:, i] for i, k in enumerate("abc")}), name)


#: Of 600 bits and 100 cuts, how many at least are noticed; else a number is another number.
NOTICED = {"x.npz": 600, "x.csv.gz": 650, "x.csv": 400, "x.npy": 150, "x.parquet": 200}


@pytest.mark.parametrize("size", [0.2, pytest.param(0.6, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NOTICED)
def test_damaged_files_are_one_line(run, name, size):
    X = np.random.default_rng(0).normal(size=(40, 3)).round(2)
    write_kind(name, X)
    fastgmm.save(mixture(1).fit(X), "m.npz")
    good, draw = Path(name).read_bytes(), random.Random(0)
    bits = [draw.randrange(8 * len(good)) for _ in range(int(600 * size))]
    damaged = [
        good[: b // 8] + bytes([good[b // 8] ^ 1 << b % 8]) + good[b // 8 + 1 :] for b in bits
    ]
    damaged += [good[: draw.randrange(len(good))] for _ in range(int(100 * size))]
    n_noticed = 0
    for content in damaged:
        Path(f"bad_{name}").write_bytes(content)
        code, out, err = run("score", "m.npz", f"bad_{name}")
        assert code in (0, 1)
        if code == 1:
            n_noticed += 1
            assert out == ""
            *warnings, error = err.splitlines()
            assert error.startswith(f"fastgmm: error: bad_{name}")
            assert all(line.startswith("fastgmm: warning: bad_") for line in warnings)
    assert n_noticed >= size * NOTICED[name]


HUGE = "{'descr': '<f8', 'fortran_order': False, 'shape': (9000000000, 3), }"


def test_sizes_are_checked_before_memory_is_taken(fail):
    text = HUGE.ljust(117).encode() + b"\n"
    content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
    Path("x.npy").write_bytes(content)
    with zipfile.ZipFile("x.npz", "w") as archive:
        archive.writestr("x.npy", content)
    for source in ("x.npy", "x.npz"):
        assert fail("fit", source, "-K", 2) == (
            f"{source}: damaged, or not of the kind of its name (an array of shape "
            "(9000000000, 3) and dtype float64 makes a file of 216,000,000,128 bytes, but it has "
            "128)."
        )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs wait4")
def test_damage_takes_little_memory(tmp_path, run_python):
    X = np.random.default_rng(0).normal(size=(400, 3))
    model = fastgmm.GaussianMixture(2, random_state=0).fit(X)
    fastgmm.save(model, tmp_path / "model.npz")
    names = ["x.npy", "x.npz", "x.csv", "x.csv.gz", "x.parquet"]
    for name in names:
        path = tmp_path / name
        write_kind(str(path), X)
        (tmp_path / f"damaged-{name}").write_bytes(path.read_bytes()[:1500])
    # the peak of a process counts that of its parent before exec: the parent must be small
    script = f"""
import os, subprocess, sys
commands = ["fit", "-K", "2"], ["predict", "model.npz"], ["score", "model.npz"]
for command, names in zip(commands, ({names}, {names[:1]}, {names[:1]})):
    for name in names:
        for file in (name, "damaged-" + name):
            process = subprocess.Popen([sys.executable, "-m", "fastgmm", *command, file])
            _, status, usage = os.wait4(process.pid, 0)
            print("ended", os.waitstatus_to_exitcode(status), usage.ru_maxrss // 1024)
"""
    ends = [line.split() for line in run_python(script).splitlines() if line.startswith("ended")]
    assert len(ends) == 14
    for whole, damaged in zip(ends[::2], ends[1::2], strict=True):
        assert (whole[1], damaged[1]) == ("0", "1")
        # what a process takes for its modules and threads depends on the machine
        assert int(damaged[2]) < int(whole[2]) + 50


def test_report_of_a_fit(flowers):
    options = ["--columns", "sl,pw", "--weights", "weight", "--standardize", "--json"]
    _, out, _ = flowers("fit", "iris.csv", "-K", 2, *options)
    report = json.loads(out)
    assert report["data"] == {
        "source": "iris.csv",
        "weights": "weight",
        "dtype": "float64",
        "n_samples": 150,
        "n_features": 2,
    }
    assert (report["standardize"], report["model"]["feature_names"]) == (True, ["sl", "pw"])


def test_help_says_that_text_has_a_header(run):
    for command in ("predict", "score"):
        text = " ".join(run(command, "--help")[1].split())
        assert "default: text with a header on stdout" in text


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_standardized_fits_do_not_depend_on_units(run, unit):
    labels = {}
    for name, scale in (("as it is", [1, 1, 1, 1]), ("scaled", [1, unit, 1, 1])):
        np.save("x.npy", IRIS * scale)
        code, _, err = run("fit", "x.npy", "--standardize", *FIT, "--force")
        assert (code, err) == (0, "")
        labels[name] = rows_of(run("predict", "m.npz", "x.npy")[1])["label"]
    assert fastgmm.load("m.npz").reg_covar == "auto"
    assert labels["as it is"] == labels["scaled"]


def test_models_of_soft_k_means(run):
    model = fastgmm.SoftKMeans(3, random_state=0).fit(IRIS)
    fastgmm.save(model, "m.npz")
    code, out, err = run("info", "m.npz")
    assert (code, err) == (0, "")
    assert "SoftKMeans, 3 components, spherical covariance" in out
    _, out, _ = run("predict", "m.npz", "sample:iris", "--proba")
    columns = rows_of(out)
    assert columns["label"] == model.predict(IRIS).tolist()
    assert columns["p2"] == model.predict_proba(IRIS)[:, 2].tolist()
