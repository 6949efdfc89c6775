"""Every kernel of the contract against its plain twin, in every type, shape and memory order."""

import inspect
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from generators import (
    COVARIANCE_TYPES,
    DTYPES,
    SCENARIOS,
    draw,
    memory_orders,
    mixture,
    sample_weights,
)

from fastgmm import _kernels as kernels
from fastgmm._kernels import reference
from fastgmm._kernels.contract import KERNELS
from fastgmm._kernels.layout import BLOCK, Components, Moments, second_shape
from fastgmm._kernels.threads import slot_bounds

KERNELS_WITH_X = [name for name in KERNELS if name != "normalize"]
KERNELS_AND_TYPES = [
    *[(name, covariance_type) for name in KERNELS_WITH_X for covariance_type in COVARIANCE_TYPES],
    ("normalize", "full"),  # knows of no covariances
]

EDGES = sorted({int(edge) + i for edge in slot_bounds(5000)[1:-1] for i in (-1, 0, 1)})
SHAPES = [
    *[(n, 3, 5) for n in (1, 2, 255, 256, 257, 1023, 1024, 1025, 2047, 2048, 2049, 5000, *EDGES)],
    *[(300, d, 5) for d in (1, 2, 4, 5, 7, 8, 9, 16, 17, 33)],
    *[(300, 5, K) for K in (1, 2, 3, 4, 8, 9, 33)],
    *[(257, d, K) for d in (1, 3, 8) for K in (1, 4, 9)],
    *[(260, 33, 33), (1, 33, 33), (2, 1, 33), (5, 9, 33), (3, 4, 8)],
    (131_073, 1, 2),  # the largest number of slots, and a last slot that is not full
    (90, 65, 2),
    (600, 17, 120),  # the waiting room is smaller than a block
    (270, 9, 3000),  # and as small as it gets
]


def values(
    kernel: str,
    covariance_type: str,
    n: int,
    d: int,
    K: int,
    *,
    dtype: str = "float64",
    scenario: str = "touching",
) -> dict[str, Any]:
    """Return a value for each argument of a kernel; outputs hold what must vanish or remain."""
    rng = np.random.default_rng([n, d, K])
    parameters = mixture(covariance_type, K, d, scenario=scenario)
    components = parameters.components()
    inputs = {
        "X": draw(parameters, n, dtype),
        "sample_weight": sample_weights(n),
        "log_coefficients": components.log_coefficients,
        "means": components.means,
        "precisions_cholesky": components.precisions_cholesky,
        "resp": rng.dirichlet(np.full(K, 0.3), size=n) * (rng.random((n, K)) > 0.4),
        "centers": components.means,
        "log_prob": rng.normal(scale=10.0, size=(n, K)),
    }
    sizes = {"n": n, "d": d, "K": K, "1": 1}
    chosen = {}
    for argument in KERNELS[kernel].arguments:
        shape = tuple(sizes[size] for size in argument.dimensions if size != "*")
        if argument.dimensions == ("*",):
            shape = second_shape(covariance_type, K, d)
        if argument.direction in ("in", "inout"):
            chosen[argument.name] = inputs[argument.name]
            assert inputs[argument.name].shape == shape
            assert inputs[argument.name].dtype in argument.dtypes
        elif argument.direction == "add":
            chosen[argument.name] = rng.normal(size=shape)
        else:
            (name,) = argument.dtypes
            chosen[argument.name] = np.full(shape, -1 if name == "int64" else np.nan, name)
    return chosen


def call(module: Any, kernel: str, covariance_type: str, given: dict[str, Any]) -> dict[str, Any]:
    """Call a kernel on copies of its outputs; return all arguments after the call."""
    directions = {argument.name: argument.direction for argument in KERNELS[kernel].arguments}
    after = {
        name: value if directions[name] == "in" else value.copy() for name, value in given.items()
    }
    available = {**after, "covariance_type": covariance_type, "n_threads": 2}
    if "means" in after:
        names = ("log_coefficients", "means", "precisions_cholesky")
        available["components"] = Components(covariance_type, *(after[name] for name in names))
    if "nk" in after:
        available["sums"] = Moments(after["nk"], after["first"], after["second"])
    function = getattr(module, kernel)
    function(**{name: available[name] for name in inspect.signature(function).parameters
                if name in available})  # fmt: skip
    return after


def outputs(kernel: str) -> list[str]:
    return [a.name for a in KERNELS[kernel].arguments if a.direction != "in"]


def cancelling_scales(given: dict[str, Any], covariance_type: str) -> dict[str, float]:
    """Return the sums of absolute values behind the sums that may cancel."""
    if "sample_weight" not in given:
        return {}
    resp = given.get("resp")
    scales = {}
    if resp is None:
        K = len(given["means"])
        norm, resp = np.empty(len(given["X"])), np.empty((len(given["X"]), K))
        names = ("log_coefficients", "means", "precisions_cholesky")
        components = Components(covariance_type, *(given[name] for name in names))
        reference.posterior(given["X"], components, log_prob_norm=norm, resp=resp)
        scales["log_likelihood"] = given["sample_weight"] @ np.abs(norm)
    centers = given["means"] if "means" in given else given["centers"]
    z = np.abs(given["X"].astype(np.float64)[:, None] - centers)
    scales["first"] = np.einsum("n,nk,nkd->kd", given["sample_weight"], resp, z).max()
    return scales


