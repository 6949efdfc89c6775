"""Regions of high density, and ellipses."""

import numpy as np

from .._kernels.layout import Array
from .._kernels.threads import count_threads
from ..data.samples import Samples
from ..model.parameters import MixtureParameters
from ..model.prediction import log_density

_DRAWS = 20_000
_VERTICES = 120


def log_levels(mixture: MixtureParameters, probabilities: Array) -> Array:
    """Return the log-densities that bound regions of highest density of given probabilities.

    A region's bound is a quantile of the density of draws from the mixture: Hyndman (1996),
    Computing and graphing highest density regions, section 3.2.

    Parameters
    ----------
    mixture : MixtureParameters
    probabilities : (n,) array

    Returns
    -------
    (n,) array
    """
    X, _ = mixture.draw(_DRAWS, np.random.RandomState(0))
    densities = log_density(Samples(X), mixture, count_threads(None))
    return np.asarray(np.quantile(densities, 1.0 - probabilities))


def ellipse(mean: Array, covariance: Array, coverage: float) -> Array:
    r"""Return points of the ellipse that holds a part of a Gaussian.

    .. math:: (x - \mu)^T \Sigma^{-1} (x - \mu) = -2 \log(1 - \mathrm{coverage})

    They follow from the Cholesky factor, so that the units of the features may be unlike.

    Parameters
    ----------
    mean : (2,) array
    covariance : (2, 2) array
    coverage : float
        Probability in the ellipse.

    Returns
    -------
    (n, 2) array
    """
    angles = np.linspace(0.0, 2.0 * np.pi, _VERTICES, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)])
    radius = np.sqrt(-2.0 * np.log1p(-coverage))
    return np.asarray(mean + radius * (np.linalg.cholesky(covariance) @ circle).T)
