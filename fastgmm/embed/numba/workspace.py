"""The memory in which one thread works."""

from typing import NamedTuple

import numpy as np

from ..._kernels._numba.jit import U, open_allocation
from ..._kernels._numba.scratch import scratch_size
from ..._kernels.layout import SMALLEST_BLOCK, Array, block_stride
from ..point_layout import LANES
from .point_distances import up_to_eight

_STRIDE = block_stride(8)


class Workspace(NamedTuple):
    """Memory in which one thread works; what it holds between two calls has no meaning."""

    n_components: int
    n_features: int
    point: Array  # see point_distances.py
    gaps: Array  # for each point of a block 0, or NaN if it is not finite
    block: Array  # scratch of the kernels for blocks


@open_allocation
def new_workspace(model, n_points=SMALLEST_BLOCK):
    """Return memory for one thread, for any number of calls with models of this size.

    Parameters
    ----------
    model : Model
    n_points : int, default=256
        How many points a call will take. 1: no blocks, which need a few megabytes more. More than
        one: blocks of any length.

    Returns
    -------
    Workspace
    """
    K, d = U(model.n_components), U(model.n_features)
    size = np.int64(up_to_eight(K) + U(4) * up_to_eight(d))
    memory = np.zeros(size + LANES)
    start = LANES - memory.ctypes.data // 8 % LANES  # a cache line begins there
    has_blocks = n_points > 1
    scratch = np.int64(scratch_size(K, d, True, model.means)) if has_blocks else 0
    return Workspace(
        model.n_components,
        model.n_features,
        memory[start : start + size],
        np.zeros(_STRIDE if has_blocks else 0),
        np.empty(scratch),
    )
