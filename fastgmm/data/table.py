"""Tables of samples: from a file, from standard input, or built in."""

import warnings
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray

from .array_file import ArrayTable, read_npy, read_npz, split_member
from .cells import Cells
from .columns import Choice, Columns, Request
from .complete import complete_rows
from .csv_file import CsvFile
from .csv_layout import TextFormat
from .parquet_file import ParquetFile
from .sample_data import load_sample

_PREFIX = "sample:"
_TEXT = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
_ARRAYS = {".npy": read_npy, ".npz": read_npz}

#: What a table can be read from.
KINDS = "a .csv, .tsv, .csv.gz, .parquet, .npy or .npz file, - (standard input) or sample:NAME"


class Table(NamedTuple):
    """Samples, with what belongs to each.

    Attributes
    ----------
    X : array of shape (n_samples, n_features), or Source
        Finite, or NaN where a missing value is kept. A read-only memory map for a .npy file.
    names : list of str or None
        Names of the features, where the columns have names.
    weights : array of shape (n_samples,) or None
        Finite.
    ids : dict
        The columns that are kept as they are, by name: arrays of NumPy or of pyarrow.
    """

    X: NDArray[Any]
    names: list[str] | None
    weights: NDArray[Any] | None
    ids: dict[str, Any]


class _Reader(Protocol):
    @property
    def columns(self) -> Columns: ...

    def read(self, choice: Choice, dtype: str | None) -> Cells: ...


def is_file(text: str) -> bool:
    """Return whether a text names a file of a table, and not a column."""
    name = split_member(text)[0].lower()
    return name.endswith((*_TEXT, *_ARRAYS, ".parquet"))


def read_table(
    source: str,
    request: Request | None = None,
    *,
    text_format: TextFormat | None = None,
    weights_file: str | None = None,
    dtype: str | None = None,
    drop_missing: bool = False,
    keep_missing: bool = False,
) -> Table:
    """Read samples, and what belongs to each.

    Parameters
    ----------
    source : str
        One of `KINDS`.
    request : Request, optional
        The columns; by default all are features.
    text_format : TextFormat, optional
        How a text file is written; by default that is found.
    weights_file : str, optional
        A file with one weight for each row of the source.
    dtype : {'float32', 'float64'}, optional
        Of X; by default as in the file, and float64 for text.
    drop_missing : bool
        Leave out rows with a missing value, instead of raising.
    keep_missing : bool
        Keep rows with missing features, which are NaN.

    Raises
    ------
    ValueError
        If the source is damaged or none of these, or does not hold a table of finite numbers, apart
        from what ``keep_missing`` allows.
    OSError
        If the file cannot be read.
    ImportError
        If the file needs a package that is not installed.

    Warns
    -----
    UserWarning
        If rows are left out, or the first row of a text file may be a header of numbers.
    """
    request = Request() if request is None else request
    reader = _open(source, TextFormat() if text_format is None else text_format)
    choice = reader.columns.choose(request)
    cells = reader.read(choice, dtype)
    if not len(cells.X):
        raise ValueError(f"{reader.columns.source}: expected rows of numbers, got none.")
    columns = reader.columns
    weights_columns = None
    if weights_file is not None:
        weights, weights_columns = _read_weights(weights_file, len(cells.X))
        cells = cells._replace(weights=weights)
    cells = complete_rows(cells, columns, choice, drop_missing, weights_columns, keep_missing)
    ids = dict(zip(columns.labels(choice.ids), cells.ids, strict=True))
    names = None if columns.names is None else columns.labels(choice.features)
    return Table(cells.X, names, cells.weights, ids)


def _open(source: str, text_format: TextFormat) -> _Reader:
    name = split_member(source)[0].lower()
    suffix = Path(name).suffix
    if source.startswith(_PREFIX):
        return ArrayTable(source, load_sample(source.removeprefix(_PREFIX)))
    if suffix in _ARRAYS:
        return ArrayTable(source, _ARRAYS[suffix](source))
    if suffix == ".parquet":
        return ParquetFile(source)
    if source != "-" and not name.endswith(_TEXT):
        raise ValueError(f"{source}: expected {KINDS}.")
    if ".tsv" in name and text_format.separator is None:
        text_format = text_format._replace(separator="\t")
    return CsvFile(source, text_format)


def _read_weights(source: str, n_samples: int) -> tuple[NDArray[Any], Columns]:
    suffix = Path(split_member(source)[0].lower()).suffix
    columns = Columns(source, 1)
    if suffix in _ARRAYS:
        weights = _ARRAYS[suffix](source)
    else:
        with warnings.catch_warnings():
            # a header of numbers that is read as a weight is one too many
            warnings.simplefilter("ignore")
            reader = _open(source, TextFormat())
        columns = reader.columns
        weights = reader.read(columns.choose(Request()), None).X
    if weights.shape not in ((n_samples,), (n_samples, 1)):
        raise ValueError(
            f"{source}: expected {n_samples} weights, one for each sample, "
            f"got an array of shape {weights.shape}."
        )
    return weights.reshape(-1), columns
