"""Blocks that are compared with some of the components, and the bounds that choose these."""

import numpy as np
import pytest
from generators import KERNEL_KINDS, draw, mixture

from fastgmm import _kernels as kernels
from fastgmm._kernels import reference
from fastgmm._kernels.contract import OTHER_KERNELS
from fastgmm._kernels.layout import SMALLEST_BLOCK, Components
from fastgmm._kernels.packing import pack, pad

THREADS = [1, 2, 5]
#: n, d, K.
SHAPES = [
    (1, 1, 1),
    (256, 2, 3),
    (257, 3, 4),
    (700, 5, 17),
    (1500, 16, 33),
    (900, 19, 9),
    (300, 40, 6),
]
each_kind = pytest.mark.parametrize("kind", KERNEL_KINDS)
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def lists(n, K, most):
    """Return for each block some components at random, at least one, in their order."""
    rng = np.random.default_rng([n, K])
    count = rng.integers(1, min(most, K) + 1, size=-(-n // SMALLEST_BLOCK))
    listed = [np.sort(rng.choice(K, size, replace=False)) for size in count]
    return np.append(0, np.cumsum(count)), np.concatenate(listed)


def evaluate(X, components, bounds, listed, n_threads=2):
    found = np.full(len(X), np.nan), np.full(len(X), -1)
    packed = pack(components, n_threads=n_threads)
    kernels.posterior_listed(X, packed, bounds, listed, *found, n_threads)
    return found


@each_kind
@each_shape
@pytest.mark.parametrize("scenario", ["touching", "overlapping", "separated"])
def test_a_block_sees_the_components_of_its_list(shape, kind, scenario):
    """With expanded squares ("touching") and without ("separated"), on any number of threads."""
    n, d, K = shape
    parameters = mixture(kind, K, d, scenario=scenario)
    X, components = draw(parameters, n), parameters.components()
    bounds, listed = lists(n, K, K)
    expected = np.empty(n), np.empty(n, np.int64)
    reference.posterior_listed(X, components, bounds, listed, *expected)
    found = [evaluate(X, components, bounds, listed, n_threads) for n_threads in THREADS]
    for other in found[1:]:
        np.testing.assert_array_equal(other[0], found[0][0])
        np.testing.assert_array_equal(other[1], found[0][1])
    np.testing.assert_array_equal(found[0][1], expected[1])
    scale = np.abs(expected[0]).max()
    rtol = OTHER_KERNELS["posterior_listed"].rtol
    np.testing.assert_allclose(found[0][0] / scale, expected[0] / scale, rtol=0, atol=rtol)


@each_kind
@each_shape
@pytest.mark.parametrize("scenario", ["touching", "apart", "separated", "far from zero"])
def test_all_that_counts_gives_the_bits_of_the_posterior(shape, kind, scenario):
    """What is left out is 37 nats below the best component of every sample of the block."""
    n, d, K = shape
    parameters = mixture(kind, K, d, scenario=scenario)
    X, components = draw(parameters, n), parameters.components()
    distances = np.empty((n, K))
    kernels.mahalanobis(X, components, distances, 1)
    log_prob = components.log_coefficients - distances / 2
    counts = log_prob >= log_prob.max(axis=1, keepdims=True) - 38.0
    starts = np.arange(0, n, SMALLEST_BLOCK)
    blocks, listed = np.nonzero(np.logical_or.reduceat(counts, starts, axis=0))
    bounds = np.searchsorted(blocks, np.arange(len(starts) + 1))
    found = evaluate(X, components, bounds, listed)
    expected = np.empty(n), np.empty(n, np.int64)
    kernels.posterior(X, components, 1, log_prob_norm=expected[0], labels=expected[1])
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    if scenario == "separated" and n > 300 and d > 2:
        assert evaluate(X[:9], components, np.array([0, K]), np.arange(K))[1].max() < K


def test_lists_and_samples_may_have_any_memory_order_and_float_type():
    parameters = mixture("full", 9, 4)
    X, components = draw(parameters, 600, "float32"), parameters.components()
    bounds, listed = lists(600, 9, 9)
    expected = evaluate(X, components, bounds, listed)
    strided = np.stack([listed, -listed], axis=1)[:, 0]
    for some in (np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2], X.astype(np.float64)):
        found = evaluate(some, components, bounds, strided)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])


