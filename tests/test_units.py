"""What a fit finds does not depend on the units of the features, or a warning says so."""

import warnings

import numpy as np
import pytest
from generators import COVARIANCE_TYPES
from sklearn.exceptions import ConvergenceWarning

from fastgmm import BayesianGaussianMixture, GaussianMixture, em
from fastgmm.data.samples import Samples
from fastgmm.model.regularization import added_to_samples, added_variances

#: Powers of two, so that the products are exact.
SCALES = (2.0**-30, 1.0, 2.0**30)


def clusters(n=600, seed=0):
    """Two clusters, 12 deviations apart in the first feature, and their labels."""
    rng = np.random.default_rng(seed)
    z = rng.integers(0, 2, n)
    return np.c_[12.0 * z + rng.normal(size=n), rng.normal(size=n)], z


def agreement(labels, z):
    return max(np.mean(labels == z), np.mean(labels != z))


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("estimator", [GaussianMixture, BayesianGaussianMixture])
def test_auto_is_the_same_in_every_unit(estimator, covariance_type):
    X, z = clusters()
    fits = []
    for scale in SCALES:
        model = estimator(
            n_components=2, covariance_type=covariance_type, reg_covar="auto", random_state=0
        )
        model.fit(scale * X)
        fits.append((model.means_ / scale, model.covariances_ / scale**2, model.predict(scale * X)))
        assert agreement(fits[-1][2], z) == 1.0
    for means, covariances, labels in fits:
        np.testing.assert_allclose(means, fits[1][0], rtol=1e-9)
        np.testing.assert_allclose(covariances, fits[1][1], rtol=1e-9)
        np.testing.assert_array_equal(labels, fits[1][2])


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
@pytest.mark.parametrize("power", [-9, -3, 3, 9])
def test_auto_is_the_same_when_one_feature_has_another_unit(covariance_type, power):
    X, z = clusters()
    start = np.array([X[z == 0].mean(axis=0), X[z == 1].mean(axis=0)])
    for j in range(2):
        scale = np.ones(2)
        scale[j] = 10.0**power
        model = GaussianMixture(
            2,
            covariance_type=covariance_type,
            reg_covar="auto",
            means_init=start * scale,
            random_state=0,
        )
        assert agreement(model.fit_predict(X * scale), z) == 1.0
        expected = np.stack([X[z == k].std(axis=0) for k in range(2)]) * scale
        covariances = model.covariances_
        if covariance_type != "diag":
            covariances = np.diagonal(covariances, axis1=-2, axis2=-1)
        np.testing.assert_allclose(
            np.sqrt(np.broadcast_to(covariances, (2, 2))), expected, rtol=0.1
        )


def test_auto_is_a_millionth_of_each_variance():
    X, _ = clusters()
    weight = np.arange(600) % 3 * 1.0
    expected = 1e-6 * np.cov(X.T, fweights=weight.astype(int)).diagonal()
    added = added_to_samples("auto", Samples(X, weight), 1)
    np.testing.assert_allclose(added, expected, rtol=1e-9)
    assert added_to_samples(0.5, Samples(X), 1) == 0.5


@pytest.mark.parametrize("value", [0.0, 7.0, -1e-9])
def test_a_constant_feature_counts_as_far_as_it_is_from_zero(value):
    X, z = clusters()
    X = np.c_[X, np.full(len(X), value)]
    added = added_to_samples("auto", Samples(X), 1)
    assert added[2] == pytest.approx(1e-6 * (value**2 or 1.0), rel=1e-9)
    model = GaussianMixture(2, reg_covar="auto", random_state=0)  # and no warning
    assert agreement(model.fit_predict(X), z) == 1.0


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_the_update_knows_the_variances_from_its_statistics(covariance_type):
    X, _ = clusters()
    start = em.starting_parameters(X, 2, covariance_type=covariance_type, random_state=0)
    statistics = em.ExactPosterior().summarize(Samples(X), start)
    auto = em.ClosedForm()(statistics, start).parameters
    variance = X.var(axis=0)
    number = em.ClosedForm(1e-6 * variance)(statistics, start).parameters
    np.testing.assert_allclose(auto.covariances, number.covariances, rtol=1e-10)
    none = em.ClosedForm(0.0)(statistics, start).parameters
    added = em.ClosedForm(1e-6 * variance).reg_covar
    dense = start.covariance_model.dense
    difference = dense(number.covariances, 2, 2) - dense(none.covariances, 2, 2)
    expected = np.full(2, added.mean()) if covariance_type.endswith("spherical") else added
    np.testing.assert_allclose(difference, [np.diag(expected)] * 2, rtol=1e-5, atol=1e-14)


