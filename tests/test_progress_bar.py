"""``verbose=True``: a progress bar where tqdm is installed, else lines of text."""

import io
import sys

import numpy as np
import pytest
from sklearn.datasets import load_iris

from fastgmm import BayesianGaussianMixture, GaussianMixture

IRIS = load_iris().data


@pytest.mark.parametrize("kind", [GaussianMixture, BayesianGaussianMixture])
@pytest.mark.parametrize("verbose", [True, np.True_])
def test_bar(kind, verbose, capsys):
    pytest.importorskip("tqdm")
    model = kind(n_components=2, verbose=verbose, n_init=2, random_state=0).fit(IRIS)
    out, err = capsys.readouterr()
    assert out == ""
    shown = [text.strip() for text in err.split("\r") if text.strip()]
    assert shown[0] == "starting points"
    assert shown[-1].startswith("start 2/2 ")
    assert f"/{model.max_iter} |" in shown[-1]
    assert "log-likelihood " in shown[-1]
    assert err.endswith("\n")


def test_bar_is_closed_when_a_fit_fails(capsys):
    pytest.importorskip("tqdm")

    def fail(iteration):
        raise KeyError

    with pytest.raises(KeyError):
        GaussianMixture(2, verbose=True, random_state=0).fit(IRIS, callback=fail)
    assert capsys.readouterr().err.endswith("\n")


def test_bar_fits_a_terminal(monkeypatch):
    pytest.importorskip("tqdm")
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "60")
    GaussianMixture(2, verbose=True, random_state=0).fit(IRIS)
    lines = [text.strip() for text in terminal.getvalue().split("\r")]
    assert max(map(len, lines)) <= 60


def test_lines_without_tqdm(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    options = {"init_params": "kmeans", "tol": 0.0, "max_iter": 10, "random_state": 0}
    with pytest.warns(match="did not converge"):
        GaussianMixture(3, verbose=True, **options).fit(IRIS)
    assert capsys.readouterr().out.splitlines() == [
        "Initialization 0",
        "  Iteration 10",
        "Initialization did not converge.",
    ]


@pytest.mark.parametrize("verbose", [False, 0])
def test_nothing(verbose, capsys):
    GaussianMixture(2, verbose=verbose, random_state=0).fit(IRIS)
    assert capsys.readouterr() == ("", "")
