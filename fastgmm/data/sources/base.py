"""What a source of samples is."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._kernels.layout import Array
from .memory import parse_memory


class Part(NamedTuple):
    """Some rows in their order.

    Attributes
    ----------
    X : (m, d) array
        float64 or float32.
    sample_weight : (m,) array or None
        None: each row counts once.
    """

    X: NDArray[Any]
    sample_weight: Array | None = None


class Source(ABC):
    """Samples that are read from the first to the last row, as often as a fit needs.

    A source is handed to ``fit``, ``score``, ``predict`` and ``select`` in place of an array. The
    rows are read part by part while the kernels compute, so that memory does not grow with
    ``n_samples``. The result has the bits of the same rows in one array.

    Parameters
    ----------
    memory : int or str, optional
        Most memory that the process may take, such as ``"2GB"``.

    Attributes
    ----------
    n_features : int
    dtype : dtype
        float32 or float64.
    feature_names : list of str or None
    is_weighted : bool
        Whether it brings a weight for each row.
    n_samples : int or None
        None where only reading all tells.
    memory : int or None
        Bytes that the process may take; None: no limit.
    """

    n_features: int
    dtype: "np.dtype[Any]"
    feature_names: list[str] | None = None
    is_weighted: bool = False
    n_samples: int | None = None

    def __init__(self, memory: int | str | None = None) -> None:
        self.memory = None if memory is None else parse_memory(memory)

    @abstractmethod
    def parts(self, n_rows: int) -> Iterator[Part]:
        """Yield all rows in their order, ``n_rows`` at a time and the rest at last.

        The arrays of a part are valid until the next part is asked for, when one part more may
        already have been read.

        Parameters
        ----------
        n_rows : int

        Yields
        ------
        Part

        Raises
        ------
        ValueError
            If what is read is damaged, or not what it was when the source was made.
        """

    @property
    def shape(self) -> tuple[int | None, int]:
        """Numbers of samples and of features, as of an array."""
        return self.n_samples, self.n_features

    def place(self, row: int) -> str:  # noqa: ARG002  of sources that know
        """Return where a row is found, for messages: " (row group 2 of x.parquet)" or nothing.

        Parameters
        ----------
        row : int

        Returns
        -------
        str
        """
        return ""

    @property
    def paths(self) -> list[Path]:
        """The files, in the order of their rows; none where rows are not in files."""
        return []

    def select(self, rows: NDArray[np.intp], n_rows: int) -> Part:
        """Return some rows, in float arrays of their own; all are read for it.

        Parameters
        ----------
        rows : array of int
            In ascending order.
        n_rows : int
            How many rows are read at a time.

        Returns
        -------
        Part
        """
        X = np.empty((len(rows), self.n_features), self.dtype)
        weight = np.empty(len(rows)) if self.is_weighted else None
        start = 0
        for part in self.parts(n_rows):
            stop = start + len(part.X)
            first, last = np.searchsorted(rows, (start, stop))
            X[first:last] = part.X[rows[first:last] - start]
            if weight is not None and part.sample_weight is not None:
                weight[first:last] = part.sample_weight[rows[first:last] - start]
            start = stop
        return Part(X, weight)
