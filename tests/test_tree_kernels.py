"""The kernels that grow a tree, and the moments of its leaves, against NumPy."""

from itertools import pairwise

import numpy as np
import pytest

from fastgmm._kernels import reference
from fastgmm._kernels.backend import backend

THREADS = [1, 2, 5]
#: n, d and the number of nodes or groups.
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
    for kernels, threads in ((reference, 1), (backend(), n_threads)):
        own, cuts, costs = directions.copy(), np.empty(m), np.empty((m, 2))
        kernels.principal_cuts(X, weight, rows, nodes, own, shifts, cuts, costs, threads)
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


@pytest.mark.parametrize("n_threads", THREADS)
@pytest.mark.parametrize("is_full", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_moments_of_groups(shape, is_full, n_threads):
    X, weight, rows, bounds = listed(*shape)
    K, d = len(bounds) - 1, X.shape[1]
    centers = X[rows[bounds[:-1]]]
    sums = []
    for kernels, threads in ((reference, 1), (backend(), n_threads)):
        own = np.ones(K), np.ones((K, d)), np.ones((K, d, d) if is_full else (K, d))
        kernels.group_moments(X, weight, rows, bounds, centers, is_full, *own, threads)
        sums.append(own)
    z = np.abs(X[rows] - np.repeat(centers, np.diff(bounds), axis=0))
    nk = weight.sum()
    for found, expected, size in zip(
        sums[1], sums[0], (nk, nk * z.max(), nk * z.max() ** 2), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * (size + 1.0))
