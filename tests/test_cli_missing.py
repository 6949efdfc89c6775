"""Tables with gaps on the command line: --missing marginalize."""

import json
from pathlib import Path

import numpy as np
import pytest

import fastgmm
from fastgmm.data.sample_data import load_sample

IRIS = np.asarray(load_sample("iris"), np.float64)
GONE = np.random.default_rng(0).random(IRIS.shape) < 0.1
GAPS = np.where(GONE, np.nan, IRIS)
OPTIONS = ("--id", "species", "--missing", "marginalize")


@pytest.fixture
def table(run):
    """Write a table with gaps and a column of text, where ``run`` works."""
    cells = [["" if np.isnan(x) else repr(float(x)) for x in row] for row in GAPS]
    lines = [",".join([*row, f"kind {i // 50}"]) for i, row in enumerate(cells)]
    Path("x.csv").write_text("\n".join(["a,b,c,d,species", *lines, ""]))
    return "x.csv"


def column(text, name):
    head, *rows = (line.split(",") for line in text.splitlines())
    return [row[head.index(name)] for row in rows]


def test_fit_predict_and_score(table, run):
    code, out, err = run("fit", table, "-K", 3, *OPTIONS, "-o", "m.npz", "--json")
    assert (code, err) == (0, "")
    report = json.loads(out)
    model = fastgmm.load("m.npz")
    assert model.missing == report["parameters"]["missing"] == "marginalize"
    assert report["data"]["n_samples"] == 150
    assert model.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    expected = fastgmm.GaussianMixture(
        3, missing="marginalize", reg_covar="auto", random_state=0, stop_rule="remaining-gain"
    ).fit(GAPS)
    np.testing.assert_array_equal(model.means_, expected.means_)
    # the model knows what a gap is
    code, out, err = run("predict", "m.npz", table, "--id", "species")
    assert (code, err) == (0, "")
    assert [int(label) for label in column(out, "label")] == expected.predict(GAPS).tolist()
    code, out, err = run("score", "m.npz", table, "--samples")
    assert (code, err) == (0, "")
    density = [float(x) for x in column(out, "log_density")]
    np.testing.assert_array_equal(density, expected.score_samples(GAPS))
    assert run("score", "m.npz", table)[0] == 0
    code, out, err = run("predict", "m.npz", table, "--drop-missing")
    assert len(out.splitlines()) == 1 + (~GONE.any(axis=1)).sum()


def test_auto_and_select(table, run):
    assert run("fit", table, "-K", "auto", *OPTIONS, "-o", "m.npz", "--quiet") == (0, "", "")
    best = fastgmm.select(
        GAPS, range(1, 10), "full", missing="marginalize", random_state=0
    ).best_estimator
    assert fastgmm.load("m.npz").n_components == best.n_components
    code, _, err = run("select", table, "-K", "1:3", *OPTIONS, "-o", "best.npz")
    assert (code, err) == (0, "")
    assert fastgmm.load("best.npz").missing == "marginalize"


def test_standardize(table, run):
    """The same model in the features' own units, whose labels are those of z."""
    argv = ("fit", table, "-K", 3, *OPTIONS, "--standardize", "-o", "m.npz", "--quiet")
    assert run(*argv) == (0, "", "")
    model = fastgmm.load("m.npz")
    own = fastgmm.GaussianMixture(
        3, missing="marginalize", reg_covar="auto", random_state=0, stop_rule="remaining-gain"
    ).fit((GAPS - np.nanmean(GAPS, axis=0)) / np.nanstd(GAPS, axis=0))
    np.testing.assert_allclose(
        model.means_, np.nanmean(GAPS, axis=0) + own.means_ * np.nanstd(GAPS, axis=0), rtol=1e-9
    )


def test_a_model_of_complete_rows_takes_gaps_when_told(table, run, fail):
    np.save("iris.npy", IRIS)
    np.save("gaps.npy", GAPS)
    assert run("fit", "iris.npy", "-K", 3, "-o", "m.npz", "--quiet")[0] == 0
    assert "--missing marginalize uses what they have" in fail("predict", "m.npz", "gaps.npy")
    code, out, _ = run("predict", "m.npz", "gaps.npy", "--missing", "marginalize")
    assert code == 0
    model = fastgmm.load("m.npz").set_params(missing="marginalize")
    assert [int(label) for label in column(out, "label")] == model.predict(GAPS).tolist()


def test_what_is_refused(table, run, fail):
    message = fail("fit", table, "-K", 3, *OPTIONS, "--drop-missing", code=2)
    assert "--missing marginalize does not go with --drop-missing" in message
    Path("inf.csv").write_text("a,b\n1,\n2,inf\n3,4\n")
    message = fail("fit", "inf.csv", "-K", 1, "--missing", "marginalize")
    assert message == "inf.csv, row 3, column 'b': expected a finite number, got inf."
    Path("none.csv").write_text("a,b\n1,\n2,\n3,\n")
    message = fail("fit", "none.csv", "-K", 1, "--missing", "marginalize")
    assert "all of column b are missing. Leave the feature out." in message
    fastgmm.save(fastgmm.SoftKMeans(2, random_state=0).fit(IRIS), "soft.npz")
    np.save("gaps.npy", GAPS)
    message = fail("predict", "soft.npz", "gaps.npy", "--missing", "marginalize", code=2)
    assert "--missing does not go with a SoftKMeans" in message


def test_missing_weights_are_still_refused(run, fail):
    Path("x.csv").write_text("a,w\n1,1\n,1\n3,\n4,2\n")
    argv = ("fit", "x.csv", "-K", 1, "--weights", "w", "--missing", "marginalize")
    assert fail(*argv) == (
        "x.csv: found 1 of 4 rows with missing values, the first in row 4, column 'w'. "
        "--drop-missing leaves such rows out."
    )
