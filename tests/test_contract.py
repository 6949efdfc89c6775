"""The contract names every kernel, and every backend offers what it names."""

import inspect
from importlib import import_module

import pytest
from backends import skip_without

from fastgmm._kernels import reference
from fastgmm._kernels.contract import BACKEND, KERNELS, MODEL_KERNELS, OTHER_KERNELS

#: Functions of a backend that are no kernels.
OTHERS = {"describe", "cache_path", "cache_problem", "float64_kernels"}


def functions(name: str) -> dict[str, list[str]]:
    """Return the public functions of a backend, with the names of their arguments."""
    skip_without(name)
    module = import_module(f"fastgmm._kernels._{name}.backend")
    return {
        key: list(inspect.signature(value).parameters)
        for key, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and key[0] != "_"
    }


@pytest.mark.parametrize("name", ["numba", "cython"])
def test_a_backend_offers_what_the_contract_names(name):
    expected = {
        kernel: [argument.name for argument in arguments] + ["n_threads"] * (kernel != "normals")
        for kernel, arguments in BACKEND.items()
    }
    found = functions(name)
    assert {key: found[key] for key in found if key not in OTHERS} == expected


def test_the_reference_defines_every_kernel():
    for name in (*KERNELS, *OTHER_KERNELS, *MODEL_KERNELS):
        assert inspect.isfunction(getattr(reference, name)), name


@pytest.mark.parametrize("name", OTHER_KERNELS)
def test_directions_and_tolerances(name):
    kernel = OTHER_KERNELS[name]
    assert {argument.direction for argument in kernel.arguments} <= {"in", "out", "inout", "add"}
    assert 0.0 <= kernel.rtol <= 1e-12
    assert kernel.reason
