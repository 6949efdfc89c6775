"""The methods that describe a fitted mixture: ``summary`` and ``to_frame``."""

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._kernels.layout import Array
from ..em.posteriors.exact import ExactPosterior
from ..model.component_table import describe_components
from ..model.summary import MixtureSummary, describe_model
from ._held_mixture import HeldMixture

if TYPE_CHECKING:
    import pandas as pd


class DescribedMixture(HeldMixture):
    """A mixture that describes itself: as text, as HTML and as a data frame."""

    # sum of the weights of the samples of the last fit; 0 where there was none
    n_samples_seen_: float = 0.0

    def summary(self, X: Any = None, sample_weight: Any = None) -> MixtureSummary:
        """Describe the fit, and each component by falling weight.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features), optional
            Samples that are counted for the sizes; see `to_frame`.
        sample_weight : array-like of shape (n_samples,) or number, optional

        Returns
        -------
        MixtureSummary
            Text where it is printed, HTML in a notebook: the outcome of the fit, and the table of
            `to_frame`. The text holds the ten heaviest components and the features that fit into a
            line, the HTML the fifty heaviest and all features.

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If X is not finite or has another number of features.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> X = [[0.0], [1.0], [2.0], [10.0], [12.0], [14.0], [16.0], [18.0]]
        >>> print(GaussianMixture(n_components=2, random_state=0).fit(X).summary())
        model        GaussianMixture, 2 components, full covariance, 5 free parameters
        features     x0
        outcome      converged after 2 iterations (last change 0, tol 0.001)
        lower bound  -2.654285 nats per sample, before the last update
        <BLANKLINE>
                                              x0
        label    weight  size    mean  std. dev.
            1  0.625018   5.0  14.000      2.829
            0  0.374982   3.0   1.000      0.816
        """
        check_is_fitted(self, msg=self._not_fitted())
        report = describe_model(self, self._sizes("summary", X, sample_weight))
        return MixtureSummary(report, self._names())

    def to_frame(self, X: Any = None, sample_weight: Any = None) -> "pd.DataFrame":
        r"""Return a row for each component: weight, size, mean and deviation of each feature.

        .. math:: \mathrm{size}_k = \sum_i s_i r_{ik}, \qquad
            \mathrm{std}_{kj} = \sqrt{\Sigma_{k,jj}}

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features), optional
            Samples that are counted for the sizes. Default: those of the fit, whose sizes are the
            weights of the components times the number of samples.
        sample_weight : array-like of shape (n_samples,) or number, optional

        Returns
        -------
        pandas.DataFrame
            Indexed by the labels that ``predict`` returns, with the columns

            - ``weight``
            - ``size``, the expected number of samples. Without X it is not there where the weights
              do not tell: after ``from_parameters``, with fixed weights and in `SoftKMeans`.
            - ``NAME mean`` and ``NAME std`` for each feature, in its own units. NAME is x0, x1, ...
              where features have no names.

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If X is not finite or has another number of features.
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> model = GaussianMixture.from_parameters([0.25, 0.75], [[0.0], [10.0]], [[1.0], [4.0]])
        >>> model.to_frame()["x0 std"].tolist()
        [1.0, 2.0]
        """
        check_is_fitted(self, msg=self._not_fitted())
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("to_frame needs pandas: pip install pandas") from error
        sizes = self._sizes("to_frame", X, sample_weight)
        rows = [
            {
                "component": row["label"],
                "weight": row["weight"],
                **({} if sizes is None else {"size": row["size"]}),
                **_by_feature(self._names(), row["mean"], row["standard_deviation"]),
            }
            for row in describe_components(self._parameters(), sizes)
        ]
        return pd.DataFrame(rows).set_index("component").sort_index()

    def _sizes(self, method: str, X: Any, sample_weight: Any) -> Array | None:
        """Return sum_i s_i r_ik of X or, without it, what is known of the samples of the fit."""
        if X is None:
            return self._fitted_sizes()
        samples, parameters, n_threads = self._checked(method, X, sample_weight)
        return ExactPosterior(n_threads).summarize(samples, parameters).moments.nk

    def _fitted_sizes(self) -> Array | None:
        """Return n_k = w_k n of the fit, or None where the weights do not tell."""
        if not self.n_samples_seen_ or "weights" in getattr(self, "fixed", ()):
            return None
        return np.asarray(self._parameters().weights * self.n_samples_seen_)

    def _names(self) -> list[str]:
        """Return the names of the features: those of the fit, or x0, x1, ..."""
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            return [f"x{i}" for i in range(self._parameters().n_features)]
        return [str(name) for name in names]


def _by_feature(names: list[str], means: list[float], deviations: list[float]) -> dict[str, float]:
    """Return the mean and the deviation of each feature by the name of their column."""
    columns: dict[str, float] = {}
    for name, mean, deviation in zip(names, means, deviations, strict=True):
        columns |= {f"{name} mean": mean, f"{name} std": deviation}
    return columns
