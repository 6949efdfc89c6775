"""The EM loop: the only one, for every posterior, update and stop rule."""

import math
from collections.abc import Callable
from time import perf_counter

from ..parameters import MixtureParameters
from ..samples import Samples
from .convergence import Convergence
from .posterior import Posterior
from .result import EMResult, Iteration
from .update import Update


def run(
    samples: Samples,
    parameters: MixtureParameters,
    *,
    posterior: Posterior,
    update: Update,
    convergence: Convergence,
    max_iter: int,
    lower_bound: float = -math.inf,
    callback: Callable[[Iteration], object] | None = None,
) -> EMResult:
    """Alternate E and M steps until convergence or ``max_iter``.

    Parameters
    ----------
    samples : Samples
    parameters : MixtureParameters
        Where to start.
    posterior, update, convergence
        The policies: E step, M step, stop rule.
    max_iter : int
        0 returns the start.
    lower_bound : float
        Of an earlier run that this one continues.
    callback : callable, optional
        Called with each Iteration.

    Returns
    -------
    EMResult

    Raises
    ------
    ValueError
        If the samples or parameters are so large that the log-likelihood overflows.
    """
    history: list[Iteration] = []
    collapsed: frozenset[int] = frozenset()
    converged = False
    while not converged and len(history) < max_iter:
        start = perf_counter()
        statistics = posterior.summarize(samples, parameters)
        _check_finite(statistics.lower_bound, len(history) + 1)
        parameters, failed = update(statistics, parameters)
        collapsed |= failed
        change = statistics.lower_bound - lower_bound
        lower_bound = statistics.lower_bound
        converged = convergence(change)
        history.append(Iteration(len(history) + 1, lower_bound, change, perf_counter() - start))
        if callback is not None:
            callback(history[-1])
    return EMResult(parameters, converged, lower_bound, history, collapsed)


def _check_finite(lower_bound: float, number: int) -> None:
    # kernels put -1e300 for the log-density of a sample whose distances overflow
    if not -1e280 < lower_bound < math.inf:
        raise ValueError(
            f"The mean log-likelihood in iteration {number} is {lower_bound}: the input or the "
            "parameters are too large for float64. Scale the input data."
        )
