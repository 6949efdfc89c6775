"""The Cython backend: ahead-of-time kernels for the instruction set of this processor."""

import os
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import build
from ..layout import Array, Packed
from ..threads import guard

NAME = "cython"


def _load(level: str) -> ModuleType:
    return import_module(f".passes_{level}", __name__)


def _choose() -> tuple[str, ModuleType]:
    """Return the best level that was built and that this processor runs, or the one asked for."""
    baseline = _load("baseline")
    usable = [level for level in build.LEVELS if level in baseline.supported_levels()]
    level = os.environ.get("FASTGMM_INSTRUCTION_SET", usable[-1])
    if level not in usable:
        raise ImportError(
            "FASTGMM_INSTRUCTION_SET must be one that was built and that this processor runs, "
            f"{usable}, got {level!r}."
        )
    return level, _load(level)


INSTRUCTION_SET, _passes = _choose()
_OPENMP: int = _passes.constants()["openmp"]


def _scratch(n_components: int, d: int, n_threads: int, n_slots: int, moments: bool) -> Array:
    """Return a row of workspace for each thread that has work and may run."""
    is_serial = not _OPENMP or guard.must_be_serial()
    rows = 1 if is_serial else min(n_threads, n_slots)
    return np.empty((rows, _passes.scratch_size(n_components, d, moments)))


def accumulate(
    X: NDArray[Any],
    sample_weight: Array,
    resp: Array,
    packed: Packed,
    bounds: NDArray[np.int64],
    slots: Array,
    out: Array,
    n_threads: int,
) -> None:
    """Add packed statistics to ``out``: under the posterior or, with bare centres, ``resp``."""
    memory = _scratch(packed.n_components, packed.n_features, n_threads, len(slots), True)
    with guard.launch(concurrent=True):
        _passes.accumulate(X, sample_weight, resp, packed, bounds, slots, out, memory)


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
    memory = _scratch(packed.n_components, packed.n_features, n_threads, len(bounds) - 1, False)
    with guard.launch(concurrent=True):
        _passes.posterior(X, packed, bounds, log_prob, log_prob_norm, resp, labels, memory)


def normalize(
    log_prob: Array, log_prob_norm: Array, bounds: NDArray[np.int64], n_threads: int
) -> None:
    """Normalise (n, K) log-probabilities in place."""
    memory = _scratch(log_prob.shape[1], 1, n_threads, len(bounds) - 1, False)
    with guard.launch(concurrent=True):
        _passes.normalize(log_prob, log_prob_norm, bounds, memory)


def describe() -> dict[str, Any]:
    """Return what this backend runs on."""
    return {
        "backend": NAME,
        "instruction_set": INSTRUCTION_SET,
        "compiler": build.COMPILER,
        "flags": build.LEVELS[INSTRUCTION_SET],
        "threading_layer": f"OpenMP {_OPENMP}" if _OPENMP else "serial",
        "max_threads": (os.cpu_count() or 1) if _OPENMP else 1,
    }
