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
# Copies of the rows from which a start is made, in float64: scaled, sorted, centred. For each row
# there are some more numbers: labels, distances from centres that k-means tries.
_COPIES, _OF_START = 5, 20
# Tables of rows x components are formed block by block.
_TABLES = 4 * 2**20
# Parameters, their factors, and what the M step and an acceleration keep of them.
_PARAMETERS = 12
# Truncated EM keeps the three candidates of each row, those of this iteration and the next. For
# each row of a part it keeps what a search finds, and the row's place among those of its component.
_CANDIDATES, _FOUND = 2 * 3 * 4, 100


def forecast(
    source: Source,
    n_components: int,
    covariance_type: str,
    acceleration: Any = None,
    *,
    is_truncated: bool = False,
    start_rows: int = 0,
) -> float:
    """Return how many bytes the process will take at the most.

    Parameters
    ----------
    source : Source
        Of one whose number of rows is unknown the candidates of truncated EM are not counted.
    n_components : int
    covariance_type : str
    acceleration : str, optional
    is_truncated : bool, default=False
    start_rows : int, default=0
        How many rows starts are compared by, if these are more than those they are made from.

    Returns
    -------
    float
    """
    d, kind = source.n_features, get_covariance_model(covariance_type).kernel_kind
    in_part, in_start = part_rows(d), max(seeding_size(source, n_components), start_rows)
    if source.n_samples is not None:
        in_part, in_start = min(in_part, source.n_samples), min(in_start, source.n_samples)
    of_row = d * source.dtype.itemsize + 8 * source.is_weighted
    size = sum(sums.size for sums in empty_moments(kind, n_components, d))
    n_slots = len(slot_bounds(in_part, size)) - 1
    start = in_start * 8 * (_COPIES * d + _OF_START) + 8 * _TABLES
    if acceleration == "split-merge":
        start += 2 * largest_subsample(source) * 8 * d
    if is_truncated:
        start += _CANDIDATES * (source.n_samples or 0) + (_FOUND + 8 * d) * in_part
    return (
        max(taken(), _PROCESS)
        + BUFFERS * in_part * of_row
        + start
        + 8 * size * (n_slots + _PARAMETERS)
    )


def check_memory(X: Any, n_components: int, covariance_type: str, **details: Any) -> None:
    """Raise ValueError where a fit to a source would take more memory than it may.

    Parameters
    ----------
    X : Source or other samples
    n_components : int
    covariance_type : str
    **details
        Those of `forecast`.
    """
    if not isinstance(X, Source) or X.memory is None:
        return
    needed = forecast(X, n_components, covariance_type, **details)
    if needed > X.memory:
        raise ValueError(
            f"memory should be at least {show(needed)} for a fit of {n_components} "
            f"{covariance_type} components to {X.n_features} features, got {show(X.memory)}."
        )
