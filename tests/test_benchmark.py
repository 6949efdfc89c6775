"""What ``fastgmm bench`` measures."""

import numpy as np
import pytest
from backends import VARIANTS, skip_without, using

from fastgmm import _kernels as kernels
from fastgmm import benchmark
from fastgmm._kernels import reference

each_variant = pytest.mark.parametrize("variant", VARIANTS)


@each_variant
@pytest.mark.parametrize("bounds", [[0, 1], [3, 700], [0, 512, 1024], [0, 40, 41, 41, 99]], ids=str)
@pytest.mark.parametrize("stride", [0, 8, 1100], ids="stride {}".format)
def test_gram_agrees_with_reference(stride, bounds, variant):
    skip_without(variant)
    values = np.random.default_rng(0).normal(size=3 * stride + bounds[-1])
    results = []
    for module, n_threads in ((reference, 1), (kernels, 1), (kernels, 2), (kernels, 64)):
        products = np.arange(10.0)
        with using(variant):
            module.gram(values, stride, np.array(bounds), 3, products, n_threads)
        results.append(products)
    expected, *actual = results
    np.testing.assert_allclose(actual[0], expected, rtol=0, atol=1e-13 * np.abs(expected).max())
    assert {products.tobytes() for products in actual} == {actual[0].tobytes()}


@each_variant
@pytest.mark.parametrize("measure", [benchmark.measure_peak, benchmark.measure_bandwidth])
def test_machine(measure, variant, monkeypatch):
    skip_without(variant)
    monkeypatch.setattr(benchmark, "_SECONDS", 0.0)
    monkeypatch.setattr(benchmark, "_MEMORY_COLUMNS", 2**12)
    with using(variant):
        for n_threads in (None, 1, 2):
            assert 0 < measure(n_threads) < np.inf


def test_machine_rejects_no_threads():
    with pytest.raises(ValueError, match="n_jobs must be None, a positive or a negative integer"):
        benchmark.measure_peak(0)
