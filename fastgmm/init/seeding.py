"""Which rows a start is made from, and which of them each component begins with.

Seeding uses no more than ``seeding_size`` rows, so that it costs no more than a few iterations of
EM on all rows.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.utils.random import sample_without_replacement
from threadpoolctl import ThreadpoolController

from .._kernels.blas import one_blas_thread, set_threads, threads_of
from .._kernels.layout import Array
from ..data.samples import Samples
from ..data.source_samples import SourceSamples
from ..data.tree import Groups
from .filling import filled_rows
from .leaves import group
from .scalings import unit_variance

# Up to so many rows, or so many for each component, seeding uses all, as scikit-learn does.
# Starts from fewer rows end lower: 200,000 patches, K = 8, the lowest of 10 seeds in nats:
# 33.813 from 8,192 rows, 33.812 from 32,768, 33.866 from 65,536, 33.874 from all.
_SEEDING_ROWS = 65536
_SEEDING_ROWS_PER_COMPONENT = 32
# With many features, fewer rows: seeding copies them, in float64.
_SEEDING_ELEMENTS = 2**22
_LEAST_SEEDING_ROWS = 8192
# Of each feature seeding has so many values, if there are.
_FEWEST_VALUES = 32
# Squared distances that differ by less, relatively, are equal but for rounding.
_TIE = 1e-9


class Seeds(NamedTuple):
    """Centres, and a rule that gives the responsibilities of rows ``start`` to ``stop``, or groups.

    With neither, the centres are chosen samples. The centre of a group is one of its rows.
    """

    centers: Array
    resp: Callable[[int, int], Array] | None = None
    groups: Groups | None = None

    @property
    def are_samples(self) -> bool:
        """Whether the centres are chosen samples."""
        return self.resp is None and self.groups is None


def seeding_size(samples: Any, n_components: int) -> int:
    """Return how many rows of samples or a source seeding uses at the most."""
    rows = max(_SEEDING_ELEMENTS // samples.n_features, _LEAST_SEEDING_ROWS)
    return int(max(min(rows, _SEEDING_ROWS), _SEEDING_ROWS_PER_COMPONENT * n_components))


def subsample(samples: Samples, size: int, random_state: np.random.RandomState) -> Samples:
    """Return so many rows, drawn without replacement; all if there are fewer.

    Rows of weight 0, and rows without any value, are left out. Where a feature would have few
    values, rows that have it are added.
    """
    if isinstance(samples, SourceSamples):
        return _of_source(samples, size, random_state)
    rows: Any = slice(None)
    n_samples = samples.n_samples
    if samples.n_present < n_samples or samples.gaps is not None:
        counts = samples.sample_weight > 0
        if samples.gaps is not None:
            counts &= ~samples.gaps.blank
        if not counts.all():
            rows = np.flatnonzero(counts)
            n_samples = len(rows)
    if size < n_samples:
        chosen = np.sort(sample_without_replacement(n_samples, size, random_state=random_state))
        rows = chosen if isinstance(rows, slice) else rows[chosen]
        if samples.gaps is not None:
            rows = _with_every_feature(samples, rows)
    return samples.take(rows)


def _of_source(samples: SourceSamples, size: int, random_state: np.random.RandomState) -> Samples:
    """Return the rows of a source that would be drawn if it were in memory."""
    n_samples = samples.n_present
    if size >= n_samples:
        return samples.take_present(np.arange(n_samples))
    chosen = sample_without_replacement(n_samples, size, random_state=random_state)
    return samples.take_present(np.sort(chosen))


def _with_every_feature(samples: Samples, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return some rows and, of features that few of them have, the first ones that have these."""
    needed = _FEWEST_VALUES - (~np.isnan(samples.rows(rows))).sum(axis=0)
    added = [rows]
    for block in samples.block_slices(_SEEDING_ROWS) if (needed > 0).any() else ():
        is_there = ~np.isnan(samples.rows(block)) & (samples.sample_weight[block, np.newaxis] > 0)
        wanted = (is_there & (is_there.cumsum(axis=0) <= needed)).any(axis=1)
        added.append(block.start + np.flatnonzero(wanted))
        needed = needed - is_there.sum(axis=0)
    return np.unique(np.concatenate(added))


def seeding_subsample(
    samples: Samples, n_components: int, random_state: np.random.RandomState
) -> Samples:
    """Return the samples that seeding uses: rows of positive weight, without replacement."""
    return subsample(samples, seeding_size(samples, n_components), random_state)


def float64_rows(samples: Samples) -> tuple[Array, Array | None]:
    """Return all rows in float64, without gaps, and their weights where they have some."""
    X, weight = samples.rows(slice(None)), samples.weight(slice(None))
    if samples.gaps is not None:
        X = filled_rows(samples)
    return np.asarray(X, np.float64), weight if samples.is_weighted else None


