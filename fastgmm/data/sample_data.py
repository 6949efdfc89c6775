"""Samples by name: built-in real data, and tables in .npy and .csv files."""

import csv
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._kernels.layout import Array

_PREFIX = "sample:"
_PATCH = 4
_PATCH_NOISE = 0.01
_GREY = (0.299, 0.587, 0.114)
_BLOCK_ROWS = 2**16


class Table(NamedTuple):
    """Samples read from a file or built in.

    Attributes
    ----------
    X : array of shape (n_samples, n_features)
        A read-only memory map for a .npy file.
    names : list of str or None
        Column names, where a .csv file has a header.
    """

    X: NDArray[Any]
    names: list[str] | None = None


def load_sample(name: str) -> Array:
    """Return a built-in sample of real data.

    - ``patches`` (540,176 x 16): all 4 x 4 patches of scikit-learn's two sample images in
      grey, (0.299 R + 0.587 G + 0.114 B) / 255, image by image and row by row, plus normal
      noise of standard deviation 0.01 from ``default_rng(0)``.
    - ``pixels`` (546,560 x 3): RGB / 255 of all pixels of both images.
    - ``iris`` (150 x 4): Fisher's iris data as in scikit-learn.

    Parameters
    ----------
    name : {'patches', 'pixels', 'iris'}

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        float64.

    Raises
    ------
    ValueError
        If there is no sample of that name.
    ImportError
        If the sample needs Pillow, which is not installed.
    """
    if name not in _SAMPLES:
        allowed = ", ".join(map(repr, _SAMPLES))
        raise ValueError(f"name should be one of {allowed}, got {name!r}.")
    return _SAMPLES[name]()


def read_table(source: str) -> Table:
    """Read samples from ``sample:NAME``, a .npy file (memory-mapped) or a .csv file.

    Parameters
    ----------
    source : str

    Returns
    -------
    Table

    Raises
    ------
    ValueError
        If the source is none of these, or does not hold a table of finite numbers.
    OSError
        If the file cannot be read.
    """
    table = _read(source)
    if table.X.ndim != 2:
        raise ValueError(
            f"{source}: expected a table of shape (n_samples, n_features), "
            f"got an array of shape {table.X.shape}."
        )
    return table


def read_weights(source: str, n_samples: int) -> NDArray[Any]:
    """Read one weight for each sample from a .npy or .csv file.

    Parameters
    ----------
    source : str
    n_samples : int

    Returns
    -------
    ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        If the file does not hold ``n_samples`` finite numbers.
    OSError
        If the file cannot be read.
    """
    weights = _read(source).X
    if weights.shape not in ((n_samples,), (n_samples, 1)):
        raise ValueError(
            f"{source}: expected {n_samples} weights, one for each sample, "
            f"got an array of shape {weights.shape}."
        )
    return weights.reshape(-1)


def _read(source: str) -> Table:
    if source.startswith(_PREFIX):
        return Table(load_sample(source.removeprefix(_PREFIX)))
    suffix = Path(source).suffix.lower()
    if suffix not in _READERS:
        raise ValueError(f"{source}: expected a .npy file, a .csv file or {_PREFIX}NAME.")
    table = _READERS[suffix](source)
    _check_finite(source, table.X)
    return table


def _images() -> list[NDArray[np.uint8]]:
    from sklearn.datasets import load_sample_images

    try:
        images: list[NDArray[np.uint8]] = load_sample_images().images
    except ImportError as error:
        raise ImportError(
            "The samples 'patches' and 'pixels' need Pillow: pip install 'fastgmm[cli]'"
        ) from error
    return images


def _patches() -> Array:
    parts = []
    for image in _images():
        grey = image @ np.array(_GREY) / 255.0
        windows = np.lib.stride_tricks.sliding_window_view(grey, (_PATCH, _PATCH))
        parts.append(windows.reshape(-1, _PATCH**2))
    patches: Array = np.concatenate(parts)
    patches += np.random.default_rng(0).normal(0.0, _PATCH_NOISE, patches.shape)
    return patches


def _pixels() -> Array:
    return np.concatenate([image.reshape(-1, 3) for image in _images()]) / 255.0


def _iris() -> Array:
    from sklearn.datasets import load_iris

    return np.asarray(load_iris().data)


_SAMPLES: dict[str, Callable[[], Array]] = {"patches": _patches, "pixels": _pixels, "iris": _iris}


def _read_npy(source: str) -> Table:
    try:
        X = np.lib.format.open_memmap(source, mode="r")
    except ValueError as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{source}: expected a .npy file of numbers ({reason}).") from error
    if X.dtype.kind not in "biuf":
        raise ValueError(f"{source}: expected real numbers, got dtype {X.dtype}.")
    return Table(X)


def _read_csv(source: str) -> Table:
    first, lines = _first_row(source)
    names = None if any(map(_is_number, first)) else [cell.strip("# ") for cell in first]
    try:
        X = np.loadtxt(
            source,
            delimiter=",",
            comments=None,
            quotechar='"',
            skiprows=0 if names is None else lines,
            ndmin=2,
            encoding="utf-8-sig",
        )
    except ValueError as error:
        _report_cell(source, len(first), names is not None)
        raise ValueError(f"{source}: {error}") from error
    if not np.isfinite(X).all():
        _report_cell(source, len(first), names is not None)
    return Table(X, names)


def _rows(source: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the cells of each row that is not blank."""
    with Path(source).open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        for row in reader:
            if row:
                yield reader.line_num, row


def _first_row(source: str) -> tuple[list[str], int]:
    """Return the first row and how many lines it ends after; there must be a number below it."""
    rows = _rows(source)
    try:
        lines, first = next(rows)
        if not any(map(_is_number, first)):
            next(rows)
    except UnicodeDecodeError as error:
        raise ValueError(f"{source}: expected text in UTF-8 ({error.reason}).") from error
    except StopIteration:
        raise ValueError(f"{source}: expected rows of numbers, got none.") from None
    return first, lines


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _report_cell(source: str, n_columns: int, has_header: bool) -> None:
    """Raise ValueError for the first row of another length, or cell that is not finite."""
    rows = _rows(source)
    if has_header:
        next(rows)
    for line, row in rows:
        if len(row) != n_columns:
            raise ValueError(
                f"{source}, line {line}: expected {n_columns} comma-separated cells, "
                f"got {len(row)}."
            )
        for column, cell in enumerate(row, start=1):
            if not (_is_number(cell) and math.isfinite(float(cell))):
                raise ValueError(
                    f"{source}, line {line}, column {column}: expected a finite number, "
                    f"got {cell!r}."
                )


def _check_finite(source: str, X: NDArray[Any]) -> None:
    for start in range(0, len(X) if X.ndim else 0, _BLOCK_ROWS):
        bad = np.argwhere(~np.isfinite(X[start : start + _BLOCK_ROWS]))
        if len(bad):
            position = (int(bad[0, 0]) + start, *map(int, bad[0, 1:]))
            raise ValueError(
                f"{source}: expected finite numbers, got {X[position]} at {position} "
                "(counted from 0)."
            )


_READERS: dict[str, Callable[[str], Table]] = {".npy": _read_npy, ".csv": _read_csv}
