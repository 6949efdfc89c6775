"""The default start: scikit-learn's, or one that does not depend on units; the better one wins.

K-means of the samples as they are sees clusters only in the features of the largest units. K-means
of scaled samples sees them whatever the units, but other clusters may be the better ones. So EM
decides: it runs from each start on the rows that seeding uses, as far as scikit-learn would, and
the higher likelihood wins. EM on all rows goes on from there, so the passes of the winner are not
lost where seeding uses all rows.

Where components are many, k-means takes longer than many iterations of EM. There, the start is a
tree.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._kernels.layout import Array
from ..data.samples import Samples
from ..em.convergence import Convergence, LowerBoundChange, Never
from ..em.loop import run
from ..em.posteriors.exact import ExactPosterior
from ..em.time_limit import time_is_up
from ..em.updates.base import Update
from ..model.parameters import MixtureParameters
from .scalings import Scaling, Scalings
from .seeding import (
    Seeds,
    fit_kmeans,
    float64_rows,
    kmeans,
    nearest,
    one_thread,
    subsample,
    tree_seeds,
)

# From so many components on, the start is a tree. With 200 components, after 40 iterations on
# 200,000 patches, the likelihoods are equal (33.10 and 33.08 nats a sample), and the tree takes a
# hundredth of the time; with 100 the tree ends 0.28 lower.
_MANY = 256
# Starts on scaled samples, some for each scaling, are compared on few rows after few iterations.
# K-means of fewer rows makes them.
_ROWS = 8192
_KMEANS_ROWS = 1024
_ROWS_PER_COMPONENT = 32
_STARTS_PER_SCALING = 3
_KMEANS_ITERATIONS = 20
_FEW_ITERATIONS = 5
# Then EM runs until it converges by scikit-learn's default rule.
_TOL = 1e-3
_MAX_ITER = 100
# Bounds that differ by less, in nats per sample, are equal. A start that lies behind goes on if in
# its last few iterations it gained a tenth of what it lacks.
_EQUAL = 1e-6
_SHARE = 0.1


class Problem(NamedTuple):
    """What all starts have in common.

    Parameters
    ----------
    n_components : int
    estimate : callable
        Returns parameters from rows, their weights and seeds; raises CollapseError.
    update : Update[MixtureParameters, Any]
        The M step.
    n_threads : int
    means : (K, d) array, optional
        Given means, which are then the centres of the clusters.
    """

    n_components: int
    estimate: Callable[[Array, Array | None, Seeds], MixtureParameters]
    update: Update[MixtureParameters, Any]
    n_threads: int
    means: Array | None = None


class Start(NamedTuple):
    """Parameters as estimated from seeds, and after some iterations of EM on the seeding rows."""

    estimated: MixtureParameters
    reached: MixtureParameters
    lower_bound: float = -np.inf


def best_start(
    seeding: Samples, problem: Problem, random_state: np.random.RandomState
) -> Callable[[], Start]:
    """Draw what the start needs, and return a function that computes it.

    The start is the better of scikit-learn's and the best of those on scaled samples. With many
    components it is a tree.

    Parameters
    ----------
    seeding : Samples
        The rows to use.
    problem : Problem
    random_state : RandomState

    Returns
    -------
    callable
        Returns a Start, and draws from a random state of its own: several may run at once.

    Raises
    ------
    CollapseError
        If not even the covariance of all the samples is positive definite.
    """
    if problem.n_components >= _MANY and problem.means is None:
        seed = random_state.randint(np.iinfo(np.int32).max)
        return lambda: _tree_start(seeding, problem, np.random.RandomState(seed))
    draws = deepcopy(random_state)  # so that scikit-learn's start is that of its random state
    plain = _plain_start(seeding, problem, random_state)
    if problem.n_components == 1:
        return lambda: plain
    return lambda: _better(seeding, problem, plain, draws)


def _better(
    seeding: Samples, problem: Problem, plain: Start, draws: np.random.RandomState
) -> Start:
    """Return the better of scikit-learn's start and the best of those on scaled samples."""
    scaled = _best_scaled_start(seeding, problem, draws)
    scaled = _advance(seeding, problem, scaled, LowerBoundChange(_TOL), _MAX_ITER)
    plain = _advance(seeding, problem, plain, LowerBoundChange(_TOL), _MAX_ITER)
    scaled = _catch_up(seeding, problem, scaled, plain.lower_bound - _EQUAL)
    return plain if scaled.lower_bound < plain.lower_bound - _EQUAL else scaled


def _plain_start(samples: Samples, problem: Problem, random_state: np.random.RandomState) -> Start:
    """Return the start from the samples as they are."""
    X, weight = float64_rows(samples)
    if problem.means is None:
        with one_thread():
            seeds = kmeans(X, weight, problem.n_components, random_state)
    else:
        seeds = Seeds(problem.means, nearest(X, problem.means))
    parameters = problem.estimate(X, weight, seeds)
    return Start(parameters, parameters)


def _tree_start(samples: Samples, problem: Problem, random_state: np.random.RandomState) -> Start:
    """Return the start from the leaves of a tree."""
    X, weight = float64_rows(samples)
    seeds = tree_seeds(X, weight, problem.n_components, random_state, problem.n_threads)
    parameters = problem.estimate(X, weight, seeds)
    return Start(parameters, parameters)


