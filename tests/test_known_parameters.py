"""Mixtures of parameters that are known: given, set by hand, or edited after a fit."""

import pickle

import joblib
import numpy as np
import pytest
import sklearn.mixture
from generators import COVARIANCE_TYPES, KERNEL_KINDS
from scipy.stats import multivariate_normal
from sklearn.exceptions import NotFittedError

import fastgmm
from fastgmm import BayesianGaussianMixture, GaussianMixture, SoftKMeans
from fastgmm.model.covariance import get_covariance_model

K, D = 2, 3
WEIGHTS = np.array([0.3, 0.7])
MEANS = np.array([[0.0, 0.0, 0.0], [4.0, -4.0, 1.0]])
MATRICES = np.array(
    [
        [[2.0, 0.5, 0.0], [0.5, 1.0, -0.3], [0.0, -0.3, 0.5]],
        [[1.0, -0.9, 0.2], [-0.9, 2.0, 0.0], [0.2, 0.0, 3.0]],
    ]
)
COVARIANCES = {
    "full": MATRICES,
    "tied": MATRICES[0],
    "diag": np.array([[1.0, 2.0, 3.0], [0.5, 0.25, 4.0]]),
    "spherical": np.array([0.5, 2.0]),
    "tied-spherical": np.array(0.5),
}
X = np.random.RandomState(0).standard_normal((200, D)) * 3.0
each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)


def log_density(weights, means, covariances, covariance_type, data=X):
    dense = get_covariance_model(covariance_type).dense(covariances, *means.shape)
    parts = [
        w * multivariate_normal(m, C).pdf(data)
        for w, m, C in zip(weights, means, dense, strict=True)
    ]
    return np.log(np.sum(parts, axis=0))


def known(covariance_type, **options):
    return GaussianMixture.from_parameters(
        WEIGHTS, MEANS, COVARIANCES[covariance_type], covariance_type=covariance_type, **options
    )


@each_type
def test_known_parameters_are_ready(covariance_type, tmp_path):
    model = known(covariance_type, random_state=0)
    expected = log_density(WEIGHTS, MEANS, COVARIANCES[covariance_type], covariance_type)
    np.testing.assert_allclose(model.score_samples(X), expected, rtol=1e-12)
    assert model.score(X) == pytest.approx(expected.mean(), rel=1e-12)
    np.testing.assert_array_equal(model.predict(X), model.predict_proba(X).argmax(axis=1))
    drawn, labels = model.sample(20_000)
    np.testing.assert_allclose(np.bincount(labels) / 20_000, WEIGHTS, atol=0.02)
    for k in range(K):
        np.testing.assert_allclose(drawn[labels == k].mean(axis=0), MEANS[k], atol=0.1)
    for name in ("weights_", "means_", "covariances_"):
        np.testing.assert_array_equal(
            getattr(model, name),
            {"weights_": WEIGHTS, "means_": MEANS, "covariances_": COVARIANCES[covariance_type]}[
                name
            ],
        )
    assert (model.n_components, model.covariance_type) == (K, covariance_type)
    assert (model.n_iter_, model.converged_, model.n_features_in_) == (0, False, D)
    fastgmm.save(model, tmp_path / "model")
    loaded = fastgmm.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.score_samples(X), model.score_samples(X))


@each_type
def test_covariance_type_is_that_of_the_shape(covariance_type):
    model = GaussianMixture.from_parameters(WEIGHTS, MEANS, COVARIANCES[covariance_type].tolist())
    assert model.covariance_type == covariance_type


def test_a_shape_of_two_types_is_refused():
    table = np.array([[2.0, 1.0], [1.0, 2.0]])
    message = r"covariances of shape \(2, 2\) may be of covariance_type 'tied' or 'diag'"
    with pytest.raises(ValueError, match=message + ".*Give covariance_type"):
        GaussianMixture.from_parameters(WEIGHTS, MEANS[:, :2], table)
    for covariance_type in ("tied", "diag"):
        model = GaussianMixture.from_parameters(
            WEIGHTS, MEANS[:, :2], table, covariance_type=covariance_type
        )
        assert model.covariance_type == covariance_type


def changed(values, index, value):
    values = np.array(values, dtype=float)
    values[index] = value
    return values


