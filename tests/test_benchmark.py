"""What ``fastgmm bench`` measures; never how long it took."""

import numpy as np
import pytest
from backends import VARIANTS, skip_without, using
from generators import COVARIANCE_TYPES, DTYPES
from sklearn.mixture import GaussianMixture as Peer

from fastgmm import _kernels as kernels
from fastgmm import benchmark
from fastgmm._kernels import reference
from fastgmm.benchmark import N_ITER, N_ITER_PEER, Shape, machine, time_iterations

each_variant = pytest.mark.parametrize("variant", VARIANTS)
each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)

TINY = [Shape(covariance_type, 1200, 3, 4) for covariance_type in COVARIANCE_TYPES]


@pytest.fixture
def small_machine(monkeypatch):
    """Measure the machine in no time."""
    for name, value in {"_SECONDS": 0.0, "_AT_LEAST": 2, "_PEAK_REPEATS": 3}.items():
        monkeypatch.setattr(machine, name, value)
    monkeypatch.setattr(machine, "_MEMORY_COLUMNS", 2**12)


# the machine


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
def test_machine(measure, variant, small_machine):
    skip_without(variant)
    with using(variant):
        for n_threads in (None, 1, 2):
            assert 0 < measure(n_threads) < np.inf


def test_machine_rejects_no_threads():
    with pytest.raises(ValueError, match="n_jobs must be None, a positive or a negative integer"):
        benchmark.measure_peak(0)


# the problems


def test_shapes_may_have_fewer_samples_but_enough():
    shape = Shape("full", 10_000, 20, 8)
    assert shape.divided(1) == shape
    assert shape.divided(4) == Shape("full", 2500, 20, 8)
    assert shape.divided(100) == Shape("full", 320, 20, 8)
    assert Shape("full", 100, 20, 8).divided(100).n_samples == 100


@each_type
@pytest.mark.parametrize("dtype", DTYPES)
def test_start_is_near_the_truth(dtype, covariance_type):
    X, means = benchmark.make_samples(500, 3, 4, dtype)
    assert (X.shape, X.dtype) == ((500, 3), dtype)
    start = benchmark.make_start(means, covariance_type)
    assert 0 < np.abs(start["means_init"] - means).max() < 3
    peer = Peer(4, covariance_type=covariance_type, **start).fit(X)
    assert peer.score(X) > -3 / 2 * np.log(2 * np.pi * np.e) - np.log(4) - 0.2


def test_useful_flops():
    d, K = 5, 4
    triangle = 2 * (5 + 4 + 3 + 2 + 1)
    for covariance_type, expected in {
        "full": (triangle + 2 * d, triangle + 2 * d),
        "tied": (triangle / K + 2 * d, triangle + 2 * d),
        "diag": (2 * d + 2 * d, 2 * d + 2 * d),
        "spherical": (2 * d, 2 * d + 2 * d),
    }.items():
        assert benchmark.useful_flops(Shape(covariance_type, 100, d, K)) == expected
    d = 16
    assert benchmark.useful_flops(Shape("full", 100, d, K)) == (d**2 + 3 * d, d**2 + 3 * d)


# times


@each_type
@pytest.mark.parametrize("dtype", DTYPES)
def test_iterations_are_counted_and_results_agree(dtype, covariance_type):
    phases = []
    shape = Shape(covariance_type, 1200, 3, 4)
    timing = time_iterations(shape, dtype=dtype, n_jobs=1, n_rounds=2, phase=phases.append)
    assert (timing.shape, timing.dtype) == (shape, dtype)
    assert len(timing.seconds) == 2 * (N_ITER - 1)
    assert len(timing.peer_seconds) == 2 * (N_ITER_PEER - 1)
    assert min(timing.seconds + timing.peer_seconds) > 0
    assert timing.speed_up == timing.peer_median / timing.median
    assert timing.difference < (1e-12 if dtype == "float64" else 1e-5)
    assert phases == [
        "drawing samples",
        *("fastgmm, turn 1 of 2", "scikit-learn, turn 1 of 2"),
        *("fastgmm, turn 2 of 2", "scikit-learn, turn 2 of 2"),
    ]


def test_without_peer():
    timing = time_iterations(TINY[0], n_rounds=1, with_peer=False)
    assert (timing.peer_seconds, timing.peer_median) == ([], None)
    assert (timing.speed_up, timing.difference) == (None, None)


def test_work_of_negligible_responsibilities_does_not_count():
    near = time_iterations(Shape("full", 300, 2, 1), n_rounds=1, with_peer=False)
    assert near.significant == 1.0
    assert near.flops == 300 * 2 * (2**2 + 3 * 2)
    assert near.flops_per_byte == near.flops / (300 * 2 * 8)
    far = time_iterations(Shape("full", 4000, 20, 8), n_rounds=1, with_peer=False)
    assert far.significant == pytest.approx(1 / 8, abs=0.01)
    assert far.flops == pytest.approx(4000 * 8 * (1 + far.significant) * (20**2 + 3 * 20))
