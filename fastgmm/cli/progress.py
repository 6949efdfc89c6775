"""Progress of a fit on stderr."""

import math
import sys
from shutil import get_terminal_size
from time import perf_counter
from typing import Any

from ..em.result import Iteration

_LINE_SECONDS = 10.0
_BAR_COLUMNS = 96


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
        self._quiet = quiet
        self._last_line = perf_counter()
        self._bar = None if quiet or not sys.stderr.isatty() else open_bar(max_iter)

    def phase(self, text: str) -> None:
        """Show what is done before the first iteration."""
        if self._bar is not None:
            self._bar.set_description_str(text)

    def __call__(self, iteration: Iteration) -> None:
        """Show an iteration."""
        self.seconds.append(iteration.seconds)
        self._start += iteration.number == 1
        if self._bar is not None:
            self._advance(self._bar, iteration)
        elif not self._quiet and perf_counter() - self._last_line > _LINE_SECONDS:
            self._last_line = perf_counter()
            print(
                f"fastgmm: {self._title()}, iteration {iteration.number}: {self._state(iteration)}",
                file=sys.stderr,
            )

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()

    def _advance(self, bar: Any, iteration: Iteration) -> None:
        bar.set_postfix_str(self._state(iteration), refresh=False)
        if iteration.number == 1:
            bar.bar_format = "{desc} {n_fmt}/{total_fmt} |{bar}| {elapsed}{postfix}"
            bar.set_description_str(self._title(), refresh=False)
            bar.reset()
        bar.update()

    def _title(self) -> str:
        return "EM" if self._n_init == 1 else f"start {self._start}/{self._n_init}"

    def _state(self, iteration: Iteration) -> str:
        change = f" ({iteration.change:+.1e})" if math.isfinite(iteration.change) else ""
        rate = 1e-6 * self.n_samples / max(iteration.seconds, 1e-9)
        return f"log-likelihood {iteration.lower_bound:.5f}{change}, {rate:.3f} M samples/s"


def open_bar(total: int) -> Any:
    """Return a bar on stderr, or None, with a hint, where tqdm is missing."""
    try:
        from tqdm import tqdm
    except ImportError:
        print("fastgmm: for a progress bar: pip install 'fastgmm[cli]'", file=sys.stderr)
        return None
    # tqdm shows nothing on a terminal that does not tell its size; get_terminal_size falls back to
    # 80 x 24
    columns, lines = get_terminal_size()
    shape = {"ncols": min(_BAR_COLUMNS, columns), "nrows": lines}
    return tqdm(total=total, file=sys.stderr, leave=False, bar_format="{desc}", **shape)
