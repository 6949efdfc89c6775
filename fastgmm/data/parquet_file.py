"""Tables in Parquet files, read by pyarrow."""

from pathlib import Path
from typing import Any

from .arrow import copy_cells, import_pyarrow
from .cells import Cells, damage_of
from .columns import Choice, Columns

_NARROW = ("float", "halffloat")
_NUMBERS = ("floating", "integer", "boolean", "decimal", "null")


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
            self._check_numeric(i)
        if dtype is None:
            narrow = all(str(self._types[i]) in _NARROW for i in choice.features)
            dtype = "float32" if narrow else "float64"
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

    def _check_numeric(self, position: int) -> None:
        from pyarrow import types

        kind = self._types[position]
        content = kind.value_type if types.is_dictionary(kind) else kind
        if not any(getattr(types, f"is_{numbers}")(content) for numbers in _NUMBERS):
            raise ValueError(
                f"{self.columns.source}, {self.columns.name(position)}: expected numbers, got "
                f"{kind}. Choose features with --columns, or leave it out with --id."
            )
