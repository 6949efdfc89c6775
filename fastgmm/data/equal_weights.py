"""Weights of samples that have none of their own."""

import numpy as np

from .._kernels.layout import Array


def equal_weights(n_samples: int) -> Array:
    """Return weights of 1, which take no memory.

    A sum with an array of ones, as pickle would make of them, may have other bits.

    Parameters
    ----------
    n_samples : int

    Returns
    -------
    (n_samples,) array
        Read-only.
    """
    return np.broadcast_to(np.float64(1.0), (n_samples,))
