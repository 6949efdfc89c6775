"""The lines of ``verbose``."""

from collections.abc import Callable
from time import perf_counter

from ..em.result import EMResult, Iteration
from ..model.parameters import MixtureParameters


class Verbose:
    """Print the progress of one start, and pass each iteration on to the user's callback."""

    def __init__(
        self, level: int, interval: int, callback: Callable[[Iteration], object] | None
    ) -> None:
        self._level = level
        self._interval = interval
        self._callback = callback
        self._begun = perf_counter()

    def begin(self, start: int) -> None:
        """Announce a start."""
        if self._level:
            print(f"Initialization {start}")

    def iteration(self, iteration: Iteration) -> bool:
        """Report an iteration; return whether the user's callback stops the fit."""
        if self._level and iteration.number % self._interval == 0:
            detail = f"\t time lapse {iteration.seconds:.5f}s\t ll change {iteration.change:.5f}"
            print(f"  Iteration {iteration.number}" + (detail if self._level > 1 else ""))
        return self._callback is not None and bool(self._callback(iteration))

    def end(self, result: EMResult[MixtureParameters]) -> None:
        """Report the outcome of the start."""
        if not self._level:
            return
        seconds = perf_counter() - self._begun
        state = "converged" if result.converged else "did not converge"
        detail = f" time lapse {seconds:.5f}s\t lower bound {result.lower_bound:.5f}."
        print(f"Initialization {state}." + (detail if self._level > 1 else ""))
