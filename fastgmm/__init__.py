"""Gaussian mixtures by expectation-maximization, at the speed of the machine.

Public names load when they are first used, so that ``import fastgmm`` is quick and loads neither
Numba nor scikit-learn.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._versions import __version__

_HOME = {
    "BayesianGaussianMixture": ".estimators",
    "Candidate": ".selection",
    "ConvergenceDisplay": ".displays",
    "GaussianMixture": ".estimators",
    "GaussianMixtureDisplay": ".displays",
    "MixtureRegressor": ".estimators",
    "ResponsibilityDisplay": ".displays",
    "Selection": ".selection",
    "SelectionDisplay": ".displays",
    "SoftKMeans": ".estimators",
    "backend_info": "._kernels",
    "elbo": ".estimators.bounds",
    "em": ".em",
    "expected_complete_log_likelihood": ".estimators.bounds",
    "from_json": ".persistence",
    "kl_divergence": ".estimators.bounds",
    "load": ".persistence",
    "log_likelihood_gradient": ".estimators.gradients",
    "save": ".persistence",
    "select": ".selection",
    "show_versions": "._versions",
    "sources": ".data",
    "to_json": ".persistence",
}

__all__ = [
    "BayesianGaussianMixture",
    "Candidate",
    "ConvergenceDisplay",
    "GaussianMixture",
    "GaussianMixtureDisplay",
    "MixtureRegressor",
    "ResponsibilityDisplay",
    "Selection",
    "SelectionDisplay",
    "SoftKMeans",
    "__version__",
    "backend_info",
    "elbo",
    "em",
    "expected_complete_log_likelihood",
    "from_json",
    "kl_divergence",
    "load",
    "log_likelihood_gradient",
    "save",
    "select",
    "show_versions",
    "sources",
    "to_json",
]

if TYPE_CHECKING:
    from . import em
    from ._kernels import backend_info
    from ._versions import show_versions
    from .data import sources
    from .displays import (
        ConvergenceDisplay,
        GaussianMixtureDisplay,
        ResponsibilityDisplay,
        SelectionDisplay,
    )
    from .estimators import BayesianGaussianMixture, GaussianMixture, MixtureRegressor, SoftKMeans
    from .estimators.bounds import elbo, expected_complete_log_likelihood, kl_divergence
    from .estimators.gradients import log_likelihood_gradient
    from .persistence import from_json, load, save, to_json
    from .selection import Candidate, Selection, select
else:

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module 'fastgmm' has no attribute {name!r}")
        if name == "sources":  # a folder of another
            value: Any = import_module(".data.sources", __name__)
        else:
            module = import_module(_HOME[name], __name__)
            value = module if name == "em" else getattr(module, name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