def assert_agrees(
    kernel: str, covariance_type: str, given: dict[str, Any], rtol: float | None = None
) -> None:
    """Compare a kernel with the reference to the tolerance that the contract states."""
    rtol = KERNELS[kernel].rtol if rtol is None else rtol
    actual = call(kernels, kernel, covariance_type, given)
    expected = call(reference, kernel, covariance_type, given)
    scales = cancelling_scales(given, covariance_type)
    for name in outputs(kernel):
        if name == "labels":
            assert_best(actual[name], covariance_type, given, rtol)
            continue
        scale = max(np.abs(expected[name]).max(), scales.get(name, 0.0))
        difference = np.abs(actual[name] - expected[name]).max()
        assert difference <= rtol * scale, f"{name}: {difference / scale:.2e} > {rtol}"


def assert_best(labels: Any, covariance_type: str, given: dict[str, Any], rtol: float) -> None:
    """No component may be more likely than the chosen one, but for rounding."""
    names = ("log_coefficients", "means", "precisions_cholesky")
    components = Components(covariance_type, *(given[name] for name in names))
    distances = np.empty((len(labels), len(components.means)))
    reference.mahalanobis(given["X"], components, distances)
    log_prob = components.log_coefficients - distances / 2
    chosen = log_prob[np.arange(len(labels)), labels]
    assert (chosen >= log_prob.max(axis=1) - rtol * np.abs(log_prob).max()).all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kernel, covariance_type", KERNELS_AND_TYPES)
def test_agrees_with_reference(kernel, shape, covariance_type):
    for dtype in DTYPES if kernel != "normalize" else ["float64"]:
        assert_agrees(kernel, covariance_type, values(kernel, covariance_type, *shape, dtype=dtype))


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("kernel", KERNELS_WITH_X)
def test_agrees_on_hard_mixtures(kernel, scenario, dtype, covariance_type):
    """The contract's tolerances hold 1e6 away from zero: x - origin is exact there."""
    for shape in ((600, 3, 5), (300, 9, 8)):
        given = values(kernel, covariance_type, *shape, dtype=dtype, scenario=scenario)
        assert_agrees(kernel, covariance_type, given)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
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


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
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


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
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


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("kernel", KERNELS_WITH_X)
def test_parameters_in_any_memory_order(kernel, covariance_type):
    given = values(kernel, covariance_type, 300, 5, 6)
    for name in ("means", "precisions_cholesky", "centers", "log_coefficients"):
        for _, array in memory_orders(given[name]) if name in given else ():
            assert_agrees(kernel, covariance_type, {**given, name: array})


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
            assert (after[argument.name] >= 0).all() or argument.name == "log_prob_norm"
        elif argument.direction == "add":
            empty[argument.name] = np.zeros_like(given[argument.name])
    sums = call(kernels, kernel, covariance_type, empty)
    for argument in KERNELS[kernel].arguments:
        if argument.direction == "add":
            name = argument.name
            np.testing.assert_array_equal(after[name], before[name] + sums[name])


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_posterior_output_alone_equals_all_together(dtype, covariance_type):
    given = values("posterior", covariance_type, 1300, 5, 6, dtype=dtype)
    together = call(kernels, "posterior", covariance_type, given)
    names = outputs("posterior")
    for wanted in (*([name] for name in names), names[:2], names[1:], names[::2]):
        chosen = {name: given[name] for name in given if name in wanted or name not in names}
        alone = call(kernels, "posterior", covariance_type, chosen)
        for name in wanted:
            assert alone[name].tobytes() == together[name].tobytes()


def test_contract_and_reference_and_kernels_have_one_signature():
    assert set(KERNELS) == set(kernels.__all__) - {"backend_info"}
    for name in KERNELS:
        plain = inspect.signature(getattr(reference, name)).parameters
        assert list(inspect.signature(getattr(kernels, name)).parameters) == list(plain)


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


def over(name: str, x: Any) -> Any:
    """Return exp or log of every element; kernels can be called by compiled functions only."""
    from numba import njit

    function = getattr(import_module("fastgmm._kernels._numba.posterior"), name)

    @njit
    def loop(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    out = np.empty_like(x)
    loop(x, out)
    return out


def test_exp_is_accurate():
    x = np.concatenate([np.linspace(-708, 0, 200_001), -np.logspace(-320, 2, 50_001)])
    assert ulps(over("exp", x), np.exp(x)) <= 2


def test_exp_of_very_small_is_zero():
    x = np.array([-np.inf, -1e300, -1000.0, -708.1, -0.0, 0.0])
    np.testing.assert_array_equal(over("exp", x), [0.0, 0.0, 0.0, 0.0, 1.0, 1.0])


def test_log_is_accurate():
    near_one = 1 + np.concatenate([-np.logspace(-15, -1, 20_001), np.logspace(-15, 5, 100_001)])
    x = np.concatenate([near_one, np.logspace(-307, 308, 100_001), [1.0]])
    actual = over("log", x)
    np.testing.assert_allclose(actual, np.log(x), rtol=4e-16, atol=0)
    assert actual[-1] == 0.0


def test_normalize_keeps_rows_of_any_size():
    for shift in (-1e200, -1e5, 0.0, 1e5):
        log_prob = shift + np.array([[0.0, -1.0, -1e4, -np.inf]] * (BLOCK + 1))
        norm = np.full(len(log_prob), np.nan)
        kernels.normalize(log_prob, norm, 2)
        assert np.isfinite(norm).all()
        np.testing.assert_allclose(log_prob.sum(axis=1), 1.0, rtol=1e-14)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
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
    """One for each dtype of X, whatever was called above: each takes seconds to compile."""
    from fastgmm._kernels._numba import passes

    for dispatcher, limit in (
        (passes.accumulate, 2),
        (passes.posterior, 2),
        (passes.normalize, 1),
    ):
        assert len(dispatcher.signatures) <= limit, dispatcher.signatures
