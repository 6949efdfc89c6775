"""One variance for all components: the step between EM and soft k-means."""

import numpy as np
import pytest
from backends import VARIANTS, skip_without, using
from generators import draw, mixture, sample_weights
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning

import fastgmm
from fastgmm import BayesianGaussianMixture, GaussianMixture, em
from fastgmm.data.samples import Samples
from fastgmm.em.float32 import allows_float32

K, D = 4, 3
FIXED = [(), ("weights",), ("covariances",), ("weights", "covariances")]
each_choice = pytest.mark.parametrize("fixed", FIXED, ids=lambda names: "+".join(names) or "none")
each_variant = pytest.mark.parametrize("variant", VARIANTS)
unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def data(n=900, dtype="float64"):
    return draw(mixture("tied-spherical", K, D, seed=2), n, dtype)


def start_at(X, variance=1.5, weights=(0.1, 0.2, 0.3, 0.4)):
    return em.MixtureParameters.from_covariances(
        "tied-spherical", np.array(weights), X[:K].astype(float), np.array(variance)
    )


def plain_em(X, weight, start, fixed, n_iter):
    """Return weights, means, the variance and the bounds, from n x K tables."""
    X = X.astype(float)
    w, means, variance = start.weights, start.means, float(start.covariances)
    bounds = []
    for _ in range(n_iter):
        squares = ((X[:, np.newaxis] - means) ** 2).sum(axis=2)
        log_joint = np.log(w) - 0.5 * squares / variance
        log_joint -= 0.5 * X.shape[1] * np.log(2 * np.pi * variance)
        norm = logsumexp(log_joint, axis=1)
        bounds.append(weight @ norm / weight.sum())
        r = weight[:, np.newaxis] * np.exp(log_joint - norm[:, np.newaxis])
        means = r.T @ X / r.sum(axis=0)[:, np.newaxis]
        if "weights" not in fixed:
            w = r.sum(axis=0) / r.sum()
        if "covariances" not in fixed:
            squares = ((X[:, np.newaxis] - means) ** 2).sum(axis=2)
            variance = (r * squares).sum() / (r.sum() * X.shape[1])
    return w, means, variance, bounds


@each_variant
@each_choice
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("weighted", [False, True])
def test_is_the_plain_one(variant, fixed, dtype, weighted):
    skip_without(variant)
    X = data(dtype=dtype)
    weight = sample_weights(len(X)) if weighted else np.ones(len(X))
    start = start_at(X)
    with using(variant):
        result = em.fit(
            X,
            start,
            sample_weight=weight if weighted else None,
            update=em.ClosedForm(0.0, fixed=fixed),
            convergence=em.Never(),
            max_iter=30,
        )
    w, means, variance, bounds = plain_em(X, weight, start, fixed, 30)
    np.testing.assert_allclose(result.lower_bounds, bounds, rtol=1e-10)
    np.testing.assert_allclose(result.parameters.weights, w, rtol=1e-10)
    np.testing.assert_allclose(result.parameters.means, means, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(result.parameters.covariances, variance, rtol=1e-10)
    assert np.diff(result.lower_bounds).min() > -1e-12
    assert result.parameters.covariances.shape == ()


@each_choice
def test_integer_weight_is_a_repeated_row(fixed):
    X = data(300)
    counts = np.random.default_rng(1).integers(0, 4, len(X))
    options = {"update": em.ClosedForm(0.0, fixed=fixed), "convergence": em.Never()}
    weighted = em.fit(X, start_at(X), sample_weight=counts, **options, max_iter=20)
    plain = em.fit(np.repeat(X, counts, axis=0), start_at(X), **options, max_iter=20)
    np.testing.assert_allclose(weighted.lower_bounds, plain.lower_bounds, rtol=1e-12)
    np.testing.assert_allclose(weighted.parameters.means, plain.parameters.means, rtol=1e-10)


@each_choice
def test_components_may_be_permuted_and_units_changed(fixed):
    X, order, scale = data(), [2, 0, 3, 1], 2.0**7
    start = start_at(X)
    other = em.MixtureParameters.from_covariances(
        "tied-spherical",
        start.weights[order],
        scale * start.means[order],
        scale**2 * start.covariances,
    )
    options = {"update": em.ClosedForm(fixed=fixed), "convergence": em.Never(), "max_iter": 20}
    one, two = em.fit(X, start, **options), em.fit(scale * X, other, **options)
    shift = D * np.log(scale)
    np.testing.assert_allclose(np.array(two.lower_bounds) + shift, one.lower_bounds, rtol=1e-12)
    np.testing.assert_allclose(two.parameters.weights, one.parameters.weights[order], rtol=1e-10)
    means = scale * one.parameters.means[order]
    np.testing.assert_allclose(two.parameters.means, means, rtol=1e-9, atol=1e-9)
    variance = scale**2 * one.parameters.covariances
    np.testing.assert_allclose(two.parameters.covariances, variance, rtol=1e-10)


def test_a_number_alone_tells_the_type(tmp_path):
    model = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [4.0]], 2.0, random_state=0)
    assert model.covariance_type == "tied-spherical"
    expected = logsumexp([[-0.25], [-2.25]], axis=0) - np.log(2) - 0.5 * np.log(4 * np.pi)
    np.testing.assert_allclose(model.score_samples([[1.0]]), expected, rtol=1e-14)
    X, z = model.sample(20_000)
    assert (X - model.means_[z]).var() == pytest.approx(2.0, rel=0.05)
    one = GaussianMixture.from_parameters([1.0], [[0.0]], 2.0)  # beside () no other type
    assert one.covariance_type == "tied-spherical"


