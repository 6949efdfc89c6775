"""What people hold numbers in, as NumPy arrays: one way for samples, weights and parameters.

A container is read as the numbers that it holds, or refused by an error that names the argument
and the remedy. A missing value becomes NaN.
"""

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .numbers import loader, numbers


def to_array(values: Any, name: str) -> NDArray[Any]:
    """Return an array of real numbers of the type that they have: bool, integer or float.

    Numbers held as objects or strings become float64. NumPy's own numbers are not copied.

    Parameters
    ----------
    values : array-like, data frame or column of one
    name : str
        What the user calls the argument.

    Raises
    ------
    TypeError
        If it is not in memory, sparse, a time, or no array of numbers.
    ValueError
        If values are masked or complex, or a string is not that of a number.
    """
    return Frame(values, name).to_array() if is_frame(values) else numbers(values, name)


def to_table(X: Any, name: str = "X") -> "NDArray[Any] | Frame":
    """Return samples as one array, or as a frame where the columns are arrays of their own.

    Parameters
    ----------
    X : array-like or data frame
    name : str
        What the user calls it.

    Raises
    ------
    TypeError, ValueError
        As ``to_array``.
    """
    if isinstance(X, Frame):
        return X
    if not is_frame(X):
        return numbers(X, name)
    frame = Frame(X, name)
    array = frame.single_array()
    return frame if array is None else array


def is_frame(values: Any) -> bool:
    """Return whether it is a data frame in memory: of pandas or alike, Polars or Arrow."""
    if isinstance(values, type) or loader(values) is not None:
        return False
    pandas = hasattr(values, "iloc") and hasattr(values, "columns")
    return pandas or hasattr(values, "get_columns") or hasattr(values, "column_names")


def column_label(X: Any, column: int) -> str:
    """Return how to name a feature: by its number, and by its name where columns have names."""
    names = column_names(X)
    return f"feature {column}" if names is None else f"feature {column} ({names[column]!r})"


def column_names(X: Any) -> Any:
    """Return the names of the columns, in order; None where they have none."""
    names = getattr(X, "column_names", None)
    return getattr(X, "columns", None) if names is None else names


class Frame:
    """A data frame as a table of numbers, which are converted, column by column, when asked for.

    Parameters
    ----------
    native : data frame
        Of pandas or alike, Polars or Arrow.
    name : str
        What the user calls it.

    Attributes
    ----------
    shape : (int, int)
    dtype : dtype
        float32 where all columns are; else float64.
    """

    def __init__(self, native: Any, name: str = "X") -> None:
        self._native = native
        self._name = name
        self._first_row = 0
        self.shape: tuple[int, int] = tuple(native.shape)
        types = {self._numbers(j, slice(1)).dtype for j in range(self.shape[1])}
        self.dtype = np.dtype(np.float32 if types == {np.dtype(np.float32)} else np.float64)
        self._is_plain = _at_once(_rows(native, slice(1))) is not None

    def __getitem__(self, rows: Any) -> "Frame":
        """Return some rows: a slice, or an array of their numbers."""
        part = copy.copy(self)
        part._native = _rows(self._native, rows)
        part.shape = tuple(part._native.shape)
        if isinstance(rows, slice):
            part._first_row += rows.indices(self.shape[0])[0]
        return part

    def to_array(self) -> NDArray[Any]:
        """Return the numbers as an array of shape (n_samples, n_features)."""
        array = _at_once(self._native) if self._is_plain else None
        if array is not None:
            return array.astype(self.dtype, copy=False)
        table = np.empty(self.shape, self.dtype, order="F")
        for j in range(self.shape[1]):
            with np.errstate(over="ignore"):
                table[:, j] = self._numbers(j, slice(None))
        return table

    def single_array(self) -> NDArray[Any] | None:
        """Return the one array of numbers that the frame consists of; None where it has several."""
        native = self._native
        if not hasattr(native, "iloc") or 0 in self.shape:
            return None
        first = native.iloc[:1]
        row = _at_once(first)
        if row is None or not np.shares_memory(row, first.iloc[:, 0].to_numpy()):
            return None
        array: NDArray[Any] = native.to_numpy()
        return array

    def _numbers(self, j: int, rows: slice) -> NDArray[Any]:
        native = self._native
        if hasattr(native, "iloc"):
            column = native.iloc[rows, j]
        elif hasattr(native, "get_columns"):
            column = native.to_series(j)[rows]
        else:
            column = native.column(j)[rows]
        name = f"{column_label(native, j)} of {self._name}"
        values = numbers(column, name, self._first_row)
        if values.ndim != 1:
            raise ValueError(
                f"{name} should have one number in each row, but got {values.shape[1:]}."
            )
        return values


def _at_once(native: Any) -> NDArray[Any] | None:
    """Return the numbers of a frame whose columns have NumPy's types; None for other frames."""
    if not hasattr(native, "to_numpy") or 0 in native.shape:
        return None
    array: NDArray[Any] = native.to_numpy()
    return array if array.dtype.kind in "biuf" else None


def _rows(native: Any, rows: Any) -> Any:
    """Return rows of a data frame."""
    if hasattr(native, "iloc"):
        return native.iloc[rows]
    if hasattr(native, "get_columns"):
        return native[rows]
    if isinstance(rows, slice):
        start, stop, step = rows.indices(native.num_rows)
        if step == 1:
            return native.slice(start, stop - start)
        rows = np.arange(start, stop, step)
    return native.take(rows)
