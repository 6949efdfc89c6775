"""Starts for many components: the tree, merged leaves, and EM from there."""

import tracemalloc
import warnings
from itertools import pairwise

import numpy as np
import pytest
from generators import COVARIANCE_TYPES
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from fastgmm import BayesianGaussianMixture, GaussianMixture, em
from fastgmm.data.sample_data import load_sample
from fastgmm.data.tree import grow
from fastgmm.init.agglomeration import merge_nearest
from fastgmm.init.leaves import group

THREADS = [1, 2, 5]


def leaves(*arguments):
    return grow(*arguments).leaves


def check_groups(groups, n, K):
    assert len(groups.bounds) == K + 1
    assert groups.bounds[0] == 0
    assert groups.bounds[-1] == n
    assert (np.diff(groups.bounds) > 0).all()
    np.testing.assert_array_equal(np.sort(groups.rows), np.arange(n))


def squares_within(X, groups):
    """Return the mean square about the means of groups."""
    sizes = np.diff(groups.bounds)
    means = np.add.reduceat(X[groups.rows], groups.bounds[:-1]) / sizes[:, np.newaxis]
    return ((X[groups.rows] - np.repeat(means, sizes, axis=0)) ** 2).sum() / len(X)


@pytest.mark.parametrize("make", [leaves, group])
@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (9, 1, 9), (500, 3, 7), (500, 3, 500), (4000, 2, 900)]
)
def test_every_row_is_in_one_leaf_and_no_leaf_is_empty(shape, make):
    n, d, K = shape
    X = np.random.default_rng(0).normal(size=(n, d))
    groups = [make(X, np.ones(n), K, np.random.RandomState(0), t) for t in THREADS]
    check_groups(groups[0], n, K)
    for other in groups[1:]:
        np.testing.assert_array_equal(other.rows, groups[0].rows)
        np.testing.assert_array_equal(other.bounds, groups[0].bounds)


@pytest.mark.parametrize("K", [1, 2, 7, 300])
def test_samples_of_a_leaf_are_found_there(K):
    """Also new samples are sent down; without cuts there is one leaf."""
    X = np.random.default_rng(0).normal(size=(2000, 3))
    tree = grow(X, np.ones(2000), K, np.random.RandomState(0), 2)
    expected = np.empty(2000, np.int64)
    expected[tree.leaves.rows] = np.repeat(np.arange(K), np.diff(tree.leaves.bounds))
    for n_threads in THREADS:
        np.testing.assert_array_equal(tree.find(X, n_threads), expected)


@pytest.mark.parametrize("make", [leaves, group])
@pytest.mark.parametrize("n_distinct", [1, 2, 40])
def test_equal_rows_are_halved(n_distinct, make):
    values = np.random.default_rng(0).normal(size=(n_distinct, 3))
    X = np.ascontiguousarray(values[np.arange(1000) % n_distinct])
    check_groups(make(X, np.ones(1000), 300, np.random.RandomState(0), 2), 1000, 300)


def test_leaves_cost_little_more_than_the_best_quantiser_can():
    """Of one uniform feature: K equal intervals leave 1 / (12 K^2). Of a normal: Zador's bound."""
    rng = np.random.default_rng(0)
    K, n = 256, 200_000
    X = rng.uniform(size=(n, 1))
    leaves = grow(X, np.ones(n), K, np.random.RandomState(0), 2).leaves
    assert 1.0 <= squares_within(X, leaves) * 12 * K**2 < 1.35
    X = rng.normal(size=(n, 1))
    leaves = grow(X, np.ones(n), K, np.random.RandomState(0), 2).leaves
    best = np.pi * np.sqrt(3.0) / 2.0 / K**2
    assert 0.95 < squares_within(X, leaves) / best < 1.6


def test_other_seeds_give_other_trees_in_one_dimension_too():
    X = np.random.default_rng(0).normal(size=(2000, 1))
    trees = [
        grow(X, np.ones(2000), 50, np.random.RandomState(seed), 1).leaves for seed in (0, 1, 0)
    ]
    assert trees[0].bounds.tolist() == trees[2].bounds.tolist() != trees[1].bounds.tolist()


def test_integer_weights_are_repeated_rows():
    """Where the rows of a leaf are not halved: leaves have the same means."""
    rng = np.random.default_rng(0)
    X, counts = rng.normal(size=(600, 3)), rng.integers(1, 4, 600)
    one = grow(X, counts.astype(float), 12, np.random.RandomState(0), 1).leaves
    many = grow(
        np.repeat(X, counts, axis=0), np.ones(counts.sum()), 12, np.random.RandomState(0), 1
    ).leaves
    copies = np.repeat(np.arange(600), counts)
    for (a, b), (c, d) in zip(pairwise(one.bounds), pairwise(many.bounds), strict=True):
        assert sorted(set(copies[many.rows[c:d]])) == sorted(one.rows[a:b])


