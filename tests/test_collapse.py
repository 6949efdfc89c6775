"""Components that collapse, data at the ends of float64's range, and what is said of them."""

import warnings

import numpy as np
import pytest
import sklearn.mixture
from generators import COVARIANCE_TYPES, SHARED
from marks import slow_once
from sklearn.exceptions import ConvergenceWarning

from fastgmm import BayesianGaussianMixture, GaussianMixture, SoftKMeans, em
from fastgmm.model.covariance import get_covariance_model

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
not_spherical = pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
any_warning = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:Number of distinct clusters"
)


def two_clusters(seed=4):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(-2, 1, (400, 2)), rng.normal(4, 1, (400, 2))])


def both(X, covariance_type, **options):
    """Return our score and scikit-learn's."""
    options = {"covariance_type": covariance_type, "random_state": 0, **options}
    ours = GaussianMixture(2, **options).fit(X)
    theirs = sklearn.mixture.GaussianMixture(2, **options).fit(X)
    return ours.score(X), theirs.score(X)


def assert_is_finite(model):
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        assert np.isfinite(getattr(model, name)).all(), name


# what float64 can fit


@not_spherical
@pytest.mark.parametrize("ratio", [1e10, 3e11, 1e15, 1e-10])
def test_features_of_other_scales(ratio, covariance_type):
    ours, theirs = both(two_clusters() * [1.0, ratio], covariance_type, reg_covar=0.0)
    assert ours == pytest.approx(theirs, abs=1e-6)


@not_spherical
def test_nanoseconds_since_1970(covariance_type):
    """The fit is that of hours since some time in 2023."""
    X = two_clusters()
    times = 1.7e18 + 3.6e12 * np.random.default_rng(0).normal(size=len(X))
    hours = (times - 1.7e18) / 3.6e12
    options = {"covariance_type": covariance_type, "reg_covar": "auto", "random_state": 0}
    options["means_init"] = [[-2.0, -2.0, 0.0], [4.0, 4.0, 0.0]]
    expected = GaussianMixture(2, **options).fit(np.c_[X, hours]).score(np.c_[X, hours])
    options["means_init"] = [[-2.0, -2.0, 1.7e18], [4.0, 4.0, 1.7e18]]
    actual = GaussianMixture(2, **options).fit(np.c_[X, times]).score(np.c_[X, times])
    assert actual == pytest.approx(expected - np.log(3.6e12), abs=1e-9)


@any_warning
@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
@pytest.mark.parametrize("far", [1e10, 3e11, 1e13, -3e11])
def test_one_sample_far_from_all_others(far, covariance_type):
    """The others are fitted as if it were not there."""
    X = two_clusters()
    X[3] = far
    model = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(X)
    far_one = int(np.abs(model.means_[:, 0]).argmax())
    rest = np.delete(X, 3, axis=0)
    np.testing.assert_allclose(model.means_[far_one], far, rtol=1e-12)
    np.testing.assert_allclose(model.means_[1 - far_one], rest.mean(axis=0), atol=1e-3)
    # rounding of the distance from the origin, which is between the components
    atol = 1e-3 * max(1.0, abs(far) / 1e12)
    one = GaussianMixture(1, covariance_type=covariance_type).fit(rest)
    covariance = model.covariances_[1 - far_one]
    np.testing.assert_allclose(covariance, one.covariances_[0], rtol=1e-3, atol=atol)
    assert_is_finite(model)


@each_type
def test_narrow_clusters_far_from_zero(covariance_type):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1e-3, (300, 2)) + far for far in (-1e8, 1e8)])
    model = GaussianMixture(2, covariance_type=covariance_type, reg_covar=0.0, random_state=0)
    model.fit(X)
    expected = -np.log(2) - 1 - np.log(2 * np.pi) - 2 * np.log(1e-3)
    assert model.score(X) == pytest.approx(expected, abs=0.1)
    dense = model._parameters().covariance_model.dense(model.covariances_, 2, 2)
    np.testing.assert_allclose(np.sqrt(np.diagonal(dense, 0, 1, 2)), 1e-3, rtol=0.1)
    near = [(X[rows] - X[rows][0]).mean(axis=0) for rows in (slice(300), slice(300, 600))]
    means = np.sort(model.means_, axis=0)
    np.testing.assert_allclose(means - [X[0], X[300]], near, atol=1e-7)


