"""What the EM loop reports: one record per iteration, and the outcome."""

from dataclasses import dataclass, field
from typing import NamedTuple

from ..model.parameters import MixtureParameters


class Iteration(NamedTuple):
    """One iteration of EM.

    Parameters
    ----------
    number : int
        Counted from 1.
    lower_bound : float
        Mean log-likelihood of the parameters with which the iteration began, in nats.
    change : float
        Since the previous iteration; infinite in the first.
    seconds : float
        Wall time.
    """

    number: int
    lower_bound: float
    change: float
    seconds: float


@dataclass(frozen=True)
class EMResult:
    """The outcome of one run of EM.

    Parameters
    ----------
    parameters : MixtureParameters
        After the last update.
    converged : bool
    lower_bound : float
        Of the parameters before the last update, as in scikit-learn.
    history : list of Iteration
    collapsed : frozenset of int
        Components whose covariance could not be updated in some iteration.
    """

    parameters: MixtureParameters
    converged: bool
    lower_bound: float
    history: list[Iteration] = field(default_factory=list)
    collapsed: frozenset[int] = frozenset()

    @property
    def n_iter(self) -> int:
        """Number of iterations."""
        return len(self.history)

    @property
    def lower_bounds(self) -> list[float]:
        """The lower bound of every iteration."""
        return [iteration.lower_bound for iteration in self.history]
