"""The EM loop, the policies that it composes, and all that a variant of your own needs.

`fit` runs the loop with any policies. Each name loads when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME = {
    "Acceleration": ".acceleration",
    "AmortizedPosterior": ".posteriors.amortized",
    "BlockwisePosterior": ".posteriors.base",
    "Checkpoint": ".checkpoints.settings",
    "ClosedForm": ".updates.closed_form",
    "CollapseError": "..model.covariance_model",
    "ConjugatePrior": ".updates.conjugate",
    "Convergence": ".convergence",
    "Decaying": ".step_sizes",
    "EMResult": ".result",
    "ExactPosterior": ".posteriors.exact",
    "GaussianPosterior": ".posteriors.drawn",
    "GradientAscent": ".updates.gradient",
    "GradientStep": ".updates.gradient",
    "Growing": ".schedules",
    "HardPosterior": ".posteriors.restricted",
    "IncrementalPosterior": ".posteriors.incremental",
    "Iteration": ".result",
    "LatentVariableModel": ".latent_variable_model",
    "LowerBoundChange": ".convergence",
    "MeansOnly": ".updates.means_only",
    "MCMCPosterior": ".posteriors.drawn",
    "MetropolisPosterior": ".posteriors.sampled",
    "MiniBatchPosterior": ".posteriors.minibatch",
    "MixtureParameters": "..model.parameters",
    "MixtureResult": ".mixture_result",
    "NeighborhoodPosterior": ".posteriors.neighborhood",
    "Never": ".convergence",
    "NoAcceleration": ".acceleration",
    "NormalInverseWishartPrior": "..model.penalties",
    "NormalWishartPrior": "..model.priors",
    "Posterior": ".posteriors.base",
    "QuasiNewton": ".acceleration",
    "RemainingGain": ".convergence",
    "SampledPosterior": ".posteriors.sampled",
    "Restart": ".result",
    "Samples": "..data.samples",
    "StepSizes": ".step_sizes",
    "StepwisePosterior": ".posteriors.stepwise",
    "SufficientStatistics": "..model.statistics",
    "Sums": ".latent_variable_model",
    "TemperedPosterior": ".posteriors.restricted",
    "TruncatedPosterior": ".posteriors.restricted",
    "Unconstrained": ".unconstrained",
    "Update": ".updates.base",
    "Updated": ".updates.base",
    "VariationalParameters": "..model.priors",
    "fit": ".api",
    "gradient_ascent": ".ascent",
    "linear_features": ".posteriors.amortized",
    "merge": ".parts",
    "quadratic_features": ".posteriors.amortized",
    "starting_parameters": "..init.api",
    "summarize": ".parts",
}

__all__ = [
    "Acceleration",
    "AmortizedPosterior",
    "BlockwisePosterior",
    "Checkpoint",
    "ClosedForm",
    "CollapseError",
    "ConjugatePrior",
    "Convergence",
    "Decaying",
    "EMResult",
    "ExactPosterior",
    "GaussianPosterior",
    "GradientAscent",
    "GradientStep",
    "Growing",
    "HardPosterior",
    "IncrementalPosterior",
    "Iteration",
    "LatentVariableModel",
    "LowerBoundChange",
    "MCMCPosterior",
    "MeansOnly",
    "MetropolisPosterior",
    "MiniBatchPosterior",
    "MixtureParameters",
    "MixtureResult",
    "NeighborhoodPosterior",
    "Never",
    "NoAcceleration",
    "NormalInverseWishartPrior",
    "NormalWishartPrior",
    "Posterior",
    "QuasiNewton",
    "RemainingGain",
    "Restart",
    "SampledPosterior",
    "Samples",
    "StepSizes",
    "StepwisePosterior",
    "SufficientStatistics",
    "Sums",
    "TemperedPosterior",
    "TruncatedPosterior",
    "Unconstrained",
    "Update",
    "Updated",
    "VariationalParameters",
    "fit",
    "gradient_ascent",
    "linear_features",
    "merge",
    "quadratic_features",
    "starting_parameters",
    "summarize",
]

if TYPE_CHECKING:
    from ..data.samples import Samples
    from ..init.api import starting_parameters
    from ..model.covariance_model import CollapseError
    from ..model.parameters import MixtureParameters
    from ..model.penalties import NormalInverseWishartPrior
    from ..model.priors import NormalWishartPrior, VariationalParameters
    from ..model.statistics import SufficientStatistics
    from .acceleration import Acceleration, NoAcceleration, QuasiNewton
    from .api import fit
    from .ascent import gradient_ascent
    from .checkpoints.settings import Checkpoint
    from .convergence import Convergence, LowerBoundChange, Never, RemainingGain
    from .latent_variable_model import LatentVariableModel, Sums
    from .mixture_result import MixtureResult
    from .parts import merge, summarize
    from .posteriors.amortized import AmortizedPosterior, linear_features, quadratic_features
    from .posteriors.base import BlockwisePosterior, Posterior
    from .posteriors.drawn import GaussianPosterior, MCMCPosterior
    from .posteriors.exact import ExactPosterior
    from .posteriors.incremental import IncrementalPosterior
    from .posteriors.minibatch import MiniBatchPosterior
    from .posteriors.neighborhood import NeighborhoodPosterior
    from .posteriors.restricted import HardPosterior, TemperedPosterior, TruncatedPosterior
    from .posteriors.sampled import MetropolisPosterior, SampledPosterior
    from .posteriors.stepwise import StepwisePosterior
    from .result import EMResult, Iteration, Restart
    from .schedules import Growing
    from .step_sizes import Decaying, StepSizes
    from .unconstrained import Unconstrained
    from .updates.base import Update, Updated
    from .updates.closed_form import ClosedForm
    from .updates.conjugate import ConjugatePrior
    from .updates.gradient import GradientAscent, GradientStep
    from .updates.means_only import MeansOnly
else:

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module 'fastgmm.em' has no attribute {name!r}")
        value = getattr(import_module(_HOME[name], __name__), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
