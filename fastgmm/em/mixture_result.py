"""The result of EM for a Gaussian mixture, which can predict."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._kernels.threads import count_threads
from ..data.checks import check_samples
from ..data.samples import Samples
from ..model.parameters import MixtureParameters
from ..model.prediction import (
    best_components,
    log_density,
    log_likelihood,
    responsibilities,
    result_dtype,
)
from ..model.priors import NormalWishartPrior
from .result import EMResult

if TYPE_CHECKING:
    from ..estimators import BayesianGaussianMixture, GaussianMixture


@dataclass(frozen=True)
class MixtureResult(EMResult[MixtureParameters]):
    """The outcome of one run of EM: a Gaussian mixture, which predicts, and how it was reached.

    Parameters
    ----------
    parameters : MixtureParameters
        After the last update.
    converged : bool
    lower_bound : float
        Of the parameters before the last update, as in scikit-learn.
    history : list of Iteration
    collapsed : dict of int to int
        Components whose covariance could not be updated in some iteration, and the number of the
        first one.
    stopped : bool
        Whether a callback returned True, which ended the run.
    dtype : dtype
        Of the samples: float32 or float64. Parameters are float64 in any case.
    out_of_time : bool
        Whether ``max_time`` ended the run.
    n_reseeded : int
        How many times a component was used elsewhere, as `NeighborhoodPosterior` does.
    missing : {'error', 'marginalize'}
        What NaN and nulls in X mean to the methods: as in the fit.
    """

    missing: str = "error"

    def predict(self, X: Any, *, n_jobs: int | None = None) -> NDArray[np.int64]:
        """Return the component of the largest responsibility for each sample.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
        n_jobs : int or None, default=None
            Number of threads; None: all cores.

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        ValueError
            If X is not finite or has another number of features.
        """
        return best_components(*self._checked("predict", X, n_jobs=n_jobs))

    def predict_proba(self, X: Any, *, n_jobs: int | None = None) -> NDArray[np.floating[Any]]:
        r"""Compute the responsibilities p(k | x).

        .. math:: r_k = w_k N(x \mid \mu_k, \Sigma_k) / p(x)

        For `VariationalParameters` they are computed from expected logarithms.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
        n_jobs : int or None, default=None
            Number of threads; None: all cores.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            Rows sum to 1. float32 where X and the samples of the fit are float32, computed in
            float64, as those of `GaussianMixture`.

        Raises
        ------
        ValueError
            If X is not finite or has another number of features.
        """
        samples, parameters, n_threads = self._checked("predict_proba", X, n_jobs=n_jobs)
        dtype = result_dtype(samples, parameters, self.dtype)
        return responsibilities(samples, parameters, n_threads, dtype)

    def score_samples(self, X: Any, *, n_jobs: int | None = None) -> NDArray[np.floating[Any]]:
        r"""Compute the log-density of each sample.

        .. math:: \log p(x) = \log \sum_k w_k \, N(x \mid \mu_k, \Sigma_k)

        For `VariationalParameters` it is computed from expected logarithms.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
        n_jobs : int or None, default=None
            Number of threads; None: all cores.

        Returns
        -------
        ndarray of shape (n_samples,)
            log p(x), in nats. float32 where X and the samples of the fit are float32, computed in
            float64, as those of `GaussianMixture`.

        Raises
        ------
        ValueError
            If X is not finite or has another number of features.
        """
        samples, parameters, n_threads = self._checked("score_samples", X, n_jobs=n_jobs)
        dtype = result_dtype(samples, parameters, self.dtype)
        return log_density(samples, parameters, n_threads, dtype)

    def score(self, X: Any, *, sample_weight: Any = None, n_jobs: int | None = None) -> float:
        r"""Compute the weighted mean log-density of the samples.

        .. math:: \frac{\sum_i w_i \log p(x_i)}{\sum_i w_i}

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
        sample_weight : array-like of shape (n_samples,) or number, optional
            Non-negative; each counts as that many copies of its sample.
        n_jobs : int or None, default=None
            Number of threads; None: all cores.

        Returns
        -------
        float
            In nats.

        Raises
        ------
        ValueError
            If X or the weights are not finite, or a weight is negative.
        """
        samples, parameters, n_threads = self._checked("score", X, sample_weight, n_jobs)
        return log_likelihood(samples, parameters, n_threads) / samples.total_weight

    def to_estimator(
        self, prior: NormalWishartPrior | None = None
    ) -> "GaussianMixture | BayesianGaussianMixture":
        """Return a fitted estimator with these parameters; it can also sample and be saved.

        Parameters of the estimator that the result does not contain, such as ``tol``, have their
        defaults.

        Parameters
        ----------
        prior : NormalWishartPrior, optional
            The prior of `ConjugatePrior`; needed for `VariationalParameters`, and only for these.

        Returns
        -------
        GaussianMixture or BayesianGaussianMixture
            The latter where the parameters are `VariationalParameters`.

        Raises
        ------
        TypeError
            If the parameters need a prior and there is none, or the other way round.
        ValueError
            If the estimators have no such covariance type.

        Examples
        --------
        >>> import numpy as np
        >>> from fastgmm import em
        >>> X = np.array([[0.0], [0.1], [5.0], [5.1]])
        >>> start = em.starting_parameters(X, 2, random_state=0)
        >>> model = em.fit(X, start).to_estimator()
        >>> np.sort(model.means_[:, 0]).round(3).tolist()
        [0.05, 5.05]
        """
        # the folder of estimators is above this one: it is imported only when it is needed
        from ..estimators.from_result import estimator_from

        return estimator_from(self, prior)

    def to_parameters(self) -> MixtureParameters:
        """Return the mixture as a value, as `fastgmm.embed` takes it.

        Returns
        -------
        MixtureParameters
        """
        return self.parameters

    def _checked(
        self, method: str, X: Any, sample_weight: Any = None, n_jobs: int | None = None
    ) -> tuple[Samples, MixtureParameters, int]:
        """Return checked samples, the mixture, and the number of threads."""
        samples = check_samples(
            X,
            sample_weight,
            n_features=self.parameters.n_features,
            with_missing=self.missing == "marginalize",
        )
        return samples, self.parameters, count_threads(n_jobs)
