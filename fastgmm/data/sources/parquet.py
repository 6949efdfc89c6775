"""Parquet files, of which a few thousand rows are decoded at a time."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from ..arrow import import_pyarrow
from ..cells import damage_of
from .arrow import ArrowColumns, ArrowSource
from .assembly import Assembly, Piece
from .files import Files, paths_of

# Numbers that are decoded at a time, in so many rows at the least; bytes that are read of a column.
_NUMBERS = 2**18
_LEAST_ROWS = 2**10
_BUFFER = 2**16


class Parquet(ArrowSource):
    """Tables in Parquet files, one below the other: one file, several, or all of a folder.

    Parameters
    ----------
    paths : str, path, or sequence of these
        Files; a folder, for all its .parquet files by name; or a pattern such as
        ``"data/*.parquet"``.
    columns : sequence of str, optional
        The features; all by default. No other column is read.
    weight : str, optional
        The column of weights, which is then no feature.
    memory : int or str, optional
        Most memory that the process may take, such as ``"2GB"``.

    Raises
    ------
    ValueError
        If a file is damaged, has no such column, or other columns than the first file.
    OSError
        If a file cannot be read.
    ImportError
        If pyarrow is not installed.
    """

    def __init__(
        self,
        paths: Any,
        columns: Sequence[str] | None = None,
        weight: str | None = None,
        memory: int | str | None = None,
    ) -> None:
        super().__init__(memory)
        self._files = Files(paths_of(paths, (".parquet",)))
        import_pyarrow(str(self._files.paths[0]))
        self._counts: list[int] = []
        self._groups: list[list[int]] = []  # rows of each row group of each file
        for number, path in enumerate(self._files.paths):
            with damage_of(str(path)), _open(path) as file:
                own = ArrowColumns(str(path), file.schema_arrow, columns, weight)
                metadata = file.metadata
            if number == 0:
                self.choose(own)
            elif own.features != self.feature_names:
                raise ValueError(
                    f"{path}: expected the columns {self.feature_names} of "
                    f"{self._files.paths[0]}, got {own.features}."
                )
            self.dtype = max(self.dtype, own.dtype)
            groups = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
            self._groups.append(groups)
            self._counts.append(sum(groups))
        self.n_samples = sum(self._counts)

    @property
    def paths(self) -> list[Path]:
        """The files, in the order of their rows."""
        return self._files.paths

    def pieces(self, assembly: Assembly) -> Iterator[Piece]:  # noqa: ARG002
        """Yield some thousand rows of a row group at a time."""
        n_rows = max(_NUMBERS // self.n_features, _LEAST_ROWS)
        for number, path in enumerate(self._files.paths):
            self._files.check(number)
            start = sum(self._counts[:number])
            with _open(path) as file:
                batches = file.iter_batches(n_rows, columns=self.columns.names)
                while True:
                    with damage_of(f"{path}{self._group(number, start)}"):
                        batch = next(batches, None)
                    if batch is None:
                        break
                    yield self.columns.piece(batch)
                    start += batch.num_rows
            self._files.check(number)

    def place(self, row: int) -> str:
        """Return the file and the row group of a row."""
        number, row_of_file = self._files.find(row, self._counts)
        group = self._group(number, row)
        return f" (row {row_of_file}{group} of {self._files.paths[number]})"

    def _group(self, number: int, row: int) -> str:
        row -= sum(self._counts[:number])
        ends = accumulate(self._groups[number])
        group = next((i for i, end in enumerate(ends) if row < end), None)
        return "" if group is None else f", row group {group}"


def _open(path: Path) -> Any:
    from pyarrow import parquet

    return parquet.ParquetFile(
        path, buffer_size=_BUFFER, pre_buffer=False, page_checksum_verification=True
    )
