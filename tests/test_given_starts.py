"""Starts that users hand in: labels, responsibilities, functions."""

import numpy as np
import pytest
from generators import COVARIANCE_TYPES, hard_labels
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris

from fastgmm import BayesianGaussianMixture, GaussianMixture, em
from fastgmm.persistence import load, save

X, LABELS = load_iris(return_X_y=True)
K, (N, D) = 3, X.shape
RESP = np.random.default_rng(0).dirichlet(np.ones(K), N)


def started(init_params, covariance_type="full", **options):
    """Return an estimator that holds its start."""
    model = GaussianMixture(
        K, covariance_type=covariance_type, init_params=init_params, max_iter=0, reg_covar=0.0,
        **options,
    )  # fmt: skip
    return model.fit(X)


def soft(resp, weight=None):
    """Return weights, means and full covariances of responsibilities."""
    r = resp if weight is None else weight[:, None] * resp
    nk = r.sum(axis=0)
    means = r.T @ X / nk[:, None]
    z = X[:, None] - means
    return nk / nk.sum(), means, np.einsum("nk,nkd,nke->kde", r, z, z) / nk[:, None, None]


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_labels_start_with_their_m_step(covariance_type):
    expected = hard_labels(X, LABELS, covariance_type)
    model = started(LABELS, covariance_type)
    np.testing.assert_allclose(model.weights_, expected.weights, rtol=1e-13)
    np.testing.assert_allclose(model.means_, expected.means, rtol=1e-13)
    np.testing.assert_allclose(model.covariances_, expected.covariances, rtol=1e-10)


@pytest.mark.parametrize("kind", [list, np.float32, np.asfortranarray])
def test_responsibilities_start_with_their_m_step(kind):
    table = RESP.tolist() if kind is list else kind(RESP)
    weights, means, covariances = soft(np.asarray(table, float))
    model = started(table)
    np.testing.assert_allclose(model.weights_, weights, rtol=1e-6)
    np.testing.assert_allclose(model.means_, means, rtol=1e-6)
    np.testing.assert_allclose(model.covariances_, covariances, rtol=1e-5)


def test_iris_from_its_species_ends_where_it_is_published():
    """Log-likelihoods of mclust's models VVV, EEE, VVI and VII."""
    published = {
        "full": -180.1854771,
        "tied": -256.3540431,
        "diag": -306.8604605,
        "spherical": -384.3140951,
    }
    for name, expected in published.items():
        model = GaussianMixture(
            K, covariance_type=name, init_params=LABELS, reg_covar=0.0, tol=1e-12, max_iter=5000
        ).fit(X)
        assert model.score(X) * N == pytest.approx(expected, abs=1e-5)


def test_a_function_sees_the_samples_and_the_random_state():
    seen = []

    def start(data, n_components, random_state):
        seen.append((data.shape, data.flags.writeable, n_components))
        return KMeans(n_components, n_init=1, random_state=random_state).fit_predict(data)

    model = GaussianMixture(K, init_params=start, random_state=0, n_init=2).fit(X)
    assert seen == [((N, D), False, K)] * 2
    assert len(model.restarts_) == 2
    again = GaussianMixture(K, init_params=start, random_state=0, n_init=2).fit(X)
    assert again.means_.tobytes() == model.means_.tobytes()


def test_a_function_may_return_responsibilities_or_parameters():
    truth = hard_labels(X, LABELS, "full")
    from_labels = started(LABELS)
    from_table = started(lambda data, K, seed: np.eye(K)[LABELS])
    from_parameters = started(lambda data, K, seed: truth)
    np.testing.assert_array_equal(from_table.covariances_, from_labels.covariances_)
    np.testing.assert_array_equal(from_parameters.covariances_, truth.covariances)


def test_given_parameters_take_the_place_of_those_of_a_start():
    means = X[[0, 60, 120]]
    for start in (LABELS, lambda data, K, seed: hard_labels(X, LABELS, "full")):
        model = started(start, means_init=means)
        np.testing.assert_array_equal(model.means_, means)
        np.testing.assert_allclose(model.weights_, 1 / 3)


