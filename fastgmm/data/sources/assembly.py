"""Pieces of any size, as files and batches hold them, become parts of equal size."""

import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._kernels.layout import empty_on_a_line
from ..numbers import is_float_array
from .base import Part, Source


class Piece(NamedTuple):
    """Rows as a file or a batch holds them.

    Attributes
    ----------
    values : (m, d) array, or list of d arrays of shape (m,)
        In rows, or in columns.
    sample_weight : (m,) array or None
    is_last : bool
        Whether it is known that no rows follow.
    """

    values: NDArray[Any] | list[NDArray[Any]]
    sample_weight: NDArray[Any] | None = None
    is_last: bool = False

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.values[0] if isinstance(self.values, list) else self.values)


#: Parts that are in memory at a time: one is computed with, and one is read.
BUFFERS = 2


class Assembly:
    """Parts of equal size, into which pieces of any size are copied.

    Parameters
    ----------
    n_rows : int
        Of a part.
    n_features : int
    dtype : dtype
    is_weighted : bool
    """

    def __init__(
        self, n_rows: int, n_features: int, dtype: "np.dtype[Any]", is_weighted: bool
    ) -> None:
        self.n_rows = n_rows
        self.filled = 0  # rows of the part that is not complete
        self._shape = n_rows, n_features
        self._dtype = dtype
        self._is_weighted = is_weighted
        self._memory: list[Part] = []
        self._number = 0

    @property
    def missing(self) -> int:
        """How many rows complete the next part."""
        return self.n_rows - self.filled

    def parts(self, pieces: Iterable[Piece]) -> Iterator[Part]:
        """Yield all rows of some pieces. The memory of a part serves again for others.

        Parameters
        ----------
        pieces : iterable of Piece

        Yields
        ------
        Part
        """
        for piece in pieces:
            is_whole = piece.n_rows == self.n_rows or piece.is_last
            if self.filled == 0 and is_whole and self._is_part(piece):
                yield Part(piece.values, piece.sample_weight)  # type: ignore[arg-type]
                continue
            done = 0
            while done < piece.n_rows:
                count = min(self.missing, piece.n_rows - done)
                part = self._room(isinstance(piece.values, list))
                rows = slice(self.filled, self.filled + count)
                _copy(piece, slice(done, done + count), part, rows)
                done, self.filled = done + count, self.filled + count
                if not self.missing:
                    yield part
                    self._number, self.filled = self._number + 1, 0
        if self.filled:
            X, weight = self._room(False)
            yield Part(X[: self.filled], None if weight is None else weight[: self.filled])

    def _is_part(self, piece: Piece) -> bool:
        """Return whether kernels read a piece in place."""
        is_table = isinstance(piece.values, np.ndarray) and is_float_array(piece.values)
        weight = piece.sample_weight
        return (
            is_table
            and piece.values.dtype == self._dtype  # type: ignore[union-attr]
            and (weight is None or (weight.dtype == np.float64 and weight.flags.c_contiguous))
        )

    def _room(self, in_columns: bool) -> Part:
        """Return the memory of the part that is not complete."""
        if len(self._memory) <= self._number % BUFFERS:
            memory = empty_on_a_line(math.prod(self._shape), self._dtype)
            X = memory.reshape(self._shape, order="F" if in_columns else "C")
            self._memory.append(Part(X, np.empty(self.n_rows) if self._is_weighted else None))
        return self._memory[self._number % BUFFERS]


class AssembledSource(Source):
    """A source that knows its rows in pieces, and leaves it to others to make parts of them."""

    @abstractmethod
    def pieces(self, assembly: Assembly) -> Iterator[Piece]:
        """Yield all rows in their order, as many at a time as is convenient.

        Parameters
        ----------
        assembly : Assembly
            Where the pieces go: a piece that is a whole part is not copied.

        Yields
        ------
        Piece
        """

    def parts(self, n_rows: int) -> Iterator[Part]:
        """Yield all rows in their order, as `Source.parts`."""
        assembly = Assembly(n_rows, self.n_features, self.dtype, self.is_weighted)
        yield from assembly.parts(self.pieces(assembly))


def _copy(piece: Piece, some: slice, part: Part, rows: slice) -> None:
    with np.errstate(over="ignore"):  # what is too large for the type is found as infinite
        if isinstance(piece.values, list):
            for j, column in enumerate(piece.values):
                part.X[rows, j] = column[some]
        else:
            part.X[rows] = piece.values[some]
        if part.sample_weight is not None:
            assert piece.sample_weight is not None
            part.sample_weight[rows] = piece.sample_weight[some]


def check_columns(values: Any, n_features: int | None, place: str) -> NDArray[Any]:
    """Return a table of real numbers with as many columns as the source has.

    Parameters
    ----------
    values : array-like
    n_features : int or None
        None: any.
    place : str
        Where the table is from.

    Returns
    -------
    array of shape (m, n_features)

    Raises
    ------
    ValueError
        If it is something else.
    """
    array = np.asarray(values)
    expected = "n_features" if n_features is None else n_features
    is_table = array.ndim == 2 and array.shape[1] > 0 and array.dtype.kind in "biuf"
    if not is_table or n_features not in (None, array.shape[1]):
        raise ValueError(
            f"{place}: expected real numbers of shape (n_samples, {expected}), got an array of "
            f"shape {array.shape} and dtype {array.dtype}."
        )
    return array


def float_type(dtypes: Sequence["np.dtype[Any]"]) -> "np.dtype[Any]":
    """Return float32 if all types are float32 or narrower floats, else float64.

    Parameters
    ----------
    dtypes : sequence of dtype

    Returns
    -------
    dtype
    """
    narrow = all(dtype.kind == "f" and dtype.itemsize <= 4 for dtype in dtypes)
    return np.dtype(np.float32 if narrow else np.float64)
