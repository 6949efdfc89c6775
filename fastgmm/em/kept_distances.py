"""Distances that passes keep from one to the next: which components cannot matter to a sample.

A pass writes down the distance d0 = |U0^T (x - m0)| of each sample and component, rounded down, or
a bound below it. Later passes have other factors U and means m. As U^T = M U0^T, M = U^T U0^-T, the
triangle inequality says

    low (d0 - |U0^T (m - m0)|) <= |U^T (x - m)| <= high (d0 + |U0^T (m - m0)|),

with low and high the smallest and the largest singular value of M. No eigenvalue of E = M M^T - I
is larger in magnitude than e = (trace E^8)^(1/8), so low^2 >= 1 - e and high^2 <= 1 + e. This takes
four products of matrices. In the kernels distances are divided by sqrt(2).

The kernels' rounding counts, too: a distance has a relative error of about d eps cond(U), and one
of d eps |U| |m - origin| besides.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from .._kernels.kept_distances import LARGEST_CODE, NOTHING_KEPT, KeptDistances
from .._kernels.layout import (
    CUT,
    LARGEST_BLOCK,
    PLANE,
    SMALLEST_BLOCK,
    Array,
    Components,
    leading_rows,
)
from ..data.samples import Samples

# In fewer multiply-adds a pass takes some milliseconds, of which the bounds would be too many.
_WORTH_KEEPING = 2**28
# Rows for each feature: with fewer, products of matrices take more than some hundredths of a pass.
_ROWS_PER_FEATURE = 100
# Bytes of all codes, of which a fit in memory takes no notice: those of a million samples and 32
# components. With more, a source or Dask, whose passes keep nothing, would be left behind.
_LARGEST_MEMORY = 2**25
# Codes reach so much further than the distance beyond which a component is ruled out.
_REACH = 1.25
# A component whose coefficient is so many nats below others does not make their steps longer.
_LARGEST_DIFFERENCE = 500.0
# Codes help as long as bounds have lost no more than this part of that distance, in the median.
_LARGEST_LOSS = 0.15
# Bounds are not trusted where E is larger, or rounding errors are.
_LARGEST_CHANGE, _LARGEST_ROUNDING = 0.75, 0.05
# For the rounding of the kernel, which computes bounds in float32, and of log-probabilities.
_RELATIVE, _NATS = 1e-5, 0.02
# How many passes go without codes: before the first, after codes that came too early, and where
# too many components matter.
_FIRST_PAUSE, _SHORT_PAUSE, _LONG_PAUSE = 1, 3, 32
_SQRT_HALF = float(np.sqrt(0.5))
# The bound above a distance of which nothing is known: its square is a number of float32, too.
_UNKNOWN = 1e18


@dataclass(frozen=True)
class Anchor:
    """The parameters under which codes were written."""

    factors: Array
    inverses: Array
    means: Array
    steps: Array
    epsilon: float  # d times that of the numbers
    sizes: Array  # |U|
    rounding: Array  # relative error of a distance

    @classmethod
    @np.errstate(over="ignore", invalid="ignore")
    def at(cls, components: Components, dtype: "np.dtype[Any]") -> "Anchor":
        """Return the parameters of a pass, with steps that reach as far as its distances matter."""
        factors, means = components.precisions_cholesky.copy(), components.means.copy()
        d = means.shape[1]
        epsilon = d * float(np.finfo(dtype).eps)
        inverses: Array = np.asarray(np.linalg.inv(factors), np.float64)
        sizes: Array = np.linalg.norm(factors, axis=(1, 2))
        rounding: Array = 4.0 * epsilon * sizes * np.linalg.norm(inverses, axis=(1, 2))
        below = components.log_coefficients - components.log_coefficients.max()
        lowest = below[below > -_LARGEST_DIFFERENCE].min()
        above_lowest = np.maximum(below - lowest, 0.0)
        # a sample has a squared distance of about d from its own component: three standard
        # deviations more, and what a component may lie below
        largest = 2.0 * (above_lowest + CUT) + d + 3.0 * np.sqrt(2.0 * d)
        steps = _REACH * np.sqrt(0.5 * largest) / LARGEST_CODE
        return cls(factors, inverses, means, steps, epsilon, sizes, rounding)

    @np.errstate(over="ignore", invalid="ignore")
    def bounds(
        self, components: Components, largest_loss: float = _LARGEST_LOSS
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Return ``upper`` and ``lower``; None where they would rule out too little."""
        change = self.inverses @ components.precisions_cholesky  # M^T
        error = change.swapaxes(1, 2) @ change - np.eye(self.means.shape[1])
        size = np.linalg.norm(np.linalg.matrix_power(error, 4), axis=(1, 2)) ** 0.25
        size = size + 4.0 * self.rounding
        path = np.einsum("kj,kji->ki", components.means - self.means, self.factors)
        reach = self.steps * LARGEST_CODE
        relative = _RELATIVE + self.rounding
        absolute = 4.0 * self.epsilon * self.sizes * self._from_origins(components.means)
        moved = _SQRT_HALF * np.linalg.norm(path, axis=1) * (1.0 + relative)
        moved += self.rounding * reach + absolute
        # also where these have overflowed
        is_known = (size < _LARGEST_CHANGE) & (self.rounding < _LARGEST_ROUNDING)
        is_known &= moved < _UNKNOWN
        size, moved = np.where(is_known, (size, moved), 0.0)
        low = np.sqrt(1.0 - size) * (1.0 - relative)
        high = np.sqrt(1.0 + size) * (1.0 + relative)
        loss = np.where(is_known, 1.0 - low * (1.0 - _REACH * moved / reach), 1.0)
        if np.median(loss) > largest_loss:
            return None
        below = components.log_coefficients - components.log_coefficients.max()
        slack = (_RELATIVE + self.epsilon) * np.abs(below) + _NATS
        upper = np.stack([low * self.steps, -low * moved, below + slack], axis=1)
        lower = np.stack([high * self.steps, high * (self.steps + moved), below - slack], axis=1)
        upper[~is_known, :2] = 0.0
        lower[~is_known, 0], lower[~is_known, 1] = 0.0, _UNKNOWN
        return upper.astype(np.float32).ravel(), lower.astype(np.float32).ravel()

    def _from_origins(self, means: Array) -> Array:
        """Return how far the means were, and are, from the kernels' origin, their mean; summed."""
        then, now = (np.linalg.norm(m - m.mean(axis=0), axis=1) for m in (self.means, means))
        return np.asarray(then + now)


