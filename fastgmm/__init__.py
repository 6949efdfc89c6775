"""Gaussian mixtures by expectation-maximization, at the speed of the machine.

Public names load when they are first used, so that ``import fastgmm`` is quick and loads neither
Numba nor scikit-learn.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._kernels import backend_info
    from .estimators import BayesianGaussianMixture, GaussianMixture, SoftKMeans
    from .estimators.bounds import elbo, expected_complete_log_likelihood, kl_divergence
    from .estimators.gradients import log_likelihood_gradient
    from .persistence import load, save
    from .versions import show_versions

# Here alone; a distribution of another build than the default adds its name.
__version__ = "0.2.0.dev0"

_HOME = {
    "BayesianGaussianMixture": ".estimators",
    "GaussianMixture": ".estimators",
    "SoftKMeans": ".estimators",
    "backend_info": "._kernels",
    "elbo": ".estimators.bounds",
    "expected_complete_log_likelihood": ".estimators.bounds",
    "kl_divergence": ".estimators.bounds",
    "load": ".persistence",
    "log_likelihood_gradient": ".estimators.gradients",
    "save": ".persistence",
    "show_versions": ".versions",
}

__all__ = [
    "BayesianGaussianMixture",
    "GaussianMixture",
    "SoftKMeans",
    "__version__",
    "backend_info",
    "elbo",
    "expected_complete_log_likelihood",
    "kl_divergence",
    "load",
    "log_likelihood_gradient",
    "save",
    "show_versions",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'fastgmm' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
