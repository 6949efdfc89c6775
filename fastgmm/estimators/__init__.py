"""Floor 4: estimators with scikit-learn's interface, which only delegate."""

from .gaussian_mixture import GaussianMixture

__all__ = ["GaussianMixture"]
