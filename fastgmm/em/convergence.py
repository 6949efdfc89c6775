"""When to stop."""

from typing import Protocol


class Convergence(Protocol):
    """Decides after each iteration."""

    def __call__(self, change: float) -> bool:
        """Return whether the last change of the lower bound says that EM has converged."""


class LowerBoundChange:
    """Stop when the mean log-likelihood changes by less than ``tol`` (scikit-learn's rule).

    Parameters
    ----------
    tol : float
        In nats per unit of weight.
    """

    def __init__(self, tol: float) -> None:
        self.tol = tol

    def __call__(self, change: float) -> bool:
        """Return whether |change| < tol."""
        return abs(change) < self.tol
