"""``fastgmm select``, and ``fastgmm fit -K auto``."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas
import pytest

import fastgmm
from fastgmm import select

PATH = Path(__file__).parent / "data" / "faithful.csv"
FAITHFUL = np.loadtxt(PATH, delimiter=",", skiprows=1)


def test_select_prints_the_table(run):
    code, out, err = run("select", PATH, "-K", "1:4")
    assert (code, err) == (0, "")
    assert out == f"{select(FAITHFUL, range(1, 5), random_state=0)}\n"


def test_select_saves_the_best_and_the_table(run):
    code, out, err = run("select", PATH, "-K", "2,3", "-o", "best.npz", "--table", "table.csv")
    assert (code, err) == (0, "")
    assert out.endswith("\nsaved to best.npz\n")
    expected = select(FAITHFUL, [2, 3], random_state=0)
    model = fastgmm.load("best.npz")
    assert (model.n_components, model.covariance_type) == expected.best[1::-1]
    assert model.feature_names_in_.tolist() == ["eruptions", "waiting"]
    np.testing.assert_array_equal(model.means_, expected.best_estimator.means_)
    with Path("table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["bic"]) for row in rows] == [c.bic for c in expected.candidates]
    assert [row["fault"] for row in rows] == [""] * 6
    assert run("predict", "best.npz", PATH)[0] == 0


def test_select_draws_the_table(run):
    pytest.importorskip("matplotlib")
    assert run("select", PATH, "-K", "1:3", "--plot", "choice.png", "--quiet") == (0, "", "")
    assert Path("choice.png").read_bytes().startswith(b"\x89PNG")
    code, _, err = run("select", PATH, "-K", "1:3", "--plot", "choice.png")
    assert code == 1
    assert "choice.png" in err
    assert "--force" in err


def test_select_takes_the_options_of_the_library(run):
    argv = ["--covariance-type", "diag,spherical", "--criterion", "held-out", "--cv", 3]
    code, out, _ = run("select", PATH, "-K", "1,2", *argv, "--seed", 5, "--json")
    assert code == 0
    report = json.loads(out)
    expected = select(
        FAITHFUL, [1, 2], ["diag", "spherical"], "held-out", cv=3, random_state=5
    ).to_records()
    assert report["candidates"] == expected
    assert report["best"] == {"covariance_type": "diag", "n_components": 2}


def test_select_with_weights(run):
    weight = 1.0 + np.arange(len(FAITHFUL)) % 3
    np.save("weights.npy", weight)
    code, out, _ = run("select", PATH, "-K", "1:2", "--weights", "weights.npy")
    assert code == 0
    assert out == f"{select(FAITHFUL, [1, 2], sample_weight=weight, random_state=0)}\n"


def test_candidates_that_fail_are_named_by_options(run):
    _, out, _ = run("select", PATH, "-K", "2,300", "--covariance-type", "tied")
    assert out.endswith(
        "\nnot compared:\ntied, K = 300: Expected n_samples >= --n-components but got "
        "--n-components = 300, n_samples = 272\n"
    )


def test_quiet_prints_nothing(run):
    assert run("select", PATH, "-K", "1", "--quiet") == (0, "", "")


@pytest.mark.parametrize("sizes", ["0:4", "4:1", "a", "1:", "1,", "2.5", ""])
def test_wrong_numbers_of_components(fail, sizes):
    message = fail("select", PATH, "-K", sizes, code=2)
    assert f"expected integers of at least 1, as 1:9 or 2,4,8, got {sizes!r}" in message


def test_wrong_covariance_types(fail):
    message = fail("select", PATH, "--covariance-type", "full,round", code=2)
    assert (
        "--covariance-type: expected some of full, tied, diag, spherical, tied-spherical, "
        "separated by commas, got 'full,round'"
    ) in message


def test_files_that_exist_are_kept(run, fail):
    Path("table.csv").write_text("mine")
    assert fail("select", PATH, "--table", "table.csv") == (
        "table.csv: the file exists. --force replaces it."
    )
    assert run("select", PATH, "-K", 1, "--table", "table.csv", "--force")[0] == 0
    assert Path("table.csv").read_text().startswith("covariance_type,n_components,")


def test_fit_chooses_the_number_of_components(run):
    code, out, err = run(
        *("fit", PATH, "-K", "auto", "--covariance-type", "tied", "-o", "model.npz")
    )
    assert (code, err) == (0, "")
    assert "\nchosen               K = 3 (BIC 2,314.30), before K = 4 (BIC 2,320.14)\n" in out
    model = fastgmm.load("model.npz")
    assert model.n_components == 3
    best = select(FAITHFUL, covariance_type="tied", random_state=0).best_estimator
    np.testing.assert_allclose(model.means_, best.means_, rtol=1e-3)
    assert model.bic(pandas.read_csv(PATH)) <= 2314.3


@pytest.mark.parametrize("options", [["--standardize"], ["--acceleration", "quasi-newton"]])
def test_fit_with_a_chosen_number_takes_other_options(run, options):
    code, out, _ = run("fit", PATH, "-K", "auto", "--json", "--n-init", 2, *options)
    assert code == 0
    report = json.loads(out)
    assert report["model"]["n_components"] == 2
    assert report["score"]["bic"] == pytest.approx(2322.19, abs=0.01)
    assert len(report["selection"]["candidates"]) == 9


def test_fit_of_a_given_number_has_no_selection(run):
    assert json.loads(run("fit", PATH, "-K", 2, "--json")[1])["selection"] is None


@pytest.mark.parametrize(
    "options", [["--init", "kmeans"], ["--equal-weights"], ["--variance", "1"]]
)
def test_options_that_do_not_go_with_auto(fail, options):
    kind = ["--covariance-type", "tied-spherical"]
    message = fail("fit", PATH, "-K", "auto", *kind, *options, code=2)
    assert message == f"-K auto does not go with {options[0]} (see fastgmm fit --help)"


def test_fit_tells_that_more_components_may_be_better(run):
    rng = np.random.default_rng(0)
    np.save("X.npy", rng.normal(size=(600, 1)) + 20.0 * np.repeat(np.arange(12), 50)[:, np.newaxis])
    code, _, err = run("fit", "X.npy", "-K", "auto", "--quiet")
    assert code == 0
    assert err == (
        "fastgmm: warning: -K auto chose 9, the largest number that it tries: fastgmm select -K "
        "tries more\n"
    )
