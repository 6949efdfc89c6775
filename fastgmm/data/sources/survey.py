"""What one look at all rows of a source tells, and whether kernels can take them."""

import numpy as np

from ..equal_weights import equal_weights
from ..finite import not_finite
from .base import Part, Source


class Survey:
    """Counts and extremes of the rows that have been added, which are checked.

    Parameters
    ----------
    source : Source
        For messages.

    Attributes
    ----------
    n_samples : int
    n_present : int
        Rows of positive weight.
    first_present : int
        The first of these.
    total_weight : float
    least_weight, largest_weight : float
        Of rows of positive weight.
    largest_magnitude : float
        Of the numbers.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.n_samples = self.n_present = self.first_present = 0
        self.total_weight = 0.0
        self.least_weight, self.largest_weight = np.inf, 0.0
        self.largest_magnitude = 0.0

    def add(self, part: Part) -> None:
        """Check the next rows, and add them.

        Parameters
        ----------
        part : Part

        Raises
        ------
        ValueError
            If a number is not finite, or a weight is not valid.
        """
        X, weight = part
        if weight is None:
            weight = equal_weights(len(X))
        else:
            self._check_weight(weight)
        self._check_finite(part)
        is_present = weight > 0
        if not self.n_present and is_present.any():
            self.first_present = self.n_samples + int(is_present.argmax())
        self.least_weight = min(self.least_weight, float(weight[is_present].min(initial=np.inf)))
        self.largest_weight = max(self.largest_weight, float(weight.max()))
        self.largest_magnitude = max(self.largest_magnitude, float(X.max()), -float(X.min()))
        with np.errstate(over="ignore"):
            self.total_weight += float(weight.sum())
        self.n_present += int(np.count_nonzero(is_present))
        self.n_samples += len(X)

    def finish(self) -> "Survey":
        """Return the survey of all rows.

        Returns
        -------
        Survey

        Raises
        ------
        ValueError
            If the weights of all rows are zero, or have no finite sum.
        """
        if self.n_samples and not self.n_present:
            raise ValueError("A source should have a row of positive weight, but all are zero.")
        if self.total_weight == np.inf:
            raise ValueError(
                "The weights of a source should have a finite sum, but it overflows: the largest "
                f"weight is {self.largest_weight}."
            )
        return self

    def _check_weight(self, weight: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> None:
        bad = np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)))
        if len(bad):
            row = self.n_samples + int(bad[0])
            raise ValueError(
                "The weights of a source should be finite and non-negative, but got "
                f"{weight[bad[0]]} for sample {row}{self._source.place(row)}."
            )

    def _check_finite(self, part: Part) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(part.X.sum()):
                return
        places = np.argwhere(~np.isfinite(part.X))
        if len(places):
            i, j = (int(number) for number in places[0])
            row, names = self.n_samples + i, self._source.feature_names
            feature = f"feature {j}" if names is None else f"feature {j} ({names[j]!r})"
            raise not_finite(part.X[i, j], f"in row {row}, {feature}{self._source.place(row)}")