@pytest.mark.parametrize(
    "model",
    [
        GaussianMixture(K, fixed=("weights",), random_state=0),
        GaussianMixture(K, fixed=["weights", "covariances"], covariances_init=2.0, random_state=0),
        BayesianGaussianMixture(n_components=K, random_state=0),
    ],
    ids=["equal weights", "all fixed", "Bayesian"],
)
@unconverged
def test_saved_models_are_the_same(model, tmp_path):
    X = data()
    model.set_params(covariance_type="tied-spherical", max_iter=5).fit(X)
    fastgmm.save(model, tmp_path / "model")
    loaded = fastgmm.load(tmp_path / "model")
    assert type(loaded.covariances_) is type(model.covariances_) is np.float64
    np.testing.assert_array_equal(loaded.score_samples(X), model.score_samples(X))
    assert loaded.n_parameters_ == model.n_parameters_
    if isinstance(model, GaussianMixture):
        assert loaded.fixed == tuple(model.fixed)


@each_variant
@pytest.mark.parametrize("prior_type", ["dirichlet_process", "dirichlet_distribution"])
def test_variational_bound_does_not_fall(variant, prior_type):
    skip_without(variant)
    X = data(400)
    options = {
        "n_components": K + 2,
        "covariance_type": "tied-spherical",
        "weight_concentration_prior_type": prior_type,
        "reg_covar": 0.0,
        "init_params": "kmeans",
        "random_state": 0,
        "max_iter": 2000,
        "tol": 1e-8,
    }
    with using(variant):
        model = BayesianGaussianMixture(**options).fit(X)
    bounds = np.array(model.lower_bounds_)
    assert (np.diff(bounds) > -1e-10 * np.abs(bounds[1:])).all()
    assert np.shape(model.covariances_) == np.shape(model.degrees_of_freedom_) == ()
    assert model.degrees_of_freedom_ == pytest.approx(D + len(X) / (K + 2), rel=1e-12)


def test_variational_posterior_of_repeated_rows():
    X, counts = data(400), np.random.default_rng(0).integers(0, 3, 400)
    prior = em.NormalWishartPrior(
        "dirichlet_process", 0.5, X.mean(axis=0), 1.0, D + 1.0, np.array(2.0)
    )
    start, update = prior.around(start_at(X), counts.sum()), em.ConjugatePrior(prior)
    weighted = em.fit(X, start, update=update, sample_weight=counts, max_iter=50)
    repeated = em.fit(np.repeat(X, counts, axis=0), start, update=update, max_iter=50)
    np.testing.assert_allclose(weighted.lower_bounds, repeated.lower_bounds, rtol=1e-12)
    np.testing.assert_allclose(weighted.parameters.means, repeated.parameters.means, rtol=1e-9)
    variance = repeated.parameters.covariances
    np.testing.assert_allclose(weighted.parameters.covariances, variance, rtol=1e-10)


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
@unconverged
def test_degenerate_data():
    few = np.repeat(np.random.default_rng(0).normal(size=(2, D)), 20, axis=0)
    model = GaussianMixture(K, covariance_type="tied-spherical", random_state=0).fit(few)
    assert model.covariances_ > 0
    assert np.isfinite(model.means_).all()
    constant = np.full((30, D), 7.0)
    model.set_params(n_components=1).fit(constant)
    assert model.covariances_ == pytest.approx(1e-6)
    model.set_params(reg_covar=0.0)
    with pytest.raises(ValueError, match="The tied covariance is not positive definite"):
        model.fit(constant)
    # a fixed variance cannot collapse
    model.set_params(n_components=2, covariances_init=0.5, fixed=("weights", "covariances"))
    assert model.fit(constant).covariances_ == 0.5
    assert model.collapsed_ == {}


def test_a_variance_that_collapses_is_kept():
    X = np.array([[0.0], [0.0], [5.0], [5.0]])
    start = em.MixtureParameters.from_covariances(
        "tied-spherical", np.full(2, 0.5), np.array([[0.1], [4.9]]), np.array(1e-3)
    )
    result = em.fit(X, start, update=em.ClosedForm(0.0), max_iter=10)
    assert set(result.collapsed) == {0, 1}
    assert result.parameters.covariances == 1e-3


def test_a_component_without_samples_stays():
    X = data(300)
    start = em.MixtureParameters.from_covariances(
        "tied-spherical", np.full(2, 0.5), np.array([X[0], np.full(D, 1e5)]), np.array(1.0)
    )
    result = em.fit(X, start, update=em.ClosedForm(0.0, fixed=("weights",)), max_iter=20)
    np.testing.assert_array_equal(result.parameters.means[1], start.means[1])
    assert result.parameters.covariances == pytest.approx(X.var(axis=0).mean(), rel=1e-12)


def test_float32_blocks_are_used_where_they_are_exact_enough():
    X = data(40_000, "float32")
    samples = Samples(X)
    assert allows_float32(samples, start_at(X))
    assert not allows_float32(samples, start_at(X, variance=1e-12))
    single, double = (em.fit(x, start_at(X)) for x in (X, X.astype(float)))
    np.testing.assert_allclose(single.parameters.means, double.parameters.means, atol=1e-5)
    variance = double.parameters.covariances
    np.testing.assert_allclose(single.parameters.covariances, variance, rtol=1e-5)


def test_iterations_that_run_out_are_told():
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        GaussianMixture(K, covariance_type="tied-spherical", max_iter=1, random_state=0).fit(data())
