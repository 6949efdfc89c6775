"""Estimators with scikit-learn's interface, which only delegate."""

from .bayesian_mixture import BayesianGaussianMixture
from .gaussian_mixture import GaussianMixture
from .soft_kmeans import SoftKMeans

__all__ = ["BayesianGaussianMixture", "GaussianMixture", "SoftKMeans"]
