"""Matrices to and from the layout of the kernels in the backend in use, and their factors."""

import numpy as np
import pytest

from fastgmm._kernels import reference
from fastgmm._kernels.backend import backend
from fastgmm.model.factors import inverse_factors, invert_triangle

SHAPES = [(1, 1), (1, 2), (3, 3), (4, 4), (5, 5), (2, 8), (7, 9), (6, 17), (9, 64), (1, 131)]
THREADS = [1, 2, 5]


@pytest.mark.parametrize("n_threads", THREADS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_symmetric_matrices_are_added(shape, n_threads):
    m, d = shape
    rng = np.random.default_rng(d)
    rows = -(-d // 4)
    tiles = rng.normal(size=m * rows * (rows + 1) // 2 * 16)
    start = rng.normal(size=(m, d, d))
    expected, found = start.copy(), start.copy()
    reference.add_symmetric(tiles, expected)
    backend().add_symmetric(tiles, found, n_threads)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("n_threads", THREADS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_triangles_are_packed(shape, n_threads):
    K, d = shape
    upper = np.triu(np.random.default_rng(d).normal(size=(K, d, d)))
    expected, found = np.zeros((2, K, d * (d + 1) // 2))
    reference.pack_triangles(upper, expected)
    backend().pack_triangles(upper, found, n_threads)
    np.testing.assert_array_equal(found, expected)


def test_reference_of_symmetric_matrices():
    """d = 5: one tile of rows 0 to 3, and of row 4 one tile and the corner of another."""
    tiles = np.arange(48.0)
    out = np.zeros((1, 5, 5))
    reference.add_symmetric(tiles, out)
    lower = np.tril(np.arange(16.0).reshape(4, 4))
    np.testing.assert_array_equal(np.tril(out[0, :4, :4]), lower)
    np.testing.assert_array_equal(out[0, 4], [16.0, 17.0, 18.0, 19.0, 32.0])
    np.testing.assert_array_equal(out[0], out[0].T)


def test_reference_of_triangles():
    """d = 5: the first row, and then four by columns, the triangle at their end by rows."""
    upper = np.triu(np.arange(50.0).reshape(2, 5, 5))
    out = np.empty((2, 15))
    reference.pack_triangles(upper, out)
    expected = [0, 1, 2, 3, 4, 6, 7, 12, 8, 13, 18, 9, 14, 19, 24]
    np.testing.assert_allclose(out[0], np.sqrt(0.5) * np.array(expected), rtol=1e-15)
    np.testing.assert_allclose(out[1] - out[0], np.sqrt(0.5) * np.full(15, 25.0), rtol=1e-14)


def covariances_of(shape):
    m, d = shape
    rows = np.random.default_rng(d).normal(size=(m, 2 * d + 2, d))
    return rows.swapaxes(1, 2) @ rows / (2 * d + 2)


@pytest.mark.parametrize("n_threads", THREADS)
@pytest.mark.parametrize("shape", [*SHAPES, (3, 65), (2, 128), (3, 130), (2, 301)], ids=str)
def test_inverse_factors(shape, n_threads):
    """All but the last are positive definite; what is below a diagonal is not read."""
    covariances = covariances_of(shape)
    covariances[-1] -= 2.0 * np.trace(covariances[-1]) * np.eye(shape[1])
    m = len(covariances)
    expected, found = np.zeros(shape + shape[1:]), np.zeros(shape + shape[1:])
    expected_failures, failures = np.zeros(m, np.uint8), np.zeros(m, np.uint8)
    reference.inverse_factors(covariances, expected, expected_failures)
    given = covariances + np.tril(np.full(shape[1:] * 2, np.nan), -1)
    backend().inverse_factors(given, found, failures, n_threads)
    assert failures.tolist() == expected_failures.tolist() == [0] * (m - 1) + [1]
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found[:-1], expected[:-1], rtol=0, atol=1e-13 * scale)


def test_reference_of_inverse_factors():
    out, failed = np.zeros((2, 2, 2)), np.zeros(2, np.uint8)
    matrices = np.array([[[4.0, 2.0], [np.nan, 10.0]], [[1.0, 1.0], [1.0, 1.0]]])
    reference.inverse_factors(matrices, out, failed)
    np.testing.assert_allclose(out[0], [[0.5, -1 / 6], [0.0, 1 / 3]], rtol=1e-15)
    assert failed.tolist() == [0, 1]


@pytest.mark.parametrize("bad", ["nan", "inf", "rounding", "underflow"])
def test_a_matrix_without_factor_is_told_from_its_neighbours(bad):
    covariances = covariances_of((5, 70))
    if bad == "underflow":
        covariances[2] *= 1e-305
    elif bad == "rounding":
        covariances[2, 1] = covariances[2, 0]
        covariances[2, :, 1] = covariances[2, :, 0]
    else:
        covariances[2, 3, 3] = float(bad)
    factors, failed = inverse_factors(covariances, 2)
    assert failed.tolist() == [False, False, True, False, False]
    assert np.isfinite(factors[~failed]).all()


def test_inverse_factors_of_any_memory_order():
    covariances = np.asfortranarray(covariances_of((3, 9)))
    found, failed = inverse_factors(covariances, 2)
    expected, _ = inverse_factors(np.ascontiguousarray(covariances), 1)
    assert not failed.any()
    np.testing.assert_array_equal(found, expected)
    whole = invert_triangle(np.linalg.cholesky(covariances[0]).T)
    np.testing.assert_allclose(found[0], whole, rtol=0, atol=1e-13 * np.abs(whole).max())
