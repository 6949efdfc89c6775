"""Estimators with scikit-learn's interface; they only delegate."""

from .bayesian_mixture import BayesianGaussianMixture
from .gaussian_mixture import GaussianMixture
from .mixture_regressor import MixtureRegressor
from .soft_kmeans import SoftKMeans

__all__ = ["BayesianGaussianMixture", "GaussianMixture", "MixtureRegressor", "SoftKMeans"]
