"""Predictions for many components: all pairs, those that can matter, and a few candidates.

    python asv_benchmarks/compare_predictions.py

The log-densities and labels of 100,000 patches that truncated EM has not seen, or of the pixels of
a photograph in random order. The three take turns. Pruned results are compared with those of all
pairs bit by bit; truncated ones by the mean gap and the share of other labels.
"""

import argparse
from functools import partial
from statistics import median

import numpy as np
from compare_tree import seconds_of, start
from compare_truncated import truncated
from sklearn.datasets import load_sample_image

from fastgmm import _kernels as kernels
from fastgmm import em
from fastgmm._kernels.threads import count_threads
from fastgmm.data.sample_data import load_sample
from fastgmm.data.samples import Samples
from fastgmm.em import truncated_prediction
from fastgmm.model.pruned_prediction import PrunedPrediction

FITTED = 200_000
THREADS = count_threads()


def data(name):
    """Return samples to fit, and others to predict, in random order."""
    if name == "patches":
        X = load_sample("patches").astype(np.float64)
    else:
        X = load_sample_image("china.jpg").reshape(-1, 3).astype(np.float64)
    X = np.random.default_rng(0).permutation(X)
    return X[:FITTED], X[-100_000:]


def all_pairs(X, parameters):
    found = np.empty(len(X)), np.empty(len(X), np.int64)
    components = parameters.components()
    kernels.posterior(X, components, THREADS, log_prob_norm=found[0], labels=found[1])
    return found


def pruned(X, parameters):
    found = np.empty(len(X)), np.empty(len(X), np.int64)
    prediction = PrunedPrediction(parameters, THREADS)
    prediction.posterior(X, THREADS, log_prob_norm=found[0], labels=found[1])
    return found


def candidates(X, parameters):
    return truncated_prediction.density_and_label(Samples(X), parameters, THREADS)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", default=["patches", "pixels"])
    parser.add_argument("--covariance-types", nargs="+", default=["diag", "full"])
    parser.add_argument("--components", type=int, nargs="+", default=[2_048, 8_000])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    for name in arguments.data:
        X, others = data(name)
        floor = 1e-4 if name == "patches" else 1.0
        for kind in arguments.covariance_types:
            for K in arguments.components:
                update = em.ClosedForm(1e-6, covariance_floor=floor)
                first = start(X, K, kind, reg_covar=floor)
                parameters = truncated(X, first, update, 15).parameters
                ways = all_pairs, pruned, candidates
                exact, same, some = (way(others, parameters) for way in ways)  # compiles
                assert all(map(np.array_equal, exact, same))
                gap, differ = np.mean(exact[0] - some[0]), np.mean(exact[1] != some[1])
                rounds = [
                    [seconds_of(partial(way, others, parameters))[1] for way in ways]
                    for _ in range(arguments.rounds)
                ]
                times = [median(own[0] / own[i] for own in rounds) for i in (1, 2)]
                print(
                    f"{name} {kind:5} K = {K:6}: all pairs {rounds[-1][0]:6.2f} s, pruned "
                    f"{times[0]:5.2f} times as fast, truncated {times[1]:5.2f} times; gap "
                    f"{gap:.4f} nats, other labels {100 * differ:.2f} %",
                    flush=True,
                )


if __name__ == "__main__":
    main()
