"""Every kernel of the contract against its plain twin, in every type, shape and memory order."""

import inspect
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from generators import DTYPES, KERNEL_KINDS, SCENARIOS, draw, memory_orders, mixture
from kernel_cases import (
    KERNELS_AND_TYPES,
    KERNELS_WITH_X,
    SHAPES,
    assert_close,
    call,
    cancelling_scales,
    dtypes_of,
    outputs,
    shape_for,
    tolerances,
    values,
)
from marks import slow

from fastgmm import _kernels as kernels
from fastgmm._kernels import reference
from fastgmm._kernels.contract import KERNELS, MODEL_KERNELS
from fastgmm._kernels.layout import LARGEST_BLOCK, Components


def assert_agrees(kernel: str, covariance_type: str, given: dict[str, Any]) -> None:
    """Compare a kernel with the reference to the tolerance that the contract states."""
    actual = call(kernels, kernel, covariance_type, given)
    expected = call(reference, kernel, covariance_type, given)
    scales = cancelling_scales(given, covariance_type)
    assert_close(covariance_type, given, actual, expected, scales, tolerances(kernel))


@pytest.mark.parametrize(
    "shape", [*SHAPES[::2], *slow(*((shape,) for shape in SHAPES[1::2]))], ids=str
)
@pytest.mark.parametrize("kernel, covariance_type", KERNELS_AND_TYPES)
def test_agrees_with_reference(kernel, shape, covariance_type):
    shape = shape_for(kernel, shape)
    for dtype in dtypes_of(kernel, shape):
        assert_agrees(kernel, covariance_type, values(kernel, covariance_type, *shape, dtype=dtype))


