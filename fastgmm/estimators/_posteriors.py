"""The E step of GaussianMixture: exact, or truncated to a few candidates of each sample."""

from dataclasses import replace
from types import ModuleType
from typing import Any

from ..data.samples import Samples
from ..em import truncated_prediction
from ..em.convergence import Convergence, Never
from ..em.loop import run
from ..em.posteriors.base import Posterior
from ..em.posteriors.exact import ExactPosterior
from ..em.posteriors.neighborhood import NeighborhoodPosterior
from ..em.result import Callback, EMResult, Iteration, joined, stops
from ..em.updates.base import Update
from ..model import prediction
from ..model.parameters import MixtureParameters

POSTERIORS = ("exact", "truncated", "auto")
#: From so many components on, ``auto`` is truncated.
MANY = 256


def is_truncated(estimator: Any) -> bool:
    """Return whether a fit of an estimator keeps a few candidates of each sample.

    Parameters
    ----------
    estimator : IteratedMixture
    """
    posterior = getattr(estimator, "posterior", "exact")
    if posterior == "auto":
        is_possible = estimator.acceleration is None and estimator.missing == "error"
        return is_possible and estimator.n_components >= MANY
    return bool(posterior == "truncated")


def check_posterior(estimator: Any) -> None:
    """Raise ValueError where truncated EM does not go with another parameter."""
    if estimator.posterior != "truncated":
        return
    for name, needed in (("acceleration", None), ("missing", "error")):
        value = getattr(estimator, name)
        if value != needed:
            raise ValueError(f"posterior='truncated' needs {name}={needed!r}, got {value!r}.")


def posterior_after(estimator: Any, n_threads: int) -> Posterior[Any, Any]:
    """Return the posterior by which the samples of a fit are looked at once more."""
    if is_truncated(estimator):
        return NeighborhoodPosterior(n_jobs=n_threads)
    return ExactPosterior(n_threads)


def predictions(estimator: Any, samples: Samples) -> ModuleType:
    """Return the functions that predict for some samples: exactly, or from a few components.

    Parameters
    ----------
    estimator : FittedMixture
    samples : Samples

    Returns
    -------
    module
        `model.prediction` or `em.truncated_prediction`.
    """
    if is_truncated(estimator) and samples.gaps is None:
        is_worthwhile = truncated_prediction.is_worthwhile(samples, estimator.n_components)
        return truncated_prediction if is_worthwhile else prediction
    return prediction


def run_truncated(
    estimator: Any,
    samples: Samples,
    parameters: MixtureParameters,
    update: Update[Any, Any],
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
    update, convergence
        The M step and the stop rule.
    setting : Setting
    callback : callable

    Returns
    -------
    EMResult
        ``converged`` is that of truncated EM.
    """
    seed, n_threads = int(setting.random_state.randint(2**31)), setting.n_threads
    is_free = not len(estimator.fixed) and not len(estimator.fixed_components)
    result = run(
        samples,
        parameters,
        posterior=NeighborhoodPosterior(seed=seed, reseed=is_free, n_jobs=n_threads),
        update=update,
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
        update=update,
        convergence=Never(),
        max_iter=exact_iter,
        lower_bound=result.lower_bound,
        callback=continued,
    )
    return replace(joined(result, exact), converged=result.converged)
