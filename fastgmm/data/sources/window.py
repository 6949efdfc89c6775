"""Some rows of a source at a time, asked for from the first to the last."""

from collections.abc import Callable, Generator, Iterator

from .base import Part
from .read_ahead import read_ahead


class Window:
    """The part of a source that was read last, and what follows it.

    Rows that lie before it are found by reading from the first row again.

    Parameters
    ----------
    read : callable
        Returns a generator of the parts, from the first.
    """

    def __init__(self, read: Callable[[], Generator[Part, None, None]]) -> None:
        self._read = read
        self._following: Iterator[Part] | None = None
        self._part: Part | None = None
        self._start = 0  # the first row of the part

    def pieces(self, start: int, stop: int) -> Iterator[Part]:
        """Yield the rows from start to stop, a piece for each part that holds some.

        Parameters
        ----------
        start, stop : int

        Yields
        ------
        Part
            Valid until the next piece is asked for.

        Raises
        ------
        IndexError
            If there are fewer rows.
        """
        while start < stop:
            if self._following is None or start < self._start:
                self.close()
                self._following = read_ahead(self._read())
            end = self._start + (0 if self._part is None else len(self._part.X))
            if self._part is None or start >= end:
                self._part, self._start = None, end
                self._part = next(self._following, None)
                if self._part is None:
                    raise IndexError(f"row {stop - 1} of {end}")
                continue
            some = slice(start - self._start, min(stop, end) - self._start)
            X, weight = self._part
            yield Part(X[some], None if weight is None else weight[some])
            start = min(stop, end)

    def close(self) -> None:
        """Forget what has been read."""
        self._following = self._part = None
        self._start = 0
