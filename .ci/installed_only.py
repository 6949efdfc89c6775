"""A plugin for pytest: refuse to run unless the tests import an installed fastgmm.

A checkout that comes first on the path has no Cython kernels, and would be tested in its place.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest


def pytest_collection_finish() -> None:
    """Look where fastgmm comes from, once all tests are imported."""
    spec = find_spec("fastgmm")
    if spec is None or spec.origin is None:
        raise pytest.UsageError("fastgmm is not installed")
    origin = Path(spec.origin).resolve()
    if not origin.is_relative_to(Path(sys.prefix).resolve()):
        raise pytest.UsageError(f"the tests import {origin}, not an installed fastgmm")
    from fastgmm._kernels import build

    if not build.LEVELS:
        raise pytest.UsageError(f"fastgmm was installed without Cython kernels: {build.MISSING}")
    print(f"\ntests of {origin.parent}, built for {build.BACKEND}")
