"""How this copy was built, as setup.py recorded it; without a build there is only Numba."""

from contextlib import suppress

BACKEND = "numba"
#: Compile flags of the Cython kernels by instruction set, in ascending order; empty if not built.
LEVELS: dict[str, str] = {}
#: Why there are no Cython kernels.
MISSING = "this checkout of fastgmm has not been built; run: pip install ."
COMPILER = ""
OPENMP = ""

with suppress(ModuleNotFoundError):
    from ._build_config import BACKEND, COMPILER, LEVELS, MISSING, OPENMP  # noqa: F401
