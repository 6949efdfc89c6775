"""Gradients of the log-likelihood, against central differences of it."""

import numpy as np
import pytest
from generators import COVARIANCE_TYPES, DTYPES, draw, em, mixture, sample_weights
from marks import slow_once
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import fastgmm
from fastgmm import GaussianMixture
from fastgmm.data.samples import Samples
from fastgmm.em import MixtureParameters, Unconstrained
from fastgmm.em.coordinates import EMCoordinates
from fastgmm.em.float32 import SMALLEST_PASS, allows_float32
from fastgmm.em.posteriors.exact import ExactPosterior
from fastgmm.model.covariance import get_covariance_model
from fastgmm.model.covariance_model import CollapseError
from fastgmm.model.gradients import q_function, q_gradient
from fastgmm.model.statistics import SufficientStatistics

pytestmark = pytest.mark.one_backend

SHAPES = [(3, 4), (4, 1), *slow_once((1, 3), (9, 2))]


def log_likelihood(X, weight, weights, means, covariances, covariance_type):
    """Return sum s log sum w N, in plain SciPy."""
    X = X.astype(np.float64)
    K, d = means.shape
    matrices = get_covariance_model(covariance_type).dense(covariances, K, d)
    log_joint = [
        np.log(w) + multivariate_normal(mean, matrix, allow_singular=False).logpdf(X)
        for w, mean, matrix in zip(weights, means, matrices, strict=True)
    ]
    return weight @ logsumexp(log_joint, axis=0)


def differences(function, x, step=1e-4):
    """Return the gradient by central differences, with an error of order step^4."""
    gradient = np.empty(x.size)
    for j in range(x.size):
        e = np.zeros(x.size)
        e[j] = step
        near, far = (function(x + h * e) - function(x - h * e) for h in (1.0, 2.0))
        gradient[j] = (8.0 * near - far) / (12.0 * step)
    return gradient.reshape(x.shape)


def problem(covariance_type, K, d, dtype="float64", n=40):
    parameters = mixture(covariance_type, K, d, scenario="overlapping")
    X = draw(mixture("full", K, d, seed=1), n, dtype)
    return X, sample_weights(n), parameters


def model_of(parameters):
    model = GaussianMixture(parameters.n_components, covariance_type=parameters.covariance_type)
    for name in ("weights", "means", "covariances", "precisions_cholesky"):
        setattr(model, f"{name}_", getattr(parameters, name))
    model.converged_, model.n_features_in_ = True, parameters.n_features
    return model


def assert_close(actual, expected):
    """To 1e-6 of the largest derivative."""
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K, d", SHAPES)
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_gradient_is_that_of_the_log_likelihood(covariance_type, K, d, dtype, weighted):
    X, weight, parameters = problem(covariance_type, K, d, dtype)
    given = weight if weighted else None
    weight = weight if weighted else np.ones(len(X))
    gradient = fastgmm.log_likelihood_gradient(model_of(parameters), X, given)
    w, m, c = parameters.weights, parameters.means, parameters.covariances
    kind = covariance_type

    def of_covariances(flat):
        symmetric = flat.reshape(c.shape)
        if kind in ("full", "tied"):
            symmetric = 0.5 * (symmetric + symmetric.swapaxes(-1, -2))
        return log_likelihood(X, weight, w, m, symmetric, kind)

    expected = differences(lambda a: log_likelihood(X, weight, a, m, c, kind), w)
    assert_close(gradient.weights, expected)
    expected = differences(
        lambda a: log_likelihood(X, weight, w, a.reshape(m.shape), c, kind), m.ravel()
    )
    assert_close(gradient.means.ravel(), expected)
    assert gradient.covariances.shape == c.shape
    assert_close(gradient.covariances.ravel(), differences(of_covariances, c.ravel()))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K, d", SHAPES)
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_unconstrained_gradient(covariance_type, K, d, dtype, weighted):
    X, weight, parameters = problem(covariance_type, K, d, dtype)
    given = weight if weighted else None
    weight = weight if weighted else np.ones(len(X))
    coordinates = Unconstrained(covariance_type, K, d)

    def of_coordinates(vector):
        p = coordinates.parameters(vector)
        return log_likelihood(X, weight, p.weights, p.means, p.covariances, covariance_type)

    point = coordinates.coordinates(parameters)
    expected = differences(of_coordinates, point)
    statistics = ExactPosterior(1).summarize(Samples(X, given), parameters)
    actual = coordinates.gradient(statistics, parameters)
    assert actual.shape == (coordinates.size,)
    assert_close(actual, expected)
    public = fastgmm.log_likelihood_gradient(model_of(parameters), X, given, unconstrained=True)
    np.testing.assert_array_equal(public.weights, actual[:K])
    np.testing.assert_array_equal(public.means.ravel(), actual[K : K + K * d])
    assert public.covariances.shape == parameters.covariances.shape
    assert public.covariances.sum() == pytest.approx(actual[K + K * d :].sum(), rel=1e-12)


