"""GaussianMixture itself: sampling, criteria, weighted scores, closed forms."""

import numpy as np
import pytest
import scipy.stats
from generators import COVARIANCE_TYPES, dense, draw, mixture, sample_weights
from scipy.special import logsumexp, softmax
from sklearn.exceptions import NotFittedError

import fastgmm
from fastgmm import BayesianGaussianMixture, GaussianMixture, SoftKMeans
from fastgmm.model.parameters import MixtureParameters

K, D = 3, 4


def fitted(covariance_type, n_components=K, n_features=D, seed=0):
    """Return an estimator that holds exactly the parameters of a random mixture."""
    truth = mixture(covariance_type, n_components, n_features, seed=seed)
    model = GaussianMixture(
        n_components,
        covariance_type=covariance_type,
        weights_init=truth.weights,
        means_init=truth.means,
        precisions_init=truth.precisions,
        max_iter=0,
        random_state=0,
    )
    return model.fit(np.zeros((max(2, n_components), n_features)))


def parameters(model):
    return MixtureParameters(
        model.covariance_type,
        model.weights_,
        model.means_,
        model.covariances_,
        model.precisions_cholesky_,
    )


def data(n_samples=500, n_features=D, seed=1):
    return draw(mixture("full", K, n_features, seed=seed), n_samples, seed=seed)


def log_joint(model, X):
    """Return log w_k N(x | k) by SciPy."""
    normals = zip(model.means_, dense(parameters(model)), strict=True)
    densities = [scipy.stats.multivariate_normal(*normal).logpdf(X) for normal in normals]
    return np.log(model.weights_) + np.stack(densities, axis=1)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_predictions_are_those_of_scipy(covariance_type):
    model, X = fitted(covariance_type), data()
    expected = log_joint(model, X)
    norm = logsumexp(expected, axis=1)
    np.testing.assert_allclose(model.score_samples(X), norm, rtol=1e-11)
    np.testing.assert_allclose(
        model.predict_proba(X), np.exp(expected - norm[:, np.newaxis]), rtol=1e-10, atol=1e-14
    )
    np.testing.assert_array_equal(model.predict(X), expected.argmax(axis=1))
    assert model.score(X) == pytest.approx(norm.mean(), rel=1e-12)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("n_samples", [1, 255, 256, 257, 5000])
def test_responsibilities_sum_to_one(covariance_type, n_samples):
    model = fitted(covariance_type, n_components=7)
    X = 100.0 * data(n_samples)  # most are far from all components
    resp = model.predict_proba(X)
    assert resp.shape == (n_samples, 7)
    np.testing.assert_allclose(resp.sum(axis=1), 1.0, rtol=1e-14)
    assert ((resp >= 0) & (resp <= 1 + 1e-15)).all()
    np.testing.assert_array_equal(resp.argmax(axis=1), model.predict(X))


def test_types_and_shapes():
    model, X = fitted("full"), data(10)
    assert model.predict(X).dtype == np.int64
    assert model.predict_proba(X).dtype == model.score_samples(X).dtype == np.float64
    assert model.predict(X).shape == model.score_samples(X).shape == (10,)
    assert all(isinstance(value, float) for value in (model.score(X), model.aic(X), model.bic(X)))


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_fit_predict_is_fit_then_predict(covariance_type, weighted):
    X = data()
    weight = sample_weights(len(X)) if weighted else None
    models = [GaussianMixture(K, covariance_type=covariance_type, random_state=0) for _ in "ab"]
    labels = models[0].fit_predict(X, sample_weight=weight)
    models[1].fit(X, sample_weight=weight)
    np.testing.assert_array_equal(labels, models[1].predict(X))
    assert models[0].lower_bounds_ == models[1].lower_bounds_


@pytest.mark.parametrize(
    "covariance_type, expected", [("full", 44), ("tied", 24), ("diag", 26), ("spherical", 17)]
)
def test_number_of_parameters(covariance_type, expected):
    assert fitted(covariance_type).n_parameters_ == expected


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_score_and_criteria(covariance_type, weighted):
    model, X = fitted(covariance_type), data()
    weight = sample_weights(len(X)) if weighted else None
    w = np.ones(len(X)) if weight is None else weight
    log_likelihood = w @ logsumexp(log_joint(model, X), axis=1)
    p = model.n_parameters_
    assert model.score(X, sample_weight=weight) == pytest.approx(log_likelihood / w.sum())
    assert model.aic(X, sample_weight=weight) == pytest.approx(2 * p - 2 * log_likelihood)
    expected = p * np.log(w.sum()) - 2 * log_likelihood
    assert model.bic(X, sample_weight=weight) == pytest.approx(expected)
    largest = softmax(log_joint(model, X), axis=1).max(axis=1)
    expected -= 2 * w @ np.log(largest)
    assert model.icl(X, sample_weight=weight) == pytest.approx(expected)