def _best_scaled_start(
    samples: Samples, problem: Problem, random_state: np.random.RandomState
) -> Start:
    """Return the best start on scaled samples, by a few iterations on few rows."""
    size = max(_ROWS, _ROWS_PER_COMPONENT * problem.n_components)
    few = subsample(samples, size, random_state)
    best: Start | None = None
    for parameters in _scaled_starts(few, problem, random_state):
        start = Start(parameters, parameters)
        start = _advance(few, problem, start, Never(), _FEW_ITERATIONS)
        if best is None or start.lower_bound > best.lower_bound + _EQUAL:
            best = start
    assert best is not None
    return best


def _scaled_starts(
    samples: Samples, problem: Problem, random_state: np.random.RandomState
) -> Iterator[MixtureParameters]:
    """Yield starts from clusters of scaled samples: of k-means, or about given means."""
    seeding, means = ScaledSeeding(samples), problem.means
    if means is None:
        found = seeding.seeds(problem.n_components, random_state, _STARTS_PER_SCALING)
    else:
        scaled = seeding.scaled(problem.n_components)
        found = (Seeds(means, nearest(Z, scaling(means))) for scaling, Z in scaled)
    for seeds in found:
        yield problem.estimate(seeding.X, seeding.weight, seeds)


class ScaledSeeding:
    """Clusters of scaled samples; they do not depend on units.

    Parameters
    ----------
    samples : Samples
    """

    def __init__(self, samples: Samples) -> None:
        self.X, self.weight = float64_rows(samples)
        # with huge weights sums of squares of scaled samples overflow
        self._relative = None if self.weight is None else self.weight / self.weight.max()
        with one_thread():
            self._scalings = Scalings(self.X, self._relative)

    def scaled(self, n_components: int) -> Iterator[tuple[Scaling, Array]]:
        """Yield each scaling of the samples, and the samples so scaled.

        Parameters
        ----------
        n_components : int
        """
        found = self._scalings.of(n_components)
        while True:
            with one_thread():
                scaled = next(found, None)
            if scaled is None:
                return
            yield scaled

    def seeds(
        self, n_components: int, random_state: np.random.RandomState, n_starts: int = 1
    ) -> Iterator[Seeds]:
        """Yield clusters, for all samples.

        Parameters
        ----------
        n_components : int
            K-means takes up to 1,024 rows, or 32 for each component.
        random_state : RandomState
        n_starts : int
            For each scaling, of which there are three.

        Yields
        ------
        Seeds
        """
        for _, Z in self.scaled(n_components):
            step = -(-len(Z) // max(_KMEANS_ROWS, _ROWS_PER_COMPONENT * n_components))
            some = Z[::step]
            weight = None if self._relative is None else self._relative[::step]
            for _ in range(n_starts):
                with one_thread():
                    clusters = fit_kmeans(
                        some, weight, n_components, random_state, _KMEANS_ITERATIONS
                    )
                centers = clusters.cluster_centers_
                chosen = step * _central_rows(some, centers, clusters.labels_)
                # whose coordinates are those of X
                yield Seeds(self.X[chosen], nearest(Z, centers))


def _central_rows(Z: Array, centers: Array, labels: NDArray[np.integer[Any]]) -> NDArray[np.intp]:
    """Return the row of each cluster that is nearest to its centre."""
    distances = ((Z - centers[labels]) ** 2).sum(axis=1)
    order = np.argsort(-distances, kind="stable")
    rows = np.zeros(len(centers), np.intp)
    rows[labels[order]] = order  # the last one stays
    return rows


def _advance(
    samples: Samples, problem: Problem, start: Start, convergence: Convergence, max_iter: int
) -> Start:
    """Return the start after EM."""
    result = run(
        samples,
        start.reached,
        posterior=ExactPosterior(problem.n_threads),
        update=problem.update,
        convergence=convergence,
        max_iter=max_iter,
    )
    return Start(start.estimated, result.parameters, result.lower_bound)


def _catch_up(samples: Samples, problem: Problem, start: Start, lower_bound: float) -> Start:
    """Run EM on, as long as it may still reach a lower bound."""
    while start.lower_bound < lower_bound and not time_is_up():
        before = start.lower_bound
        start = _advance(samples, problem, start, Never(), _FEW_ITERATIONS)
        if start.lower_bound - before < _SHARE * (lower_bound - start.lower_bound):
            break
    return start


def in_order(parameters: MixtureParameters) -> MixtureParameters:
    """Return the components in the order of their means in the feature that separates them most.

    So a maximum has the same labels whatever the units and from whichever start it was reached.

    Parameters
    ----------
    parameters : MixtureParameters

    Returns
    -------
    MixtureParameters
    """
    K, d = parameters.means.shape
    model = parameters.covariance_model
    variances = model.variances(parameters.covariances, K, d).mean(axis=0)
    feature = np.argmax(np.ptp(parameters.means, axis=0) / np.sqrt(variances))
    order = np.argsort(parameters.means[:, feature], kind="stable")
    return MixtureParameters(
        model,
        parameters.weights[order],
        parameters.means[order],
        parameters.covariances[order] if model.per_component else parameters.covariances,
        parameters.precisions_cholesky[order]
        if model.per_component
        else parameters.precisions_cholesky,
    )
