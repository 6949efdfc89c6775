"""Estimators of known parameters, which were not fitted."""

import math
from typing import Any, TypeVar

from ..em.result import EMResult
from ..model.covariance import get_covariance_model
from ..model.validation import check_mixture, covariance_type_of
from ._fitting import IteratedMixture
from ._queries import QueriedMixture

_Self = TypeVar("_Self", bound="KnownMixture")


class KnownMixture(IteratedMixture, QueriedMixture):
    """A mixture that can be made from its parameters."""

    @classmethod
    def from_parameters(
        cls: type[_Self],
        weights: Any,
        means: Any,
        covariances: Any,
        *,
        covariance_type: str | None = None,
        **options: Any,
    ) -> _Self:
        """Return a mixture of known parameters, ready to predict, score, sample and be saved.

        With ``warm_start=True`` ``fit`` continues from these parameters. Its attributes are those
        of a fit of no iterations: ``n_iter_`` is 0 and ``converged_`` False.

        Parameters
        ----------
        weights : array-like of shape (n_components,)
            Between 0 and 1, with sum 1.
        means : array-like of shape (n_components, n_features)
        covariances : array-like
            (K, d, d) full, (d, d) tied, (K, d) diag, (K,) spherical, a number for tied-spherical.
            Symmetric and positive definite.
        covariance_type : {'full', 'tied', 'diag', 'spherical', 'tied-spherical'}, optional
            Default: what the shape of the covariances tells. It must be given where K = d and the
            covariances are a (d, d) table, which may be one matrix or variances.
        **options
            Other parameters of the estimator, such as ``random_state``.

        Returns
        -------
        GaussianMixture

        Raises
        ------
        TypeError, ValueError
            If shapes do not agree or allow two covariance types, weights do not sum to 1,
            covariances are not positive definite, or a number is not finite.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> model = GaussianMixture.from_parameters([0.25, 0.75], [[0.0], [10.0]], [[1.0], [4.0]])
        >>> model.covariance_type, model.predict([[1.0], [9.0]]).tolist()
        ('diag', [0, 1])
        """
        if covariance_type is None:
            covariance_type = covariance_type_of(means, covariances)
        parameters = check_mixture(
            get_covariance_model(covariance_type), weights, means, covariances
        )
        model = cls(parameters.n_components, covariance_type=covariance_type, **options)
        model._validate_params()
        model.n_features_in_ = parameters.n_features
        result = EMResult(parameters, converged=False, lower_bound=-math.inf)
        model._set_result_like(means, result)
        return model