def blobs(n_clusters, n, d, spread, seed=0):
    rng = np.random.default_rng(seed)
    centers = rng.normal(scale=spread, size=(n_clusters, d))
    labels = np.r_[np.arange(n_clusters), rng.integers(n_clusters, size=n - n_clusters)]
    return centers[labels] + rng.normal(size=(n, d)), labels


@pytest.mark.parametrize("d", [1, 2, 8])
def test_merging_finds_the_clusters_of_ward(d):
    """Clusters far apart: SciPy's complete search finds the same, whatever the order of merges."""
    X, labels = blobs(12, 400, d, 300.0)
    found = merge_nearest(X, np.ones(400), 12)
    assert adjusted_rand_score(found, fcluster(linkage(X, "ward"), 12, "maxclust")) == 1.0
    assert adjusted_rand_score(found, labels) == 1.0
    _, first = np.unique(found, return_index=True)
    assert (np.diff(first) > 0).all()


def test_merging_counts_weights():
    """Of three points on a line, 0, 1 and 2.1: the heavy one is dearer to move than the far one."""
    points = np.array([[0.0], [1.0], [2.1]])
    assert merge_nearest(points, np.ones(3), 2).tolist() == [0, 0, 1]
    assert merge_nearest(points, np.array([9.0, 9.0, 1.0]), 2).tolist() == [0, 1, 1]
    assert merge_nearest(points, np.ones(3), 1).tolist() == [0, 0, 0]
    assert merge_nearest(points, np.ones(3), 3).tolist() == [0, 1, 2]


@pytest.mark.parametrize("n_equal", [30, 64])
def test_equal_points_are_merged(n_equal):
    points = np.repeat([[0.0, 0.0], [5.0, 5.0]], n_equal, axis=0)
    labels = merge_nearest(points, np.ones(2 * n_equal), 2)
    assert labels.tolist() == [0] * n_equal + [1] * n_equal


def test_leaves_are_merged_where_samples_lie_in_clusters():
    X, labels = blobs(300, 12_000, 4, 30.0)
    X /= X.std(axis=0)
    groups = group(X, np.ones(len(X)), 300, np.random.RandomState(0), 2)
    check_groups(groups, len(X), 300)
    found = np.empty(len(X), int)
    found[groups.rows] = np.repeat(np.arange(300), np.diff(groups.bounds))
    assert adjusted_rand_score(found, labels) > 0.97
    assert adjusted_rand_score(_tree_labels(X, 300), labels) < 0.8


def _tree_labels(X, K):
    leaves = grow(X, np.ones(len(X)), K, np.random.RandomState(0), 2).leaves
    labels = np.empty(len(X), int)
    labels[leaves.rows] = np.repeat(np.arange(K), np.diff(leaves.bounds))
    return labels


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_start_is_the_m_step_of_the_leaves(covariance_type, weighted):
    """As from the same groups as labels; groups are known by their weights and means."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 3)) * [1.0, 100.0, 1e-3]
    weight = rng.uniform(0.5, 2.0, 900) if weighted else None
    options = {"covariance_type": covariance_type, "reg_covar": 1e-12, "sample_weight": weight}
    start = em.starting_parameters(X, 20, init_params="tree", random_state=3, **options)
    assert start.weights.sum() == pytest.approx(1.0)
    scaled = (X - np.average(X, axis=0, weights=weight)) / np.sqrt(
        np.average((X - np.average(X, axis=0, weights=weight)) ** 2, axis=0, weights=weight)
    )
    relative = np.ones(900) if weight is None else weight / weight.max()
    groups = group(np.ascontiguousarray(scaled), relative, 20, np.random.RandomState(3), 1)
    labels = np.empty(900, int)
    labels[groups.rows] = np.repeat(np.arange(20), np.diff(groups.bounds))
    expected = em.starting_parameters(X, 20, init_params=labels, **options)
    np.testing.assert_allclose(start.weights, expected.weights, rtol=1e-12)
    np.testing.assert_allclose(start.means, expected.means, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(start.covariances, expected.covariances, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize(("covariance_type", "n_parameters"), [("full", 6), ("diag", 3)])
def test_with_few_rows_the_means_are_rows(covariance_type, n_parameters):
    """With fewer than two for each parameter of the covariances; these stay the groups' own."""
    options = {"covariance_type": covariance_type, "init_params": "tree", "random_state": 3}
    for n_rows, are_rows in ((2 * n_parameters * 40 - 1, True), (2 * n_parameters * 40, False)):
        X = np.random.default_rng(0).normal(size=(n_rows, 3))
        start = em.starting_parameters(X, 40, **options)
        is_row = (start.means[:, np.newaxis] == X).all(axis=2).any(axis=1)
        assert is_row.all() == are_rows
        grouped = em.starting_parameters(X, 40, **options, reg_covar=1.0)
        np.testing.assert_allclose(
            np.trace(grouped.covariances, axis1=1, axis2=2)
            if covariance_type == "full"
            else grouped.covariances.sum(axis=1),
            3.0 + _within_leaves(X, 40),
            rtol=1e-9,
        )


