"""Rates of this machine, and real EM on one and two processes beside the simulation.

The processes are arranged as the simulation arranges workers: the client sends the parameters to
the first, which passes them on. Each summarises its own rows on one thread, neighbours add up their
statistics, and the client gets the sum and updates the parameters.
"""

import multiprocessing
import pickle
from contextlib import ExitStack
from statistics import median
from time import perf_counter
from typing import NamedTuple

import numpy as np
from cluster_events import simulate
from cluster_model import Cluster, Problem, predict
from tables import SPREAD, best_seconds, iteration_seconds, mixture_of

from fastgmm import em
from fastgmm._kernels.blas import one_blas_thread
from fastgmm._kernels.floating_point import numpys_rules
from fastgmm.data.samples import Samples

SHAPES = [(400_000, 16, 32), (50_000, 64, 64), (10_000, 256, 64)]
N_ITER = 7


class Rates(NamedTuple):
    """What a shape costs here: seconds, and bytes/s. ``rows`` has those of one core and of two."""

    rows: tuple[float, float]
    update: float
    merge: float
    pickled: float
    latency: float
    link: float


def start_of(d, K):
    """Return the mixture at which all runs of a shape start."""
    return mixture_of("full", SPREAD * np.random.default_rng(0).standard_normal((K, d)))


def rows_of(n, d, number):
    """Return the rows of a worker: every responsibility counts."""
    return np.random.default_rng(number).standard_normal((n, d))


class Worker:
    """A process with rows of its own and links to others: see ``serve``."""

    def __init__(self, context, problem, count, number, inner):
        self.link, other = context.Pipe()
        n, d = problem.n_samples // count, problem.n_features
        arguments = (n, d, number, other, *inner)
        self.process = context.Process(target=serve, args=arguments, daemon=True)
        self.process.start()
        other.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.link.close()
        self.process.join(10)
        self.process.terminate()


@numpys_rules()
def serve(n, d, number, link, above, below):
    """Answer parameters with statistics, and bytes with the same bytes, until the link closes.

    Parameters
    ----------
    n, d, number : int
        Rows, features, and which rows.
    link : Connection or None
        To the client, if this is the first worker.
    above, below : Connection or None
        To the worker that has the parameters first, and to the one that gets them from here.
    """
    samples, posterior = Samples(rows_of(n, d, number)), em.ExactPosterior(1)
    source = link if above is None else above
    with one_blas_thread():
        while True:
            try:
                received = source.recv()
            except EOFError:
                return
            if isinstance(received, bytes):
                source.send(received)
                continue
            if below is not None:
                below.send(received)
            statistics = posterior.summarize(samples, received)
            if below is not None:
                statistics = statistics + below.recv()
            source.send(statistics)


def start_workers(stack, problem, count):
    """Start one or two workers; return the link to the first."""
    context = multiprocessing.get_context("spawn")
    if count == 1:
        return stack.enter_context(Worker(context, problem, 1, 0, (None, None))).link
    upper, lower = context.Pipe()
    first = stack.enter_context(Worker(context, problem, 2, 0, (None, lower)))
    stack.enter_context(Worker(context, problem, 2, 1, (upper, None)))
    upper.close()
    lower.close()
    return first.link


def measure_rates(n, d, K):
    """Return what this shape costs here."""
    start = start_of(d, K)
    statistics = em.ExactPosterior(1).summarize(Samples(rows_of(2048, d, 0)), start)
    update = em.ClosedForm(n_jobs=1)
    with one_blas_thread():
        update_seconds = best_seconds(lambda: update(statistics, start))
    one, two = (iteration_seconds("full", n, d, K, threads) for threads in (1, 2))
    problem = Problem(1, d, K, 0.0, update_seconds)
    size = problem.statistics_bytes
    pickled = best_seconds(lambda: pickle.loads(pickle.dumps(statistics)))
    with ExitStack() as stack:
        link = start_workers(stack, problem, 1)
        short, long = (echo_seconds(link, n_bytes) for n_bytes in (1, size))
    return Rates(
        rows=((one - update_seconds) / n, 2 * (two - update_seconds) / n),
        update=update_seconds,
        merge=size / best_seconds(lambda: statistics + statistics),
        pickled=size / pickled,
        latency=short,
        link=size / max(long - short, 1e-9),
    )


def echo_seconds(link, n_bytes):
    """Return half the time of bytes to a worker and back."""
    message = bytes(n_bytes)

    def there_and_back():
        link.send(message)
        link.recv()

    return best_seconds(there_and_back) / 2


def calibrate():
    """Print the rates of all shapes, on one thread, and the rows on two."""
    print(
        "| n | d | K | row, ns | on both cores, ns | M step, ms | M step, GFLOP/s | merge, GB/s | "
        "pickle, GB/s | latency, us | pipe, GB/s |"
    )
    print("|" + "--:|" * 11)
    for n, d, K in SHAPES:
        rates = measure_rates(n, d, K)
        one, two = (1e9 * seconds for seconds in rates.rows)
        flops = 2 / 3 * K * d**3 / rates.update
        print(
            f"| {n:,} | {d} | {K} | {one:,.0f} | {two:,.0f} | "
            f"{1e3 * rates.update:.2f} | {flops / 1e9:.2f} | {rates.merge / 1e9:.1f} | "
            f"{rates.pickled / 1e9:.2f} | {1e6 * rates.latency:.0f} | {rates.link / 1e9:.1f} |",
            flush=True,
        )


def run_em(problem, count):
    """Return the seconds of the median iteration on one or two processes.

    Each begins at the same mixture, at which every responsibility counts, as the formula assumes.
    """
    update = em.ClosedForm(n_jobs=1)
    parameters = start_of(problem.n_features, problem.n_components)
    seconds = []
    with ExitStack() as stack, one_blas_thread():
        link = start_workers(stack, problem, count)
        for _ in range(N_ITER + 1):
            start = perf_counter()
            link.send(parameters)
            update(link.recv(), parameters)
            seconds.append(perf_counter() - start)
    return median(seconds[1:])  # the first loads the kernels


def compare():
    """Print measured iterations beside those of the formula and the simulation."""
    print("| n | d | K | workers | measured, ms | formula, ms | simulated, ms | difference |")
    print("|" + "--:|" * 8)
    for n, d, K in SHAPES:
        rates = measure_rates(n, d, K)
        for count in (1, 2):
            problem = Problem(n, d, K, rates.rows[count - 1], rates.update)
            cluster = Cluster(
                count,
                cores=1,
                fan_in=2,
                scheduler=0.0,
                latency=rates.latency,
                bandwidth=rates.link,
                client_bandwidth=rates.link,
                merge_rate=rates.merge,
                pickle_rate=rates.pickled,
            )
            measured = run_em(problem, count)
            formula, simulated = (f(problem, cluster).total for f in (predict, simulate))
            print(
                f"| {n:,} | {d} | {K} | {count} | {1e3 * measured:.1f} | {1e3 * formula:.1f} | "
                f"{1e3 * simulated:.1f} | {measured / simulated - 1:+.1%} |",
                flush=True,
            )
