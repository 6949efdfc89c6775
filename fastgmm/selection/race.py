"""A race of EM on few rows between the starts of a candidate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .._kernels.layout import Array
from ..data.samples import Samples
from ..em.acceleration import QuasiNewton
from ..em.convergence import Convergence, Never
from ..em.loop import run
from ..em.posteriors.base import Posterior
from ..em.posteriors.exact import ExactPosterior
from ..em.posteriors.neighborhood import ITERATIONS_AFTER, NeighborhoodPosterior
from ..em.result import Callback, EMResult
from ..em.side_by_side import Reached, advance
from ..em.updates.closed_form import ClosedForm
from ..model.parameters import MixtureParameters

# Rounds: how many iterations of EM each start gets, and how many of the best then go on.
_ROUNDS = ((2, 2), (2, 1))


@dataclass(frozen=True)
class Setting:
    """What all candidates share.

    Attributes
    ----------
    reg_covar : float or (d,) array
        Added to the variances.
    collapsed : float or (d,) array
        Variances that are as small as this have collapsed.
    rough_tol, tol : float
        In nats per sample: with which all fits begin, and that of the best.
    is_rough : bool
        Whether a fit that lies far behind one of fewer components begins with more than rough_tol.
    truncated_tol : float
        The same of truncated EM.
    max_iter, n_init : int
    seed : int
    n_threads : int
        Of each fit.
    n_workers : int
        How many fits run at a time.
    many : float
        From so many components on, EM is truncated.
    is_held_out : bool
        Whether candidates are compared by samples that a fit has not seen.
    """

    reg_covar: float | Array
    collapsed: float | Array
    rough_tol: float
    tol: float
    is_rough: bool
    truncated_tol: float
    max_iter: int
    n_init: int
    seed: int
    n_threads: int
    n_workers: int
    many: float
    is_held_out: bool

    def is_truncated(self, n_components: int) -> bool:
        """Return whether EM keeps a few candidates of each sample.

        Parameters
        ----------
        n_components : int
        """
        return n_components >= self.many

    def posterior(self, n_components: int, max_iter: int = 0) -> Posterior[MixtureParameters, Any]:
        """Return the E step for so many components and iterations.

        Parameters
        ----------
        n_components : int
        max_iter : int, default=0
        """
        if self.is_truncated(n_components):
            reseed_until = max(max_iter - ITERATIONS_AFTER, 0)
            seed, n_threads = self.seed % 2**64, self.n_threads
            return NeighborhoodPosterior(seed=seed, n_jobs=n_threads, reseed_until=reseed_until)
        return ExactPosterior(self.n_threads)


class Start(NamedTuple):
    """Where EM begins; the kind of start is ``fresh`` or ``split``."""

    kind: str
    parameters: MixtureParameters


def race(few: Samples, starts: Sequence[Start], setting: Setting) -> list[Start]:
    """Return starts after some iterations of EM, the best one first.

    Parameters
    ----------
    few : Samples
    starts : sequence of Start
    setting : Setting

    Returns
    -------
    list of Start

    Raises
    ------
    ValueError
        If EM fails from every start.
    """
    behind: list[Start] = []
    for n_iter, n_best in _ROUNDS:
        if len(starts) == 1:
            break
        ahead = _advance_all(few, starts, n_iter, setting)
        starts, behind = ahead[:n_best], [*ahead[n_best:], *behind]
    return [*starts, *behind]


def _advance_all(
    few: Samples, starts: Sequence[Start], n_iter: int, setting: Setting
) -> list[Start]:
    """Return where some iterations of EM lead, the best one first.

    Raises
    ------
    ValueError
        If EM fails from every start.
    """
    parameters = [start.parameters for start in starts]
    if setting.is_truncated(parameters[0].n_components):
        found = [_advance_truncated(few, each, n_iter, setting) for each in parameters]
    else:
        found = advance(few, parameters, n_iter, setting.reg_covar, setting.n_threads)
    reached: list[tuple[float, Start]] = []
    failure = ValueError("there is no start")
    for (kind, _), outcome in zip(starts, found, strict=True):
        if isinstance(outcome, ValueError):
            failure = outcome
        else:
            lower_bound, end = outcome
            reached.append((lower_bound, Start(kind, end)))
    if not reached:
        raise failure
    return [start for _, start in sorted(reached, key=lambda pair: -pair[0])]


def _advance_truncated(
    few: Samples, parameters: MixtureParameters, n_iter: int, setting: Setting
) -> Reached | ValueError:
    try:
        result = run_em(few, parameters, n_iter, setting)
    except ValueError as error:
        return error
    return result.lower_bound, result.parameters


def run_em(
    samples: Samples,
    parameters: MixtureParameters,
    max_iter: int,
    setting: Setting,
    convergence: Convergence | None = None,
    callback: Callback | None = None,
) -> EMResult[MixtureParameters]:
    """Run EM with the setting that all candidates share.

    Parameters
    ----------
    samples : Samples
    parameters : MixtureParameters
    max_iter : int
    setting : Setting
    convergence : Convergence, optional
        Run EM, accelerated where it is exact, until it has converged. Without it, ``max_iter``
        iterations are run as they are.
    callback : callable, optional

    Returns
    -------
    EMResult
    """
    K = parameters.n_components
    is_accelerated = convergence is not None and not setting.is_truncated(K)
    return run(
        samples,
        parameters,
        posterior=setting.posterior(K, max_iter),
        update=ClosedForm(setting.reg_covar, setting.n_threads),
        convergence=convergence or Never(),
        max_iter=max_iter,
        acceleration=QuasiNewton() if is_accelerated else None,
        callback=callback,
    )
