"""What a pass keeps of the distances, as every backend reads and writes it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .layout import SMALLEST_BLOCK, Array

#: The longest distance that is kept in a code, in steps.
LARGEST_CODE = 127
#: A pass that writes codes computes distances to the end up to so many nats below ``CUT``.
MARGIN = 24.0


class KeptDistances(NamedTuple):
    """Distances of an earlier pass, and what they say of those of this one.

    With y = |factor x + shift|, so that ``log_prob = coefficient - y^2``. For each unit of
    `SMALLEST_BLOCK` rows, and each component, there are `SMALLEST_BLOCK` codes in turn. A code is
    how many whole ``steps`` long y was, at most `LARGEST_CODE`. Where the component mattered and y
    was shorter than that, `LARGEST_CODE` + 1 is added. Elsewhere y may have been longer.

    Attributes
    ----------
    codes : (units * K * SMALLEST_BLOCK,) array of uint8
        Empty: nothing is kept.
    steps : (K,) array
        How long a step is.
    upper : (3 K,) array of float32
        Scale, shift and coefficient of each component: now its log-probability is at most
        coefficient - max(scale code + shift, 0)^2. Empty: this pass writes the codes.
    lower : (3 K,) array of float32
        The same: now the log-probability is at least coefficient - (scale code + shift)^2, where
        `LARGEST_CODE` + 1 was added.
    counts : (units,) array of int64
        Written at the first unit of each block: the number of pairs of a sample and a component
        that were computed; by a pass that writes codes, of those to whose code `LARGEST_CODE` + 1
        was added.
    """

    codes: NDArray[np.uint8]
    steps: Array
    upper: NDArray[np.float32]
    lower: NDArray[np.float32]
    counts: NDArray[np.int64]

    def from_row(self, start: int) -> "KeptDistances":
        """Return what is kept of the rows from one on, the first of a unit."""
        unit = start // SMALLEST_BLOCK
        codes = self.codes[start * len(self.steps) :]
        return self._replace(codes=codes, counts=self.counts[unit:])


_NO_BOUNDS = np.empty(0, np.float32)
#: For passes that keep no distances.
NOTHING_KEPT = KeptDistances(
    np.empty(0, np.uint8), np.empty(0), _NO_BOUNDS, _NO_BOUNDS, np.empty(0, np.int64)
)
