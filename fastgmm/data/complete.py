"""Rows with missing values: refused with their number, or left out."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cells import Cells
from .columns import Choice, Columns

_BLOCK_ROWS = 2**16

_Mask = NDArray[np.bool_]


def complete_rows(
    cells: Cells,
    columns: Columns,
    choice: Choice,
    drop_missing: bool,
    weights_columns: Columns | None = None,
    keep_missing: bool = False,
) -> Cells:
    """Return the rows that have all values; a row of weight 0 is absent and needs none.

    Parameters
    ----------
    cells : Cells
    columns : Columns
        For messages.
    choice : Choice
    drop_missing : bool
        Leave out rows with missing values.
    weights_columns : Columns, optional
        The file that weights come from which are no column.
    keep_missing : bool, default=False
        Keep rows with missing features.

    Raises
    ------
    ValueError
        If a value is infinite, a weight is infinite or negative, or one is missing and rows are
        neither kept nor left out, or no row is left.

    Warns
    -----
    UserWarning
        If rows are left out.
    """
    X, weights = cells.X, cells.weights
    present = np.ones(len(X), np.bool_) if weights is None else weights != 0
    incomplete = _incomplete(X, present, columns, choice, keep_missing)
    if weights is not None:
        wrong = np.flatnonzero(np.isinf(weights) | (weights < 0.0))
        if len(wrong):
            i = int(wrong[0])
            row = (weights_columns or columns).row(i)
            raise ValueError(f"{row}: expected a finite weight of at least 0, got {weights[i]}.")
        incomplete |= np.isnan(weights)
    if not incomplete.any():
        return cells
    kept = ~incomplete
    if not kept.any():
        raise ValueError(f"{columns.source}: no row has all values.")
    missing = incomplete & present
    if missing.any():
        what = _first_gap(missing, cells, columns, choice, weights_columns)
        if not drop_missing:
            remedy = "--drop-missing leaves such rows out"
            if np.isnan(X[missing.argmax()]).any():
                remedy += ", --missing marginalize uses what they have"
            raise ValueError(f"{columns.source}: found {what} {remedy}.")
        warnings.warn(f"{columns.source}: left out {what}", stacklevel=3)
    return Cells(
        X[kept],
        None if weights is None else weights[kept],
        [_take(column, kept) for column in cells.ids],
    )


def _incomplete(
    X: NDArray[Any], present: _Mask, columns: Columns, choice: Choice, keep_missing: bool
) -> _Mask:
    """Return which rows of X cannot be used; raise where one that is present is infinite."""
    incomplete = np.zeros(len(X), np.bool_)
    for start in range(0, len(X), _BLOCK_ROWS):
        block = X[start : start + _BLOCK_ROWS]
        finite = np.isfinite(block)
        if finite.all():
            continue
        infinite = np.argwhere(np.isinf(block) & present[start : start + len(block), np.newaxis])
        for row, column in infinite[:1].tolist():
            raise ValueError(
                f"{columns.row(start + row)}, {columns.name(choice.features[column])}: "
                f"expected a finite number, got {block[row, column]}{_in_type(block)}."
            )
        usable = finite | np.isnan(block) if keep_missing else finite
        incomplete[start : start + len(block)] = ~usable.all(axis=1)
    return incomplete


def _in_type(block: NDArray[Any]) -> str:
    # what is finite in the file may not be so in float32
    return " (as float32)" if block.dtype == np.float32 else ""


def _first_gap(
    missing: _Mask,
    cells: Cells,
    columns: Columns,
    choice: Choice,
    weights_columns: Columns | None,
) -> str:
    """Return how many rows miss a value, and where the first one does."""
    first = int(missing.argmax())
    gaps = np.flatnonzero(np.isnan(cells.X[first]))
    if not len(gaps) and weights_columns is not None:
        where = weights_columns.row(first)
    else:
        position = choice.features[gaps[0]] if len(gaps) else choice.weights
        assert position is not None
        where = f"row {first + columns.first_row}, {columns.name(position)}"
    count = np.count_nonzero(missing)
    return f"{count:,} of {len(missing):,} rows with missing values, the first in {where}."


def _take(column: Any, kept: _Mask) -> Any:
    return column[kept] if isinstance(column, np.ndarray) else column.filter(kept)
