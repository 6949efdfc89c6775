"""The mixture that an estimator holds in its attributes, as a value for other code."""

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from .._kernels.layout import Array
from .._kernels.threads import count_threads
from ..data.containers import to_array
from ..data.samples import Samples
from ..model.covariance import get_covariance_model
from ..model.parameters import MixtureParameters
from ..model.validation import check_mixture
from ._array_api import check_same_home
from ._inputs import check_samples

if TYPE_CHECKING:
    from ..embed.numba import Model

_PARTS = ("weights_", "means_", "covariances_")


class HeldMixture(BaseEstimator):
    """An estimator whose attributes are a mixture, fitted or set by hand."""

    weights_: Array
    means_: Array
    covariances_: Array
    precisions_cholesky_: Array
    covariance_type: str

    n_jobs: int | None

    _checksum: int | None = None
    # the attribute that tells in which library and on which device the parameters are
    _located_by = "means_"

    def _parameters(self) -> MixtureParameters:
        return self._mixture()

    def _not_fitted(self) -> str | None:
        """Return why it is not fitted; None: what scikit-learn says."""
        return None

    def _mixture(self) -> MixtureParameters:
        """Return the mixture of the attributes; factor covariances that were set by hand."""
        missing = [name for name in _PARTS if not hasattr(self, name)]
        if missing:
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet: it has no "
                f"{', '.join(missing)}. Call 'fit', or set {', '.join(_PARTS)}."
            )
        model = get_covariance_model(self.covariance_type)
        if self._checksum is None or self._checksum != self._sum_up():
            return check_mixture(model, self.weights_, self.means_, self.covariances_, suffix="_")
        weights, means, covariances, factors = (
            to_array(getattr(self, name), name).astype(np.float64, copy=False)
            for name in (*_PARTS, "precisions_cholesky_")
        )
        return MixtureParameters(model, weights, means, covariances, factors)

    def _remember(self) -> None:
        """Keep a checksum of the mixture, by which an attribute that changes is noticed."""
        self._checksum = self._sum_up()

    def _sum_up(self) -> int:
        checksum = zlib.crc32(self.covariance_type.encode())
        for name in (*_PARTS, "precisions_cholesky_"):
            part = to_array(getattr(self, name, ()), name)
            checksum = zlib.crc32(np.ascontiguousarray(part), checksum)
        return checksum

    def _checked(
        self,
        method: str,
        X: Any,
        sample_weight: Any = None,
        with_missing: bool | None = None,
        may_be_absent: bool = False,
    ) -> tuple[Samples, MixtureParameters, int]:
        """Return samples, checked by ``check_samples``, the mixture, and the number of threads."""
        parameters = self.to_parameters()
        check_same_home(X, getattr(self, self._located_by), f"{type(self).__name__}.{method}")
        samples = check_samples(
            self,
            X,
            sample_weight,
            reset=False,
            with_missing=with_missing,
            may_be_absent=may_be_absent,
        )
        if samples.n_features != parameters.n_features:  # means that were set by hand
            raise ValueError(
                f"X has {samples.n_features} features, but {type(self).__name__} is expecting "
                f"{parameters.n_features} features as input."
            )
        return samples, parameters, count_threads(self.n_jobs)

    def to_parameters(self) -> MixtureParameters:
        """Return the mixture as a value, as `fastgmm.em` and `fastgmm.embed` take it.

        Returns
        -------
        MixtureParameters
            Of the posterior for a `BayesianGaussianMixture`. It may share memory with attributes.

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If attributes that were set by hand are no mixture.
        """
        check_is_fitted(self, msg=self._not_fitted())
        return self._parameters()

    def to_numba(self) -> "Model":
        """Return the mixture as a value for compiled code.

        Returns
        -------
        fastgmm.embed.numba.Model
            A tuple of arrays, a copy. The functions of `fastgmm.embed.numba` take it, called from
            ``@njit`` code or from Python. Their results are those of this estimator.

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If a parameter is not finite.
        ImportError
            If Numba is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> from numba import njit
        >>> from fastgmm import GaussianMixture
        >>> from fastgmm.embed.numba import component, new_workspace
        >>> @njit
        ... def count(model, X):
        ...     counts = np.zeros(model.n_components, np.int64)
        ...     workspace = new_workspace(model, 1)
        ...     for x in X:
        ...         counts[component(model, x, workspace)] += 1
        ...     return counts
        >>> mixture = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [4.0]], [[1.0], [1.0]])
        >>> count(mixture.to_numba(), np.array([[0.1], [3.9], [4.2]])).tolist()
        [1, 2]
        """
        parameters = self.to_parameters()
        from ..embed.numba import to_numba

        return to_numba(parameters)

    @property
    def n_parameters_(self) -> int:
        """Number of free parameters of the mixture: weights, means and covariances."""
        return self._parameters().n_parameters
