"""M-step policies: their interface and their result."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from ...data.samples import Samples
from ...model.parameters import MixtureParameters
from ...model.statistics import SufficientStatistics


class Updated(NamedTuple):
    """What an update returns.

    Parameters
    ----------
    parameters : MixtureParameters
    collapsed : frozenset of int
        Components that kept their previous covariance; all components if they share one.
    lower_bound : float, optional
        If the update has an objective of its own: its value in this iteration. It replaces the
        lower bound of the statistics.
    """

    parameters: MixtureParameters
    collapsed: frozenset[int] = frozenset()
    lower_bound: float | None = None


class Update(ABC):
    """Turns statistics into parameters.

    Attributes
    ----------
    parameters_type : type
        Type of the parameters that it takes and returns.
    is_em_step : bool
        Whether it maximises the expected complete log-likelihood.
    """

    parameters_type: ClassVar[type[MixtureParameters]] = MixtureParameters
    is_em_step: ClassVar[bool] = False

    def start(self, samples: Samples, parameters: MixtureParameters) -> None:  # noqa: B027
        """Begin a run: check that the policy fits the data, and forget earlier runs.

        Parameters
        ----------
        samples : Samples
        parameters : MixtureParameters
        """

    @abstractmethod
    def __call__(self, statistics: SufficientStatistics, previous: MixtureParameters) -> Updated:
        """Return the next parameters."""
