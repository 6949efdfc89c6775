"""Information criteria for choosing a model."""

import numpy as np


def aic(log_likelihood: float, n_parameters: int) -> float:
    """Return Akaike's criterion, 2 p - 2 log L (lower is better)."""
    return 2.0 * n_parameters - 2.0 * log_likelihood


def bic(log_likelihood: float, n_parameters: int, n_samples: float) -> float:
    """Return Schwarz's criterion, p log n - 2 log L (lower is better)."""
    return n_parameters * float(np.log(n_samples)) - 2.0 * log_likelihood


def icl(bic: float, log_assignment: float) -> float:
    """Return the criterion of the integrated complete-data likelihood (lower is better).

    Parameters
    ----------
    bic : float
    log_assignment : float
        Sum of the logarithms of each sample's largest responsibility.

    Returns
    -------
    float
        BIC - 2 log_assignment.
    """
    return bic - 2.0 * log_assignment
