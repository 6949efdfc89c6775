"""Time per EM iteration and log-likelihood of fastgmm and of Spark's GaussianMixture (MLlib).

    pip install pyspark pandas && python asv_benchmarks/compare_with_mllib.py

The samples are clusters of unit variance whose means are drawn from N(0, spread^2), or a real set
(--data patches). With --dtype float32 both get the same rounded samples; MLlib computes in float64.
On clusters further apart (--spread 3) MLlib ends after ten iterations or fewer: --iterations 3 9.

On one machine: Spark in local mode, with all cores. Both run so many iterations, each from its own
default start: MLlib's cannot be chosen. The time of an iteration of MLlib is the difference of two
fits with different numbers of iterations, divided by that of these numbers, so that starts, and
what is done once, do not count; that of fastgmm is the median of what its fit says of the same
iterations. The log-likelihoods are those of the longer fits. Spark needs Java 17.
"""

import argparse
import os
import sys
import warnings
from time import perf_counter

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastgmm import GaussianMixture
from fastgmm.data.sample_data import load_sample


def clusters(n, d, K, spread):
    """Return K clusters of unit variance."""
    rng = np.random.default_rng(0)
    means = rng.normal(scale=spread, size=(K, d))
    return means[rng.integers(K, size=n)] + rng.normal(size=(n, d))


def of_mllib(X, K, numbers, memory):
    """Return the seconds of an iteration and of the last fit, and its mean log-likelihood."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    import pandas as pd
    from pyspark.ml.clustering import GaussianMixture as MLlibMixture
    from pyspark.ml.feature import VectorAssembler
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[*]").config("spark.driver.memory", memory)
    builder = builder.config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.execution.arrow.pyspark.enabled", "true")
    spark = builder.getOrCreate()
    names = [f"x{j}" for j in range(X.shape[1])]
    frame = spark.createDataFrame(pd.DataFrame(X, columns=names))
    frame = VectorAssembler(inputCols=names, outputCol="features").transform(frame)
    frame = frame.select("features").repartition(spark.sparkContext.defaultParallelism).cache()
    frame.count()
    seconds = []
    for number in numbers:
        mixture = MLlibMixture(k=K, tol=0.0, maxIter=number, seed=0)
        began = perf_counter()
        model = mixture.fit(frame)
        seconds.append(perf_counter() - began)
        if model.summary.numIter < number:
            sys.exit(
                f"MLlib ended after {model.summary.numIter} iterations: take fewer than {number}."
            )
        log_likelihood = model.summary.logLikelihood
    spark.stop()
    an_iteration = (seconds[-1] - seconds[-2]) / (numbers[-1] - numbers[-2])
    return an_iteration, seconds[-1], log_likelihood / len(X)


def of_fastgmm(X, K, few, many):
    """Return the same of fastgmm."""
    began = perf_counter()
    model = GaussianMixture(K, tol=0.0, max_iter=many, random_state=0).fit(X)
    seconds = perf_counter() - began
    an_iteration = np.median([iteration.seconds for iteration in model.history_[few:]])
    return an_iteration, seconds, model.score(X)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=["clusters", "patches", "pixels"], default="clusters")
    parser.add_argument("--samples", type=int, default=500_000, help="of clusters")
    parser.add_argument("--features", type=int, default=16, help="of clusters")
    parser.add_argument("--spread", type=float, default=2.0, help="of the means of clusters")
    parser.add_argument("--components", type=int, default=32)
    parser.add_argument("--dtype", choices=["float64", "float32"], default="float64")
    parser.add_argument("--iterations", type=int, nargs=2, default=(5, 25))
    parser.add_argument("--memory", default="8g", help="of Spark")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    K, (few, many) = arguments.components, arguments.iterations
    X = (
        clusters(arguments.samples, arguments.features, K, arguments.spread)
        if arguments.data == "clusters"
        else load_sample(arguments.data)
    ).astype(arguments.dtype)
    of_fastgmm(X[: len(X) // 10], K, 0, 1)  # compiles
    times = {}
    for name, (an_iteration, fit, score) in (
        ("fastgmm", of_fastgmm(X, K, few, many)),
        # the first warms Java up
        ("MLlib", of_mllib(X.astype(np.float64), K, (1, few, many), arguments.memory)),
    ):
        times[name] = an_iteration
        print(
            f"{name:8} {1e3 * an_iteration:10.1f} ms an iteration, {fit:7.1f} s for {many}, "
            f"mean log-likelihood {score:.4f}",
            flush=True,
        )
    print(f"MLlib takes {times['MLlib'] / times['fastgmm']:.0f} times the time an iteration")


if __name__ == "__main__":
    main()
