"""Time per EM iteration of two Dask workers of one thread and of one process of two threads.

Both fit the same samples from the same start, in turns. Iterations count from the second on: in
the first, processes get their memory. Nothing else should run on the machine.
"""

import argparse
import warnings

import numpy as np
from dask import delayed
from distributed import Client, LocalCluster
from sklearn.exceptions import ConvergenceWarning

import fastgmm
from fastgmm import distributed


def make(number, n, d, K):
    """Return the samples of a partition: K clusters that overlap."""
    means = np.random.default_rng(0).normal(scale=2.0, size=(K, d))
    rng = np.random.default_rng(number + 1)
    return means[rng.integers(K, size=n)] + rng.normal(size=(n, d))


def seconds(estimator, X, arguments):
    """Return the seconds of each iteration but the first."""
    model = estimator(
        arguments.components,
        covariance_type=arguments.covariance_type,
        init_params="random_from_data",
        tol=0.0,
        max_iter=arguments.iterations + 1,
        random_state=0,
        n_jobs=arguments.workers,
    ).fit(X)
    return [iteration.seconds for iteration in model.history_[1:]], model.lower_bound_


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=2_000_000)
    parser.add_argument("--features", type=int, default=16)
    parser.add_argument("--components", type=int, default=32)
    parser.add_argument("--covariance-type", default="full")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    n = arguments.samples // arguments.workers
    shape = n, arguments.features, arguments.components
    X = np.concatenate([make(number, *shape) for number in range(arguments.workers)])
    partitions = [delayed(make)(number, *shape) for number in range(arguments.workers)]
    options = {"threads_per_worker": 1, "dashboard_address": ":0", "memory_limit": 0}
    ratios = []
    with LocalCluster(n_workers=arguments.workers, **options) as cluster, Client(cluster):
        for number in range(arguments.rounds):
            one, bound = seconds(fastgmm.GaussianMixture, X, arguments)
            many, other = seconds(distributed.GaussianMixture, partitions, arguments)
            assert abs(bound - other) < 1e-10
            ratios.append(np.median(many) / np.median(one))
            print(
                f"round {number}: one process of {arguments.workers} threads "
                f"{1e3 * np.median(one):.1f} ms, {arguments.workers} workers "
                f"{1e3 * np.median(many):.1f} ms an iteration, {ratios[-1]:.3f} times",
                flush=True,
            )
    print(f"median: {np.median(ratios):.3f} times the time of one process")


if __name__ == "__main__":
    main()
