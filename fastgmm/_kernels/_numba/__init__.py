"""The Numba backend: runs compiled passes on the threads that are safe to use."""

from contextlib import nullcontext
from typing import Any

import numba
import numpy as np
from llvmlite.binding import get_host_cpu_name
from numpy.typing import NDArray

from ..layout import Array, Packed
from ..threads import guard
from . import passes
from ._jit import U, address, no_garbage_collection

NAME = "numba"


def _repeated(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only view with every element twice.

    C order, Fortran order, slices and read-only maps are different types to Numba, each
    worth a compilation; this view of any of them has one and the same type.
    """
    return np.broadcast_to(array[..., np.newaxis], (*array.shape, 2))


def _is_concurrent() -> bool:
    return _threading_layer() in ("omp", "tbb")


def _threading_layer() -> str:
    try:
        return str(numba.threading_layer())
    except ValueError:
        return "not started"


def _launch(kernel: Any, n_threads: int, n_slots: int, *arguments: Any) -> None:
    """Run a parallel kernel on no more threads than there are slots to work on."""
    with guard.launch(_is_concurrent()):
        before = numba.get_num_threads()
        numba.set_num_threads(min(n_threads, n_slots, numba.config.NUMBA_NUM_THREADS))
        try:
            with nullcontext() if kernel.overloads else no_garbage_collection():
                kernel(*arguments)
        finally:
            numba.set_num_threads(before)


def accumulate(
    X: NDArray[Any],
    sample_weight: Array,
    resp: Array,
    packed: Packed,
    bounds: NDArray[np.int64],
    todo: NDArray[np.uint8],
    slots: Array,
    out: Array,
    n_threads: int,
) -> None:
    """Add packed statistics to ``out``: under the posterior or, with bare centres, ``resp``.

    ``todo`` has an element for each block, which is set to 0 when the block has been added.
    """
    rows = (_repeated(X), _repeated(sample_weight), _repeated(resp), packed)
    slot = address(passes.accumulate_slot, *rows, U(0), U(0), todo, out)
    arguments = (slot, *rows, bounds, todo, slots, out)
    if guard.must_be_serial():
        passes.accumulate_serially(*arguments)
    else:
        _launch(passes.accumulate, n_threads, len(slots), *arguments)


def posterior(
    X: NDArray[Any],
    packed: Packed,
    bounds: NDArray[np.int64],
    log_prob: Array,
    log_prob_norm: Array,
    resp: Array,
    labels: NDArray[np.int64],
    n_threads: int,
) -> None:
    """Evaluate every sample; outputs of length 0 are left alone."""
    X = _repeated(X)
    outputs = (log_prob, log_prob_norm, resp, labels)
    slot = address(passes.posterior_slot, X, packed, U(0), U(0), *outputs)
    arguments = (slot, X, packed, bounds, *outputs)
    if guard.must_be_serial():
        passes.posterior_serially(*arguments)
    else:
        _launch(passes.posterior, n_threads, len(bounds) - 1, *arguments)


def normalize(
    log_prob: Array, log_prob_norm: Array, bounds: NDArray[np.int64], n_threads: int
) -> None:
    """Normalise (n, K) log-probabilities in place."""
    slot = address(passes.normalize_slot, log_prob, log_prob_norm, U(0), U(0))
    arguments = (slot, log_prob, log_prob_norm, bounds)
    if guard.must_be_serial():
        passes.normalize_serially(*arguments)
    else:
        _launch(passes.normalize, n_threads, len(bounds) - 1, *arguments)


def gram(
    values: Array,
    stride: int,
    bounds: NDArray[np.int64],
    n_repeats: int,
    slots: Array,
    n_threads: int,
) -> None:
    """Add to each slot the products of four rows over its columns."""
    from . import peak

    arguments = (values, stride, bounds, n_repeats, slots)
    if guard.must_be_serial():
        peak.gram_serially(*arguments)
    else:
        _launch(peak.gram, n_threads, len(slots), *arguments)


def normals(values: Array) -> None:
    """Turn uniforms into normals, in place."""
    from . import box_muller

    box_muller.normals(values)


def describe() -> dict[str, Any]:
    """Return what this backend runs on."""
    return {
        "backend": NAME,
        "numba": numba.__version__,
        "instruction_set": get_host_cpu_name(),
        "threading_layer": _threading_layer(),
        "max_threads": numba.config.NUMBA_NUM_THREADS,
    }
