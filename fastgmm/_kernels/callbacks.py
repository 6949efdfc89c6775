"""Log-densities that a user has written for Numba, or in C, for the kernels of either backend."""

import ctypes
from functools import cache
from typing import Any


def numba_function(function: Any, n_arrays: int) -> Any:
    """Return a function for code that Numba compiles.

    Parameters
    ----------
    function : function of Python, or one compiled by numba.njit, numba.cfunc or in C
        As for `c_function`.
    n_arrays : {3, 4}

    Returns
    -------
    function compiled by numba.njit
    """
    if hasattr(function, "py_func"):
        return function
    if not _is_of_c(function):
        return _jitted(function)
    # functions of ctypes cannot be hashed
    key = c_function(function, n_arrays), n_arrays
    if key not in _calls:
        _kept.append(function)
        _calls[key] = _call_of_c(getattr(function, "ctypes", function), n_arrays)
    return _calls[key]


def _is_of_c(function: Any) -> bool:
    return hasattr(function, "argtypes") or hasattr(function, "address")


@cache
def _jitted(function: Any) -> Any:
    from numba import njit

    return njit(function)


def _call_of_c(function: Any, n_arrays: int) -> Any:
    """Return a compiled function that hands its arrays to a function of ctypes."""
    from numba import njit

    def call_three(x, z, theta):  # type: ignore[no-untyped-def]
        return function(x.ctypes, z.ctypes, theta.ctypes, x.size, z.size, theta.size)

    def call_four(x, z, theta, gradient):  # type: ignore[no-untyped-def]
        arrays = x.ctypes, z.ctypes, theta.ctypes, gradient.ctypes
        return function(*arrays, x.size, z.size, theta.size)

    return njit(call_three if n_arrays == 3 else call_four)


def c_function(function: Any, n_arrays: int) -> int:
    """Return the address of ``double f(x, z, theta[, gradient], d, L, p)``.

    Parameters
    ----------
    function : function of Python, or one compiled by numba.njit, numba.cfunc or in C
        Of arrays x (d), z (L), theta (p) and, if there are four, gradient (L). C functions, by way
        of ctypes, also take the three lengths, of type size_t.
    n_arrays : {3, 4}

    Returns
    -------
    int

    Raises
    ------
    ImportError
        If the function is to be compiled and Numba is missing.
    """
    if hasattr(function, "argtypes"):
        return ctypes.cast(function, ctypes.c_void_p).value or 0
    if hasattr(function, "address"):
        return int(function.address)
    return _compile(function, n_arrays)


@cache
def _compile(function: Any, n_arrays: int) -> int:
    try:
        from numba import carray, cfunc, types
    except ImportError as error:
        raise ImportError(
            "log_joint and log_joint_gradient are compiled by Numba, which cannot be imported "
            f"({error}). Functions of C do without: see fastgmm.em.LatentVariableModel."
        ) from error
    compiled = numba_function(function, n_arrays)
    array, size = types.CPointer(types.float64), types.intp

    def call_three(x, z, theta, d, n_latent, p):  # type: ignore[no-untyped-def]
        return compiled(carray(x, d), carray(z, n_latent), carray(theta, p))

    def call_four(x, z, theta, gradient, d, n_latent, p):  # type: ignore[no-untyped-def]
        arrays = carray(x, d), carray(z, n_latent), carray(theta, p)
        return compiled(*arrays, carray(gradient, n_latent))

    call = call_three if n_arrays == 3 else call_four
    signature = types.float64(*[array] * n_arrays, size, size, size)
    wrapper = cfunc(signature, error_model="numpy")(call)
    _kept.append(wrapper)
    return int(wrapper.address)


# compiled functions live as long as something refers to them
_kept: list[Any] = []
# by the address of a function of C, and its number of arrays
_calls: dict[tuple[int, int], Any] = {}
