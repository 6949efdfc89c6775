"""Find unusual patches of two photographs: all steps in one loop over 10 million rows.

Each row is normalised, scored and compared with a threshold; the unusual ones are counted. The same
steps with a call of the estimator for each 1,024 rows give the same count.
"""

import sys
from time import perf_counter

import numpy as np
from numba import get_num_threads, njit, prange

from fastgmm import GaussianMixture
from fastgmm.data.sample_data import load_sample
from fastgmm.embed.numba import log_density_block, new_workspace

BATCH = 1024  # whole blocks of 256, which the kernels compute at a time


@njit(parallel=True)
def count_unusual(model, X, n_batches, center, scale, threshold, n_parts):
    """Return how many rows have a log-density below the threshold; X is read again and again."""
    count = 0
    for part in prange(n_parts):
        workspace = new_workspace(model)
        rows, scores = np.empty((BATCH, X.shape[1])), np.empty(BATCH)
        for batch in range(part, n_batches, n_parts):
            start = batch * BATCH % (len(X) - BATCH)
            for i in range(BATCH):
                for j in range(X.shape[1]):
                    rows[i, j] = (X[start + i, j] - center[j]) / scale[j]
            log_density_block(model, rows, scores, workspace)
            for i in range(BATCH):
                count += scores[i] < threshold
    return count


def main(n_rows):
    """Count both ways, and print the counts and the times."""
    X = load_sample("patches")
    center, scale = X.mean(axis=0), X.std(axis=0)
    mixture = GaussianMixture(8, random_state=0).fit((X[::10] - center) / scale)
    threshold = np.quantile(mixture.score_samples((X[::10] - center) / scale), 0.01)
    n_batches, model = n_rows // BATCH, mixture.to_numba()
    arguments = center, scale, threshold, get_num_threads()
    count_unusual(model, X, 1, *arguments)  # compiles
    began = perf_counter()
    count = count_unusual(model, X, n_batches, *arguments)
    print(f"{count} unusual rows in one compiled loop: {perf_counter() - began:.2f} s")

    began, count = perf_counter(), 0
    for batch in range(n_batches):
        rows = X[batch * BATCH % (len(X) - BATCH) :][:BATCH]
        count += np.sum(mixture.score_samples((rows - center) / scale) < threshold)
    print(f"{count} unusual rows by batches in Python: {perf_counter() - began:.2f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000)
