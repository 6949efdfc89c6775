"""Numba and the Cython kernels of every level, compared directly with one another."""

from itertools import combinations, permutations
from typing import Any

import numpy as np
import pytest
from backends import VARIANTS, available, skip_without, using, why_missing
from generators import DTYPES, KERNEL_KINDS, SCENARIOS, draw, memory_orders
from kernel_cases import (
    EDGES,
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
from scipy.special import expit

from fastgmm import _kernels as kernels
from fastgmm._kernels.contract import KERNELS
from fastgmm.model.parameters import MixtureParameters

#: Sums over all samples agree more closely than the contract asks for.
STATISTICS = dict.fromkeys(["nk", "first", "second", "log_likelihood"], 1e-12)

each_variant = pytest.mark.parametrize("variant", VARIANTS)
each_kernel = pytest.mark.parametrize("kernel, covariance_type", KERNELS_AND_TYPES)
each_kernel_with_x = pytest.mark.parametrize("kernel", KERNELS_WITH_X)
each_type = pytest.mark.parametrize("covariance_type", KERNEL_KINDS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
# two variants at least; test_variants_that_are_compared says which are left out
compared = pytest.mark.skipif(
    len(available()) < 2,
    reason="; ".join(sorted({why_missing(name) for name in VARIANTS} - {""})) or "one variant",
)


def assert_variants_agree(
    kernel: str,
    covariance_type: str,
    given: dict[str, Any],
    scales: dict[str, float] | None = None,
) -> None:
    """Compare each pair of variants, on these scales or those of the arguments."""
    results = {}
    for variant in available():
        with using(variant):
            results[variant] = call(kernels, kernel, covariance_type, given)
    scales = cancelling_scales(given, covariance_type) if scales is None else scales
    rtol = tolerances(kernel)
    rtol |= {name: STATISTICS[name] for name in rtol if name in STATISTICS}
    if rtol.pop("labels", None) is not None:
        assert_best_everywhere(results, KERNELS[kernel].rtol)
    for one, other in combinations(results, 2):
        both = results[one], results[other]
        assert_close(covariance_type, given, *both, scales, rtol, f"{one} and {other}, ")


def assert_best_everywhere(results: dict[str, dict[str, Any]], rtol: float) -> None:
    """Each variant's best components are best by the responsibilities of every other."""
    for one, other in permutations(results, 2):
        resp = results[other]["resp"]
        chosen = np.take_along_axis(resp, results[one]["labels"][:, np.newaxis], axis=1)[:, 0]
        assert (chosen >= resp.max(axis=1) - 2 * rtol).all(), (one, other)


def assert_same_bits(
    kernel: str, actual: dict[str, Any], expected: dict[str, Any], what: Any
) -> None:
    for name in outputs(kernel):
        assert actual[name].tobytes() == expected[name].tobytes(), (name, what)


@each_variant
def test_variants_that_are_compared(variant):
    """A skip here says what the comparisons below leave out."""
    skip_without(variant)
    with using(variant):
        name = kernels.backend().NAME
    assert name == ("numba" if variant == "numba" else "cython")


@pytest.mark.slow
@compared
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape[0] not in EDGES[3:]], ids=str)
@each_kernel
def test_agree_in_every_shape(kernel, shape, covariance_type):
    shape = shape_for(kernel, shape)
    for dtype in dtypes_of(kernel, shape):
        given = values(kernel, covariance_type, *shape, dtype=dtype)
        assert_variants_agree(kernel, covariance_type, given)


@compared
@each_type
@each_dtype
@pytest.mark.parametrize("scenario", SCENARIOS)
@each_kernel_with_x
def test_agree_on_hard_mixtures(kernel, scenario, dtype, covariance_type):
    for shape in ((600, 3, 5), (300, 9, 8), (1030, 1, 3)):
        given = values(kernel, covariance_type, *shape, dtype=dtype, scenario=scenario)
        assert_variants_agree(kernel, covariance_type, given)


@compared
@each_type
@each_kernel_with_x
def test_agree_on_pairs_of_components_far_from_one_another(kernel, covariance_type):
    """A responsibility then depends on the last bits of P x + shift.

    Pairs are 3000 standard deviations apart: with and without fused multiply-add, responsibilities
    differ by 4e-13, and sums over the samples by 2e-14.
    """
    rng = np.random.default_rng(0)
    for d in (3, 9):
        means = np.repeat(3000.0 * rng.normal(size=(3, d)), 2, axis=0) + rng.normal(size=(6, d))
        size = {"full": (6, d, d), "tied": (d, d), "diag": (6, d), "spherical": (6,)}
        is_matrix = covariance_type in ("full", "tied")
        one = np.eye(d) if is_matrix else 1.0
        covariances = np.broadcast_to(one, size[covariance_type])
        parameters = MixtureParameters.from_covariances(
            covariance_type, np.full(6, 1 / 6), means, covariances
        )
        components = parameters.components()
        given = values(kernel, covariance_type, 1300, d, 6)
        given |= {"X": draw(parameters, 1300)}
        given |= {name: getattr(components, name) for name in components._fields if name in given}
        assert_variants_agree(kernel, covariance_type, given)


