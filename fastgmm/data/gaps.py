"""Where values are missing: rows without gaps, and the others in the order of their patterns."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._kernels.layout import LARGEST_BLOCK

Rows = NDArray[np.int64]

# Numbers that are looked through, or gathered, at a time: 16 MB.
_ELEMENTS = 2**21


class Gaps(NamedTuple):
    """The rows of a table with missing values.

    Attributes
    ----------
    complete : (m,) array of int
        Rows that have all values.
    incomplete : (n - m,) array of int
        The others. Rows that miss the same features are neighbours.
    blank : (n,) array of bool
        Which rows have no value at all.
    n_features : int
    """

    complete: Rows
    incomplete: Rows
    blank: NDArray[np.bool_]
    n_features: int

    def parts(self, largest: int | None = None) -> Iterator[tuple[Rows, bool]]:
        """Yield rows to gather at a time, and whether they are complete.

        Parameters
        ----------
        largest : int, optional
            Largest number of rows, if that is less than 16 MB of them.
        """
        step = _ELEMENTS // self.n_features
        step = step if largest is None else min(step, largest)
        step = max(step // LARGEST_BLOCK, 1) * LARGEST_BLOCK
        for rows, is_complete in ((self.complete, True), (self.incomplete, False)):
            for start in range(0, len(rows), step):
                yield rows[start : start + step], is_complete


def find_gaps(samples: Any) -> Gaps | None:
    """Return where the values of samples are NaN; None where all are there.

    Parameters
    ----------
    samples : Samples
    """
    incomplete, patterns = [], []
    blank = np.zeros(samples.n_samples, np.bool_)
    for rows in samples.block_slices(max(_ELEMENTS // samples.n_features, 1)):
        X = samples.rows(rows)
        with np.errstate(over="ignore", invalid="ignore"):
            if not np.isnan(X.sum()):  # also NaN where infinities cancel
                continue
        missing = np.isnan(X)
        found = np.flatnonzero(missing.any(axis=1))
        blank[rows] = missing.all(axis=1)
        incomplete.append(rows.start + found)
        patterns.append(np.packbits(missing[found], axis=1))
    if not sum(map(len, incomplete)):
        return None
    unsorted = np.concatenate(incomplete)
    is_complete = np.ones(samples.n_samples, np.bool_)
    is_complete[unsorted] = False
    order = np.lexsort(np.concatenate(patterns).T)  # keeps the order of equal ones
    return Gaps(np.flatnonzero(is_complete), unsorted[order], blank, samples.n_features)
