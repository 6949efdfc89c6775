"""C functions for log-densities that a user has written for Numba, or in C."""

import ctypes
from functools import cache
from typing import Any


@cache
def c_function(function: Any, n_arrays: int) -> int:
    """Return the address of ``double f(x, z, theta[, gradient], d, L, p)``.

    Parameters
    ----------
    function : function compiled by numba.njit, ctypes function, or numba.cfunc
        Of arrays x (d), z (L), theta (p) and, if there are four, gradient (L). C functions also
        take the three lengths, of type size_t.
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


def _compile(function: Any, n_arrays: int) -> int:
    try:
        from numba import carray, cfunc, njit, types
    except ImportError as error:
        raise ImportError(
            "log_joint and log_joint_gradient are compiled by Numba, which cannot be imported "
            f"({error}); functions of C need none: see fastgmm.em.LatentVariableModel."
        ) from error
    compiled = function if hasattr(function, "py_func") else njit(function)
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
