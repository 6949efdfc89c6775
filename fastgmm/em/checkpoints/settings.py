"""Where and how often a fit is kept."""

import math
import os
from numbers import Real
from typing import Any

from ..schedules import check_count


class Checkpoint:
    """A file that keeps the state of a fit, from which the same call goes on.

    The state is that after an iteration: parameters, history, policies and random numbers. A fit
    that is killed at any moment, and called again with the same data and parameters, ends with the
    bits of one that was not. Only the seconds of ``history`` differ. Samples are not stored. The
    file is replaced at once, so that there is always a whole one. It stays when the fit has ended:
    the same call then returns the same result, and deleting the file begins anew.

    Parameters
    ----------
    path : str or path
        Taken as it is: no suffix is added.
    every_seconds : float or None, default=60
        The file is written after an iteration if so much time has passed.
    every_iterations : int or None, default=None
        It is written after so many iterations, too.

    Raises
    ------
    ValueError
        If a number is not positive, or both are None.
    TypeError
        If ``path`` is no path, or ``every_seconds`` no number.

    Notes
    -----
    The file is written as well when the fit ends, also by ``max_time``, Ctrl-C or an error. If it
    cannot be written, that is an error before the first iteration. Later it is a warning: the fit
    goes on, and the file stays as it was.

    With a checkpoint, starts of ``n_init`` run one after the other. Passes that choose a starting
    point or split and merge on a subsample are done again. A callback is called again with the last
    iteration that was kept.

    The state of a policy of your own is what its attributes hold: numbers, strings, arrays, lists,
    dictionaries, sets, random generators of NumPy, and objects of such attributes. For anything
    else, give its class ``__getstate__`` and ``__setstate__``, as for pickle. Samples and functions
    that a policy holds when the run begins are not stored. No code is stored, or run when the file
    is read.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from fastgmm import GaussianMixture, em
    >>> X = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoint = em.Checkpoint(os.path.join(folder, "fit.ckpt"), every_seconds=5)
    ...     model = GaussianMixture(2, random_state=0).fit(X, checkpoint=checkpoint)
    ...     again = GaussianMixture(2, random_state=0).fit(X, checkpoint=checkpoint)
    >>> bool((again.means_ == model.means_).all())
    True
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        every_seconds: float | None = 60.0,
        every_iterations: int | None = None,
    ) -> None:
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"path should be a str or a path, got {path!r}.")
        if every_seconds is not None and (
            not isinstance(every_seconds, Real) or isinstance(every_seconds, bool)
        ):
            raise TypeError(f"every_seconds should be a number or None, got {every_seconds!r}.")
        if every_seconds is not None and not 0.0 < every_seconds < math.inf:
            raise ValueError(f"every_seconds should be positive and finite, got {every_seconds}.")
        if every_iterations is not None:
            every_iterations = check_count(every_iterations, "every_iterations")
        if every_seconds is None and every_iterations is None:
            raise ValueError(
                "every_seconds or every_iterations should be a number, got None twice."
            )
        self.path = path
        self.every_seconds = every_seconds
        self.every_iterations = every_iterations

    def __repr__(self) -> str:
        return (
            f"Checkpoint({os.fspath(self.path)!r}, every_seconds={self.every_seconds}, "
            f"every_iterations={self.every_iterations})"
        )


def check_checkpoint(value: Any) -> Checkpoint:
    """Return a Checkpoint, also from a path.

    Raises
    ------
    TypeError
        If the value is neither.
    """
    if isinstance(value, Checkpoint):
        return value
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"checkpoint should be a path or an em.Checkpoint, got {value!r}.")
    return Checkpoint(value)
