"""Arrow's tables and streams of record batches."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..arrow import check_numeric, float_name, float_values, import_pyarrow
from ..columns import Columns, Request
from .assembly import AssembledSource, Assembly, Piece


class ArrowColumns:
    """Which columns of an Arrow schema are features, and which one is the weight.

    Parameters
    ----------
    source : str
        For messages.
    schema : pyarrow.Schema
    columns : sequence of str or None
        Features; None: all but the weight.
    weight : str or None

    Attributes
    ----------
    features : list of str
    weight : str or None
    dtype : dtype

    Raises
    ------
    ValueError
        If there is no such column, or it holds no numbers.
    """

    def __init__(
        self, source: str, schema: Any, columns: Sequence[str] | None, weight: str | None
    ) -> None:
        index = (schema.pandas_metadata or {}).get("index_columns", [])
        n_index = sum(name in index for name in schema.names)
        own = Columns(source, len(schema.names), list(schema.names), n_index)
        choice = own.choose(Request(columns, weights=weight))
        for i in choice.numbers:
            check_numeric(own, i, schema.types[i])
        self.features = [schema.names[i] for i in choice.features]
        self.weight = None if choice.weights is None else schema.names[choice.weights]
        self.dtype = np.dtype(float_name([schema.types[i] for i in choice.features]))

    @property
    def names(self) -> list[str]:
        """All columns that are read."""
        return [*self.features, *([] if self.weight is None else [self.weight])]

    def piece(self, batch: Any) -> Piece:
        """Return the numbers of a record batch.

        Parameters
        ----------
        batch : pyarrow.RecordBatch
        """
        columns = [float_values(batch.column(name)) for name in self.features]
        weight = None if self.weight is None else float_values(batch.column(self.weight))
        return Piece(columns, weight)


class ArrowSource(AssembledSource):
    """A source of named columns, which Arrow reads."""

    def choose(self, columns: ArrowColumns) -> None:
        """Set which columns are read.

        Parameters
        ----------
        columns : ArrowColumns
        """
        self.columns = columns
        self.feature_names = columns.features
        self.n_features = len(columns.features)
        self.dtype = columns.dtype
        self.is_weighted = columns.weight is not None


class Arrow(ArrowSource):
    """An Arrow table, or streams of record batches that a function opens.

    Parameters
    ----------
    data : pyarrow.Table, or callable
        A function returns a new ``pyarrow.RecordBatchReader`` of the same rows each time.
    columns : sequence of str, optional
        The features; all by default.
    weight : str, optional
        The column of weights, which is then no feature.
    memory : int or str, optional
        Most memory that the process may take, such as ``"2GB"``.

    Raises
    ------
    TypeError
        If ``data`` is something else; a reader is no function, and can be read once.
    ValueError
        If there is no such column, or it holds no numbers.
    ImportError
        If pyarrow is not installed.
    """

    def __init__(
        self,
        data: Any,
        columns: Sequence[str] | None = None,
        weight: str | None = None,
        memory: int | str | None = None,
    ) -> None:
        super().__init__(memory)
        pyarrow = import_pyarrow("data")
        if isinstance(data, pyarrow.Table):
            self._open: Callable[[], Any] = data.to_reader
            self.n_samples = data.num_rows
        elif callable(data):
            self._open = data
        else:
            raise TypeError(
                "data should be a pyarrow.Table, or a function that returns a "
                f"pyarrow.RecordBatchReader, got {type(data).__name__}."
            )
        with self._open() as reader:
            self.choose(ArrowColumns("data", reader.schema, columns, weight))

    def pieces(self, assembly: Assembly) -> Iterator[Piece]:  # noqa: ARG002
        """Yield the batches as they come."""
        with self._open() as reader:
            for batch in reader:
                yield self.columns.piece(batch)