@pytest.mark.parametrize("covariance_type", KERNEL_KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("kernel", KERNELS_WITH_X)
def test_agrees_on_hard_mixtures(kernel, scenario, dtype, covariance_type):
    """The contract's tolerances hold 1e6 away from zero: x - origin is exact there."""
    for case in ((600, 3, 5), (300, 9, 8), (530, 18, 7)):
        shape = shape_for(kernel, case)
        given = values(kernel, covariance_type, *shape, dtype=dtype, scenario=scenario)
        assert_agrees(kernel, covariance_type, given)


@pytest.mark.parametrize("covariance_type", KERNEL_KINDS)
@pytest.mark.parametrize("kernel", ["accumulate", "moments"])
@pytest.mark.parametrize("weight", ["all zero", "one positive", "huge and tiny"])
def test_sample_weight(weight, kernel, covariance_type):
    given = values(kernel, covariance_type, 700, 4, 5)
    given["sample_weight"] = {
        "all zero": np.zeros(700),
        "one positive": np.eye(700)[300],
        "huge and tiny": np.where(np.arange(700) % 2, 1e100, 1e-100),
    }[weight]
    assert_agrees(kernel, covariance_type, given)


@pytest.mark.parametrize("covariance_type", KERNEL_KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_row_of_zero_weight_may_hold_anything(dtype, covariance_type):
    given = values("accumulate", covariance_type, 700, 4, 5, dtype=dtype)
    absent = given["sample_weight"] == 0
    quiet = call(kernels, "accumulate", covariance_type, given)
    given["X"][absent] = np.finfo(dtype).max ** 0.9
    loud = call(kernels, "accumulate", covariance_type, given)
    for name in outputs("accumulate"):
        np.testing.assert_allclose(loud[name], quiet[name], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("kernel", ["normalize", "posterior", "accumulate"])
def test_impossible_component(kernel):
    """A component of weight 0 has a log-coefficient at the floor of float64."""
    given = values(kernel, "full", 300, 2, 4)
    if kernel == "normalize":
        given["log_prob"][:, 1] = -np.inf
        given["log_prob"][:, 3] = -1e5
    else:
        given["log_coefficients"] = given["log_coefficients"].copy()
        given["log_coefficients"][1] = np.finfo(float).min
    assert_agrees(kernel, "full", given)


@pytest.mark.parametrize("covariance_type", KERNEL_KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", KERNELS_WITH_X)
def test_memory_order_changes_no_bit(kernel, dtype, covariance_type):
    given = values(kernel, covariance_type, 1300, 5, 6, dtype=dtype)
    expected = call(kernels, kernel, covariance_type, given)
    for name in ("X", "sample_weight", "resp"):
        if name not in given or name in outputs(kernel):
            continue
        for order, array in memory_orders(given[name]):
            np.testing.assert_array_equal(array, given[name])
            actual = call(kernels, kernel, covariance_type, {**given, name: array})
            for output in outputs(kernel):
                assert actual[output].tobytes() == expected[output].tobytes(), (name, order, output)


@pytest.mark.parametrize("covariance_type", KERNEL_KINDS)
@pytest.mark.parametrize("kernel", KERNELS_WITH_X)
def test_parameters_in_any_memory_order(kernel, covariance_type):
    given = values(kernel, covariance_type, 300, 5, 6)
    expected = call(reference, kernel, covariance_type, given)  # the same for every order
    scales = cancelling_scales(given, covariance_type)
    for name in ("means", "precisions_cholesky", "centers", "log_coefficients"):
        for _, array in memory_orders(given[name]) if name in given else ():
            np.testing.assert_array_equal(array, given[name])
            actual = call(kernels, kernel, covariance_type, {**given, name: array})
            assert_close(covariance_type, given, actual, expected, scales, tolerances(kernel))


@pytest.mark.parametrize("kernel, covariance_type", KERNELS_AND_TYPES)
def test_directions(kernel, covariance_type):
    """``in`` stays as it was, ``out`` is overwritten wholly, ``add`` is added to."""
    given = values(kernel, covariance_type, 700, 5, 6)
    before = {name: value.copy() for name, value in given.items()}
    after = call(kernels, kernel, covariance_type, given)
    empty = {**given}
    for argument in KERNELS[kernel].arguments:
        if argument.direction == "in":
            assert after[argument.name].tobytes() == before[argument.name].tobytes()
        elif argument.direction == "out":
            assert np.isfinite(after[argument.name]).all()
            may_be_negative = argument.name in ("log_prob", "log_prob_norm")
            assert may_be_negative or (after[argument.name] >= 0).all()
        elif argument.direction == "add":
            empty[argument.name] = np.zeros_like(given[argument.name])
    sums = call(kernels, kernel, covariance_type, empty)
    for argument in KERNELS[kernel].arguments:
        if argument.direction == "add":
            name = argument.name
            np.testing.assert_array_equal(after[name], before[name] + sums[name])


@pytest.mark.parametrize("covariance_type", KERNEL_KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_posterior_output_alone_equals_all_together(dtype, covariance_type):
    """Without responsibilities, log p(x) leaves out components of less than a rounding error."""
    given = values("posterior", covariance_type, 1300, 5, 6, dtype=dtype)
    together = call(kernels, "posterior", covariance_type, given)
    names = outputs("posterior")
    for wanted in (*([name] for name in names), names[:2], names[1:], names[::2]):
        chosen = {name: given[name] for name in given if name in wanted or name not in names}
        alone = call(kernels, "posterior", covariance_type, chosen)
        for name in wanted:
            if name == "log_prob_norm" and "resp" not in wanted:
                np.testing.assert_allclose(alone[name], together[name], rtol=1e-15)
            else:
                assert alone[name].tobytes() == together[name].tobytes()


def test_contract_and_reference_and_kernels_have_one_signature():
    others = {"backend_info", "float32_centers"}
    not_over_samples = {"gram", "inverse_factors", "normals"}
    # over listed rows, or for trees
    not_over_samples |= {"descend", "group_moments", "principal_cuts", "search_candidates", "sides"}
    not_over_samples |= {"box_bounds", "posterior_listed"}
    for name, kernel in MODEL_KERNELS.items():
        arguments = [argument.name for argument in kernel.arguments]
        for module in (kernels, reference):
            assert list(inspect.signature(getattr(module, name)).parameters)[:-1] == arguments
    assert {*KERNELS, *MODEL_KERNELS} == set(kernels.__all__) - others - not_over_samples
    for name in (*KERNELS, *not_over_samples):
        plain = inspect.signature(getattr(reference, name)).parameters
        found = inspect.signature(getattr(kernels, name)).parameters
        # parameters that are laid out once for several passes
        assert ["components" if key in ("packed", "padded") else key for key in found] == list(
            plain
        )


def test_second_moments_are_symmetric():
    for covariance_type in ("full", "tied"):
        given = values("accumulate", covariance_type, 700, 9, 5)
        given["second"] = np.zeros_like(given["second"])
        second = call(kernels, "accumulate", covariance_type, given)["second"]
        np.testing.assert_array_equal(second, second.swapaxes(-1, -2))


def test_first_of_equal_components_is_best():
    parameters = mixture("full", 1, 3)
    one = parameters.components()
    components = Components("full", *(np.repeat(array, 5, axis=0) for array in one[1:]))
    labels = np.full(300, -1)
    kernels.posterior(draw(parameters, 300), components, 2, labels=labels)
    np.testing.assert_array_equal(labels, 0)


def ulps(actual: Any, expected: Any) -> int:
    """Return the largest distance in units of the last place."""
    return int(np.abs(actual.view(np.int64) - expected.view(np.int64)).max())


def over(name: str, x: Any, *limits: float) -> Any:
    """Return exp or log of every element."""
    njit = pytest.importorskip("numba").njit
    function = getattr(import_module("fastgmm._kernels._numba.posterior"), name)

    @njit
    def loop(x, out):
        for i in range(x.size):
            out[i] = function(x[i], *limits)

    out = np.empty_like(x)
    loop(x, out)
    return out


def test_exp_is_accurate():
    x = np.concatenate([np.linspace(-708, 0, 200_001), -np.logspace(-320, 2, 50_001)])
    assert ulps(over("exp64", x, -np.inf), np.exp(x)) <= 2


def test_exp_of_very_small_is_zero():
    x = np.array([-np.inf, -1e300, -1000.0, -708.1, -0.0, 0.0])
    np.testing.assert_array_equal(over("exp64", x, -np.inf), [0.0, 0.0, 0.0, 0.0, 1.0, 1.0])
    x = np.array([-37.0, np.nextafter(-37.0, -np.inf), -700.0])
    np.testing.assert_array_equal(over("exp64", x, -37.0) > 0.0, [True, False, False])


def test_log_is_accurate():
    near_one = 1 + np.concatenate([-np.logspace(-15, -1, 20_001), np.logspace(-15, 5, 100_001)])
    x = np.concatenate([near_one, np.logspace(-307, 308, 100_001), [1.0]])
    actual = over("log", x)
    np.testing.assert_allclose(actual, np.log(x), rtol=4e-16, atol=0)
    assert actual[-1] == 0.0


def test_normalize_keeps_rows_of_any_size():
    for shift in (-1e200, -1e5, 0.0, 1e5):
        log_prob = shift + np.array([[0.0, -1.0, -1e4, -np.inf]] * (LARGEST_BLOCK + 1))
        norm = np.full(len(log_prob), np.nan)
        kernels.normalize(log_prob, norm, 2)
        assert np.isfinite(norm).all()
        np.testing.assert_allclose(log_prob.sum(axis=1), 1.0, rtol=1e-14)


@pytest.mark.parametrize("covariance_type", KERNEL_KINDS)
@pytest.mark.parametrize("size", [1e140, 1e150, 1e160, 1e300])
def test_sample_beyond_reach_has_a_finite_posterior(size, covariance_type):
    """Squared distances overflow from 1e154 on."""
    components = mixture(covariance_type, 3, 2).components()
    X = np.array([[size, -size], [0.0, 0.0]])
    norm, resp = np.full(2, np.nan), np.full((2, 3), np.nan)
    kernels.posterior(X, components, 1, log_prob_norm=norm, resp=resp)
    assert np.isfinite(norm).all()
    np.testing.assert_allclose(resp.sum(axis=1), 1.0, rtol=1e-14)


def test_few_signatures_are_compiled():
    """For each covariance type, in the plane and beyond, one for each dtype of X and of blocks."""
    pytest.importorskip("numba")
    from fastgmm._kernels._numba import passes

    for dispatcher, limit in (
        (passes.accumulate, 3 * 8),
        (passes.posterior, 2 * 8),
        (passes.normalize, 1),
    ):
        assert len(dispatcher.signatures) <= limit, dispatcher.signatures