class _Run:
    """The codes of a run over some samples, and when they are written and used."""

    def __init__(self, samples: Samples, components: Components) -> None:
        (K, d), n = components.means.shape, samples.n_samples
        n_units = -(-n // LARGEST_BLOCK) * (LARGEST_BLOCK // SMALLEST_BLOCK)
        n_codes = n_units * SMALLEST_BLOCK * K
        multiply_adds = n * K * _multiply_adds(d)
        self.shape = components.means.shape
        self._may_keep = (
            components.kind == "full"
            and d > PLANE
            and n >= _ROWS_PER_FEATURE * d
            and multiply_adds >= _WORTH_KEEPING
            and n_codes <= _LARGEST_MEMORY
        )
        self.n_bytes, self._n_units = n_codes, n_units
        # of all pairs, computed as far as is needed at least; of a pair that may matter, gathered
        self._cost = n * K * _multiply_adds(leading_rows(d, K))
        self._cost_of_one = 4.0 / 3.0 * (_multiply_adds(d) + 6 * d + 60)
        self._dtype = samples.dtype
        self._kept = NOTHING_KEPT
        self._anchor: Anchor | None = None
        self._was_used = False
        self._n_exact = self._n_wasted = 0
        self._pause = _FIRST_PAUSE

    def begin(self, components: Components) -> KeptDistances:
        """Return what this pass writes or uses."""
        if not self._may_keep or not _is_regular(components):
            return NOTHING_KEPT
        if self._pause > 0:
            self._pause -= 1
            return NOTHING_KEPT
        if self._anchor is not None:
            bounds = self._anchor.bounds(components)
            if bounds is not None:
                self._kept.counts[:] = 0
                self._was_used = True
                return self._kept._replace(upper=bounds[0], lower=bounds[1])
            if not self._was_used:
                self._anchor, self._pause = None, _SHORT_PAUSE
                return NOTHING_KEPT
        if self._kept is NOTHING_KEPT:
            codes = np.empty(self.n_bytes, np.uint8)
            counts = np.zeros(self._n_units, np.int64)
            self._kept = NOTHING_KEPT._replace(codes=codes, counts=counts)
        self._anchor = None  # until all codes have been written
        self._next = Anchor.at(components, self._dtype)
        self._kept.counts[:] = 0
        self._kept = self._kept._replace(steps=self._next.steps)
        return self._kept

    def end(self, kept: KeptDistances) -> None:
        """Take note of how many pairs of a sample and a component the pass needed."""
        if kept is NOTHING_KEPT:
            return
        counted = int(kept.counts.sum())
        if kept.upper.size == 0:
            if counted * self._cost_of_one >= self._cost:
                self._kept, self._pause = NOTHING_KEPT, _LONG_PAUSE
                return
            self._anchor, self._was_used = self._next, False
            self._n_exact, self._n_wasted = counted, 0
            return
        wasted = counted - self._n_exact
        self._n_wasted += wasted
        if self._n_wasted * self._cost_of_one >= self._cost:
            self._anchor = None
            if wasted == self._n_wasted:
                self._pause = _SHORT_PAUSE


class DistanceKeeper(threading.local):
    """What the passes of a run keep, for each samples that they read; nothing before its start.

    It is forgotten with the samples. Each thread has its own. A copy, also in another process, has
    none.
    """

    def __init__(self) -> None:
        self._runs: WeakKeyDictionary[Samples, _Run] | None = None

    def start(self) -> None:
        """Begin a run: samples do not change from here on."""
        self._runs = WeakKeyDictionary()

    def __reduce__(self) -> tuple[Any, ...]:
        return DistanceKeeper, ()

    def blocks(
        self, samples: Samples, components: Components
    ) -> Iterator[tuple[NDArray[Any], Array, KeptDistances]]:
        """Yield (X, sample_weight, kept distances), part by part, for one pass.

        What the pass wrote counts when all parts have been asked for.
        """
        run = None
        if self._runs is not None and samples.in_memory:
            run = self._runs.get(samples)
            if run is None or run.shape != components.means.shape:
                run = self._runs[samples] = _Run(samples, components)
        kept, start = run.begin(components) if run else NOTHING_KEPT, 0
        for X, weight in samples.blocks():
            yield X, weight, kept if kept is NOTHING_KEPT else kept.from_row(start)
            start += len(X)
        if run:
            run.end(kept)


def _is_regular(components: Components) -> bool:
    """Return whether all parameters are finite, and all factors have inverses."""
    _, log_coefficients, means, factors = components
    diagonals = np.diagonal(factors, axis1=1, axis2=2)
    is_finite = all(np.isfinite(array).all() for array in (log_coefficients, means, factors))
    return is_finite and bool((diagonals != 0.0).all())


def _multiply_adds(n_rows: int) -> int:
    """Return how many multiply-adds the first rows of a factor take for a sample."""
    return n_rows * (n_rows + 3) // 2
