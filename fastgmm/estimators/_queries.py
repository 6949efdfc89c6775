"""What a mixture tells beside its density: marginals, conditionals, outliers, merged components."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils.random import sample_without_replacement

from .._kernels.layout import Array
from .._kernels.threads import count_threads
from ..data.containers import to_array
from ..data.samples import Samples
from ..em.truncated_prediction import density_and_label
from ..model.conditional import Conditioning, marginal
from ..model.merging import elbow, merge_by_entropy
from ..model.prediction import best_components, log_density, responsibilities
from ..model.validation import check_complete
from ._array_api import like, put_attributes_like
from ._base_mixture import BaseMixture
from ._inputs import check_count, check_features
from ._posteriors import is_prediction_truncated
from .conditional_mixture import ConditionalMixture
from .merged_components import MergedComponents
from .variational_gap import VariationalGap

_Self = TypeVar("_Self", bound="QueriedMixture")


class QueriedMixture(BaseMixture):
    """A mixture whose parameters are those of a density, which can be integrated and conditioned.

    Subclasses have the class method ``from_parameters``.
    """

    def marginal(self: _Self, features: Any) -> _Self:
        r"""Return the mixture of some features; the others are integrated out.

        .. math:: p(x_A) = \sum_k w_k \, N(x_A \mid \mu_{k,A}, \Sigma_{k,AA})

        Parameters
        ----------
        features : int, str, slice or array-like
            Numbers or names of features, or a mask; they keep the order in which they are given.

        Returns
        -------
        object
            An estimator of the same class, from parameters: ready to predict, score and sample. It
            has the ``random_state`` and ``n_jobs`` of this one, and its feature names.

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If a feature is unknown or named twice, or there is none.

        References
        ----------
        Bishop (2006), Pattern Recognition and Machine Learning, eq. 2.98.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> model = GaussianMixture.from_parameters([1.0], [[0.0, 3.0]], [[[1.0, 0.5], [0.5, 2.0]]])
        >>> model.marginal(1).covariances_.tolist()
        [[[2.0]]]
        """
        parameters = self.to_parameters()
        numbers = check_features(
            getattr(self, "feature_names_in_", ()), features, parameters.n_features
        )
        part = marginal(parameters, numbers)
        model: _Self = type(self).from_parameters(
            part.weights,
            part.means,
            part.covariances,
            covariance_type=part.covariance_type,
            random_state=self.random_state,
            n_jobs=self.n_jobs,
        )
        model._samples_dtype = self._samples_dtype
        if hasattr(self, "feature_names_in_"):
            model.feature_names_in_ = self.feature_names_in_[numbers]
        put_attributes_like(model, self.means_)
        model._remember()
        return model

    def condition(self, features: Any, values: Any) -> ConditionalMixture:
        r"""Return the mixture of the other features for each row of values of some features.

        .. math:: p(y \mid x) = \sum_k w_k(x) \, N(y \mid m_k(x), C_k), \qquad
            w_k(x) = \frac{w_k N(x \mid \mu_{k,x}, \Sigma_{k,xx})}{p(x)}

        .. math:: m_k(x) = \mu_{k,y} + \Sigma_{k,yx} \Sigma_{k,xx}^{-1} (x - \mu_{k,x}), \qquad
            C_k = \Sigma_{k,yy} - \Sigma_{k,yx} \Sigma_{k,xx}^{-1} \Sigma_{k,xy}

        Parameters
        ----------
        features : int, str, slice or array-like
            Numbers or names of the features that are given, x, or a mask. At least one is left, y.
        values : array-like or data frame of shape (n_samples, n_given)
            Their values, in the same order.

        Returns
        -------
        ConditionalMixture
            Over the other features, in ascending order: weights and means for each row, and
            covariances that are the same for all rows. It has ``mean``, ``std``, ``covariance``,
            ``score_samples`` and ``sample``.

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If a feature is unknown or named twice, none or all are given, or values are not finite
            or have another shape.

        References
        ----------
        Bishop (2006), Pattern Recognition and Machine Learning, eq. 2.96.
        Ghahramani and Jordan (1994), Supervised learning from incomplete data via an EM approach.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> model = GaussianMixture.from_parameters([1.0], [[0.0, 3.0]], [[[1.0, 0.5], [0.5, 2.0]]])
        >>> given = model.condition(0, [[0.0], [2.0]])
        >>> given.mean().tolist(), given.covariances.round(12).tolist()
        ([[3.0], [4.0]], [[[1.75]]])
        """
        parameters = self.to_parameters()
        numbers = check_features(
            getattr(self, "feature_names_in_", ()), features, parameters.n_features
        )
        others = np.delete(np.arange(parameters.n_features), numbers)
        if not len(others):
            raise ValueError(
                f"features should leave at least one of {parameters.n_features} features, "
                f"but got {features!r}."
            )
        samples, _, n_threads = self.marginal(numbers)._checked("condition", values)
        conditioning = Conditioning.of(parameters, numbers, others)
        weights, means = conditioning.at(samples, n_threads)
        return ConditionalMixture(
            weights, means, conditioning.covariances, parameters.covariance_type, others
        )

    def density_quantile(
        self, q: Any, *, n_draws: int = 100_000, random_state: Any = None
    ) -> NDArray[np.float64]:
        r"""Compute the log-density below which the mixture has a given share of its mass.

        .. math:: c_q: \quad P\left[\log p(x) \le c_q\right] = q, \qquad x \sim p

        Samples with ``score_samples(X) < density_quantile(0.01)`` lie outside the smallest region
        that holds 99 % of the mass. The quantiles are those of the densities of draws.

        Parameters
        ----------
        q : float or array-like
            Between 0 and 1.
        n_draws : int, default=100_000
            The standard error is that of the quantile of so many draws.
        random_state : int, RandomState instance or None, default=None
            None: that of the estimator.

        Returns
        -------
        float or ndarray
            In nats, in the shape of ``q``.

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If q is not between 0 and 1, or ``n_draws`` is less than 1.

        References
        ----------
        Hyndman (1996), Computing and graphing highest density regions.
        """
        probabilities = to_array(q, "q")
        if not ((probabilities >= 0) & (probabilities <= 1)).all():
            raise ValueError(f"q should be between 0 and 1, but got {q!r}.")
        densities = self._densities_of_draws(n_draws, random_state)
        quantiles: NDArray[np.float64] = np.quantile(densities, probabilities)
        return quantiles

    def outlier_score(
        self, X: Any, *, n_draws: int = 100_000, random_state: Any = None
    ) -> NDArray[np.float64]:
        r"""Compute the share of the mixture's mass where the density is higher than at a sample.

        .. math:: s(x) = P\left[p(x') > p(x)\right], \qquad x' \sim p

        It is between 0, at the highest density, and 1. If the samples come from the mixture, scores
        are uniform: one in 100 is above 0.99. The share is estimated from draws. To rank samples
        beyond all draws, use ``score_samples``.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
        n_draws : int, default=100_000
            With N draws the standard error is sqrt(s (1 - s) / N), and the largest score
            N / (N + 1).
        random_state : int, RandomState instance or None, default=None
            None: that of the estimator.

        Returns
        -------
        ndarray of shape (n_samples,)
            float64.

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If X is not finite, misses values or has another number of features, or ``n_draws`` is
            less than 1. Densities of rows with different gaps have different units.

        References
        ----------
        Hyndman (1996), Computing and graphing highest density regions.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> model = GaussianMixture.from_parameters([1.0], [[0.0]], [[[1.0]]], random_state=0)
        >>> model.outlier_score([[0.0], [1.0], [3.0]]).round(2).tolist()
        [0.0, 0.68, 1.0]
        """
        samples, parameters, n_threads = self._checked("outlier_score", X)
        check_complete(samples, "outlier_score")
        densities = np.sort(self._densities_of_draws(n_draws, random_state))
        own = log_density(samples, parameters, n_threads)
        higher = len(densities) - np.searchsorted(densities, own, side="right")
        return like(X, np.asarray(higher / (len(densities) + 1.0)))

    def variational_gap(
        self, X: Any, *, n_samples: int = 1000, random_state: Any = None
    ) -> VariationalGap:
        r"""Measure what densities and labels lose where ``posterior`` is truncated.

        .. math:: \log p(x) - \log \sum_{k \in B(x)} w_k N(x \mid k)

        with the components B(x) that were found for x, among which ``predict_proba`` shares out x.
        From 16,384 components on ``score_samples`` returns the second term. With fewer,
        ``score_samples`` and ``predict`` are exact.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
        n_samples : int, default=1000
            So many of them, drawn at random, are compared with the exact density; all if there are
            fewer.
        random_state : int, RandomState instance or None, default=None
            None: that of the estimator.

        Returns
        -------
        VariationalGap
            All zeros where all predictions are exact.

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If X is not finite or has another number of features, or ``n_samples`` is less than 1.
        TypeError
            If ``n_samples`` is no integer.
        """
        samples, parameters, n_threads = self._checked("variational_gap", X)
        check_count(n_samples, "n_samples")
        if not is_prediction_truncated(self, samples, parameters, of_responsibilities=True):
            return VariationalGap(0.0, 0.0, 0.0, 0.0, 0.0)
        n = samples.n_samples
        seed = check_random_state(self.random_state if random_state is None else random_state)
        rows = np.sort(sample_without_replacement(n, min(n_samples, n), random_state=seed))
        some = samples.take(rows)
        bounds, labels = density_and_label(samples, parameters, n_threads)
        gaps = log_density(some, parameters, n_threads) - bounds[rows]
        is_other = labels[rows] != best_components(some, parameters, n_threads)
        return VariationalGap.of_some(np.maximum(gaps, 0.0), is_other, n)

    def merge_components(self, X: Any, sample_weight: Any = None) -> MergedComponents:
        r"""Merge components into clusters, step by step those that overlap most.

        Several components may describe one cluster that is not Gaussian. From K clusters of one
        component each, every step merges the two clusters that lower the entropy of the
        responsibilities most:

        .. math:: E = -\sum_i s_i \sum_c r_{ic} \log r_{ic}, \qquad
            r_{ic} = \sum_{k \in c} p(k \mid x_i)

        The density stays as it is. It takes 8 n_samples n_components bytes and the time of
        n_samples n_components^2 logarithms.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Usually the samples of the fit.
        sample_weight : array-like of shape (n_samples,) or number, optional
            Non-negative weights s_i.

        Returns
        -------
        MergedComponents
            The clusters of every number from K to 1, their entropies, and the number at the elbow
            of the entropies. It has ``labels``, ``predict`` and ``predict_proba``.

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If X or the weights are not finite, or a weight is negative.

        References
        ----------
        Baudry, Raftery, Celeux, Lo and Gottardo (2010), Combining mixture components for
        clustering, section 3 and 4.
        """
        samples, parameters, n_threads = self._checked("merge_components", X, sample_weight)
        resp = responsibilities(samples, parameters, n_threads)
        merges, entropies = merge_by_entropy(resp, samples.sample_weight, n_threads)
        n_clusters = elbow(entropies, samples.total_weight)
        return MergedComponents(self, merges, entropies, n_clusters)

    def _densities_of_draws(self, n_draws: int, random_state: Any) -> Array:
        """Return log p(x) of draws from this mixture."""
        draws = Samples(self._draw(n_draws, random_state, "n_draws")[0])
        return log_density(draws, self.to_parameters(), count_threads(self.n_jobs))