BAD = {
    "weights that do not sum to 1": (
        {"weights": [0.5, 0.4]},
        r"'weights' should be normalized, but got a sum of 0\.9",
    ),
    "negative weight": ({"weights": [1.5, -0.5]}, r"'weights' should be in the range \[0, 1\]"),
    "NaN weight": (
        {"weights": [np.nan, 1.0]},
        r"'weights' should be finite, but got nan at \(0,\)",
    ),
    "three weights": (
        {"weights": [0.3, 0.3, 0.4]},
        r"'weights' should have the shape of \(2,\), but got \(3,\)",
    ),
    "means of one dimension": (
        {"means": [0.0, 1.0], "covariance_type": "full"},
        r"'means' should have the shape of \(n_components, n_features\), but got \(2,\)",
    ),
    "infinite mean": (
        {"means": changed(MEANS, (1, 2), np.inf)},
        r"'means' should be finite, but got inf at \(1, 2\)",
    ),
    "no shape of covariances": (
        {"covariances": np.ones((3, 2))},
        r"'covariances' should have the shape of \(K, d, d\) full, .* got \(3, 2\) and \(2, 3\)",
    ),
    "another shape than the type's": (
        {"covariances": np.ones(2), "covariance_type": "full"},
        r"'covariances' should have the shape of \(2, 3, 3\), but got \(2,\)",
    ),
    "asymmetric": (
        {"covariances": changed(MATRICES, (1, 0, 2), 0.9)},
        "'covariances' should be symmetric and positive definite, but got an asymmetric matrix in "
        r"component 1\.",
    ),
    "not definite": (
        {"covariances": changed(MATRICES, (0, slice(2), slice(2)), [[1.0, 2.0], [2.0, 1.0]])},
        "'covariances' should be .* correlations with a smallest eigenvalue of -.* in component 0",
    ),
    "singular": (
        {"covariances": np.ones((3, 3)) + np.diag([0.0, 0.0, 1.0])},
        "'covariances' should be .* smallest eigenvalue of",
    ),
    "negative variance": (
        {"covariances": changed(COVARIANCES["diag"], (1, 0), -2.0)},
        r"'covariances' should be positive, but got a variance of -2\.0 in component 1\.",
    ),
    "variance of zero": ({"covariances": [0.0, 1.0]}, "a variance of 0.0 in component 0"),
    "NaN covariance": (
        {"covariances": changed(MATRICES, (1, 1, 1), np.nan)},
        r"'covariances' should be finite, but got nan at \(1, 1, 1\)",
    ),
    "unresolvable": (
        {"covariances": [1e-31, 1.0]},
        "'covariances' of component 0 is too small beside the distances of the means",
    ),
    "too small to invert": (
        {"covariances": [1.0, 1e-305]},
        "'covariances' of component 1 has a variance below 1e-300",
    ),
    "unknown type": ({"covariance_type": "round"}, "covariance_type must be one of 'full'"),
    "bad option": ({"tol": -1.0}, "The 'tol' parameter of GaussianMixture must be"),
}


@pytest.mark.parametrize("given, message", BAD.values(), ids=BAD.keys())
def test_bad_parameters_are_named(given, message):
    good = {"weights": WEIGHTS, "means": MEANS, "covariances": MATRICES}
    with pytest.raises(ValueError, match=message):
        GaussianMixture.from_parameters(**{**good, **given})


@each_type
@pytest.mark.parametrize("scales", [[1e-9] * 3, [1e9] * 3, [1e-6, 1.0, 1e6]])
def test_definiteness_does_not_depend_on_units(covariance_type, scales):
    is_one = covariance_type in ("spherical", "tied-spherical")
    scale = np.full(D, scales[0]) if is_one else np.array(scales)
    covariances = {
        "full": MATRICES * np.outer(scale, scale),
        "tied": MATRICES[0] * np.outer(scale, scale),
        "diag": COVARIANCES["diag"] * scale**2,
        "spherical": COVARIANCES["spherical"] * scale[0] ** 2,
        "tied-spherical": COVARIANCES["tied-spherical"] * scale[0] ** 2,
    }[covariance_type]
    means = np.zeros((K, D))
    model = GaussianMixture.from_parameters(
        WEIGHTS, means, covariances, covariance_type=covariance_type
    )
    plain = GaussianMixture.from_parameters(
        WEIGHTS, means, COVARIANCES[covariance_type], covariance_type=covariance_type
    )
    shift = np.log(scale).sum()
    np.testing.assert_allclose(model.score_samples(X * scale) + shift, plain.score_samples(X))
    if covariance_type in ("full", "tied"):
        covariances[..., 0, 1] *= 1.5
        with pytest.raises(ValueError, match="an asymmetric matrix"):
            GaussianMixture.from_parameters(WEIGHTS, means, covariances)


