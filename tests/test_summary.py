"""What ``summary`` and ``to_frame`` say of a fitted mixture."""

import re
import sys

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

import fastgmm
from fastgmm import BayesianGaussianMixture, GaussianMixture, SoftKMeans
from fastgmm.model.covariance import COVARIANCE_MODELS

pd = pytest.importorskip("pandas")

WEIGHTS, MEANS = [0.25, 0.75], [[0.0, 5.0], [10.0, 7.0]]
COVARIANCES = [[[1.0, 0.5], [0.5, 4.0]], [[9.0, 0.0], [0.0, 16.0]]]
NAMES = ["length <cm>", "width"]


def make_frame(n_samples=300):
    rng = np.random.default_rng(0)
    labels = rng.random(n_samples) < 0.75
    X = np.array(MEANS)[labels.astype(int)] + rng.normal(size=(n_samples, 2))
    return pd.DataFrame(X, columns=NAMES)


def known():
    return GaussianMixture.from_parameters(WEIGHTS, MEANS, COVARIANCES)


def test_frame_of_known_parameters():
    frame = known().to_frame()
    expected = {
        "weight": [0.25, 0.75],
        "x0 mean": [0.0, 10.0],
        "x0 std": [1.0, 3.0],
        "x1 mean": [5.0, 7.0],
        "x1 std": [2.0, 4.0],
    }
    pd.testing.assert_frame_equal(
        frame, pd.DataFrame(expected, index=pd.RangeIndex(2, name="component")), check_index_type=0
    )


@pytest.mark.parametrize("covariance_type", COVARIANCE_MODELS)
def test_frame_of_a_fit(covariance_type):
    X = make_frame()
    model = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(X)
    frame = model.to_frame()
    dense = COVARIANCE_MODELS[covariance_type].dense(np.asarray(model.covariances_), 2, 2)
    assert list(frame.index) == [0, 1]
    assert list(frame)[2:] == [f"{name} {what}" for name in NAMES for what in ("mean", "std")]
    np.testing.assert_array_equal(frame["weight"], model.weights_)
    np.testing.assert_allclose(frame["size"], 300 * model.weights_, rtol=1e-14)
    for j, name in enumerate(NAMES):
        np.testing.assert_array_equal(frame[f"{name} mean"], model.means_[:, j])
        np.testing.assert_allclose(frame[f"{name} std"], np.sqrt(dense[:, j, j]), rtol=1e-14)


def test_sizes_are_sums_of_weights():
    X = make_frame()
    weight = np.random.default_rng(1).uniform(0, 3, len(X))
    model = GaussianMixture(2, random_state=0).fit(X, sample_weight=weight)
    assert model.n_samples_seen_ == pytest.approx(weight.sum(), rel=1e-14)
    np.testing.assert_allclose(model.to_frame()["size"], weight.sum() * model.weights_, rtol=1e-14)
    expected = weight @ model.predict_proba(X)
    np.testing.assert_allclose(model.to_frame(X, weight)["size"], expected, rtol=1e-13)


def test_sizes_of_samples_are_sums_of_responsibilities():
    X, weight = make_frame(2000), 1.0 + np.arange(2000) % 3
    model = GaussianMixture(2, random_state=0).fit(X)
    expected = weight @ model.predict_proba(X)
    sizes = model.to_frame(X, sample_weight=weight)["size"]
    np.testing.assert_allclose(sizes, expected, rtol=1e-12)


@pytest.mark.parametrize(
    "model",
    [SoftKMeans(2, random_state=0), GaussianMixture(2, fixed=("weights",), random_state=0)],
    ids=["SoftKMeans", "fixed weights"],
)
def test_fixed_weights_tell_no_sizes(model):
    X = make_frame()
    model.fit(X)
    assert "size" not in model.to_frame()
    assert "size" not in str(model.summary())
    sizes = model.predict_proba(X).sum(axis=0)
    np.testing.assert_allclose(model.to_frame(X)["size"], sizes, rtol=1e-13)


def test_sizes_are_saved(tmp_path):
    model = GaussianMixture(2, random_state=0).fit(make_frame())
    fastgmm.save(model, tmp_path / "model.npz")
    loaded = fastgmm.load(tmp_path / "model.npz")
    assert loaded.n_samples_seen_ == 300
    pd.testing.assert_frame_equal(loaded.to_frame(), model.to_frame())


def test_text():
    model = GaussianMixture(2, random_state=0).fit(make_frame())
    summary = model.summary()
    text = str(summary)
    head, _, table = text.partition("\n\n")
    assert repr(summary) == text
    assert head.splitlines()[0].split(maxsplit=1)[1] == (
        "GaussianMixture, 2 components, full covariance, 11 free parameters"
    )
    assert head.splitlines()[1].split(maxsplit=1)[1] == "length <cm>, width"
    names, heads, *rows = table.splitlines()
    assert re.split(r"\s{2,}", names.strip()) == NAMES
    assert heads.split() == ["label", "weight", "size", *2 * ["mean", "std.", "dev."]]
    heavy = int(np.argmax(model.weights_))
    first = rows[0].split()
    assert int(first[0]) == heavy
    assert float(first[2]) == pytest.approx(300 * model.weights_[heavy], abs=0.05)
    assert float(first[3]) == pytest.approx(model.means_[heavy, 0], abs=0.005)


def test_html():
    X = make_frame()
    model = GaussianMixture(2, random_state=0).fit(X)
    html = model.summary()._repr_html_()
    assert "length &lt;cm&gt;" in html
    assert "<cm>" not in html
    (table,) = re.findall("<table>.*</table>", html)
    rows = re.findall("<tr>(.*?)</tr>", table)
    assert len(rows) == 2 + 2
    cells = re.findall(r"<t[hd]>(.*?)</t[hd]>", rows[2])
    text = str(model.summary()).splitlines()[-2].split()
    assert cells == text


def test_html_of_many_components():
    K = 60
    model = GaussianMixture.from_parameters(
        np.full(K, 1 / K), np.arange(K)[:, np.newaxis], np.ones(K), covariance_type="spherical"
    )
    html = model.summary()._repr_html_()
    assert html.count("<tr>") == 2 + 50
    assert html.endswith("... and 10 more</p>")
    assert str(model.summary()).endswith("... and 50 more")


def test_large_sizes_have_separators():
    model = GaussianMixture(1).fit(np.repeat([[0.0], [1.0], [3.0]], 1000, axis=0))
    assert " 3,000 " in str(model.summary())


def test_bayesian():
    model = BayesianGaussianMixture(n_components=2, random_state=0).fit(make_frame())
    frame = model.to_frame()
    np.testing.assert_array_equal(frame["weight"], model.weights_)
    np.testing.assert_array_equal(frame["width mean"], model.means_[:, 1])


@pytest.mark.parametrize("method", ["summary", "to_frame"])
def test_not_fitted(method):
    with pytest.raises(NotFittedError):
        getattr(GaussianMixture(), method)()


def test_other_features():
    with pytest.raises(ValueError, match="X has 3 features, but GaussianMixture is expecting 2"):
        known().summary(np.zeros((4, 3)))


def test_no_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="to_frame needs pandas: pip install pandas"):
        known().to_frame()
