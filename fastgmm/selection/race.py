"""A race of EM on few rows between the starts of a candidate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .._kernels.layout import Array
from ..data.samples import Samples
from ..em.acceleration import QuasiNewton
from ..em.convergence import Convergence
from ..em.joint_run import Advanced, advance
from ..em.loop import run
from ..em.posteriors.base import Posterior
from ..em.posteriors.exact import ExactPosterior
from ..em.posteriors.neighborhood import ITERATIONS_AFTER, NeighborhoodPosterior
from ..em.result import Callback, EMResult
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

    def update(self) -> ClosedForm:
        """Return the M step."""
        return ClosedForm(self.reg_covar, self.n_threads)


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
        One or more.
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
    reached: list[tuple[float, Start]] = []
    errors: list[ValueError] = []
    for (kind, _), found in zip(starts, advance_all(few, parameters, n_iter, setting), strict=True):
        if isinstance(found, ValueError):
            errors.append(found)
        else:
            reached.append((found.lower_bound, Start(kind, found.parameters)))
    if not reached:
        raise errors[0]
    return [start for _, start in sorted(reached, key=lambda pair: -pair[0])]


def advance_all(
    few: Samples, starts: Sequence[MixtureParameters], n_iter: int, setting: Setting
) -> list[Advanced | ValueError]:
    """Return where some iterations of EM lead from each start, or why they lead nowhere.

    Parameters
    ----------
    few : Samples
    starts : sequence of MixtureParameters
        One or more.
    n_iter : int
    setting : Setting

    Returns
    -------
    list of Advanced or ValueError
    """
    K = starts[0].n_components
    posterior = setting.posterior(K, n_iter) if setting.is_truncated(K) else None
    return advance(few, starts, n_iter, setting.update(), posterior)


def run_em(
    samples: Samples,
    parameters: MixtureParameters,
    max_iter: int,
    setting: Setting,
    convergence: Convergence,
    callback: Callback,
) -> EMResult[MixtureParameters]:
    """Run EM, accelerated where it is exact, with the setting that all candidates share.

    Parameters
    ----------
    samples : Samples
    parameters : MixtureParameters
    max_iter : int
    setting : Setting
    convergence : Convergence
    callback : callable

    Returns
    -------
    EMResult
    """
    K = parameters.n_components
    return run(
        samples,
        parameters,
        posterior=setting.posterior(K, max_iter),
        update=setting.update(),
        convergence=convergence,
        max_iter=max_iter,
        acceleration=None if setting.is_truncated(K) else QuasiNewton(),
        callback=callback,
    )
