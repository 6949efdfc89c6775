"""What only compiled C can get wrong: the memory that it reads and writes, and its constants."""

from typing import Any

import numpy as np
import pytest
from backends import LEVELS, level_modules, skip_without, using
from generators import KERNEL_KINDS, draw, mixture
from kernel_cases import KERNELS_AND_TYPES, call, outputs, values
from test_listed_kernels import SHAPES as LISTED_SHAPES
from test_listed_kernels import evaluate, lists

from fastgmm import _kernels as kernels
from fastgmm._kernels import build, kept_distances, layout
from fastgmm._kernels.kept_distances import NOTHING_KEPT
from fastgmm._kernels.packing import pack, pad
from fastgmm._kernels.threads import slot_bounds

GUARD = 4096
SHAPES = [(1, 1, 1), (257, 2, 3), (300, 5, 6), (2100, 9, 8), (600, 17, 120), (270, 33, 9)]

each_level = pytest.mark.parametrize("level", LEVELS)
each_type = pytest.mark.parametrize("covariance_type", KERNEL_KINDS)


class Guarded:
    """Arrays between guards; they hold NaN, or -7 in integers, until somebody writes."""

    def __init__(self) -> None:
        self._parts: list[tuple[Any, slice]] = []

    def __call__(self, shape: tuple[int, ...], dtype: Any = np.float64, shift: int = 0) -> Any:
        """Return an array that begins ``shift`` elements later than it might."""
        start = GUARD + shift
        inner = slice(start, start + int(np.prod(shape)))
        whole = np.full(inner.stop + GUARD, np.array(-7).astype(dtype))
        if dtype == np.float64:
            whole[inner] = np.nan
        self._parts.append((whole, inner))
        return whole[inner].reshape(shape)

    def assert_intact(self) -> None:
        for whole, inner in self._parts:
            untouched = np.array(-7).astype(whole.dtype)
            assert (whole[: inner.start] == untouched).all()
            assert (whole[inner.stop :] == untouched).all()


def components(covariance_type: str, given: dict[str, Any]) -> layout.Components:
    names = ("log_coefficients", "means", "precisions_cholesky")
    return layout.Components(covariance_type, *(given[name] for name in names))


@each_level
def test_constants_are_those_of_the_layout(level):
    skip_without(level)
    for itemsize, module in level_modules(level).items():
        constants = module.constants()
        expected = layout.block_size(itemsize), layout.block_stride(itemsize)
        assert (constants["BLOCK"], constants["STRIDE"]) == expected
        assert constants["CUT"] == layout.CUT
        assert constants["LARGEST_CODE"] == kept_distances.LARGEST_CODE
        assert constants["MARGIN"] == kept_distances.MARGIN
        assert (constants["openmp"] > 0) == bool(build.OPENMP)


@pytest.mark.slow
@each_level
@pytest.mark.parametrize("kernel, covariance_type", KERNELS_AND_TYPES)
def test_scratch_is_large_enough_and_need_not_be_cleared(
    kernel, covariance_type, level, monkeypatch
):
    skip_without(level)
    from fastgmm._kernels._cython import backend as _cython

    for shape in SHAPES:
        given = values(kernel, covariance_type, *shape)
        with using(level):
            expected = call(kernels, kernel, covariance_type, given, n_threads=1)
        for shift in range(8):  # elements after the start of a cache line
            guarded = Guarded()

            def scratch(size, n_threads, n_slots, guarded=guarded, shift=shift):
                return guarded((1, size), shift=shift)

            with using(level), monkeypatch.context() as patch:
                patch.setattr(_cython, "_scratch", scratch)
                actual = call(kernels, kernel, covariance_type, given, n_threads=1)
            guarded.assert_intact()
            for name in outputs(kernel):
                assert actual[name].tobytes() == expected[name].tobytes(), (shape, shift, name)


