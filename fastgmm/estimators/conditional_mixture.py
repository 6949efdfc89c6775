"""The distribution of some features for each row of values of the others."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from scipy.special import logsumexp
from sklearn.utils import check_random_state

from .._kernels.floating_point import numpys_rules
from .._kernels.layout import Array
from ..data.checks import check_samples
from ..model.covariance import get_covariance_model
from ..model.covariance_model import Features
from ..model.factors import inverse_factors

_LOG_2PI = float(np.log(2.0 * np.pi))


@dataclass(frozen=True)
class ConditionalMixture:
    r"""A Gaussian mixture for each row: what ``GaussianMixture.condition`` returns.

    .. math:: p(y \mid x_i) = \sum_k w_{ik} \, N(y \mid m_{ik}, C_k)

    All arrays are NumPy's, in float64. The mixture of row i alone is
    ``GaussianMixture.from_parameters(weights[i], means[i], covariances,
    covariance_type=covariance_type)``.

    Parameters
    ----------
    weights : ndarray of shape (n_samples, n_components)
        Of each row; rows sum to 1.
    means : ndarray of shape (n_samples, n_components, n_features)
        Of each row, over the features that were not given.
    covariances : ndarray
        Of all rows, which have the same: (K, m, m) full, (m, m) tied, (K, m) diag, (K,) spherical,
        a number for tied-spherical.
    covariance_type : {'full', 'tied', 'diag', 'spherical', 'tied-spherical'}
    features : ndarray of shape (n_features,)
        The numbers of these features in the mixture that was conditioned.
    """

    weights: Array
    means: Array
    covariances: Array
    covariance_type: str
    features: Features

    @numpys_rules()
    def mean(self) -> Array:
        r"""Compute the conditional mean of each row.

        .. math:: E[y \mid x_i] = \sum_k w_{ik} \, m_{ik}

        Returns
        -------
        ndarray of shape (n_samples, n_features)
        """
        return np.asarray(np.einsum("nk,nkm->nm", self.weights, self.means))

    @numpys_rules()
    def std(self) -> Array:
        r"""Compute the conditional standard deviation of each feature, for each row.

        .. math:: \sigma_{ij}^2 = \sum_k w_{ik} \left[C_{k,jj} + (m_{ikj} - \bar m_{ij})^2\right],
            \qquad \bar m_i = E[y \mid x_i]

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            In the units of the features.
        """
        model = get_covariance_model(self.covariance_type)
        within = model.variances(self.covariances, *self.means.shape[1:])
        squares = self._deviations() ** 2
        between = np.einsum("nk,nkm->nm", self.weights, squares)
        return np.asarray(np.sqrt(self.weights @ within + between))

    @numpys_rules()
    def covariance(self) -> Array:
        r"""Compute the conditional covariance of each row.

        .. math:: \sum_k w_{ik} \left[C_k + (m_{ik} - \bar m_i)(m_{ik} - \bar m_i)^T\right],
            \qquad \bar m_i = E[y \mid x_i]

        Returns
        -------
        ndarray of shape (n_samples, n_features, n_features)
        """
        deviations = self._deviations()
        weighted = self.weights[:, :, np.newaxis] * deviations
        within = np.tensordot(self.weights, self._dense(), 1)
        return np.asarray(within + weighted.swapaxes(1, 2) @ deviations)

    @numpys_rules()
    def score_samples(self, Y: Any) -> Array:
        r"""Compute the conditional log-density of one value for each row.

        .. math:: \log p(y_i \mid x_i)

        Parameters
        ----------
        Y : array-like or data frame of shape (n_samples, n_features)
            Values of the features that were not given.

        Returns
        -------
        ndarray of shape (n_samples,)
            In nats. Where a weight is below 1e-300 its component does not count.

        Raises
        ------
        ValueError
            If Y is not finite or has another shape.
        """
        n, K, m = self.means.shape
        samples = check_samples(Y, n_features=m)
        if samples.n_samples != n:
            raise ValueError(f"Y should have the shape of {n, m}, but got {samples.n_samples, m}.")
        values = samples.rows(slice(None))
        factors, _ = inverse_factors(self._dense(), 1)
        log_det = np.log(factors.diagonal(axis1=1, axis2=2)).sum(axis=1)
        with np.errstate(divide="ignore"):
            log_prob = np.log(self.weights) + (log_det - 0.5 * m * _LOG_2PI)
        for k in range(K):
            whitened = (values - self.means[:, k]) @ factors[k]
            log_prob[:, k] -= 0.5 * np.einsum("nm,nm->n", whitened, whitened)
        return np.asarray(logsumexp(log_prob, axis=1))

    @numpys_rules()
    def sample(self, n_samples: int = 1, random_state: Any = None) -> Array:
        """Draw from the mixture of each row: a component by its weight, then y from it.

        Parameters
        ----------
        n_samples : int, default=1
            Draws for each row.
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        ndarray of shape (n_rows, n_samples, n_features)

        Raises
        ------
        ValueError
            If ``n_samples`` is no number of draws.
        """
        if not isinstance(n_samples, Integral) or n_samples < 0:
            raise ValueError(
                f"n_samples should be a number of draws, 0 or more, but got {n_samples!r}."
            )
        model, source = get_covariance_model(self.covariance_type), check_random_state(random_state)
        roots, (n, K, m) = model.roots(self.covariances), self.means.shape
        cumulative = self.weights.cumsum(axis=1)
        # the last sum is 1 but for rounding
        places = source.random_sample((n, n_samples)) * cumulative[:, -1:]
        labels = sum((places >= cumulative[:, k, np.newaxis]).astype(np.intp) for k in range(K - 1))
        labels = np.broadcast_to(labels, places.shape)
        draws = source.standard_normal((n, n_samples, m))
        for k in range(K):
            rows, columns = np.nonzero(labels == k)
            colored = np.empty((len(rows), m))
            model.color(roots, k, draws[rows, columns], colored)
            draws[rows, columns] = self.means[rows, k] + colored
        return np.asarray(draws)

    def _deviations(self) -> Array:
        return self.means - self.mean()[:, np.newaxis]

    def _dense(self) -> Array:
        model = get_covariance_model(self.covariance_type)
        return model.dense(self.covariances, *self.means.shape[1:])
