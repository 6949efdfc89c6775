"""Predictions that leave out the components that cannot matter: the bits of those that do not."""

import numpy as np
import pytest

from fastgmm import BayesianGaussianMixture, GaussianMixture
from fastgmm.data.sample_data import load_sample
from fastgmm.model import pruned_prediction

K, N = 2048, 2**14
COVARIANCE_TYPES = ["full", "tied", "diag", "spherical", "tied-spherical"]


def mixture(covariance_type, spread=0.05, d=3, offset=0.0):
    """Return a mixture of many components, in units that differ by feature."""
    rng = np.random.default_rng(3)
    unit = np.logspace(-3, 3, d)
    means = (rng.normal(size=(K, d)) + offset) * unit
    variances = rng.uniform(0.5, 2.0, (K, d)) * spread**2
    covariances = {
        "full": np.array([np.diag(v) + 0.3 * v.min() for v in variances]) * np.outer(unit, unit),
        "tied": np.diag(variances[0] * unit**2),
        "diag": variances * unit**2,
        "spherical": variances[:, 0],
        "tied-spherical": spread**2,
    }[covariance_type]
    weights = rng.uniform(0.5, 1.5, K)
    weights[5] = 0.0
    return GaussianMixture.from_parameters(
        weights / weights.sum(), means, covariances, covariance_type=covariance_type
    )


def in_parts(function, X):
    """Return predictions for parts so short that each sample is compared with every component."""
    return np.concatenate([function(part) for part in np.array_split(X, len(X) // 8000 + 1)])


def assert_same(model, X):
    np.testing.assert_array_equal(model.score_samples(X), in_parts(model.score_samples, X))
    np.testing.assert_array_equal(model.predict(X), in_parts(model.predict, X))


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("spread", [0.001, 0.05, 1.0])
def test_they_are_the_bits_of_all_components(covariance_type, spread):
    """Components apart, components that overlap with some, and with all others."""
    model = mixture(covariance_type, spread)
    assert_same(model, model.sample(N)[0])


@pytest.mark.parametrize("d", [1, 2, 16, 17])
@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_any_number_of_features(d, covariance_type):
    model = mixture(covariance_type, 0.02, d)
    assert_same(model, model.sample(N + 257)[0])


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_samples_that_are_far_away(covariance_type):
    """Rounding of large numbers, infinite squares, and blocks whose best component is bad."""
    model = mixture(covariance_type, offset=1e6)
    X, _ = model.sample(N)
    rng = np.random.default_rng(0)
    for factor in (1e3, 1e8, 1e150, 1e300):
        rows = rng.choice(N, 20, replace=False)
        X[rows] = rng.normal(size=(20, 3)) * factor
    X[7], X[8] = model.means_[0], 0.0
    assert_same(model, X)


def test_containers_types_and_threads_change_no_bit():
    model = mixture("diag", 0.02)
    X, _ = model.sample(N)
    expected = model.set_params(n_jobs=1).score_samples(X), model.predict(X)
    model.set_params(n_jobs=2)
    for same in (X, np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2]):
        np.testing.assert_array_equal(model.score_samples(same), expected[0])
        np.testing.assert_array_equal(model.predict(same), expected[1])
    assert_same(model, X.astype(np.float32))
    assert_same(model, np.rint(X).astype(np.int64))


def test_the_score_is_the_mean_of_what_is_pruned():
    model = mixture("full", 0.02)
    X, _ = model.sample(N)
    assert model.score(X) == pytest.approx(in_parts(model.score_samples, X).mean(), rel=1e-14)


def test_missing_values_go_beside():
    model = mixture("diag", 0.02).set_params(missing="marginalize")
    X, _ = model.sample(N + 500)
    X[::400, 1] = np.nan
    assert_same(model, X)


def test_clusters_that_are_far_apart_on_real_data():
    """One component at each of many patches: what is near is found among them all."""
    X = load_sample("patches").astype(np.float64)[:40000]
    rng = np.random.default_rng(0)
    means = X[rng.choice(len(X), K, replace=False)]
    for deviation in (1e-4, 0.1):
        model = GaussianMixture.from_parameters(
            np.full(K, 1 / K), means, np.full(K, deviation**2), covariance_type="spherical"
        )
        assert_same(model, X)


def test_a_variational_posterior():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 2))
    model = BayesianGaussianMixture(
        n_components=K, covariance_type="spherical", max_iter=1, random_state=0
    ).set_params(init_params="random_from_data")
    with pytest.warns(UserWarning, match="did not converge"):
        model.fit(X)
    assert_same(model, X)


