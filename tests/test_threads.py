"""How many threads, over which rows, and when none may be started."""

import inspect
import os

import numpy as np
import pytest

from fastgmm import GaussianMixture
from fastgmm._kernels import backend_info
from fastgmm._kernels.layout import LARGEST_BLOCK
from fastgmm._kernels.threads import ThreadGuard, count_threads, slot_bounds

HAS_AFFINITY = hasattr(os, "sched_setaffinity")


def test_count_threads_of_none_is_all_cores():
    available = count_threads()
    assert 1 <= available <= (os.cpu_count() or 1)
    assert count_threads(None) == available
    assert backend_info()["threads"] == available


@pytest.mark.parametrize("n_jobs", [1, 2, 64, np.int64(3)])
def test_count_threads_positive(n_jobs):
    assert count_threads(n_jobs) == n_jobs
    assert type(count_threads(n_jobs)) is int


def test_count_threads_negative():
    available = count_threads()
    assert count_threads(-1) == available
    assert count_threads(-2) == max(available - 1, 1)
    assert count_threads(-1000) == 1


def test_count_threads_zero():
    message = "n_jobs must be None, a positive or a negative integer, got 0."
    with pytest.raises(ValueError, match=f"^{message}$"):
        count_threads(0)
    with pytest.raises(ValueError, match=message):
        GaussianMixture(n_jobs=0).fit([[0.0], [1.0]])


@pytest.mark.skipif(not HAS_AFFINITY, reason="no CPU affinity on this system")
def test_affinity_counts_and_slots_do_not_depend_on_it(run_python):
    script = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from fastgmm._kernels.threads import count_threads, slot_bounds
print(count_threads(), count_threads(-1), count_threads(3), slot_bounds(100_000, 50).tolist())
"""
    assert run_python(script).strip() == f"1 1 3 {slot_bounds(100_000, 50).tolist()}"


SIZES = [1, 2, 255, 256, 257, 1023, 1024, 1025, 2047, 2048, 5000, 131_071, 131_072, 10**7, 10**10]


@pytest.mark.parametrize("statistics_size", [0, 1, 1000, 10**5, 10**9])
@pytest.mark.parametrize("n_samples", SIZES)
def test_slot_bounds(n_samples, statistics_size):
    bounds = slot_bounds(n_samples, statistics_size)
    n_slots = len(bounds) - 1
    assert bounds.dtype == np.int64
    assert (bounds[0], bounds[-1]) == (0, n_samples)
    assert (bounds[:-1] % LARGEST_BLOCK == 0).all()
    sizes = np.diff(bounds)
    assert (sizes > 0).all()
    assert sizes.max() - sizes.min() <= 2 * LARGEST_BLOCK
    assert n_slots <= 128
    assert n_slots <= 8 or n_slots * statistics_size * 8 <= 32 * 2**20


def test_slot_bounds_know_nothing_of_threads():
    assert list(inspect.signature(slot_bounds).parameters) == ["n_samples", "statistics_size"]


def test_many_slots_for_large_data():
    assert len(slot_bounds(10**6)) == 129
    assert len(slot_bounds(10**6, 2**18)) == 17
    assert len(slot_bounds(10**6, 2**30)) == 9


def test_guard_is_serial_only_after_a_fork():
    guard = ThreadGuard()
    assert not guard.must_be_serial()
    with guard.launch(concurrent=False):
        assert not guard.must_be_serial()
    guard._launched_by = os.getpid() + 1
    assert guard.must_be_serial()
    with guard.launch(concurrent=True):
        pass
    assert guard.must_be_serial()


@pytest.mark.parametrize("n_jobs", [1, 3, None])
def test_numba_threads_are_as_before(n_jobs):
    if backend_info()["backend"] != "numba":
        pytest.skip("the backend in use is not Numba")
    import numba

    before = numba.get_num_threads()
    model = GaussianMixture(2, random_state=0, n_jobs=n_jobs, tol=1.0)
    model.fit(np.random.default_rng(0).normal(size=(5000, 2)))
    model.predict(np.zeros((3, 2)))
    assert numba.get_num_threads() == before
    numba.set_num_threads(1)
    try:
        model.score(np.zeros((3, 2)))
        assert numba.get_num_threads() == 1
    finally:
        numba.set_num_threads(before)
