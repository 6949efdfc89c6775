"""Starts for many components: their time beside iterations of EM, and what EM makes of them.

    python asv_benchmarks/compare_tree.py

On 200,000 patches of 16 pixels: the time of starts, in iterations of exact EM with 200 components,
with which they take turns. With --kmeans, the clusters of k-means too, and the mean
log-likelihood of other patches after --iterations of EM from both starts.
"""

import argparse
from statistics import median
from time import perf_counter

import numpy as np

from fastgmm import em
from fastgmm.data.sample_data import load_sample

REG_COVAR = 1e-6
DENSE = 200


def seconds_of(function):
    """Return what a function returns, and its wall time."""
    began = perf_counter()
    result = function()
    return result, perf_counter() - began


def start(X, K, covariance_type, init_params="tree", seed=0, reg_covar=REG_COVAR):
    """Return the parameters of a start."""
    return em.starting_parameters(
        X,
        K,
        covariance_type=covariance_type,
        init_params=init_params,
        reg_covar=reg_covar,
        random_state=seed,
    )


def iterate(X, parameters, number):
    """Return the result of so many iterations."""
    update = em.ClosedForm(REG_COVAR)
    return em.fit(X, parameters, update=update, convergence=em.Never(), max_iter=number)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=200_000)
    parser.add_argument("--components", type=int, nargs="+", default=[1_000, 4_000, 50_000])
    parser.add_argument("--covariance-types", nargs="+", default=["diag", "full"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kmeans", action="store_true")
    parser.add_argument("--iterations", type=int, default=15)
    arguments = parser.parse_args()
    patches = load_sample("patches").astype(np.float64)
    order = np.random.default_rng(0).permutation(len(patches))
    X, others = patches[order[: arguments.samples]], patches[order[-100_000:]]
    for kind in arguments.covariance_types:
        dense = start(X, DENSE, kind, "tree")
        iterate(X, dense, 1)  # compiles
        for K in arguments.components:
            ratios = []
            for seed in range(arguments.rounds):
                _, iteration = seconds_of(lambda d=dense: iterate(X, d, 3))
                _, own = seconds_of(lambda K=K, k=kind, s=seed: start(X, K, k, "tree", s))
                ratios.append(3 * own / iteration)
            print(
                f"{kind:5} K = {K:6}: {median(ratios):6.2f} dense iterations, "
                f"the last of {1e3 * iteration / 3:.0f} ms",
                flush=True,
            )
            for init_params in ("tree", "kmeans") if arguments.kmeans else ():
                first, own = seconds_of(lambda K=K, k=kind, i=init_params: start(X, K, k, i))
                result = iterate(X, first, arguments.iterations)
                print(
                    f"      {init_params:6} {own:7.2f} s, after {arguments.iterations} iterations "
                    f"{result.lower_bound:.3f}, others {result.score(others):.3f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
