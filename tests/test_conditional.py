"""Marginal and conditional mixtures, against SciPy's densities and formulas with inverses."""

import re

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from backends import VARIANTS, skip_without, using
from generators import COVARIANCE_TYPES, DTYPES, SCENARIOS, dense, draw, memory_orders, mixture
from scipy.special import logsumexp, softmax
from test_references import FAITHFUL, IRIS

from fastgmm import BayesianGaussianMixture, GaussianMixture
from fastgmm.model.parameters import MixtureParameters

K, D = 3, 5
#: No test here may fail by chance more often than this.
CHANCE = 1e-4
#: given features and the others
SPLITS = [([0], [1, 2, 3, 4]), ([3, 1], [0, 2, 4]), ([4, 0, 2, 3], [1])]


def model_of(parameters, **options):
    return GaussianMixture.from_parameters(
        parameters.weights,
        parameters.means,
        parameters.covariances,
        covariance_type=parameters.covariance_type,
        **options,
    )


def log_joint(parameters, features, X):
    """Return log w_k N(x | k) of some features by SciPy, (n, K)."""
    index = np.ix_(features, features)
    return np.stack(
        [
            np.log(weight) + scipy.stats.multivariate_normal(mean[features], S[index]).logpdf(X)
            for weight, mean, S in zip(
                parameters.weights, parameters.means, dense(parameters), strict=True
            )
        ],
        axis=-1,
    ).reshape(len(X), parameters.n_components)


def by_inverses(parameters, given, others, X):
    """Return weights, means and dense covariances by the textbook's formulas."""
    means, covariances = [], []
    for mean, S in zip(parameters.means, dense(parameters), strict=True):
        slopes = S[np.ix_(others, given)] @ np.linalg.inv(S[np.ix_(given, given)])
        means.append(mean[others] + (X - mean[given]) @ slopes.T)
        covariances.append(S[np.ix_(others, others)] - slopes @ S[np.ix_(given, others)])
    weights = softmax(log_joint(parameters, given, X), axis=1)
    return weights, np.stack(means, axis=1), np.stack(covariances)


def dense_of(conditional):
    K, m = conditional.means.shape[1:]
    parameters = MixtureParameters.from_covariances(
        conditional.covariance_type, np.full(K, 1 / K), np.zeros((K, m)), conditional.covariances
    )
    return dense(parameters)


@pytest.mark.parametrize("features", [[2], [4, 1], [0, 1, 2, 3, 4], [3, 2, 0]])
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_marginal_density_is_that_of_scipy(covariance_type, features):
    parameters = mixture(covariance_type, K, D)
    X = draw(parameters, 300)[:, features]
    part = model_of(parameters).marginal(features)
    expected = log_joint(parameters, features, X)
    np.testing.assert_allclose(part.score_samples(X), logsumexp(expected, axis=1), rtol=1e-12)
    np.testing.assert_allclose(part.predict_proba(X), softmax(expected, axis=1), atol=1e-12)
    assert part.covariance_type == covariance_type
    assert part.n_features_in_ == len(features)


def test_marginal_is_an_estimator_of_the_same_kind():
    class Mine(GaussianMixture):
        pass

    frame = pd.DataFrame(FAITHFUL.astype(np.float32), columns=["eruptions", "waiting"])
    model = Mine(2, random_state=7, n_jobs=2).fit(frame)
    part = model.marginal(["waiting"])
    assert type(part) is Mine
    assert (part.random_state, part.n_jobs, part.n_components) == (7, 2, 2)
    assert part.feature_names_in_.tolist() == ["waiting"]
    assert part.score_samples(frame[["waiting"]]).dtype == np.float32
    np.testing.assert_array_equal(part.means_, model.means_[:, 1:])
    np.testing.assert_array_equal(part.sample(5)[0], part.sample(5)[0])
    with pytest.raises(ValueError, match="feature names"):
        part.score_samples(frame[["eruptions"]])


def test_marginal_of_a_marginal():
    model = model_of(mixture("full", K, D))
    twice = model.marginal([4, 2, 0]).marginal([2, 1])
    once = model.marginal([0, 2])
    np.testing.assert_array_equal(twice.means_, once.means_)
    np.testing.assert_array_equal(twice.covariances_, once.covariances_)


