"""Truncated EM for many components: its iterations and whole fits beside iterations of exact EM.

    python asv_benchmarks/compare_truncated.py

On 200,000 patches of 16 pixels, in iterations of exact EM with 200 components of the same
covariance type, with which they take turns. A whole fit includes its start, and ends when the bound
changes by less than 1e-4 of itself. Its mean log-likelihood is that of exact EM's density, on these
patches and on 100,000 others.
"""

import argparse
from statistics import median
from time import perf_counter

import numpy as np
from compare_tree import DENSE, iterate, start

from fastgmm import em
from fastgmm.data.sample_data import load_sample

RELATIVE_TOL = 1e-4


def seconds_of_iteration(result):
    """Return the median of all iterations but the first two, which hold first uses of memory."""
    return median(iteration.seconds for iteration in result.history[2:])


def truncated(X, parameters, update, number, callback=None):
    """Return the result of so many iterations of truncated EM."""
    return em.fit(
        X,
        parameters,
        posterior=em.NeighborhoodPosterior(),
        update=update,
        convergence=em.Never(),
        max_iter=number,
        callback=callback,
    )


def fit(X, parameters, update):
    """Return the result of a fit until the bound hardly changes."""
    bounds = [0.0]

    def settles(iteration):
        bounds.append(iteration.lower_bound)
        return abs(bounds[-1] - bounds[-2]) < RELATIVE_TOL * abs(bounds[-2])

    return truncated(X, parameters, update, 200, settles)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=200_000)
    parser.add_argument("--components", type=int, nargs="+", default=[1_000, 8_000, 64_000])
    parser.add_argument("--covariance-types", nargs="+", default=["diag", "full"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--reg-covar", type=float, default=1e-6)
    parser.add_argument("--covariance-floor", type=float, default=0.0)
    parser.add_argument("--fits", action="store_true", help="whole fits, too")
    arguments = parser.parse_args()
    patches = load_sample("patches").astype(np.float64)
    order = np.random.default_rng(0).permutation(len(patches))
    X, others = patches[order[: arguments.samples]], patches[order[-100_000:]]
    update = em.ClosedForm(arguments.reg_covar, covariance_floor=arguments.covariance_floor)
    least = max(arguments.reg_covar, arguments.covariance_floor)
    for kind in arguments.covariance_types:
        dense = start(X, DENSE, kind)
        iterate(X, dense, 1)  # compiles
        for K in arguments.components:
            first = start(X, K, kind, reg_covar=least)
            truncated(X, first, update, 1)
            ratios = []
            for _ in range(arguments.rounds):
                exact = seconds_of_iteration(iterate(X, dense, 6))
                ratios.append(seconds_of_iteration(truncated(X, first, update, 6)) / exact)
            print(
                f"{kind:5} K = {K:6}: {median(ratios):5.2f} dense iterations, "
                f"the last of {1e3 * exact:.0f} ms",
                flush=True,
            )
            if arguments.fits:
                report_fit((X, others), (K, kind, least), update, exact)


def report_fit(samples, setting, update, exact):
    """Print how long a whole fit takes, and how good it is."""
    (X, others), (K, kind, least) = samples, setting
    began = perf_counter()
    first = start(X, K, kind, reg_covar=least)
    of_start = perf_counter() - began
    result = fit(X, first, update)
    seconds = perf_counter() - began
    print(
        f"      whole fit: {seconds / exact:5.1f} dense iterations ({of_start / exact:.1f} of the "
        f"start), {seconds:.2f} s, {result.n_iter} iterations; bound {result.lower_bound:.3f}, "
        f"log-likelihood {result.score(X):.3f}, others {result.score(others):.3f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
