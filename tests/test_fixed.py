"""Weights and covariances that a fit holds fixed."""

import numpy as np
import pytest
from backends import skip_without, using
from generators import COVARIANCE_TYPES, mixture
from test_tied_spherical import D, K, data, each_choice, each_variant, start_at, unconverged

from fastgmm import GaussianMixture, SoftKMeans, em


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@each_choice
def test_what_is_fixed_keeps_every_bit(covariance_type, fixed):
    start = mixture(covariance_type, K, D, seed=1)
    X = data()
    result = em.fit(X, start, update=em.ClosedForm(fixed=fixed), convergence=em.Never())
    for name in ("weights", "covariances"):
        same = np.array_equal(getattr(result.parameters, name), getattr(start, name))
        assert same == (name in fixed)
    assert not np.array_equal(result.parameters.means, start.means)
    assert np.diff(result.lower_bounds).min() > -1e-9


def test_all_fixed_is_means_only():
    X = data()
    one, other = (
        em.fit(X, start_at(X), update=update)
        for update in (em.ClosedForm(fixed=("weights", "covariances")), em.MeansOnly())
    )
    np.testing.assert_array_equal(one.parameters.means, other.parameters.means)
    assert one.lower_bounds == other.lower_bounds


@each_variant
@unconverged
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_fixed_with_equal_weights_is_soft_k_means(variant, dtype):
    skip_without(variant)
    X = data(20_000, dtype)
    beta, options = 0.4, {"tol": 1e-6, "max_iter": 40}
    with using(variant):
        soft = SoftKMeans(K, beta, init=X[:K], **options).fit(X)
        model = GaussianMixture(
            K,
            covariance_type="tied-spherical",
            fixed=("weights", "covariances"),
            covariances_init=0.5 / beta,
            means_init=X[:K],
            **options,
        ).fit(X)
    assert model.n_iter_ == soft.n_iter_
    np.testing.assert_allclose(model.lower_bounds_, soft.lower_bounds_, rtol=1e-12)
    np.testing.assert_allclose(model.means_, soft.cluster_centers_, rtol=1e-10)
    np.testing.assert_array_equal(model.weights_, np.full(K, 1 / K))
    np.testing.assert_array_equal(model.predict(X), soft.labels_)
    assert model.covariances_ == 0.5 / beta
    assert model.n_parameters_ == soft.n_parameters_ == K * D


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_equal_weights_from_any_start(covariance_type):
    X = data()
    for init_params in ("auto", "tree", "kmeans", "k-means++", "random", "random_from_data"):
        model = GaussianMixture(
            K,
            covariance_type=covariance_type,
            init_params=init_params,
            fixed=("weights",),
            random_state=0,
            max_iter=500,
        ).fit(X)
        np.testing.assert_array_equal(model.weights_, np.full(K, 1 / K))
        assert np.diff(model.lower_bounds_).min() > -1e-6  # what reg_covar adds may cost


@each_choice
def test_number_of_parameters(fixed):
    X = data()
    model = GaussianMixture(
        K, covariance_type="tied-spherical", fixed=fixed, covariances_init=1.0, random_state=0
    ).fit(X)
    free = K * D + (K - 1) * ("weights" not in fixed) + ("covariances" not in fixed)
    expected = free * np.log(len(X)) - 2 * len(X) * model.score(X)
    assert model.bic(X) == pytest.approx(expected, rel=1e-13)
    assert model.aic(X) == pytest.approx(2 * free - 2 * len(X) * model.score(X), rel=1e-13)


@each_choice
@pytest.mark.parametrize("acceleration", ["quasi-newton", "subsample"])
def test_accelerations_end_at_the_maximum_and_move_nothing_fixed(fixed, acceleration):
    X = data(4000)
    options = {
        "covariance_type": "tied-spherical",
        "fixed": fixed,
        "weights_init": [0.1, 0.2, 0.3, 0.4],
        "means_init": mixture("tied-spherical", K, D, seed=2).means,
        "covariances_init": 1.5,
        "tol": 1e-10,
        "max_iter": 5000,
        "random_state": 0,
        "reg_covar": 0.0,
    }
    plain = GaussianMixture(K, **options).fit(X)
    fast = GaussianMixture(K, **options, acceleration=acceleration).fit(X)
    assert fast.lower_bound_ == pytest.approx(plain.lower_bound_, abs=1e-8)
    if "weights" in fixed:
        np.testing.assert_allclose(fast.weights_, [0.1, 0.2, 0.3, 0.4], rtol=1e-13)
    if "covariances" in fixed:
        assert fast.covariances_ == pytest.approx(1.5, rel=1e-13)


def test_no_warning_of_variances_that_were_not_estimated():
    X = data()
    model = GaussianMixture(
        K,
        covariance_type="spherical",
        covariances_init=np.full(K, 1e-6),
        fixed=("covariances",),
        random_state=0,
        reg_covar=1.0,
        max_iter=1000,
    )
    model.fit(X)  # pytest turns warnings into errors
    np.testing.assert_array_equal(model.covariances_, np.full(K, 1e-6))


def test_warm_start_keeps_what_is_fixed():
    X = data()
    model = GaussianMixture.from_parameters(
        [0.1, 0.2, 0.3, 0.4],
        X[:K],
        1.5,
        warm_start=True,
        fixed=("weights", "covariances"),
        max_iter=1000,
    ).fit(X)
    np.testing.assert_array_equal(model.weights_, [0.1, 0.2, 0.3, 0.4])
    assert model.covariances_ == 1.5
    assert model.n_iter_ > 1


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"fixed": ("precisions",)},
            "fixed should hold no other names than 'weights', 'means' and 'cov",
        ),
        ({"fixed": "weights"}, "The 'fixed' parameter of GaussianMixture must be an instance of"),
        (
            {"fixed": ("covariances",)},
            "fixed holds 'covariances', so covariances_init or",
        ),
        ({"fixed": ("means",)}, "fixed holds 'means', so means_init should be given."),
        (
            {"fixed": ("weights",), "acceleration": "split-merge"},
            r"acceleration='split-merge' changes weights, means and covariances, .* \['weights'\]",
        ),
        ({"covariances_init": -1.0}, "The 'covariances_init' parameter of GaussianMixture must be"),
        ({"covariances_init": np.array(-1.0)}, "should be positive, but got a variance of -1.0"),
        ({"covariances_init": [1.0, 1.0]}, r"the shape of \(\), but got \(2,\)"),
    ],
)
def test_bad_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(K, covariance_type="tied-spherical", **options).fit(data())


@pytest.mark.parametrize("fixed", ["weights", ("precisions",), 3, [["weights"]]])
def test_bad_policy(fixed):
    with pytest.raises(ValueError, match="fixed should hold no other names than") as caught:
        em.ClosedForm(fixed=fixed)
    assert str(caught.value).endswith(f"got {fixed!r}.")