def test_parameters_of_float32_are_taken():
    model = GaussianMixture.from_parameters(
        *(values.astype(np.float32) for values in (WEIGHTS, MEANS, MATRICES))
    )
    assert model.covariances_.dtype == model.weights_.dtype == np.float64


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_fit_goes_on_from_known_parameters():
    model = known("full", warm_start=True, max_iter=1).fit(X)
    start = GaussianMixture(
        K, weights_init=WEIGHTS, means_init=MEANS, covariances_init=MATRICES, max_iter=1
    ).fit(X)
    assert model.lower_bounds_ == start.lower_bounds_
    np.testing.assert_array_equal(model.means_, start.means_)


@each_type
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_covariances_init_is_the_inverse_of_precisions_init(covariance_type):
    kind = get_covariance_model(covariance_type)
    covariances = COVARIANCES[covariance_type]
    precisions = kind.precisions(kind.precisions_cholesky(covariances))
    given = {"covariance_type": covariance_type, "weights_init": WEIGHTS, "means_init": MEANS}
    start = GaussianMixture(K, **given, covariances_init=covariances, max_iter=0).fit(X)
    np.testing.assert_array_equal(start.covariances_, covariances)
    for left_out in ({}, {"means_init": None}, {"weights_init": None}):
        options = {**given, **left_out, "random_state": 0, "max_iter": 20}
        model = GaussianMixture(K, **options, covariances_init=covariances).fit(X)
        other = GaussianMixture(K, **options, precisions_init=precisions).fit(X)
        np.testing.assert_allclose(model.lower_bounds_, other.lower_bounds_, rtol=1e-12)


def test_bad_covariances_init():
    both = {"covariances_init": MATRICES, "precisions_init": MATRICES}
    with pytest.raises(ValueError, match=r"covariances_init or precisions_init, .* got both"):
        GaussianMixture(K, **both).fit(X)
    message = "'covariances_init' should be symmetric and positive definite, but got an asymmetric"
    with pytest.raises(ValueError, match=message):
        GaussianMixture(K, covariances_init=changed(MATRICES, (0, 0, 1), 0.0)).fit(X)


def by_hand(covariance_type, cls=GaussianMixture, **options):
    model = cls(n_components=K, covariance_type=covariance_type, random_state=0, **options)
    model.weights_, model.means_ = WEIGHTS.tolist(), MEANS.astype(np.float32)
    model.covariances_ = COVARIANCES[covariance_type]
    return model


@each_type
def test_parameters_set_by_hand(covariance_type):
    model, expected = by_hand(covariance_type), known(covariance_type, random_state=0)
    for method in ("predict", "predict_proba", "score_samples", "score", "aic", "bic", "icl"):
        result = getattr(model, method)(X)
        np.testing.assert_array_equal(result, getattr(expected, method)(X))
    for actual, wanted in zip(model.sample(50), expected.sample(50), strict=True):
        np.testing.assert_array_equal(actual, wanted)
    if covariance_type in KERNEL_KINDS:  # those of scikit-learn
        theirs = by_hand(covariance_type, sklearn.mixture.GaussianMixture)
        np.testing.assert_array_equal(model.sample(50)[1], theirs.sample(50)[1])
    gradient = fastgmm.log_likelihood_gradient(model, X).means
    np.testing.assert_array_equal(gradient, fastgmm.log_likelihood_gradient(expected, X).means)
    with pytest.raises(ValueError, match="X has 2 features, but GaussianMixture is expecting 3"):
        model.predict(X[:, :2])


@pytest.mark.parametrize("missing", ["weights_", "means_", "covariances_"])
def test_what_is_missing_is_said(missing):
    model = by_hand("full")
    delattr(model, missing)
    message = rf"it has no {missing}\. Call 'fit', or set weights_, means_, covariances_\."
    for call in (model.sample, lambda: model.predict(X), lambda: model.score(X)):
        with pytest.raises(NotFittedError, match=message):
            call()


def test_parameters_set_by_hand_are_checked():
    for name, value, message in (
        ("weights_", [0.5, 0.4], "'weights_' should be normalized"),
        ("means_", np.zeros((3, D)), r"'covariances_' should have the shape of \(3, 3, 3\)"),
        ("covariances_", -MATRICES, "'covariances_' should be symmetric and positive definite"),
    ):
        for model in (by_hand("full"), known("full")):
            setattr(model, name, value)
            for call in (model.sample, lambda model=model: model.predict(X)):
                with pytest.raises(ValueError, match=message):
                    call()


