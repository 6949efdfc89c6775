"""A few iterations of EM from several starts, in one run where the samples are few.

On a few thousand samples the interpreter takes longer than the kernels. There, S mixtures of K
components are one mixture of S K components whose responsibilities sum to 1 within each of the S:
each pass and each update serves all of them.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _kernels as kernels
from .._kernels.layout import Array
from ..data.samples import Samples
from ..model.covariance import Full
from ..model.covariance_model import Mask
from ..model.parameters import MixtureParameters
from ..model.statistics import SufficientStatistics
from .convergence import Never
from .loop import is_finite, run
from .posteriors.base import Posterior
from .posteriors.exact import ExactPosterior
from .result import EMResult
from .updates.closed_form import ClosedForm

# A joint run has so many responsibilities, and multiply-adds, at the most. Beyond, a run of one
# start is faster: it leaves out components that do not matter to a sample. A joint run cannot.
_LARGEST_SIZE = 2**18
_LARGEST_WORK = 2**26


class Advanced(NamedTuple):
    """Where EM led from a start.

    Parameters
    ----------
    lower_bound : float
        The mean log-likelihood before the last update.
    parameters : MixtureParameters
        After it.
    """

    lower_bound: float
    parameters: MixtureParameters


def advance(
    samples: Samples,
    starts: Sequence[MixtureParameters],
    n_iter: int,
    update: ClosedForm,
    posterior: Posterior[MixtureParameters, Any] | None = None,
) -> list[Advanced | ValueError]:
    """Return where some iterations of EM lead from each start, or why they lead nowhere.

    No checkpoint is kept of these iterations.

    Parameters
    ----------
    samples : Samples
    starts : sequence of MixtureParameters
        One or more, of one covariance type and number of components.
    n_iter : int
        1 or more.
    update : ClosedForm
        Without constraints.
    posterior : Posterior, optional
        The E step of runs of one start each. None: the exact one, and starts may share a run.

    Returns
    -------
    list of Advanced or ValueError
    """
    size = _count_together(samples, starts[0]) if posterior is None else 1
    posterior = posterior or ExactPosterior(update.n_threads)
    found: list[Advanced | ValueError] = []
    for first in range(0, len(starts), size):
        some = starts[first : first + size]
        if len(some) > 1:
            try:
                found.extend(_advance_together(samples, some, n_iter, update))
                continue
            except ValueError:  # of some start, which must not end the others
                pass
        found.extend(_advance_one(samples, start, n_iter, update, posterior) for start in some)
    return found


def _count_together(samples: Samples, start: MixtureParameters) -> int:
    """Return how many starts share a run, at the most."""
    model, (K, d) = start.covariance_model, start.means.shape
    if samples.gaps is not None or model.name not in _JOINT_TYPES:
        return 1
    size = samples.n_samples * K
    work = size * d * (d if model.is_matrix else 1)
    return int(max(min(_LARGEST_SIZE // size, _LARGEST_WORK // work), 1))


def _advance_one(
    samples: Samples,
    start: MixtureParameters,
    n_iter: int,
    update: ClosedForm,
    posterior: Posterior[MixtureParameters, Any],
) -> Advanced | ValueError:
    try:
        result = _run(samples, start, posterior, n_iter, update)
    except ValueError as error:
        return error
    return Advanced(result.lower_bound, result.parameters)


def _advance_together(
    samples: Samples, starts: Sequence[MixtureParameters], n_iter: int, update: ClosedForm
) -> list[Advanced]:
    posterior = _SeparatePosteriors(len(starts), update.n_threads)
    result = _run(samples, _joined(starts), posterior, n_iter, update)
    found = _separated(result.parameters, starts)
    return [Advanced(*each) for each in zip(posterior.lower_bounds.tolist(), found, strict=True)]


def _run(
    samples: Samples,
    start: MixtureParameters,
    posterior: Posterior[MixtureParameters, Any],
    n_iter: int,
    update: ClosedForm,
) -> EMResult[MixtureParameters]:
    policies: dict[str, Any] = {"posterior": posterior, "update": update}
    return run(samples, start, convergence=Never(), max_iter=n_iter, **policies)


class _SeparatePosteriors(Posterior[MixtureParameters, SufficientStatistics]):
    """Responsibilities that sum to 1 within each of several mixtures of equal size.

    Parameters
    ----------
    n_mixtures : int
    n_threads : int

    Attributes
    ----------
    lower_bounds : (n_mixtures,) array
        The mean log-likelihood of each mixture, in the last pass.
    """

    parameters_type = MixtureParameters

    def __init__(self, n_mixtures: int, n_threads: int) -> None:
        self.n_mixtures, self.n_threads = n_mixtures, n_threads
        self.lower_bounds = np.full(n_mixtures, -np.inf)

    def summarize(self, samples: Samples, parameters: MixtureParameters) -> SufficientStatistics:
        """Return the statistics of all samples for all mixtures.

        Raises
        ------
        ValueError
            If the log-likelihood of a mixture overflows.
        """
        S, n_threads = self.n_mixtures, self.n_threads
        total = SufficientStatistics.zeros(parameters.covariance_model, parameters.means)
        width = len(parameters.means)
        X, weight = samples.rows(slice(None)), samples.weight(slice(None))
        resp, norm = np.empty((len(X), width)), np.empty((len(X), S))
        kernels.posterior(X, parameters.components(), n_threads, log_prob=resp)
        kernels.normalize(resp.reshape(-1, width // S), norm.reshape(-1), n_threads)
        total.add_moments(X, weight, resp, n_threads)
        norm[weight == 0] = 0.0  # a sample of weight 0 is left out, however far it lies
        bounds = weight @ norm
        # the weights of the mixture of all components are 1/S of those of each mixture
        self.lower_bounds = bounds / samples.total_weight + np.log(S)
        if not all(map(is_finite, self.lower_bounds)):
            raise ValueError("The log-likelihood of a mixture overflows.")
        sum_ = float(bounds.sum())
        return replace(total, log_likelihood=sum_, weight=S * samples.total_weight)


class _TiedWithin(Full):
    """Tied covariances of several mixtures, each at all components of its mixture.

    It is for the M step of a joint run alone.

    Parameters
    ----------
    n_mixtures : int
    """

    per_component = False

    def __init__(self, n_mixtures: int) -> None:
        self.n_mixtures = n_mixtures

    def estimate(self, second: Array, nk: Array, n_features: int) -> Array:
        of_mixtures = self._by_mixture(second).sum(axis=1), self._by_mixture(nk).sum(axis=1)
        return self._at_each(super().estimate(*of_mixtures, n_features), len(nk))

    def invert(self, covariances: Array, n_threads: int = 1) -> tuple[Array, Mask]:
        factors, failed = super().invert(self._by_mixture(covariances)[:, 0], n_threads)
        K = len(covariances)
        return self._at_each(factors, K), self._at_each(failed, K)

    def for_all(self, mask: Mask) -> Mask:
        return self._at_each(np.asarray(self._by_mixture(mask).any(axis=1)), len(mask))

    def _by_mixture(self, values: NDArray[Any]) -> NDArray[Any]:
        return values.reshape(self.n_mixtures, -1, *values.shape[1:])

    def _at_each(self, values: NDArray[Any], n_components: int) -> NDArray[Any]:
        return np.repeat(values, n_components // self.n_mixtures, axis=0)


# Tied spherical covariances would need another model like this one.
_JOINT_TYPES = ("full", "tied", "diag", "spherical")


def _joined(starts: Sequence[MixtureParameters]) -> MixtureParameters:
    """Return the mixture of the components of all mixtures, each of the same weight."""
    S, model, (K, d) = len(starts), starts[0].covariance_model, starts[0].means.shape

    def of_all(values: list[Array]) -> Array:
        if not model.per_component:
            values = [np.broadcast_to(value, (K, d, d)) for value in values]
        return np.concatenate(values)

    return MixtureParameters(
        model if model.per_component else _TiedWithin(S),
        np.concatenate([start.weights for start in starts]) / S,
        np.concatenate([start.means for start in starts]),
        of_all([start.covariances for start in starts]),
        of_all([start.precisions_cholesky for start in starts]),
    )


def _separated(
    joined: MixtureParameters, starts: Sequence[MixtureParameters]
) -> list[MixtureParameters]:
    """Return the mixtures of a joined one, in the shapes of those that it was made of."""
    model, K = starts[0].covariance_model, starts[0].n_components
    found = []
    for first in range(0, joined.n_components, K):
        own = slice(first, first + K)
        shared: Any = own if model.per_component else first
        weights = joined.weights[own]
        found.append(
            MixtureParameters(
                model,
                weights / weights.sum(),
                joined.means[own].copy(),  # so that none keeps the arrays of all alive
                joined.covariances[shared].copy(),
                joined.precisions_cholesky[shared].copy(),
            )
        )
    return found
