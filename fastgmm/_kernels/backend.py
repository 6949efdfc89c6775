"""Which backend's kernels run: chosen when fastgmm was built, or by ``FASTGMM_BACKEND``."""

import os
import warnings
from functools import cache
from importlib import import_module
from types import ModuleType

from . import build

NAMES = ("numba", "cython")


@cache
def backend() -> ModuleType:
    """Return the backend in use; the environment is read once, at the first call.

    Raises
    ------
    ImportError
        If the backend that was asked for, or every backend, is unavailable.
    """
    asked = os.environ.get("FASTGMM_BACKEND")
    if asked is not None and asked not in NAMES:
        raise ImportError(f"FASTGMM_BACKEND must be one of {NAMES}, got {asked!r}.")
    if (asked or build.BACKEND) == "cython":
        return _cython()
    try:
        return import_module("._numba.backend", __package__)
    except ImportError as error:
        if asked or not _is_about_numba(error):
            raise
        reason = error
    if not build.LEVELS:
        raise ImportError(
            f"fastgmm has no kernels to run: numba cannot be imported ({reason}), and the Cython "
            f"kernels are missing ({build.MISSING}). Install numba, or build fastgmm with a C "
            "compiler."
        ) from reason
    warnings.warn(
        f"numba cannot be imported ({reason}); fastgmm uses its Cython kernels.",
        RuntimeWarning,
        stacklevel=2,
    )
    return _cython()


def _is_about_numba(error: ImportError) -> bool:
    """Tell a missing or broken numba or llvmlite from an error of our own."""
    return (error.name or "").split(".")[0] not in ("fastgmm",)


def _cython() -> ModuleType:
    if not build.LEVELS:
        raise ImportError(f"fastgmm has no Cython kernels: {build.MISSING}")
    return import_module("._cython.backend", __package__)
