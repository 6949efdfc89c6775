"""Better maxima sooner: split and merge moves on a subsample, then EM on all samples.

EM ends at the maximum nearest to its start. There, two components often share one cluster, while
elsewhere one component covers two clusters. Split and merge moves correct this. They are tried on a
subsample, where an iteration costs a fraction, and are kept if EM then ends at a higher likelihood.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from .._kernels.layout import Array
from ..data.samples import Samples
from ..em.acceleration import QuasiNewton
from ..em.convergence import Convergence, LowerBoundChange
from ..em.loop import run
from ..em.posteriors.exact import ExactPosterior
from ..em.result import Callback, EMResult, Iteration, stops
from ..em.time_limit import time_is_up
from ..em.updates.closed_form import ClosedForm
from ..model.covariance_model import CollapseError
from ..model.parameters import MixtureParameters
from .moves import Move, apply, moves
from .seeding import subsample

# A subsample has an eighth of the rows, up to 128 MB of them, but at least so many rows for each
# free parameter.
_FRACTION = 8
_ELEMENTS = 2**24
_ROWS_PER_PARAMETER = 10
# Iterations on the subsample: at first, for a move on trial, and for a move that passed the trial.
# On image patches, moves that had not regained 92 % of their first loss never gained.
_FIRST_ITERATIONS = 60
_TRIAL_ITERATIONS = 10
_MOVE_ITERATIONS = 30
_STILL_LOST = 0.08
_TOL = 1e-5
# In nats per sample: a move that gains less is not kept, and no further search begins.
WORTHWHILE = 1e-4
# How many moves in a row may fail before EM on all samples, and after it. How many later searches,
# each on another subsample, may find nothing.
_FAILURES = 6
_LATER_FAILURES = 12
_SEARCHES_IN_VAIN = 2


def largest_subsample(samples: Any) -> int:
    """Return how many rows a subsample has at the most, if parameters are few.

    Parameters
    ----------
    samples : Samples or Source
    """
    return int(_ELEMENTS // samples.n_features)


class SplitMerge:
    """EM with split and merge moves on subsamples, before and after EM on all samples.

    Parameters
    ----------
    reg_covar : float or (d,) array
        Added to the variances.
    n_threads : int
    random_state : RandomState
        Draws the subsamples.
    with_moves : bool
        False: EM on a subsample and then on all samples, without moves.
    fixed : iterable of {'weights', 'covariances'}
        What EM does not change. Moves would.

    Notes
    -----
    After Ueda, Nakano, Ghahramani and Hinton (2000), "SMEM algorithm for mixture models", Neural
    Computation 12; candidates are ranked by estimated likelihoods instead of correlations.
    """

    def __init__(
        self,
        reg_covar: float | Array,
        n_threads: int,
        random_state: np.random.RandomState,
        with_moves: bool = True,
        fixed: Iterable[str] = (),
    ) -> None:
        self.reg_covar = reg_covar
        self.n_threads = n_threads
        self.random_state = random_state
        self.with_moves = with_moves
        self.fixed = fixed

    def run(
        self,
        samples: Samples,
        start: MixtureParameters,
        convergence: Convergence,
        max_iter: int,
        callback: Callback | None = None,
    ) -> EMResult[MixtureParameters]:
        """Search, run EM on all samples, and repeat from its end while that gains.

        An iteration below the best lower bound so far keeps that bound. Its change is 0. The
        callback is called for iterations on all samples, and may stop the fit there.
        """
        record = Record(callback)
        found, _ = self._search(samples, start, _FAILURES)
        best = self._em(samples, found, convergence, max_iter, record)
        in_vain = 0 if self.with_moves else _SEARCHES_IN_VAIN
        while in_vain < _SEARCHES_IN_VAIN and record.wants_more(max_iter):
            in_vain += 1
            found, moved = self._search(samples, best.parameters, _LATER_FAILURES)
            if not moved:
                continue
            record.begin(best)
            result = self._em(samples, found, convergence, max_iter - record.before, record)
            result = record.renumbered(result)
            if result.lower_bound > best.lower_bound + WORTHWHILE:
                in_vain = 0
            if result.lower_bound > best.lower_bound:
                best = result
        return record.complete(best)

    def _search(
        self, samples: Samples, parameters: MixtureParameters, allowed_failures: int
    ) -> tuple[MixtureParameters, bool]:
        """Return better parameters on a subsample, and whether a move was kept."""
        subsample = self._subsample(samples, parameters)
        tol = LowerBoundChange(_TOL)
        best = self._em(subsample, parameters, tol, _FIRST_ITERATIONS)
        failures, moved, go_on = 0, False, self.with_moves
        while go_on and not time_is_up():
            go_on = False
            for move in moves(subsample, best.parameters, self.reg_covar, self.n_threads):
                result = self._try(subsample, best, move)
                if result is not None:
                    best, failures, moved, go_on = result, 0, True, True
                    break
                failures += 1
                if failures == allowed_failures or time_is_up():
                    break
        return best.parameters, moved

    def _try(
        self, subsample: Samples, best: EMResult[MixtureParameters], move: Move
    ) -> EMResult[MixtureParameters] | None:
        """Return the result of EM after a move; None if it is no better or fails the trial."""
        with suppress(CollapseError):
            tol = LowerBoundChange(_TOL)
            trial = apply(best.parameters, move)
            result = self._em(subsample, trial, tol, _TRIAL_ITERATIONS)
            lost = best.lower_bound - result.lower_bounds[0]
            if best.lower_bound - result.lower_bound <= _STILL_LOST * lost:
                result = self._em(subsample, result.parameters, tol, _MOVE_ITERATIONS)
                if result.lower_bound > best.lower_bound + WORTHWHILE:
                    return result
        return None

    def _em(
        self,
        samples: Samples,
        parameters: MixtureParameters,
        convergence: Convergence,
        max_iter: int,
        callback: Callback | None = None,
    ) -> EMResult[MixtureParameters]:
        return run(
            samples,
            parameters,
            posterior=ExactPosterior(self.n_threads),
            update=ClosedForm(self.reg_covar, self.n_threads, self.fixed),
            convergence=convergence,
            max_iter=max_iter,
            acceleration=QuasiNewton(),
            callback=callback,
        )

    def _subsample(self, samples: Samples, parameters: MixtureParameters) -> Samples:
        size = max(
            min(samples.n_present // _FRACTION, largest_subsample(samples)),
            _ROWS_PER_PARAMETER * parameters.n_parameters,
        )
        return subsample(samples, size, self.random_state)


class Record:
    """The history of several runs as one, in which the lower bound never falls."""

    def __init__(self, callback: Callback | None) -> None:
        self.history: list[Iteration] = []
        self.stopped = False
        self.out_of_time = False
        self.best: EMResult[MixtureParameters] | None = None  # of the runs before this one
        self.before = 0  # iterations of these
        self._callback = callback

    def wants_more(self, max_iter: int) -> bool:
        """Return whether iterations and time are left, and the callback stopped none."""
        may_go_on = not self.stopped and len(self.history) < max_iter
        self.out_of_time = may_go_on and time_is_up()
        return may_go_on and not self.out_of_time

    def begin(self, best: EMResult[MixtureParameters]) -> None:
        """Begin another run, after those of which this is the best."""
        self.best, self.before = best, len(self.history)

    def __call__(self, iteration: Iteration) -> bool:
        """Add an iteration and pass it on; return whether the callback stops the fit."""
        if self.before + iteration.number > len(self.history) + 1:
            # a run that a checkpoint keeps goes on after iterations that were not seen here
            for earlier in iteration.partial().history[:-1]:
                self._add(earlier)
        self._add(iteration)
        self.stopped = stops(
            self._callback, self.history[-1], lambda: self._best_so_far(iteration.partial())
        )
        return self.stopped

    def _add(self, iteration: Iteration) -> None:
        best = self.history[-1].lower_bound if self.history else -np.inf
        lower_bound = max(best, iteration.lower_bound)
        number, change = len(self.history) + 1, lower_bound - best
        self.history.append(Iteration(number, lower_bound, change, iteration.seconds))

    def _best_so_far(self, result: EMResult[MixtureParameters]) -> EMResult[MixtureParameters]:
        """Return the better one of this run and those before it."""
        if self.best is not None and result.lower_bound <= self.best.lower_bound:
            return self.complete(self.best)
        return self.complete(self.renumbered(result))

    def renumbered(self, result: EMResult[MixtureParameters]) -> EMResult[MixtureParameters]:
        """Return the result of this run with the numbers of iterations of all runs.

        Parameters
        ----------
        result : EMResult
        """
        since = {k: self.before + number for k, number in result.collapsed.items()}
        return replace(result, collapsed=since)

    def complete(self, best: EMResult[MixtureParameters]) -> EMResult[MixtureParameters]:
        """Return the best result with the history of all runs, and how they ended."""
        return replace(
            best,
            history=self.up_to(best.lower_bound),
            stopped=self.stopped,
            out_of_time=best.out_of_time or self.out_of_time,
        )

    def up_to(self, lower_bound: float) -> list[Iteration]:
        """Return the history without what was lost again: no bound is above the last one.

        Parameters
        ----------
        lower_bound : float
            Of the best run.
        """
        bounds = np.minimum([iteration.lower_bound for iteration in self.history], lower_bound)
        changes = np.diff(bounds, prepend=-np.inf)
        return [
            iteration._replace(lower_bound=float(bound), change=float(change))
            for iteration, bound, change in zip(self.history, bounds, changes, strict=True)
        ]
