"""Which policies go together, and with which parameters."""

from typing import Any, NamedTuple, get_args

from ..data.samples import Samples
from ..model.parameters import MixtureParameters
from .acceleration import Acceleration
from .convergence import Convergence
from .latent_variable_model import LatentVariableModel
from .posteriors.base import Posterior
from .updates.base import Update

_OBJECTIVES = {
    "log-likelihood": "the log-likelihood",
    "elbo": "a bound below the log-likelihood",
    "estimate": "a number that fluctuates",
}


class Policies(NamedTuple):
    """The four policies of a run."""

    posterior: Posterior[Any, Any]
    update: Update[Any, Any]
    convergence: Convergence
    acceleration: Acceleration[Any, Any]

    def start(self, samples: Samples, parameters: object) -> None:
        """Begin a run."""
        self.posterior.start(samples, parameters)
        self.update.start(samples, parameters)
        self.convergence.start()
        self.acceleration.start()

    def check(self, parameters: object) -> None:
        """Check that the policies go together, and with the parameters.

        Raises
        ------
        ValueError
            If one needs what another does not offer.
        TypeError
            If one is of another kind, or works with other parameters.
        """
        kinds = (Posterior, Update, Convergence, Acceleration)
        for role, policy, kind in zip(self._fields, self, kinds, strict=True):
            if not isinstance(policy, kind):
                raise TypeError(
                    f"{role} should be a {kind.__name__} of fastgmm.em, got {policy!r}."
                )
        self._check_objective("acceleration", self.acceleration)
        self._check_objective("convergence", self.convergence)
        if self.acceleration.needs_em_step and not self.update.is_em_step:
            raise ValueError(
                f"acceleration {_name(self.acceleration)} needs an update that maximises the "
                f"expected complete log-likelihood, but {_name(self.update)} does not."
            )
        for role in ("posterior", "update", "acceleration"):
            self._check_parameters(role, parameters)

    def check_missing(self, parameters: object) -> None:
        """Check that the policies work where values are missing.

        Raises
        ------
        ValueError
            If the posterior does not, or the parameters are not those of a density.
        """
        if not self.posterior.takes_missing:
            raise ValueError(
                "missing='marginalize' needs posterior ExactPosterior, but got "
                f"{_name(self.posterior)}."
            )
        if type(parameters) is not MixtureParameters:
            raise ValueError(
                f"missing='marginalize' needs MixtureParameters, but got {_name(parameters)}."
            )

    def _check_parameters(self, role: str, parameters: object) -> None:
        policy = getattr(self, role)
        if not isinstance(parameters, policy.parameters_type):
            types = get_args(policy.parameters_type) or (policy.parameters_type,)
            needed = " or ".join(kind.__name__ for kind in types)
            raise TypeError(f"{role} {_name(policy)} needs {needed}, but got {_name(parameters)}.")
        if isinstance(parameters, LatentVariableModel) and role == "posterior":
            policy.check_model(parameters)

    def _check_objective(self, role: str, policy: Acceleration[Any, Any] | Convergence) -> None:
        offered = self.posterior.objective
        if offered not in policy.objectives:
            needed = " or ".join(
                _OBJECTIVES[name] for name in _OBJECTIVES if name in policy.objectives
            )
            raise ValueError(
                f"{role} {_name(policy)} needs a posterior whose lower bound is {needed}, but that "
                f"of {_name(self.posterior)} is {_OBJECTIVES[offered]}."
            )


def _name(policy: object) -> str:
    return type(policy).__name__
