"""Progress of a fit: a bar by tqdm, on a terminal or in a notebook."""

import math
import sys
from shutil import get_terminal_size
from typing import Any

from .result import Iteration

_BAR_COLUMNS = 96


class ProgressBar:
    """A bar on stderr or in a notebook, which shows one start after the other.

    Parameters
    ----------
    max_iter : int
    n_init : int
        Number of starts.
    leave : bool
        Whether the last state of the bar stays.

    Attributes
    ----------
    n_samples : int
        How many an iteration reads.

    Raises
    ------
    ImportError
        If tqdm is not installed.
    """

    def __init__(self, max_iter: int, n_init: int, leave: bool = False) -> None:
        self.n_samples = 0
        self._n_init = n_init
        self._start = 0
        self._last = 0
        self._bar = open_bar(max_iter, leave)

    def phase(self, text: str) -> None:
        """Show what is done before the first iteration."""
        self._bar.set_description_str(text)

    def __call__(self, iteration: Iteration) -> None:
        """Show an iteration."""
        begins = begins_start(iteration, self._last)
        self._start += begins
        self._bar.set_postfix_str(state(iteration, self.n_samples), refresh=False)
        if begins:
            self._bar.bar_format = "{desc} {n_fmt}/{total_fmt} |{bar}| {elapsed}{postfix}"
            self._bar.set_description_str(title(self._start, self._n_init), refresh=False)
            self._bar.reset()
            self._last = 0
        self._bar.update(iteration.number - self._last)
        self._last = iteration.number

    def refresh(self) -> None:
        """Draw the bar now."""
        self._bar.refresh()

    def close(self) -> None:
        """Remove the bar, or leave its last state."""
        self._bar.close()


def open_bar(total: int, leave: bool = False) -> Any:
    """Return a bar of tqdm on stderr, or in a notebook.

    Raises
    ------
    ImportError
        If tqdm is not installed.
    """
    from tqdm.auto import tqdm

    return tqdm(total=total, file=sys.stderr, leave=leave, bar_format="{desc}", **_shape())


def begins_start(iteration: Iteration, last: int) -> bool:
    """Return whether an iteration is the first one that is seen of its start.

    A fit that goes on from a checkpoint need not begin with the number 1.

    Parameters
    ----------
    iteration : Iteration
    last : int
        Number of the one before; 0 if there was none.
    """
    return last == 0 or iteration.number <= last


def title(start: int, n_init: int) -> str:
    """Return what an iteration belongs to."""
    return "EM" if n_init == 1 else f"start {start}/{n_init}"


def state(iteration: Iteration, n_samples: int) -> str:
    """Return the bound, its change, and the speed."""
    change = f" ({iteration.change:+.1e})" if math.isfinite(iteration.change) else ""
    rate = 1e-6 * n_samples / max(iteration.seconds, 1e-9)
    return f"log-likelihood {iteration.lower_bound:.5f}{change}, {rate:.3f} M samples/s"


def _shape() -> dict[str, Any]:
    """Return the size of the terminal; tqdm shows nothing on one that does not tell its size."""
    if not sys.stderr.isatty():
        return {}
    columns, lines = get_terminal_size()  # falls back to 80 x 24
    return {"ncols": min(_BAR_COLUMNS, columns), "nrows": lines}
