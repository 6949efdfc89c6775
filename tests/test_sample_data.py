"""Built-in samples against their definition."""

import sys

import numpy as np
import pytest
from sklearn.datasets import load_iris, load_sample_images

from fastgmm.data.sample_data import load_sample


def test_patches_follow_their_definition():
    X = load_sample("patches")
    assert (X.shape, X.dtype) == ((540_176, 16), np.float64)
    noise = np.random.default_rng(0).normal(0, 0.01, X.shape)
    china, flower = load_sample_images().images
    n_rows, n_columns = 427 - 3, 640 - 3
    for image, row, column, index in (
        (china, 0, 0, 0),
        (china, 0, 1, 1),
        (china, 1, 0, n_columns),
        (china, n_rows - 1, n_columns - 1, n_rows * n_columns - 1),
        (flower, 0, 0, n_rows * n_columns),
        (flower, 100, 200, (n_rows + 100) * n_columns + 200),
    ):
        patch = image[row : row + 4, column : column + 4].astype(float)
        grey = (0.299 * patch[..., 0] + 0.587 * patch[..., 1] + 0.114 * patch[..., 2]) / 255
        np.testing.assert_allclose(X[index] - noise[index], grey.ravel(), rtol=0, atol=1e-14)


def test_pixels_are_both_images():
    X = load_sample("pixels")
    assert (X.shape, X.dtype) == ((546_560, 3), np.float64)
    china, flower = load_sample_images().images
    np.testing.assert_array_equal(X[641], china[1, 1] / 255)
    np.testing.assert_array_equal(X[-1], flower[-1, -1] / 255)


def test_iris():
    np.testing.assert_array_equal(load_sample("iris"), load_iris().data, strict=True)


def test_unknown_name():
    with pytest.raises(ValueError, match="one of 'patches', 'pixels', 'iris', got 'faithful'"):
        load_sample("faithful")


@pytest.mark.parametrize("name", ["patches", "pixels"])
def test_pillow_missing(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"need Pillow: pip install 'fastgmm\[cli\]'$"):
        load_sample(name)
