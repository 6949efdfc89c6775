"""Tables that a command writes: to a file, or as text to stdout."""

import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from ..persistence import replacing

_TEXT_ROWS = 2**14


def write_table(output: str | None, table: NDArray[Any]) -> None:
    """Write an array to a .npy or .csv file, or as text to stdout.

    Text has a row of comma-separated numbers for each sample, with all digits that are needed to
    read the same numbers back.

    Parameters
    ----------
    output : str or None
        None: stdout.
    table : array of shape (n_samples,) or (n_samples, n_columns)

    Raises
    ------
    OSError
        If the file cannot be written; an older file of that name is then unchanged.
    """
    if output is None:
        _write_text(sys.stdout, table)
        return
    with replacing(output) as file:
        if Path(output).suffix.lower() == ".npy":
            np.save(file, table)
        else:
            text = TextIOWrapper(file, encoding="utf-8", newline="\n")
            _write_text(text, table)
            text.detach()


def _write_text(file: TextIO, table: NDArray[Any]) -> None:
    table = table.reshape(len(table), -1)
    for start in range(0, len(table), _TEXT_ROWS):
        rows = table[start : start + _TEXT_ROWS].tolist()
        file.write("".join(",".join(map(repr, row)) + "\n" for row in rows))
