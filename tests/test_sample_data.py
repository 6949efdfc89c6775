"""Built-in samples against their definition; tables in files, with errors matched by value."""

import sys

import numpy as np
import pytest
from sklearn.datasets import load_iris, load_sample_images

from fastgmm.data.sample_data import load_sample, read_table, read_weights


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


def test_npy_is_mapped_and_read_only(tmp_path):
    path = str(tmp_path / "x.npy")
    np.save(path, load_sample("iris"))
    X, names = read_table(path)
    assert isinstance(X, np.memmap)
    assert not X.flags.writeable
    assert names is None
    np.testing.assert_array_equal(X, load_sample("iris"))


def test_csv_with_and_without_header(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("1,2.5\n\n-3,4e1\n")
    X, names = read_table(str(path))
    assert names is None
    np.testing.assert_array_equal(X, [[1, 2.5], [-3, 40]])
    path.write_text('\ufeff"height, cm",weight\r\n1,"2.5"\r\n3,4\r\n', encoding="utf-8")
    X, names = read_table(str(path))
    assert names == ["height, cm", "weight"]
    np.testing.assert_array_equal(X, [[1, 2.5], [3, 4]])


def test_csv_header_of_savetxt(tmp_path):
    path = str(tmp_path / "x.csv")
    np.savetxt(path, np.eye(2), delimiter=",", header="a,b")
    assert read_table(path).names == ["a", "b"]


@pytest.mark.parametrize(
    "text, message",
    [
        ("a,b\n1,2\n\n3,x\n", r"x\.csv, line 4, column 2: expected a finite number, got 'x'\."),
        ("1,2\n3,\n", r"x\.csv, line 2, column 2: expected a finite number, got ''\."),
        ("1,2\nnan,4\n", r"x\.csv, line 2, column 1: expected a finite number, got 'nan'\."),
        ("1,2\n3,4,5\n", r"x\.csv, line 2: expected 2 comma-separated cells, got 3\."),
        ("1,a\n3,4\n", r"x\.csv, line 1, column 2: expected a finite number, got 'a'\."),
        ("a;b\n1;2\n", r"x\.csv, line 2, column 1: expected a finite number, got '1;2'\."),
        ("", r"x\.csv: expected rows of numbers, got none\."),
        ("a,b\n", r"x\.csv: expected rows of numbers, got none\."),
    ],
)
def test_bad_csv(tmp_path, text, message):
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_table(str(path))


def test_csv_in_another_encoding(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes("größe\n1\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"x\.csv: expected text in UTF-8"):
        read_table(str(path))


@pytest.mark.parametrize(
    "array, message",
    [
        (np.array(["a"]), r"expected real numbers, got dtype <U1\."),
        (np.ones((2, 2)) * 1j, r"expected real numbers, got dtype complex128\."),
        (np.array([{}]), r"expected a \.npy file of numbers \(Array can't be memory-mapped"),
        (np.ones(5), r"a table of shape \(n_samples, n_features\), got an array of shape \(5,\)"),
        (np.array([[1, 2], [3, np.inf]]), r"expected finite numbers, got inf at \(1, 1\)"),
    ],
)
def test_bad_npy(tmp_path, array, message):
    path = str(tmp_path / "x.npy")
    np.save(path, array)
    with pytest.raises(ValueError, match=rf"x\.npy: .*{message}"):
        read_table(path)


def test_npy_that_is_none(tmp_path):
    path = tmp_path / "x.npy"
    path.write_text("hello")
    with pytest.raises(ValueError, match=r"x\.npy: expected a \.npy file of numbers \("):
        read_table(str(path))


def test_unknown_suffix():
    with pytest.raises(ValueError, match=r"x\.txt: expected a \.npy file, a \.csv file or sample:"):
        read_table("x.txt")


def test_weights(tmp_path):
    path = tmp_path / "w.csv"
    path.write_text("weight\n1\n2\n")
    np.testing.assert_array_equal(read_weights(str(path), 2), [1, 2])
    with pytest.raises(ValueError, match=r"w\.csv: expected 3 weights.*got an array of shape \(2,"):
        read_weights(str(path), 3)
    np.save(tmp_path / "w.npy", [1, 2, 3])
    np.testing.assert_array_equal(read_weights(str(tmp_path / "w.npy"), 3), [1, 2, 3])