def _within_leaves(X, n_leaves):
    """Return the mean square about its mean of each leaf."""
    scaled = np.ascontiguousarray((X - X.mean(axis=0)) / X.std(axis=0))
    groups = group(scaled, np.ones(len(X)), n_leaves, np.random.RandomState(3), 1)
    parts = np.split(X[groups.rows], groups.bounds[1:-1])
    return np.array([part.var(axis=0).sum() for part in parts])


@pytest.mark.parametrize("covariance_type", ["full", "spherical"])
def test_the_memory_order_changes_no_bit(covariance_type):
    """Nor does it of the weights, or of groups about given centres."""
    X, weight = np.random.default_rng(0).normal(size=(700, 5)), np.linspace(0.5, 2.0, 1400)
    options = {"covariance_type": covariance_type, "init_params": "tree", "random_state": 0}
    one, other, reversed_twice = (
        em.starting_parameters(table, 12, sample_weight=w, **options)
        for table, w in (
            (X, weight[::2].copy()),
            (np.asfortranarray(X), weight[::2]),
            (X[:, ::-1].copy()[:, ::-1], weight[::2]),
        )
    )
    for found in (other, reversed_twice):
        assert found.means.tobytes() == one.means.tobytes()
        assert found.covariances.tobytes() == one.covariances.tobytes()


def test_units_change_nothing():
    X = np.random.default_rng(0).normal(size=(3000, 4))
    units = 2.0 ** np.array([30, -20, 0, 7])
    for init_params, K in (("tree", 40), ("auto", 256)):
        options = {"init_params": init_params, "reg_covar": "auto", "random_state": 0}
        one, other = (
            em.starting_parameters(table, K, covariance_type="diag", **options)
            for table in (X, X * units)
        )
        np.testing.assert_array_equal(other.means, one.means * units)
        np.testing.assert_allclose(other.covariances, one.covariances * units**2, rtol=1e-12)


def test_auto_takes_a_tree_where_components_are_many(monkeypatch):
    """No k-means from 256 components on, in either estimator; with 255 there is."""

    class Called(Exception):
        pass

    def kmeans(*_, **__):
        raise Called

    monkeypatch.setattr("sklearn.cluster.KMeans", kmeans)
    X = np.random.default_rng(0).normal(size=(4000, 2))
    for estimator in (GaussianMixture, BayesianGaussianMixture):
        model = estimator(n_components=256, covariance_type="diag", max_iter=1, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X)
        assert np.isfinite(model.means_).all()
        with pytest.raises(Called):
            model.set_params(n_components=255).fit(X)


def test_a_start_forms_no_table_of_rows_by_components():
    """A table of (20000, 4096) would take 655 MB."""
    X = np.random.default_rng(0).normal(size=(20_000, 3)).astype(np.float32)
    em.starting_parameters(X[:600], 300, covariance_type="diag", init_params="tree")
    tracemalloc.start()
    try:
        start = em.starting_parameters(X, 4096, covariance_type="diag", random_state=0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(start.means) == 4096
    assert peak < 40e6


@pytest.mark.parametrize("n_components", [1, 2, 59, 60])
def test_few_rows(n_components):
    X = np.random.default_rng(0).normal(size=(60, 2))
    start = em.starting_parameters(X, n_components, init_params="tree", random_state=0)
    assert start.means.shape == (n_components, 2)
    with pytest.raises(ValueError, match="n_components = 61, n_samples = 60"):
        em.starting_parameters(X, 61, init_params="tree")


def test_values_may_be_missing():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(800, 3))
    X[rng.random(X.shape) < 0.1] = np.nan
    model = GaussianMixture(
        20, init_params="tree", missing="marginalize", reg_covar=1e-5, random_state=0, max_iter=300
    )
    assert np.isfinite(model.fit(X).lower_bound_)


def test_em_ends_as_high_as_from_kmeans():
    """On real patches, where components are many: 200 on 10,000 rows, 20 iterations."""
    X = load_sample("patches").astype(np.float64)[::54]
    bounds = {}
    for init_params in ("tree", "kmeans"):
        start = em.starting_parameters(
            X, 200, covariance_type="diag", init_params=init_params,
            reg_covar=1e-4, random_state=0,
        )  # fmt: skip
        result = em.fit(X, start, update=em.ClosedForm(1e-4), convergence=em.Never(), max_iter=20)
        bounds[init_params] = result.lower_bound
    assert bounds["tree"] > bounds["kmeans"] - 0.05


def test_em_finds_three_hundred_clusters():
    """The likelihood is that of EM from the true parameters, but for a tenth of a nat."""
    X, labels = blobs(300, 15_000, 4, 12.0)
    options = {"covariance_type": "spherical", "reg_covar": 1e-3}
    ends = [
        em.fit(
            X, em.starting_parameters(X, 300, init_params=init, random_state=0, **options)
        ).lower_bound
        for init in (labels, "auto")
    ]
    assert ends[1] > ends[0] - 0.1