def test_weights_and_absent_rows():
    weight = np.random.default_rng(1).uniform(0.5, 2.0, N)
    table = np.vstack([X, np.full(D, np.nan)])
    model = GaussianMixture(K, init_params=np.append(LABELS, 0), max_iter=0, reg_covar=0.0)
    model.fit(table, sample_weight=np.append(weight, 0.0))
    expected = hard_labels(X, LABELS, "full", weight)
    np.testing.assert_allclose(model.weights_, expected.weights, rtol=1e-13)
    np.testing.assert_allclose(model.covariances_, expected.covariances, rtol=1e-10)


def test_variances_survive_far_from_the_origin():
    far = 1e8 + X
    model = GaussianMixture(K, init_params=LABELS, max_iter=0, reg_covar=0.0).fit(far)
    expected = hard_labels(far - 1e8, LABELS, "full").covariances
    np.testing.assert_allclose(model.covariances_, expected, rtol=1e-6)


STARTS = [
    LABELS,
    RESP,
    lambda data, K, seed: LABELS,
    lambda data, K, seed: hard_labels(X, LABELS, "full"),
]


@pytest.mark.parametrize("start", STARTS)
def test_variational_bayes_starts_there_too(start):
    model = BayesianGaussianMixture(n_components=K, init_params=start, max_iter=500).fit(X)
    assert model.n_iter_ > 1
    assert np.diff(model.lower_bounds_).min() > -1e-6


def test_a_start_for_em_fit():
    start = em.starting_parameters(X, K, init_params=LABELS, reg_covar=0.0)
    np.testing.assert_array_equal(start.covariances, started(LABELS).covariances_)


def test_an_array_is_one_start_and_can_be_cloned_and_is_not_saved(tmp_path):
    model = clone(GaussianMixture(K, init_params=LABELS, n_init=5)).fit(X)
    assert len(model.restarts_) == 1
    save(model, tmp_path / "model")
    assert load(tmp_path / "model").init_params == "auto"


WRONG = [
    (LABELS[:-1], ValueError, "init_params should hold a label for each of 150 samples, "
                              "but got 149."),
    (LABELS + 1, ValueError, "init_params should hold labels from 0 to 2, but got 3 for sample "
                             "100."),
    (-LABELS, ValueError, "init_params should hold labels from 0 to 2, but got -1 for sample 50."),
    (LABELS * 0.5, TypeError, "init_params should hold integers as labels, but got float64."),
    (LABELS // 2, ValueError, "init_params should give each of 3 components a sample of positive "
                              "weight, but component 2 has none."),
    (RESP[:, :2], ValueError, "init_params should have the shape of (150, 3), but got (150, 2)."),
    (np.ones((N, K, 2)), ValueError, "init_params should have the shape of (150,), labels, or "
                                     "(150, 3), responsibilities, but got (150, 3, 2)."),
    (lambda data, K, seed: LABELS[:3], ValueError,
     "The result of init_params should hold a label for each of 150 samples, but got 3."),
    (lambda data, K, seed: hard_labels(X, LABELS, "diag"), ValueError,
     "The result of init_params should be a full mixture with means of shape (3, 4), but got a "
     "diag one with means of shape (3, 4)."),
]  # fmt: skip


@pytest.mark.parametrize("start, kind, message", WRONG)
def test_what_is_no_start_is_named(start, kind, message):
    for fit in (
        lambda: started(start),
        lambda: BayesianGaussianMixture(n_components=K, init_params=start).fit(X),
        lambda: em.starting_parameters(X, K, init_params=start),
    ):
        with pytest.raises(kind) as error:
            fit()
        assert str(error.value) == message


def test_responsibilities_that_do_not_sum_to_one():
    with pytest.raises(ValueError, match="init_params should be non-negative with rows that sum"):
        started(2 * RESP)
