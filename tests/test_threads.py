"""How many threads, over which rows, and what must not kill the process."""

import inspect
import os

import numpy as np
import pytest
from backends import skip_without

from fastgmm import GaussianMixture
from fastgmm._kernels import backend_info
from fastgmm._kernels.layout import LARGEST_BLOCK
from fastgmm._kernels.threads import ThreadGuard, count_threads, slot_bounds

HAS_AFFINITY = hasattr(os, "sched_setaffinity")

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
# a backend, and for Numba what it starts threads with
each_layer = pytest.mark.parametrize(
    "backend, layer", [("numba", "default"), ("numba", "workqueue"), ("cython", "OpenMP")]
)

# A fit from given parameters, large enough for several slots, as bytes.
FIT = """
import os, threading
import numpy as np
from fastgmm import GaussianMixture

def fit(seed=0, n_jobs=2):
    X = np.random.default_rng(seed).normal(size=(20_000, 3))
    model = GaussianMixture(
        4, weights_init=np.full(4, 0.25), means_init=X[:4], precisions_init=[np.eye(3)] * 4,
        tol=1e-4, max_iter=500, n_jobs=n_jobs,
    ).fit(X)
    return model.covariances_.tobytes() + model.predict_proba(X).tobytes()
"""

FORK = (
    FIT
    + """
import signal, time

before = fit()
child = os.fork()
if child == 0:
    os._exit(0 if fit() == before else 3)
deadline = time.monotonic() + 120
while True:
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
        break
    if time.monotonic() > deadline:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise SystemExit("the child hangs")
    time.sleep(0.02)
assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0, status
assert fit() == before  # the parent still works
print("same bits")
"""
)

# multiprocessing's fork in a Python thread, while another thread runs kernels
FORK_WHILE_FITTING = (
    FIT
    + """
import multiprocessing

def work(queue):
    queue.put(fit())

before = fit()
stop = threading.Event()
def keep_fitting():
    while not stop.is_set():
        fit(seed=1)
thread = threading.Thread(target=keep_fitting)
thread.start()
context = multiprocessing.get_context("fork")
try:
    for _ in range(4):
        queue = context.Queue()
        process = context.Process(target=work, args=(queue,), daemon=True)
        process.start()
        result = queue.get(timeout=60)
        process.join(60)
        assert process.exitcode == 0, process.exitcode
        assert result == before
finally:
    stop.set()
    thread.join()
print("same bits")
"""
)

TWO_THREADS = (
    FIT
    + """
from concurrent.futures import ThreadPoolExecutor
if os.environ["FIRST"] == "serial":
    expected = [fit(seed) for seed in range(8)]
with ThreadPoolExecutor(4) as pool:
    barrier = threading.Barrier(4)
    def together(seed):
        barrier.wait()
        return fit(seed)
    actual = list(pool.map(together, range(8)))
if os.environ["FIRST"] == "concurrent":
    expected = [fit(seed) for seed in range(8)]
assert actual == expected
from fastgmm import backend_info
print(backend_info()["threading_layer"])
"""
)


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


@pytest.fixture
def run_layer(run_python):
    """Run a script with a backend and a threading layer."""

    def run(script, backend, layer, **environment):
        skip_without(backend)
        environment |= {"FASTGMM_BACKEND": backend}
        environment["NUMBA_THREADING_LAYER"] = layer if backend == "numba" else None
        return run_python(script, **environment).strip()

    return run


@needs_fork
@each_layer
def test_forked_child_computes_the_same_bits(run_layer, backend, layer):
    assert run_layer(FORK, backend, layer) == "same bits"


@needs_fork
@each_layer
def test_fork_while_another_thread_fits(run_layer, backend, layer):
    script = "import warnings; warnings.simplefilter('ignore', DeprecationWarning)" + (
        FORK_WHILE_FITTING
    )
    assert run_layer(script, backend, layer) == "same bits"


@pytest.mark.parametrize("first", ["serial", "concurrent"])
@each_layer
def test_python_threads_fit_at_once(run_layer, backend, layer, first):
    output = run_layer(TWO_THREADS, backend, layer, FIRST=first)
    assert layer == "default" or output.split()[0] in (layer, "serial")