@pytest.mark.parametrize("K, d", SHAPES)
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_gradient_in_coordinates_of_em(covariance_type, K, d):
    X, weight, parameters = problem(covariance_type, K, d)
    reference = mixture(covariance_type, K, d, scenario="overlapping", seed=5)
    about = EMCoordinates(reference, np.arange(1.0, K + 1.0))

    def of_coordinates(vector):
        p = about.parameters(vector)
        return log_likelihood(X, weight, p.weights, p.means, p.covariances, covariance_type)

    statistics = ExactPosterior(1).summarize(Samples(X, weight), parameters)
    expected = differences(of_coordinates, about.coordinates(parameters))
    assert_close(about.gradient(statistics, parameters), expected)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_statistics_about_other_centres_give_the_same(covariance_type):
    X, weight, parameters = problem(covariance_type, 3, 4)
    statistics = ExactPosterior(1).summarize(Samples(X, weight), parameters)
    moved = statistics.recenter(parameters.means + 0.7)
    assert q_function(moved, parameters) == pytest.approx(q_function(statistics, parameters))
    for actual, expected in zip(
        q_gradient(moved, parameters), q_gradient(statistics, parameters), strict=True
    ):
        np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_gradient_of_q_elsewhere_than_its_responsibilities(covariance_type):
    X, weight, parameters = problem(covariance_type, 3, 4)
    statistics = ExactPosterior(1).summarize(Samples(X, weight), parameters)
    elsewhere = mixture(covariance_type, 3, 4, scenario="overlapping", seed=5)
    for coordinates in (
        Unconstrained(covariance_type, 3, 4),
        EMCoordinates(parameters, np.ones(3)),
    ):
        expected = differences(
            lambda vector, at=coordinates: q_function(statistics, at.parameters(vector)),
            coordinates.coordinates(elsewhere),
        )
        assert_close(coordinates.gradient(statistics, elsewhere), expected)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_float32_blocks(covariance_type):
    """Sums of rounding errors of 1e-7 at centres that are float32 numbers: to 1e-5."""
    truth = mixture(covariance_type, 3, 4)
    X = draw(truth, SMALLEST_PASS, "float32")
    model = model_of(
        MixtureParameters.from_covariances(
            covariance_type, truth.weights, truth.means + 0.3, truth.covariances * 1.2
        )
    )
    assert allows_float32(Samples(X), model._parameters())
    for actual, expected in zip(
        fastgmm.log_likelihood_gradient(model, X),
        fastgmm.log_likelihood_gradient(model, X.astype(np.float64)),
        strict=True,
    ):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("offset", [1e6, 1e8])
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_far_from_zero(covariance_type, offset):
    X, weight, parameters = problem(covariance_type, 3, 4)
    X = np.round(X * 1024) / 1024  # exact after the shift, as the means are
    means = np.round(parameters.means * 1024) / 1024
    gradients = [
        fastgmm.log_likelihood_gradient(
            model_of(
                MixtureParameters.from_covariances(
                    covariance_type, parameters.weights, means + shift, parameters.covariances
                )
            ),
            X + shift,
            weight,
        )
        for shift in (0.0, offset)
    ]
    for actual, expected in zip(*gradients, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_gradient_vanishes_at_a_maximum(covariance_type):
    X = draw(mixture(covariance_type, 3, 2, scenario="apart"), 500)
    model = model_of(em(X, mixture(covariance_type, 3, 2, scenario="apart"), 300).parameters)
    gradient = fastgmm.log_likelihood_gradient(model, X)
    np.testing.assert_allclose(gradient.weights, len(X), rtol=1e-9)
    np.testing.assert_allclose(gradient.means, 0.0, atol=1e-7)
    np.testing.assert_allclose(gradient.covariances, 0.0, atol=1e-7)
    for part in fastgmm.log_likelihood_gradient(model, X, unconstrained=True):
        np.testing.assert_allclose(part, 0.0, atol=1e-7)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_coordinates_are_one_to_one(covariance_type):
    parameters = mixture(covariance_type, 3, 4)
    coordinates = Unconstrained(covariance_type, 3, 4)
    back = coordinates.parameters(coordinates.coordinates(parameters))
    np.testing.assert_allclose(back.weights, parameters.weights, rtol=1e-14)
    np.testing.assert_array_equal(back.means, parameters.means)
    np.testing.assert_allclose(back.covariances, parameters.covariances, rtol=1e-13, atol=1e-14)
    assert coordinates.size == parameters.n_parameters + 1


def test_integer_weights_are_repeated_rows():
    X, _, parameters = problem("full", 3, 4)
    weight = np.random.default_rng(0).integers(0, 4, len(X))
    model = model_of(parameters)
    weighted = fastgmm.log_likelihood_gradient(model, X, weight)
    repeated = fastgmm.log_likelihood_gradient(model, np.repeat(X, weight, axis=0))
    for actual, expected in zip(weighted, repeated, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-10)


def test_a_component_of_weight_zero():
    X, _, parameters = problem("full", 3, 4)
    parameters.weights[:] = [0.4, 0.0, 0.6]
    model = model_of(parameters)
    with pytest.raises(ValueError, match="positive, but that of component 1 is 0"):
        fastgmm.log_likelihood_gradient(model, X)
    gradient = fastgmm.log_likelihood_gradient(model, X, unconstrained=True)
    assert gradient.weights[1] == 0.0
    assert not gradient.means[1].any()
    assert not gradient.covariances[1].any()


def test_bad_input():
    with pytest.raises(ValueError, match="not fitted yet"):
        fastgmm.log_likelihood_gradient(GaussianMixture(2), np.ones((4, 1)))
    coordinates = Unconstrained("full", 1, 2)
    with pytest.raises(ValueError, match=r"have the shape of \(6,\), but got \(5,\)"):
        coordinates.parameters(np.zeros(5))
    for spread in (400.0, -400.0, np.nan):
        with pytest.raises(CollapseError):
            coordinates.parameters(np.array([0.0, 0.0, 0.0, spread, 1.0, 0.0]))
    with pytest.raises(CollapseError):
        Unconstrained("diag", 1, 1).parameters(np.array([0.0, 0.0, 1000.0]))


def test_no_samples():
    parameters = mixture("full", 3, 4)
    nothing = SufficientStatistics.zeros("full", parameters.means)
    assert q_function(nothing, parameters) == 0.0
    assert not any(part.any() for part in q_gradient(nothing, parameters))
