"""``fastgmm compile``: fill Numba's cache, for images of containers and for clusters."""

import argparse
import sys
from collections.abc import Callable
from time import perf_counter

ABOUT = "compile the Numba kernels ahead of time, into Numba's cache on disk"
_KINDS = ("full", "tied", "diag", "spherical", "tied-spherical")
_DTYPES = ("float64", "float32")


def add_options(add: Callable[..., object]) -> None:
    """Declare the options."""
    add(
        "--covariance-type",
        nargs="+",
        choices=_KINDS,
        default=_KINDS,
        metavar="TYPE",
        help=f"for these covariance types alone: {', '.join(_KINDS)} (default: all)",
    )
    add(
        "--dtype",
        nargs="+",
        choices=_DTYPES,
        default=_DTYPES,
        metavar="DTYPE",
        help="for samples of this type alone: float64 or float32 (default: both)",
    )
    add("--quiet", action="store_true", help="print nothing but errors")


def run(args: argparse.Namespace) -> None:
    """Compile, and tell what and where to.

    Raises
    ------
    OSError
        If the kernels cannot be kept on disk.
    """
    from .._kernels.backend import backend

    if backend().NAME != "numba":
        if not args.quiet:
            print("The Cython kernels were compiled when fastgmm was built: nothing to do.")
        return
    from .._kernels.ahead import compile_ahead
    from ..model.covariance import get_covariance_model

    start = perf_counter()
    kinds = {get_covariance_model(name).kernel_kind: None for name in args.covariance_type}
    for step in compile_ahead(list(kinds), args.dtype):
        if not args.quiet:
            print(f"  {step}", file=sys.stderr, flush=True)
    problem = backend().cache_problem()
    if problem is not None:
        raise OSError(f"the kernels were compiled, but could not be kept: {problem}")
    if not args.quiet:
        print(f"Compiled in {perf_counter() - start:.0f} s into {backend().cache_path()}")
