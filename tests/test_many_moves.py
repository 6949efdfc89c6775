"""Splits and merges of many components at once."""

import numpy as np
import pytest
from generators import COVARIANCE_TYPES, mixture

import fastgmm
from fastgmm import GaussianMixture, em
from fastgmm.data.samples import Samples
from fastgmm.init.many_moves import apply, cheapest_merges, merged
from fastgmm.init.many_splits import halved, splits_of_many

pytestmark = [
    pytest.mark.one_backend,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
UNITS = np.array([100.0, 1.0, 1e3])


def clusters(K=300, n=15_000, seed=0):
    """Return samples of separated clusters in unlike units, and as many others."""
    rng = np.random.default_rng(seed)
    centers = rng.uniform(-1, 1, (K, 3))
    samples = centers[rng.integers(K, size=2 * n)] + 0.02 * rng.normal(size=(2 * n, 3))
    return np.split(samples * UNITS, 2)


def dense(parameters):
    """Return (K, d, d) covariances."""
    model, shape = parameters.covariance_model, parameters.means.shape
    return model.dense(parameters.covariances, *shape)


@each_type
def test_halves_have_the_moments_of_the_whole(covariance_type):
    """Together, along the axis of the cut; where the type can say so."""
    whole = mixture(covariance_type, 4, 3)
    two = halved(whole)
    np.testing.assert_array_equal(two.weights, np.repeat(whole.weights / 2, 2))
    np.testing.assert_allclose((two.means[::2] + two.means[1::2]) / 2, whole.means, atol=1e-12)
    apart = two.means[1::2] - whole.means
    if covariance_type in ("full", "diag"):
        together = dense(two)[::2] + apart[:, :, np.newaxis] * apart[:, np.newaxis]
        np.testing.assert_allclose(together, dense(whole), atol=1e-12)
    if covariance_type == "spherical":
        traces = dense(two)[::2].trace(axis1=1, axis2=2) + (apart**2).sum(axis=1)
        np.testing.assert_allclose(traces, dense(whole).trace(axis1=1, axis2=2))
    # sqrt(2 / pi) deviations along the axis
    squares = np.einsum("ki,kij,kj->k", apart, np.linalg.inv(dense(whole)), apart)
    np.testing.assert_allclose(squares, 2 / np.pi)


def test_units_change_no_cut():
    whole = mixture("full", 4, 3)
    other = em.MixtureParameters.from_covariances(
        "full", whole.weights, whole.means * UNITS, whole.covariances * np.outer(UNITS, UNITS)
    )
    shifts = halved(other).means / UNITS - np.repeat(whole.means, 2, axis=0)
    expected = halved(whole).means - np.repeat(whole.means, 2, axis=0)
    np.testing.assert_allclose(np.abs(shifts), np.abs(expected), atol=1e-9)


@each_type
def test_the_loss_of_a_merge(covariance_type):
    """As NumPy computes it from whole matrices, pair by pair."""
    parameters = mixture(covariance_type, 12, 3)
    pairs, losses = cheapest_merges(parameters)
    assert len(pairs) > 0
    assert (np.diff(losses) >= 0).all()
    assert len({k for pair in pairs for k in pair}) == 2 * len(pairs)
    for (i, j), loss in zip(pairs, losses, strict=True):
        w = parameters.weights[[i, j]]
        covariances = dense(parameters)[[i, j]]
        means = parameters.means[[i, j]]
        center = w @ means / w.sum()
        z = means - center
        both = np.tensordot(w, covariances + z[:, :, None] * z[:, None], 1) / w.sum()
        if covariance_type == "diag":
            both = np.diag(np.diag(both))
        if covariance_type == "spherical":
            both = np.eye(3) * np.trace(both) / 3
        log_det = [np.linalg.slogdet(matrix)[1] for matrix in (*covariances, both)]
        expected = 0.5 * (w.sum() * log_det[2] - w @ log_det[:2])
        assert loss == pytest.approx(expected, rel=1e-9, abs=1e-12)
        weights, means_of, _ = merged(parameters, np.array([i]), np.array([j]))
        assert weights[0] == pytest.approx(w.sum())
        np.testing.assert_allclose(means_of[0], center)


@each_type
def test_moves_keep_the_number_of_components(covariance_type):
    X, _ = clusters(K=40, n=4000)
    start = em.starting_parameters(X, 40, covariance_type=covariance_type, random_state=0)
    update, state = em.ClosedForm(1e-9), np.random.RandomState(0)
    splits = splits_of_many(Samples(X), start, update, state, 1)
    assert [s.gain for s in splits] == sorted((s.gain for s in splits), reverse=True)
    pairs, _ = cheapest_merges(start)
    k = next(s for s in splits if s.component not in pairs[0])
    moved = apply(start, [(pairs[0], k)])
    assert moved.n_components == 40
    assert moved.weights.sum() == pytest.approx(1.0)
    i, j = pairs[0]
    np.testing.assert_allclose(moved.weights[i], start.weights[[i, j]].sum())
    np.testing.assert_allclose(moved.means[[k.component, j]], k.halves.means)
    others = np.setdiff1d(np.arange(40), [i, j, k.component])
    np.testing.assert_array_equal(moved.means[others], start.means[others])


def test_the_component_on_two_clusters_gains_most_by_a_split():
    rng = np.random.default_rng(0)
    centers = 10.0 * np.arange(9)
    X = np.concatenate([rng.normal(c, 1, (300, 1)) for c in centers])
    X = np.hstack([X, rng.normal(size=X.shape)])
    labels = np.minimum(np.repeat(np.arange(9), 300), 7)
    start = em.starting_parameters(X, 8, covariance_type="full", init_params=labels)
    splits = splits_of_many(Samples(X), start, em.ClosedForm(), np.random.RandomState(0), 1)
    assert splits[0].component == 7
    assert splits[0].gain > 10 * max(splits[1].gain, 0.0)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
def test_moves_find_clusters_that_a_start_has_missed(covariance_type):
    X, others = clusters()
    options = {"covariance_type": covariance_type, "init_params": "random_from_data"}
    options |= {"posterior": "truncated", "reg_covar": "auto", "random_state": 0, "max_iter": 300}
    plain = GaussianMixture(300, **options).fit(X)
    moved = GaussianMixture(300, acceleration="split-merge", **options).fit(X)
    assert moved.lower_bound_ > plain.lower_bound_ + 0.5
    assert moved.score(others) > plain.score(others) + 0.5
    assert moved.n_reseeded_ == 0
    assert (np.diff(moved.lower_bounds_) >= 0).all()
    assert [it.number for it in moved.history_] == list(range(1, moved.n_iter_ + 1))
    truth = em.starting_parameters(X, 300, covariance_type=covariance_type, init_params="tree")
    best = em.fit(X, truth, posterior=em.NeighborhoodPosterior(), update=em.ClosedForm(1e-9))
    assert moved.lower_bound_ > best.lower_bound - 0.05


def test_few_components_are_moved_too():
    """Three means in one of four clusters, and components of no weight, which cost nothing."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(10 * k, 1, (500, 2)) for k in range(4)])
    means = np.array([[0.0, 0], [0.5, 0], [-0.5, 0], [20, 20]])
    options = {"means_init": means, "random_state": 0}
    exact = GaussianMixture(4, acceleration="split-merge", **options).fit(X)
    options |= {"posterior": "truncated"}
    moved = GaussianMixture(4, acceleration="split-merge", **options).fit(X)
    assert moved.lower_bound_ == pytest.approx(exact.lower_bound_, abs=0.02)


@each_type
def test_merging_components_of_no_weight_loses_nothing(covariance_type):
    whole = mixture(covariance_type, 6, 2)
    weights = np.array([0.0, 0.0, 0.25, 0.25, 0.25, 0.25])
    means = np.concatenate([whole.means[:1], whole.means[:1] + 1e-3, whole.means[2:]])
    empty = em.MixtureParameters.from_covariances(
        covariance_type, weights, means, whole.covariances
    )
    pairs, losses = cheapest_merges(empty)
    assert losses[0] == 0.0
    assert pairs[0] == (0, 1)
    assert np.isfinite(losses).all()


def test_moves_go_on_from_a_checkpoint(tmp_path):
    X, _ = clusters(K=256, n=6000)
    options = {"covariance_type": "diag", "init_params": "random_from_data", "random_state": 0}
    options |= {"posterior": "auto", "acceleration": "split-merge", "max_iter": 60}
    whole = GaussianMixture(256, **options).fit(X, callback=lambda it: it.number == 40)
    checkpoint = em.Checkpoint(tmp_path / "fit", every_iterations=1)
    for last in (7, 30, 40):
        model = GaussianMixture(256, **options)
        model.fit(X, checkpoint=checkpoint, callback=lambda it, last=last: it.number == last)
    np.testing.assert_array_equal(model.means_, whole.means_)
    assert model.lower_bounds_ == whole.lower_bounds_


def test_threads_change_no_bit_of_moves():
    X, _ = clusters(K=256, n=6000)
    options = {"covariance_type": "diag", "init_params": "random_from_data", "random_state": 0}
    options |= {"posterior": "truncated", "acceleration": "split-merge", "max_iter": 40}
    one, two = (GaussianMixture(256, n_jobs=jobs, **options).fit(X) for jobs in (1, 2))
    np.testing.assert_array_equal(one.means_, two.means_)


def test_which_accelerations_truncation_goes_with():
    X = np.random.default_rng(0).normal(size=(600, 2))
    with pytest.raises(ValueError, match="acceleration=None or 'split-merge', got 'subsample'"):
        GaussianMixture(3, posterior="truncated", acceleration="subsample").fit(X)
    few = GaussianMixture(3, posterior="truncated", acceleration="split-merge", random_state=0)
    assert few.fit(X).n_iter_ > 0
    quick = GaussianMixture(256, posterior="auto", acceleration="quasi-newton", max_iter=2)
    assert quick.fit(X).lower_bound_ == pytest.approx(quick.lower_bounds_[-1])


def test_a_source_is_split_and_merged_as_well():
    X, _ = clusters(K=256, n=6000)
    batches = fastgmm.sources.Batches(lambda: (X[i : i + 1000] for i in range(0, 6000, 1000)))
    options = {"covariance_type": "diag", "init_params": "random_from_data", "random_state": 0}
    options |= {"posterior": "truncated", "max_iter": 60}
    plain = GaussianMixture(256, **options).fit(batches)
    moved = GaussianMixture(256, acceleration="split-merge", **options).fit(batches)
    assert moved.lower_bound_ > plain.lower_bound_ + 0.3
