"""Tables in Parquet files, read by pyarrow."""

from pathlib import Path
from typing import Any

from .arrow import check_numeric, copy_cells, float_name, import_pyarrow
from .cells import Cells, damage_of
from .columns import Choice, Columns


class ParquetFile:
    """A Parquet file.

    Parameters
    ----------
    source : str

    Attributes
    ----------
    columns : Columns
    """

    def __init__(self, source: str) -> None:
        import_pyarrow(source)
        from pyarrow import parquet

        with Path(source).open("rb"), damage_of(source):
            self._file = parquet.ParquetFile(source, page_checksum_verification=True)
            schema = self._file.schema_arrow
            index = (schema.pandas_metadata or {}).get("index_columns", [])
            n_index = sum(name in index for name in schema.names)
        self._types: list[Any] = schema.types
        self.columns = Columns(source, len(schema.names), schema.names, n_index)

    def read(self, choice: Choice, dtype: str | None) -> Cells:
        """Return the columns that are chosen; float32 where all features are.

        Raises
        ------
        ValueError
            If a column holds no numbers, or the file is damaged.
        """
        for i in choice.numbers:
            check_numeric(self.columns, i, self._types[i])
        if dtype is None:
            dtype = float_name([self._types[i] for i in choice.features])
        names = {i: self._name(i) for i in choice.all}
        with damage_of(self.columns.source):
            table = self._file.read(list(names.values()))
        columns = {i: table.column(name) for i, name in names.items()}
        del table
        return copy_cells(columns, choice, dtype)

    def _name(self, position: int) -> str:
        names = self.columns.names or []
        if names.count(names[position]) > 1:
            raise ValueError(
                f"{self.columns.source}: several columns are named {names[position]!r}."
            )
        return names[position]
