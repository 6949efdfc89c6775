"""Floor 2: the EM loop and the policies that it composes.

`fit` runs the loop with any of them; each name loads when it is first used.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "AmortizedPosterior": ".posteriors.amortized",
    "ClosedForm": ".updates.closed_form",
    "ConjugatePrior": ".updates.conjugate",
    "Decaying": ".step_sizes",
    "EMResult": ".result",
    "ExactPosterior": ".posteriors.exact",
    "GradientAscent": ".updates.gradient",
    "GradientStep": ".updates.gradient",
    "Growing": ".schedules",
    "HardPosterior": ".posteriors.restricted",
    "IncrementalPosterior": ".posteriors.incremental",
    "Iteration": ".result",
    "LowerBoundChange": ".convergence",
    "MeansOnly": ".updates.means_only",
    "MetropolisPosterior": ".posteriors.sampled",
    "MiniBatchPosterior": ".posteriors.minibatch",
    "MixtureParameters": "..model.parameters",
    "Never": ".convergence",
    "NormalWishartPrior": "..model.priors",
    "QuasiNewton": ".acceleration",
    "RemainingGain": ".convergence",
    "SampledPosterior": ".posteriors.sampled",
    "StepwisePosterior": ".posteriors.incremental",
    "TemperedPosterior": ".posteriors.restricted",
    "TruncatedPosterior": ".posteriors.restricted",
    "Unconstrained": ".unconstrained",
    "VariationalParameters": "..model.priors",
    "fit": ".api",
    "gradient_ascent": ".ascent",
    "linear_features": ".posteriors.amortized",
    "quadratic_features": ".posteriors.amortized",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'fastgmm.em' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