@pytest.mark.parametrize("scenario", ["touching", "overlapping", "apart", "far from zero"])
@pytest.mark.parametrize("given, others", SPLITS)
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_conditional_density_is_that_of_scipy(covariance_type, given, others, scenario):
    parameters = mixture(covariance_type, K, D, scenario=scenario)
    X = draw(parameters, 500)
    conditional = model_of(parameters).condition(given, X[:, given])
    np.testing.assert_array_equal(conditional.features, others)
    every = list(range(D))
    expected = logsumexp(log_joint(parameters, every, X), axis=1) - logsumexp(
        log_joint(parameters, given, X[:, given]), axis=1
    )
    # offset by 1e6, a mean is rounded by 1e-10 of a standard deviation
    atol = 1e-9 if scenario == "far from zero" else 1e-12
    actual = conditional.score_samples(X[:, others])
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=atol)


@pytest.mark.parametrize("scenario", list(SCENARIOS))
@pytest.mark.parametrize("given, others", SPLITS)
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_conditional_parameters_are_those_of_the_textbook(covariance_type, given, others, scenario):
    parameters = mixture(covariance_type, K, D, scenario=scenario)
    X = draw(parameters, 200)[:, given]
    conditional = model_of(parameters).condition(given, X)
    weights, means, covariances = by_inverses(parameters, given, others, X)
    scale = SCENARIOS[scenario][2]
    rounding = 1e-15 * np.abs(parameters.means).max() / scale
    np.testing.assert_allclose(conditional.weights, weights, atol=1e-12 + 10 * rounding)
    error = (conditional.means - means) / scale
    np.testing.assert_allclose(error, 0.0, atol=1e-12 + 10 * rounding)
    assert conditional.covariance_type == covariance_type
    np.testing.assert_allclose(dense_of(conditional) / scale**2, covariances / scale**2, atol=1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_threads", [1, 2, 7])
def test_rows_do_not_depend_on_threads_or_memory(dtype, n_threads):
    parameters = mixture("full", 4, D)
    X = draw(parameters, 5000, dtype)[:, [1, 3]]
    expected = model_of(parameters, n_jobs=1).condition([1, 3], X)
    model = model_of(parameters, n_jobs=n_threads)
    for _, values in memory_orders(X):
        actual = model.condition([1, 3], values)
        np.testing.assert_array_equal(actual.weights, expected.weights)
        np.testing.assert_allclose(actual.means, expected.means, rtol=1e-14, atol=1e-14)
    again = model.condition([1, 3], X)
    assert again.means.tobytes() == expected.means.tobytes()


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_float32_values_are_read_as_what_they_are(covariance_type):
    parameters = mixture(covariance_type, K, D)
    X = draw(parameters, 300, "float32")[:, [0, 2]]
    model = model_of(parameters)
    actual, expected = (model.condition([0, 2], values) for values in (X, X.astype(np.float64)))
    np.testing.assert_allclose(actual.weights, expected.weights, atol=1e-12)
    np.testing.assert_allclose(actual.means, expected.means, rtol=1e-14, atol=1e-14)
    assert actual.means.dtype == actual.weights.dtype == np.float64


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_every_backend_agrees_with_scipy(variant, covariance_type):
    skip_without(variant)
    parameters = mixture(covariance_type, K, D)
    X = draw(parameters, 300)
    with using(variant):
        conditional = model_of(parameters).condition([0, 4], X[:, [0, 4]])
        actual = conditional.score_samples(X[:, [1, 2, 3]])
    expected = logsumexp(log_joint(parameters, list(range(D)), X), axis=1)
    expected -= logsumexp(log_joint(parameters, [0, 4], X[:, [0, 4]]), axis=1)
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_mean_std_and_covariance_are_those_of_the_mixture_of_each_row(covariance_type):
    parameters = mixture(covariance_type, K, D)
    conditional = model_of(parameters).condition([1, 3], draw(parameters, 50)[:, [1, 3]])
    covariances = dense_of(conditional)
    mean, std, covariance = conditional.mean(), conditional.std(), conditional.covariance()
    for i, (weights, means) in enumerate(zip(conditional.weights, conditional.means, strict=True)):
        second = sum(
            w * (S + np.outer(m, m)) for w, m, S in zip(weights, means, covariances, strict=True)
        )
        expected = second - np.outer(weights @ means, weights @ means)
        np.testing.assert_allclose(mean[i], weights @ means, rtol=1e-12)
        np.testing.assert_allclose(covariance[i], expected, rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(std[i] ** 2, np.diagonal(expected), rtol=1e-11)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_draws_have_the_distribution_of_their_row(covariance_type):
    n = 20_000
    parameters = mixture(covariance_type, K, 3)
    conditional = model_of(parameters).condition([2], draw(parameters, 2)[:, [2]])
    draws = conditional.sample(n, random_state=0)
    assert draws.shape == (2, n, 2)
    deviations = np.sqrt(np.diagonal(dense_of(conditional), axis1=1, axis2=2))
    for i, j in np.ndindex(2, 2):

        def cdf(y, i=i, j=j):
            normal = scipy.stats.norm(conditional.means[i, :, j], deviations[:, j])
            return normal.cdf(y[:, np.newaxis]) @ conditional.weights[i]

        assert scipy.stats.kstest(draws[i, :, j], cdf).pvalue > CHANCE
    correlated = np.einsum("nsj,nsk->njk", draws, draws) / n
    mean = conditional.mean()
    second = conditional.covariance() + mean[:, :, np.newaxis] * mean[:, np.newaxis]
    squares = np.einsum("nsj,nsk->njk", draws**2, draws**2) / n - second**2
    assert (np.abs(correlated - second) < 4.5 * np.sqrt(squares / n)).all()


def test_draws_follow_from_the_seed():
    parameters = mixture("full", K, 3)
    conditional = model_of(parameters).condition([0], draw(parameters, 10)[:, [0]])
    first = conditional.sample(4, 3)
    np.testing.assert_array_equal(first, conditional.sample(4, np.random.RandomState(3)))
    assert not np.isin(first, conditional.sample(4, 4)).any()
    assert conditional.sample().shape == (10, 1, 2)
    assert conditional.sample(0).shape == (10, 0, 2)
    with pytest.raises(ValueError, match="a number of draws, 0 or more, but got -1"):
        conditional.sample(-1)


def test_components_without_weight_are_never_drawn():
    model = GaussianMixture.from_parameters(
        [0.0, 1.0, 0.0], [[0.0, -90.0], [0.0, 5.0], [0.0, 90.0]], [1.0, 1.0, 1.0]
    )
    conditional = model.condition([0], np.zeros((1000, 1)))
    assert (np.abs(conditional.sample(20, 0) - 5.0) < 7.0).all()
    np.testing.assert_array_equal(conditional.weights, np.tile([0.0, 1.0, 0.0], (1000, 1)))
    assert np.isfinite(conditional.score_samples(np.full((1000, 1), 5.0))).all()


def test_the_mixture_of_one_row_is_an_estimator():
    parameters = mixture("tied", K, 4)
    X = draw(parameters, 20)
    conditional = model_of(parameters).condition([0, 1], X[:, :2])
    for i in (0, 19):
        alone = GaussianMixture.from_parameters(
            conditional.weights[i],
            conditional.means[i],
            conditional.covariances,
            covariance_type=conditional.covariance_type,
        )
        expected = conditional.score_samples(np.tile(X[i, 2:], (20, 1)))[i]
        np.testing.assert_allclose(alone.score_samples(X[[i], 2:]), expected, rtol=1e-12)


@pytest.mark.parametrize("n", [1, 63, 64, 65, 127, 128, 129])
def test_every_row_about_the_edges_of_blocks(n, monkeypatch):
    monkeypatch.setattr("fastgmm.model.conditional._ELEMENTS", 1)
    parameters = mixture("full", K, D)
    X = draw(parameters, n)[:, [1, 3]]
    conditional = model_of(parameters, n_jobs=2).condition([1, 3], X)
    _, means, _ = by_inverses(parameters, [1, 3], [0, 2, 4], X)
    np.testing.assert_allclose(conditional.means, means, atol=1e-12)


def test_independent_features_change_no_mean():
    parameters = mixture("diag", K, D)
    conditional = model_of(parameters).condition([0, 1], draw(parameters, 9)[:, :2])
    np.testing.assert_array_equal(conditional.means, np.tile(parameters.means[:, 2:], (9, 1, 1)))
    np.testing.assert_array_equal(conditional.covariances, parameters.covariances[:, 2:])


def test_units_change_no_digit():
    """Each feature in units of its own, powers of 2: the same bits, scaled."""
    parameters = mixture("full", K, 4)
    units = 2.0 ** np.array([30, -20, 5, -35])
    scaled = MixtureParameters.from_covariances(
        "full",
        parameters.weights,
        parameters.means * units,
        parameters.covariances * units[:, None] * units,
    )
    X = draw(parameters, 100)
    near = model_of(parameters).condition([1, 0], X[:, [1, 0]])
    far = model_of(scaled).condition([1, 0], (X * units)[:, [1, 0]])
    np.testing.assert_allclose(far.means / units[2:], near.means, rtol=1e-13)
    np.testing.assert_allclose(
        far.covariances / (units[2:, None] * units[2:]), near.covariances, rtol=1e-13
    )


@pytest.mark.parametrize(
    "features, expected",
    [
        (1, [1]),
        (-1, [3]),
        (np.int64(2), [2]),
        ((0, 2), [0, 2]),
        ([3, 1], [3, 1]),
        (slice(1, 3), [1, 2]),
        ([False, True, True, False], [1, 2]),
        ("waiting", [1]),
        (["c", "eruptions"], [2, 0]),
        (pd.Index(["d"]), [3]),
    ],
)
def test_features_by_number_name_slice_and_mask(features, expected):
    frame = pd.DataFrame(IRIS, columns=["eruptions", "waiting", "c", "d"])
    model = GaussianMixture(2, random_state=0).fit(frame)
    part = model.marginal(features)
    np.testing.assert_array_equal(part.means_, model.means_[:, expected])
    assert part.feature_names_in_.tolist() == frame.columns[expected].tolist()
    conditional = model.condition(features, frame.iloc[:, expected])
    np.testing.assert_array_equal(conditional.features, np.delete(np.arange(4), expected))


@pytest.mark.parametrize(
    "features, message",
    [
        (4, "features should be numbers below 4, names, a slice or a mask of 4 bools, but got 4."),
        (0.5, "features should be numbers below 4, names, a slice or a mask of 4 bools, but got"),
        ([True, False], "features should be numbers below 4, names, a slice or a mask of 4 bools"),
        ([], "features should be a list of one feature or more, each once, but got []."),
        ([1, 1], "features should be a list of one feature or more, each once, but got [1, 1]."),
        ([3, -1], "features should be a list of one feature or more, each once, but got [3, -1]."),
        ([[1, 2]], "features should be a list of one feature or more, each once, but got [[1, 2]]"),
        ("age", "features should be numbers, of samples without names, but got 'age'."),
        ([0, "age"], "features should be numbers, of samples without names, but got '0'."),
    ],
)
def test_features_that_are_refused(features, message):
    model = model_of(mixture("full", K, 4))
    with pytest.raises(ValueError, match=re.escape(message)):
        model.marginal(features)
    with pytest.raises(ValueError, match=re.escape(message)):
        model.condition(features, np.zeros((2, 1)))


def test_names_that_are_unknown():
    frame = pd.DataFrame(FAITHFUL, columns=["eruptions", "waiting"])
    model = GaussianMixture(2, random_state=0).fit(frame)
    message = "features should be among ['eruptions', 'waiting'], but got 'duration'."
    with pytest.raises(ValueError, match=re.escape(message)):
        model.marginal(["waiting", "duration"])


def test_values_that_are_refused():
    model = model_of(mixture("full", K, 4))
    message = "features should leave at least one of 4 features, but got [0, 1, 2, 3]."
    with pytest.raises(ValueError, match=re.escape(message)):
        model.condition([0, 1, 2, 3], np.zeros((2, 4)))
    with pytest.raises(ValueError, match="X has 3 features, but GaussianMixture is expecting 2"):
        model.condition([0, 1], np.zeros((2, 3)))
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
        model.condition([0, 1], np.zeros(2))
    with pytest.raises(ValueError, match="Input X contains NaN, first in row 1, feature 0"):
        model.condition([0, 1], [[0.0, 1.0], [np.nan, 1.0]])
    conditional = model.condition([0, 1], np.zeros((5, 2)))
    with pytest.raises(ValueError, match=re.escape("have the shape of (5, 2), but got (4, 2)")):
        conditional.score_samples(np.zeros((4, 2)))
    with pytest.raises(ValueError, match="X has 3 features, but 2 are expected"):
        conditional.score_samples(np.zeros((5, 3)))


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_rules_for_floating_point_errors_change_nothing(covariance_type):
    """Weights and densities of separated components underflow."""
    parameters = mixture(covariance_type, K, 4, scenario="separated")
    model, X = model_of(parameters, n_jobs=1), draw(parameters, 300)

    def answers():
        given = model.condition([0, 1], X[:, :2])
        merged = model.merge_components(X)
        yield from (given.weights, given.means, given.mean(), given.std(), given.covariance())
        yield from (given.score_samples(X[:, 2:]), given.sample(2, 0))
        yield from (merged.entropies, merged.predict_proba(X, 2), model.marginal(1).means_)
        yield model.outlier_score(X, n_draws=500, random_state=0)

    expected = list(answers())
    with np.errstate(all="raise"):
        for actual, value in zip(answers(), expected, strict=True):
            np.testing.assert_array_equal(actual, value)


def test_parameters_set_by_hand_are_followed():
    parameters = mixture("full", K, 4)
    model = GaussianMixture(K)
    model.weights_, model.means_ = parameters.weights, parameters.means
    model.covariances_ = parameters.covariances
    X = draw(parameters, 10)[:, [0]]
    expected = model_of(parameters).condition(0, X)
    np.testing.assert_array_equal(model.condition(0, X).means, expected.means)
    np.testing.assert_array_equal(model.marginal(3).means_, parameters.means[:, 3:])


def test_the_expected_mixture_of_a_variational_posterior_can_be_asked():
    posterior = BayesianGaussianMixture(n_components=2, random_state=0).fit(FAITHFUL)
    model = GaussianMixture.from_parameters(
        posterior.weights_, posterior.means_, posterior.covariances_
    )
    waiting = model.condition(0, [[2.0], [4.5]]).mean()
    assert waiting[0, 0] == pytest.approx(54.5, abs=1.5)
    assert waiting[1, 0] == pytest.approx(80.5, abs=1.5)


def test_outlier_score_of_one_gaussian_is_a_chi_square_probability():
    model = model_of(mixture("full", 1, 4), random_state=0)
    X, _ = model.sample(2000, random_state=1)
    score = model.outlier_score(X, n_draws=50_000)
    expected = scipy.stats.chi2(4).cdf(model.mahalanobis(X)[:, 0])
    # the largest deviation of an empirical distribution: Kolmogorov's
    assert scipy.stats.kstwobign.sf(np.abs(score - expected).max() * np.sqrt(50_000)) > CHANCE
    quantiles = model.density_quantile([0.01, 0.5], n_draws=50_000)
    shares = scipy.stats.chi2(4).sf(2 * (model.score_samples(model.means_)[0] - quantiles))
    deviation = np.sqrt(np.array([0.01 * 0.99, 0.25]) / 50_000)
    assert (np.abs(shares - [0.01, 0.5]) < 4.5 * deviation).all()


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_outlier_scores_of_draws_are_uniform(covariance_type):
    model = model_of(mixture(covariance_type, K, 3), random_state=0)
    X, _ = model.sample(5000, random_state=1)
    score = model.outlier_score(X)
    assert scipy.stats.kstest(score, "uniform").pvalue > CHANCE
    # the score falls where the density rises
    order = np.argsort(model.score_samples(X))
    assert (np.diff(score[order]) <= 0).all()


def test_outlier_score_of_extreme_samples():
    model = model_of(mixture("full", 1, 2), random_state=0)
    score = model.outlier_score(np.concatenate([model.means_, model.means_ + 1e6]), n_draws=999)
    np.testing.assert_allclose(score, [0.0, 0.999], rtol=0, atol=1e-15)


def test_outlier_score_and_quantile_follow_the_seed():
    model = model_of(mixture("full", K, 2), random_state=0)
    X, _ = model.sample(100)
    score, quantile = model.outlier_score(X), model.density_quantile(0.1)
    np.testing.assert_array_equal(model.outlier_score(X), score)
    np.testing.assert_array_equal(model.outlier_score(X, random_state=0), score)
    assert (model.outlier_score(X, random_state=1) != score).any()
    assert np.ndim(quantile) == 0
    assert model.density_quantile(0.1, random_state=0) == quantile
    assert model.density_quantile(0.1, random_state=1) != quantile
    threshold = model.density_quantile(0.1)
    inside = model.score_samples(X) > threshold
    np.testing.assert_array_equal(inside, score < 0.9)


def test_outlier_score_refuses():
    model = model_of(mixture("full", K, 2))
    with pytest.raises(ValueError, match="Invalid value for 'n_draws': expected at least 1, got 0"):
        model.outlier_score(np.zeros((1, 2)), n_draws=0)
    with pytest.raises(TypeError, match="Invalid value for 'n_draws': expected an integer"):
        model.density_quantile(0.5, n_draws=10.0)
    for q in (-0.1, 1.1, np.nan, [0.5, 2.0]):
        with pytest.raises(ValueError, match=re.escape(f"between 0 and 1, but got {q!r}")):
            model.density_quantile(q)
