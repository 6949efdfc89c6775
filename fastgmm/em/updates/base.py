"""M-step policies: their interface and their result."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import UnionType
from typing import ClassVar, Generic

from ...data.samples import Samples
from ..latent_variable_model import P, S


@dataclass(frozen=True)
class Updated(Generic[P]):
    """What an update returns.

    Parameters
    ----------
    parameters : MixtureParameters or another type
    collapsed : frozenset of int
        Components that kept their previous covariance; all components if they share one.
    lower_bound : float, optional
        If the update has an objective of its own: its value in this iteration. It replaces the
        lower bound of the statistics.
    """

    parameters: P
    collapsed: frozenset[int] = frozenset()
    lower_bound: float | None = None


class Update(ABC, Generic[P, S]):
    """Turns statistics into parameters.

    Attributes
    ----------
    parameters_type : type
        Type of the parameters that it works with.
    is_em_step : bool
        Whether it maximises the expected complete log-likelihood, of what is not `fixed` for all
        components, without a prior or another constraint.
    """

    parameters_type: ClassVar[type | UnionType] = object
    is_em_step: bool = False

    def start(self, samples: Samples, parameters: P) -> None:
        """Begin a run: check that the policy fits the data, and forget earlier runs.

        Parameters
        ----------
        samples : Samples
        parameters : object of ``parameters_type``
        """

    @abstractmethod
    def __call__(self, statistics: S, previous: P) -> Updated[P]:
        """Return the next parameters.

        Parameters
        ----------
        statistics : SufficientStatistics, Sums or another type that the posterior returns
        previous : object of ``parameters_type``

        Returns
        -------
        Updated
        """
