"""Fits of a stream: ``partial_fit``, by stepwise EM."""

import math
import warnings
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._kernels.floating_point import numpys_rules
from ..data.samples import Samples
from ..data.sources import Source
from ..em.convergence import Never
from ..em.loop import run
from ..em.posteriors.stepwise import RunningAverage, StreamPosterior, implied_statistics
from ..em.result import EMResult
from ..em.step_sizes import StepSizes
from ..em.time_limit import time_limit
from ..em.updates.base import Update
from ..em.updates.conjugate import ConjugatePrior
from ..init.seeding import seeding_size
from ..model.parameters import MixtureParameters
from ..model.priors import VariationalParameters
from ..model.validation import check_magnitude
from ._inputs import check_samples, unchanged_on_error
from ._mixture import FittedMixture

# So many samples for each free parameter are enough for a first start.
_SAMPLES_PER_PARAMETER = 5
_Self = TypeVar("_Self", bound="StreamedMixture")


@dataclass(frozen=True)
class Kept:
    """The first samples of a stream, which are kept for starts.

    Attributes
    ----------
    needed : float
        Weight at which the next start is made.
    parts : tuple of Samples
    n_rows : int
        Of positive weight.
    weight : float
    """

    needed: float
    parts: tuple[Samples, ...] = ()
    n_rows: int = 0
    weight: float = 0.0

    def with_part(self, samples: Samples) -> "Kept":
        """Return these and further samples, which are not copied.

        Parameters
        ----------
        samples : Samples
        """
        n_rows = self.n_rows + samples.n_present
        weight = self.weight + samples.total_weight
        return Kept(self.needed, (*self.parts, samples), n_rows, weight)

    def owned(self) -> "Kept":
        """Return the same with a copy of the last part, without rows of weight 0."""
        *earlier, last = self.parts
        return replace(self, parts=(*earlier, last.take(np.flatnonzero(last.sample_weight))))

    def samples(self) -> Samples:
        """Return all of them."""
        if len(self.parts) == 1:
            return self.parts[0]
        X = np.concatenate([part.rows(slice(None)) for part in self.parts])
        weight = np.concatenate([part.sample_weight for part in self.parts])
        return Samples(X, None if (weight == 1.0).all() else weight, self.parts[-1].with_missing)


class Stream(NamedTuple):
    """What a stream remembers beside the parameters.

    Attributes
    ----------
    average : RunningAverage
        Of statistics of weight 1.
    checksum : int
        Of the parameters, by which changes by hand are noticed.
    """

    average: RunningAverage
    checksum: int


