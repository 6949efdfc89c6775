"""Tables in .npy files, which are mapped into memory a part at a time."""

import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..array_file import Header, read_header
from .assembly import AssembledSource, Assembly, Piece, float_type
from .base import Part
from .files import Files, paths_of

_PAGE = 4096


class ArrayFiles(AssembledSource):
    """Tables in .npy files, one below the other: one file, several, or all of a folder.

    Rows of float64 or float32 in C order are mapped into memory where they lie, a part at a time.
    Others are copied, a part at a time.

    Parameters
    ----------
    paths : str, path, or sequence of these
        Files; a folder, for all its .npy files by name; or a pattern such as ``"data/*.npy"``.
    weights : str, path, or sequence of these, optional
        Files of one weight for each row, one for each file of samples.
    memory : int or str, optional
        Most memory that the process may take, such as ``"2GB"``.

    Raises
    ------
    ValueError
        If a file is damaged, holds no table of real numbers, or has another number of columns.
    OSError
        If a file cannot be read.

    Examples
    --------
    >>> import numpy as np, tempfile, pathlib
    >>> from fastgmm import GaussianMixture, sources
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> X = np.random.default_rng(0).standard_normal((1000, 2))
    >>> np.save(folder / "0.npy", X[:600])
    >>> np.save(folder / "1.npy", X[600:])
    >>> model = GaussianMixture(2, random_state=0)
    >>> float(model.fit(sources.ArrayFiles(folder)).score(X)) == float(model.fit(X).score(X))
    True
    """

    def __init__(self, paths: Any, weights: Any = None, memory: int | str | None = None) -> None:
        super().__init__(memory)
        self._files = Files(paths_of(paths, (".npy",)))
        self._headers = [_header(path) for path in self._files.paths]
        shapes = [header.shape for header in self._headers]
        for path, shape in zip(self._files.paths, shapes, strict=True):
            if len(shape) != 2 or shape[1] != shapes[0][-1]:
                raise ValueError(
                    f"{path}: expected a table of shape (n_samples, n_features)"
                    f"{f' with {shapes[0][1]} columns' if len(shapes[0]) == 2 else ''}, got an "
                    f"array of shape {shape}."
                )
        self.n_features = shapes[0][1]
        self._counts = [shape[0] for shape in shapes]
        self.n_samples = sum(self._counts)
        self.dtype = float_type([header.dtype for header in self._headers])
        self.is_weighted = weights is not None
        self._weights = None if weights is None else self._check_weights(weights)

    def _check_weights(self, weights: Any) -> Files:
        files = Files(paths_of(weights, (".npy",)))
        shapes = [_header(path).shape for path in files.paths]
        expected = [(count,) for count in self._counts]
        if shapes != expected:
            raise ValueError(
                f"weights should be files of the shapes {expected}, one weight for each row of "
                f"each file of samples, got {shapes}."
            )
        return files

    @property
    def paths(self) -> list[Path]:
        """The files, in the order of their rows."""
        return self._files.paths

    def pieces(self, assembly: Assembly) -> Iterator[Piece]:
        """Yield what completes the next part, or ends a file."""
        row = 0
        for number, path in enumerate(self._files.paths):
            self._files.check(number)
            table = _Table(path, self._headers[number])
            weights = self._weights_of(number)
            start = 0
            while start < self._counts[number]:
                stop = min(start + assembly.missing, self._counts[number])
                weight = None if weights is None else weights.rows(start, stop).ravel()
                row += stop - start
                yield Piece(table.rows(start, stop), weight, row == self.n_samples)
                start = stop
            self._files.check(number)

    def _weights_of(self, number: int) -> "_Table | None":
        if self._weights is None:
            return None
        self._weights.check(number)
        path = self._weights.paths[number]
        return _Table(path, _header(path))

    def place(self, row: int) -> str:
        """Return the file of a row."""
        number, row = self._files.find(row, self._counts)
        return f" (row {row} of {self._files.paths[number]})"

    def select(self, rows: NDArray[np.intp], n_rows: int) -> Part:  # noqa: ARG002
        """Return some rows; others are not read."""
        X = np.empty((len(rows), self.n_features), self.dtype)
        weight = np.empty(len(rows)) if self.is_weighted else None
        first = 0
        for number, path in enumerate(self._files.paths):
            self._files.check(number)
            stop = sum(self._counts[: number + 1])
            last = int(np.searchsorted(rows, stop))
            some = rows[first:last] - (stop - self._counts[number])
            table = _Table(path, self._headers[number])
            X[first:last] = table.some(some)
            weights = self._weights_of(number)
            if weight is not None and weights is not None:
                weight[first:last] = weights.some(some).ravel()
            first = last
        return Part(X, weight)


def _header(path: Path) -> Header:
    with path.open("rb") as file:
        return read_header(str(path), file, os.fstat(file.fileno()).st_size)


class _Table:
    """Windows on the array of a file: no more of it is mapped than is asked for."""

    def __init__(self, path: Path, header: Header) -> None:
        self._path = path
        self._header = header
        shape = header.shape
        self._n_columns = int(np.prod(shape[1:]))
        self._in_rows = header.order == "C" or len(shape) == 1

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Return some rows, as they lie in the file."""
        if not self._in_rows:
            return np.array(self._whole()[start:stop], order="F")
        stride = self._n_columns * self._header.dtype.itemsize
        first = self._header.offset + start * stride
        begin = first // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
        end = self._header.offset + stop * stride
        with self._path.open("rb") as file:
            window = mmap.mmap(file.fileno(), end - begin, access=mmap.ACCESS_READ, offset=begin)
        count = (stop - start) * self._n_columns
        values = np.frombuffer(window, self._header.dtype, count, first - begin)
        # brings the pages into memory, without the interpreter's lock
        np.frombuffer(window, np.uint8)[::_PAGE].max()
        return values.reshape(stop - start, self._n_columns)

    def some(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        """Return a copy of some rows, in ascending order."""
        if not self._in_rows:
            return np.array(self._whole()[rows])
        values = np.empty((len(rows), self._n_columns), self._header.dtype)
        step = max(2**26 // (self._n_columns * self._header.dtype.itemsize), 1)
        for begin in range(0, self._header.shape[0], step):
            first, last = np.searchsorted(rows, (begin, begin + step))
            if first < last:
                end = min(begin + step, self._header.shape[0])
                values[first:last] = self.rows(begin, end)[rows[first:last] - begin]
        return values

    def _whole(self) -> NDArray[Any]:
        header = self._header
        return np.memmap(self._path, header.dtype, "r", header.offset, header.shape, header.order)
