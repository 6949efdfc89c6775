"""Arrays and mixtures that are hard on numerical code: one source for all tests."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastgmm.data.samples import Samples
from fastgmm.em.convergence import LowerBoundChange
from fastgmm.em.loop import run
from fastgmm.em.posteriors.exact import ExactPosterior
from fastgmm.em.result import EMResult
from fastgmm.em.updates.closed_form import ClosedForm
from fastgmm.model.covariance import get_covariance_model
from fastgmm.model.parameters import MixtureParameters

Array = NDArray[np.float64]

KERNEL_KINDS = ("full", "tied", "diag", "spherical")
COVARIANCE_TYPES = (*KERNEL_KINDS, "tied-spherical")
#: One covariance serves all components.
SHARED = ("tied", "tied-spherical")
DTYPES = ("float64", "float32")

#: separation of the means in standard deviations, offset of the data, scale of the data
SCENARIOS: dict[str, tuple[float, float, float]] = {
    "touching": (3.0, 0.0, 1.0),
    "overlapping": (0.0, 0.0, 1.0),  # no responsibility is negligible
    "apart": (12.0, 0.0, 1.0),  # about as far as squares may be expanded
    "separated": (300.0, 0.0, 1.0),
    "far from zero": (3.0, 1e6, 1.0),
    "large": (3.0, 0.0, 1e12),
    "small": (3.0, 0.0, 1e-12),
}


def symmetric(rng: np.random.Generator, count: int, d: int) -> Array:
    """Return positive-definite (count, d, d) matrices with eigenvalues of at least 1/2."""
    A = rng.normal(size=(count, d, d)) / np.sqrt(d)
    return A @ A.swapaxes(1, 2) + 0.5 * np.eye(d)


def covariances(rng: np.random.Generator, covariance_type: str, K: int, d: int) -> Array:
    """Return covariances of order 1 in the shape of their type."""
    if covariance_type == "full":
        return symmetric(rng, K, d)
    if covariance_type == "tied":
        return symmetric(rng, 1, d)[0]
    shape = get_covariance_model(covariance_type).shape(K, d)
    return np.asarray(rng.uniform(0.3, 2.0, shape))


def mixture(
    covariance_type: str, K: int, d: int, *, scenario: str = "touching", seed: int = 0
) -> MixtureParameters:
    """Return a random mixture."""
    rng = np.random.default_rng([seed, K, d])
    separation, offset, scale = SCENARIOS[scenario]
    weights = rng.dirichlet(np.full(K, 5.0))
    means = rng.normal(size=(K, d)) * (separation + 0.1)
    return MixtureParameters.from_covariances(
        covariance_type,
        weights,
        means * scale + offset,
        covariances(rng, covariance_type, K, d) * scale**2,
    )


def draw(
    parameters: MixtureParameters, n: int, dtype: str = "float64", seed: int = 0
) -> NDArray[Any]:
    """Draw n samples in random order."""
    random_state = np.random.RandomState(seed)
    counts = random_state.multinomial(n, parameters.weights / parameters.weights.sum())
    X, _ = parameters.sample(counts, random_state)
    return random_state.permutation(X).astype(dtype)


def sample_weights(n: int, seed: int = 0) -> Array:
    """Return weights of which about a fifth are zero, never all."""
    rng = np.random.default_rng([seed, n])
    weight = rng.gamma(2.0, size=n) * (rng.random(n) > 0.2)
    weight[0] = 1.5
    return weight


def memory_orders(array: NDArray[Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the same values in every kind of memory that NumPy has."""
    yield "C", np.ascontiguousarray(array)
    yield "F", np.asfortranarray(array)
    wide = np.repeat(np.repeat(array, 2, axis=0), 3, axis=-1)
    yield "strided", wide[::2, ..., ::3] if array.ndim > 1 else np.repeat(array, 2)[::2]
    reverse = (slice(None, None, -1),) * array.ndim
    yield "negative strides", array[reverse].copy()[reverse]
    readonly = array.copy()
    readonly.flags.writeable = False
    yield "read-only", readonly
    offset = np.empty(array.nbytes + 64, np.uint8)[array.itemsize :][: array.nbytes]
    shifted = offset.view(array.dtype).reshape(array.shape)
    shifted[...] = array
    yield "off a cache line", shifted
    # whoever reads beyond an edge gets these
    amid = np.full([size + 2 for size in array.shape], np.nan, array.dtype)
    inner = (slice(1, -1),) * array.ndim
    amid[inner] = array
    yield "amid NaN", amid[inner]


