"""EM over a Spark data frame: each partition is summarised where it lies, the driver updates.

    pip install pyspark && python mixture.py

Spark needs Java 17. In the same way goes any other engine that calls a function on each partition.
"""

import math
import pickle
from collections.abc import Iterator
from functools import partial

import pyarrow as pa

from fastgmm import em


def summarize_partition(
    batches: Iterator[pa.RecordBatch], parameters: em.MixtureParameters
) -> Iterator[pa.RecordBatch]:
    """Yield the pickled statistics of one partition; nothing if it has no rows."""
    batches = list(batches)
    if batches:
        # Spark runs a task for each core: one thread each
        statistics = em.summarize(pa.Table.from_batches(batches), parameters, n_jobs=1)
        yield pa.RecordBatch.from_pydict({"statistics": [pickle.dumps(statistics)]})


def fit(frame, parameters, reg_covar=1e-6, tol=1e-3, max_iter=100):
    """Return the parameters after EM on all rows of a data frame of features, and the bound."""
    update, lower_bound = em.ClosedForm(reg_covar), -math.inf
    for _ in range(max_iter):
        summarize = partial(summarize_partition, parameters=parameters)
        rows = frame.mapInArrow(summarize, "statistics binary").collect()
        statistics = em.merge(pickle.loads(row.statistics) for row in rows)
        parameters = update(statistics, parameters).parameters
        change, lower_bound = statistics.lower_bound - lower_bound, statistics.lower_bound
        if abs(change) < tol:
            break
    return parameters, lower_bound


if __name__ == "__main__":
    import numpy as np
    import pandas as pd
    from pyspark.sql import SparkSession

    X = np.random.default_rng(0).normal(np.repeat([0.0, 5.0], 5000)[:, np.newaxis], 1.0, (10000, 2))
    spark = SparkSession.builder.master("local[*]").getOrCreate()
    frame = spark.createDataFrame(pd.DataFrame(X, columns=["x", "y"])).repartition(4).cache()
    some = frame.sample(fraction=0.1, seed=0).toPandas()
    start = em.starting_parameters(some, 2, random_state=0)
    parameters, lower_bound = fit(frame, start)
    print(f"mean log-likelihood {lower_bound:.4f}, means {parameters.means.round(2).tolist()}")
    spark.stop()
