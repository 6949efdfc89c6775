"""Predictions that look at a few of thousands of components, beside those that look at all."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from fastgmm import BayesianGaussianMixture, GaussianMixture, sources

K, N = 2048, 8192


@pytest.fixture(autouse=True)
def _few_components_suffice(monkeypatch):
    """Labels and densities are truncated as responsibilities are, and not from 16,384 on."""
    monkeypatch.setattr("fastgmm.em.truncated_prediction._LEAST_FOR_DENSITIES", K)


def mixture(covariance_type, posterior="truncated", n_components=K, d=3):
    """Return a mixture of components that overlap with a few others."""
    rng = np.random.default_rng(7)
    means = rng.normal(size=(n_components, d))
    variances = rng.uniform(0.5, 2.0, (n_components, d)) * 0.05**2
    covariances = {
        "full": np.array([np.diag(v) + 0.3 * v.min() for v in variances]),
        "tied": np.diag(variances[0]),
        "diag": variances,
        "spherical": variances[:, 0],
        "tied-spherical": 0.05**2,
    }[covariance_type]
    weights = rng.uniform(0.5, 1.5, n_components)
    model = GaussianMixture.from_parameters(
        weights / weights.sum(), means, covariances, covariance_type=covariance_type
    )
    return model.set_params(posterior=posterior, random_state=0)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical", "tied-spherical"])
def test_they_are_those_of_all_components_but_for_little(covariance_type):
    model, exact = (mixture(covariance_type, name) for name in ("truncated", "exact"))
    X, _ = model.sample(N)
    gap = exact.score_samples(X) - model.score_samples(X)
    assert gap.min() > -1e-9
    assert 0.0 < gap.mean() < 0.01
    labels = model.predict(X)
    assert (labels == exact.predict(X)).mean() > 0.998
    resp = model.predict_proba(X)
    np.testing.assert_allclose(resp.sum(axis=1), 1.0, rtol=1e-12)
    assert ((resp > 0).sum(axis=1) <= 10).all()
    assert np.abs(resp - exact.predict_proba(X)).sum(axis=1).mean() < 0.01
    assert (resp.argmax(axis=1) == labels).mean() > 0.999  # but for ties


def test_small_problems_are_exact():
    """Where the exact pass takes no longer: the same bits."""
    for model, exact, n in (
        (mixture("diag"), mixture("diag", "exact"), N - 1),
        *((mixture("diag", name, K - 1), mixture("diag", "exact", K - 1), N) for name in ("auto",)),
    ):
        X, _ = model.sample(n)
        np.testing.assert_array_equal(model.score_samples(X), exact.score_samples(X))
        np.testing.assert_array_equal(model.predict(X), exact.predict(X))


def test_auto_is_truncated_and_the_score_is_exact():
    model, exact, auto = (mixture("diag", name) for name in ("truncated", "exact", "auto"))
    X, _ = model.sample(N)
    np.testing.assert_array_equal(auto.score_samples(X), model.score_samples(X))
    assert model.score(X) == exact.score(X) > model.score_samples(X).mean()
    assert model.bic(X) == exact.bic(X)


def test_missing_values_are_exact():
    model = mixture("diag").set_params(missing="marginalize")
    X, _ = model.sample(N)
    X[0, 0] = np.nan
    exact = mixture("diag", "exact").set_params(missing="marginalize")
    np.testing.assert_array_equal(model.score_samples(X), exact.score_samples(X))


@pytest.mark.slow
def test_threads_and_containers_change_no_bit():
    model = mixture("full")
    X, _ = model.sample(N)
    one = model.set_params(n_jobs=1).score_samples(X), model.predict_proba(X, top=3)
    two = model.set_params(n_jobs=2).score_samples(X), model.predict_proba(X, top=3)
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1].toarray(), two[1].toarray())
    batches = sources.Batches(lambda: (X[i : i + 1000] for i in range(0, N, 1000)))
    np.testing.assert_array_equal(model.score_samples(batches), one[0])
    np.testing.assert_array_equal(model.predict(np.asfortranarray(X)), model.predict(X))
    labels = np.empty(N, np.int64)
    assert model.predict(X, out=labels) is labels
    np.testing.assert_array_equal(labels, model.predict(X))
    resp = np.full((N, K), 9.0)
    np.testing.assert_array_equal(model.predict_proba(X, out=resp), model.predict_proba(X))


def test_the_last_rows_are_no_part_of_their_own(monkeypatch):
    """A few rows would form no groups, and find less."""
    monkeypatch.setattr("fastgmm.em.truncated_prediction._LEAST_ROWS", 2**14)
    monkeypatch.setattr("fastgmm.em.truncated_prediction._ROWS_PER_COMPONENT", 1)
    model, exact = mixture("diag"), mixture("diag", "exact")
    X = np.random.default_rng(0).permutation(model.sample(2 * 2**14 + 100)[0])
    gap = exact.score_samples(X) - model.score_samples(X)
    assert gap[-100:].mean() < 10 * gap.mean() + 1e-3


def test_units_change_no_label():
    model = mixture("full")
    X, _ = model.sample(N)
    units = np.array([1e-3, 1.0, 1e4])
    other = GaussianMixture.from_parameters(
        model.weights_, model.means_ * units, model.covariances_ * np.outer(units, units)
    ).set_params(posterior="truncated")
    assert (other.predict(X * units) == model.predict(X)).mean() > 0.999
    shift = other.score_samples(X * units) - model.score_samples(X)
    assert np.median(np.abs(shift + np.log(units).sum())) < 1e-9


def test_float32_is_as_precise_as_its_type():
    model = mixture("diag")
    X = model.sample(N)[0].astype(np.float32)
    model._samples_dtype = np.dtype(np.float32)
    assert model.score_samples(X).dtype == model.predict_proba(X, top=2).dtype == np.float32
    np.testing.assert_allclose(
        model.score_samples(X), model.score_samples(X.astype(np.float64)), rtol=1e-6, atol=1e-5
    )
    far = X.copy()
    far[0] = 1e30
    assert model.score_samples(far)[0] == np.finfo(np.float32).min


@pytest.mark.parametrize("n_components", [1, 5, 300])
@pytest.mark.parametrize("top", [1, 3, 400])
def test_the_top_responsibilities_are_the_largest(n_components, top):
    """Exactly, with their values; a row sums to what they make up."""
    model = mixture("full", "exact", n_components)
    model.covariances_ = model.covariances_ * 100.0
    X, _ = model.sample(1000)
    sparse, resp = model.predict_proba(X, top=top), model.predict_proba(X)
    assert isinstance(sparse, csr_array)
    assert sparse.shape == resp.shape
    assert sparse.has_canonical_format
    assert (np.diff(sparse.indptr) == min(top, n_components)).all()
    table = sparse.toarray()
    np.testing.assert_array_equal(table[table > 0], resp[table > 0])
    np.testing.assert_array_equal(
        np.sort(table), np.sort(np.where(resp >= _nth(resp, top), resp, 0))
    )


def _nth(resp, top):
    """Return the smallest of the largest responsibilities of each row."""
    return np.sort(resp, axis=1)[:, -min(top, resp.shape[1])][:, np.newaxis]


@pytest.mark.slow
def test_the_top_of_truncated_predictions():
    """More components than are sought by default may be asked for."""
    model, exact = mixture("diag"), mixture("diag", "exact")
    X, _ = model.sample(N)
    for top in (1, 4, 20):
        sparse, resp = model.predict_proba(X, top=top), exact.predict_proba(X, top=top)
        assert (np.diff(sparse.indptr) == top).all()
        assert np.abs(sparse - resp).sum() / N < 0.01


def test_the_top_of_other_estimators():
    X = np.random.default_rng(0).normal(size=(200, 2))
    model = BayesianGaussianMixture(n_components=4, random_state=0).fit(X)
    table = model.predict_proba(X, top=2).toarray()
    np.testing.assert_array_equal(table.max(axis=1), model.predict_proba(X).max(axis=1))


@pytest.mark.parametrize(
    ("top", "error", "message"),
    [
        (0, ValueError, "'top': expected at least 1, got 0"),
        (-3, ValueError, "'top': expected at least 1, got -3"),
        (1.5, TypeError, r"'top': expected an integer, got 1\.5"),
        (True, TypeError, "'top': expected an integer, got True"),
    ],
)
def test_a_wrong_top(top, error, message):
    model = mixture("diag", n_components=3)
    with pytest.raises(error, match=message):
        model.predict_proba(np.zeros((2, 3)), top=top)


def test_top_does_not_go_with_out():
    model = mixture("diag", n_components=3)
    with pytest.raises(ValueError, match="does not go with out"):
        model.predict_proba(np.zeros((2, 3)), np.empty((2, 3)), top=1)


def test_the_gap_is_measured():
    model, exact = mixture("diag"), mixture("diag", "exact")
    X, _ = model.sample(N)
    gaps = exact.score_samples(X) - model.score_samples(X)
    of_all = model.variational_gap(X, n_samples=10**6)
    assert of_all.mean == pytest.approx(gaps.mean(), abs=1e-12)
    assert of_all.largest == pytest.approx(gaps.max(), abs=1e-9)
    assert of_all.other_labels == (model.predict(X) != exact.predict(X)).mean()
    assert of_all.share == of_all.standard_error == 0.0
    some = model.variational_gap(X, n_samples=2000, random_state=1)
    assert abs(some.mean - of_all.mean) < 5 * some.standard_error
    assert (gaps > some.largest).mean() <= some.share < 0.0015
    assert some == model.variational_gap(X, n_samples=2000, random_state=1)
    assert exact.variational_gap(X[:100], n_samples=1) == (0.0, 0.0, 0.0, 0.0, 0.0)
    one = model.variational_gap(X, n_samples=1)
    assert one.standard_error == np.inf
    assert one.share == pytest.approx(0.95)


@pytest.mark.parametrize(("n", "error"), [(0, ValueError), (2.0, TypeError)])
def test_a_wrong_number_of_samples(n, error):
    with pytest.raises(error, match="n_samples"):
        mixture("diag", n_components=3).variational_gap(np.zeros((2, 3)), n_samples=n)


def test_densities_and_labels_of_fewer_components_are_exact(monkeypatch):
    """Responsibilities are not: the pruned pass cannot tell those that are very small."""
    monkeypatch.undo()
    model, exact = mixture("diag"), mixture("diag", "exact")
    X, _ = model.sample(N)
    np.testing.assert_array_equal(model.score_samples(X), exact.score_samples(X))
    np.testing.assert_array_equal(model.predict(X), exact.predict(X))
    assert model.variational_gap(X).largest > 0.0
    assert ((model.predict_proba(X) > 0).sum(axis=1) <= 10).all()