@each_level
@each_type
def test_lists_and_boxes_need_no_more_workspace(covariance_type, level, monkeypatch):
    skip_without(level)
    from fastgmm._kernels._cython import backend as _cython

    for n, d, K in LISTED_SHAPES:
        parameters = mixture(covariance_type, K, d)
        X, components = draw(parameters, n), parameters.components()
        bounds, listed = lists(n, K, K)
        boxes = X[: min(n, 33)], np.ones((min(n, 33), d))
        with using(level):
            expected = evaluate(X, components, bounds, listed, 1), np.empty((K, len(boxes[0])))
            kernels.box_bounds(*boxes, pad(components), expected[1], 1)
        for shift in range(8):
            guarded = Guarded()

            def scratch(size, n_threads, n_slots, guarded=guarded, shift=shift):
                return guarded((1, size), shift=shift)

            with using(level), monkeypatch.context() as patch:
                patch.setattr(_cython, "_scratch", scratch)
                found = evaluate(X, components, bounds, listed, 1), np.empty((K, len(boxes[0])))
                kernels.box_bounds(*boxes, pad(components), found[1], 1)
            guarded.assert_intact()
            np.testing.assert_array_equal(found[0][0], expected[0][0])
            np.testing.assert_array_equal(found[0][1], expected[0][1])
            np.testing.assert_array_equal(found[1], expected[1])


@each_level
@each_type
def test_posterior_writes_its_outputs_wholly_and_no_further(covariance_type, level):
    skip_without(level)
    for n, d, K in SHAPES:
        given = values("posterior", covariance_type, n, d, K)
        guarded = Guarded()
        norm, resp, labels = guarded((n,)), guarded((n, K)), guarded((n,), np.int64)
        distances = guarded((n, K))
        parameters = components(covariance_type, given)
        with using(level):
            kernels.posterior(
                given["X"], parameters, 2, log_prob_norm=norm, resp=resp, labels=labels
            )
            kernels.mahalanobis(given["X"], parameters, distances, 2)
        guarded.assert_intact()
        assert np.isfinite(norm).all()
        assert np.isfinite(resp).all()
        assert np.isfinite(distances).all()
        assert ((labels >= 0) & (labels < K)).all()


@each_level
def test_normalize_writes_its_outputs_wholly_and_no_further(level):
    skip_without(level)
    for n, d, K in SHAPES:
        guarded = Guarded()
        log_prob, norm = guarded((n, K)), guarded((n,))
        log_prob[...] = values("normalize", "full", n, d, K)["log_prob"]
        with using(level):
            kernels.normalize(log_prob, norm, 2)
        guarded.assert_intact()
        assert np.isfinite(norm).all()
        np.testing.assert_allclose(log_prob.sum(axis=1), 1.0, rtol=1e-14)


@each_level
@each_type
def test_accumulate_writes_its_statistics_wholly_and_no_further(covariance_type, level):
    skip_without(level)
    for n, d, K in SHAPES:
        given = values("accumulate", covariance_type, n, d, K)
        packed = pack(components(covariance_type, given))
        size = layout.statistics_size(packed.kind, K, d)
        bounds = slot_bounds(n, size)
        guarded = Guarded()
        slots, out = guarded((len(bounds) - 1, size)), guarded((size,))
        todo = guarded((-(-n // layout.SMALLEST_BLOCK),), np.uint8)
        todo[...] = 1
        out[...] = 0.0
        resp = np.empty((1, 1))
        with using(level):
            kernels.backend().accumulate(
                given["X"],
                given["sample_weight"],
                resp,
                packed,
                NOTHING_KEPT,
                bounds,
                todo,
                slots,
                out,
                2,
            )
        guarded.assert_intact()
        assert np.isfinite(slots).all()
        assert not todo.any()
        np.testing.assert_allclose(out, slots.sum(axis=0), rtol=1e-12, atol=1e-9)


@each_level
def test_gram_writes_its_slots_and_no_further(level):
    skip_without(level)
    for columns in ((0, 1), (0, 7, 300), (0, 8, 8, 17)):
        guarded = Guarded()
        values, slots = guarded((columns[-1] + 3 * 8,), shift=1), guarded((len(columns) - 1, 10))
        values[...], slots[...] = 1.0, 0.0
        with using(level):
            kernels.backend().gram(values, 8, np.array(columns), 2, slots, 2)
        guarded.assert_intact()
        np.testing.assert_array_equal(slots, 2.0 * np.diff(columns)[:, np.newaxis] * np.ones(10))
