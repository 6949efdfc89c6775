"""The methods of every fitted mixture estimator: prediction, scores, sampling."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .._kernels.layout import Array
from .._kernels.threads import count_threads
from ..data.samples import Samples
from ..model import criteria
from ..model.covariance import get_covariance_model
from ..model.parameters import MixtureParameters
from ..model.prediction import best_components, log_density, log_likelihood, responsibilities
from ._inputs import check_samples


class FittedMixture(DensityMixin, BaseEstimator):
    """Prediction, scoring and sampling of a fitted mixture, for every method of fitting."""

    n_jobs: int | None
    random_state: Any
    weights_: Array
    means_: Array
    covariances_: Array
    precisions_cholesky_: Array
    covariance_type: str

    def _parameters(self) -> MixtureParameters:
        return MixtureParameters(
            get_covariance_model(self.covariance_type),
            self.weights_,
            self.means_,
            self.covariances_,
            self.precisions_cholesky_,
        )

    def _log_likelihood(self, X: Any, sample_weight: Any) -> tuple[float, float]:
        """Return sum w log p(x) and sum w."""
        check_is_fitted(self)
        samples = check_samples(self, X, sample_weight, reset=False)
        total = log_likelihood(samples, self._parameters(), count_threads(self.n_jobs))
        return total, samples.total_weight

    def score_samples(self, X: Any) -> Array:
        r"""Compute the log-density of each sample.

        .. math:: \log p(x) = \log \sum_k w_k \, N(x \mid \mu_k, \Sigma_k)

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
            log p(x), in nats.

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If X is not finite or has another number of features.
        """
        check_is_fitted(self)
        samples = check_samples(self, X, reset=False)
        return log_density(samples, self._parameters(), count_threads(self.n_jobs))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        r"""Compute the weighted mean log-density of the samples.

        .. math:: \frac{\sum_i w_i \log p(x_i)}{\sum_i w_i}

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        float
            In nats.

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If X or the weights are not finite, or a weight is negative.
        """
        log_likelihood, weight = self._log_likelihood(X, sample_weight)
        # a NumPy scalar, as scikit-learn returns
        return np.float64(log_likelihood / weight)

    def predict_proba(self, X: Any) -> Array:
        r"""Compute the responsibilities p(k | x).

        .. math:: r_k = w_k N(x \mid \mu_k, \Sigma_k) / p(x)

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            Rows sum to 1.

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If X is not finite or has another number of features.
        """
        check_is_fitted(self)
        samples = check_samples(self, X, reset=False)
        return responsibilities(samples, self._parameters(), count_threads(self.n_jobs))

    def predict(self, X: Any) -> NDArray[np.int64]:
        """Return the component of the largest responsibility for each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If X is not finite or has another number of features.
        """
        check_is_fitted(self)
        return self._predict(check_samples(self, X, reset=False))

    def _predict(self, samples: Samples) -> NDArray[np.int64]:
        return best_components(samples, self._parameters(), count_threads(self.n_jobs))

    def sample(self, n_samples: int = 1) -> tuple[Array, NDArray[np.int64]]:
        """Draw samples: a component by its weight, then x from that component.

        The result follows from ``random_state`` alone, not from the number of threads.

        Parameters
        ----------
        n_samples : int

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        y : ndarray of shape (n_samples,)
            The component of each sample, in ascending order.

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If ``n_samples`` is less than 1.
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise ValueError(
                f"Invalid value for 'n_samples': expected at least 1, got {n_samples}."
            )
        random_state = check_random_state(self.random_state)
        parameters = self._parameters()
        # after rounding the sum may be above 1 by an ulp, which multinomial refuses
        weights = parameters.weights / max(parameters.weights.sum(), 1.0)
        counts = random_state.multinomial(n_samples, weights)
        return parameters.sample(counts, random_state, count_threads(self.n_jobs))

    def _n_parameters(self) -> int:
        return self._parameters().n_parameters


class BaseMixture(FittedMixture):
    """A mixture whose score is a likelihood: information criteria apply."""

    def aic(self, X: Any, sample_weight: Any = None) -> float:
        """Compute Akaike's information criterion, 2 p - 2 log L (lower is better).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        float

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If X or the weights are not finite, or a weight is negative.
        """
        log_likelihood, _ = self._log_likelihood(X, sample_weight)
        return criteria.aic(log_likelihood, self._n_parameters())

    def bic(self, X: Any, sample_weight: Any = None) -> float:
        """Compute Schwarz's information criterion, p log n - 2 log L (lower is better).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        sample_weight : array-like of shape (n_samples,), optional
            n is the sum of the weights.

        Returns
        -------
        float

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If X or the weights are not finite, or a weight is negative.
        """
        log_likelihood, weight = self._log_likelihood(X, sample_weight)
        return criteria.bic(log_likelihood, self._n_parameters(), weight)
