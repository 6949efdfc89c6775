"""Mixtures of samples that lie in partitions on the workers of a Dask cluster.

The estimators take Dask arrays and data frames, and lists of delayed partitions, futures or paths.
They need ``pip install "fastgmm[distributed]"`` and a client: ``dask.distributed.Client(...)``.
"""

from .estimators import BayesianGaussianMixture, GaussianMixture

__all__ = ["BayesianGaussianMixture", "GaussianMixture"]