def test_only_sample_is_possible_of_a_posterior_set_by_hand():
    model = by_hand("full", BayesianGaussianMixture)
    drawn, _ = model.sample(100)
    np.testing.assert_array_equal(drawn, known("full", random_state=0).sample(100)[0])
    message = "has no weight_concentration_, mean_precision_, degrees_of_freedom_"
    with pytest.raises(NotFittedError, match=message + ".* only 'sample' is possible"):
        model.predict(X)


@each_type
@pytest.mark.parametrize("in_place", [True, False])
def test_covariances_edited_after_a_fit_hold(covariance_type, in_place):
    model = GaussianMixture(K, covariance_type=covariance_type, random_state=0).fit(X)
    if in_place:
        model.covariances_ *= 4.0
    else:
        model.covariances_ = 4.0 * model.covariances_
    expected = GaussianMixture.from_parameters(
        model.weights_, model.means_, model.covariances_, covariance_type=covariance_type
    ).set_params(random_state=0)
    np.testing.assert_array_equal(model.score_samples(X), expected.score_samples(X))
    np.testing.assert_array_equal(model.sample(9)[0], expected.sample(9)[0])


def test_an_edited_model_is_saved_as_it_is(tmp_path):
    model = known("full")
    model.covariances_[0] *= 2.0
    fastgmm.save(model, tmp_path / "model")
    loaded = fastgmm.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.score_samples(X), model.score_samples(X))
    np.testing.assert_allclose(loaded.precisions_, np.linalg.inv(model.covariances_), rtol=1e-12)
    with pytest.raises(NotFittedError, match="were set by hand: use fit or from_parameters"):
        fastgmm.save(by_hand("full"), tmp_path / "other")


def test_components_in_another_order():
    model = known("full", random_state=0)
    before = model.predict_proba(X)
    order = [1, 0]
    for name in ("weights_", "means_", "covariances_"):
        setattr(model, name, getattr(model, name)[order])
    np.testing.assert_allclose(model.predict_proba(X), before[:, order], rtol=1e-13)


def test_edited_factors_count_for_nothing():
    model = known("full")
    before = model.score_samples(X)
    model.precisions_cholesky_ = np.linalg.cholesky(np.linalg.inv(MATRICES))  # a lower triangle
    np.testing.assert_allclose(model.score_samples(X), before, rtol=1e-13)


@pytest.mark.parametrize("copy", [lambda m: pickle.loads(pickle.dumps(m)), "joblib"])
def test_a_copy_predicts_the_same_bits(copy, tmp_path):
    model = GaussianMixture(K, random_state=0).fit(X)
    if copy == "joblib":
        joblib.dump(model, tmp_path / "model")
        loaded = joblib.load(tmp_path / "model", mmap_mode="r")
    else:
        loaded = copy(model)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_centers_set_by_hand():
    model = SoftKMeans(K, beta=0.5)
    model.cluster_centers_ = MEANS.tolist()
    expected = SoftKMeans(K, beta=0.5, init=MEANS, max_iter=0).fit(X)
    np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(X))
    model.cluster_centers_ = np.full((K, D), np.nan)
    with pytest.raises(ValueError, match="'cluster_centers_' should be finite"):
        model.predict(X)


def test_rules_for_floating_point_errors_change_nothing():
    covariances = np.stack([np.eye(2)] * 2)
    covariances[0] = [[1e290, 1e-30], [1e-30, 1e290]]
    means = [[0.0, 0.0], [1e-310, 1.0]]
    expected = GaussianMixture.from_parameters([0.5, 0.5], means, covariances)
    with np.errstate(all="raise"):
        model = GaussianMixture.from_parameters([0.5, 0.5], means, covariances)
        model.means_ = model.means_ + 1e-311
        model.score_samples(X[:, :2])
    np.testing.assert_array_equal(model.precisions_, expected.precisions_)


def test_parameters_of_a_fit_are_parameters():
    """A covariance that a fit takes for positive definite is one here, too."""
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(3000, 100))
    Z[:, 99] = Z[:, :99].sum(axis=1) / np.sqrt(99) + 1.5e-7 * rng.normal(size=3000)
    fitted = GaussianMixture(1, reg_covar=0.0).fit(Z)
    parts = fitted.weights_, fitted.means_, fitted.covariances_
    model = GaussianMixture.from_parameters(*parts)
    assert model.score(Z) == pytest.approx(fitted.score(Z), rel=1e-6)


def test_a_matrix_that_overflows_beside_its_variances_is_not_symmetric():
    model = GaussianMixture(2, covariance_type="tied", precisions_init=[[1, 0], [1e300, 1e-300]])
    with pytest.raises(ValueError, match=r"'precisions_init' should be symmetric.*an asymmetric"):
        model.fit(np.eye(2).repeat(3, axis=0))
