"""Starting centres for soft k-means."""

import numpy as np

from .._kernels.layout import Array
from ..data.samples import Samples
from ..model.covariance import Spherical
from .seeding import seeding_subsample
from .starting_points import initial_parameters


def initial_centers(
    samples: Samples,
    n_clusters: int,
    init: str,
    beta: float,
    random_state: np.random.RandomState,
    n_threads: int,
) -> Array:
    """Return starting centres: means of the responsibilities about chosen samples.

    Parameters
    ----------
    samples : Samples
    n_clusters : int
    init : {'k-means++'}
    beta : float
        Stiffness: 1 / (2 sigma^2).
    random_state : RandomState
    n_threads : int

    Returns
    -------
    (n_clusters, d) array
    """
    start = initial_parameters(
        _merged(seeding_subsample(samples, n_clusters, random_state), n_clusters),
        n_components=n_clusters,
        covariance_model=Spherical(),
        init_params=init,
        reg_covar=0.0,
        random_state=random_state,
        n_threads=n_threads,
        factored=(np.full(n_clusters, 0.5 / beta), np.full(n_clusters, np.sqrt(2.0 * beta))),
    )
    return start.means


def _merged(samples: Samples, n_clusters: int) -> Samples:
    """Return the distinct samples in ascending order, with the sums of their weights.

    Random choices among these depend neither on the order of the samples nor on whether equal
    samples are repeated or weighted.
    """
    rows, positions = np.unique(samples.rows(slice(None)), axis=0, return_inverse=True)
    if len(rows) < n_clusters:
        return samples
    return Samples(rows, np.bincount(positions.ravel(), samples.sample_weight).astype(np.float64))
