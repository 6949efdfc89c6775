"""Numbers that kernels cannot take: what errors say of them."""

from typing import Any

import numpy as np

#: Kernels multiply squares by a weight of 0: they must be finite.
LARGEST_ABSENT = 1e100


def not_finite(value: "np.floating[Any]", where: str) -> ValueError:
    """Return the error for NaN or infinity.

    Parameters
    ----------
    value : float
    where : str
        Which number it is: "in row 3, feature 2".

    Returns
    -------
    ValueError
    """
    if np.isnan(value):
        return ValueError(
            f"Input X contains NaN, first {where}. Rows must be complete: leave out those with "
            "missing values, or fill the gaps. For samples in memory, "
            "GaussianMixture(missing='marginalize') needs neither."
        )
    return ValueError(
        f"Input X contains infinity or a value too large for {value.dtype}: {value}, first {where}."
    )
