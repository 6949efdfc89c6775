"""``to_sklearn`` and ``from_sklearn``: the same parameters, and so the same predictions."""

import numpy as np
import pytest
import sklearn.mixture
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError

from fastgmm import BayesianGaussianMixture, GaussianMixture, load, save

IRIS = load_iris(as_frame=True).data
X = IRIS.to_numpy()
TYPES = ("full", "tied", "diag", "spherical", "tied-spherical")
PRIORS = ("dirichlet_process", "dirichlet_distribution")
OPTIONS = {"n_components": 3, "random_state": 0, "max_iter": 500}

each_type = pytest.mark.parametrize("covariance_type", TYPES)
each_prior = pytest.mark.parametrize("prior", PRIORS)


def fit_all(kind, covariance_type, prior):
    """Return a fitted mixture of either class, ours or scikit-learn's."""
    options = {**OPTIONS, "covariance_type": covariance_type}
    if kind.__name__ == "BayesianGaussianMixture":
        options["weight_concentration_prior_type"] = prior
    return kind(**options).fit(IRIS)


def assert_same_predictions(ours, theirs):
    for method in ("score_samples", "predict_proba"):
        expected = getattr(theirs, method)(IRIS)
        np.testing.assert_allclose(getattr(ours, method)(IRIS), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(ours.predict(IRIS), theirs.predict(IRIS))


def assert_same_attributes(ours, theirs):
    for name, expected in vars(theirs).items():
        if not name.endswith("_"):
            continue
        value = getattr(ours, name)
        if name == "feature_names_in_":
            assert value.tolist() == expected.tolist()
            continue
        for part, other in zip(
            *map(np.atleast_1d, map(np.squeeze, (value, expected))), strict=True
        ):
            np.testing.assert_array_equal(part, other)


@each_type
@each_prior
@pytest.mark.parametrize("kind", [GaussianMixture, BayesianGaussianMixture])
def test_to_scikit_learn(kind, covariance_type, prior):
    ours = fit_all(kind, covariance_type, prior)
    theirs = ours.to_sklearn()
    assert type(theirs) is getattr(sklearn.mixture, kind.__name__)
    assert_same_predictions(ours, theirs)
    assert theirs.score(IRIS) == pytest.approx(ours.score(IRIS), rel=1e-12)
    assert (theirs.n_iter_, theirs.converged_) == (ours.n_iter_, True)
    assert theirs.feature_names_in_.tolist() == list(IRIS.columns)
    assert theirs.sample(5)[0].shape == (5, 4)
    theirs.means_[:] = 0.0  # a copy
    assert ours.means_.any()


@each_prior
@pytest.mark.parametrize("covariance_type", TYPES[:4])
@pytest.mark.parametrize(
    "kind", [sklearn.mixture.GaussianMixture, sklearn.mixture.BayesianGaussianMixture]
)
def test_from_scikit_learn_and_back(kind, covariance_type, prior, tmp_path):
    theirs = fit_all(kind, covariance_type, prior)
    ours_kind = {"GaussianMixture": GaussianMixture}.get(kind.__name__, BayesianGaussianMixture)
    ours = ours_kind.from_sklearn(theirs)
    assert_same_predictions(ours, theirs)
    assert (ours.n_iter_, ours.converged_, ours.n_features_in_) == (theirs.n_iter_, True, 4)
    assert len(ours.history_) == theirs.n_iter_
    back = ours.to_sklearn()
    assert back.get_params() == theirs.get_params()
    assert_same_attributes(back, theirs)
    save(ours, tmp_path / "model.npz")
    loaded = load(tmp_path / "model.npz")
    np.testing.assert_array_equal(loaded.predict_proba(IRIS), ours.predict_proba(IRIS))


def test_tied_spherical_becomes_spherical():
    theirs = fit_all(GaussianMixture, "tied-spherical", None).to_sklearn()
    assert theirs.covariance_type == "spherical"
    assert theirs.covariances_.shape == (3,)
    assert len(set(theirs.covariances_)) == 1


def test_parameters_for_a_later_fit():
    model = GaussianMixture(2, reg_covar="auto", tol=1e-4, means_init=X[:2], n_jobs=1)
    theirs = model.fit(X).to_sklearn()
    assert theirs.get_params() == {
        **sklearn.mixture.GaussianMixture(2, tol=1e-4).get_params(),
        "init_params": "kmeans",
    }
    assert theirs.fit(X).converged_
    again = GaussianMixture.from_sklearn(theirs).set_params(warm_start=True).fit(X)
    assert again.n_iter_ <= 2


def test_float32():
    theirs = sklearn.mixture.GaussianMixture(3, random_state=0).fit(X.astype(np.float32))
    ours = GaussianMixture.from_sklearn(theirs)
    rows = X.astype(np.float32)
    expected = theirs.score_samples(rows)
    assert ours.means_.dtype == np.float64
    assert ours.score_samples(rows).dtype == expected.dtype
    np.testing.assert_allclose(ours.score_samples(rows), expected, rtol=1e-3)


def test_mixtures_that_were_set_by_hand():
    ours = GaussianMixture.from_parameters([0.5, 0.5], X[[0, 99]], [1.0, 2.0])
    theirs = ours.to_sklearn()
    assert (theirs.n_iter_, theirs.converged_) == (0, False)
    np.testing.assert_allclose(theirs.score_samples(X), ours.score_samples(X), rtol=1e-12)
    by_hand = sklearn.mixture.GaussianMixture(2, covariance_type="spherical")
    by_hand.weights_, by_hand.means_ = theirs.weights_, theirs.means_
    by_hand.precisions_cholesky_ = theirs.precisions_cholesky_
    again = GaussianMixture.from_sklearn(by_hand)
    np.testing.assert_allclose(again.covariances_, [1.0, 2.0], rtol=1e-15)
    ours.covariances_ *= 4.0  # the factors of the fit are then of no use
    np.testing.assert_allclose(
        ours.to_sklearn().score_samples(X), ours.score_samples(X), rtol=1e-12
    )


@pytest.mark.parametrize("kind", [GaussianMixture, BayesianGaussianMixture])
def test_wrong_models(kind):
    theirs = getattr(sklearn.mixture, kind.__name__)
    with pytest.raises(NotFittedError, match=f"This {kind.__name__} instance is not fitted yet"):
        kind().to_sklearn()
    with pytest.raises(NotFittedError, match=f"This {kind.__name__} instance is not fitted yet"):
        kind.from_sklearn(theirs())
    others = {GaussianMixture, BayesianGaussianMixture} - {kind}
    other = getattr(sklearn.mixture, others.pop().__name__)
    for wrong in (other().fit(X), kind().fit(X), None):
        name = f"{type(wrong).__module__}.{type(wrong).__name__}"
        message = f"should be a fitted sklearn.mixture.{kind.__name__}, got {name}"
        with pytest.raises(TypeError, match=message):
            kind.from_sklearn(wrong)


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("weights_", [0.9, 0.9], "'weights_' should be normalized"),
        ("means_", [[np.nan] * 4] * 2, "'means_' should be finite"),
        ("covariances_", np.tile(np.eye(4), (2, 1, 1)), "do not belong together"),
        ("precisions_cholesky_", np.eye(4), r"should have the shape of \(2, 4, 4\)"),
    ],
)
def test_wrong_attributes(name, value, message):
    theirs = sklearn.mixture.GaussianMixture(2, random_state=0).fit(X)
    setattr(theirs, name, np.array(value))
    with pytest.raises(ValueError, match=message):
        GaussianMixture.from_sklearn(theirs)


@each_type
@pytest.mark.parametrize("kind", [GaussianMixture, BayesianGaussianMixture])
def test_onnx(kind, covariance_type):
    """By the usual converter, on what ``to_sklearn`` returns; float64 in, float64 out."""
    skl2onnx = pytest.importorskip("skl2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    model = kind(n_components=3, covariance_type=covariance_type, random_state=0).fit(X)
    onnx = skl2onnx.to_onnx(model.to_sklearn(), X[:1], options={"score_samples": True})
    session = onnxruntime.InferenceSession(onnx.SerializeToString())
    labels, resp, log_density = session.run(None, {"X": X})
    np.testing.assert_array_equal(labels.ravel(), model.predict(X))
    np.testing.assert_allclose(resp, model.predict_proba(X), atol=1e-11)
    np.testing.assert_allclose(log_density.ravel(), model.score_samples(X), atol=1e-11)
