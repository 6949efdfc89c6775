"""Features in standard deviations, and a model that was fitted to them in their own units."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from .._kernels.layout import Array
from ..data.checks import check_sample_weight
from ..model.covariance import get_covariance_model


class Standardized:
    r"""Samples as :math:`z = (x - m) / s`, with the weighted mean and deviation of each feature.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
    sample_weight : array of shape (n_samples,) or None

    Attributes
    ----------
    X : array of shape (n_samples, n_features)
        z: a copy, in float32 or float64. A constant feature becomes 0.
    """

    def __init__(self, X: NDArray[Any], sample_weight: Array | None) -> None:
        if X.dtype not in (np.float32, np.float64):
            X = X.astype(np.float64)
        sample_weight = check_sample_weight(sample_weight, len(X))
        present = slice(None) if sample_weight is None else sample_weight > 0.0
        known, weight = X[present], None if sample_weight is None else sample_weight[present]
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            scaler = StandardScaler().fit(known, sample_weight=weight)
            # which NaN does not enter
            varies = np.fmax.reduce(known) > np.fmin.reduce(known)
            _check_range(np.where(varies, scaler.var_, 1.0))
            self.X: NDArray[Any] = scaler.transform(X)
        self._mean: Array = np.asarray(scaler.mean_)
        self._scale: Array = np.asarray(scaler.scale_)

    def restore(self, model: Any) -> None:
        r"""Turn a model of z into the same model of x; predictions stay the same.

        .. math:: \mu = m + s \mu_z, \qquad \Sigma = S \Sigma_z S, \qquad U = S^{-1} U_z, \qquad
            \log p(x) = \log p(z) - \sum_j \log s_j

        Parameters
        ----------
        model : fitted GaussianMixture
            With full, tied or diagonal covariances. It is changed.

        Raises
        ------
        ValueError
            If a variance in the features' own units is not a positive number of float64.
        """
        kind = get_covariance_model(model.covariance_type)
        s = self._scale
        with np.errstate(over="ignore", under="ignore"):
            model.means_ = self._mean + s * model.means_
            model.covariances_ = model.covariances_ * (np.outer(s, s) if kind.is_matrix else s**2)
            rows = s[:, np.newaxis] if kind.is_matrix else s
            model.precisions_cholesky_ = model.precisions_cholesky_ / rows
            model.precisions_ = kind.precisions(model.precisions_cholesky_)
        variances = kind.variances(model.covariances_, *model.means_.shape)
        _check_range(variances)
        self._shift_bounds(model)
        model._remember()  # these factors, which are those of the fit

    def _shift_bounds(self, model: Any) -> None:
        shift = float(np.log(self._scale).sum())
        model.history_ = [
            iteration._replace(lower_bound=iteration.lower_bound - shift)
            for iteration in model.history_
        ]
        model.lower_bounds_ = [iteration.lower_bound for iteration in model.history_]
        model.lower_bound_ -= shift


def _check_range(variances: Array) -> None:
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        inverses = 1.0 / variances
    bad = np.argwhere(~(np.isfinite(inverses) & np.isfinite(variances)))
    if len(bad):
        raise ValueError(
            f"--standardize: float64 cannot hold the variance of feature {bad[0][-1]}, or its "
            "inverse. Scale the input data."
        )
