"""Tables that a command writes: to a file, or as text to stdout."""

import csv
import sys
from collections.abc import Iterable
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from .options import file_type
from .output_file import writing

if TYPE_CHECKING:
    from numpy.typing import NDArray

TABLE = ".csv or .parquet file, or .npy without names (default: text with a header on stdout)"
TABLE_FILE = file_type(".csv", ".parquet", ".npy")
_TEXT_CELLS = 2**17


def check_columns(output: str | None, ids: Iterable[str], names: Iterable[str]) -> None:
    """Raise where columns cannot be written, before they are computed.

    Raises
    ------
    ValueError
        If a name occurs twice, or a .npy file would need identifiers.
    ImportError
        If the file needs a package that is not installed.
    """
    twice = sorted({*ids} & {*names})
    if twice:
        raise ValueError(f"--id {twice[0]}: the output has a column of that name.")
    suffix = _suffix(output)
    if suffix == ".npy" and ids:
        raise ValueError(f"{output}: --id needs a .csv or .parquet file.")
    if suffix == ".parquet":
        from ..data.arrow import import_pyarrow

        import_pyarrow(str(output))


def write_table(output: str | None, columns: dict[str, Any], numbers: "NDArray[Any]") -> None:
    """Write a row for each sample.

    Text has a header, and all digits that are needed to read the same numbers back.

    Parameters
    ----------
    output : str or None
        None: text on stdout.
    columns : dict
        Arrays of NumPy or of pyarrow, by name.
    numbers : array
        What a .npy file holds.

    Raises
    ------
    OSError
        If the file cannot be written; an older file of that name is then unchanged.
    """
    if output is None:
        if sys.stdout is None:
            raise OSError("standard output is closed: --output names a file.")
        _write_text(sys.stdout, columns)
        return
    from ..persistence import replacing

    with writing(output), replacing(output) as file:
        if _suffix(output) == ".npy":
            import numpy as np

            np.save(file, numbers)
        elif _suffix(output) == ".parquet":
            import pyarrow
            from pyarrow import parquet

            parquet.write_table(pyarrow.table(columns), file, write_page_checksum=True)
        else:
            text = TextIOWrapper(file, encoding="utf-8", newline="")
            _write_text(text, columns)
            text.detach()


def _suffix(output: str | None) -> str:
    return "" if output is None else Path(output).suffix.lower()


def _write_text(file: TextIO, columns: dict[str, Any]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    n_samples = max(map(len, columns.values()))
    step = max(_TEXT_CELLS // len(columns), 1)
    for start in range(0, n_samples, step):
        block = [column[start : start + step].tolist() for column in columns.values()]
        writer.writerows(zip(*block, strict=True))
