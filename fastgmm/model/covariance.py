"""Models of covariances: all differences of covariance types outside the kernels.

Each model is one class. Its ``kernel_kind`` names the kernel of its passes; several models may
share a kernel. Matrices are of size K x d x d at the most, so this is plain NumPy and LAPACK,
written once for all backends. Shapes follow scikit-learn: ``full`` (K, d, d), ``tied`` (d, d),
``diag`` (K, d), ``spherical`` (K,); ``tied-spherical`` () is one number.
"""

import numpy as np

from .._kernels.layout import Array
from .covariance_model import SMALLEST_VARIANCE, CovarianceModel, Features, Mask
from .factors import inverse_factors, invert_triangle, regress, reversed_factor


class Full(CovarianceModel):
    """A matrix for each component."""

    name = kernel_kind = "full"

    def shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        return (n_components, n_features, n_features)

    def n_parameters(self, n_components: int, n_features: int) -> int:
        return n_components * n_features * (n_features + 1) // 2

    def outer(self, nk: Array, a: Array, b: Array) -> Array:
        if a is b:
            root = np.sqrt(nk)[:, np.newaxis] * a
            return np.asarray(root[:, :, np.newaxis] * root[:, np.newaxis, :])
        product = (nk[:, np.newaxis] * a)[:, :, np.newaxis] * b[:, np.newaxis, :]
        return 0.5 * (product + product.swapaxes(1, 2))

    def estimate(self, second: Array, nk: Array, n_features: int) -> Array:
        return np.asarray(second / nk[:, np.newaxis, np.newaxis])

    def invert(self, covariances: Array, n_threads: int = 1) -> tuple[Array, Mask]:
        return inverse_factors(covariances, n_threads)

    def factor_precisions(self, precisions: Array) -> Array:
        return np.stack([reversed_factor(precision) for precision in precisions])

    def log_det(self, precisions_cholesky: Array, n_features: int) -> Array:
        return np.asarray(np.log(precisions_cholesky.diagonal(axis1=1, axis2=2)).sum(axis=1))

    def precisions(self, precisions_cholesky: Array) -> Array:
        return np.asarray(precisions_cholesky @ precisions_cholesky.swapaxes(1, 2))

    def covariances(self, precisions_cholesky: Array) -> Array:
        return np.stack([invert_triangle(U).T @ invert_triangle(U) for U in precisions_cholesky])

    def dense(self, covariances: Array, n_components: int, n_features: int) -> Array:
        return covariances

    def variances(self, covariances: Array, n_components: int, n_features: int) -> Array:
        return covariances.diagonal(axis1=1, axis2=2)

    def select(self, covariances: Array, features: Features) -> Array:
        return covariances[:, features[:, np.newaxis], features]

    def regress(
        self, covariances: Array, given: Features, others: Features, n_components: int
    ) -> tuple[Array, Array]:
        return regress(covariances, given, others)

    def roots(self, covariances: Array) -> Array:
        return np.asarray(np.linalg.cholesky(covariances, upper=True))

    def color(self, roots: Array, component: int, normals: Array, out: Array) -> None:
        np.matmul(normals, roots[component], out=out)


