"""Batches that a function makes, as often as they are asked for."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..containers import to_array
from .assembly import AssembledSource, Assembly, Piece, check_columns, float_type
from .base import Part


class Batches(AssembledSource):
    """Batches from a function that yields them anew whenever it is called.

    Parameters
    ----------
    factory : callable
        Returns an iterable of tables of shape (m, n_features), of any numbers of rows; or, for
        samples with weights, of pairs of a table and its (m,) weights. It must yield the same rows
        each time.
    memory : int or str, optional
        Most memory that the process may take, such as ``"2GB"``.

    Raises
    ------
    TypeError
        If ``factory`` cannot be called.
    ValueError
        If it yields no rows, or no tables of real numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import GaussianMixture, sources
    >>> def batches():
    ...     for seed in range(4):
    ...         yield np.random.default_rng(seed).standard_normal((500, 2))
    >>> GaussianMixture(2, random_state=0).fit(sources.Batches(batches)).n_features_in_
    2
    """

    def __init__(
        self, factory: Callable[[], Iterable[Any]], memory: int | str | None = None
    ) -> None:
        super().__init__(memory)
        if not callable(factory):
            raise TypeError(
                "factory should be a function that returns an iterable of batches, got "
                f"{type(factory).__name__}. A generator can be read once: hand in the function "
                "that makes it."
            )
        self._factory = factory
        self._n_rows: int | None = None
        first = next((piece for piece in self._pieces(None) if piece.n_rows), None)
        if first is None:
            raise ValueError("factory should yield batches of samples, but it yields no rows.")
        table = np.asarray(first.values)
        self.n_features = table.shape[1]
        self.dtype = float_type([table.dtype])
        self.is_weighted = first.sample_weight is not None

    def parts(self, n_rows: int) -> Iterator[Part]:
        """Yield all rows in their order, as `Source.parts`; they must be as many each time."""
        total = 0
        for part in super().parts(n_rows):
            total += len(part.X)
            yield part
        if self._n_rows not in (None, total):
            raise ValueError(
                f"factory should yield the same rows each time, but it yielded {self._n_rows} "
                f"rows before and {total} now."
            )
        self._n_rows = total

    def pieces(self, assembly: Assembly) -> Iterator[Piece]:  # noqa: ARG002
        """Yield the batches as they come."""
        return self._pieces(self.n_features)

    def _pieces(self, n_features: int | None) -> Iterator[Piece]:
        for number, batch in enumerate(self._factory()):
            place = f"batch {number}"
            weight = None
            if isinstance(batch, tuple):
                if len(batch) != 2:
                    raise ValueError(
                        f"{place}: expected a table, or a pair of a table and weights, got a "
                        f"tuple of {len(batch)}."
                    )
                batch, weight = batch
                weight = to_array(weight, f"the weights of {place}")
            table = to_array(batch, place)
            table = check_columns(table, n_features, place)
            if weight is not None and weight.shape != (len(table),):
                raise ValueError(
                    f"{place}: expected {len(table)} weights, one for each row, got an array of "
                    f"shape {weight.shape}."
                )
            if n_features is not None and (weight is not None) != self.is_weighted:
                raise ValueError(
                    f"{place}: either all batches have weights or none, but this one has "
                    f"{'none' if weight is None else 'some'}."
                )
            yield Piece(table, weight)