def test_a_fit_that_float64_cannot_resolve_says_so():
    X = two_clusters()
    X[3] = 1e15
    message = (
        "float64 cannot resolve the distances between some components. Component . lies more than "
        "5e14 of its standard deviations from the center of all. Remove samples that lie far"
    )
    with pytest.raises(em.CollapseError, match=message) as caught:
        GaussianMixture(2, random_state=0).fit(X)
    assert caught.value.cause == "unresolved"


@each_type
@pytest.mark.parametrize("estimator", [GaussianMixture, BayesianGaussianMixture])
def test_variances_that_cannot_be_inverted(estimator, covariance_type):
    X = two_clusters() * 1e-160
    model = estimator(n_components=2, covariance_type=covariance_type, reg_covar=0.0)
    with pytest.raises(ValueError, match="float64 cannot invert variances below 1e-300"):
        model.fit(X)


# collapse


@any_warning
@each_type
@pytest.mark.parametrize("K", [3, 5])
def test_three_distinct_points(K, covariance_type):
    """Each component ends on one point, and the likelihood never falls."""
    rng = np.random.default_rng(0)
    X = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 1.0]])[rng.integers(0, 3, 200)]
    model = GaussianMixture(K, covariance_type=covariance_type, reg_covar=0.0, random_state=0)
    model.fit(X)
    assert_is_finite(model)
    is_matrix = covariance_type in ("full", "tied")
    variances = (
        np.diagonal(model.covariances_, axis1=-2, axis2=-1) if is_matrix else model.covariances_
    )
    # distances in standard deviations are rounded by about eps times those from the origin
    rounding = 1e-12 + np.finfo(float).eps * np.abs(X).max() / np.sqrt(np.min(variances))
    assert (np.diff(model.lower_bounds_) >= -rounding).all()
    assert model.lower_bounds_[-1] == model.lower_bound_
    dense = (
        np.linalg.cond(np.atleast_2d(model.covariances_.reshape(-1, 2, 2)[0]))
        if (covariance_type == "full")
        else 1.0
    )
    assert dense < 1e15


@each_type
def test_collapsed_tells_which_and_since_when(covariance_type):
    rng = np.random.default_rng(1)
    X = np.concatenate([rng.normal(size=(200, 2)), np.tile([[50.0, 50.0]], (40, 1))])
    model = GaussianMixture(
        2,
        covariance_type=covariance_type,
        reg_covar=0.0,
        means_init=[[0.0, 0.0], [49.0, 49.0]],
        precisions_init={"full": [np.eye(2)] * 2, "tied": np.eye(2)}.get(
            covariance_type, np.ones(get_covariance_model(covariance_type).shape(2, 2))
        ),
        weights_init=[0.5, 0.5],
        random_state=0,
    )
    if covariance_type in SHARED:
        assert model.fit(X).collapsed_ == {}
        return
    with pytest.warns(ConvergenceWarning, match=r"component\(s\) 1 was not positive definite"):
        model.fit(X)
    assert model.collapsed_ == {1: 1}
    assert_is_finite(model)
    assert (np.diff(model.lower_bounds_) >= -1e-12).all()


def test_collapsed_of_a_sound_fit_is_empty():
    for estimator in (GaussianMixture, BayesianGaussianMixture):
        assert estimator(n_components=2, random_state=0).fit(two_clusters()).collapsed_ == {}


def test_handfuls_of_samples_are_told():
    X = np.random.default_rng(0).normal(size=(1000, 2))
    with pytest.warns(ConvergenceWarning) as caught:
        GaussianMixture(900, random_state=0, max_iter=2, tol=1.0).fit(X)
    texts = [str(warning.message) for warning in caught]
    (few,) = (text for text in texts if text.startswith("Component(s) 0, 1, 2,"))
    assert "have fewer samples than their covariance needs, which is 3" in few
    assert "decrease n_components (now 900)" in few


def warnings_of(model, X, sample_weight=None):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, sample_weight=sample_weight)
    return [str(warning.message) for warning in caught]


def test_handfuls_are_of_samples_whatever_their_weights():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(100, 2)), rng.normal(9.0, 1.0, (100, 2))])
    start = {"means_init": [[0.0, 0.0], [9.0, 9.0]]}
    light = np.repeat([1.0, 0.01], 100)
    assert not warnings_of(GaussianMixture(2, **start), X, light)
    X[100:] = X[:100] + 1e-3
    X[100] = 9.0
    heavy = np.ones(200)
    heavy[100] = 100.0
    (text,) = warnings_of(GaussianMixture(2, **start), X, heavy)
    assert text.startswith("Component(s) 1 have fewer samples than their covariance needs")


