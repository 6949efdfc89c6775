"""What the EM loop returns: a record of each iteration, and the parameters."""

from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple

import numpy as np

from .latent_variable_model import P


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


class Restart(NamedTuple):
    """How one start of a fit ended.

    Parameters
    ----------
    lower_bound : float
        In nats per sample; -inf if the start failed.
    n_iter : int
    converged : bool
    history : list of Iteration
    chosen : bool
        Whether the estimator holds the parameters of this start.
    error : str or None
        Why there is no start: its covariances collapsed.
    """

    lower_bound: float
    n_iter: int
    converged: bool
    history: list[Iteration]
    chosen: bool
    error: str | None = None


@dataclass(frozen=True)
class EMResult(Generic[P]):
    """The outcome of one run of EM: parameters, and how they were reached.

    Parameters
    ----------
    parameters : object
        After the last update, of the type of those that the run began with.
    converged : bool
    lower_bound : float
        Of the parameters before the last update, as in scikit-learn.
    history : list of Iteration
    collapsed : dict of int to int
        Components whose covariance could not be updated in some iteration, and the number of the
        first one.
    stopped : bool
        Whether a callback returned True, which ended the run.
    dtype : dtype
        Of the samples: float32 or float64. Parameters are float64 in any case.
    """

    parameters: P
    converged: bool
    lower_bound: float
    history: list[Iteration] = field(default_factory=list)
    collapsed: dict[int, int] = field(default_factory=dict)
    stopped: bool = False
    dtype: "np.dtype[Any]" = field(default_factory=lambda: np.dtype(np.float64))

    @property
    def n_iter(self) -> int:
        """Number of iterations."""
        return len(self.history)

    @property
    def lower_bounds(self) -> list[float]:
        """The lower bound of every iteration."""
        return [iteration.lower_bound for iteration in self.history]
