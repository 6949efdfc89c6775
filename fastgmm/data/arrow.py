"""What text and Parquet files share: pyarrow's columns become one array of floats."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cells import Cells
from .columns import Choice, Columns

_NARROW = ("float", "halffloat")
_NUMBERS = ("floating", "integer", "boolean", "decimal", "null")


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


def check_numeric(columns: Columns, position: int, kind: Any) -> None:
    """Raise ValueError unless a column of this Arrow type holds numbers.

    Parameters
    ----------
    columns : Columns
    position : int
    kind : DataType
    """
    from pyarrow import types

    content = kind.value_type if types.is_dictionary(kind) else kind
    if not any(getattr(types, f"is_{numbers}")(content) for numbers in _NUMBERS):
        raise ValueError(
            f"{columns.source}, {columns.name(position)}: expected numbers, got "
            f"{kind}. Choose features with --columns, or leave it out with --id."
        )


def float_name(kinds: Sequence[Any]) -> str:
    """Return ``float32`` if all columns are of narrow floats, else ``float64``.

    Parameters
    ----------
    kinds : sequence of DataType
    """
    return "float32" if all(str(kind) in _NARROW for kind in kinds) else "float64"


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
    start = 0
    for chunk in column.chunks:
        with np.errstate(over="ignore"):  # a number too large for float32 is found later
            out[start : start + len(chunk)] = float_values(chunk)
        start += len(chunk)


def float_values(chunk: Any) -> NDArray[Any]:
    """Return the numbers of an Arrow array, with NaN for nulls.

    Parameters
    ----------
    chunk : pyarrow.Array

    Returns
    -------
    (m,) array
    """
    import pyarrow

    if not pyarrow.types.is_floating(chunk.type):
        chunk = chunk.cast(pyarrow.float64(), safe=False)
    values: NDArray[Any] = chunk.to_numpy(zero_copy_only=False)
    return values
