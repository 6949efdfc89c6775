"""The kernels that grow a tree and go down it, and the moments of groups, against NumPy."""

from itertools import pairwise

import numpy as np
import pytest

from fastgmm import _kernels as kernels
from fastgmm._kernels import reference
from fastgmm._kernels.backend import backend
from fastgmm.data.tree import grow

THREADS = [1, 2, 5]
#: n, d and the number of nodes.
SHAPES = [(1, 1, 1), (7, 1, 3), (30, 2, 4), (33, 5, 11), (500, 17, 9), (9000, 3, 2), (5000, 131, 3)]


def listed(n, d, m):
    """Return samples, weights, a list of rows, and bounds of ranges of it, none of them empty."""
    rng = np.random.default_rng(n + d)
    X = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 10.0 * rng.normal(size=d)
    inner = np.sort(rng.choice(np.arange(1, n), m - 1, replace=False)) if m > 1 else []
    bounds = np.r_[0, inner, n].astype(np.int64)
    return X, rng.uniform(0.5, 2.0, n), rng.permutation(n), bounds


@pytest.mark.parametrize("n_threads", THREADS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_principal_cuts_and_sides(shape, n_threads):
    """The first node is left out: what lies there keeps its side."""
    X, weight, rows, bounds = listed(*shape)
    rng = np.random.default_rng(0)
    nodes = np.array(list(pairwise(bounds)))[1 if len(bounds) > 2 else 0 :]
    m, (n, d) = len(nodes), X.shape
    directions, shifts = rng.normal(size=(m, d)), rng.uniform(-0.25, 0.25, m)
    outputs = []
    for module, threads in ((reference, 1), (backend(), n_threads)):
        own, cuts, costs = directions.copy(), np.empty(m), np.empty((m, 2))
        module.principal_cuts(X, weight, rows, nodes, own, shifts, cuts, costs, threads)
        outputs.append((own, cuts, costs))
    scale = np.abs(X).max()
    for found, expected, size in zip(
        outputs[1], outputs[0], (1.0, scale, n * scale**2), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * size)
    above = np.full((2, n), 7, np.uint8)
    own, cuts = outputs[0][0], outputs[0][1] + 0.01 * rng.normal(size=m)  # off all samples
    reference.sides(X, rows, nodes, own, cuts, above[0])
    backend().sides(X, rows, nodes, own, cuts, above[1], n_threads)
    np.testing.assert_array_equal(above[1], above[0])
    assert (above[0, : nodes[0, 0]] == 7).all()


def test_a_cut_goes_across_the_direction_of_largest_variance():
    """Power iteration has converged where one variance is by far the largest."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 6)) * [1.0, 1.0, 9.0, 1.0, 1.0, 1.0] + 3.0
    directions, cuts, costs = rng.normal(size=(1, 6)), np.empty(1), np.empty((1, 2))
    nodes, shifts = np.array([[0, 2000]]), np.zeros(1)
    backend().principal_cuts(
        X, np.ones(2000), np.arange(2000), nodes, directions, shifts, cuts, costs, 1
    )
    axis = np.linalg.eigh(np.cov(X, rowvar=False))[1][:, -1]
    assert abs(directions[0] @ axis) == pytest.approx(1.0, abs=1e-8)
    assert cuts[0] == pytest.approx(X.mean(axis=0) @ directions[0], rel=1e-12)
    is_above = X @ directions[0] > cuts[0]
    left = [((part - part.mean(axis=0)) ** 2).sum() for part in (X[~is_above], X[is_above])]
    np.testing.assert_allclose(costs[0], left, rtol=1e-12)


def random_tree(m, rng):
    """Return the children of m nodes, each of them put in the place of a leaf at random."""
    children, leaves = np.zeros((m, 2), np.int64), [(0, 0), (0, 1)]
    for node in range(1, m):
        children[leaves.pop(rng.integers(len(leaves)))] = node
        leaves += [(node, 0), (node, 1)]
    for leaf, place in zip(rng.permutation(len(leaves)), leaves, strict=True):
        children[place] = -1 - leaf
    return children


@pytest.mark.parametrize("m", [1, 2, 60])
@pytest.mark.parametrize("n, d", [(1, 1), (50, 3), (4096, 2), (4097, 5), (9000, 17)])
def test_rows_go_down_to_a_leaf(n, d, m):
    """On slots of 4096 rows."""
    rng = np.random.default_rng([n, m])
    X, children = rng.normal(size=(n, d)), random_tree(m, rng)
    directions, cuts = rng.normal(size=(m, d)), rng.normal(size=m)
    expected = np.full(n, -7)
    reference.descend(X, directions, cuts, children, expected)
    for n_threads in THREADS:
        found = np.full(n, -7)
        kernels.descend(X, directions, cuts, children, found, n_threads)
        np.testing.assert_array_equal(found, expected)
    assert found.min() >= 0
    assert found.max() <= m


@pytest.mark.parametrize("n_threads", THREADS)
@pytest.mark.parametrize("n, d, K", [(1, 1, 1), (2, 1, 2), (9, 2, 9), (700, 5, 12), (6000, 3, 500)])
def test_a_row_goes_down_to_the_leaf_that_holds_it(n, d, K, n_threads):
    X = np.random.default_rng(0).normal(size=(n, d))
    tree = grow(X, np.ones(n), K, np.random.RandomState(0), n_threads)
    assert tree.children.shape == (K - 1, 2)
    assert sorted(tree.children.ravel().tolist()) == [*range(-K, 0), *range(1, K - 1)][: 2 * K - 2]
    own = np.empty(n, np.int64)
    own[tree.leaves.rows] = np.repeat(np.arange(K), np.diff(tree.leaves.bounds))
    np.testing.assert_array_equal(tree.find(X, n_threads), own)


#: n, d, groups, and columns of the table of weights.
TABLES = [
    (1, 1, 1, 1),
    (7, 1, 3, 2),
    (30, 2, 4, 1),
    (33, 5, 11, 3),
    (500, 17, 9, 2),
    (1200, 3, 2, 3),
    (300, 4, 200, 5),  # more groups than slots
    (900, 131, 3, 1),
]


def sums_of(module, table, is_full, n_threads=2):
    """Return the moments of groups, added to ones."""
    K, d = table[-1].shape
    sums = np.ones(K), np.ones((K, d)), np.ones((K, d, d) if is_full else (K, d))
    module.group_moments(*table, is_full, *sums, n_threads)
    return sums


def assert_moments(table, is_full):
    """Compare the moments of groups with NumPy, and one number of threads with others."""
    X, weight, entries, bounds, centers = table
    expected = sums_of(reference, table, is_full)
    found = [sums_of(kernels, table, is_full, n_threads) for n_threads in THREADS]
    for other in found[1:]:
        for one, same in zip(found[0], other, strict=True):
            assert one.tobytes() == same.tobytes()
    width = weight.size // len(X)
    z = np.abs(X[entries // width] - np.repeat(centers, np.diff(bounds), axis=0)).max(initial=0.0)
    total = weight.ravel()[entries].sum()
    for sums, wanted, size in zip(found[0], expected, (1.0, z, z**2), strict=True):
        np.testing.assert_allclose(sums, wanted, rtol=0, atol=1e-13 * (total * size + 1.0))
    if is_full:
        np.testing.assert_array_equal(found[0][2], found[0][2].swapaxes(1, 2))


@pytest.mark.parametrize("is_full", [True, False])
@pytest.mark.parametrize("shape", TABLES, ids=str)
def test_moments_of_groups(shape, is_full):
    """Of some entries of a table of weights, a fifth of them 0, in groups that may be empty."""
    n, d, K, P = shape
    rng = np.random.default_rng(n + d)
    X = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 10.0 * rng.normal(size=d)
    weight = rng.uniform(0.5, 2.0, (n, P)) * (rng.random((n, P)) > 0.2)
    entries = rng.permutation(n * P)[: n * P * 2 // 3 + 1]
    bounds = np.sort(np.r_[0, rng.integers(len(entries) + 1, size=K - 1), len(entries)])
    if K > 2:
        bounds[2] = bounds[1]
    centers = X[rng.integers(n, size=K)]
    assert_moments((X, weight, entries, bounds, centers), is_full)


@pytest.mark.parametrize("is_full", [True, False])
@pytest.mark.parametrize("d", [1, 5, 16])
def test_moments_of_groups_that_are_blocks_or_longer(d, is_full):
    """A block holds 256 entries; weights of 0 may be all of a group."""
    rng = np.random.default_rng(d)
    sizes = [256, 0, 257, 1, 512, 255, 15, 16, 17, 1000, 0]
    bounds = np.r_[0, np.cumsum(sizes)]
    n = int(bounds[-1])
    X, weight, entries = rng.normal(size=(n, d)), rng.uniform(0.5, 2.0, n), rng.permutation(n)
    weight[entries[bounds[2] : bounds[3]]] = 0.0
    centers = rng.normal(size=(len(sizes), d))
    assert_moments((X, weight, entries, bounds, centers), is_full)
    sums = sums_of(kernels, (X, weight, entries, bounds, centers), is_full)
    for values in sums:
        np.testing.assert_array_equal(values[[1, 2, 10]], 1.0)
