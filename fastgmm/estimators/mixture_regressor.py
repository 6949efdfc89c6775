"""MixtureRegressor: regression by conditioning a mixture of inputs and targets."""

from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from .._kernels.layout import Array
from .._kernels.threads import count_threads
from ..data.samples import Samples
from ..model.conditional import Conditioning
from ._fitting import IteratedMixture
from ._inputs import check_samples, unchanged_on_error
from .conditional_mixture import ConditionalMixture
from .gaussian_mixture import GaussianMixture

# Conditional means that are computed at a time: 8 MB.
_MEANS = 2**20


class MixtureRegressor(MultiOutputMixin, RegressorMixin, BaseEstimator):
    r"""Predict targets by a Gaussian mixture of inputs and targets (Gaussian mixture regression).

    .. math:: p(y \mid x) = \sum_k w_k(x) \, N(y \mid m_k(x), C_k), \qquad
        \hat y(x) = \sum_k w_k(x) \, m_k(x)

    The mixture is fitted to the table of all inputs and targets. Given inputs, its components are
    linear regressions that share the samples by their responsibilities. So predictions are smooth
    functions of x, and the spread about them depends on x and may have several modes. One
    component is linear regression.

    Parameters
    ----------
    estimator : GaussianMixture or BayesianGaussianMixture, optional
        The mixture, which is cloned and then fitted. None: ``GaussianMixture()``, of one component.

    Attributes
    ----------
    estimator_ : GaussianMixture or BayesianGaussianMixture
        The fitted mixture. Its features are those of X, then the targets.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Where X has string column names.

    References
    ----------
    Ghahramani and Jordan (1994), Supervised learning from incomplete data via an EM approach, NIPS.
    Sung (2004), Gaussian mixture regression and classification, Rice University.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import GaussianMixture, MixtureRegressor
    >>> X = np.linspace(-3.0, 3.0, 200)[:, np.newaxis]
    >>> y = np.abs(X[:, 0])
    >>> mixture = GaussianMixture(2, random_state=0)
    >>> model = MixtureRegressor(mixture).fit(X, y)
    >>> model.predict([[-2.0], [2.0]]).round(2).tolist()
    [2.0, 2.0]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"estimator": [IteratedMixture, None]}

    def __init__(self, estimator: Any = None) -> None:
        self.estimator = estimator

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "MixtureRegressor":
        """Fit the mixture to inputs and targets.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
        sample_weight : array-like of shape (n_samples,) or number, optional
            Non-negative; each counts as that many copies of its sample.

        Returns
        -------
        MixtureRegressor
            self.

        Raises
        ------
        ValueError
            If ``estimator`` is no mixture, or X, y, a weight or one of its parameters is not valid.

        Warns
        -----
        ConvergenceWarning
            As the mixture's ``fit``.
        """
        self._validate_params()
        with unchanged_on_error(self):
            X, y = validate_data(
                self,
                X,
                y,
                dtype=(np.float64, np.float32),
                multi_output=True,
                y_numeric=True,
                ensure_min_samples=2,
            )
            mixture = GaussianMixture() if self.estimator is None else clone(self.estimator)
            table = np.column_stack([X, y])
            self.estimator_ = mixture.fit(table, sample_weight=sample_weight)
            self._has_one_target = y.ndim == 1
        return self

    def condition(self, X: Any) -> ConditionalMixture:
        """Return the mixture of the targets for each row of inputs.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)

        Returns
        -------
        ConditionalMixture
            With weights and means for each row; ``score_samples(y)`` is log p(y | x).

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If X is not finite or has another number of features.
        """
        return self._at(*self._checked(X))

    def predict(self, X: Any, return_std: bool = False) -> Any:
        r"""Compute the conditional means of the targets, and their standard deviations.

        .. math:: E[y \mid x], \qquad \sqrt{\mathrm{var}[y \mid x]}

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
        return_std : bool, default=False

        Returns
        -------
        mean : ndarray of shape (n_samples,) or (n_samples, n_targets)
            float64.
        std : ndarray of the same shape
            Only with ``return_std``. In the units of y: of one target at x, not of its mean.

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If X is not finite or has another number of features.
        """
        samples, conditioning = self._checked(X)
        shape = samples.n_samples, *conditioning.means.shape[1:]
        mean, std = np.empty(shape), np.empty(shape if return_std else 0)
        for rows in samples.block_slices(max(_MEANS // conditioning.means.size, 1)):
            part = self._at(Samples(samples.rows(rows)), conditioning)
            mean[rows] = part.mean()
            if return_std:
                std[rows] = part.std()
        if self._has_one_target:
            mean, std = mean[:, 0], std[:, 0] if return_std else std
        return (mean, std) if return_std else mean

    def sample(self, X: Any, n_samples: int = 1, random_state: Any = None) -> Array:
        """Draw targets from their conditional mixture at each row of inputs.

        Parameters
        ----------
        X : array-like or data frame of shape (n_rows, n_features)
        n_samples : int, default=1
            Draws for each row.
        random_state : int, RandomState instance or None, default=None
            None: that of the mixture.

        Returns
        -------
        ndarray of shape (n_rows, n_samples) or (n_rows, n_targets, n_samples)
            As ``GaussianProcessRegressor.sample_y`` of scikit-learn.

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If X is not finite or has another number of features, or ``n_samples`` negative.
        """
        given = self.condition(X)
        seed = self.estimator_.random_state if random_state is None else random_state
        draws = given.sample(n_samples, seed).swapaxes(1, 2)
        return draws[:, 0] if self._has_one_target else draws

    def _checked(self, X: Any) -> tuple[Samples, Conditioning]:
        check_is_fitted(self)
        samples = check_samples(self, X, reset=False)
        parameters = self.estimator_._mixture()
        given = np.arange(samples.n_features)
        targets = np.arange(samples.n_features, parameters.n_features)
        return samples, Conditioning.of(parameters, given, targets)

    def _at(self, samples: Samples, conditioning: Conditioning) -> ConditionalMixture:
        weights, means = conditioning.at(samples, count_threads(self.estimator_.n_jobs))
        kind = conditioning.given.covariance_type
        targets = np.arange(means.shape[2]) + samples.n_features
        return ConditionalMixture(weights, means, conditioning.covariances, kind, targets)