@each_kind
@each_shape
def test_bounds_are_those_of_the_definition(shape, kind):
    n, d, K = shape
    rng = np.random.default_rng(n)
    parameters = mixture(kind, K, d)
    components, m = parameters.components(), min(n, 33)
    centers, halves = draw(parameters, m), rng.uniform(0.0, 2.0, (m, d))
    expected = np.empty((K, m))
    reference.box_bounds(centers, halves, components, expected)
    found = [np.empty((K, m)) for _ in THREADS]
    for bounds, n_threads in zip(found, THREADS, strict=True):
        kernels.box_bounds(centers, halves, pad(components), bounds, n_threads)
        np.testing.assert_array_equal(bounds, found[0])
    scale = np.abs(expected).max()
    rtol = OTHER_KERNELS["box_bounds"].rtol
    np.testing.assert_allclose(found[0] / scale, expected / scale, rtol=0, atol=rtol)


@each_kind
@pytest.mark.parametrize("d", [1, 2, 3, 7, 16])
def test_no_point_of_a_box_has_more(d, kind):
    """A box without width has the log-probability of its centre; a corner is in it."""
    rng = np.random.default_rng(d)
    parameters = mixture(kind, 12, d)
    components = parameters.components()
    centers, halves = draw(parameters, 20), rng.uniform(0.0, 1.0, (20, d))
    bounds, at_points = np.empty((12, 20)), np.empty((12, 20))
    kernels.box_bounds(centers, 0.0 * halves, pad(components), at_points, 1)
    distances = np.empty((20, 12))
    kernels.mahalanobis(centers, components, distances, 1)
    log_prob = components.log_coefficients - distances / 2
    np.testing.assert_allclose(at_points, log_prob.T, rtol=1e-10)
    kernels.box_bounds(centers, halves, pad(components), bounds, 1)
    assert (bounds >= at_points - 1e-9).all()
    assert (bounds > at_points + 0.01).mean() > 0.9
    for draws in range(50):
        offsets = rng.uniform(-1.0, 1.0, (20, d))
        points = centers + halves * (np.sign(offsets) if draws % 2 else offsets)
        kernels.box_bounds(points, 0.0 * halves, pad(components), at_points, 1)
        assert (bounds >= at_points - 1e-9 * np.abs(at_points)).all()


def test_what_overflows_counts_as_the_smallest_number():
    components = Components("diag", np.zeros(1), np.zeros((1, 2)), np.full((1, 2), 1e200))
    bounds = np.empty((1, 1))
    kernels.box_bounds(np.full((1, 2), 1e100), np.ones((1, 2)), pad(components), bounds, 1)
    assert bounds[0, 0] == -1e300


@each_kind
def test_infinities_of_both_signs_leave_the_component_in(kind):
    """|P (c - mean)| and |P| h may both overflow: no bound is known."""
    parameters = mixture(kind, 3, 2, scenario="small")
    components = parameters.components()
    components = components._replace(precisions_cholesky=components.precisions_cholesky * 1e150)
    boxes = np.array([[1e160, 1e160], [1e160, 0.0]]), np.array([[1e161, 1e161], [0.0, 0.0]])
    found, expected = np.empty((3, 2)), np.empty((3, 2))
    kernels.box_bounds(*boxes, pad(components), found, 1)
    reference.box_bounds(*boxes, components, expected)
    np.testing.assert_array_equal(found[:, 0], components.log_coefficients)
    np.testing.assert_array_equal(found, expected)
    assert (found[:, 1] == -1e300).all()
