"""Time of an EM iteration, of fastgmm and of scikit-learn.

Both fit the same data from the same start in one process and take turns. Times are of whole
iterations; the first of a fit, in which kernels are compiled and memory is touched for the first
time, does not count.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as Peer

from .._kernels import reference
from ..estimators import GaussianMixture
from .problems import Shape, make_samples, make_start, useful_flops

#: Iterations of one fit; lower bounds are compared after the smaller number.
N_ITER = 11
N_ITER_PEER = 3

_COUNTED_SAMPLES = 1024
_NEGLIGIBLE = 1e-16
_STEADY = 0.75


@dataclass(frozen=True)
class Timing:
    """Times of one shape.

    Attributes
    ----------
    shape : Shape
    dtype : str
        Of the samples.
    seconds, peer_seconds : list of float
        Of single iterations, of fastgmm and of scikit-learn (empty without it).
    significant : float
        Fraction of the pairs of sample and component with a responsibility above 1e-16.
    difference : float or None
        Relative difference of the two lower bounds after the same number of iterations.
    """

    shape: Shape
    dtype: str
    seconds: list[float] = field(default_factory=list)
    peer_seconds: list[float] = field(default_factory=list)
    significant: float = 1.0
    difference: float | None = None

    @property
    def median(self) -> float:
        """Seconds of the median iteration."""
        return median(self.seconds)

    @property
    def peer_median(self) -> float | None:
        """Seconds of scikit-learn's median iteration."""
        return median(self.peer_seconds) if self.peer_seconds else None

    @property
    def speed_up(self) -> float | None:
        """How many times as long scikit-learn's iteration takes."""
        return None if self.peer_median is None else self.peer_median / self.median

    @property
    def is_steady(self) -> bool:
        """Whether no iteration took less than 3/4 of the median, as if it alone had the cores."""
        return all(
            min(seconds) >= _STEADY * median(seconds)
            for seconds in (self.seconds, self.peer_seconds)
            if seconds
        )

    @property
    def flops(self) -> float:
        """Useful flops of one iteration."""
        of_each, of_significant = useful_flops(self.shape)
        n_pairs = self.shape.n_samples * self.shape.n_components
        return n_pairs * (of_each + self.significant * of_significant)

    @property
    def flops_per_byte(self) -> float:
        """Useful flops for each byte of X, which an iteration reads once."""
        n_values = self.shape.n_samples * self.shape.n_features
        return self.flops / (n_values * np.dtype(self.dtype).itemsize)


def time_iterations(
    shape: Shape,
    *,
    dtype: str = "float64",
    n_jobs: int | None = None,
    n_rounds: int = 2,
    with_peer: bool = True,
    phase: Callable[[str], object] = lambda _: None,
) -> Timing:
    """Time EM iterations on one shape.

    Parameters
    ----------
    shape : Shape
    dtype : {"float64", "float32"}
        Of the samples.
    n_jobs : int, optional
        Threads of fastgmm.
    n_rounds : int
        Turns of each library.
    with_peer : bool
        Whether scikit-learn takes turns.
    phase : callable, optional
        Called with what is being done.

    Returns
    -------
    Timing
    """
    phase("drawing samples")
    X, means = make_samples(*shape[1:], dtype)
    options: dict[str, Any] = make_start(means, shape.covariance_type)
    options |= {"covariance_type": shape.covariance_type, "tol": 0.0}
    model = GaussianMixture(shape.n_components, max_iter=N_ITER, n_jobs=n_jobs, **options)
    peer = _ClockedPeer(shape.n_components, max_iter=N_ITER_PEER, **options)
    timing = Timing(shape, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for turn in range(1, n_rounds + 1):
            phase(f"fastgmm, turn {turn} of {n_rounds}")
            timing.seconds.extend(_own_seconds(model, X))
            if with_peer:
                phase(f"scikit-learn, turn {turn} of {n_rounds}")
                timing.peer_seconds.extend(peer.iteration_seconds(X))
    difference = _difference(model, peer) if with_peer else None
    return replace(timing, significant=_significant(model, X), difference=difference)


class _ClockedPeer(Peer):  # type: ignore[misc]
    """scikit-learn's mixture, which records when each E step begins."""

    def iteration_seconds(self, X: NDArray[Any]) -> list[float]:
        """Return the seconds between E steps; there is one more after the last iteration."""
        self.starts_: list[float] = []
        self.fit(X)
        return [end - start for start, end in pairwise(self.starts_)][1:]

    def _e_step(self, *args: Any, **kwargs: Any) -> Any:
        self.starts_.append(perf_counter())
        return super()._e_step(*args, **kwargs)


def _own_seconds(model: GaussianMixture, X: NDArray[Any]) -> list[float]:
    return [iteration.seconds for iteration in model.fit(X).history_[1:]]


def _difference(model: GaussianMixture, peer: Any) -> float:
    own = model.history_[N_ITER_PEER - 1].lower_bound
    return float(abs(own - peer.lower_bound_) / abs(peer.lower_bound_))


def _significant(model: GaussianMixture, X: NDArray[Any]) -> float:
    """Estimate the fraction of significant pairs, in NumPy, to avoid compiling a kernel."""
    some = X[:_COUNTED_SAMPLES]
    resp = np.empty((len(some), model.n_components))
    reference.posterior(some, model._parameters().components(), resp=resp)
    return float(np.mean(resp > _NEGLIGIBLE))