class StreamedMixture(FittedMixture):
    """A mixture that takes samples batch by batch.

    Subclasses define the fit to the first samples (``_fit_first``), the M step (``_batch_update``),
    and how the result of a batch is kept (``_set_batch``).
    """

    step_sizes: StepSizes | None
    max_time: float | None
    n_components: int

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"step_sizes": [StepSizes, None]}

    _kept: Kept | None = None
    _stream: Stream | None = None

    def partial_fit(self: _Self, X: Any, y: Any = None, sample_weight: Any = None) -> _Self:
        r"""Move the parameters towards a batch of a stream, by stepwise EM.

        .. math:: s \leftarrow (1 - \gamma)\, s + \gamma\, s_{batch}, \qquad
            \theta \leftarrow \text{M step of } s

        The stream starts as ``fit`` does, from its first samples: as soon as they weigh five for
        each free parameter, and again whenever their weight has doubled, until they are 65,536 rows
        (fewer beyond 64 features). So many are kept, and no more. With a half-life there is the
        first of these starts alone. Before it the estimator is not fitted.

        After ``fit``, and of parameters that were set or loaded, the stream goes on from these;
        their weight is ``n_samples_seen_``. ``fit`` starts anew.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            One sample or more.
        y : Ignored
        sample_weight : array-like of shape (n_samples,) or number, optional
            Non-negative; each counts as that many copies of its sample. A batch of weight 0 changes
            nothing.

        Returns
        -------
        object
            The estimator itself. ``n_samples_seen_`` is the weight of the whole stream. The record
            (``n_iter_``, ``history_``, ``lower_bound_``) is that of the last call, which is one
            iteration where it is no start. ``lower_bound_`` is then an estimate from the batch, by
            the parameters before the update. ``converged_`` is False.

        Raises
        ------
        ValueError
            If X, a weight or a parameter is not valid, X has other features than before, or
            parameters of the estimator do not go with the fitted ones. The estimator is then
            unchanged.

        Warns
        -----
        ConvergenceWarning
            If a component's covariance collapses and is kept as it was; at the start as ``fit``,
            but not of convergence.

        References
        ----------
        Cappé and Moulines (2009), On-line expectation-maximization algorithm for latent data
        models, J. R. Statist. Soc. B 71.
        """
        self._validate_params()
        with unchanged_on_error(self), numpys_rules():
            faults = list(self._take(X, sample_weight))
        for text in faults:
            warnings.warn(text, ConvergenceWarning, stacklevel=2)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether there are parameters, or other attributes of a fit."""
        is_waiting = self._kept is not None and not hasattr(self, self._located_by)
        names = [name for name in vars(self) if name.endswith("_") and not name.startswith("__")]
        return bool(names) and not is_waiting

    def _not_fitted(self) -> str | None:
        if self._kept is None:
            return None
        return (
            f"This {type(self).__name__} instance is not fitted yet: partial_fit starts from "
            f"{self._kept.needed:g} samples, of which it has got {self._kept.weight:g}. Call it "
            "with more, or call 'fit' with fewer."
        )

    def _forget_stream(self) -> None:
        """Let a fit start anew."""
        for name in ("_kept", "_stream"):
            self.__dict__.pop(name, None)

    def _take(self, X: Any, sample_weight: Any) -> Iterable[str]:
        """Take a batch, for a start or a step; return what went wrong."""
        if isinstance(X, Source):
            raise TypeError(
                "X should be a batch of samples in memory, got a source: fit reads one."
            )
        is_fitted = hasattr(self, self._located_by)
        self._check_streamed(is_fitted)
        if is_fitted:
            samples, parameters, _ = self._checked(
                "partial_fit", X, sample_weight, may_be_absent=True
            )
        else:
            is_first, parameters = self._kept is None, None
            samples = check_samples(self, X, sample_weight, reset=is_first, may_be_absent=True)
            if self._kept is None:
                self._kept = Kept(_SAMPLES_PER_PARAMETER * self._n_free(samples.n_features))
        if samples.total_weight == 0.0:
            return []
        check_magnitude(samples)
        if self._kept is not None and (parameters is None or self._keeps_on(samples)):
            kept = self._kept.with_part(samples)
            if kept.n_rows >= max(2, self._n_parts()) and (
                kept.weight >= kept.needed or kept.n_rows >= self._most(samples)
            ):
                return self._start_stream(X, kept)
            self._kept = kept.owned()
        return [] if parameters is None else self._step(X, samples, parameters)

    def _keeps_on(self, samples: Samples) -> bool:
        """Return whether there is to be a further start; else let go of what is kept."""
        is_edited = self._stream is None or self._stream.checksum != self._sum_up()
        if is_edited or self._has_half_life or samples.n_samples > self._most(samples):
            self._kept = None
        return self._kept is not None

    def _most(self, samples: Samples) -> int:
        """Return how many rows are kept at the most."""
        return seeding_size(samples, self._n_parts())

    def _start_stream(self, X: Any, kept: Kept) -> Iterable[str]:
        """Fit all that is kept; return what is wrong with the fit."""
        samples = kept.samples()
        with time_limit(self.max_time):
            faults = list(self._fit_first(X, samples))
        self.converged_ = False
        parameters = self.to_parameters()
        average = self._average(parameters, self._batch_update(parameters))
        self._stream = Stream(average, self._sum_up())
        if kept.n_rows < self._most(samples) and not self._has_half_life:
            self._kept = replace(kept, needed=2.0 * kept.weight, parts=(samples,)).owned()
        return faults

    def _step(self, X: Any, samples: Samples, parameters: MixtureParameters) -> Iterable[str]:
        """Make a step towards a batch; return what went wrong."""
        update = self._batch_update(parameters)
        average = self._average(parameters, update)
        posterior = StreamPosterior(average, self._step_sizes(parameters), self.n_jobs)
        result = run(
            samples,
            parameters,
            posterior=posterior,
            update=update,
            convergence=Never(),
            max_iter=1,
            lower_bound=getattr(self, "lower_bound_", -math.inf),
        )
        known = set(getattr(self, "collapsed_", {}))
        self._set_batch(X, samples, result)
        self.n_samples_seen_ = posterior.average.seen
        self._stream = Stream(posterior.average, self._sum_up())
        return self._collapses(set(result.collapsed) - known)

    @property
    def _has_half_life(self) -> bool:
        return self.step_sizes is not None and self.step_sizes.half_life is not None

    def _step_sizes(self, parameters: MixtureParameters) -> StepSizes:
        step_sizes = StepSizes() if self.step_sizes is None else self.step_sizes
        if step_sizes.step_weight is not None:
            return step_sizes
        # where all parameters are fixed there is none
        weight = max(self._n_free(parameters.n_features), 1)
        return replace(step_sizes, step_weight=float(weight))

    def _average(
        self, parameters: MixtureParameters, update: Update[MixtureParameters, Any]
    ) -> RunningAverage:
        """Return the average that the stream has reached, or the one that parameters stand for."""
        if self._stream is not None and self._stream.checksum == self._sum_up():
            return self._stream.average
        if isinstance(update, ConjugatePrior):
            assert isinstance(parameters, VariationalParameters)
            statistics = update.implied_statistics(parameters)
            statistics = statistics.scaled(1.0 / (statistics.weight or 1.0))
        else:
            statistics = implied_statistics(parameters, 1.0)
        seen = remembered = self.n_samples_seen_
        if self.step_sizes is not None and self.step_sizes.half_life is not None:
            # what ever so many come to
            remembered = min(seen, self.step_sizes.half_life / math.log(2.0))
        return RunningAverage(statistics, seen, remembered)

    def _check_streamed(self, is_fitted: bool) -> None:
        """Raise ValueError where a parameter of the estimator needs all samples at once."""

    def _n_parts(self) -> int:
        """Return the number of components."""
        return self.n_components

    @abstractmethod
    def _n_free(self, n_features: int) -> int:
        """Return the number of free parameters."""

    @abstractmethod
    def _fit_first(self, X: Any, samples: Samples) -> Iterable[str]:
        """Fit the first samples, in arrays like X; return what is wrong with the fit."""

    @abstractmethod
    def _batch_update(self, parameters: MixtureParameters) -> Update[MixtureParameters, Any]:
        """Return the M step, or raise where the estimator has other parameters than the fit."""

    @abstractmethod
    def _set_batch(self, X: Any, samples: Samples, result: EMResult[MixtureParameters]) -> None:
        """Set the attributes of a result, in arrays like X."""

    def _collapses(self, components: set[int]) -> Iterable[str]:
        """Return what to say of components that collapsed."""
        return []
