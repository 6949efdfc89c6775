"""Where a run of EM stands after an iteration."""

from dataclasses import dataclass, field
from typing import Generic

from .latent_variable_model import P
from .result import Iteration


@dataclass
class RunState(Generic[P]):
    """What the loop itself remembers from one iteration to the next; policies have their own.

    Parameters
    ----------
    parameters : object
        After the last update.
    point : object
        Of the next E step: the parameters, or where the acceleration looks.
    lower_bound : float
    converged : bool
    collapsed : dict of int to int
        Components whose covariance could not be updated, and the number of the first iteration.
    history : list of Iteration
    """

    parameters: P
    point: P
    lower_bound: float
    converged: bool = False
    collapsed: dict[int, int] = field(default_factory=dict)
    history: list[Iteration] = field(default_factory=list)
