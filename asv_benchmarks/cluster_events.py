"""One iteration of EM on a cluster, event by event, with stragglers and workers that die."""

import heapq
import itertools
import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from cluster_model import Phases, read_seconds, received_seconds, task_rows, task_seconds


@dataclass(frozen=True)
class Trouble:
    """What makes workers late. The defaults are assumptions.

    Parameters
    ----------
    sigma : float
        The time of a task is multiplied by exp(sigma z) with z from N(0, 1).
    slow_share, slow_factor : float
        Share of the workers that are slow in this iteration, and how many times as long they take.
    failed_share : float
        Share of the workers that die at some moment of their work.
    detection : float
        Seconds until the scheduler gives the tasks of a dead worker to others.
    reload : float
        Bytes/s at which they read its rows.
    """

    sigma: float = 0.05
    slow_share: float = 1e-3
    slow_factor: float = 2.0
    failed_share: float = 1e-4
    detection: float = 30.0
    reload: float = 1e9


NO_TROUBLE = Trouble(sigma=0.0, slow_share=0.0, failed_share=0.0)


class Clock:
    """Events in the order of time; those of the same moment in the order in which they came."""

    def __init__(self):
        self.now = 0.0
        self._events = []
        self._numbers = itertools.count()

    def at(self, time, action, *arguments):
        """Call a function at a time."""
        heapq.heappush(self._events, (time, next(self._numbers), action, arguments))

    def run(self):
        """Go through all events."""
        while self._events:
            self.now, _, action, arguments = heapq.heappop(self._events)
            action(*arguments)


class Queue:
    """A resource that serves one request after the other: the scheduler, a disk, a link."""

    def __init__(self, clock):
        self._clock = clock
        self._free = 0.0

    def serve(self, seconds, action, *arguments):
        """Call a function when the resource has worked so long on this request."""
        self._free = max(self._free, self._clock.now) + seconds
        self._clock.at(self._free, action, *arguments)


class Worker:
    """A worker: a disk, and places for as many tasks as run at once."""

    def __init__(self, clock, at_once, factor):
        self.storage = Queue(clock)
        self.free = at_once
        self.factor = factor
        self.is_alive = True
        self.ready = deque()
        self.taken = set()  # tasks of dead workers that it has not done yet


