"""Mixtures inside ``@njit`` code: functions that Numba compiles into the user's own.

A model is made in Python, by the method ``to_numba`` of a fitted estimator. All functions take it
with points and a workspace, which belongs to one thread: a parallel loop makes one for each chunk
of its rows. Functions without ``_block`` take one point, the others a table of any length. They
allocate nothing but ``new_workspace`` and ``new_statistics``, and run on the thread that calls.

A point that holds NaN or an infinity gives NaN in every float output and the component -1. In
statistics, nk and the log-likelihood become NaN; the other moments stay as they are. A point of
weight 0 adds nothing. Arithmetic is in float64.
"""

try:
    import numba as _  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"fastgmm.embed.numba needs Numba, which cannot be imported ({error}): pip install numba"
    ) from error

from .block import (
    accumulate_block,
    component_block,
    log_density_block,
    log_joint_block,
    mahalanobis_block,
    responsibilities_block,
)
from .model import Model, to_numba
from .point import accumulate, component, log_density, log_joint, mahalanobis, responsibilities
from .statistics import (
    Statistics,
    add_statistics,
    as_statistics,
    new_statistics,
    reset,
    to_sufficient_statistics,
)
from .workspace import Workspace, new_workspace

__all__ = [
    "Model",
    "Statistics",
    "Workspace",
    "accumulate",
    "accumulate_block",
    "add_statistics",
    "as_statistics",
    "component",
    "component_block",
    "log_density",
    "log_density_block",
    "log_joint",
    "log_joint_block",
    "mahalanobis",
    "mahalanobis_block",
    "new_statistics",
    "new_workspace",
    "reset",
    "responsibilities",
    "responsibilities_block",
    "to_numba",
    "to_sufficient_statistics",
]
