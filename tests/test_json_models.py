"""Models as text in JSON: bit for bit, readable, and damage has a name."""

import json
import math

import damage
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError

from fastgmm import (
    BayesianGaussianMixture,
    GaussianMixture,
    SoftKMeans,
    from_json,
    load,
    to_json,
)

pytestmark = pytest.mark.one_backend

IRIS = load_iris(as_frame=True).data
X = IRIS.to_numpy()
TYPES = ("full", "tied", "diag", "spherical", "tied-spherical")

MODELS = {
    **{kind: GaussianMixture(3, covariance_type=kind, random_state=0) for kind in TYPES},
    "process": BayesianGaussianMixture(
        n_components=3, max_iter=500, covariance_prior=np.eye(4), random_state=0
    ),
    "distribution": BayesianGaussianMixture(
        n_components=3,
        covariance_type="tied",
        weight_concentration_prior_type="dirichlet_distribution",
        max_iter=500,
        random_state=0,
    ),
    "soft k-means": SoftKMeans(3, random_state=0),
}


@pytest.fixture(scope="module")
def text():
    return to_json(GaussianMixture(3, random_state=0).fit(IRIS))


@pytest.mark.parametrize("name", MODELS)
def test_round_trip_is_exact(name):
    model = MODELS[name].fit(IRIS)
    text = to_json(model)
    assert text.isascii()
    loaded = from_json(text)
    assert type(loaded) is type(model)
    stored = vars(model).keys() - {"restarts_"}
    assert vars(loaded).keys() == stored
    for key in stored:
        value = getattr(model, key)
        if key.endswith("_"):
            np.testing.assert_array_equal(getattr(loaded, key), value)
    assert loaded.history_ == model.history_
    np.testing.assert_array_equal(loaded.score_samples(IRIS), model.score_samples(IRIS))
    assert to_json(loaded) == text
    assert to_json(from_json(text.encode())) == text


def test_bits_that_are_easily_lost():
    means = [[0.1 + 0.2, -0.0], [5e-324, 1234567.8901234567], [1 / 3, -1e-310]]
    model = GaussianMixture.from_parameters([0.1, 0.2, 0.7], means, [[1e-5, 2.0]] * 3)
    loaded = from_json(to_json(model))
    assert loaded.means_.tobytes() == model.means_.tobytes()
    assert (loaded.lower_bound_, loaded.n_iter_) == (-math.inf, 0)


def test_layout(text):
    """Standard JSON, with a row of a table on each line."""

    def refuse(name):
        raise AssertionError(name)

    content = json.loads(text, parse_constant=refuse)
    assert list(content) == [
        *("format", "class", "fastgmm", "samples_dtype", "parameters", "scalars", "arrays")
    ]
    assert (content["format"], content["class"]) == (1, "GaussianMixture")
    arrays = content["arrays"]
    assert arrays["feature_names_in_"] == list(IRIS.columns)
    assert np.shape(arrays["covariances_"]) == (3, 4, 4)
    assert arrays["history_"][0][2] == "Infinity"
    row = ", ".join(map(repr, arrays["means_"][0]))
    assert f"\n      [{row}],\n" in text
    assert from_json(json.dumps(content)).n_components == 3  # in other white space


def test_files(text, tmp_path):
    """``load`` takes them, and so do the commands."""
    path = tmp_path / "model.json"
    for mark in ("", "\ufeff"):
        path.write_text(mark + text, encoding="utf-8")
        loaded = load(path)
        np.testing.assert_array_equal(loaded.means_, from_json(text).means_)
    path.write_text(text[:-10])
    with pytest.raises(ValueError, match=r"model\.json: damaged model file, expected text in JSON"):
        load(path)


def test_info(text, tmp_path, capsys):
    from fastgmm.cli.main import main

    path = tmp_path / "model.json"
    path.write_text(text)
    assert main(["info", str(path)]) == 0
    assert "GaussianMixture, 3 components, full covariance" in capsys.readouterr().out


def changed(text, part, **values):
    content = json.loads(text)
    (content if part is None else content[part]).update(values)
    return json.dumps(content)


