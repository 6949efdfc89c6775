"""How much memory a fit to a source takes: told before it begins."""

from typing import Any

from .._kernels.layout import empty_moments
from .._kernels.threads import slot_bounds
from ..data.samples import part_rows
from ..data.sources import Source
from ..data.sources.assembly import BUFFERS
from ..data.sources.memory import show, taken
from ..init.seeding import seeding_size
from ..init.split_merge import largest_subsample
from ..model.covariance import get_covariance_model

# Of a process that has fitted something small: Python, NumPy, scikit-learn and compiled kernels.
_PROCESS = 340e6
# Copies of the rows from which a start is made, in float64: scaled, sorted, centred.
_COPIES = 5
# Parameters, their factors, and what the M step and an acceleration keep of them.
_PARAMETERS = 12


def forecast(source: Source, n_components: int, covariance_type: str, acceleration: Any) -> float:
    """Return how many bytes the process will take at the most.

    Parameters
    ----------
    source : Source
    n_components : int
    covariance_type : str
    acceleration : str or None

    Returns
    -------
    float
    """
    d, kind = source.n_features, get_covariance_model(covariance_type).kernel_kind
    in_part, in_start = part_rows(d), seeding_size(source, n_components)
    if source.n_samples is not None:
        in_part, in_start = min(in_part, source.n_samples), min(in_start, source.n_samples)
    of_row = d * source.dtype.itemsize + 8 * source.is_weighted
    size = sum(sums.size for sums in empty_moments(kind, n_components, d))
    n_slots = len(slot_bounds(in_part, size)) - 1
    start = in_start * 8 * (_COPIES * d + 2 * n_components)
    if acceleration == "split-merge":
        start += 2 * largest_subsample(source) * 8 * d
    return (
        max(taken(), _PROCESS)
        + BUFFERS * in_part * of_row
        + start
        + 8 * size * (n_slots + _PARAMETERS)
    )


def check_memory(X: Any, n_components: int, covariance_type: str, acceleration: Any = None) -> None:
    """Raise ValueError where a fit to a source would take more memory than it may.

    Parameters
    ----------
    X : Source or other samples
    n_components : int
    covariance_type : str
    acceleration : str, optional
    """
    if not isinstance(X, Source) or X.memory is None:
        return
    needed = forecast(X, n_components, covariance_type, acceleration)
    if needed > X.memory:
        raise ValueError(
            f"memory should be at least {show(needed)} for a fit of {n_components} "
            f"{covariance_type} components to {X.n_features} features, got {show(X.memory)}."
        )