class Tied(CovarianceModel):
    """One matrix for all components."""

    name = kernel_kind = "tied"
    per_component = False

    def shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        return (n_features, n_features)

    def n_parameters(self, n_components: int, n_features: int) -> int:
        return n_features * (n_features + 1) // 2

    def outer(self, nk: Array, a: Array, b: Array) -> Array:
        product = (nk[:, np.newaxis] * a).T @ b
        return np.asarray(0.5 * (product + product.T))

    def estimate(self, second: Array, nk: Array, n_features: int) -> Array:
        return np.asarray(second / nk.sum())

    def invert(self, covariances: Array, n_threads: int = 1) -> tuple[Array, Mask]:
        factors, failed = inverse_factors(covariances[np.newaxis], n_threads)
        return factors[0], failed

    def factor_precisions(self, precisions: Array) -> Array:
        return reversed_factor(precisions)

    def log_det(self, precisions_cholesky: Array, n_features: int) -> Array:
        return np.asarray(np.log(np.diagonal(precisions_cholesky)).sum())

    def precisions(self, precisions_cholesky: Array) -> Array:
        return np.asarray(precisions_cholesky @ precisions_cholesky.T)

    def covariances(self, precisions_cholesky: Array) -> Array:
        inverse = invert_triangle(precisions_cholesky)
        return np.asarray(inverse.T @ inverse)

    def dense(self, covariances: Array, n_components: int, n_features: int) -> Array:
        return np.broadcast_to(covariances, (n_components, n_features, n_features))

    def variances(self, covariances: Array, n_components: int, n_features: int) -> Array:
        return np.broadcast_to(covariances.diagonal(), (n_components, n_features))

    def select(self, covariances: Array, features: Features) -> Array:
        return covariances[features[:, np.newaxis], features]

    def regress(
        self, covariances: Array, given: Features, others: Features, n_components: int
    ) -> tuple[Array, Array]:
        coefficients, conditional = regress(covariances[np.newaxis], given, others)
        shape = n_components, *coefficients.shape[1:]
        return np.broadcast_to(coefficients, shape), conditional[0]

    def roots(self, covariances: Array) -> Array:
        return np.asarray(np.linalg.cholesky(covariances, upper=True))

    def color(self, roots: Array, component: int, normals: Array, out: Array) -> None:
        np.matmul(normals, roots, out=out)


class Diag(CovarianceModel):
    """A variance for each component and feature."""

    name = kernel_kind = "diag"
    is_matrix = False

    def shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        return (n_components, n_features)

    def n_parameters(self, n_components: int, n_features: int) -> int:
        return n_components * n_features

    def outer(self, nk: Array, a: Array, b: Array) -> Array:
        return np.asarray(nk[:, np.newaxis] * a * b)

    def estimate(self, second: Array, nk: Array, n_features: int) -> Array:
        return np.asarray(np.maximum(second, 0.0) / nk[:, np.newaxis])

    def regularize(self, covariances: Array, reg_covar: Array | float) -> Array:
        covariances += reg_covar
        return covariances

    def lift(self, covariances: Array, floor: Array | float) -> Array:
        return np.maximum(covariances, floor)

    def invert(self, covariances: Array, n_threads: int = 1) -> tuple[Array, Mask]:
        valid = (covariances >= SMALLEST_VARIANCE) & np.isfinite(covariances)
        factors = 1.0 / np.sqrt(np.where(valid, covariances, 1.0))
        return factors, np.asarray(~valid.reshape(len(covariances), -1).all(axis=1))

    def factor_precisions(self, precisions: Array) -> Array:
        return np.sqrt(precisions)

    def log_det(self, precisions_cholesky: Array, n_features: int) -> Array:
        return np.asarray(np.log(precisions_cholesky).sum(axis=1))

    def precisions(self, precisions_cholesky: Array) -> Array:
        return precisions_cholesky**2

    def dense(self, covariances: Array, n_components: int, n_features: int) -> Array:
        return np.asarray(covariances[:, :, np.newaxis] * np.eye(n_features))

    def variances(self, covariances: Array, n_components: int, n_features: int) -> Array:
        return covariances

    def select(self, covariances: Array, features: Features) -> Array:
        return covariances[:, features]

    def regress(
        self, covariances: Array, given: Features, others: Features, n_components: int
    ) -> tuple[Array, Array]:
        coefficients = np.broadcast_to(0.0, (n_components, len(given), len(others)))
        return coefficients, self.select(covariances, others)

    def largest_whitened(self, precisions_cholesky: Array, lengths: Array) -> Array:
        return np.asarray(lengths * precisions_cholesky.reshape(len(lengths), -1))

    def roots(self, covariances: Array) -> Array:
        return np.sqrt(covariances)

    def color(self, roots: Array, component: int, normals: Array, out: Array) -> None:
        np.multiply(normals, roots[component], out=out)


