"""Time per EM iteration of fastgmm and scikit-learn, in one run, on the same data and start.

The time of an iteration is the difference of a long and a short fit (tol 0, given weights,
means and precisions), divided by the difference of their iterations. The two libraries take
turns; the median ratio over the rounds is printed, and how closely the lower bounds agree.
"""

import argparse
import sys
import warnings
from pathlib import Path
from time import perf_counter

import numpy as np
from sklearn.mixture import GaussianMixture as Peer

from fastgmm import GaussianMixture

sys.path.insert(0, str(Path(__file__).parent))

from benchmarks.mixtures import make_samples, make_start

CASES = [
    ("full", 1_000_000, 2, 8),
    ("full", 1_000_000, 8, 16),
    ("full", 500_000, 16, 32),
    ("full", 200_000, 32, 32),
    ("full", 100_000, 64, 64),
    ("tied", 500_000, 16, 32),
    ("diag", 1_000_000, 16, 64),
    ("spherical", 1_000_000, 16, 64),
]


def fit_seconds(model, X, n_iter):
    """Return the seconds of a fit, and the fitted model."""
    model.set_params(max_iter=n_iter)
    start = perf_counter()
    model.fit(X)
    return perf_counter() - start


def iteration_seconds(model, X, short, long):
    """Return the seconds of one iteration."""
    first = fit_seconds(model, X, short)
    return (fit_seconds(model, X, long) - first) / (long - short)


def compare(covariance_type, n, d, K, rounds, dtype):
    """Return the seconds per iteration of both, round by round, and the relative difference."""
    X, means = make_samples(n, d, K, dtype)
    options = {"covariance_type": covariance_type, "tol": 0.0, **make_start(means, covariance_type)}
    ours, theirs = GaussianMixture(K, **options), Peer(K, **options)
    fit_seconds(ours, X, 1)
    seconds = np.array(
        [
            (iteration_seconds(ours, X, 2, 22), iteration_seconds(theirs, X, 1, 5))
            for _ in range(rounds)
        ]
    )
    fit_seconds(ours, X, 6)
    fit_seconds(theirs, X, 6)
    difference = abs(ours.lower_bound_ - theirs.lower_bound_) / abs(theirs.lower_bound_)
    return seconds, difference


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="float64", choices=["float64", "float32"])
    parser.add_argument("--only", default="", help="covariance type")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    print(
        "covariance      n      d    K   fastgmm ms   sklearn ms (min to max)   ratio   difference",
        flush=True,
    )
    for case in CASES:
        if arguments.only in case[0]:
            seconds, difference = compare(*case, arguments.rounds, arguments.dtype)
            ours, theirs = 1e3 * np.median(seconds, axis=0)
            low, high = 1e3 * seconds[:, 1].min(), 1e3 * seconds[:, 1].max()
            ratio = np.median(seconds[:, 1] / seconds[:, 0])
            print(
                f"{case[0]:10} {case[1]:9,} {case[2]:4} {case[3]:4} {ours:10.1f} {theirs:12.1f} "
                f"({low:5.0f} to {high:5.0f}) {ratio:8.1f}   {difference:.1e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