def pairs_of(model, X, monkeypatch):
    """Return how many pairs of a block and a component are compared from lists, and otherwise."""
    kernels, listed, others = pruned_prediction.kernels, [], []
    real, all_pairs = kernels.posterior_listed, kernels.posterior

    def count_listed(X, packed, edges, *arguments):
        listed.append(edges[-1] if packed.n_components == K else 0)
        real(X, packed, edges, *arguments)

    def count_others(X, components, *arguments, **outputs):
        others.append(len(X) if len(components.means) == K else 0)
        all_pairs(X, components, *arguments, **outputs)

    with monkeypatch.context() as patch:
        patch.setattr(kernels, "posterior_listed", count_listed)
        patch.setattr(kernels, "posterior", count_others)
        model.predict(X)
    return sum(listed), sum(others)


def test_few_pairs_are_compared_where_components_are_apart(monkeypatch):
    n_blocks = N // 256
    X, _ = mixture("diag", 0.001).sample(N)
    listed, others = pairs_of(mixture("diag", 0.001), X, monkeypatch)
    assert others < 0.05 * N  # samples that lie about no mean
    assert listed < 0.25 * n_blocks * K
    X, _ = mixture("diag", 1.0).sample(N)
    listed, others = pairs_of(mixture("diag", 1.0), X, monkeypatch)
    assert others == N  # none can be left out
    assert listed < 0.5 * n_blocks * K


def spheres(means, variance):
    means = np.asarray(means, np.float64).reshape(len(means), -1)
    weights = np.full(len(means), 1 / len(means))
    return GaussianMixture.from_parameters(
        weights, means, np.full(len(means), variance), covariance_type="spherical"
    )


def test_means_between_which_there_is_nothing():
    """A centre of two clusters of means is the nearest one of none of them."""
    rng = np.random.default_rng(0)
    means = np.r_[rng.normal(-1000, 1, 1034), rng.normal(1000, 1, 1014)]
    assert_same(spheres(means, 1.0), rng.normal(size=(N, 1)))


@pytest.mark.parametrize("distinct", [1, 4, 8])
def test_means_that_are_equal(distinct):
    rng = np.random.default_rng(0)
    model = spheres(rng.integers(distinct, size=(2 * K, 1)) * 10.0, 0.5)
    assert_same(model, model.sample(N)[0])


def test_squares_that_overflow():
    """Deviations of 1e15 and 1e-150 of neighbours, and samples at 1e160."""
    rng = np.random.default_rng(0)
    means = np.linspace(-1.0, 1.0, K)[:, np.newaxis] * 1e-140
    variances = np.where(np.arange(K) % 2, 1e-300, 1e30)
    model = GaussianMixture.from_parameters(
        np.full(K, 1 / K), means, variances, covariance_type="spherical"
    )
    X = means[1 + 2 * rng.integers(K // 2, size=N)]
    X[rng.choice(N, 10, replace=False)] = 1e160
    assert_same(model, X)


def test_units_that_overflow_do_not_warn():
    rng = np.random.default_rng(0)
    model = spheres(rng.normal(size=K) * 1e-6, 1e-16)
    X = model.sample(N)[0]
    X[::1000] = 1e303
    assert_same(model, X)
