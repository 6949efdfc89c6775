"""What the EM loop returns: a record of each iteration, and the parameters."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Generic, NamedTuple

import numpy as np

from .latent_variable_model import P


class Iteration(NamedTuple):
    """One iteration of EM.

    Parameters
    ----------
    number : int
        Counted from 1.
    lower_bound : float
        Mean log-likelihood of the parameters with which the iteration began, in nats.
    change : float
        Since the previous iteration; infinite in the first.
    seconds : float
        Wall time.
    """

    number: int
    lower_bound: float
    change: float
    seconds: float

    def partial(self) -> Any:
        """Return the result of this iteration, as if the fit ended here.

        A callback may ask the iteration that it was called with. Nothing is computed or copied
        where it does not ask.

        Returns
        -------
        GaussianMixture, BayesianGaussianMixture, SoftKMeans or EMResult
            In ``fit`` of an estimator a fitted estimator of the same class and parameters, of the
            current start. In `fastgmm.em.fit` and `fastgmm.em.gradient_ascent` what they return.
            It stays as it is while the fit goes on.

        Raises
        ------
        RuntimeError
            If the callback has returned, or the iteration is from a ``history``: these keep no
            parameters.

        Examples
        --------
        >>> import numpy as np
        >>> from fastgmm import GaussianMixture
        >>> X = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
        >>> scores = []
        >>> def follow(iteration):
        ...     scores.append(iteration.partial().score(X))
        >>> model = GaussianMixture(2, random_state=0).fit(X, callback=follow)
        >>> bool(scores[-1] == model.score(X))
        True
        """
        raise RuntimeError(
            "partial() is for the iteration that a callback is called with, until the callback "
            "returns: other iterations keep no parameters."
        )


class Restart(NamedTuple):
    """How one start of a fit ended.

    Parameters
    ----------
    lower_bound : float
        In nats per sample; -inf if the start failed.
    n_iter : int
    converged : bool
    history : list of Iteration
    chosen : bool
        Whether the estimator holds the parameters of this start.
    error : str or None
        Why there is no start: its covariances collapsed.
    """

    lower_bound: float
    n_iter: int
    converged: bool
    history: list[Iteration]
    chosen: bool
    error: str | None = None


@dataclass(frozen=True)
class EMResult(Generic[P]):
    """The outcome of one run of EM: parameters, and how they were reached.

    Parameters
    ----------
    parameters : object
        After the last update, of the type of those that the run began with.
    converged : bool
    lower_bound : float
        Of the parameters before the last update, as in scikit-learn.
    history : list of Iteration
    collapsed : dict of int to int
        Components whose covariance could not be updated in some iteration, and the number of the
        first one.
    stopped : bool
        Whether a callback returned True, which ended the run.
    dtype : dtype
        Of the samples: float32 or float64. Parameters are float64 in any case.
    out_of_time : bool
        Whether ``max_time`` ended the run.
    n_reseeded : int
        How many times a component was used elsewhere, as `NeighborhoodPosterior` does.
    """

    parameters: P
    converged: bool
    lower_bound: float
    history: list[Iteration] = field(default_factory=list)
    collapsed: dict[int, int] = field(default_factory=dict)
    stopped: bool = False
    dtype: "np.dtype[Any]" = field(default_factory=lambda: np.dtype(np.float64))
    out_of_time: bool = False
    n_reseeded: int = 0

    @property
    def n_iter(self) -> int:
        """Number of iterations."""
        return len(self.history)

    @property
    def lower_bounds(self) -> list[float]:
        """The lower bound of every iteration."""
        return [iteration.lower_bound for iteration in self.history]


def joined(first: EMResult[P], second: EMResult[P]) -> EMResult[P]:
    """Return the outcome of two runs of which the second began where the first ended.

    Parameters
    ----------
    first, second : EMResult

    Returns
    -------
    EMResult
        The second one, with the history of both.
    """
    history = list(first.history)
    for iteration in second.history:
        change = iteration.lower_bound - history[-1].lower_bound
        history.append(iteration._replace(number=len(history) + 1, change=change))
    since = {k: first.n_iter + number for k, number in second.collapsed.items()}
    return replace(
        second,
        history=history,
        collapsed={**since, **first.collapsed},
        n_reseeded=first.n_reseeded + second.n_reseeded,
    )


class CurrentIteration(Iteration):
    """The iteration that a callback is called with, which knows the result so far."""

    _result: Callable[[], Any] | None = None

    @classmethod
    def of(cls, iteration: Iteration, result: Callable[[], Any]) -> "CurrentIteration":
        """Return an iteration with a function that makes the result."""
        current = cls(*iteration)
        current._result = result
        return current

    def partial(self) -> Any:
        """Return the result of this iteration; see `Iteration.partial`."""
        return super().partial() if self._result is None else self._result()

    def forget(self) -> None:
        """Let go of the result, so that callbacks that keep iterations keep no parameters."""
        self._result = None


Callback = Callable[[Iteration], object]


def stops(callback: Callback | None, iteration: Iteration, result: Callable[[], Any]) -> bool:
    """Call a callback, if there is one; return whether it ends the run.

    Parameters
    ----------
    callback : callable or None
    iteration : Iteration
    result : callable
        Makes what ``partial`` returns.
    """
    if callback is None:
        return False
    current = CurrentIteration.of(iteration, result)
    try:
        return bool(callback(current))
    finally:
        current.forget()


def passing_on(
    callback: Callback | None, function: Callable[[Any], Any]
) -> Callable[[Any], object] | None:
    """Return a callback that passes iterations on, with a function of their results."""
    if callback is None:
        return None
    return lambda iteration: stops(callback, iteration, lambda: function(iteration.partial()))
