"""Time to draw samples with fastgmm and with scikit-learn, in turns, from one mixture."""

import warnings
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as Peer

from ..estimators import GaussianMixture
from .problems import Shape, make_samples, make_start

#: Samples of each component to which the mixture is fitted.
_FITTED = 1_000


class DrawTiming(NamedTuple):
    """Seconds of each round of ``shape.n_samples`` draws, fastgmm's and scikit-learn's."""

    shape: Shape
    seconds: list[float]
    peer_seconds: list[float]

    @property
    def ratios(self) -> list[float]:
        """How many times as long scikit-learn took, round by round."""
        pairs = zip(self.seconds, self.peer_seconds, strict=True)
        return [theirs / ours for ours, theirs in pairs]

    @property
    def speed_up(self) -> float:
        """The median of the ratios."""
        return median(self.ratios)


def time_draws(shape: Shape, *, n_jobs: int | None = None, n_rounds: int = 5) -> DrawTiming:
    """Draw in turns from one mixture, fitted to unit-variance clusters.

    Parameters
    ----------
    shape : Shape
        ``n_samples`` are drawn in each round.
    n_jobs : int, optional
        Threads of fastgmm.
    n_rounds : int

    Returns
    -------
    DrawTiming
    """
    covariance_type, n, d, K = shape
    X, means = make_samples(_FITTED * K, d, K)
    options: dict[str, Any] = {"covariance_type": covariance_type, "max_iter": 1, "random_state": 0}
    options |= make_start(means, covariance_type)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        models = GaussianMixture(K, n_jobs=n_jobs, **options).fit(X), Peer(K, **options).fit(X)
    timing = DrawTiming(shape, [], [])
    for _ in range(n_rounds):
        for model, seconds in zip(models, timing[1:], strict=True):
            start = perf_counter()
            drawn = model.sample(n)
            seconds.append(perf_counter() - start)
            del drawn
    return timing
