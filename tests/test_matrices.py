"""Matrices to and from the layout of the kernels in the backend in use, and their factors."""

import numpy as np
import pytest

from fastgmm._kernels import reference
from fastgmm._kernels.backend import backend
from fastgmm.factors import inverse_factor, invert_triangle

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
def test_triangles_are_interleaved(shape, n_threads):
    K, d = shape
    upper = np.triu(np.random.default_rng(d).normal(size=(K, d, d)))
    expected = np.zeros((-(-K // 4), d * (d + 1) // 2, 4))
    found = expected.copy()
    reference.interleave_triangles(upper, expected)
    backend().interleave_triangles(upper, found, n_threads)
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
    upper = np.array([[[1.0, 2.0], [0.0, 3.0]], [[4.0, 5.0], [0.0, 6.0]]])
    out = np.zeros((1, 3, 4))
    reference.interleave_triangles(upper, out)
    expected = [[1.0, 4.0, 0.0, 0.0], [2.0, 5.0, 0.0, 0.0], [3.0, 6.0, 0.0, 0.0]]
    np.testing.assert_allclose(out[0], np.sqrt(0.5) * np.array(expected), rtol=1e-15)


@pytest.mark.parametrize("d", [1, 2, 64, 65, 130, 301])
def test_inverse_factor_is_that_of_lapack(d):
    rows = np.random.default_rng(d).normal(size=(2 * d + 2, d))
    covariance = rows.T @ rows / len(rows)
    found = np.zeros((d, d))
    lower = np.tril(np.full((d, d), np.nan), -1)  # is not read
    assert inverse_factor(covariance + lower, 0.0, found)
    assert inverse_factor(np.asfortranarray(covariance), 0.0, np.zeros((d, d)))
    expected = invert_triangle(np.linalg.cholesky(covariance).T)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * np.abs(expected).max())
