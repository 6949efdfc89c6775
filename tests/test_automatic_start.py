"""The default start: it sees clusters whatever the units, and is never below scikit-learn's."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import sklearn.mixture
from generators import COVARIANCE_TYPES, KERNEL_KINDS
from marks import slow_once
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.metrics import adjusted_rand_score

from fastgmm import BayesianGaussianMixture, GaussianMixture, em
from fastgmm.em.posteriors.exact import ExactPosterior
from fastgmm.init.scalings import Sorted

pytestmark = pytest.mark.one_backend

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)


def customers(n_samples, seed=0):
    """Return age, income, ratio and visits of customers, and the groups that they belong to."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 5, n_samples)
    age = np.array([22.0, 35.0, 35.0, 50.0, 65.0])[group] + rng.normal(0, 3, n_samples)
    income = np.exp(rng.normal(10.5, 0.5, n_samples))
    ratio = np.array([0.1, 0.3, 0.6, 0.3, 0.8])[group] + rng.normal(0, 0.04, n_samples)
    visits = np.array([2.0, 10.0, 4.0, 20.0, 30.0])[group] + rng.normal(0, 1.5, n_samples)
    return np.c_[age, income, ratio, visits], group


def hidden_clusters(n_clusters, n_samples=3000, seed=0):
    """Return clusters along one feature beside two that separate nothing, of other units."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, n_clusters, n_samples)
    noise = rng.normal(0, [500.0, 0.01], (n_samples, 2))
    return np.c_[rng.normal(7.0 * group, 1.0), noise], group


def faithful():
    """Return Old Faithful: eruptions and waiting times, in minutes."""
    path = Path(__file__).parent / "data" / "faithful.csv"
    return np.loadtxt(path, delimiter=",", skiprows=1)


def mixture(n_components, **options):
    """Return a mixture that does not depend on units."""
    return GaussianMixture(n_components, **{"reg_covar": "auto", "random_state": 0, **options})


def agreement(model, X, group):
    return adjusted_rand_score(group, model.predict(X))


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
@pytest.mark.parametrize("n_clusters", [2, 3, 4])
def test_a_feature_in_large_units_hides_no_clusters(n_clusters, covariance_type):
    X, group = hidden_clusters(n_clusters)
    model = mixture(n_clusters, covariance_type=covariance_type).fit(X)
    assert agreement(model, X, group) > 0.99


@pytest.mark.parametrize("n_samples", [3000, 70_000])
@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_large_units_hide_no_clusters_from_variational_bayes(covariance_type, n_samples):
    X, group = hidden_clusters(3, n_samples)
    options = {"covariance_type": covariance_type, "reg_covar": "auto", "random_state": 0}
    model = BayesianGaussianMixture(n_components=3, **options).fit(X)
    assert agreement(model, X, group) > 0.99
    plain = BayesianGaussianMixture(n_components=3, init_params="kmeans", max_iter=0, **options)
    assert agreement(plain.fit(X), X, group) < 0.5


def test_a_direction_of_large_variance_hides_no_clusters():
    rng = np.random.default_rng(0)
    group = rng.integers(0, 2, 3000)
    wide, narrow = rng.normal(0, 500, 3000), rng.normal(7.0 * group, 1)
    X = np.c_[wide + narrow, wide - narrow]
    assert agreement(mixture(2).fit(X), X, group) > 0.99


def test_weights_and_float32_change_nothing_in_that():
    X, group = hidden_clusters(3)
    X[::3] = 1e9  # absent
    weight = np.where(np.arange(len(X)) % 3 == 0, 0.0, 2.0)
    model = mixture(3).fit(X.astype(np.float32), sample_weight=weight)
    assert agreement(model, X[weight > 0], group[weight > 0]) > 0.99


def test_groups_of_customers():
    X, group = customers(20_000)
    assert agreement(mixture(5).fit(X), X, group) > 0.99


@pytest.mark.slow
def test_groups_of_200_000_customers():
    X, group = customers(200_000)
    for seed in range(3):
        assert agreement(mixture(5, random_state=seed).fit(X), X, group) > 0.99


TABLES = {
    "Old Faithful": (faithful, 2),
    "iris": (lambda: load_iris().data, 3),
    "wine": (lambda: load_wine().data, 3),
    "hidden clusters": (lambda: hidden_clusters(3)[0], 3),
    "customers": (lambda: customers(3000)[0], 5),
}


@pytest.mark.parametrize("factor", [1e-9, 1e9, *slow_once(1e-3, 1e3)])
@pytest.mark.parametrize("load, K", TABLES.values(), ids=TABLES)
def test_units_change_no_label(load, K, factor):
    """As the command line fits by default."""
    X = load()
    model = mixture(K, stop_rule="remaining-gain")
    expected = model.fit_predict(X)
    for j in range(X.shape[1]):
        scaled = X.copy()
        scaled[:, j] *= factor
        np.testing.assert_array_equal(model.fit_predict(scaled), expected)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("covariance_type", KERNEL_KINDS)  # which scikit-learn has
@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
def test_never_below_scikit_learn(load, covariance_type):
    X = load().data
    for K in (2, 5):
        options = {"n_components": K, "covariance_type": covariance_type, "random_state": 0}
        expected = sklearn.mixture.GaussianMixture(**options).fit(X)
        assert GaussianMixture(**options).fit(X).score(X) > expected.score(X) - 1e-3


@each_type
def test_one_component_is_that_of_the_sample(covariance_type):
    X, _ = hidden_clusters(3)
    start = em.starting_parameters(X, 1, covariance_type=covariance_type)
    np.testing.assert_allclose(start.means[0], X.mean(axis=0), rtol=1e-12)


@each_type
def test_threads_change_no_bit(covariance_type):
    X, _ = customers(9000)
    starts = [
        em.starting_parameters(X, 5, covariance_type=covariance_type, random_state=3, n_jobs=n)
        for n in (1, 2)
    ]
    assert starts[0].means.tobytes() == starts[1].means.tobytes()
    assert starts[0].covariances.tobytes() == starts[1].covariances.tobytes()


@each_type
def test_components_are_in_the_order_of_the_feature_that_separates_them(covariance_type):
    X, _ = hidden_clusters(4)
    Z = X / [1.0, 500.0, 0.01]  # deviations of 1 within clusters, also for spherical ones
    for seed in range(5):
        start = em.starting_parameters(Z, 4, covariance_type=covariance_type, random_state=seed)
        assert (np.diff(start.means[:, 0]) > 0).all()


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((5, 2)),
        np.c_[np.zeros(50), np.arange(50.0)],
        np.arange(6.0)[:, np.newaxis],
        np.repeat([[0.0, 1.0], [1.0, 0.0]], 9, axis=0),
        np.random.RandomState(0).standard_normal((5, 20)),
    ],
    ids=["all alike", "a constant feature", "six rows", "two distinct rows", "more features"],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@each_type
def test_little_to_see(X, covariance_type):
    for K in (2, 5):
        start = em.starting_parameters(X, K, covariance_type=covariance_type, random_state=0)
        assert start.means.shape == (K, X.shape[1])
        assert np.isfinite(start.means).all()
        assert np.isfinite(start.covariances).all()
        assert start.weights.sum() == pytest.approx(1.0)


def test_given_means_are_kept_and_the_clusters_about_them_are_not_those_of_the_largest_units():
    X, group = hidden_clusters(2)
    means = np.array([[0.0, 0.0, 0.0], [7.0, 0.0, 0.0]])
    # in raw units the noise of the second feature decides
    means[:, 1] = [-20.0, 20.0]
    model = mixture(2, means_init=means, max_iter=0).fit(X)
    np.testing.assert_array_equal(model.means_, means)
    plain = mixture(2, means_init=means, init_params="k-means++", max_iter=0).fit(X)
    assert model.score(X) > plain.score(X)
    assert agreement(model, X, group) > 0.99


def test_the_cost_is_a_few_passes_over_large_data(monkeypatch):
    X, _ = customers(400_000)
    rows_read = []
    summarize = ExactPosterior.summarize

    def counted(self, samples, parameters):
        rows_read.append(samples.n_samples)
        return summarize(self, samples, parameters)

    monkeypatch.setattr(ExactPosterior, "summarize", counted)
    model = mixture(5).fit(X)
    in_start = sum(rows_read) - model.n_iter_ * len(X)
    # both converge on 65,536 rows; with scikit-learn's start EM takes 19 iterations on all rows
    assert in_start < 13 * len(X)
    assert model.n_iter_ < 5


@pytest.mark.parametrize("n_clusters", [1, 2, 5, 8])
@pytest.mark.parametrize("weighted", [False, True])
def test_variance_within_clusters_of_one_feature(n_clusters, weighted):
    rng = np.random.default_rng(n_clusters)
    values = rng.normal(rng.integers(0, 3, 500), 0.3)
    weight = rng.integers(0, 4, 500) if weighted else np.ones(500, int)
    rows = np.repeat(values, weight)
    middles = (np.arange(n_clusters) + 0.5) / n_clusters
    start = np.quantile(rows, middles, method="inverted_cdf")[:, np.newaxis]
    expected = KMeans(n_clusters, init=start, n_init=1, tol=0.0).fit(rows[:, np.newaxis])
    actual = Sorted.of(values, weight.astype(float)).variance_within(n_clusters)
    np.testing.assert_allclose(actual, expected.inertia_ / len(rows), rtol=1e-12)


def test_variance_within_clusters_of_few_values():
    """With a value for each cluster, nothing is left; the others are not empty clusters."""
    values = np.repeat([0.0, 1.0, 5.0], [10, 1, 40])
    for n_clusters in (4, 8):
        assert Sorted.of(values, np.ones(51)).variance_within(n_clusters) < 0.03


@pytest.mark.parametrize(
    "weights",
    [
        [3.7e166, 4.2e-142],  # scaled samples would overflow: 1e154 deviations
        [1e300, 1e-308],
        [1.0, 2e-309],  # whose inverse is infinite
        [1e295, 1e295, 1e-300],
    ],
)
@pytest.mark.parametrize("estimator", [GaussianMixture, BayesianGaussianMixture])
def test_weights_of_a_few_samples_that_differ_by_all_that_numbers_can(estimator, weights):
    X = np.random.default_rng(0).normal(size=(30, 2))
    sample_weight = np.zeros(30)
    sample_weight[5 : 5 + len(weights)] = weights
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # but none of arithmetic
        model = estimator(n_components=2, random_state=0).fit(X, sample_weight=sample_weight)
    assert np.isfinite(model.means_).all()
    assert np.isfinite(model.score(X, sample_weight=sample_weight))
