"""A random subset of many samples, which a picture shows in place of all."""

import numpy as np

from .._kernels.layout import Array
from ..data.samples import Samples


def random_subset(
    samples: Samples, max_samples: int | None, random_state: int | None
) -> tuple[Array, Array]:
    """Return some rows, and their weights.

    Parameters
    ----------
    samples : Samples
    max_samples : int or None
        None, or at least their number: all samples, with their weights. Else this number of them,
        without replacement, each chosen by its weight, and with weight 1.
    random_state : int or None
        Seed of the choice.

    Raises
    ------
    ValueError
        If ``max_samples`` is less than 1.
    """
    n = samples.n_samples
    if max_samples is not None and max_samples < 1:
        raise ValueError(f"max_samples should be at least 1 or None, got {max_samples!r}.")
    if max_samples is None or max_samples >= n:
        return samples.rows(slice(None)), np.array(samples.sample_weight)
    rng = np.random.default_rng(random_state)
    chances = samples.sample_weight / samples.total_weight if samples.is_weighted else None
    rows = np.sort(rng.choice(n, max_samples, replace=False, p=chances))
    return samples.rows(rows), np.ones(max_samples)