@compared
@each_type
@pytest.mark.parametrize("kernel", ["accumulate", "moments"])
@pytest.mark.parametrize("weight", ["all zero", "one positive", "huge and tiny"])
def test_agree_on_sample_weight(weight, kernel, covariance_type):
    for d in (2, 4):
        given = values(kernel, covariance_type, 700, d, 5)
        given["sample_weight"] = {
            "all zero": np.zeros(700),
            "one positive": np.eye(700)[300],
            "huge and tiny": np.where(np.arange(700) % 2, 1e100, 1e-100),
        }[weight]
        assert_variants_agree(kernel, covariance_type, given)


@compared
@pytest.mark.parametrize("kernel", ["normalize", "posterior", "accumulate"])
def test_agree_on_an_impossible_component(kernel):
    given = values(kernel, "full", 300, 2, 4)
    if kernel == "normalize":
        given["log_prob"][:, 1] = -np.inf
        given["log_prob"][:, 3] = -1e5
    else:
        given["log_coefficients"] = given["log_coefficients"].copy()
        given["log_coefficients"][1] = np.finfo(float).min
    assert_variants_agree(kernel, "full", given)


@compared
@each_type
@pytest.mark.parametrize("size", [1e140, 1e150, 1e160, 1e300])
def test_agree_on_a_sample_beyond_reach(size, covariance_type):
    given = values("posterior", covariance_type, 300, 2, 3)
    given["X"][7] = size, -size
    del given["labels"]  # differ where all distances overflow
    results = []
    for variant in available():
        with using(variant):
            results.append(call(kernels, "posterior", covariance_type, given))
    for result in results:
        assert np.isfinite(result["log_prob_norm"]).all()
        np.testing.assert_allclose(result["resp"], results[0]["resp"], rtol=0, atol=1e-11)


@each_variant
def test_exp_and_log(variant):
    """Each responsibility is exact to a few units of the last place, however small it is."""
    skip_without(variant)
    x = -np.concatenate([np.linspace(0, 700, 20_001), np.logspace(-300, 0, 5001)])
    log_prob = np.stack([np.zeros_like(x), x], axis=1)
    norm = np.empty(len(x))
    with using(variant):
        kernels.normalize(log_prob, norm, 2)
    np.testing.assert_allclose(log_prob[:, 1], expit(x), rtol=2e-15, atol=0)
    np.testing.assert_allclose(norm, np.log1p(np.exp(x)), rtol=0, atol=4e-16)


@each_variant
@each_kernel
def test_threads_change_no_bit(kernel, covariance_type, variant):
    skip_without(variant)
    for shape, dtype in (((9000, 3, 5), "float64"), ((5001, 9, 8), "float32")):
        given = values(kernel, covariance_type, *shape, dtype=dtype)
        with using(variant):
            one, *others = (
                call(kernels, kernel, covariance_type, given, n_threads=n_threads)
                for n_threads in (1, 2, 3, 3, 64)
            )
        for i, other in enumerate(others):
            assert_same_bits(kernel, other, one, (shape, i))


@each_variant
@each_type
@each_dtype
@each_kernel_with_x
def test_memory_order_changes_no_bit(kernel, dtype, covariance_type, variant):
    skip_without(variant)
    for shape in ((1300, 5, 6), (1300, 2, 3), (300, 1, 1), (1, 3, 2)):
        given = values(kernel, covariance_type, *shape, dtype=dtype)
        with using(variant):
            expected = call(kernels, kernel, covariance_type, given)
            for name in sorted({"X", "sample_weight", "resp"} & set(given) - set(outputs(kernel))):
                for order, array in memory_orders(given[name]):
                    actual = call(kernels, kernel, covariance_type, {**given, name: array})
                    assert_same_bits(kernel, actual, expected, (shape, name, order))


@compared
@each_type
@each_kernel_with_x
def test_agree_on_parameters_in_any_memory_order(kernel, covariance_type):
    given = values(kernel, covariance_type, 300, 5, 6)
    scales = cancelling_scales(given, covariance_type)  # the same for every order
    for name in ("means", "precisions_cholesky", "centers", "log_coefficients"):
        for _, array in memory_orders(given[name]) if name in given else ():
            np.testing.assert_array_equal(array, given[name])
            assert_variants_agree(kernel, covariance_type, {**given, name: array}, scales)
