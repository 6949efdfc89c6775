"""What an iteration of EM costs on many machines: sizes, rates and the formula.

docs/cost_model.md explains each term. simulate_cluster.py plays the same iteration event by event,
and cluster_runs.py measures the rates.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from fastgmm._kernels.layout import FULL, statistics_size
from fastgmm._kernels.threads import slot_bounds

# docs/performance.md: one thread of a Zen 4, float64, and the share of that peak which an
# iteration reaches by d. Every responsibility counts, so nothing is skipped: the dearest data.
PEAK = 58e9
SHARE_OF_PEAK = {8: 0.45, 16: 0.64, 32: 0.77, 64: 0.86, 256: 0.89, 784: 0.80}

# Assumed: round numbers, to replace by those of `simulate_cluster.py --calibrate`.
UPDATE_RATE = 1e9  # flop/s of the M step on one thread, where 2/3 K d^3 flops count
MERGE_RATE = 2e9  # bytes/s of the statistics that `+` adds to others
PICKLE_RATE = 1e9  # bytes/s of an object that is pickled and loaded again
# Assumed: the machines of the worked examples.
CORES = 16
BANDWIDTH = 25e9 / 8  # bytes/s of a link of 25 Gbit/s
LATENCY = 1e-3  # s of a message between two Python processes
# Dask's documentation says 0.2 to 1 ms a task.
SCHEDULER = 1e-3
# `fastgmm.distributed` adds eight neighbours in one task.
FAN_IN = 8


@dataclass(frozen=True)
class Problem:
    """Samples and a mixture with full covariances.

    Parameters
    ----------
    n_samples, n_features, n_components : int
        n, d and K.
    row_seconds : float
        The time that one core takes for one row.
    update_seconds : float
        The time of the M step.
    """

    n_samples: int
    n_features: int
    n_components: int
    row_seconds: float
    update_seconds: float

    @classmethod
    def at_default_rates(cls, n, d, K):
        """Return the problem with times from the constants of this file."""
        return cls(n, d, K, row_seconds(d, K), 2 / 3 * K * d**3 / UPDATE_RATE)

    @property
    def statistics_bytes(self):
        """Bytes of `SufficientStatistics`: nk, centres, first and second moments."""
        d, K = self.n_features, self.n_components
        return 8 * K * (1 + 2 * d + d * d)

    @property
    def parameter_bytes(self):
        """Bytes of `MixtureParameters`: weights, means, covariances and their factors."""
        d, K = self.n_features, self.n_components
        return 8 * K * (1 + d + 2 * d * d)


@dataclass(frozen=True)
class Cluster:
    """Machines, and how they are used.

    Parameters
    ----------
    workers, cores : int
        Cores of each worker.
    tasks : int
        Partitions of each worker: one task each. Tasks share the cores of their worker.
    fan_in : int
        How many statistics one task merges.
    scheduler : float
        Seconds of the scheduler for each task.
    latency : float
        Seconds of a message.
    bandwidth, client_bandwidth : float
        Bytes/s of the link of a worker and of the client.
    storage : float
        Bytes/s at which a worker reads its rows in each iteration; infinite if it holds them in
        memory.
    merge_rate, pickle_rate : float
        Bytes/s.
    is_tree : bool
        Whether workers pass the parameters on; if not, the client sends them to every worker.
    """

    workers: int
    cores: int = CORES
    tasks: int = 1
    fan_in: int = FAN_IN
    scheduler: float = SCHEDULER
    latency: float = LATENCY
    bandwidth: float = BANDWIDTH
    client_bandwidth: float = BANDWIDTH
    storage: float = math.inf
    merge_rate: float = MERGE_RATE
    pickle_rate: float = PICKLE_RATE
    is_tree: bool = True

    @property
    def at_once(self):
        """How many tasks of a worker run at the same time."""
        return min(self.tasks, self.cores)

    def message_seconds(self, n_bytes, bandwidth):
        """Return the time of a message, without its latency: packing, the link, unpacking."""
        return n_bytes / self.pickle_rate + n_bytes / bandwidth


class Phases(NamedTuple):
    """Seconds of an iteration, phase after phase."""

    broadcast: float
    tasks: float
    reduction: float
    update: float

    @property
    def total(self):
        """Seconds of the iteration."""
        return sum(self)


class Work(NamedTuple):
    """What one iteration asks of each resource, in seconds without waiting."""

    cores: float
    scheduler: float
    storage: float
    network: float
    client: float

    @property
    def limit(self):
        """Name of the resource that is needed longest."""
        return max(zip(self, self._fields, strict=True))[1]


def row_seconds(d, K):
    """Return the time of a row on one core: 2 (d^2 + 3 d) K flops at a share of the peak."""
    share = np.interp(np.log(d), np.log(list(SHARE_OF_PEAK)), list(SHARE_OF_PEAK.values()))
    return float(2 * (d * d + 3 * d) * K / (share * PEAK))


def count_slots(n_samples, d, K, kind=FULL):
    """Return into how many slots a pass divides its rows."""
    return len(slot_bounds(n_samples, statistics_size(kind, K, d))) - 1


def slot_speed_up(n_slots, n_threads):
    """Return how many times as fast threads are that take whole slots of equal work."""
    return n_slots / math.ceil(n_slots / n_threads)


def task_rows(problem, cluster):
    """Return how many rows a task has; the last one may have fewer."""
    return math.ceil(problem.n_samples / (cluster.workers * cluster.tasks))


def task_seconds(problem, cluster):
    """Return the time of a task once it has its rows, on its share of the cores."""
    rows = task_rows(problem, cluster)
    slots = count_slots(rows, problem.n_features, problem.n_components)
    threads = cluster.cores // cluster.at_once
    return rows * problem.row_seconds / slot_speed_up(slots, threads)


def read_seconds(problem, cluster):
    """Return the time in which a worker reads the rows of a task."""
    return 8 * problem.n_features * task_rows(problem, cluster) / cluster.storage


def groups_of_levels(cluster):
    """Return the size of the largest group at each level of the tree between workers."""
    sizes, count = [], cluster.workers
    while count > 1:
        sizes.append(min(cluster.fan_in, count))
        count = math.ceil(count / cluster.fan_in)
    return sizes


def count_merges(cluster):
    """Return how many tasks merge statistics of workers."""
    merges, count = 0, cluster.workers
    while count > 1:
        count = math.ceil(count / cluster.fan_in)
        merges += count
    return merges


def predict(problem, cluster):
    """Return the phases of an iteration in which all tasks take the same time.

    This is what the simulation gives without stragglers, but for the reduction, of which it is a
    bound from above: all merges pass through the scheduler one after the other, and each level
    takes as long as its largest group.
    """
    return Phases(
        _broadcast_seconds(problem, cluster),
        _tasks_seconds(problem, cluster),
        _reduction_seconds(problem, cluster),
        problem.update_seconds,
    )


def _broadcast_seconds(problem, cluster):
    size = problem.parameter_bytes
    from_client = cluster.message_seconds(size, cluster.client_bandwidth)
    if not cluster.is_tree:
        return cluster.workers * from_client + cluster.latency
    rounds = math.ceil(math.log2(cluster.workers))
    to_worker = cluster.message_seconds(size, cluster.bandwidth)
    return from_client + rounds * to_worker + (1 + rounds) * cluster.latency


def _tasks_seconds(problem, cluster):
    """Return when the last worker has its statistics: the scheduler, reading, computing."""
    compute, read = task_seconds(problem, cluster), read_seconds(problem, cluster)
    handed_out = cluster.workers * cluster.scheduler
    period, once = max(handed_out, read), min(handed_out, read)
    tasks, at_once = cluster.tasks, cluster.at_once
    if compute <= at_once * period:
        seconds = tasks * period + compute
    else:
        rounds = math.ceil(tasks / at_once)
        seconds = (tasks - (rounds - 1) * at_once) * period + rounds * compute
    return once + seconds + _own_merge_seconds(problem, cluster)


def _own_merge_seconds(problem, cluster):
    return (cluster.tasks - 1) * problem.statistics_bytes / cluster.merge_rate


def received_seconds(problem, cluster):
    """Return the time in which a worker receives statistics and adds them to its own."""
    size = problem.statistics_bytes
    return cluster.message_seconds(size, cluster.bandwidth) + size / cluster.merge_rate


def _reduction_seconds(problem, cluster):
    each = received_seconds(problem, cluster)
    tree = sum(cluster.latency + (size - 1) * each for size in groups_of_levels(cluster))
    queue = cluster.scheduler * count_merges(cluster)
    size = problem.statistics_bytes
    back = cluster.latency + cluster.message_seconds(size, cluster.client_bandwidth)
    return tree + queue + back


def work(problem, cluster):
    """Return what an iteration asks of each resource: the largest number says what saturates."""
    tasks, workers = cluster.tasks, cluster.workers
    rounds = math.ceil(tasks / cluster.at_once)
    phases = predict(problem, replace(cluster, scheduler=0.0))
    return Work(
        cores=rounds * task_seconds(problem, cluster) + _own_merge_seconds(problem, cluster),
        scheduler=cluster.scheduler * (workers * tasks + count_merges(cluster)),
        storage=tasks * read_seconds(problem, cluster),
        network=phases.broadcast + phases.reduction,
        client=phases.update,
    )
