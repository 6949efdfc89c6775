"""Samples and their weights, given to the kernels block by block, without a copy of all."""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .._kernels.layout import LARGEST_BLOCK, Array
from .containers import Frame, to_table
from .equal_weights import equal_weights
from .gaps import Gaps, find_gaps
from .numbers import is_float_array

# Numbers in a part: 32 MB. The statistics of all slots are merged once a part, and take more time
# with more features. So a part takes up to 64 MB where that is at most 2^18 rows. No part has fewer
# than 2^15 rows.
_PART_ELEMENTS = 2**22
_PART_ROWS = 2**18
_LEAST_PART_ROWS = 2**15
# Rows converted at a time for data that the kernels cannot read in place: about 16 MB.
_CONVERTED_ELEMENTS = 2**21
T = TypeVar("T")


def part_rows(n_features: int) -> int:
    """Return how many rows are added up at a time, wherever they are held.

    The statistics of parts are added in their order, so samples in a file have the statistics of
    the same samples in memory, to the bit.

    Parameters
    ----------
    n_features : int

    Returns
    -------
    int
    """
    rows = _PART_ELEMENTS // n_features
    many = min(2 * rows, _PART_ROWS)
    return max(rows, many, _LEAST_PART_ROWS) // LARGEST_BLOCK * LARGEST_BLOCK


