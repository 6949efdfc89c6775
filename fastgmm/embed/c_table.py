"""The table of C functions that ``include/fastgmm.h`` describes, for ctypes and cffi."""

import ctypes
from ctypes import CFUNCTYPE, c_char_p, c_double, c_int, c_size_t, c_ssize_t, c_uint32, c_void_p
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from .._kernels import build

_WORKSPACE = (c_void_p, c_size_t)
# model, x, n_points, row_stride
_POINTS = (c_void_p, c_void_p, c_size_t, c_ssize_t)
_EVALUATE = CFUNCTYPE(c_int, *_POINTS, c_void_p, *_WORKSPACE)
_EVALUATE_BOTH = CFUNCTYPE(c_int, *_POINTS, c_void_p, c_void_p, *_WORKSPACE)
_INTEGRAND = CFUNCTYPE(c_double, c_int, ctypes.POINTER(c_double), c_void_p)


class CFunctions(ctypes.Structure):
    """``fastgmm_api``: its functions, which ctypes can call.

    Pointers to data are integers, such as ``X.ctypes.data`` of an array. A call runs without the
    interpreter's lock.
    """

    _fields_ = (
        ("version", c_uint32),
        ("struct_size", c_uint32),
        ("strerror", CFUNCTYPE(c_char_p, c_int)),
        ("check", CFUNCTYPE(c_int, c_void_p)),
        ("workspace_size", CFUNCTYPE(c_int, c_void_p, c_size_t, c_void_p)),
        ("log_density_f64", _EVALUATE),
        ("log_density_f32", _EVALUATE),
        ("log_joint_f64", _EVALUATE),
        ("log_joint_f32", _EVALUATE),
        ("responsibilities_f64", _EVALUATE_BOTH),
        ("responsibilities_f32", _EVALUATE_BOTH),
        ("mahalanobis_f64", _EVALUATE),
        ("mahalanobis_f32", _EVALUATE),
        ("component_f64", _EVALUATE),
        ("component_f32", _EVALUATE),
        ("accumulate_f64", _EVALUATE_BOTH),
        ("accumulate_f32", _EVALUATE_BOTH),
        ("statistics_size", CFUNCTYPE(c_int, c_void_p, c_void_p)),
        ("statistics_clear", CFUNCTYPE(c_int, c_void_p, c_void_p)),
        ("statistics_add", CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p)),
        ("statistics_read", CFUNCTYPE(c_int, *([c_void_p] * 7))),
        ("log_density_integrand", _INTEGRAND),
        ("density_integrand", _INTEGRAND),
    )


@cache
def kernels() -> ModuleType:
    """Return the compiled kernels of the best instruction set that this processor runs.

    Raises
    ------
    ImportError
        If this build has none.
    """
    if not build.LEVELS:
        raise ImportError(
            f"fastgmm.embed needs the Cython kernels, which are missing ({build.MISSING}). Build "
            "fastgmm where there is a C compiler: pip install --force-reinstall --no-deps ."
        )
    backend = import_module(".._kernels._cython.backend", __package__)
    module: ModuleType = backend.float64_kernels()
    return module


def c_api() -> Any:
    """Return a capsule named "fastgmm_api" with the address of the table.

    ``fastgmm_import`` of the header calls this function.

    Returns
    -------
    capsule

    Raises
    ------
    ImportError
        If this build has no Cython kernels.
    """
    capsule, _ = kernels().c_api()
    return capsule


@cache
def c_functions() -> CFunctions:
    """Return the table of functions, for ctypes.

    Returns
    -------
    CFunctions

    Raises
    ------
    ImportError
        If this build has no Cython kernels.
    """
    _, address = kernels().c_api()
    return CFunctions.from_address(address)


def addresses() -> dict[str, int]:
    """Return the address of every function by its name, and that of the table as "api".

    Returns
    -------
    dict

    Raises
    ------
    ImportError
        If this build has no Cython kernels.
    """
    table = c_functions()
    functions = [field[0] for field in CFunctions._fields_[2:]]
    found = {name: ctypes.cast(getattr(table, name), c_void_p).value for name in functions}
    return {"api": ctypes.addressof(table), **{name: at for name, at in found.items() if at}}


def check_code(code: int) -> None:
    """Raise if a function of the table returned an error.

    Parameters
    ----------
    code : int

    Raises
    ------
    ValueError
        With the text of ``strerror``.
    """
    if code:
        raise ValueError(f"{c_functions().strerror(code).decode()} (code {code})")