def hard_labels(
    X: NDArray[Any],
    labels: NDArray[np.integer[Any]],
    covariance_type: str,
    weight: Array | None = None,
    reg_covar: float = 0.0,
) -> MixtureParameters:
    """Return the M step from hard labels, each moment about its own mean."""
    weight = np.ones(len(X)) if weight is None else weight
    X = X.astype(np.float64)
    K, d = int(labels.max()) + 1, X.shape[1]
    nk = np.bincount(labels, weight, K)
    means = np.stack([np.average(X[labels == k], axis=0, weights=weight[labels == k])
                      for k in range(K)])  # fmt: skip
    z = X - means[labels]
    scatters = np.stack([(z[labels == k] * weight[labels == k, None]).T @ z[labels == k]
                         for k in range(K)])  # fmt: skip
    matrices = scatters / nk[:, None, None]
    estimate = {
        "full": matrices + reg_covar * np.eye(d),
        "tied": scatters.sum(axis=0) / nk.sum() + reg_covar * np.eye(d),
        "diag": np.diagonal(matrices, axis1=1, axis2=2) + reg_covar,
        "spherical": np.trace(matrices, axis1=1, axis2=2) / d + reg_covar,
        "tied-spherical": np.trace(scatters.sum(axis=0)) / (nk.sum() * d) + reg_covar,
    }[covariance_type]
    return MixtureParameters.from_covariances(covariance_type, nk / nk.sum(), means, estimate)


def em(
    X: Any,
    start: MixtureParameters,
    n_iter: int,
    *,
    sample_weight: Array | None = None,
    reg_covar: float = 0.0,
    tol: float = 0.0,
    n_threads: int = 1,
) -> EMResult:
    """Run EM from a given start; with tol=0 for exactly n_iter iterations."""
    return run(
        Samples(X, sample_weight),
        start,
        posterior=ExactPosterior(n_threads),
        update=ClosedForm(reg_covar),
        convergence=LowerBoundChange(tol),
        max_iter=n_iter,
    )


def dense(parameters: MixtureParameters) -> Array:
    """Return the covariances as (K, d, d) matrices."""
    kind = get_covariance_model(parameters.covariance_type)
    return kind.dense(parameters.covariances, *parameters.means.shape)


def assert_same_mixture(
    actual: MixtureParameters, expected: MixtureParameters, rtol: float
) -> None:
    """Compare mixtures on their own scale, which is that of the standard deviations."""
    deviation = np.sqrt(np.diagonal(dense(expected), axis1=1, axis2=2))
    np.testing.assert_allclose(actual.weights, expected.weights, rtol=0, atol=rtol)
    difference = (actual.means - expected.means) / deviation
    np.testing.assert_allclose(difference, 0.0, rtol=0, atol=rtol)
    scale = deviation[:, :, None] * deviation[:, None, :]
    difference = (dense(actual) - dense(expected)) / scale
    np.testing.assert_allclose(difference, 0.0, rtol=0, atol=rtol)


def assert_same_bits(actual: MixtureParameters, expected: MixtureParameters) -> None:
    """Compare mixtures bit by bit."""
    assert actual.weights.tobytes() == expected.weights.tobytes()
    assert actual.means.tobytes() == expected.means.tobytes()
    assert actual.covariances.tobytes() == expected.covariances.tobytes()