class Samples:
    """An (n, d) table of samples with one weight for each row, in memory.

    float64 and float32 arrays in any memory order (C, Fortran, strided, read-only maps) are read
    in place. Other numeric arrays, and data frames whose columns do not lie in one
    float array, are converted a block of rows at a time.

    Parameters
    ----------
    X : array-like or data frame of shape (n_samples, n_features)
    sample_weight : (n_samples,) array, optional
        Weights; each counts as that many copies of its row. None: 1 for all, without an array.
    with_missing : bool, default=False
        Whether NaN stands for a missing value.
    """

    def __init__(
        self, X: Any, sample_weight: Array | None = None, with_missing: bool = False
    ) -> None:
        self._table = to_table(X)
        self.n_samples, self.n_features = (int(size) for size in self._table.shape)
        self.is_weighted = sample_weight is not None
        self._weight = sample_weight
        self.with_missing = with_missing
        self._present: NDArray[np.bool_] | None = None

    @property
    def sample_weight(self) -> Array:
        """The weight of each sample."""
        return equal_weights(self.n_samples) if self._weight is None else self._weight

    @cached_property
    def gaps(self) -> Gaps | None:
        """Where values are missing; None where none is."""
        return find_gaps(self) if self.with_missing and not self.is_integer else None

    def take(self, rows: Any) -> "Samples":
        """Return some samples with their weights, in a float array.

        Parameters
        ----------
        rows : slice or array of int

        Returns
        -------
        Samples
        """
        weight = self.sample_weight[rows] if self.is_weighted else None
        return Samples(self.rows(rows), weight, self.with_missing)

    def without_absent(self) -> "Samples":
        """Return the samples of positive weight, in a copy; `in_all_rows` knows the others.

        Returns
        -------
        Samples
        """
        present = self.sample_weight > 0
        rows = np.flatnonzero(present)
        weight = self.sample_weight[rows]
        samples = Samples(self.unconverted_rows(rows), weight, self.with_missing)
        samples._present = present
        return samples

    def in_all_rows(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return labels for all rows that were handed in: -1 for rows that were left out.

        Parameters
        ----------
        labels : (n_samples,) array of int

        Returns
        -------
        array of int
        """
        if self._present is None:
            return labels
        all_labels = np.full(len(self._present), -1, np.int64)
        all_labels[self._present] = labels
        return all_labels

    def of_present(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values, one for each row that was handed in, of the rows that were not left out.

        Parameters
        ----------
        values : array of shape (n_samples, ...)
            Of another length: returned as they are.

        Returns
        -------
        array
        """
        if self._present is None or np.shape(values)[:1] != self._present.shape:
            return values
        return np.asarray(values[self._present])

    #: Whether any row is at hand; else rows are best read in their order.
    in_memory = True

    @property
    def is_converted(self) -> bool:
        """Whether rows are converted block by block, and not read in place."""
        return not is_float_array(self._table)

    @property
    def is_integer(self) -> bool:
        """Whether all numbers are integers or bools, which are finite."""
        return self._table.dtype.kind in "biu"

    @property
    def dtype(self) -> "np.dtype[Any]":
        """The type of the rows that the kernels get."""
        return np.dtype(np.float32 if self._table.dtype == np.float32 else np.float64)

    @property
    def result_dtype(self) -> "np.dtype[Any]":
        """The type of results that are as precise as the samples: float32 or float64."""
        dtype = self._table.dtype
        return np.dtype(np.float32 if dtype.kind == "f" and dtype.itemsize <= 4 else np.float64)

    def with_weight(self, sample_weight: Array | None) -> "Samples":
        """Return the same samples with other weights.

        Parameters
        ----------
        sample_weight : (n_samples,) array, optional
            None: 1 for all.

        Returns
        -------
        Samples
        """
        return Samples(self._table, sample_weight, self.with_missing)

    @property
    def total_weight(self) -> float:
        """Sum of the weights, part by part."""
        if not self.is_weighted:
            return float(self.n_samples)
        return sum(float(self.weight(rows).sum()) for rows in self.block_slices())

    @property
    def n_present(self) -> int:
        """How many samples have a positive weight."""
        return int(np.count_nonzero(self.sample_weight)) if self.is_weighted else self.n_samples

    @property
    def has_equal_weights(self) -> bool:
        """Whether all samples of positive weight have the same."""
        if not self.is_weighted:
            return True
        weights = self.sample_weight[self.sample_weight > 0]
        return bool((weights == weights[:1]).all())

    def once(self) -> "Samples":
        """Return the same samples with a weight of 1 where theirs is positive.

        Returns
        -------
        Samples
        """
        return self.with_weight((self.sample_weight > 0).astype(np.float64))

    @property
    def first_present(self) -> int:
        """The first sample of positive weight."""
        return int((self.sample_weight > 0).argmax())

    @property
    def largest_magnitude(self) -> float:
        """The largest absolute value, missing ones apart."""
        largest = 0.0
        for X, _ in self.blocks():
            if self.gaps is None:
                extremes = X.max(), -X.min()
            else:
                extremes = np.fmax.reduce(X, axis=None), -np.fmin.reduce(X, axis=None)
            largest = max(largest, *map(float, extremes))
        return largest

    def weight(self, rows: Any) -> Array:
        """Return the weights of some rows.

        Parameters
        ----------
        rows : slice or array of int

        Returns
        -------
        (m,) array
        """
        some: Array = self.sample_weight[rows]
        return some

    def sum(self, function: Callable[..., T], *arguments: Any, n_threads: int) -> T:
        """Return ``function(samples, *arguments, n_threads)``, a sum over the rows.

        Whoever needs no more than a sum asks for it here. So the rows may lie in parts on several
        machines: there the function is called with each part, and what it returns is added up.

        Parameters
        ----------
        function : callable
            Of a module, so that another process can find it. Its results can be added by ``+``.
        *arguments
        n_threads : int
            Does not change the result.

        Returns
        -------
        object
        """
        return function(self, *arguments, n_threads)

    def states(self, function: Callable[..., Any], *arguments: Any, n_threads: int) -> Any:
        """Return ``function(samples, *arguments, n_threads)``: what `sum_with_states` needs first.

        Parameters
        ----------
        function, *arguments, n_threads : object
            As for `sum`.

        Returns
        -------
        object
        """
        return function(self, *arguments, n_threads)

    def sum_with_states(
        self, function: Callable[..., tuple[T, Any]], states: Any, *arguments: Any, n_threads: int
    ) -> tuple[T, Any]:
        """Return a sum over the rows, as `sum` does, and what the parts keep for the next one.

        Parameters
        ----------
        function : callable
            ``function(part, state, *arguments, n_threads)`` returns a term and the next state, and
            leaves ``state`` as it is: it may be called again. None: a part has no state.
        states : object
            What this method or `states` returned. Parts elsewhere make theirs in the first sum.
        *arguments
        n_threads : int
            Does not change the result.

        Returns
        -------
        tuple
        """
        return function(self, states, *arguments, n_threads)

    def blocks(self) -> Iterator[tuple[NDArray[Any], Array]]:
        """Yield (X, sample_weight) in float arrays, part by part."""
        for rows in self.block_slices():
            yield self.rows(rows), self.weight(rows)

    def block_slices(self, largest: int | None = None) -> Iterator[slice]:
        """Yield the rows of each block.

        Parameters
        ----------
        largest : int, optional
            Largest number of rows in a block. None: those of a part; fewer where rows are
            converted.
        """
        step = part_rows(self.n_features)
        if self.in_memory and self.is_converted:
            largest = min(largest or step, _CONVERTED_ELEMENTS // self.n_features)
        if largest is not None:
            step = max(min(step, largest) // LARGEST_BLOCK, 1) * LARGEST_BLOCK
        for start in range(0, self.n_samples, step):
            yield slice(start, min(start + step, self.n_samples))

    def rows(self, rows: Any) -> NDArray[Any]:
        """Return some rows as a float array: a view for a slice of an array read in place.

        Parameters
        ----------
        rows : slice or array of int

        Returns
        -------
        (m, d) array
            float64 or float32.
        """
        selected = self.unconverted_rows(rows)
        if isinstance(selected, Frame):
            selected = selected.to_array()
        if is_float_array(selected):
            return selected
        with np.errstate(over="ignore"):  # a long double may be too large: it becomes infinite
            return np.require(selected, self.dtype, "A")

    def unconverted_rows(self, rows: Any) -> "NDArray[Any] | Frame":
        """Return some rows as they are held.

        Parameters
        ----------
        rows : slice or array of int

        Returns
        -------
        array or Frame
        """
        return self._table[rows]