DAMAGE = {
    "cut off": (lambda t: t[:500], r"expected text in JSON, found .* in line \d+, column \d+"),
    "comma": (lambda t: t.replace(",", ";", 1), "found Expecting ',' delimiter in line 2, column"),
    "empty": (lambda t: "", "expected text in JSON, found Expecting value in line 1, column 1"),
    "list": (lambda t: "[1]", "expected a model saved by fastgmm, found JSON without format"),
    "other": (lambda t: '{"a": 1}', "found JSON without format and class"),
    "newer": (lambda t: changed(t, None, format=2), "expected format 1, found format 2"),
    "class": (lambda t: changed(t, None, **{"class": "KMeans"}), "found class 'KMeans'"),
    "no arrays": (lambda t: changed(t, None, arrays=None), "arrays in an object, found None"),
    "a missing array": (
        lambda t: t.replace('"means_"', '"means"'),
        "expected the array means_, found none",
    ),
    "shape": (
        lambda t: changed(t, "arrays", weights_=[0.5, 0.5]),
        r"expected weights_ of shape \(3,\) and float64, found \(2,\)",
    ),
    "word": (
        lambda t: changed(t, "arrays", weights_=[0.5, "0.5", 0.0]),
        'expected numbers in weights_, found "0.5"',
    ),
    "null": (
        lambda t: changed(t, "arrays", weights_=[0.5, None, 0.0]),
        "expected numbers in weights_, found null",
    ),
    "true": (
        lambda t: changed(t, "arrays", weights_=[0.0, True, 0.0]),
        "expected numbers in weights_, found true",
    ),
    "ragged": (
        lambda t: changed(t, "arrays", means_=[[1.0] * 4, [1.0] * 3, [1.0] * 4]),
        "expected means_ with rows of one length",
    ),
    "infinite": (
        lambda t: changed(t, "arrays", weights_=["Infinity", 0.0, 0.0]),
        "'weights_' should be finite",
    ),
    "sum": (
        lambda t: changed(t, "arrays", weights_=[0.5, 0.4, 0.0]),
        "'weights_' should be normalized, but got a sum of 0.9",
    ),
    "name": (
        lambda t: changed(t, "arrays", feature_names_in_=["a", 1, "b", "c"]),
        "expected names in feature_names_in_, found 1",
    ),
    "covariance": (
        lambda t: changed(t, "arrays", covariances_=np.tile(np.eye(4), (3, 1, 1)).tolist()),
        "expected precisions_cholesky_ of covariances_, found those of other covariances",
    ),
    "scalar": (
        lambda t: changed(t, "scalars", lower_bound_="Infinity"),
        "expected lower_bound_ to be a number, found inf",
    ),
    "parameter": (
        lambda t: changed(t, "parameters", covariance_type="wide"),
        "covariance_type.*'wide'",
    ),
    "deep": (
        lambda t: '{"format": 1, "class": ' + damage.DEEP,
        "expected what fastgmm writes, found this: ",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named(name, text):
    spoil, message = DAMAGE[name]
    with pytest.raises(ValueError, match=f"^JSON: .*{message}") as caught:
        from_json(spoil(text))
    assert "\n" not in str(caught.value)


def test_tampered_headers(text):
    content = json.loads(text)
    header = {name: value for name, value in content.items() if name != "arrays"}
    for tampered in damage.tampered_headers(header):
        try:
            entries = json.loads(tampered)
        except (ValueError, RecursionError):
            continue  # damaged text has tests above
        if isinstance(entries, dict):
            whole = json.dumps({**entries, "arrays": content["arrays"]})
            with pytest.raises(ValueError, match=r"^JSON: "):
                from_json(whole)


def test_wrong_arguments():
    with pytest.raises(TypeError, match="text should be a str or bytes, got dict"):
        from_json({})
    with pytest.raises(TypeError, match=r"model should be a fitted GaussianMixture, .* got int"):
        to_json(1)
    with pytest.raises(NotFittedError):
        to_json(GaussianMixture())
    model = GaussianMixture(2, random_state=0).fit(X)
    model.weights_ = [0.9, 0.9]
    with pytest.raises(ValueError, match="should be normalized"):
        to_json(model)
