"""Warnings after a fit: what a user should know before trusting it."""

import warnings
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from .._kernels.layout import Array
from ..data.samples import Samples
from ..em.result import EMResult
from ..em.updates.closed_form import estimate
from ..model.covariance import Diag
from ..model.parameters import MixtureParameters
from ..model.priors import VariationalParameters
from ..model.statistics import sample_moments
from ._constraints import held_and_carried
from ._posteriors import posterior_after
from .component_sizes import component_sizes

# A larger part of a variance that is not from the samples is worth a warning.
_LARGEST_SHARE = 0.01
# Variances below these squares of units in the last place are rounding.
_ROUNDING = 16.0 * np.finfo(np.float64).eps ** 2
_SHOWN = 10


def warn_about(
    estimator: Any, result: EMResult[MixtureParameters], samples: Samples, reg_covar: float | Array
) -> None:
    """Warn of what is wrong with a fit; each kind of fault gives one warning."""
    for text in faults(estimator, result, reg_covar, samples):
        warnings.warn(text, ConvergenceWarning, stacklevel=4)
    warn_about_convergence(estimator, result, stacklevel=5)


def warn_about_convergence(
    estimator: Any, result: EMResult[MixtureParameters], stacklevel: int
) -> None:
    """Warn of a run that did not converge."""
    if estimator.max_iter == 0 or (result.converged and not result.out_of_time):
        return
    if result.converged:
        message = (
            f"max_time={estimator.max_time:g} ended the fit before all was tried that n_init and "
            "acceleration ask for; the best start so far had converged."
        )
    elif result.out_of_time:
        message = (
            f"max_time={estimator.max_time:g} ended the fit. Its best start did not converge in "
            f"{result.n_iter} iteration(s): the last change is {result.history[-1].change:.3g}, "
            f"tol is {estimator.tol}."
        )
    elif result.stopped:
        message = (
            f"The callback stopped the fit in iteration {result.n_iter}, before it converged: "
            f"the last change is {result.history[-1].change:.3g}, tol is {estimator.tol}."
        )
    else:
        message = (
            "Best performing initialization did not converge. Try different init parameters, "
            "or increase max_iter, tol, or check for degenerate data. "
            f"(max_iter={estimator.max_iter}, tol={estimator.tol}, "
            f"last change {result.history[-1].change:.3g})"
        )
    warnings.warn(message, ConvergenceWarning, stacklevel=stacklevel)


def collapses(estimator: Any, components: Collection[int]) -> Iterator[str]:
    """Yield a text where there are components that collapsed."""
    if components:
        yield (
            f"The covariance of component(s) {_some(sorted(components))} was not positive "
            "definite, or too narrow for float64, in some iteration and was kept as it was. "
            f"{_remedy(estimator)}"
        )


def _remedy(estimator: Any) -> str:
    return (
        f"Increase reg_covar (now {_shown(estimator)}) or decrease n_components "
        f"(now {estimator.n_components})."
    )


def faults(
    estimator: Any, result: EMResult[MixtureParameters], reg_covar: float | Array, samples: Samples
) -> Iterator[str]:
    """Yield a text for each kind of fault, but for convergence."""
    yield from collapses(estimator, result.collapsed)
    if not result.history or "covariances" in getattr(estimator, "fixed", ()):
        return  # no covariance was estimated
    few, needed = _with_few_samples(estimator, result.parameters, samples)
    held, carried = held_and_carried(estimator, result.parameters)
    few &= ~carried
    if few.any():
        yield (
            f"Component(s) {_some(np.flatnonzero(few).tolist())} have fewer samples than their "
            f"covariance needs, which is {needed}: what they lack comes from reg_covar. "
            f"{_remedy(estimator)}"
        )
    yield from _regularized(estimator, result.parameters, samples, reg_covar, few | held)


def _with_few_samples(
    estimator: Any, parameters: MixtureParameters, samples: Samples
) -> tuple[NDArray[np.bool_], int]:
    """Return which components have too few samples for a covariance, and how many it needs."""
    model = parameters.covariance_model
    if not model.per_component or isinstance(parameters, VariationalParameters):
        return np.zeros(parameters.n_components, np.bool_), 0
    needed = parameters.n_features + 1 if model.is_matrix else 2
    # a component of just as many samples may be counted a little lower
    posterior = posterior_after(estimator, 1)
    return component_sizes(samples, parameters, posterior) < needed - 0.5, needed


def _regularized(
    estimator: Any,
    parameters: MixtureParameters,
    samples: Samples,
    reg_covar: float | Array,
    left_out: NDArray[np.bool_],
) -> Iterator[str]:
    """Yield a text where ``reg_covar`` explains a good part of a variance.

    Of components with few samples an earlier text says so; those that are fixed have none.
    """
    model, (K, d) = parameters.covariance_model, parameters.means.shape
    alone = model.regularize(np.zeros_like(parameters.covariances), reg_covar)
    share = model.variances(alone, K, d) / model.variances(parameters.covariances, K, d)
    if isinstance(parameters, VariationalParameters):
        # nk of the nu_0 + nk degrees of freedom bring reg_covar with them
        prior = estimator.degrees_of_freedom_prior_ / parameters.degrees_of_freedom
        share = share * (1.0 - np.reshape(prior, (-1, 1)))
    share[left_out] = 0.0
    if share.max() <= _LARGEST_SHARE:
        return
    share[_without_variance(estimator, parameters, samples)] = 0.0
    k, j = np.unravel_index(share.argmax(), share.shape)
    if share[k, j] <= _LARGEST_SHARE:
        return
    name = getattr(estimator, "feature_names_in_", range(d))[j]
    remedy = (
        "Use a smaller number if components are that narrow."
        if estimator.reg_covar == "auto"
        else "Use reg_covar='auto', which is relative to the variance of each feature, or a "
        "smaller number."
    )
    yield (
        f"reg_covar={_shown(estimator)} makes up {100.0 * share[k, j]:.3g} % of the variance "
        f"of feature {name} in component {k}. {remedy}"
    )


def _without_variance(
    estimator: Any, parameters: MixtureParameters, samples: Samples
) -> NDArray[np.bool_]:
    """Return where no variance is left without ``reg_covar``: features that are constant.

    In all samples or, where it is relative to these, also in those of a component. A (K, d) mask.
    """
    mean, variance = sample_moments(samples, Diag(), 1)
    shape = parameters.means.shape
    is_constant = np.broadcast_to(variance <= _ROUNDING * mean**2, shape)
    if estimator.reg_covar != "auto":
        return is_constant
    model = parameters.covariance_model
    posterior = posterior_after(estimator, 1)
    posterior.start(samples, parameters)
    statistics = posterior.summarize(samples, parameters)
    _, means, covariances = estimate(statistics, 0.0)
    variances = model.variances(covariances, *means.shape)
    return is_constant | (variances <= _ROUNDING * means**2)


def _shown(estimator: Any) -> str:
    value = estimator.reg_covar
    return repr(value) if isinstance(value, str) else f"{value:g}"


def _some(components: list[int]) -> str:
    more = len(components) - _SHOWN
    shown = ", ".join(map(str, components[:_SHOWN]))
    return f"{shown} and {more} more" if more > 0 else shown
