"""Progress of a fit on stderr."""

import sys
from collections.abc import Callable
from time import perf_counter
from typing import TypeVar

from ..em.progress_bar import ProgressBar, begins_start, state, title
from ..em.result import Iteration

_LINE_SECONDS = 10.0
_Bar = TypeVar("_Bar")


class Progress:
    """Phases and iterations on stderr: a bar on a terminal, elsewhere a line every 10 s.

    Attributes
    ----------
    n_samples : int
        How many an iteration reads.
    seconds : list of float
        Wall time of each iteration so far, over all starts.
    """

    def __init__(self, quiet: bool, max_iter: int, n_init: int) -> None:
        self.n_samples = 0
        self.seconds: list[float] = []
        self._n_init = n_init
        self._start = 0
        self._last = 0
        self._quiet = quiet
        self._last_line = perf_counter()
        self._bar: ProgressBar | None = None
        if not quiet and sys.stderr.isatty():
            self._bar = or_hint(lambda: ProgressBar(max_iter, n_init))

    def phase(self, text: str) -> None:
        """Show what is done before the first iteration."""
        if self._bar is not None:
            self._bar.phase(text)

    def __call__(self, iteration: Iteration) -> None:
        """Show an iteration."""
        self.seconds.append(iteration.seconds)
        self._start += begins_start(iteration, self._last)
        self._last = iteration.number
        if self._bar is not None:
            self._bar.n_samples = self.n_samples
            self._bar(iteration)
        elif not self._quiet and perf_counter() - self._last_line > _LINE_SECONDS:
            self._last_line = perf_counter()
            print(
                f"fastgmm: {title(self._start, self._n_init)}, iteration {iteration.number}: "
                f"{state(iteration, self.n_samples)}",
                file=sys.stderr,
            )

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()


def or_hint(open_bar: Callable[[], _Bar]) -> _Bar | None:
    """Return a bar on stderr, or None, with a hint, where tqdm is missing."""
    try:
        return open_bar()
    except ImportError:
        print("fastgmm: for a progress bar: pip install 'fastgmm[cli]'", file=sys.stderr)
        return None
