"""How far the densities of few components lie below those of all."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._kernels.layout import Array

# Chance that a larger share of the samples than ``share`` has a larger gap.
_CHANCE = 0.05


class VariationalGap(NamedTuple):
    """What truncated predictions lose, measured on samples drawn at random.

    Attributes
    ----------
    mean : float
        Mean of the gap between log p(x) and its bound, in nats.
    standard_error : float
        Of the mean, as an estimate for all samples; infinite from one sample.
    largest : float
        The largest gap of those that were drawn.
    share : float
        At most this part of all samples has a larger one, with a confidence of 95 %: 1 - 0.05^(1/m)
        from m samples; 0 if all were compared.
    other_labels : float
        Part of the samples whose label is not the component of the largest responsibility.
    """

    mean: float
    standard_error: float
    largest: float
    share: float
    other_labels: float

    @classmethod
    def of_some(cls, gaps: Array, is_other: NDArray[np.bool_], n_samples: int) -> "VariationalGap":
        """Return what some samples tell of all.

        Parameters
        ----------
        gaps : (m,) array
        is_other : (m,) array of bool
            Whether the label is another one.
        n_samples : int
            Of all samples.

        Returns
        -------
        VariationalGap
        """
        m = len(gaps)
        error = share = 0.0
        if m < n_samples:
            error = float(np.std(gaps, ddof=1) / np.sqrt(m)) if m > 1 else np.inf
            share = 1.0 - _CHANCE ** (1.0 / m)
        return cls(float(gaps.mean()), error, float(gaps.max()), share, float(is_other.mean()))
