"""What ``verbose`` shows: a bar, or lines of text."""

from time import perf_counter
from typing import Any

import numpy as np

from ..em.progress_bar import ProgressBar
from ..em.result import EMResult, Iteration, stops
from ..model.parameters import MixtureParameters


class Report:
    """Pass each iteration of all starts on to the user's callback.

    Parameters
    ----------
    callback : callable or None
    """

    def __init__(self, callback: Any) -> None:
        self._callback = callback

    def begin(self, start: int) -> None:
        """Announce a start."""

    def iteration(self, iteration: Iteration) -> bool:
        """Report an iteration; return whether the user's callback stops the fit."""
        return stops(self._callback, iteration, iteration.partial)

    def end(self, result: EMResult[MixtureParameters]) -> None:
        """Report the outcome of the start."""


class Verbose(Report):
    """Show the progress of all starts, and pass each iteration on to the user's callback.

    Parameters
    ----------
    estimator : object
        With ``verbose``, ``verbose_interval``, ``max_iter`` and ``n_init``.
    n_samples : int
    callback : callable or None
    """

    def __init__(self, estimator: Any, n_samples: int, callback: Any) -> None:
        self._bar = _bar(estimator, n_samples)
        self._level = 0 if self._bar else int(estimator.verbose)
        self._interval = estimator.verbose_interval
        super().__init__(callback)
        self._begun = perf_counter()

    def begin(self, start: int) -> None:
        """Announce a start."""
        self._begun = perf_counter()
        if self._level:
            print(f"Initialization {start}")

    def iteration(self, iteration: Iteration) -> bool:
        """Report an iteration; return whether the user's callback stops the fit."""
        if self._bar is not None:
            self._bar(iteration)
        if self._level and iteration.number % self._interval == 0:
            detail = f"\t time lapse {iteration.seconds:.5f}s\t ll change {iteration.change:.5f}"
            print(f"  Iteration {iteration.number}" + (detail if self._level > 1 else ""))
        return super().iteration(iteration)

    def end(self, result: EMResult[MixtureParameters]) -> None:
        """Report the outcome of the start."""
        if not self._level:
            return
        seconds = perf_counter() - self._begun
        state = "converged" if result.converged else "did not converge"
        detail = f" time lapse {seconds:.5f}s\t lower bound {result.lower_bound:.5f}."
        print(f"Initialization {state}." + (detail if self._level > 1 else ""))

    def close(self) -> None:
        """Leave the last state of the bar."""
        if self._bar is not None:
            self._bar.close()


def _bar(estimator: Any, n_samples: int) -> ProgressBar | None:
    """Return a bar where ``verbose`` is True, and tqdm is installed; 1 is scikit-learn's level."""
    if not isinstance(estimator.verbose, bool | np.bool_) or not estimator.verbose:
        return None
    try:
        bar = ProgressBar(estimator.max_iter, estimator.n_init, leave=True)
    except ImportError:
        return None
    bar.n_samples = n_samples
    bar.phase("starting points")
    return bar
