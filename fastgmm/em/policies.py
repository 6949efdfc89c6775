"""Which policies go together."""

from typing import NamedTuple

from ..data.samples import Samples
from ..model.parameters import MixtureParameters
from .acceleration import Acceleration
from .convergence import Convergence
from .posteriors.exact import Posterior
from .updates.closed_form import Update

_OFFERS = {
    "log-likelihood": "the log-likelihood",
    "elbo": "a bound below the log-likelihood",
    "estimate": "a number that fluctuates",
}


class Policies(NamedTuple):
    """The four of a run."""

    posterior: Posterior
    update: Update
    convergence: Convergence
    acceleration: Acceleration

    def start(self, samples: Samples, parameters: MixtureParameters) -> None:
        """Begin a run."""
        self.posterior.start(samples, parameters)
        self.update.start(samples, parameters)
        self.convergence.start()
        self.acceleration.start()

    def check(self, parameters: MixtureParameters) -> None:
        """Check that the policies go together, and with the parameters.

        Raises
        ------
        ValueError
            If one needs what another does not offer.
        TypeError
            If the update needs parameters of another type.
        """
        self._check_bounds("acceleration", self.acceleration)
        self._check_bounds("convergence", self.convergence)
        if self.acceleration.needs_em_step and not self.update.is_em_step:
            raise ValueError(
                f"acceleration {_name(self.acceleration)} needs an update that maximises the "
                f"expected complete log-likelihood, but {_name(self.update)} does not."
            )
        if not isinstance(parameters, self.update.parameters_type):
            raise TypeError(
                f"update {_name(self.update)} needs {self.update.parameters_type.__name__}, "
                f"but got {type(parameters).__name__}."
            )

    def _check_bounds(self, role: str, policy: Acceleration | Convergence) -> None:
        offered = self.posterior.bound
        if offered not in policy.bounds:
            needed = " or ".join(_OFFERS[bound] for bound in _OFFERS if bound in policy.bounds)
            raise ValueError(
                f"{role} {_name(policy)} needs a posterior whose lower bound is {needed}, but that "
                f"of {_name(self.posterior)} is {_OFFERS[offered]}."
            )


def _name(policy: object) -> str:
    return type(policy).__name__
