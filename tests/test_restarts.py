"""Several starts of one fit: at once, with a record of each, and the same bits."""

import signal
import threading

import numpy as np
import pytest
from generators import draw, mixture
from test_concurrency import each_layer, run_layer  # noqa: F401
from threadpoolctl import threadpool_info

from fastgmm import BayesianGaussianMixture, GaussianMixture, SoftKMeans

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X = draw(mixture("full", 4, 3, seed=2, scenario="overlapping"), 400)
STARTS = 4


def bits(model):
    parts = (model.weights_, model.means_, model.covariances_, np.array(model.lower_bounds_))
    return b"".join(part.tobytes() for part in parts)


def records(model):
    return [
        (one.lower_bound, one.n_iter, one.converged, one.chosen,
         [iteration.lower_bound for iteration in one.history])
        for one in model.restarts_
    ]  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"init_params": "kmeans"},
        {"init_params": "random", "covariance_type": "diag"},
        {"acceleration": "subsample", "init_params": "random"},
        {"acceleration": "split-merge", "init_params": "random_from_data"},
        {"prior": "mclust", "init_params": "k-means++"},
    ],
    ids=str,
)
def test_the_number_of_threads_changes_no_bit(options):
    options = {"n_init": STARTS, "random_state": 3, "tol": 1e-2, "max_iter": 15, **options}
    models = [GaussianMixture(4, n_jobs=n_jobs, **options).fit(X) for n_jobs in (1, 3)]
    one_by_one = GaussianMixture(4, n_jobs=3, **options).fit(X, callback=lambda iteration: None)
    for model in (*models[1:], one_by_one):
        assert bits(model) == bits(models[0])
        assert records(model) == records(models[0])


def test_of_variational_bayes_too():
    options = {"n_components": 4, "n_init": STARTS, "random_state": 3, "tol": 1e-2}
    models = [BayesianGaussianMixture(n_jobs=n, **options).fit(X) for n in (1, 3)]
    assert bits(models[0]) == bits(models[1])
    assert records(models[0]) == records(models[1])


def test_of_soft_k_means_too():
    options = {"n_init": STARTS, "random_state": 3, "max_iter": 15}
    models = [SoftKMeans(4, 0.5, n_jobs=n, **options).fit(X) for n in (1, 3)]
    assert models[0].cluster_centers_.tobytes() == models[1].cluster_centers_.tobytes()
    assert records(models[0]) == records(models[1])
    assert models[0].lower_bound_ == max(one.lower_bound for one in models[0].restarts_)


def test_the_record_of_each_start():
    model = GaussianMixture(4, n_init=STARTS, random_state=0, init_params="random", n_jobs=2)
    model.fit(X)
    bounds = [one.lower_bound for one in model.restarts_]
    chosen = [one.chosen for one in model.restarts_]
    assert len(bounds) == STARTS
    assert len(set(bounds)) > 1
    assert chosen.index(True) == np.argmax(bounds)
    assert sum(chosen) == 1
    best = model.restarts_[chosen.index(True)]
    assert best.history == model.history_
    assert (best.lower_bound, best.n_iter) == (model.lower_bound_, model.n_iter_)
    assert best.converged == model.converged_
    assert all(one.error is None and one.history for one in model.restarts_)


def test_a_start_that_fails_is_recorded_and_another_is_chosen():
    calls = []

    def start(data, n_components, random_state):
        calls.append(threading.get_ident())
        labels = random_state.randint(n_components, size=len(data))
        return labels if len(calls) > 1 else np.arange(len(data)) % n_components

    points = np.repeat([[0.0], [1.0]], 4, axis=0)
    failing = GaussianMixture(2, n_init=3, init_params=start, reg_covar=0.0, max_iter=3)
    failing.set_params(random_state=0, n_jobs=2).fit(np.vstack([points, [[0.5]]]))
    assert len(failing.restarts_) == 3
    alone = GaussianMixture(2, n_init=2, init_params="random", reg_covar=0.0, n_jobs=2)
    with pytest.raises(ValueError, match="ill-defined empirical covariance"):
        alone.fit(np.ones((6, 1)))


def test_an_error_of_one_start_is_raised():
    def start(data, n_components, random_state):
        raise RuntimeError("no start")

    with pytest.raises(RuntimeError, match="no start"):
        GaussianMixture(2, n_init=4, init_params=start, n_jobs=2).fit(X)


def test_a_callback_sees_one_start_after_the_other():
    numbers, threads = [], set()

    def look(iteration):
        numbers.append(iteration.number)
        threads.add(threading.get_ident())

    model = GaussianMixture(4, n_init=3, random_state=0, n_jobs=2, init_params="random")
    model.fit(X, callback=look)
    expected = [n for one in model.restarts_ for n in range(1, one.n_iter + 1)]
    assert numbers == expected
    assert threads == {threading.get_ident()}


def test_a_warm_start_is_one_start():
    model = GaussianMixture(2, warm_start=True, n_init=4, random_state=0, n_jobs=2).fit(X)
    assert len(model.restarts_) == 4
    assert len(model.fit(X).restarts_) == 1


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no such signals here")
def test_ctrl_c_ends_all_starts_and_leaves_the_estimator_and_blas_as_they_were():
    def blas():
        return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]

    model = GaussianMixture(4, n_init=4, random_state=0, n_jobs=2, init_params="random")
    before, threads = bits(model.fit(X)), blas()
    started = threading.Event()

    def start(data, n_components, random_state):
        started.set()
        return random_state.dirichlet(np.ones(n_components), len(data))

    def interrupt():
        started.wait()
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    model.set_params(max_iter=10**9, tol=0.0, init_params=start)
    thread = threading.Thread(target=interrupt)
    # a shell starts what runs in the background with this signal ignored
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            model.fit(X)
    finally:
        signal.signal(signal.SIGINT, handler)
    thread.join()
    assert bits(model) == before
    assert blas() == threads


def test_a_thread_whose_start_is_interrupted_ends_before_the_fit_does(monkeypatch):
    """The pool does not know it yet, and does not wait for it."""
    begin = threading.Thread.start

    def interrupted(thread):
        begin(thread)
        raise KeyboardInterrupt

    model = GaussianMixture(4, n_init=4, random_state=0, n_jobs=2, init_params="random")
    model.set_params(max_iter=10**9, tol=0.0)
    before = threading.enumerate()
    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert set(threading.enumerate()) <= set(before)


RESTARTS = """
import warnings
import numpy as np
from threadpoolctl import threadpool_info
from fastgmm import GaussianMixture
warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=(6000, 3))
def fit(n_jobs):
    model = GaussianMixture(4, n_init=4, random_state=0, n_jobs=n_jobs, max_iter=20).fit(X)
    bounds = np.array([restart.lower_bound for restart in model.restarts_])
    return model.covariances_.tobytes() + bounds.tobytes()
def blas():
    return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]
before = blas()
first = fit(4)
assert blas() == before, (before, blas())
assert first == fit(1) == fit(2)
print("same bits")
"""


@pytest.mark.slow
@each_layer
def test_every_threading_layer(run_layer, backend, layer):  # noqa: F811
    assert run_layer(RESTARTS, backend, layer) == "same bits"
