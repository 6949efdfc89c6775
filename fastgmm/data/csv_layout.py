"""How a text file of a table is written: separator, decimal mark, header; given or found."""

import codecs
import contextlib
import csv
import io
import warnings
from itertools import islice
from typing import NamedTuple

_BYTE_ORDER_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
#: How files begin that are no text.
_MAGIC = {".csv.gz": b"\x1f\x8b", ".parquet": b"PAR1", ".npy": b"\x93NUMPY", ".npz": b"PK\3\4"}
_SEPARATORS = (",", ";", "\t", "|", " ")
_ROWS = 50
_MOST_BLANKS = 2

#: Cells that hold no value.
MISSING = frozenset(
    (
        *("", "NA", "N/A", "n/a", "#N/A", "#NA", "<NA>"),
        *("NaN", "nan", "-nan", "NULL", "null", "None", "?"),
    )
)
#: The same with blanks beside them, as where columns are separated by ", ".
MISSING_CELLS = [
    " " * before + text + " " * after
    for text in sorted(MISSING)
    for before in range(_MOST_BLANKS + 1)
    for after in range(_MOST_BLANKS + 1)
]


class TextFormat(NamedTuple):
    """What a user says of a text file; None: to be found.

    Attributes
    ----------
    separator : str or None
        One character.
    encoding : str or None
        A name that Python knows. Without it: that of the byte order mark, else UTF-8.
    header : bool or None
        Whether the first row holds the names of the columns.
    """

    separator: str | None = None
    encoding: str | None = None
    header: bool | None = None


class CsvLayout(NamedTuple):
    """How a text file is written.

    Attributes
    ----------
    encoding, separator, decimal : str
    n_blank : int
        Blank lines before the first row.
    first : list of str
        The cells of the first row.
    has_header : bool
    is_quoted : bool
        Whether a cell may hold a line break.
    """

    encoding: str
    separator: str
    decimal: str
    n_blank: int
    first: list[str]
    has_header: bool
    is_quoted: bool

    @property
    def names(self) -> list[str] | None:
        """The names of the columns, '' where there is none; None without a header."""
        if not self.has_header:
            return None
        # numpy.savetxt begins a header with '# '
        return [cell.strip() for cell in [self.first[0].lstrip("# "), *self.first[1:]]]


def find_layout(source: str, head: bytes, is_whole: bool, given: TextFormat) -> CsvLayout:
    """Return how a file is written, by what is given and by its first bytes.

    A first row that has a number and could be either a header or a sample is taken as a sample,
    with a warning.

    Parameters
    ----------
    source : str
        For messages.
    head : bytes
        The beginning of the file.
    is_whole : bool
        Whether that is all of it.
    given : TextFormat

    Raises
    ------
    ValueError
        If the text cannot be decoded, or has no row.

    Warns
    -----
    UserWarning
        If the first row may be a header of numbers.
    """
    encoding = given.encoding or _BYTE_ORDER_MARKS.get(head[:2], "utf-8")
    text = _decode(source, head, encoding, is_whole)
    body = text.lstrip("\r\n")
    n_blank = len(text[: len(text) - len(body)].splitlines())
    marks = _SEPARATORS if given.separator is None else (given.separator,)
    tables = {mark: _rows(body, mark, is_whole) for mark in marks}
    separator = max(marks, key=lambda mark: _likelihood(tables[mark], mark))
    rows = tables[separator]
    if not rows:
        raise ValueError(f"{source}: expected rows of numbers, got none.")
    if given.separator is not None and len(rows[0]) == 1:
        tables = {mark: _rows(body, mark, is_whole) for mark in _SEPARATORS}
        if any(_likelihood(table, mark)[0] for mark, table in tables.items()):
            raise ValueError(
                f"{source}: the first row has no {separator!r}. Without --separator it is found."
            )
    decimal = _decimal(rows, separator)
    has_header = _has_header(source, rows[0], decimal) if given.header is None else given.header
    if has_header and is_whole and len(rows) == 1:
        raise ValueError(f"{source}: expected rows of numbers, got a header alone.")
    return CsvLayout(encoding, separator, decimal, n_blank, rows[0], has_header, '"' in body)


def _decode(source: str, head: bytes, encoding: str, is_whole: bool) -> str:
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
        return decoder.decode(head, final=is_whole).removeprefix("\ufeff")
    except (LookupError, TypeError, AttributeError):  # no encoding, or none of text
        raise ValueError(f"--encoding: Python knows no encoding {encoding!r}.") from None
    except ValueError as error:
        raise ValueError(
            f"{source}: expected text in {encoding.upper()} ({getattr(error, 'reason', error)}). "
            f"{_remedy(head)}"
        ) from None


def _remedy(head: bytes) -> str:
    for name, magic in _MAGIC.items():
        if head.startswith(magic):
            return f"It is a file of another kind: its name should end in {name}."
    return "--encoding names another one, such as cp1252."


def _rows(text: str, separator: str, is_whole: bool) -> list[list[str]]:
    """Return the first rows that are not blank, without one that may have been cut."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        rows = [row for row in islice(reader, _ROWS + 1) if row]
    except csv.Error:  # a cell of 128 kB: it is another separator
        return []
    return rows if is_whole else rows[:-1]


def _likelihood(rows: list[list[str]], separator: str) -> tuple[bool, float, int]:
    """Rank separators: rows of one width, then numbers as cells, then wide rows."""
    widths = {len(row) for row in rows}
    cells = [cell for row in rows[1:] or rows for cell in row]
    decimal = _decimal(rows, separator)
    numbers = sum(_is_number(cell, decimal) or _is_missing(cell) for cell in cells)
    width = max(widths) if len(widths) == 1 else 1
    return width > 1, numbers / max(len(cells), 1), width


def _decimal(rows: list[list[str]], separator: str) -> str:
    """Return ',' where numbers have a decimal comma, and none has a point."""
    cells = [cell for row in rows for cell in row]
    points = any("." in cell and _is_number(cell, ".") for cell in cells)
    commas = any("," in cell and _is_number(cell, ",") for cell in cells)
    return "," if separator != "," and commas and not points else "."


def _has_header(source: str, first: list[str], decimal: str) -> bool:
    """Return whether the first row holds names; warn where these may be numbers."""
    numbers = [cell for cell in first if _is_number(cell, decimal)]
    texts = [cell for cell in first if not _is_number(cell, decimal) and not _is_missing(cell)]
    if not numbers:
        return bool(texts) or not any(first)  # a row of missing values is no header
    if texts:
        raise ValueError(
            f"{source}: the first row has both text ({texts[0]!r}) and numbers ({numbers[0]!r}): "
            "say --header if it holds names, or --no-header if it is a sample."
        )
    if len(set(numbers)) == len(numbers):
        shown = ", ".join(first[:4]) + (", .." if len(first) > 4 else "")
        warnings.warn(
            f"{source}: the first row holds numbers ({shown}) and is read as a sample. "
            "Say --header if they are names, or --no-header.",
            stacklevel=2,
        )
    return False


def _is_missing(cell: str) -> bool:
    return cell.strip() in MISSING


def _is_number(cell: str, decimal: str) -> bool:
    if _is_missing(cell) or "_" in cell:
        return False
    with contextlib.suppress(ValueError):
        float(cell if decimal == "." else cell.replace(".", "x").replace(",", "."))
        return True
    return False
