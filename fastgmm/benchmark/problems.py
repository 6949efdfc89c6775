"""The problems: shapes, data, starting points, and the work of an iteration."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._kernels.layout import Array, leading_rows


class Shape(NamedTuple):
    """The shape of a problem: covariance type, n samples, d features, K components."""

    covariance_type: str
    n_samples: int
    n_features: int
    n_components: int

    def divided(self, divisor: int) -> "Shape":
        """Return the shape with fewer samples, but at least 5 d for each component."""
        enough = min(self.n_samples, 5 * self.n_features * self.n_components)
        return self._replace(n_samples=max(self.n_samples // divisor, enough))


#: Nine shapes that take scikit-learn 0.5 to 6 s for each iteration.
SHAPES = (
    Shape("full", 1_000_000, 2, 8),
    Shape("full", 1_000_000, 8, 16),
    Shape("full", 500_000, 16, 32),
    Shape("full", 200_000, 32, 32),
    Shape("full", 100_000, 64, 64),
    Shape("full", 20_000, 256, 8),
    Shape("tied", 500_000, 16, 32),
    Shape("diag", 1_000_000, 16, 64),
    Shape("spherical", 1_000_000, 16, 64),
)


def make_samples(
    n_samples: int, n_features: int, n_components: int, dtype: str = "float64", seed: int = 0
) -> tuple[NDArray[Any], Array]:
    """Return samples of unit-variance clusters, and the clusters' means, drawn from N(0, 9)."""
    rng = np.random.default_rng(seed)
    means = 3.0 * rng.standard_normal((n_components, n_features))
    X = means[rng.integers(n_components, size=n_samples)]
    X += rng.standard_normal((n_samples, n_features))
    return X.astype(dtype, copy=False), means


def unit_precisions(covariance_type: str, n_features: int, n_components: int) -> Array:
    """Return identity precisions (and so their factors) in the shape of the covariance type."""
    one: Array = {
        "full": np.tile(np.eye(n_features), (n_components, 1, 1)),
        "tied": np.eye(n_features),
        "diag": np.ones((n_components, n_features)),
        "spherical": np.ones(n_components),
    }[covariance_type]
    return one


def make_start(means: Array, covariance_type: str, seed: int = 1) -> dict[str, Array]:
    """Return weights, means and precisions near the true ones."""
    n_components, n_features = means.shape
    jitter = 0.5 * np.random.default_rng(seed).standard_normal(means.shape)
    return {
        "weights_init": np.full(n_components, 1.0 / n_components),
        "means_init": means + jitter,
        "precisions_init": unit_precisions(covariance_type, n_features, n_components),
    }


def useful_flops(shape: Shape) -> tuple[float, float]:
    """Return the flops of every pair of sample and component, and those a significant one adds.

    A multiply-add counts as two flops. A triangle has d (d + 1) / 2 multiply-adds:

    ==========  =======================================  =================================
    covariance  distance                                 moments
    ==========  =======================================  =================================
    full        d^2 + 3 d: triangle, sum of squares      d^2 + 3 d: triangle, first moment
    tied        (d^2 + d) / K + 2 d: triangle for each   as full
                sample once, then as spherical
    diag        4 d: (x - mean) / deviation, squares     4 d: first and second moment
    spherical   2 d: product of samples and means        as diag
    ==========  =======================================  =================================

    A pair is significant if its responsibility is 1e-16 or more; smaller ones change no sum. Other
    pairs need no moments and, with full covariances, only the ``leading_rows`` of the distance.
    Exponentials do not count as useful.
    """
    d, K = shape.n_features, shape.n_components
    whole = d**2 + 3 * d
    leading = leading_rows(d, K)
    at_first = leading**2 + 3 * leading
    return {
        "full": (at_first, whole - at_first + whole),
        "tied": ((d**2 + d) / K + 2 * d, whole),
        "diag": (4 * d, 4 * d),
        "spherical": (2 * d, 4 * d),
    }[shape.covariance_type]
