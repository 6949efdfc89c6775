"""The methods of every fitted mixture estimator: prediction, scores, sampling."""

from typing import Any, ClassVar, overload

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.base import DensityMixin
from sklearn.utils import check_random_state
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted

from .._kernels.layout import Array
from .._kernels.threads import count_threads
from ..model.prediction import log_likelihood, result_dtype
from ._array_api import like
from ._documentation import Documented
from ._inputs import check_count
from ._outputs import check_out
from ._posteriors import predictions
from ._tables import DescribedMixture

_FLOAT64 = np.dtype(np.float64)


class FittedMixture(Documented, DensityMixin, DescribedMixture):
    """Prediction, scoring and sampling of a fitted mixture, for every method of fitting."""

    random_state: Any

    # no metadata that scikit-learn might route: whoever calls has the array
    __metadata_request__predict: ClassVar[dict[str, Any]] = {"out": UNUSED}
    __metadata_request__predict_proba: ClassVar[dict[str, Any]] = {"out": UNUSED}

    # the type of the samples of the last fit
    _samples_dtype: "np.dtype[Any]" = np.dtype(np.float64)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.array_api_support = True
        return tags

    def _log_likelihood(self, method: str, X: Any, sample_weight: Any) -> tuple[float, float]:
        """Return sum w log p(x) and sum w."""
        samples, parameters, n_threads = self._checked(method, X, sample_weight)
        return log_likelihood(samples, parameters, n_threads), samples.total_weight

    def score_samples(self, X: Any, out: NDArray[Any] | None = None) -> NDArray[np.floating[Any]]:
        r"""Compute the log-density of each sample.

        .. math:: \log p(x) = \log \sum_k w_k \, N(x \mid \mu_k, \Sigma_k)

        Where ``posterior`` is truncated, from 16,384 components and 8,192 samples on, it is the sum
        over ten components that are sought near the sample, as in ``predict`` and
        ``predict_proba``: a bound below log p(x). `variational_gap` measures what is missing.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
        out : ndarray of shape (n_samples,), optional
            C-contiguous, float64 or the type below, not overlapping X: takes the result, and no
            other memory that grows with n_samples is used. Many threads may call at once, each with
            its own; they compute without the interpreter's lock.

        Returns
        -------
        ndarray of shape (n_samples,)
            log p(x), in nats. For `GaussianMixture` float32 where X and the samples of the fit are
            float32, as scikit-learn's, computed in float64; else float64.

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If X is not finite or has another number of features, or ``out`` cannot take the result.
        TypeError
            If ``out`` is no array or of another type.
        """
        samples, parameters, n_threads = self._checked("score_samples", X)
        dtype = result_dtype(samples, parameters, self._samples_dtype)
        compute = predictions(self, samples, parameters).log_density
        if out is None:
            return like(X, compute(samples, parameters, n_threads, dtype))
        out = check_out(out, (samples.n_samples,), (_FLOAT64, dtype), samples)
        log_density: NDArray[Any] = compute(samples, parameters, n_threads, out=out)
        return log_density

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        r"""Compute the weighted mean log-density of the samples.

        .. math:: \frac{\sum_i w_i \log p(x_i)}{\sum_i w_i}

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,) or number, optional

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
        log_likelihood, weight = self._log_likelihood("score", X, sample_weight)
        # a NumPy scalar, as scikit-learn returns
        return np.float64(log_likelihood / weight)

    @overload
    def predict_proba(
        self, X: Any, out: NDArray[Any] | None = None, *, top: None = None
    ) -> NDArray[np.floating[Any]]: ...

    @overload
    def predict_proba(self, X: Any, out: None = None, *, top: int) -> csr_array: ...

    def predict_proba(
        self, X: Any, out: NDArray[Any] | None = None, *, top: int | None = None
    ) -> NDArray[np.floating[Any]] | csr_array:
        r"""Compute the responsibilities p(k | x).

        .. math:: r_k = w_k N(x \mid \mu_k, \Sigma_k) / p(x)

        Where ``posterior`` is truncated, from 2,048 components and 8,192 samples on, they are those
        of ten components that are sought near the sample, or ``top``, for the samples of the call
        together; of others they are 0. `predict` may then tell another component to be the best.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
        out : ndarray of shape (n_samples, n_components), optional
            C-contiguous, float64 or the type below, not overlapping X: takes the result, and no
            other memory that grows with n_samples is used. Many threads may call at once, each with
            its own; they compute without the interpreter's lock.
        top : int, optional
            Return the largest responsibilities of each sample alone. So no table of n_samples x
            n_components is formed. It does not go with ``out``.

        Returns
        -------
        ndarray of shape (n_samples, n_components), or csr_array with ``top``
            Rows sum to 1; with ``top`` to what these responsibilities make up. Each row of the
            sparse array has min(top, n_components) entries. For `GaussianMixture` float32 where X
            and the samples of the fit are float32, as scikit-learn's, computed in float64; else
            float64.

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If X is not finite or has another number of features, ``out`` cannot take the result, or
            ``top`` is less than 1 or goes with ``out``.
        TypeError
            If ``out`` is no array or of another type, or ``top`` is no integer.
        """
        if top is not None:
            check_count(top, "top")
            if out is not None:
                raise ValueError("top makes a sparse array of its own: it does not go with out.")
        samples, parameters, n_threads = self._checked("predict_proba", X)
        dtype = result_dtype(samples, parameters, self._samples_dtype)
        if top is not None:
            find = predictions(self, samples, parameters, of_responsibilities=True)
            sparse: csr_array = find.top_responsibilities(
                samples, parameters, n_threads, int(top), dtype
            )
            return sparse
        compute = predictions(self, samples, parameters, of_responsibilities=True).responsibilities
        if out is None:
            return like(X, compute(samples, parameters, n_threads, dtype))
        shape = samples.n_samples, parameters.n_components
        out = check_out(out, shape, (_FLOAT64, dtype), samples)
        resp: NDArray[Any] = compute(samples, parameters, n_threads, out=out)
        return resp

    def predict(self, X: Any, out: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Return the component of the largest responsibility for each sample.

        Where ``posterior`` is truncated, from 16,384 components and 8,192 samples on, it is the
        best of those that are sought near the sample, for the samples of the call together. A few
        labels are others than those of all components; `variational_gap` counts them.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
        out : ndarray of shape (n_samples,), optional
            C-contiguous, int64, not overlapping X: takes the result, and no other
            memory that grows with n_samples is used. Many threads may call at once, each with its
            own; they compute without the interpreter's lock.

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If X is not finite or has another number of features, or ``out`` cannot take the result.
        TypeError
            If ``out`` is no array or of another type.
        """
        samples, parameters, n_threads = self._checked("predict", X)
        find = predictions(self, samples, parameters).best_components
        if out is None:
            return like(X, find(samples, parameters, n_threads))
        out = check_out(out, (samples.n_samples,), (np.dtype(np.int64),), samples)
        labels: NDArray[np.int64] = find(samples, parameters, n_threads, out)
        return labels

    def sample(
        self, n_samples: int = 1, random_state: Any = None
    ) -> tuple[Array, NDArray[np.int64]]:
        """Draw samples: a component by its weight, then x from that component.

        The result follows from ``random_state`` alone, not from the number of threads.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None
            None: that of the estimator.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            float64, in ascending order of y, the component of each.
        y : ndarray of shape (n_samples,)

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If ``n_samples`` is less than 1, or ``random_state`` cannot seed.
        TypeError
            If ``n_samples`` is no integer.
        """
        X, y = self._draw(n_samples, random_state, "n_samples")
        home = getattr(self, self._located_by)
        return like(home, X), like(home, y)

    def _draw(self, n: int, random_state: Any, name: str) -> tuple[Array, NDArray[np.int64]]:
        """Return n draws and their components; the user calls n by a name."""
        check_is_fitted(self, msg=self._not_fitted())
        check_count(n, name)
        source = check_random_state(self.random_state if random_state is None else random_state)
        return self._mixture().draw(int(n), source, count_threads(self.n_jobs))
