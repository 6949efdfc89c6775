"""Fits from several threads and processes at once: the same bits, no crash, no hang.

Each script runs in a fresh interpreter, for every threading layer that can be loaded here.
"""

import multiprocessing
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from backends import skip_without
from marks import slow, slow_alone

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
# a backend, and for Numba what it starts threads with
LAYERS = [("numba", "omp"), ("numba", "tbb"), ("numba", "workqueue"), ("cython", "OpenMP")]
each_layer = pytest.mark.parametrize(
    "backend, layer", LAYERS, ids=[f"{backend}-{layer}" for backend, layer in LAYERS]
)

# A module of scripts. Each fit has several slots; no two neighbours have the same data.
FITS = """
import numpy as np
from fastgmm import BayesianGaussianMixture, GaussianMixture, SoftKMeans

KINDS = ("full", "tied", "diag", "spherical")

def data(seed, n=6000):
    return np.random.default_rng(seed).normal(size=(n, 3))

def bits(model, X):
    return model.score_samples(X).tobytes() + model.predict_proba(X).tobytes()

def fit(seed=0, n_jobs=2):
    X = data(seed)
    model = GaussianMixture(
        4, weights_init=np.full(4, 0.25), means_init=X[:4], precisions_init=[np.eye(3)] * 4,
        tol=1e-2, max_iter=30, n_jobs=n_jobs,
    ).fit(X)
    return model.covariances_.tobytes() + bits(model, X)

def fit_any(seed):
    X = data(seed % 50).astype(("float64", "float32")[seed % 2])
    if seed % 8 == 6:
        model = SoftKMeans(n_clusters=3, max_iter=5, tol=0.0, random_state=0, n_jobs=2)
    else:
        family = BayesianGaussianMixture if seed % 8 == 7 else GaussianMixture
        model = family(
            n_components=3, covariance_type=KINDS[seed // 2 % 4], max_iter=5, tol=0.0,
            init_params="auto" if seed % 10 == 9 else "random_from_data",
            random_state=0, n_jobs=2,
        )
    return bits(model.fit(X), X)
"""

CONCURRENT = """
import os, threading, warnings
from concurrent.futures import ThreadPoolExecutor
import fits

warnings.simplefilter("ignore")  # five iterations do not converge
fit = getattr(fits, os.environ["FIT"])
count, first = int(os.environ["COUNT"]), os.environ["FIRST"]
distinct = 16 if fit is fits.fit else 200
barrier = threading.Barrier(16)

def together(seed):
    if seed < 16:
        barrier.wait()
    return fit(seed % distinct)

def serially():
    once = [fit(seed) for seed in range(min(distinct, count))]
    return [once[seed % distinct] for seed in range(count)]

expected = serially() if first == "serial" else None
with ThreadPoolExecutor(16) as pool:
    actual = list(pool.map(together, range(count)))
different = sum(a != b for a, b in zip(actual, expected or serially(), strict=True))
from fastgmm import backend_info
print(len(actual), different, backend_info()["threading_layer"])
"""

FORK = """
import os, signal, time
from fits import fit

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

# multiprocessing's fork in a Python thread, while another thread runs kernels
FORK_WHILE_FITTING = """
import multiprocessing, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from fits import fit

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

# workers that are started after the parent has used threads
WORKERS = """
import multiprocessing, os, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from concurrent.futures import ProcessPoolExecutor
from fits import fit

def run(method):
    if method in ("loky", "threading"):
        from joblib import Parallel, delayed
        return Parallel(n_jobs=2, backend=method)(delayed(fit)(seed) for seed in range(6))
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        return list(pool.map(fit, range(6)))

if __name__ == "__main__":
    expected = [fit(seed) for seed in range(6)]
    assert run(os.environ["METHOD"]) == expected
    print("same bits")
"""

DIGEST = """
import hashlib
from fits import fit, fit_any
print(hashlib.sha256(fit(3) + fit_any(1) + fit_any(6)).hexdigest())
"""

# a user's parallel loop runs in one thread while another fits
BESIDE_A_USERS_LOOP = """
import threading
import numpy as np
from numba import njit, prange
from fits import fit

@njit(parallel=True)
def total(values):
    result = 0.0
    for i in prange(len(values)):
        result += values[i]
    return result

values = np.ones(100_000)
assert total(values) == len(values)
before = [fit(seed) for seed in range(3)]
stop = threading.Event()
wrong = []
def keep_adding():
    while not stop.is_set():
        if total(values) != len(values):
            wrong.append(1)
thread = threading.Thread(target=keep_adding)
thread.start()
try:
    for _ in range(4):
        assert [fit(seed) for seed in range(3)] == before
finally:
    stop.set()
    thread.join()
assert not wrong
print("same bits")
"""

