"""Samples of a source: read part by part, with the same statistics as in memory."""

from collections.abc import Callable, Generator, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._kernels.layout import Array
from .equal_weights import equal_weights
from .finite import LARGEST_ABSENT
from .samples import Samples, part_rows
from .sources.base import Part, Source
from .sources.read_ahead import read_ahead
from .sources.survey import Survey
from .sources.window import Window


class _Once(Source):
    """The samples of a weighted source, with a weight of 1 where theirs is positive."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.n_features = source.n_features
        self.dtype = source.dtype
        self.is_weighted = True

    def parts(self, n_rows: int) -> Iterator[Part]:
        for X, weight in self._source.parts(n_rows):
            yield Part(X, None if weight is None else (weight > 0).astype(np.float64))


def _harmless(parts: Iterator[Part]) -> Generator[Part, None, None]:
    """Yield parts in which the rows of weight 0 that disturb are zeros."""
    for X, weight in parts:
        if weight is not None and not (weight > 0).all():
            absent = np.flatnonzero(weight == 0)
            if not (np.abs(X[absent]) <= LARGEST_ABSENT).all():
                copy = np.array(X)
                copy[absent] = 0.0
                yield Part(copy, weight)
                continue
        yield Part(X, weight)


class SourceSamples(Samples):
    """Samples of a source.

    All rows are read once for their number and to check them, and then for each pass. Rows that are
    asked for in their order are served from the part that has been read.

    Parameters
    ----------
    source : Source

    Raises
    ------
    ValueError
        If a number is not finite, a weight is not valid, or the source is damaged.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.n_features = source.n_features
        self.is_weighted = source.is_weighted
        self.with_missing = False
        self._present = None
        self._part_rows = n_rows = part_rows(source.n_features)
        # no method: a window that holds these samples would outlive them
        self._parts: Callable[[], Generator[Part, None, None]] = lambda: _harmless(
            source.parts(n_rows)
        )
        self._window = Window(self._parts)
        # rows of a weighted source that were read last: their weights are asked for next
        self._last: tuple[int, int, Part] | None = None
        survey = Survey(source)
        for part in read_ahead(self._parts()):
            survey.add(part)
        self._survey = survey.finish()
        self.n_samples = survey.n_samples

    in_memory = False

    @property
    def has_equal_weights(self) -> bool:
        """Whether all samples of positive weight have the same."""
        return not self.is_weighted or self._survey.least_weight == self._survey.largest_weight

    def once(self) -> Samples:
        """Return the same samples with a weight of 1 where theirs is positive."""
        return SourceSamples(_Once(self.source)) if self.is_weighted else self

    @property
    def is_converted(self) -> bool:
        """True: rows are not in memory."""
        return True

    @property
    def is_integer(self) -> bool:
        """False: rows are read as floats."""
        return False

    @property
    def dtype(self) -> "np.dtype[Any]":
        """The type of the rows that the kernels get."""
        return self.source.dtype

    @property
    def result_dtype(self) -> "np.dtype[Any]":
        """The type of results that are as precise as the samples."""
        return self.source.dtype

    @property
    def total_weight(self) -> float:
        """Sum of the weights."""
        return self._survey.total_weight

    @property
    def n_present(self) -> int:
        """How many samples have a positive weight."""
        return self._survey.n_present

    @property
    def first_present(self) -> int:
        """The first sample of positive weight."""
        return self._survey.first_present

    @property
    def largest_magnitude(self) -> float:
        """The largest absolute value."""
        return self._survey.largest_magnitude

    @property
    def sample_weight(self) -> Array:
        """Refused where it would be an array of ``n_samples``; `weight` returns some."""
        if self.is_weighted:
            raise ValueError(
                "This needs the weights of all samples at once, and so samples in memory."
            )
        return equal_weights(self.n_samples)

    def blocks(self) -> Iterator[tuple[NDArray[Any], Array]]:
        """Yield (X, sample_weight), part by part; the next part is read in the background.

        The arrays are valid until the next ones are asked for.
        """
        n = 0
        self._window.close()
        self._last = None
        for X, weight in read_ahead(self._parts()):
            n += len(X)
            yield X, equal_weights(len(X)) if weight is None else weight
        self._check_count(n)

    def _check_count(self, n: int) -> None:
        if n != self.n_samples:
            raise ValueError(
                f"The source had {self.n_samples} rows when it was first read, and has {n} now. A "
                "fit needs the same rows each time."
            )

    def weight(self, rows: Any) -> Array:
        """Return the weights of some rows, given by a slice."""
        start, stop, step = rows.indices(self.n_samples)
        if not self.is_weighted:
            return equal_weights(len(range(start, stop, step)))
        weight = self._read(start, stop).sample_weight
        assert weight is not None
        return weight[::step]

    def unconverted_rows(self, rows: Any) -> NDArray[Any]:
        """Return a copy of some rows: a slice, or an array of their numbers in ascending order."""
        if not isinstance(rows, slice):
            return self.source.select(np.asarray(rows, np.intp), self._part_rows).X
        start, stop, step = rows.indices(self.n_samples)
        return self._read(start, stop).X[::step]

    def _read(self, start: int, stop: int) -> Part:
        """Return a copy of the rows from start to stop, which may be those of the call before."""
        if self._last is not None and self._last[:2] == (start, stop):
            return self._last[2]
        X = np.empty((stop - start, self.n_features), self.dtype)
        weight = np.empty(stop - start) if self.is_weighted else None
        at = 0
        for part in self._window.pieces(start, stop):
            some = slice(at, at + len(part.X))
            X[some], at = part.X, some.stop
            if weight is not None:
                weight[some] = part.sample_weight
        copied = Part(X, weight)
        self._last = (start, stop, copied) if self.is_weighted else None
        return copied

    def take(self, rows: Any) -> Samples:
        """Return some samples with their weights, in memory.

        Parameters
        ----------
        rows : slice or array of int
            In ascending order.
        """
        rows = np.arange(self.n_samples)[rows] if isinstance(rows, slice) else np.asarray(rows)
        return Samples(*self.source.select(rows, self._part_rows))

    def take_present(self, positions: NDArray[np.intp]) -> Samples:
        """Return some of the samples of positive weight, by their positions among these."""
        if self.n_present == self.n_samples:
            return self.take(positions)
        kept: list[NDArray[Any]] = []
        weights: list[Array] = []
        first = 0
        for X, weight in self._parts():
            assert weight is not None  # else all are present
            rows = np.flatnonzero(weight)
            start, stop = np.searchsorted(positions, (first, first + len(rows)))
            chosen = rows[positions[start:stop] - first]
            kept.append(X[chosen])
            weights.append(weight[chosen])
            first += len(rows)
        return Samples(np.concatenate(kept), np.concatenate(weights))

    def with_weight(self, sample_weight: Array | None) -> Samples:  # noqa: ARG002
        """Refused: a source brings its own weights."""
        raise ValueError("Other weights need samples in memory, got a source.")
