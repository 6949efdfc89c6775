"""The runs of EM of one fit, in order, and their states."""

import os
import warnings
from time import monotonic
from typing import Any

from numpy.random import RandomState

from ...data.archive import one_line_errors
from ...data.samples import Samples
from ..policies import Policies
from ..run_state import RunState
from .decoding import decode
from .encoding import encode, learn
from .file import KIND, Content, StoredRun, check_writable, read, write
from .fingerprint import describe_policies
from .settings import Checkpoint


class Journal:
    """What one fit keeps: the state of each of its runs on all samples.

    A fit whose random numbers begin where they began does the same runs in the same order. So a run
    is found by its number. One that has ended keeps its result alone.

    Parameters
    ----------
    checkpoint : Checkpoint
    samples : Samples
        Runs on other samples are not kept: those on a few rows, which choose starting points.
    fit : dict of str to str
        What tells the fit.

    Raises
    ------
    ValueError
        If the file is that of another fit, is no checkpoint or is damaged, or if its folder does
        not exist or is read-only.
    OSError
        If the file cannot be read or written.
    """

    def __init__(self, checkpoint: Checkpoint, samples: Samples, fit: dict[str, str]) -> None:
        self.samples = samples
        self._checkpoint = checkpoint
        self._path = os.fspath(checkpoint.path)
        self._content = Content(fit, None, [])
        self._current: RunRecord | None = None
        self._n_begun = 0
        self._told: set[str] = set()
        stored = read(self._path)
        if stored is not None:
            self._check_same(stored.fit, fit)
            self._content = stored
        check_writable(self._path, self._content)
        self._last_write, self._n_since, self._is_written = monotonic(), 0, True

    def begin_stream(self, random_state: RandomState) -> None:
        """Keep where random numbers begin; if they began before, let them begin there."""
        known = learn()
        if self._content.stream is None:
            stream = encode(known, state=random_state.get_state(legacy=False))
            self._content = self._content._replace(stream=stream)
        else:
            with one_line_errors(self._path, KIND):
                random_state.set_state(decode(known, self._content.stream)["state"])

    def begin_run(
        self, policies: Policies, state: RunState[Any], may_keep: bool
    ) -> "RunRecord | None":
        """Return the record of the next run, and put it where it stood.

        Parameters
        ----------
        policies : Policies
            After their ``start``.
        state : RunState
        may_keep : bool
            Whether the run is one of the whole fit. If it is not, only what is stored counts.

        Raises
        ------
        TypeError
            If a policy holds something whose state cannot be kept.
        ValueError
            If the run that is stored had other policies.
        """
        runs, number = self._content.runs, self._n_begun
        self._n_begun += 1
        is_stored = number < len(runs)
        if not is_stored and not may_keep:
            return None
        if self._current is not None:
            self._current.keep_result()
        record = self._current = RunRecord(self, number, policies, state)
        if is_stored:
            self._check_same(runs[number].policies, record.told_by)
            with one_line_errors(self._path, KIND):
                record.go_on(runs[number])
        else:
            record.keep()
        return record

    def keep(self, number: int, run: StoredRun) -> None:
        """Take the state of a run."""
        self._content.runs[number : number + 1] = [run]
        self._is_written = False

    def write_if_due(self) -> None:
        """Write after an iteration, if it is time."""
        self._n_since += 1
        seconds, iterations = self._checkpoint.every_seconds, self._checkpoint.every_iterations
        is_time = seconds is not None and monotonic() - self._last_write >= seconds
        if is_time or (iterations is not None and self._n_since >= iterations):
            self.write()

    def write(self) -> None:
        """Write what is kept; warn, once for each reason, where that fails."""
        if self._is_written:
            return
        self._last_write, self._n_since = monotonic(), 0
        try:
            write(self._path, self._content)
        except (OSError, ValueError) as error:
            reason = str(error).rstrip(".")
            self.warn(f"checkpoint was not written: {reason}. The fit itself is not affected.")
        else:
            self._is_written = True

    def warn(self, message: str) -> None:
        """Warn, but say nothing twice."""
        if message not in self._told:
            self._told.add(message)
            warnings.warn(message, RuntimeWarning, stacklevel=2)

    def _check_same(self, stored: dict[str, str], own: dict[str, str]) -> None:
        """Raise where a fit, or the policies of a run, are not those that are stored."""
        names = [name for name in {**stored, **own} if stored.get(name) != own.get(name)]
        if names:
            found = ", ".join(
                f"{name} was {stored.get(name, 'not there')} and is {own.get(name, 'not there')}"
                for name in names
            )
            raise ValueError(
                f"checkpoint {self._path} belongs to another fit: {found}. Choose another path, or "
                "delete the file."
            )


class RunRecord:
    """The record of one run.

    Parameters
    ----------
    journal : Journal
    number : int
        Of the run.
    policies : Policies
    state : RunState
    """

    def __init__(
        self, journal: Journal, number: int, policies: Policies, state: RunState[Any]
    ) -> None:
        self.told_by = describe_policies(policies)
        self._journal = journal
        self._number = number
        self._policies = policies
        self._state = state
        self._known = learn(samples=journal.samples, **policies._asdict(), start=state.parameters)

    def keep(self) -> None:
        """Keep the state after an iteration."""
        self._keep(point=self._state.point, **self._policies._asdict())

    def keep_result(self) -> None:
        """Keep what another run needs of this one, which has ended."""
        self._keep()

    def _keep(self, **more: Any) -> None:
        state = self._state
        try:
            encoded = encode(
                self._known,
                parameters=state.parameters,
                lower_bound=state.lower_bound,
                converged=state.converged,
                collapsed=state.collapsed,
                **more,
            )
        except TypeError as error:
            self._journal.warn(f"{error} The fit itself is not affected.")
            return
        run = StoredRun(self.told_by, encoded, state.history, len(state.history))
        self._journal.keep(self._number, run)

    def go_on(self, stored: StoredRun) -> None:
        """Put the state and the policies where they stood."""
        state = self._state
        values = decode(self._known, stored.state)
        state.parameters = values["parameters"]
        state.point = values.get("point", state.parameters)
        state.lower_bound = values["lower_bound"]
        state.converged = values["converged"]
        state.collapsed = values["collapsed"]
        state.history = stored.history[: stored.n_iter]

    def write_if_due(self) -> None:
        """Write the checkpoint after an iteration, if it is time."""
        self._journal.write_if_due()
