"""The limits of this machine: multiply-adds in cache, bytes from memory."""

from collections.abc import Callable
from time import perf_counter, sleep

import numpy as np

from .. import _kernels as kernels
from .._kernels.layout import LINE_BYTES, Array, empty_on_a_line
from .._kernels.threads import count_threads

_LINE = LINE_BYTES // 8  # doubles
_PEAK_COLUMNS = 3072  # a window of 24 KB: within the smallest first-level cache, 32 KB
_PEAK_REPEATS = 4000  # 2 ms at 128 GFLOP/s: short enough for a moment without other processes
_FLOPS_PER_COLUMN = 20
_MEMORY_COLUMNS = 2**23  # of 4 rows: 256 MB
_SECONDS = 0.1
_AT_LEAST = 20
_PAUSE = 1e-3


def measure_peak(n_threads: int | None = None) -> float:
    """Return how many multiply-adds per second this machine can do in first-level cache.

    The backend in use computes the ten products of four rows with one another: ten multiply-adds on
    four loads. The rows overlap, so that the loop is long and its data still stays in cache. This
    reaches 96 to 100 % of what hand-written AVX-512 reaches on Zen 5.

    Parameters
    ----------
    n_threads : int, optional
        By default all cores that the process may use.

    Returns
    -------
    float
        float64 FLOP/s of all threads together, a multiply-add counted as two: the best of many
        runs of 2 ms.
    """
    team = count_threads(n_threads)
    bounds = _PEAK_COLUMNS * np.arange(team + 1)
    values = _aligned_ones(int(bounds[-1]) + 3 * _LINE)
    seconds = _best_seconds(
        lambda: kernels.gram(values, _LINE, bounds, _PEAK_REPEATS, np.zeros(10), team)
    )
    return float(_FLOPS_PER_COLUMN * bounds[-1] * _PEAK_REPEATS / seconds)


def measure_bandwidth(n_threads: int | None = None) -> float:
    """Return how many bytes per second this machine can read from memory.

    Parameters
    ----------
    n_threads : int, optional
        By default all cores that the process may use.

    Returns
    -------
    float
        Bytes per second of all threads together, over 256 MB: the best of several runs.
    """
    team = count_threads(n_threads)
    bounds = _MEMORY_COLUMNS * np.arange(team + 1) // team
    stride = _MEMORY_COLUMNS + _LINE  # rows a multiple of 4 KB apart would compete for cache
    values = _aligned_ones(4 * stride)
    seconds = _best_seconds(lambda: kernels.gram(values, stride, bounds, 1, np.zeros(10), team))
    return 4 * values.itemsize * _MEMORY_COLUMNS / seconds


def _aligned_ones(size: int) -> Array:
    """Return ones that begin on a cache line."""
    ones = empty_on_a_line(size)
    ones[:] = 1.0
    return ones


def _best_seconds(run: Callable[[], object]) -> float:
    """Return the shortest time of many runs; the first, which may compile, does not count.

    The system prefers threads that have slept to other processes, so there is a pause before every
    second run. Without it, the best run on a machine with one busy core of two is at a quarter of
    the peak.
    """
    run()
    seconds: list[float] = []
    start = perf_counter()
    while len(seconds) < _AT_LEAST or perf_counter() - start < _SECONDS:
        sleep(_PAUSE * (len(seconds) % 2))
        before = perf_counter()
        run()
        seconds.append(perf_counter() - before)
    return min(seconds)