def test_an_absolute_number_that_explains_a_variance_is_told_once():
    X, _ = clusters()
    X = X * [1e-6, 1.0]
    with pytest.warns(ConvergenceWarning) as caught:
        GaussianMixture(2, random_state=0).fit(X)
    (message,) = {str(warning.message) for warning in caught}
    assert message.startswith("reg_covar=1e-06 makes up 100 % of the variance of feature 0 in comp")
    assert "Use reg_covar='auto'" in message
    assert caught[0].filename == __file__


def test_one_percent_is_the_limit():
    X, _ = clusters()
    smallest = min(X[X[:, 0] < 6].var(axis=0).min(), X[X[:, 0] > 6].var(axis=0).min())
    options = {"covariance_type": "diag", "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GaussianMixture(2, reg_covar=0.009 * smallest, **options).fit(X)
    with pytest.warns(ConvergenceWarning, match=r"reg_covar=0\.\d+ makes up 1\.\d+ % of the vari"):
        GaussianMixture(2, reg_covar=0.012 * smallest, **options).fit(X)


def test_auto_tells_where_components_are_narrower_still():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(scale=1e-3, size=(300, 2)) + far for far in (-1e8, 1e8)])
    with pytest.warns(ConvergenceWarning, match="reg_covar='auto' makes up 100 % .* a smaller num"):
        GaussianMixture(2, reg_covar="auto", random_state=0).fit(X)
    model = GaussianMixture(2, reg_covar=0.0, random_state=0).fit(X)
    np.testing.assert_allclose(np.sqrt(np.diagonal(model.covariances_, 0, 1, 2)), 1e-3, rtol=0.1)


def test_auto_is_silent_about_discrete_features():
    """In a cluster the variance of a column of 0 and 1 is 0: what is added is all there is."""
    X, z = clusters()
    X = np.c_[X, z]
    model = GaussianMixture(2, reg_covar="auto", random_state=0)
    assert agreement(model.fit_predict(X), z) == 1.0


@pytest.mark.parametrize("scale", [1e-160, 1e-200])
def test_features_whose_squares_underflow_are_refused(scale):
    X, _ = clusters()
    message = "reg_covar='auto' needs features whose squares float64 can represent, but those of fe"
    for units in ([scale, scale], [1.0, scale]):
        with pytest.raises(ValueError, match=message):
            GaussianMixture(2, reg_covar="auto", random_state=0).fit(X * units)


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf, "Auto", None, [[1.0]], [1.0, -1.0], 1j])
def test_bad_reg_covar(bad):
    message = r"reg_covar should be 'auto', a number of at least 0, or one for each feature, got "
    with pytest.raises(ValueError, match=message):
        em.ClosedForm(bad)
    with pytest.raises(ValueError, match=message):
        em.starting_parameters(np.eye(3), 1, reg_covar=bad)


def test_one_number_for_each_feature():
    added = added_variances(np.array([1.0, 2.0]), np.ones(1), np.zeros((1, 2)), np.ones((1, 2)))
    np.testing.assert_array_equal(added, [1.0, 2.0])
    update = em.ClosedForm([0.25, 4.0])
    X, _ = clusters()
    start = em.starting_parameters(X, 1, covariance_type="diag", reg_covar=0.0)
    fitted = em.fit(X, start, update=update, max_iter=1).parameters
    np.testing.assert_allclose(
        fitted.covariances[0], X.var(axis=0) + np.array([0.25, 4.0]), rtol=1e-12
    )
