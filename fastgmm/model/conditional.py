r"""Marginals of mixtures, and conditional mixtures of some features, given the others.

.. math:: p(y \mid x) = \sum_k w_k(x) \, N(y \mid m_k(x), C_k), \qquad
    w_k(x) \propto w_k N(x \mid \mu_{k,x}, \Sigma_{k,xx}), \qquad
    m_k(x) = \mu_{k,y} + \Sigma_{k,yx} \Sigma_{k,xx}^{-1} (x - \mu_{k,x})

The weights are the posterior of the marginal mixture of x, and the means one product of matrices
for each component. So what grows with the number of samples is the kernel of the posterior, and
BLAS.
"""

from dataclasses import dataclass

import numpy as np

from .._kernels.blas import one_blas_thread
from .._kernels.floating_point import numpys_rules
from .._kernels.layout import Array
from .._kernels.threads import for_each
from ..data.samples import Samples
from .covariance_model import Features
from .parameters import MixtureParameters
from .prediction import responsibilities

# Numbers of a block of rows that one thread works on: 0.5 MB, which stays in the cache.
_ELEMENTS = 2**16
_FEWEST_ROWS = 64


@numpys_rules()
def marginal(parameters: MixtureParameters, features: Features) -> MixtureParameters:
    """Return the mixture of some features: their means, and their block of each covariance.

    Parameters
    ----------
    parameters : MixtureParameters
    features : (m,) array of int

    Returns
    -------
    MixtureParameters

    References
    ----------
    Bishop (2006), Pattern Recognition and Machine Learning, eq. 2.98.
    """
    model = parameters.covariance_model
    means = np.ascontiguousarray(parameters.means[:, features])
    covariances = np.ascontiguousarray(model.select(parameters.covariances, features))
    covariances = covariances.reshape(model.shape(*means.shape))
    return MixtureParameters.from_covariances(model, parameters.weights, means, covariances)


@dataclass(frozen=True)
class Conditioning:
    """What the conditional mixtures of all rows share.

    Parameters
    ----------
    given : MixtureParameters
        The marginal mixture of the features that are given, x.
    coefficients : (K, g, m) array
        Of the regression of y on x in each component.
    means : (K, m) array
        Of y.
    covariances : array
        Of y given x, in the shape of their model.

    References
    ----------
    Bishop (2006), Pattern Recognition and Machine Learning, eq. 2.96.
    """

    given: MixtureParameters
    coefficients: Array
    means: Array
    covariances: Array

    @classmethod
    @numpys_rules()
    def of(cls, parameters: MixtureParameters, given: Features, others: Features) -> "Conditioning":
        """Return the conditioning of a mixture on some of its features.

        Parameters
        ----------
        parameters : MixtureParameters
        given, others : (g,) and (m,) arrays of int

        Returns
        -------
        Conditioning

        Raises
        ------
        LinAlgError
            If a covariance is not positive definite.
        """
        coefficients, covariances = parameters.covariance_model.regress(
            parameters.covariances, given, others, parameters.n_components
        )
        means = parameters.means[:, others]
        return cls(marginal(parameters, given), coefficients, means, covariances)

    @numpys_rules()
    def at(self, samples: Samples, n_threads: int) -> tuple[Array, Array]:
        """Return the weights and the means of y for each row of x.

        Parameters
        ----------
        samples : Samples
            Of the given features.
        n_threads : int
            Does not change the result.

        Returns
        -------
        weights : (n, K) array
        means : (n, K, m) array
        """
        weights = responsibilities(samples, self.given, n_threads)
        means = np.empty((samples.n_samples, *self.means.shape))
        n_rows = max(_ELEMENTS // max(self.means.size, self.given.means.size), _FEWEST_ROWS)

        def fill(start: int) -> None:
            rows = slice(start, start + n_rows)
            # about each component's own mean: far from the origin no digits are lost
            centered = samples.rows(rows) - self.given.means[:, np.newaxis]
            np.matmul(centered, self.coefficients, out=means[rows].swapaxes(0, 1))
            means[rows] += self.means

        with one_blas_thread():
            for_each(fill, range(0, samples.n_samples, n_rows), n_threads)
        return weights, means
