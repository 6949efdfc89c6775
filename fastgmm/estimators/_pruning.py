"""Posteriors without the components that the data do not need, and as plain mixtures."""

from copy import deepcopy
from numbers import Real
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..em.result import EMResult
from ..model.priors import Dirichlet, StickBreaking, VariationalParameters
from .gaussian_mixture import GaussianMixture

_Self = TypeVar("_Self", bound="Pruning")


class Pruning:
    """What `BayesianGaussianMixture` offers to those who want few components."""

    def prune(self: _Self, threshold: float = 0.01) -> _Self:
        r"""Return a copy without the components of small expected weight.

        The posterior of the means and precisions of the others is kept. That of the weights is the
        one for the samples of the others alone. With their expected numbers of samples n_k it is

        .. math:: \text{Dirichlet}(\alpha_0 + n_k) \quad\text{or}\quad
            v_k \sim \text{Beta}\Bigl(1 + n_k, \gamma + \sum_{j > k} n_j\Bigr)

        For the Dirichlet distribution this is exactly the posterior of the weights divided by their
        sum. The expected weights then sum to 1.

        Parameters
        ----------
        threshold : float, default=0.01
            Components with an expected weight (``weights_``) below it are left out.

        Returns
        -------
        BayesianGaussianMixture
            With the other components in their order. The prior, ``lower_bound_`` and ``history_``
            are those of the fit. With ``warm_start=True`` a further ``fit`` gives the samples of
            the components that were left out to the others.

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        TypeError
            If ``threshold`` is no number.
        ValueError
            If it is not from 0 to 1, or no component would be left.

        See Also
        --------
        to_gaussian_mixture

        References
        ----------
        Blei and Jordan (2006), Variational inference for Dirichlet process mixtures, eq. 18 to 22.

        Examples
        --------
        >>> import numpy as np
        >>> from fastgmm import BayesianGaussianMixture
        >>> rng = np.random.default_rng(0)
        >>> X = np.concatenate([rng.normal(0.0, 1.0, (200, 1)), rng.normal(9.0, 1.0, (200, 1))])
        >>> model = BayesianGaussianMixture(n_components=6, max_iter=500, random_state=0).fit(X)
        >>> model.prune().n_components
        2
        """
        model: Any = self
        parameters: VariationalParameters = model.to_parameters()
        kept = _kept(parameters, threshold)
        pruned = deepcopy(model)
        if len(kept) == parameters.n_components:
            return pruned  # type: ignore[no-any-return]
        pruned.n_components = len(kept)
        number = {int(k): place for place, k in enumerate(kept)}
        result = EMResult(
            _restricted(parameters, kept, model.weight_concentration_prior_),
            model.converged_,
            model.lower_bound_,
            list(model.history_),
            {number[k]: since for k, since in model.collapsed_.items() if k in number},
            dtype=model._samples_dtype,
        )
        pruned._set_result_like(model.means_, result)
        return pruned  # type: ignore[no-any-return]

    def to_gaussian_mixture(self) -> GaussianMixture:
        """Return the mixture of the expected parameters.

        Its weights are the expected weights, its means the expected means, and its covariances the
        inverses of the expected precisions. It forgets how uncertain they are, so its densities
        differ from those of the posterior, the less so the more samples a component has.

        Returns
        -------
        GaussianMixture
            Fitted, with the same ``reg_covar``, ``max_iter``, ``random_state`` and ``n_jobs``.

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.

        See Also
        --------
        prune

        Examples
        --------
        >>> import numpy as np
        >>> from fastgmm import BayesianGaussianMixture
        >>> X = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
        >>> model = BayesianGaussianMixture(n_components=2, random_state=0).fit(X)
        >>> mixture = model.to_gaussian_mixture()
        >>> mixture.means_.tolist() == model.means_.tolist()
        True
        """
        model: Any = self
        parameters: VariationalParameters = model.to_parameters()
        shared = ("reg_covar", "max_iter", "random_state", "n_jobs")
        mixture = GaussianMixture.from_parameters(
            parameters.weights,
            parameters.means.copy(),
            parameters.covariances,
            covariance_type=parameters.covariance_type,
            **{name: getattr(model, name) for name in shared},
        )
        if hasattr(model, "feature_names_in_"):
            mixture.feature_names_in_ = model.feature_names_in_.copy()
        return mixture


def _kept(parameters: VariationalParameters, threshold: Any) -> NDArray[np.intp]:
    """Return the numbers of the components that stay."""
    if not isinstance(threshold, Real) or isinstance(threshold, bool):
        raise TypeError(f"threshold should be a number, got {threshold!r}.")
    if not 0.0 <= float(threshold) <= 1.0:
        raise ValueError(f"threshold should be from 0 to 1, got {threshold}.")
    kept = np.flatnonzero(parameters.weights >= threshold)
    if not len(kept):
        raise ValueError(
            "threshold should be at most the largest expected weight, "
            f"{parameters.weights.max():.4g}, got {threshold}."
        )
    return kept


def _restricted(
    parameters: VariationalParameters, kept: NDArray[np.intp], concentration: float
) -> VariationalParameters:
    """Return the posterior of some components."""
    model, weights = parameters.covariance_model, parameters.weight_distribution
    distribution: Dirichlet | StickBreaking
    if isinstance(weights, StickBreaking):
        distribution = StickBreaking.posterior(float(concentration), weights.taken[kept] - 1.0)
    else:
        distribution = Dirichlet(weights.concentration[kept])
    of_kept = kept if model.per_component else ...
    return VariationalParameters(
        model,
        distribution.expected_weights(),
        parameters.means[kept],
        np.array(parameters.covariances[of_kept]),
        np.array(parameters.precisions_cholesky[of_kept]),
        distribution,
        parameters.mean_precision[kept],
        np.array(parameters.degrees_of_freedom[of_kept]),
    )