def one_hot(labels: NDArray[np.integer[Any]], n_components: int) -> Callable[[int, int], Array]:
    """Return responsibilities of 1 for the component that a label names."""

    def resp(start: int, stop: int) -> Array:
        table = np.zeros((stop - start, n_components))
        table[np.arange(stop - start), labels[start:stop]] = 1.0
        return table

    return resp


def nearest(X: Array, centers: Array) -> Callable[[int, int], Array]:
    """Return responsibilities of 1 for the nearest centre; centres at equal distances share."""

    def resp(start: int, stop: int) -> Array:
        squares = cdist(centers, X[start:stop], "sqeuclidean")
        is_least = squares <= (1.0 + _TIE) * squares.min(axis=0)
        return np.asarray(is_least / is_least.sum(axis=0)).T

    return resp


@cache
def openmp_controller() -> ThreadpoolController:
    """Return what limits the OpenMP threads of the libraries that are loaded at the first call."""
    # finding them takes milliseconds, limiting them 20 microseconds
    import sklearn.cluster  # noqa: F401  brings a library that is to be found

    return ThreadpoolController().select(user_api="openmp")


@contextmanager
def one_thread() -> Iterator[None]:
    """Let scikit-learn and BLAS compute on one thread, in one order."""
    controller = openmp_controller()
    before = threads_of(controller)  # of this thread: OpenMP has a number for each
    with one_blas_thread():
        try:
            set_threads(controller, [1] * len(before))
            yield
        finally:
            try:
                set_threads(controller, before)
            except BaseException:  # an interrupt
                set_threads(controller, before)
                raise


def fit_kmeans(
    X: Array,
    weight: Array | None,
    n_components: int,
    random_state: np.random.RandomState,
    max_iter: int = 300,  # of scikit-learn
) -> Any:
    """Return scikit-learn's fitted estimator."""
    from sklearn.cluster import KMeans  # what reads a model alone saves 18 MB

    if weight is not None:  # it multiplies by the inverse of a cluster's weight
        weight = np.maximum(weight, np.finfo(float).tiny)
    model = KMeans(n_components, n_init=1, max_iter=max_iter, random_state=random_state)
    return model.fit(X, sample_weight=weight)


def kmeans(
    X: Array, weight: Array | None, n_components: int, random_state: np.random.RandomState
) -> Seeds:
    """Take the clusters of k-means."""
    fitted = fit_kmeans(X, weight, n_components, random_state)
    return Seeds(fitted.cluster_centers_, one_hot(fitted.labels_, n_components))


def _kmeans_plusplus(
    X: Array, weight: Array | None, n_components: int, random_state: np.random.RandomState
) -> Seeds:
    """Choose samples far from one another."""
    from sklearn.cluster import kmeans_plusplus

    _, rows = kmeans_plusplus(
        X - X.mean(axis=0), n_components, sample_weight=weight, random_state=random_state
    )
    return Seeds(X[rows])


def _random_from_data(
    X: Array, weight: Array | None, n_components: int, random_state: np.random.RandomState
) -> Seeds:
    """Draw samples by weight."""
    p = None if weight is None else weight / weight.sum()
    rows = random_state.choice(len(X), size=n_components, replace=False, p=p)
    return Seeds(X[rows])


def _random(
    X: Array, weight: Array | None, n_components: int, random_state: np.random.RandomState
) -> Seeds:
    """Draw responsibilities uniformly."""

    def resp(start: int, stop: int) -> Array:
        table = random_state.uniform(size=(stop - start, n_components))
        table /= table.sum(axis=1, keepdims=True)
        return table

    center = np.average(X, axis=0, weights=weight)
    return Seeds(np.tile(center, (n_components, 1)), resp)


def tree_seeds(
    X: Array,
    weight: Array | None,
    n_components: int,
    random_state: np.random.RandomState,
    n_threads: int,
) -> Seeds:
    """Take the leaves of a tree, or merged leaves; they do not depend on units."""
    # with huge weights sums of squares overflow
    relative = np.ones(len(X)) if weight is None else weight / weight.max()
    with one_thread():
        scaled = np.ascontiguousarray(unit_variance(X, relative)(X))
        groups = group(scaled, relative, n_components, random_state, n_threads)
    chosen = random_state.randint(groups.bounds[:-1], groups.bounds[1:])
    return Seeds(X[groups.rows[chosen]], groups=groups)


SEEDING: dict[str, Callable[..., Seeds]] = {
    "kmeans": kmeans,
    "k-means++": _kmeans_plusplus,
    "random": _random,
    "random_from_data": _random_from_data,
}
