"""Estimators whose samples lie in partitions on the workers of Dask."""

from copy import deepcopy
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config

from .. import estimators
from ..data.samples import Samples
from ..em.result import EMResult
from ..estimators._fitting import IteratedMixture
from ..estimators._inputs import check_feature_names
from ..init import is_given
from ..model.parameters import MixtureParameters
from ..model.prediction import log_likelihood, result_dtype
from .partitions import is_distributed, row_counts, to_partitions
from .samples import DistributedSamples
from .tasks import predict


class DistributedMixture(IteratedMixture):
    """The methods of a mixture for samples in partitions; others are as for samples in memory."""

    #: The class of the same model without Dask, as which it is saved.
    _plain: ClassVar[type]

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Estimate the parameters; return the best component of each sample, as ``predict``."""
        if not is_distributed(X):
            return super().fit_predict(X, y, sample_weight)
        return self.fit(X, sample_weight=sample_weight).predict(X)

    def predict(self, X: Any, out: Any = None) -> Any:
        """Return the component of the largest responsibility for each sample.

        Of samples in partitions it is a Dask array that is not computed yet, as those of
        ``predict_proba`` and ``score_samples``.
        """
        return self._of_partitions("predict", X, out)

    def predict_proba(self, X: Any, out: Any = None, *, top: Any = None) -> Any:
        """Compute the responsibilities p(k | x); see ``predict``."""
        if top is not None:
            if is_distributed(X):
                raise ValueError(f"top should be None where X is in partitions, but got {top!r}.")
            return super().predict_proba(X, out, top=top)
        return self._of_partitions("predict_proba", X, out)

    def score_samples(self, X: Any, out: Any = None) -> Any:
        """Compute the log-density of each sample, in nats; see ``predict``."""
        return self._of_partitions("score_samples", X, out)

    def _of_partitions(self, method: str, X: Any, out: Any) -> Any:
        if not is_distributed(X):
            return getattr(super(), method)(X, out)
        if out is not None:
            raise ValueError(f"out should be None where X is in partitions, but got {out!r}.")
        import dask.array as da
        from dask import delayed

        like = self._no_predictions(method, X)
        # a copy: a later fit changes no prediction
        model = delayed(deepcopy(self), pure=True, traverse=False)
        partitions = to_partitions(X)
        blocks = [
            da.from_delayed(
                delayed(predict, pure=True)(model, method, partition, like),
                (n_rows, *like.shape[1:]),
                meta=like,
            )
            for partition, n_rows in zip(partitions, row_counts(X, len(partitions)), strict=True)
        ]
        return da.concatenate(blocks)

    def _no_predictions(self, method: str, X: Any) -> NDArray[Any]:
        """Return what a method would for no rows of the type of X, or of float64 if unknown."""
        parameters = self.to_parameters()
        if method == "predict":
            return np.empty(0, np.int64)
        types: Any = getattr(X, "dtypes", [getattr(X, "dtype", np.float64)])
        kind = np.float32 if all(kind == np.float32 for kind in types) else np.float64
        samples = Samples(np.empty((0, parameters.n_features), kind))
        dtype = result_dtype(samples, parameters, self._samples_dtype)
        return np.empty((0, parameters.n_components) if method == "predict_proba" else 0, dtype)

    def _samples_to_fit(self, X: Any, sample_weight: Any) -> Samples:
        if not is_distributed(X):
            return super()._samples_to_fit(X, sample_weight)
        if getattr(self, "missing", "error") != "error":
            raise ValueError(
                f"missing should be 'error' where X is in partitions, but got {self.missing!r}."
            )
        if is_given(self.init_params):
            raise ValueError(
                "init_params should be the name of a method where X is in partitions, but got an "
                f"object of type {type(self.init_params).__name__}."
            )
        return self._distributed(X, sample_weight, reset=True, min_samples=2)

    def _distributed(
        self, X: Any, sample_weight: Any, *, reset: bool, min_samples: int = 1
    ) -> DistributedSamples:
        finite = not get_config()["assume_finite"]
        samples = DistributedSamples(X, sample_weight, min_samples=min_samples, finite=finite)
        check_feature_names(self, samples.frame, samples.n_features, reset=reset)
        return samples

    def _set_result_like(self, X: Any, result: EMResult[MixtureParameters]) -> None:
        if is_distributed(X):
            self._set_result(result)  # in arrays of NumPy
        else:
            super()._set_result_like(X, result)

    def _log_likelihood(self, method: str, X: Any, sample_weight: Any) -> tuple[float, float]:
        if not is_distributed(X):
            return super()._log_likelihood(method, X, sample_weight)
        parameters = self.to_parameters()
        samples = self._distributed(X, sample_weight, reset=False)
        return samples.sum(log_likelihood, parameters, n_threads=1), samples.total_weight


class GaussianMixture(DistributedMixture, estimators.GaussianMixture):
    """`fastgmm.GaussianMixture`, for samples in partitions on the workers of Dask as well."""

    _plain = estimators.GaussianMixture


class BayesianGaussianMixture(DistributedMixture, estimators.BayesianGaussianMixture):
    """`fastgmm.BayesianGaussianMixture`, for samples in partitions on the workers of Dask, too."""

    _plain = estimators.BayesianGaussianMixture
