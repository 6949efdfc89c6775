"""``BayesianGaussianMixture.prune`` and ``to_gaussian_mixture``."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError

from fastgmm import BayesianGaussianMixture, GaussianMixture, load, save

X = load_iris().data
TYPES = ("full", "tied", "diag", "spherical", "tied-spherical")
PRIORS = ("dirichlet_process", "dirichlet_distribution")


def fit(covariance_type="full", prior="dirichlet_process", **options):
    model = BayesianGaussianMixture(
        n_components=8,
        covariance_type=covariance_type,
        weight_concentration_prior_type=prior,
        weight_concentration_prior=1e-3,
        max_iter=1000,
        random_state=0,
        **options,
    )
    return model.fit(X)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("prior", PRIORS)
def test_what_is_kept(covariance_type, prior, tmp_path):
    model = fit(covariance_type, prior)
    kept = model.weights_ >= 0.01
    pruned = model.prune()
    assert pruned.n_components == kept.sum() < 8
    assert model.n_components == 8
    np.testing.assert_array_equal(pruned.means_, model.means_[kept])
    np.testing.assert_array_equal(pruned.mean_precision_, model.mean_precision_[kept])
    for name in ("covariances_", "precisions_", "precisions_cholesky_", "degrees_of_freedom_"):
        value, expected = getattr(pruned, name), getattr(model, name)
        shared = "tied" in covariance_type
        np.testing.assert_array_equal(value, expected if shared else expected[kept])
    assert pruned.weights_.sum() == pytest.approx(1.0, abs=1e-15)
    # an empty component of a process takes about one sample's weight from each that follows
    np.testing.assert_allclose(
        pruned.weights_, model.weights_[kept] / model.weights_[kept].sum(), rtol=0.02
    )
    assert (pruned.predict(X) == np.cumsum(kept)[model.predict(X)] - 1).mean() > 0.98
    assert pruned.history_ == model.history_
    save(pruned, tmp_path / "model.npz")  # which checks that all belongs together
    loaded = load(tmp_path / "model.npz")
    np.testing.assert_array_equal(loaded.score_samples(X), pruned.score_samples(X))


def test_weights_of_a_process():
    """v_k ~ Beta(1 + n_k, gamma + the samples of the later components that are kept)."""
    model = fit()
    kept = np.flatnonzero(model.weights_ >= 0.01)
    nk = model.weight_concentration_[0][kept] - 1.0
    taken, left = model.prune().weight_concentration_
    np.testing.assert_allclose(taken, 1.0 + nk, rtol=1e-15)
    expected = 1e-3 + np.array([nk[k + 1 :].sum() for k in range(len(nk))])
    np.testing.assert_allclose(left, expected, rtol=1e-14)


def test_weights_of_a_distribution():
    model = fit(prior="dirichlet_distribution")
    kept = model.weights_ >= 0.01
    pruned = model.prune()
    np.testing.assert_array_equal(pruned.weight_concentration_, model.weight_concentration_[kept])
    expected = model.weights_[kept] / model.weights_[kept].sum()
    np.testing.assert_allclose(pruned.weights_, expected, rtol=1e-14)


def test_nothing_to_prune():
    model = fit()
    copy = model.prune(0.0)
    assert copy is not model
    np.testing.assert_array_equal(copy.predict_proba(X), model.predict_proba(X))
    copy.means_[:] = 0.0
    assert model.means_.any()


def test_a_warm_start_goes_on():
    pruned = fit(warm_start=True).prune(0.2)
    again = pruned.fit(X)
    assert again.means_.shape == (pruned.n_components, 4)
    assert again.converged_


def test_collapsed_components_are_renumbered():
    model = fit()
    last = int(np.flatnonzero(model.weights_ >= 0.01)[-1])
    gone = int(np.flatnonzero(model.weights_ < 0.01)[0])
    model.collapsed_ = {gone: 1, last: 2}
    pruned = model.prune()
    assert pruned.collapsed_ == {pruned.n_components - 1: 2}


@pytest.mark.parametrize("covariance_type", TYPES)
def test_plain_mixture(covariance_type):
    model = fit(covariance_type).prune()
    mixture = model.to_gaussian_mixture()
    assert type(mixture) is GaussianMixture
    assert mixture.covariance_type == covariance_type
    for name in ("weights_", "means_", "covariances_"):
        np.testing.assert_array_equal(getattr(mixture, name), getattr(model, name))
    assert (mixture.predict(X) == model.predict(X)).mean() > 0.98
    assert mixture.bic(X) > 0


@pytest.mark.parametrize(
    "threshold, error, message",
    [
        (1.0, ValueError, r"should be at most the largest expected weight, 0\.\d+, got 1\.0"),
        (-0.1, ValueError, "from 0 to 1, got -0.1"),
        (np.nan, ValueError, "from 0 to 1, got nan"),
        ("0.1", TypeError, "a number, got '0.1'"),
    ],
)
def test_wrong_thresholds(threshold, error, message):
    with pytest.raises(error, match=message):
        fit().prune(threshold)


def test_before_a_fit():
    for method in ("prune", "to_gaussian_mixture"):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            getattr(BayesianGaussianMixture(), method)()