class Iteration:
    """One iteration of EM.

    The client sends the parameters to workers that pass them on. When all have them, the scheduler
    hands out tasks, to each worker in turn. A worker reads the rows of its tasks one after the
    other, computes, and merges the statistics of its tasks when it has all. A tree of tasks merges
    those of the workers, the client receives the sum and updates the parameters.
    """

    def __init__(self, problem, cluster, trouble, seed):
        self.problem, self.cluster, self.trouble = problem, cluster, trouble
        self.clock = Clock()
        self.scheduler = Queue(self.clock)
        rng = np.random.default_rng(seed)
        count, tasks = cluster.workers, cluster.tasks
        is_slow = rng.random(count) < trouble.slow_share
        self.noise = np.exp(trouble.sigma * rng.standard_normal((count, tasks))).tolist()
        self.dies = rng.random(count) < trouble.failed_share
        self.moments = rng.random(count)  # of death, as a part of the expected time of the tasks
        factors = np.where(is_slow, trouble.slow_factor, 1.0).tolist()
        self.workers = [Worker(self.clock, cluster.at_once, factor) for factor in factors]
        self.to_do = [tasks] * count
        self.waiting = {}  # members that are missing, by level and group
        self.compute = task_seconds(problem, cluster)
        self.read = read_seconds(problem, cluster)
        row_bytes = 8 * problem.n_features
        self.reload = row_bytes * task_rows(problem, cluster) / trouble.reload
        self.merge = problem.statistics_bytes / cluster.merge_rate
        self.receive = received_seconds(problem, cluster)
        self.next_rescuer = 0
        self.have_parameters = 0
        self.asked = 1 if cluster.is_tree else count
        self.without_statistics = count
        self.ends = []

    def run(self):
        """Return the phases."""
        self._broadcast()
        self.clock.run()
        starts = [0.0, *self.ends]
        return Phases(*(end - start for start, end in itertools.pairwise(starts)))

    def _broadcast(self):
        cluster, size = self.cluster, self.problem.parameter_bytes
        client = Queue(self.clock)
        seconds = cluster.message_seconds(size, cluster.client_bandwidth)
        self.pass_on = cluster.message_seconds(size, cluster.bandwidth)
        for _ in range(self.asked):
            client.serve(seconds, self._sent)

    def _sent(self):
        self.clock.at(self.clock.now + self.cluster.latency, self._has_parameters)

    def _has_parameters(self):
        self.have_parameters += 1
        if self.have_parameters == self.cluster.workers:
            self.ends.append(self.clock.now)
            self._hand_out()
        elif self.cluster.is_tree:
            # the new one and, if it does not come from the client, the one that sent it
            self._send_on()
            if self.have_parameters > 1:
                self._send_on()

    def _send_on(self):
        if self.asked < self.cluster.workers:
            self.asked += 1
            seconds = self.pass_on + self.cluster.latency
            self.clock.at(self.clock.now + seconds, self._has_parameters)

    def _hand_out(self):
        workers, tasks = self.cluster.workers, self.cluster.tasks
        for task in range(tasks):
            for w in range(workers):
                self.scheduler.serve(self.cluster.scheduler, self._begin, w, w, task, self.read)
        expected = tasks * max(self.compute / self.cluster.at_once, self.read)
        for w in np.flatnonzero(self.dies).tolist():
            self.clock.at(self.clock.now + self.moments[w] * expected, self._die, w)

    def _begin(self, w, owner, task, read):
        """Let worker w read the rows of a task of an owner, and compute when it has them."""
        if self.workers[w].is_alive:
            self.workers[w].storage.serve(read, self._can_compute, w, owner, task)

    def _can_compute(self, w, owner, task):
        self.workers[w].ready.append((owner, task))
        self._compute(w)

    def _compute(self, w):
        worker = self.workers[w]
        while worker.is_alive and worker.free and worker.ready:
            worker.free -= 1
            owner, task = worker.ready.popleft()
            seconds = self.compute * self.noise[owner][task] * worker.factor
            self.clock.at(self.clock.now + seconds, self._end_task, w, owner, task)

    def _end_task(self, w, owner, task):
        worker = self.workers[w]
        if not worker.is_alive:
            return
        worker.free += 1
        worker.taken.discard((owner, task))
        self._compute(w)
        self.to_do[owner] -= 1
        if self.to_do[owner] == 0:
            own_merge = (self.cluster.tasks - 1) * self.merge
            self.clock.at(self.clock.now + own_merge, self._has_statistics, owner)

    def _die(self, w):
        """End a worker that does not have its statistics yet: others do all its tasks again.

        What it has done for another dead worker is not lost: two such deaths in a row are rare.
        """
        if self.to_do[w] == 0 or sum(worker.is_alive for worker in self.workers) == 1:
            return
        self.workers[w].is_alive = False
        self.clock.at(self.clock.now + self.trouble.detection, self._rescue, w)

    def _rescue(self, w):
        self.to_do[w] = self.cluster.tasks
        own = {(w, task) for task in range(self.cluster.tasks)}
        for owner, task in sorted(own | self.workers[w].taken):
            rescuer = self._find_rescuer()
            self.workers[rescuer].taken.add((owner, task))
            self.scheduler.serve(
                self.cluster.scheduler, self._begin, rescuer, owner, task, self.reload
            )

    def _find_rescuer(self):
        while True:
            self.next_rescuer = (self.next_rescuer + 1) % self.cluster.workers
            if self.workers[self.next_rescuer].is_alive:
                return self.next_rescuer

    def _has_statistics(self, w):
        self.without_statistics -= 1
        if self.without_statistics == 0:
            self.ends.append(self.clock.now)
        self._climb(0, w)

    def _climb(self, level, place):
        """Hand the sum of a node to the group of its neighbours, or the last sum to the client."""
        count = math.ceil(self.cluster.workers / self.cluster.fan_in**level)
        if count == 1:
            self._return_sum()
            return
        group = place // self.cluster.fan_in
        first = group * self.cluster.fan_in
        size = min(self.cluster.fan_in, count - first)
        missing = self.waiting.get((level, group), size) - 1
        self.waiting[level, group] = missing
        if missing == 0:
            self.scheduler.serve(self.cluster.scheduler, self._merge, level, group, size)

    def _merge(self, level, group, size):
        seconds = self.cluster.latency + (size - 1) * self.receive
        self.clock.at(self.clock.now + seconds, self._climb, level + 1, group)

    def _return_sum(self):
        cluster, size = self.cluster, self.problem.statistics_bytes
        sent = cluster.latency + cluster.message_seconds(size, cluster.client_bandwidth)
        received = self.clock.now + sent
        self.ends += [received, received + self.problem.update_seconds]


def simulate(problem, cluster, trouble=NO_TROUBLE, seed=0):
    """Return the phases of one iteration.

    Parameters
    ----------
    problem : Problem
    cluster : Cluster
    trouble : Trouble
    seed : int
        Of the noise, and of who is slow and who dies.

    Returns
    -------
    Phases
    """
    return Iteration(problem, cluster, trouble, seed).run()
