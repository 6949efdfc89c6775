"""The E step of GaussianMixture: exact, or truncated to a few candidates of each sample."""

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

from ..data.samples import Samples
from ..em import truncated_prediction
from ..em.convergence import Convergence, Never
from ..em.loop import run
from ..em.posteriors.base import Posterior
from ..em.posteriors.exact import ExactPosterior
from ..em.posteriors.neighborhood import ITERATIONS_AFTER, NeighborhoodPosterior
from ..em.result import Callback, EMResult, Iteration, joined, stops
from ..em.updates.closed_form import ClosedForm
from ..init import ManySplitMerge
from ..model import prediction
from ..model.parameters import MixtureParameters

POSTERIORS = ("exact", "truncated", "auto")
#: From so many components on, ``auto`` is truncated.
MANY = 256
# Accelerations that truncated EM can have.
_GOES_WITH = (None, "split-merge")


def is_truncated(estimator: Any) -> bool:
    """Return whether a fit of an estimator keeps a few candidates of each sample.

    Parameters
    ----------
    estimator : IteratedMixture
    """
    posterior = getattr(estimator, "posterior", "exact")
    if posterior == "auto":
        is_possible = estimator.acceleration in _GOES_WITH and estimator.missing == "error"
        return is_possible and estimator.n_components >= MANY
    return bool(posterior == "truncated")


def check_posterior(estimator: Any) -> None:
    """Raise ValueError where truncated EM does not go with another parameter."""
    if estimator.posterior != "truncated":
        return
    if estimator.acceleration not in _GOES_WITH:
        raise ValueError(
            "posterior='truncated' needs acceleration=None or 'split-merge', got "
            f"{estimator.acceleration!r}."
        )
    if estimator.missing != "error":
        raise ValueError(f"posterior='truncated' needs missing='error', got {estimator.missing!r}.")


def posterior_after(estimator: Any, n_threads: int) -> Posterior[Any, Any]:
    """Return the posterior by which the samples of a fit are looked at once more."""
    if is_truncated(estimator):
        return NeighborhoodPosterior(n_jobs=n_threads)
    return ExactPosterior(n_threads)


def predictions(
    estimator: Any,
    samples: Samples,
    parameters: MixtureParameters,
    *,
    of_responsibilities: bool = False,
) -> ModuleType:
    """Return the functions that predict for some samples: exactly, or from a few components.

    Parameters
    ----------
    estimator : FittedMixture
    samples : Samples
    parameters : MixtureParameters
    of_responsibilities : bool
        Whether responsibilities are predicted; else densities or labels.

    Returns
    -------
    module
        `model.prediction` or `em.truncated_prediction`.
    """
    is_short = is_prediction_truncated(
        estimator, samples, parameters, of_responsibilities=of_responsibilities
    )
    return truncated_prediction if is_short else prediction


def is_prediction_truncated(
    estimator: Any,
    samples: Samples,
    parameters: MixtureParameters,
    *,
    of_responsibilities: bool = False,
) -> bool:
    """Return whether predictions for some samples are made from a few components.

    Parameters
    ----------
    estimator : FittedMixture
    samples : Samples
    parameters : MixtureParameters
    of_responsibilities : bool
        Whether responsibilities are predicted; else densities or labels.
    """
    K = parameters.n_components
    is_worthwhile = truncated_prediction.is_worthwhile(samples, K, of_responsibilities)
    return is_worthwhile and is_truncated(estimator) and samples.gaps is None


def run_truncated(
    estimator: Any,
    samples: Samples,
    parameters: MixtureParameters,
    new_update: Callable[[], ClosedForm],
    convergence: Convergence,
    setting: Any,
    callback: Callback,
) -> EMResult[MixtureParameters]:
    """Run truncated EM, and then some iterations of exact EM.

    Parameters
    ----------
    estimator : GaussianMixture
    samples : Samples
    parameters : MixtureParameters
    new_update : callable
        Returns the M step.
    convergence : Convergence
    setting : Setting
    callback : callable

    Returns
    -------
    EMResult
        ``converged`` is that of truncated EM.
    """
    n_threads, random_state = setting.n_threads, setting.random_state
    if estimator.acceleration == "split-merge":
        search = ManySplitMerge(new_update, n_threads, random_state)
        result = search.run(samples, parameters, convergence, estimator.max_iter, callback)
    else:
        seed = int(random_state.randint(2**31))
        is_free = not len(estimator.fixed) and not len(estimator.fixed_components)
        reseed_until = estimator.max_iter - ITERATIONS_AFTER if is_free else 0
        result = run(
            samples,
            parameters,
            posterior=NeighborhoodPosterior(
                seed=seed, n_jobs=n_threads, reseed_until=max(reseed_until, 0)
            ),
            update=new_update(),
            convergence=convergence,
            max_iter=estimator.max_iter,
            lower_bound=setting.lower_bound,
            callback=callback,
        )
    exact_iter = estimator.exact_iter
    if exact_iter == 0 or result.stopped or result.out_of_time or not result.history:
        return result

    def continued(iteration: Iteration) -> bool:
        number = result.n_iter + iteration.number
        return stops(
            callback,
            iteration._replace(number=number),
            lambda: joined(result, iteration.partial()),
        )

    exact = run(
        samples,
        result.parameters,
        posterior=ExactPosterior(n_threads),
        update=new_update(),
        convergence=Never(),
        max_iter=exact_iter,
        lower_bound=result.lower_bound,
        callback=continued,
    )
    return replace(joined(result, exact), converged=result.converged)
