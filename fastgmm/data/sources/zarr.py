"""Arrays in Zarr's format."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .assembly import AssembledSource, Assembly, Piece, check_columns, float_type

# Numbers that are decoded at a time: 16 MB, or a chunk of the array.
_ELEMENTS = 2**21


class Zarr(AssembledSource):
    """A Zarr array of shape (n_samples, n_features).

    Parameters
    ----------
    array : str, path or zarr.Array
        A path is opened for reading.
    weights : str, path or zarr.Array, optional
        Of shape (n_samples,).
    memory : int or str, optional
        Most memory that the process may take, such as ``"2GB"``.

    Raises
    ------
    ValueError
        If an array has another shape, or holds no real numbers.
    ImportError
        If zarr is not installed.
    """

    def __init__(self, array: Any, weights: Any = None, memory: int | str | None = None) -> None:
        super().__init__(memory)
        self._array = _open(array)
        self._name = str(array) if isinstance(array, str | Path) else "array"
        shape = self._array.shape
        if len(shape) != 2 or not shape[1] or self._array.dtype.kind not in "biuf":
            raise ValueError(
                f"{self._name}: expected real numbers of shape (n_samples, n_features), got an "
                f"array of shape {shape} and dtype {self._array.dtype}."
            )
        self.n_samples, self.n_features = shape
        self.dtype = float_type([self._array.dtype])
        self._weights = None if weights is None else _open(weights)
        self.is_weighted = self._weights is not None
        if self._weights is not None and self._weights.shape != shape[:1]:
            raise ValueError(
                f"weights should have the shape of ({shape[0]},), got {self._weights.shape}."
            )

    def pieces(self, assembly: Assembly) -> Iterator[Piece]:  # noqa: ARG002
        """Yield whole chunks."""
        n, chunk = self._array.shape[0], self._array.chunks[0]
        if n != self.n_samples:
            raise ValueError(
                f"{self._name} has changed since it was opened: it has {n} rows, not "
                f"{self.n_samples}."
            )
        step = max(_ELEMENTS // self.n_features // chunk, 1) * chunk
        for start in range(0, n, step):
            rows = slice(start, min(start + step, n))
            values = check_columns(self._array[rows], self.n_features, self._name)
            weight = None if self._weights is None else np.asarray(self._weights[rows])
            yield Piece(values, weight)


def _open(array: Any) -> Any:
    if not isinstance(array, str | Path):
        return array
    try:
        import zarr
    except ImportError as error:
        raise ImportError(f"{array}: reading it needs zarr: pip install zarr") from error
    return zarr.open_array(str(array), mode="r")