# Ctrl-C amid the iterations, and amid a pass
INTERRUPTED = """
import os, signal, threading, warnings
import numpy as np
from fastgmm import BayesianGaussianMixture, GaussianMixture, SoftKMeans
from fits import data

warnings.simplefilter("ignore")
X, other = data(0, 20_000), data(1, 20_000)

def state(model):
    return {
        name: value.tobytes() if isinstance(value, np.ndarray) else repr(value)
        for name, value in vars(model).items()
        # changed below; with seconds
        if name not in ("max_iter", "history_", "restarts_")
    }

def amid_a_pass(iteration):
    if iteration.number == 3:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()

def between_passes(iteration):
    if iteration.number == 3:
        signal.raise_signal(signal.SIGINT)

def check_interrupted(model, X, callback):
    before = state(model)
    model.set_params(max_iter=1_000_000)
    try:
        model.fit(X, callback=callback)
    except KeyboardInterrupt:
        assert state(model) == before
        model.set_params(max_iter=5)
    else:
        raise SystemExit("not interrupted")

callbacks = (between_passes, amid_a_pass)
for model in (
    GaussianMixture(n_components=4),
    BayesianGaussianMixture(n_components=4),
    SoftKMeans(n_clusters=4),
):
    model.set_params(random_state=0, tol=0.0, n_jobs=2)
    for callback in callbacks:
        check_interrupted(model, X, callback)
    fitted = state(model.fit(X))
    for callback in callbacks:
        check_interrupted(model, other, callback)
    assert state(model.fit(X)) == fitted
print("unchanged")
"""


# where pip puts the library of the package tbb
LIBRARIES = os.pathsep.join([str(Path(sys.prefix, "lib")), os.environ.get("LD_LIBRARY_PATH", "")])


@cache
def why_no_layer(layer: str) -> str:
    """Return why Numba cannot load a threading layer here; empty if it can."""
    module = {"omp": "omppool", "tbb": "tbbpool"}.get(layer, layer)
    outcome = subprocess.run(
        [sys.executable, "-c", f"import numba.np.ufunc.{module}"],
        env={**os.environ, "LD_LIBRARY_PATH": LIBRARIES},
        capture_output=True,
        text=True,
    )
    if not outcome.returncode:
        return ""
    return f"Numba cannot load its layer {layer}: {outcome.stderr.strip().splitlines()[-1]}"


@pytest.fixture
def run_layer(run_python, tmp_path):
    """Run a script with a backend and a threading layer; return what it prints."""
    (tmp_path / "fits.py").write_text(FITS)

    def run(script: str, backend: str, layer: str | None, **environment: str | None) -> str:
        skip_without(backend)
        environment |= {"FASTGMM_BACKEND": backend}
        if backend == "numba" and layer is not None:
            if why_no_layer(layer):
                pytest.skip(why_no_layer(layer))
            environment |= {"NUMBA_THREADING_LAYER": layer, "LD_LIBRARY_PATH": LIBRARIES}
        return run_python(script, **environment).strip()

    return run


def assert_same_bits(output: str, count: int, layer: str) -> None:
    fits, different, used = output.split(maxsplit=2)
    assert (int(fits), int(different)) == (count, 0)
    assert used.split()[0] in (layer, "serial")  # a compiler may have no OpenMP


@pytest.mark.parametrize("first", [*slow("serial"), "concurrent"])
@pytest.mark.parametrize("backend, layer", [LAYERS[0], *slow(*LAYERS[1:3]), LAYERS[3]])
def test_fits_from_16_threads_at_once(run_layer, backend, layer, first):
    output = run_layer(CONCURRENT, backend, layer, FIT="fit", COUNT="48", FIRST=first)
    assert_same_bits(output, 48, layer)


@pytest.mark.slow
@pytest.mark.parametrize("backend, layer", [LAYERS[0], LAYERS[3]])
def test_200_fits_from_16_threads_at_once(run_layer, backend, layer):
    """Every estimator, covariance type and dtype."""
    output = run_layer(CONCURRENT, backend, layer, FIT="fit_any", COUNT="200", FIRST="serial")
    assert_same_bits(output, 200, layer)


@pytest.mark.slow
@needs_fork
@each_layer
def test_forked_child_computes_the_same_bits(run_layer, backend, layer):
    assert run_layer(FORK, backend, layer) == "same bits"


@pytest.mark.slow
@needs_fork
@each_layer
def test_fork_while_another_thread_fits(run_layer, backend, layer):
    output = run_layer(FORK_WHILE_FITTING, backend, layer)
    # the layer tbb prints that it could not end its threads before the fork, which does no harm
    assert output.splitlines()[-1] == "same bits"


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", ["fork", "threading", "loky", *slow_alone("spawn", "forkserver")]
)
@each_layer
def test_workers_compute_the_same_bits(run_layer, backend, layer, method):
    started = multiprocessing.get_all_start_methods()
    if method in ("fork", "forkserver") and method not in started:
        pytest.skip(f"no {method} on this system")
    assert run_layer(WORKERS, backend, layer, METHOD=method) == "same bits"


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["numba", "cython"])
def test_layers_and_the_environment_change_no_bit(run_layer, backend):
    skip_without(backend)
    layers = [layer for of, layer in LAYERS if of == backend]
    if backend == "numba":
        layers = [layer for layer in layers if not why_no_layer(layer)]
    names = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    digests = {
        run_layer("import warnings; warnings.simplefilter('ignore')" + DIGEST, backend, layer,
                  **dict.fromkeys(names, threads))
        for layer in layers
        for threads in ("1", "3")
    }  # fmt: skip
    assert len(digests) == 1


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["omp", "tbb"])
def test_fits_beside_a_users_parallel_loop(run_layer, layer):
    """Numba's workqueue layer ends a process whose two threads run parallel loops at once."""
    assert run_layer(BESIDE_A_USERS_LOOP, "numba", layer) == "same bits"


@pytest.mark.parametrize("backend", [pytest.param("numba", marks=pytest.mark.slow), "cython"])
def test_ctrl_c_leaves_the_estimator_unchanged(run_layer, backend):
    assert run_layer(INTERRUPTED, backend, None) == "unchanged"
