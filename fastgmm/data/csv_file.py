"""Tables in text files, read by pyarrow."""

import re
import sys
from itertools import takewhile
from pathlib import Path
from typing import Any

from .arrow import copy_cells, import_pyarrow
from .cells import Cells, damage_of
from .columns import Choice, Columns
from .csv_layout import MISSING_CELLS, TextFormat, find_layout

_HEAD = 2**16
_HEAD_LINES = 3
_CSV_BLOCK = 2**22  # the longest row
_CSV_ERROR = re.compile(
    r"In CSV column #(?P<column>\d+): (?:Row #(?P<row>\d+): )?"
    r"CSV conversion error to \w+: invalid (?:value '(?P<cell>.*)'|UTF8)",
    re.DOTALL,
)
_CSV_ROW_ERROR = re.compile(
    r"CSV parse error: (?:Row #(?P<row>\d+): )?(?P<what>Expected .*? got \d+)"
)


class CsvFile:
    """A text file with one row for each sample.

    Parameters
    ----------
    source : str
        A file, which may be compressed by gzip, or ``-`` for standard input.
    given : TextFormat

    Attributes
    ----------
    columns : Columns
    """

    def __init__(self, source: str, given: TextFormat) -> None:
        self._source = source
        import_pyarrow(self._title)
        self._text = _read_stdin() if source == "-" else None
        with damage_of(self._title), self._open() as file:
            head, rest = file.read(_HEAD), file.read(1)
            while rest and _count_lines(head) < _HEAD_LINES and len(head) < _CSV_BLOCK:
                head, rest = head + rest + file.read(len(head)), file.read(1)
        self._layout = find_layout(self._title, head, not rest, given)
        n_columns, first_row = len(self._layout.first), 1 + self._layout.has_header
        self.columns = Columns(self._title, n_columns, self._layout.names, first_row=first_row)

    @property
    def _title(self) -> str:
        return "standard input" if self._source == "-" else self._source

    def read(self, choice: Choice, dtype: str | None) -> Cells:
        """Return the columns that are chosen.

        Raises
        ------
        ValueError
            If a cell is no number, or rows differ in length.
        """
        numbers = set(choice.numbers)
        columns = self._columns(choice, numbers, set(choice.ids) - numbers)
        # the words of a cell, where its number is wanted too
        words = self._columns(choice, set(), set(choice.ids) & numbers)
        return copy_cells(columns, choice, dtype or "float64", words)

    def _open(self) -> Any:
        import pyarrow

        if self._text is not None:
            return pyarrow.BufferReader(self._text)
        with Path(self._source).open("rb"):  # raises what Python raises
            compression = "gzip" if self._source.lower().endswith(".gz") else None
            return pyarrow.input_stream(self._source, compression)

    def _columns(self, choice: Choice, numbers: set[int], texts: set[int]) -> dict[int, Any]:
        """Return columns of numbers and of text by their position."""
        from pyarrow import ArrowInvalid

        if not numbers | texts:
            return {}
        message = ""
        for use_threads in (True, False):  # a second time, for the row in the message
            with damage_of(self._title):
                try:
                    table = self._parse(numbers, texts, use_threads)
                except ArrowInvalid as error:
                    message = str(error)
                    continue
            return {int(name[1:]): table.column(name) for name in table.column_names}
        raise ValueError(f"{self._title}{self._explain(message, choice)}")

    def _parse(self, numbers: set[int], texts: set[int], use_threads: bool) -> Any:
        """Return the columns f0, f1, ... of some numbers."""
        import pyarrow
        from pyarrow import csv

        layout = self._layout
        types = dict.fromkeys((f"f{i}" for i in sorted(numbers)), pyarrow.float64())
        types |= dict.fromkeys((f"f{i}" for i in sorted(texts)), pyarrow.large_string())
        has_one = len(layout.first) == 1
        with self._open() as file:
            table = csv.read_csv(
                file,
                csv.ReadOptions(
                    use_threads=use_threads,
                    block_size=_CSV_BLOCK,
                    skip_rows=layout.n_blank,
                    skip_rows_after_names=int(layout.has_header),
                    autogenerate_column_names=True,
                    encoding=layout.encoding,
                ),
                csv.ParseOptions(
                    delimiter=layout.separator,
                    newlines_in_values=layout.is_quoted,
                    ignore_empty_lines=not has_one,  # else such a line is a missing value
                ),
                csv.ConvertOptions(
                    column_types=types,
                    include_columns=list(types),
                    null_values=MISSING_CELLS,
                    decimal_point=layout.decimal,
                ),
            )
        return table.slice(0, len(table) - self._n_blank_at_end()) if has_one else table

    def _n_blank_at_end(self) -> int:
        """Return how many lines at the end are empty."""
        tail = b""
        with self._open() as file:
            while chunk := file.read(_CSV_BLOCK):
                tail = (tail + chunk)[-_HEAD:]
        lines = tail.decode(self._layout.encoding, "ignore").splitlines()
        return sum(1 for _ in takewhile(lambda line: not line, reversed(lines)))

    def _explain(self, message: str, choice: Choice) -> str:
        found = _CSV_ERROR.match(message)
        if found is not None:
            row = f", row {found['row']}" if found["row"] else ""
            position = int(found["column"])
            column = self.columns.name(position)
            if found["cell"] is None:
                return f"{row}, {column}: expected text in {self._layout.encoding.upper()}."
            remedy = " Choose features with --columns, or leave it out with --id."
            if position not in choice.features or len(self._layout.first) == 1:
                remedy = ""
            return f"{row}, {column}: expected a number, got {found['cell'][:60]!r}.{remedy}"
        found = _CSV_ROW_ERROR.match(message)
        if found is not None:
            row = f", row {found['row']}" if found["row"] else ""
            return f"{row}: {found['what'].replace('Expected', 'expected')}."
        if "Empty CSV file" in message:
            return ": expected rows of numbers, got none."
        return f": {message.partition(chr(10))[0]}"


def _read_stdin() -> bytes:
    if sys.stdin is None:
        raise ValueError("standard input: expected a table, but it is closed.")
    return sys.stdin.buffer.read()


def _count_lines(text: bytes) -> int:
    text = text.lstrip(b"\r\n")
    return max(text.count(b"\n"), text.count(b"\r"))