def test_n_parameters_of_a_mixture_that_is_not_fitted():
    for estimator in (GaussianMixture(2), SoftKMeans(2), BayesianGaussianMixture()):
        assert not hasattr(estimator, "n_parameters_")
        with pytest.raises(NotFittedError):
            _ = estimator.n_parameters_


@pytest.mark.parametrize("method", ["score", "aic", "bic", "icl"])
def test_weights_count_as_copies(method):
    model, X = fitted("full"), data()
    counts = np.arange(len(X)) % 4
    weighted = getattr(model, method)(X, sample_weight=counts)
    assert weighted == pytest.approx(getattr(model, method)(np.repeat(X, counts, axis=0)))


def test_bic_counts_weight_and_aic_does_not():
    """Doubled weights double the likelihood term alone, but for log n of BIC."""
    model, X = fitted("full"), data()
    ones = np.ones(len(X))
    p = model.n_parameters_
    assert model.score(X, sample_weight=2 * ones) == pytest.approx(model.score(X))
    aic, bic = model.aic(X), model.bic(X)
    assert model.aic(X, sample_weight=2 * ones) == pytest.approx(2 * (aic - 2 * p) + 2 * p)
    penalty = p * np.log(len(X))
    expected = 2 * (bic - penalty) + p * np.log(2 * len(X))
    assert model.bic(X, sample_weight=2 * ones) == pytest.approx(expected)


def test_bic_selects_the_number_of_components():
    X = draw(mixture("spherical", 3, 2, scenario="separated"), 1000)
    models = [GaussianMixture(k, n_init=3, random_state=0).fit(X) for k in range(1, 6)]
    assert np.argmin([model.bic(X) for model in models]) == 2


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_sample_has_the_moments_of_the_mixture(covariance_type):
    model = fitted(covariance_type)
    n = 60_000
    X, y = model.sample(n)
    counts = np.bincount(y, minlength=K)
    assert scipy.stats.chisquare(counts, n * model.weights_).pvalue > 1e-3
    for mean, covariance, count, k in zip(
        model.means_, dense(parameters(model)), counts, range(K), strict=True
    ):
        cell = X[y == k]
        deviation = np.sqrt(np.diag(covariance))
        standard_error = deviation / np.sqrt(count)
        assert np.abs((cell.mean(axis=0) - mean) / standard_error).max() < 4.5
        # the variance of an element of a Wishart matrix
        squares = np.outer(deviation, deviation) ** 2
        standard_error = np.sqrt((covariance**2 + squares) / count)
        difference = np.cov(cell.T, bias=True) - covariance
        assert np.abs(difference / standard_error).max() < 4.5


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_sample_is_normal_in_every_direction(covariance_type):
    model = fitted(covariance_type, n_components=1)
    X, _ = model.sample(5000)
    U = dense_factor(model)
    whitened = (X - model.means_[0]) @ U
    for column in whitened.T:
        assert scipy.stats.kstest(column, "norm").pvalue > 1e-3


def dense_factor(model):
    covariance = dense(parameters(model))[0]
    return np.linalg.cholesky(np.linalg.inv(covariance))


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("n_samples", [1, 2, 17])
def test_sample_shapes_and_order(covariance_type, n_samples):
    X, y = fitted(covariance_type).sample(n_samples)
    assert X.shape == (n_samples, D)
    assert y.shape == (n_samples,)
    assert X.dtype == np.float64
    assert np.issubdtype(y.dtype, np.integer)
    assert (np.diff(y) >= 0).all()
    assert ((y >= 0) & (y < K)).all()


def test_sample_follows_random_state():
    model = fitted("full")
    first, second = model.sample(50), model.sample(50)
    np.testing.assert_array_equal(first[0], second[0])
    model.set_params(random_state=np.random.RandomState(0))
    np.testing.assert_array_equal(model.sample(50)[0], first[0])
    assert not np.array_equal(model.sample(50)[0], first[0])


def test_sample_never_draws_a_component_of_weight_zero():
    model = fitted("full")
    model.weights_ = np.array([0.5, 0.0, 0.5])
    assert set(model.sample(1000)[1]) == {0, 2}


def test_fit_of_its_own_sample_recovers_the_mixture():
    truth = fitted("full", n_features=2)
    X, _ = truth.sample(50_000)
    model = GaussianMixture(K, means_init=truth.means_, tol=1e-6, max_iter=500).fit(X)
    np.testing.assert_allclose(model.weights_, truth.weights_, atol=0.02)
    np.testing.assert_allclose(model.means_, truth.means_, atol=0.1)
    np.testing.assert_allclose(model.covariances_, truth.covariances_, atol=0.1)