def test_the_share_of_reg_covar_in_a_posterior():
    """A component of nk samples gets nk / (nu_0 + nk) of it."""
    X = 1e-4 * two_clusters()
    model = BayesianGaussianMixture(n_components=2, covariance_type="diag", random_state=0)
    (text,) = [text for text in warnings_of(model, X) if "makes up" in text]
    nk = model.degrees_of_freedom_ - model.degrees_of_freedom_prior_
    share = 1e-6 * (nk / model.degrees_of_freedom_)[:, np.newaxis] / model.covariances_
    assert f"makes up {100.0 * share.max():.3g} % of the variance" in text
    assert share.max() <= 1.0


@any_warning
@each_type
def test_a_start_whose_clusters_are_points_takes_the_covariance_of_all(covariance_type):
    X = np.repeat(np.random.default_rng(0).normal(size=(3, 2)), 20, axis=0)
    options = {"covariance_type": covariance_type, "reg_covar": 0.0, "random_state": 0}
    start = em.starting_parameters(X, 3, init_params="kmeans", **options)
    dense = start.covariance_model.dense(start.covariances, 3, 2)
    expected = np.cov(X.T, bias=True)
    if covariance_type == "diag":
        expected = np.diag(expected.diagonal())
    if covariance_type.endswith("spherical"):
        expected = expected.trace() / 2 * np.eye(2)
    np.testing.assert_allclose(dense, [expected] * 3, rtol=1e-10, atol=1e-12)


# floating point


@pytest.mark.slow
@pytest.mark.one_backend
@any_warning
def test_rules_for_floating_point_errors_change_nothing():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(i, 1, (100, 3)) for i in (0, 50, 600, 9000)]) * [1, 1e-3, 1e3]

    def results():
        for acceleration in (None, "quasi-newton", "split-merge"):
            model = GaussianMixture(4, acceleration=acceleration, random_state=0).fit(X)
            yield from (model.covariances_, model.predict_proba(X), model.sample(5)[0])
            yield from (model.bic(X), model.score_samples(X.astype(np.float32)))
        for init_params in ("k-means++", "random", "random_from_data"):
            model = BayesianGaussianMixture(
                n_components=4, covariance_type="diag", init_params=init_params, random_state=0
            )
            yield model.fit(X).means_
        yield SoftKMeans(n_clusters=4, random_state=0).fit(X).cluster_centers_
        start = em.starting_parameters(X, 4, covariance_type="tied", random_state=0)
        yield em.fit(X, start).lower_bound

    usual = list(results())
    with np.errstate(all="raise"):
        for expected, actual in zip(usual, results(), strict=True):
            np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("value", [0.1, *slow_once(123456.789, -3e-4)])
def test_mean_of_a_million_equal_values_in_float32(value):
    X = np.full((10**6, 1), value, np.float32)
    exact = float(X[0, 0])
    assert GaussianMixture(1).fit(X).means_[0, 0] == exact
    assert BayesianGaussianMixture(n_components=1).fit(X).means_[0, 0] == pytest.approx(exact, 1e-7)
    assert SoftKMeans(n_clusters=1).fit(X).cluster_centers_[0, 0] == exact


@any_warning
@pytest.mark.parametrize(
    "acceleration", [None, "quasi-newton", "subsample", *slow_once("split-merge")]
)
def test_the_last_lower_bound_is_the_lower_bound(acceleration):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(i, 1, (200, 2)) for i in (0, 3, 6)])
    X[:40] = X[0]  # a component may collapse
    for seed in range(4):
        for reg_covar in (0.0, 1e-6):
            model = GaussianMixture(
                6,
                acceleration=acceleration,
                init_params="random",
                random_state=seed,
                reg_covar=reg_covar,
                max_iter=25,
            )
            model.fit(X)
            assert model.lower_bounds_[-1] == model.lower_bound_
            assert (np.diff(model.lower_bounds_) >= -1e-6).all()


@each_type
def test_weights_whose_bound_overflows(covariance_type):
    X = two_clusters()[:60]
    model = BayesianGaussianMixture(n_components=2, covariance_type=covariance_type)
    message = r"The lower bound in iteration 1 is nan: sample_weight, or .* Scale the weights\."
    with pytest.raises(ValueError, match=message):
        model.fit(X, sample_weight=np.geomspace(1e-300, 1e300, 60))
