"""The cost model of docs/cost_model.md: the simulation agrees with the formula."""

import math
import pickle
import sys
from dataclasses import replace
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from fastgmm import em

BENCHMARKS = Path(__file__).parent.parent / "asv_benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("asv_benchmarks/ is not distributed", allow_module_level=True)
sys.path.append(str(BENCHMARKS))

cluster_events = import_module("cluster_events")
cluster_model = import_module("cluster_model")
thread_scaling = import_module("thread_scaling")
simulate, Trouble = cluster_events.simulate, cluster_events.Trouble
Cluster, Problem = cluster_model.Cluster, cluster_model.Problem
predict, work = cluster_model.predict, cluster_model.work
Measured = thread_scaling.Measured

pytestmark = pytest.mark.one_backend

SMALL = Problem.at_default_rates(10**9, 16, 32)
LARGE = Problem.at_default_rates(10**12, 256, 1000)
#: Which resource an iteration waits for.
LIMITS = {
    "cores": (LARGE, Cluster(512)),
    "scheduler": (SMALL, Cluster(512, tasks=32)),
    "storage": (SMALL, Cluster(64, tasks=4, storage=1e7)),
    "network": (replace(SMALL, n_samples=10**6), Cluster(64, scheduler=0.0, bandwidth=1e5)),
    "client": (replace(SMALL, update_seconds=1e3), Cluster(8)),
}
NOISE = Trouble(sigma=0.3, slow_share=0.1, failed_share=0.0)
DEATHS = Trouble(sigma=0.0, slow_share=0.0, failed_share=0.3)


@pytest.mark.parametrize("problem", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("tasks", [1, 2, 16, 17, 40])
@pytest.mark.parametrize("storage", [math.inf, 1e12, 1e6])
@pytest.mark.parametrize("workers, fan_in", [(1, 2), (64, 2), (64, 8), (27, 3)])
def test_simulation_agrees_with_formula(problem, tasks, storage, workers, fan_in):
    """Phase by phase, where the tree is full and merges do not wait for the scheduler."""
    cluster = Cluster(workers, tasks=tasks, storage=storage, fan_in=fan_in)
    for is_tree in (True, False):
        cluster = replace(cluster, is_tree=is_tree)
        found, formula = simulate(problem, cluster), predict(problem, cluster)
        np.testing.assert_allclose(found[:2], formula[:2], 1e-6)
        assert found.reduction <= formula.reduction * (1 + 1e-6)
        free = replace(cluster, scheduler=0.0)
        np.testing.assert_allclose(simulate(problem, free), predict(problem, free), 1e-6)


@pytest.mark.parametrize("bandwidth", [1e7, 1e10])
@pytest.mark.parametrize("workers", [2, 3, 7, 10, 65, 100, 1000])
def test_formula_is_a_bound_where_the_tree_is_not_full(workers, bandwidth):
    cluster = Cluster(workers, bandwidth=bandwidth)
    found, formula = simulate(SMALL, cluster), predict(SMALL, cluster)
    np.testing.assert_allclose(found[:2], formula[:2], 1e-6)
    assert formula.total / 1.2 <= found.total <= formula.total * (1 + 1e-6)


@pytest.mark.parametrize("limit", LIMITS)
def test_what_saturates(limit):
    """The resource that is named takes most of the iteration, and the iteration no less."""
    problem, cluster = LIMITS[limit]
    asked = work(problem, cluster)
    assert asked.limit == limit
    longest = getattr(asked, limit)
    assert longest <= simulate(problem, cluster).total * (1 + 1e-9)
    assert longest >= simulate(problem, cluster).total / 2


def test_bytes_are_those_of_pickle():
    """But for names: they depend on K and d."""
    d, K = 6, 5
    means, matrices = np.zeros((K, d)), np.tile(np.eye(d), (K, 1, 1))
    problem = Problem(10**12, d, K, 0.0, 0.0)
    for value, size in (
        (em.SufficientStatistics.zeros("full", means), problem.statistics_bytes),
        (em.MixtureParameters("full", np.ones(K), means, matrices, matrices.copy()),
         problem.parameter_bytes),
    ):  # fmt: skip
        assert 0 < len(pickle.dumps(value)) - size < 1500


def test_a_seed_gives_the_same_iteration():
    cluster = Cluster(50, tasks=3)
    trouble = Trouble(failed_share=0.2)
    runs = [simulate(SMALL, cluster, trouble, seed) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_noise_and_slow_workers_cost_time():
    """The more workers, the more likely one of them is late."""
    problem = replace(SMALL, row_seconds=1e-3)
    late = []
    for workers in (1, 8, 64, 512):
        cluster = Cluster(workers, scheduler=0.0)
        rows = replace(problem, n_samples=10**6 * workers)
        plain = cluster_model.task_seconds(rows, cluster)
        late.append(np.mean([simulate(rows, cluster, NOISE, s).tasks / plain for s in range(20)]))
    assert all(before < after for before, after in pairwise(late))


@pytest.mark.parametrize("tasks", [1, 5, 20])
def test_tasks_of_dead_workers_are_done_by_others(tasks):
    """After it is found out: also if nearly all workers die, and those that took their tasks."""
    for failed_share in (0.3, 0.95, 1.0):
        trouble = replace(DEATHS, failed_share=failed_share)
        for seed in range(5):
            cluster = Cluster(20, tasks=tasks)
            phases = simulate(SMALL, cluster, trouble, seed)
            assert phases.tasks > trouble.detection
            assert min(phases) >= 0


def test_one_worker_cannot_be_replaced():
    trouble = replace(DEATHS, failed_share=1.0)
    assert simulate(SMALL, Cluster(1), trouble) == simulate(SMALL, Cluster(1))


def test_threads_take_whole_slots():
    """48 threads of 64 slots take as long as 32; no thread is of use that has no slot."""
    assert cluster_model.slot_speed_up(64, 48) == cluster_model.slot_speed_up(64, 32) == 32
    assert [cluster_model.slot_speed_up(8, threads) for threads in (1, 2, 3, 8, 64)] == [
        1,
        2,
        8 / 3,
        8,
        8,
    ]
    assert cluster_model.count_slots(10**6, 16, 32) == 128
    assert cluster_model.count_slots(10**6, 256, 1000) == 8


def test_serial_share_explains_the_gain_of_two_threads():
    for gain in (1.5, 1.9, 1.98, 2.0):
        assert thread_scaling.amdahl(thread_scaling.serial_share(gain), 2) == pytest.approx(gain)
    assert thread_scaling.serial_share(2.1) == 0
    case = Measured("full", 10**6, 16, 32, 0.5, 1.9)
    assert case.scaled(1) == 1
    assert case.scaled(2) == pytest.approx(1.9)
    assert case.scaled(64) < 1 / case.serial_share


def test_memory_bounds_the_gain_of_threads():
    """An iteration takes no less than the read of X."""
    X_seconds = 8 * 10**6 * 16 / 2e11
    case = Measured("diag", 10**6, 16, 1, 4 * X_seconds, 2.0)
    assert case.scaled(64) == pytest.approx(4)
