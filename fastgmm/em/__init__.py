"""Floor 2: the EM loop and the policies that it composes.

`fit` runs the loop with any of them; each name loads when it is first used.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "AmortizedPosterior": ".amortized",
    "ClosedForm": ".update",
    "ConjugatePrior": ".variational",
    "Decaying": ".step_sizes",
    "EMResult": ".result",
    "ExactPosterior": ".posterior",
    "GradientAscent": ".gradient_updates",
    "GradientStep": ".gradient_updates",
    "Growing": ".settings",
    "HardPosterior": ".restricted",
    "IncrementalPosterior": ".incremental",
    "Iteration": ".result",
    "LowerBoundChange": ".convergence",
    "MeansOnly": ".means_only",
    "MetropolisPosterior": ".sampled",
    "MiniBatchPosterior": ".minibatch",
    "MixtureParameters": "..parameters",
    "Never": ".convergence",
    "NormalWishartPrior": "..priors",
    "QuasiNewton": ".acceleration",
    "RemainingGain": ".convergence",
    "SampledPosterior": ".sampled",
    "StepwisePosterior": ".incremental",
    "TemperedPosterior": ".restricted",
    "TruncatedPosterior": ".restricted",
    "Unconstrained": ".unconstrained",
    "VariationalParameters": "..priors",
    "fit": ".api",
    "gradient_ascent": ".ascent",
    "linear_features": ".amortized",
    "quadratic_features": ".amortized",
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
