"""The methods of mixtures whose score is a likelihood: distances and information criteria."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from .._kernels.floating_point import numpys_rules
from .._kernels.layout import Array
from ..model import criteria
from ..model.imputation import impute
from ..model.prediction import log_likelihood_and_assignment, squared_distances
from ..model.validation import check_complete
from ._array_api import like
from ._mixture import FittedMixture
from ._outputs import check_out


class BaseMixture(FittedMixture):
    """A mixture whose score is a likelihood: information criteria apply."""

    def mahalanobis(self, X: Any, out: Array | None = None) -> Array:
        r"""Compute the squared Mahalanobis distance of each sample from each component.

        .. math:: (x - \mu_k)^T \, \Sigma_k^{-1} \, (x - \mu_k)

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
        out : ndarray of shape (n_samples, n_components), optional
            C-contiguous, float64, not overlapping X: takes the result, and no other
            memory that grows with n_samples is used. Many threads may call at once, each with its
            own; they compute without the interpreter's lock.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            float64.

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If X is not finite or has another number of features, or ``out`` cannot take the result.
        TypeError
            If ``out`` is no array or of another type.
        """
        samples, parameters, n_threads = self._checked("mahalanobis", X)
        check_complete(samples, "mahalanobis")
        if out is None:
            return like(X, squared_distances(samples, parameters, n_threads))
        shape = samples.n_samples, parameters.n_components
        out = check_out(out, shape, (np.dtype(np.float64),), samples)
        return squared_distances(samples, parameters, n_threads, out)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = getattr(self, "missing", "error") == "marginalize"
        return tags

    @numpys_rules()
    def impute(
        self, X: Any, *, sample_posterior: bool = False, random_state: Any = None
    ) -> NDArray[np.floating[Any]]:
        r"""Put a number in place of each missing value, given the values of its row that are there.

        .. math:: E[x_M \mid x_O] = \sum_k p(k \mid x_O) \,
            (\mu_{kM} + \Sigma_{kMO} \Sigma_{kOO}^{-1} (x_O - \mu_{kO}))

        It does not depend on the parameter ``missing``. A row without any value gets the mean of
        the mixture. Means vary less than data do: for standard errors, draw several times.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            NaN and nulls are missing values.
        sample_posterior : bool, default=False
            Draw from :math:`p(x_M \mid x_O)` instead, as for multiple imputation: a component, then
            the values.
        random_state : int, RandomState instance or None, default=None
            For the draws. None: the estimator's. The number of threads changes nothing.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            A copy, in units of X. float32 where X is; else float64. Other values are unchanged.

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If X is infinite or has another number of features.

        References
        ----------
        Ghahramani and Jordan (1994), Supervised learning from incomplete data via an EM approach.
        Rubin (1987), Multiple Imputation for Nonresponse in Surveys.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> model = GaussianMixture.from_parameters([1.0], [[0.0, 1.0]], [[[1.0, 0.5], [0.5, 1.0]]])
        >>> model.impute([[2.0, float("nan")]]).tolist()
        [[2.0, 2.0]]
        """
        samples, parameters, _ = self._checked("impute", X, with_missing=True)
        own = self.random_state if random_state is None else random_state
        draws = check_random_state(own) if sample_posterior else None
        filled = impute(samples, parameters, draws)
        return like(X, filled.astype(samples.result_dtype, copy=False))

    def aic(self, X: Any, sample_weight: Any = None) -> float:
        """Compute Akaike's information criterion, 2 p - 2 log L (lower is better).

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
        sample_weight : array-like of shape (n_samples,) or number, optional

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
        total, _ = self._log_likelihood("aic", X, sample_weight)
        return criteria.aic(total, self.n_parameters_)

    def bic(self, X: Any, sample_weight: Any = None) -> float:
        """Compute Schwarz's information criterion, p log n - 2 log L (lower is better).

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
        sample_weight : array-like of shape (n_samples,) or number, optional
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
        total, weight = self._log_likelihood("bic", X, sample_weight)
        return criteria.bic(total, self.n_parameters_, weight)

    def icl(self, X: Any, sample_weight: Any = None) -> float:
        r"""Compute the integrated complete-data likelihood criterion (lower is better).

        .. math:: \mathrm{ICL} = \mathrm{BIC} - 2 \sum_i w_i \log \max_k p(k \mid x_i)

        Beside what BIC counts, it counts how uncertain it is to which component the samples belong:
        it prefers components that lie apart. BIC chooses a density, ICL clusters.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
        sample_weight : array-like of shape (n_samples,) or number, optional
            n is the sum of the weights.

        Returns
        -------
        float
            At least that of `bic`.

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If X or the weights are not finite, or a weight is negative.

        References
        ----------
        Biernacki, Celeux and Govaert (2000), Assessing a mixture model for clustering with the
        integrated completed likelihood, IEEE Trans. Pattern Analysis and Machine Intelligence 22.
        """
        samples, parameters, n_threads = self._checked("icl", X, sample_weight)
        total, assigned = log_likelihood_and_assignment(samples, parameters, n_threads)
        bic = criteria.bic(total, self.n_parameters_, samples.total_weight)
        return criteria.icl(bic, assigned)