class Spherical(Diag):
    """A variance for each component."""

    name = kernel_kind = "spherical"

    def shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        return (n_components,)

    def n_parameters(self, n_components: int, n_features: int) -> int:
        return n_components

    def outer(self, nk: Array, a: Array, b: Array) -> Array:
        return np.asarray(nk * np.einsum("kd,kd->k", a, b))

    def estimate(self, second: Array, nk: Array, n_features: int) -> Array:
        return np.asarray(np.maximum(second, 0.0) / (nk * n_features))

    def regularize(self, covariances: Array, reg_covar: Array | float) -> Array:
        covariances += np.mean(reg_covar)
        return covariances

    def lift(self, covariances: Array, floor: Array | float) -> Array:
        return np.asarray(np.maximum(covariances, np.max(floor)))

    def log_det(self, precisions_cholesky: Array, n_features: int) -> Array:
        return np.asarray(n_features * np.log(precisions_cholesky))

    def dense(self, covariances: Array, n_components: int, n_features: int) -> Array:
        return np.asarray(covariances[:, np.newaxis, np.newaxis] * np.eye(n_features))

    def variances(self, covariances: Array, n_components: int, n_features: int) -> Array:
        return np.broadcast_to(covariances[:, np.newaxis], (n_components, n_features))

    def select(self, covariances: Array, features: Features) -> Array:
        return covariances


class TiedSpherical(Spherical):
    """One variance for all components: Sigma_k = sigma^2 I.

    A pass takes the spherical kernel, which wants a factor and adds up a second moment for each
    component::

        sigma^2 = sum_k S_k / (d sum_k nk)    with S_k = sum w r |z|^2
    """

    name = "tied-spherical"
    per_component = False

    def to_kernel(self, values: Array, n_components: int) -> Array:
        return np.full(n_components, values)

    def pool(self, values: Array) -> Array:
        return np.asarray(values.sum())

    def shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        return ()

    def n_parameters(self, n_components: int, n_features: int) -> int:
        return 1

    def estimate(self, second: Array, nk: Array, n_features: int) -> Array:
        return super().estimate(self.pool(second), self.pool(nk), n_features)

    def invert(self, covariances: Array, n_threads: int = 1) -> tuple[Array, Mask]:
        factors, failed = super().invert(np.reshape(covariances, 1))
        return factors.reshape(()), failed

    def dense(self, covariances: Array, n_components: int, n_features: int) -> Array:
        return super().dense(self.to_kernel(covariances, n_components), n_components, n_features)

    def variances(self, covariances: Array, n_components: int, n_features: int) -> Array:
        return np.broadcast_to(covariances, (n_components, n_features))

    def largest_whitened(self, precisions_cholesky: Array, lengths: Array) -> Array:
        return lengths * precisions_cholesky

    def color(self, roots: Array, component: int, normals: Array, out: Array) -> None:
        np.multiply(normals, roots, out=out)


COVARIANCE_MODELS: dict[str, CovarianceModel] = {
    model.name: model for model in (Full(), Tied(), Diag(), Spherical(), TiedSpherical())
}


def get_covariance_model(covariance_type: str | CovarianceModel) -> CovarianceModel:
    """Return the model of a name; a model is returned as it is.

    Raises
    ------
    ValueError
        If it is neither a model nor one of ``full``, ``tied``, ``diag``, ``spherical``,
        ``tied-spherical``.
    """
    if isinstance(covariance_type, CovarianceModel):
        return covariance_type
    try:
        return COVARIANCE_MODELS[covariance_type]
    except (KeyError, TypeError):
        allowed = ", ".join(map(repr, COVARIANCE_MODELS))
        raise ValueError(
            f"covariance_type must be one of {allowed}, got {covariance_type!r}."
        ) from None
