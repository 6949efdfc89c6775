"""Final scores of fastgmm and scikit-learn from the same starts, over data sets, models and seeds.

For each ``init_params``: how far the median and the minimum over the seeds lie above those of
scikit-learn, in nats per sample. ``auto`` is compared with scikit-learn's default. ``--patches``
takes 25,000 image patches, where a start from a part of the rows may end lower.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import sklearn.mixture
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from fastgmm import GaussianMixture
from fastgmm.data.sample_data import load_sample
from fastgmm.init import INIT_PARAMS

TYPES = ("full", "tied", "diag", "spherical")
TOLERANCE = 1e-3
COLUMNS = "data           covariance  init              worst median  worst minimum   medians above"


def small_tables():
    """Return the five tables by name."""
    faithful = Path(__file__).parent.parent / "tests" / "data" / "faithful.csv"
    digits = PCA(20, svd_solver="full").fit_transform(load_digits().data)
    return {
        "iris": load_iris().data,
        "wine": load_wine().data,
        "breast cancer": load_breast_cancer().data,
        "digits": digits,
        "Old Faithful": np.loadtxt(faithful, delimiter=",", skiprows=1),
    }


def patches():
    """Return 25,000 image patches by name."""
    X = load_sample("patches")
    rows = np.random.default_rng(0).choice(len(X), 25_000, replace=False)
    return {"patches": X[rows]}


def scores(estimator, X, init_params, n_seeds, **options):
    """Return the final score of each seed, sorted."""
    models = (estimator(init_params=init_params, random_state=s, **options) for s in range(n_seeds))
    return np.sort([model.fit(X).score(X) for model in models])


def compare(X, covariance_type, counts, init_params, arguments):
    """Return the differences of medians and minima, a row for each number of components."""
    theirs = "kmeans" if init_params == "auto" else init_params
    rows = []
    for K in counts:
        options = {"n_components": K, "covariance_type": covariance_type}
        own = scores(
            GaussianMixture,
            X,
            init_params,
            arguments.seeds,
            stop_rule=arguments.stop_rule,
            n_jobs=arguments.jobs,
            **options,
        )
        peer = scores(sklearn.mixture.GaussianMixture, X, theirs, arguments.seeds, **options)
        rows.append((np.median(own) - np.median(peer), own[0] - peer[0]))
    return np.array(rows)


def report_standardising(tables, counts, arguments):
    """Print where scikit-learn gains by standardising, and where the default does not gain."""
    helped = above = 0
    for name, X in tables.items():
        scaler = StandardScaler().fit(X)
        shift = np.log(scaler.scale_).sum()  # of the log-density, by the change of units
        for covariance_type in TYPES:
            for K in counts:
                options = {"n_components": K, "covariance_type": covariance_type}
                peer = sklearn.mixture.GaussianMixture
                plain = np.median(scores(peer, X, "kmeans", arguments.seeds, **options))
                scaled = np.median(
                    scores(peer, scaler.transform(X), "kmeans", arguments.seeds, **options) - shift
                )
                # a variance for all features is another model in other units
                if covariance_type == "spherical" or scaled < plain + TOLERANCE:
                    continue
                options |= {"stop_rule": arguments.stop_rule, "n_jobs": arguments.jobs}
                own = np.median(scores(GaussianMixture, X, "auto", arguments.seeds, **options))
                helped += 1
                above += own > plain + TOLERANCE
                if own <= plain + TOLERANCE:
                    print(f"{name}, {covariance_type}, K={K}: {own - plain:+.4f}", flush=True)
    print(f"standardising helps in {helped} cases; the default is above scikit-learn in {above}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--init", nargs="*", default=INIT_PARAMS, choices=INIT_PARAMS)
    parser.add_argument("--stop-rule", default="last-change")
    parser.add_argument("--jobs", type=int, default=None)
    parser.add_argument("--patches", action="store_true", help="25,000 patches, K = 8")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    tables, counts = (patches(), (8,)) if arguments.patches else (small_tables(), (2, 5, 9))
    below = 0
    print(COLUMNS, flush=True)
    for name, X in tables.items():
        for covariance_type in TYPES:
            for init_params in arguments.init:
                found = compare(X, covariance_type, counts, init_params, arguments)
                below += (found < -TOLERANCE).any(axis=1).sum()
                above = (found[:, 0] > TOLERANCE).sum()
                median, minimum = found.min(axis=0)
                print(
                    f"{name:14} {covariance_type:11} {init_params:17} {median:+12.4f}"
                    f" {minimum:+14.4f} {above:9} of {len(found)}",
                    flush=True,
                )
    print(f"cases with a median or minimum more than {TOLERANCE:g} below: {below}", flush=True)
    if not arguments.patches:
        report_standardising(tables, counts, arguments)


if __name__ == "__main__":
    main()