@pytest.mark.filterwarnings("ignore:reg_covar=0.5 makes up")
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
def test_one_component_is_the_sample_mean_and_covariance(covariance_type, weighted, init_params):
    X = data() + 1e4
    weight = sample_weights(len(X)) if weighted else None
    model = GaussianMixture(
        covariance_type=covariance_type, init_params=init_params, reg_covar=0.5, random_state=0
    ).fit(X, sample_weight=weight)
    mean = np.average(X, axis=0, weights=weight)
    covariance = np.cov(X.T, aweights=weight, bias=True)
    expected = {
        "full": covariance,
        "tied": covariance,
        "diag": np.diag(np.diag(covariance)),
    }.get(covariance_type, np.trace(covariance) / D * np.eye(D))
    np.testing.assert_array_equal(model.weights_, [1.0])
    np.testing.assert_allclose(model.means_[0], mean, rtol=1e-13)
    np.testing.assert_allclose(
        dense(parameters(model))[0], expected + 0.5 * np.eye(D), rtol=1e-9, atol=1e-9
    )
    assert model.converged_
    np.testing.assert_array_equal(model.predict(X), 0)
    np.testing.assert_array_equal(model.predict_proba(X), 1.0)


def test_one_feature_is_the_same_for_all_covariance_types_but_tied():
    X = np.sort(draw(mixture("full", 2, 1), 400), axis=0)
    models = {
        name: GaussianMixture(
            2, covariance_type=name, tol=1e-8, max_iter=1000, random_state=0, n_jobs=1
        )
        for name in COVARIANCE_TYPES
    }
    for model in models.values():
        model.fit(X)
    shapes = {"full": (2, 1, 1), "tied": (1, 1), "diag": (2, 1), "spherical": (2,)}
    for name in ("full", "diag", "spherical"):
        model = models[name]
        assert model.covariances_.shape == model.precisions_.shape == shapes[name]
        np.testing.assert_allclose(
            model.covariances_.ravel(), models["full"].covariances_.ravel(), rtol=1e-9
        )
        np.testing.assert_allclose(model.lower_bounds_, models["full"].lower_bounds_, rtol=1e-12)
        assert model.n_parameters_ == 5
    assert models["tied"].covariances_.shape == (1, 1)
    assert models["tied"].n_parameters_ == 4
    assert models["tied"].score(X) < models["full"].score(X)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_attributes_belong_together(covariance_type):
    model = GaussianMixture(K, covariance_type=covariance_type, random_state=0).fit(data())
    held = parameters(model)
    assert model.weights_.sum() == pytest.approx(1.0, rel=1e-14)
    assert model.weights_.shape == (K,)
    assert model.means_.shape == (K, D)
    assert model.covariances_.shape == model.precisions_cholesky_.shape == model.precisions_.shape
    np.testing.assert_allclose(model.precisions_, held.precisions, rtol=1e-14)
    factors = MixtureParameters.from_covariances(
        covariance_type, model.weights_, model.means_, model.covariances_
    ).precisions_cholesky
    np.testing.assert_allclose(model.precisions_cholesky_, factors, rtol=1e-12, atol=1e-14)


def test_refit_forgets_the_first_fit():
    model = GaussianMixture(2, random_state=0)
    X, other = data(), data(300, n_features=2, seed=5)
    fresh = GaussianMixture(2, random_state=0).fit(other)
    again = model.fit(X).fit(other)
    assert again.n_features_in_ == 2
    assert again.lower_bounds_ == fresh.lower_bounds_


def test_refit_does_not_change_the_arrays_of_the_first_fit():
    model = GaussianMixture(2, random_state=0, warm_start=True, max_iter=500, tol=1e-4)
    means = model.fit(data()).means_
    before = means.copy()
    model.fit(data() + 1.0)
    np.testing.assert_array_equal(means, before)
    assert not np.shares_memory(means, model.means_)


@pytest.mark.parametrize("n_jobs", [1, 2, -1, -100, 1000])
def test_n_jobs_changes_no_bit(n_jobs):
    X = data(20_000)
    expected = GaussianMixture(K, random_state=0, n_jobs=None).fit(X)
    model = GaussianMixture(K, random_state=0, n_jobs=n_jobs).fit(X)
    assert model.lower_bounds_ == expected.lower_bounds_
    assert model.covariances_.tobytes() == expected.covariances_.tobytes()
    assert model.score(X) == expected.score(X)


def test_is_public():
    assert fastgmm.GaussianMixture is GaussianMixture
    assert "GaussianMixture" in fastgmm.__all__
