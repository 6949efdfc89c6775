"""What text and Parquet files share: pyarrow's columns become one array of floats."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cells import Cells
from .columns import Choice


def import_pyarrow(source: str) -> Any:
    """Return pyarrow, which reads all files but .npy and .npz.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError(
            f"{source}: reading it needs pyarrow: pip install 'fastgmm[cli]'"
        ) from error
    return pyarrow


def copy_cells(
    columns: dict[int, Any],
    choice: Choice,
    dtype: str,
    words: Mapping[int, Any] = MappingProxyType({}),
) -> Cells:
    """Copy columns of numbers into arrays, and let go of each.

    Parameters
    ----------
    columns : dict
        pyarrow's columns by their position. It is emptied.
    choice : Choice
    dtype : str
        Of X.
    words : dict
        Columns to keep as identifiers in place of those of numbers.
    """
    n_samples = len(next(iter(columns.values())))
    X = np.empty((n_samples, len(choice.features)), dtype, order="F")
    weights = None
    if choice.weights is not None:
        weights = np.empty(n_samples)
        _fill(weights, columns[choice.weights])
    ids = [words.get(i, columns.get(i)).combine_chunks() for i in choice.ids]
    for j, i in enumerate(choice.features):
        _fill(X[:, j], columns.pop(i))
    return Cells(X, weights, ids)


def _fill(out: NDArray[Any], column: Any) -> None:
    import pyarrow

    start = 0
    for chunk in column.chunks:
        if not pyarrow.types.is_floating(chunk.type):
            chunk = chunk.cast(pyarrow.float64(), safe=False)
        with np.errstate(over="ignore"):  # a number too large for float32 is found later
            out[start : start + len(chunk)] = chunk.to_numpy(zero_copy_only=False)
        start += len(chunk)
