"""What the EM loop returns: one record per iteration, and the result."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

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

if TYPE_CHECKING:
    from ..estimators import BayesianGaussianMixture, GaussianMixture


class Iteration(NamedTuple):
    """One iteration of EM.

    Parameters
    ----------
    number : int
        Counted from 1.
    lower_bound : float
        Mean log-likelihood of the parameters with which the iteration began, in nats.
    change : float
        Since the previous iteration; infinite in the first.
    seconds : float
        Wall time.
    """

    number: int
    lower_bound: float
    change: float
    seconds: float


@dataclass(frozen=True)
class EMResult:
    """The outcome of one run of EM: a mixture, and how it was reached.

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
    """

    parameters: MixtureParameters
    converged: bool
    lower_bound: float
    history: list[Iteration] = field(default_factory=list)
    collapsed: dict[int, int] = field(default_factory=dict)
    stopped: bool = False
    dtype: "np.dtype[Any]" = field(default_factory=lambda: np.dtype(np.float64))

    @property
    def n_iter(self) -> int:
        """Number of iterations."""
        return len(self.history)

    @property
    def lower_bounds(self) -> list[float]:
        """The lower bound of every iteration."""
        return [iteration.lower_bound for iteration in self.history]

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
        TypeError
            If the parameters are not those of a Gaussian mixture.
        """
        return best_components(*self._on("predict", X), count_threads(n_jobs))

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
        TypeError
            If the parameters are not those of a Gaussian mixture.
        """
        samples, parameters = self._on("predict_proba", X)
        dtype = result_dtype(samples, parameters, self.dtype)
        return responsibilities(samples, parameters, count_threads(n_jobs), dtype)

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
        TypeError
            If the parameters are not those of a Gaussian mixture.
        """
        samples, parameters = self._on("score_samples", X)
        dtype = result_dtype(samples, parameters, self.dtype)
        return log_density(samples, parameters, count_threads(n_jobs), dtype)

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
        TypeError
            If the parameters are not those of a Gaussian mixture.
        """
        samples, parameters = self._on("score", X, sample_weight)
        return log_likelihood(samples, parameters, count_threads(n_jobs)) / samples.total_weight

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
            If the parameters are not those of a Gaussian mixture; if they need a prior and there
            is none, or the other way round.
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
        self._mixture("to_estimator")
        # the folder of estimators is above this one: it is imported only when it is needed
        from ..estimators.from_result import estimator_from

        return estimator_from(self, prior)

    def _on(
        self, method: str, X: Any, sample_weight: Any = None
    ) -> tuple[Samples, MixtureParameters]:
        parameters = self._mixture(method)
        return check_samples(X, sample_weight, n_features=parameters.n_features), parameters

    def _mixture(self, method: str) -> MixtureParameters:
        if not isinstance(self.parameters, MixtureParameters):
            raise TypeError(
                f"{method} needs MixtureParameters, "
                f"but the result has {type(self.parameters).__name__}."
            )
        return self.parameters
