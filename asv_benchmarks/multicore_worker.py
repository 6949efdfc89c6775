"""Time the fastgmm that is on the path, case by case, as multicore.py asks.

A line on stdin names a case and a number of threads, 0 for all; the answer is a line of seconds.
Only public names of fastgmm are used: commits may differ in all else.
"""

import json
import sys
import warnings
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np

import fastgmm

N_ITER = 6


class Case(NamedTuple):
    """What is timed: iterations of ``fit``, or calls of ``predict_proba``."""

    operation: str
    covariance_type: str
    dtype: str
    n_samples: int
    n_features: int
    n_components: int


@lru_cache(maxsize=1)
def prepare(case):
    """Return samples of overlapping clusters, and options for a model that starts near them."""
    K, d = case.n_components, case.n_features
    rng = np.random.default_rng(0)
    means = rng.standard_normal((K, d))
    X = means[rng.integers(K, size=case.n_samples)] + rng.standard_normal((case.n_samples, d))
    precisions = {
        "full": np.tile(np.eye(d), (K, 1, 1)),
        "tied": np.eye(d),
        "diag": np.ones((K, d)),
        "spherical": np.ones(K),
    }
    return X.astype(case.dtype), {
        "n_components": K,
        "covariance_type": case.covariance_type,
        "tol": 0.0,
        "weights_init": np.full(K, 1 / K),
        "means_init": means + 0.1 * rng.standard_normal((K, d)),
        "precisions_init": precisions[case.covariance_type],
    }


@lru_cache(maxsize=1)
def fitted(case, n_jobs):
    """Return a fitted model."""
    X, options = prepare(case)
    return fastgmm.GaussianMixture(**options, max_iter=1, n_jobs=n_jobs).fit(X)


def measure(case, n_jobs):
    """Return the seconds of a few iterations or calls, the first left out."""
    X, options = prepare(case)
    if case.operation == "fit":
        stamps = []
        model = fastgmm.GaussianMixture(**options, max_iter=N_ITER + 1, n_jobs=n_jobs)
        model.fit(X, callback=lambda _: stamps.append(perf_counter()))
    else:
        model = fitted(case, n_jobs)
        stamps = [perf_counter() for _ in range(N_ITER + 1) if model.predict_proba(X) is not None]
    return [end - start for start, end in pairwise(stamps)]


def main():
    site = Path(sys.argv[1]).resolve()
    found = Path(fastgmm.__file__).resolve()
    if not found.is_relative_to(site):
        raise SystemExit(f"multicore_worker: fastgmm must come from {site}, got {found}")
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        case, n_threads = json.loads(line)
        print(json.dumps(measure(Case(*case), n_threads or None)), flush=True)


if __name__ == "__main__":
    main()
