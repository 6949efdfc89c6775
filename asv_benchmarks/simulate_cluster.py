"""The tables of docs/cost_model.md, as Markdown: an iteration of EM on 1 to 10,000 machines.

Without a choice of table: seconds of an iteration, phase by phase, and what it waits for.
--calibrate, --compare and --measure-threads run fastgmm: give them an idle machine.
"""

import argparse
import itertools
import math
from bisect import bisect
from dataclasses import replace
from statistics import fmean

import thread_scaling
from cluster_events import NO_TROUBLE, Trouble, simulate
from cluster_model import (
    BANDWIDTH,
    CORES,
    FAN_IN,
    LATENCY,
    SCHEDULER,
    Cluster,
    Problem,
    predict,
    work,
)

SHAPES = [(16, 32), (64, 256), (256, 1000)]
WORKERS = [1, 10, 100, 1_000, 10_000]
N_ITER = 20
#: Of the table of limits.
ROWS = [10**9, 10**10, 10**11, 10**12]


def shown(seconds):
    """Return a duration with three digits and a unit."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            value = seconds / size
            return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


def shown_bytes(count):
    """Return a number of bytes with three digits and a decimal unit."""
    power = min(int(math.log10(count)) // 3, 5)
    return f"{count / 1000**power:.3g} {['B', 'kB', 'MB', 'GB', 'TB', 'PB'][power]}"


def mean_seconds(problem, cluster, trouble):
    """Return the mean time of some iterations."""
    return fmean(simulate(problem, cluster, trouble, seed).total for seed in range(N_ITER))


def print_header(*names):
    print("| " + " | ".join(names) + " |")
    print("|" + "--:|" * len(names))


def print_row(*cells):
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def problems(arguments):
    """Yield each problem."""
    for d, K in arguments.shapes:
        problem = Problem.at_default_rates(arguments.rows, d, K)
        row = problem.row_seconds if arguments.row is None else 1e-9 * arguments.row
        yield Problem(arguments.rows, d, K, row, problem.update_seconds)


def clusters(arguments):
    """Yield each cluster."""
    for workers, tasks in itertools.product(arguments.workers, arguments.tasks):
        yield Cluster(
            workers,
            cores=arguments.cores,
            tasks=tasks,
            fan_in=arguments.fan_in,
            scheduler=1e-3 * arguments.scheduler,
            latency=1e-3 * arguments.latency,
            bandwidth=1e9 / 8 * arguments.bandwidth,
            client_bandwidth=1e9 / 8 * arguments.bandwidth,
            storage=1e9 * arguments.storage,
            is_tree=not arguments.from_client,
        )


def print_iterations(arguments):
    """Print the phases by the simulation without stragglers, and the limit."""
    print_header(
        *("d", "K", "workers", "tasks", "broadcast", "tasks done", "reduction", "M step"),
        *("iteration", "formula", "with stragglers", "cores busy", "limit"),
    )
    for problem, cluster in itertools.product(problems(arguments), clusters(arguments)):
        phases = simulate(problem, cluster)
        late = mean_seconds(problem, cluster, Trouble())
        busy = problem.n_samples * problem.row_seconds / cluster.workers / cluster.cores
        print_row(
            *(problem.n_features, problem.n_components, f"{cluster.workers:,}", cluster.tasks),
            *map(shown, (*phases, phases.total, predict(problem, cluster).total, late)),
            f"{busy / phases.total:.0%}",
            work(problem, cluster).limit,
        )


def print_bytes(arguments):
    """Print what moves in an iteration."""
    print_header(
        *("d", "K", "parameters", "statistics", "over all links, 1,000 workers"),
        f"X, {arguments.rows:.0e} rows",
    )
    for problem in problems(arguments):
        sent, back = problem.parameter_bytes, problem.statistics_bytes
        size = 8 * problem.n_features * problem.n_samples
        cells = map(shown_bytes, (sent, back, 1000 * (sent + back), size))
        print_row(problem.n_features, problem.n_components, *cells)


def print_stragglers(arguments):
    """Print what each kind of trouble adds to an iteration."""
    cases = {
        "noise": Trouble(slow_share=0.0, failed_share=0.0),
        "slow workers": Trouble(sigma=0.0, failed_share=0.0),
        "dead workers": Trouble(sigma=0.0, slow_share=0.0),
        "all": Trouble(),
    }
    print_header("d", "K", "workers", "tasks", "without", *cases)
    for problem, cluster in itertools.product(problems(arguments), clusters(arguments)):
        plain = simulate(problem, cluster, NO_TROUBLE).total
        late = (mean_seconds(problem, cluster, trouble) for trouble in cases.values())
        shape = problem.n_features, problem.n_components, f"{cluster.workers:,}", cluster.tasks
        print_row(*shape, shown(plain), *(f"{total / plain - 1:+.1%}" for total in late))


def print_limits(arguments):
    """Print from how many workers on something else than cores is the limit."""
    print_header("d", "K", "n", "workers", "rows a core", "limit", "iteration")
    cluster = next(clusters(arguments))
    for problem, rows in itertools.product(problems(arguments), ROWS):
        problem = replace(problem, n_samples=rows)
        workers = first_limited(problem, cluster)
        limited = replace(cluster, workers=workers)
        print_row(
            *(problem.n_features, problem.n_components, f"{rows:.0e}", f"{workers:,}"),
            f"{rows / workers / cluster.cores:,.0f}",
            *(work(problem, limited).limit, shown(predict(problem, limited).total)),
        )


def first_limited(problem, cluster):
    """Return the smallest number of workers of which the cores are not the limit."""
    numbers = range(1, 10**9)

    def is_limited(workers):
        return work(problem, replace(cluster, workers=workers)).limit != "cores"

    return numbers[bisect(numbers, False, key=is_limited)]


def print_examples(arguments):
    """Print what a fit of a hundred iterations takes."""
    print_header(
        *("d", "K", "workers", "cores", "X, a worker", "over all links, an iteration"),
        *("iteration", "100 iterations", "core hours", "limit"),
    )
    for problem, cluster in itertools.product(problems(arguments), clusters(arguments)):
        seconds = mean_seconds(problem, cluster, Trouble())
        workers, moved = cluster.workers, problem.parameter_bytes + problem.statistics_bytes
        print_row(
            *(problem.n_features, problem.n_components, f"{workers:,}", workers * cluster.cores),
            shown_bytes(8 * problem.n_features * problem.n_samples / workers),
            shown_bytes(workers * moved),
            *(shown(seconds), shown(100 * seconds)),
            f"{100 * seconds * workers * cluster.cores / 3600:.2g}",
            work(problem, cluster).limit,
        )


def shape_of(text):
    """Return d and K of an argument such as 16,32."""
    d, K = map(int, text.split(","))
    return d, K


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    tables = parser.add_mutually_exclusive_group()
    for name, text in (
        ("bytes", "what moves in an iteration"),
        ("limits", "from how many workers on cores are not the limit"),
        ("examples", "a hundred iterations"),
        ("stragglers", "what noise, slow and dead workers add"),
        ("threads", "1 to 64 threads of one machine, from published measurements"),
        ("measure-threads", "the same from measurements here"),
        ("calibrate", "measure the rates here"),
        ("compare", "real EM on one and two processes beside the simulation"),
    ):
        tables.add_argument(f"--{name}", action="store_true", help=text)
    parser.add_argument("--rows", type=lambda text: int(float(text)), default=10**12)
    parser.add_argument("--shapes", type=shape_of, nargs="+", default=SHAPES, metavar="d,K")
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS)
    parser.add_argument("--cores", type=int, default=CORES, help="of each worker")
    parser.add_argument("--tasks", type=int, nargs="+", default=[2], help="of each worker")
    parser.add_argument("--row", type=float, help="ns of a row on one core")
    parser.add_argument("--scheduler", type=float, default=1e3 * SCHEDULER, help="ms a task")
    parser.add_argument("--latency", type=float, default=1e3 * LATENCY, help="ms a message")
    parser.add_argument("--bandwidth", type=float, default=8e-9 * BANDWIDTH, help="Gbit/s")
    parser.add_argument("--storage", type=float, default=math.inf, help="GB/s of each worker")
    parser.add_argument("--fan-in", type=int, default=FAN_IN, help="statistics that a task merges")
    parser.add_argument("--from-client", action="store_true", help="no worker passes on parameters")
    return parser.parse_args()


def main():
    arguments = parse()
    if arguments.calibrate or arguments.compare:
        import cluster_runs

        (cluster_runs.calibrate if arguments.calibrate else cluster_runs.compare)()
    elif arguments.measure_threads:
        thread_scaling.print_scaling(thread_scaling.measure())
    elif arguments.threads:
        thread_scaling.print_scaling(thread_scaling.PUBLISHED)
    else:
        tables = {
            "bytes": print_bytes,
            "limits": print_limits,
            "examples": print_examples,
            "stragglers": print_stragglers,
        }
        asked = next((name for name in tables if getattr(arguments, name)), None)
        tables.get(asked, print_iterations)(arguments)


if __name__ == "__main__":
    main()
