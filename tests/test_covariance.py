"""Every covariance type against dense NumPy, and its failures by name."""

import numpy as np
import pytest
from generators import COVARIANCE_TYPES, SHARED, covariances, dense, mixture
from scipy.stats import multivariate_normal

from fastgmm.model.covariance import COVARIANCE_MODELS as REGISTRY
from fastgmm.model.covariance import get_covariance_model
from fastgmm.model.covariance_model import CollapseError
from fastgmm.model.parameters import MixtureParameters
from fastgmm.model.statistics import SufficientStatistics

K, D = 4, 3

pytestmark = pytest.mark.parametrize("d", [1, D])
each_type = pytest.mark.parametrize("name", COVARIANCE_TYPES)


def example(name, d, seed=0):
    """Return the type, covariances, and the covariances as K matrices."""
    kind = get_covariance_model(name)
    values = covariances(np.random.default_rng(seed), name, K, d)
    return kind, values, kind.dense(values, K, d)


def factors_as_matrices(name, U, d):
    if name == "full":
        return U
    if name == "tied":
        return np.broadcast_to(U, (K, d, d))
    each = np.full(K, U) if name == "tied-spherical" else U
    return np.stack([np.diag(np.broadcast_to(u, (d,))) for u in each])


@each_type
def test_shapes(name, d):
    kind, values, matrices = example(name, d)
    expected = {"full": (K, d, d), "tied": (d, d), "diag": (K, d), "spherical": (K,)}.get(name, ())
    assert kind.name == name
    assert kind.shape(K, d) == values.shape == expected
    assert matrices.shape == (K, d, d)


@each_type
def test_n_parameters(name, d):
    expected = {
        "full": K * d * (d + 1) // 2,
        "tied": d * (d + 1) // 2,
        "diag": K * d,
        "spherical": K,
        "tied-spherical": 1,
    }[name]
    kind, values, _ = example(name, d)
    assert kind.n_parameters(K, d) == expected
    parameters = MixtureParameters.from_covariances(
        name, np.full(K, 1 / K), np.zeros((K, d)), values
    )
    assert parameters.n_parameters == expected + K * d + K - 1


@each_type
def test_dense(name, d):
    _, values, matrices = example(name, d)
    for k in range(K):
        expected = {
            "full": lambda k: values[k],
            "tied": lambda k: values,
            "diag": lambda k: np.diag(values[k]),
            "spherical": lambda k: values[k] * np.eye(d),
            "tied-spherical": lambda k: values * np.eye(d),
        }[name](k)
        np.testing.assert_array_equal(matrices[k], expected)


@each_type
def test_factors(name, d):
    kind, values, matrices = example(name, d)
    factors = kind.precisions_cholesky(values)
    U = factors_as_matrices(name, factors, d)
    np.testing.assert_array_equal(np.tril(U, -1), 0.0)
    assert (np.diagonal(U, axis1=1, axis2=2) > 0).all()
    np.testing.assert_allclose(U @ U.swapaxes(1, 2) @ matrices, [np.eye(d)] * K, atol=1e-13)
    precisions = kind.dense(kind.precisions(factors), K, d)
    np.testing.assert_allclose(precisions, np.linalg.inv(matrices), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(kind.covariances(factors), values, rtol=1e-12, atol=1e-13)
    recovered = kind.factor_precisions(kind.precisions(factors))
    np.testing.assert_allclose(recovered, factors, rtol=1e-12, atol=1e-13)


@each_type
def test_log_det(name, d):
    kind, values, matrices = example(name, d)
    log_det = kind.log_det(kind.precisions_cholesky(values), d)
    assert log_det.shape == (() if name in SHARED else (K,))
    expected = -0.5 * np.linalg.slogdet(matrices)[1]
    np.testing.assert_allclose(np.broadcast_to(log_det, K), expected, rtol=1e-12, atol=1e-14)


@each_type
def test_log_coefficients_are_those_of_the_density(name, d):
    parameters = mixture(name, K, d)
    components = parameters.components()
    for k, matrix in enumerate(dense(parameters)):
        at_mean = multivariate_normal(parameters.means[k], matrix).logpdf(parameters.means[k])
        expected = np.log(parameters.weights[k]) + at_mean
        assert components.log_coefficients[k] == pytest.approx(expected, rel=1e-12)


@each_type
def test_log_coefficient_of_weight_zero_is_finite(name, d):
    parameters = mixture(name, K, d)
    weights = parameters.weights.copy()
    weights[1] = 0.0
    parameters = MixtureParameters.from_covariances(
        name, weights, parameters.means, parameters.covariances
    )
    assert parameters.components().log_coefficients[1] == np.finfo(float).min


def second_moments(name, z, resp):
    full = np.einsum("nk,nkd,nke->kde", resp, z, z)
    diag = np.diagonal(full, axis1=1, axis2=2)
    return {"full": full, "tied": full.sum(0), "diag": diag}.get(name, diag.sum(1))


@each_type
def test_estimate(name, d):
    kind = get_covariance_model(name)
    rng = np.random.default_rng(0)
    X, resp = rng.normal(size=(50, d)), rng.dirichlet(np.ones(K), 50)
    nk = resp.sum(axis=0)
    z = X[:, None] - (resp.T @ X) / nk[:, None]
    actual = kind.regularize(kind.estimate(second_moments(name, z, resp), nk, d), 0.25)
    matrices = np.stack([np.cov(X.T, aweights=resp[:, k], ddof=0).reshape(d, d) for k in range(K)])
    diagonals = np.diagonal(matrices, axis1=1, axis2=2)
    expected = {
        "full": matrices + 0.25 * np.eye(d),
        "tied": np.average(matrices, axis=0, weights=nk) + 0.25 * np.eye(d),
        "diag": diagonals + 0.25,
        "spherical": diagonals.mean(axis=1) + 0.25,
        "tied-spherical": np.average(diagonals.mean(axis=1), weights=nk) + 0.25,
    }[name]
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-14)


@each_type
def test_second_moments_are_those_of_the_covariances(name, d):
    kind, values, _ = example(name, d)
    nk = np.random.default_rng(3).uniform(1.0, 9.0, K)
    second = kind.second_moments(values, nk, d)
    zeros = SufficientStatistics.zeros(kind, np.zeros((K, d)))
    assert second.shape == zeros.moments.second.shape
    np.testing.assert_allclose(kind.estimate(second, nk, d), values, rtol=1e-14)


@each_type
def test_a_kernel_gets_what_each_component_has(name, d):
    """And `pool` adds up over components what `to_kernel` repeats for them."""
    kind, values, matrices = example(name, d)
    expanded = kind.to_kernel(values, K)
    kernel = get_covariance_model(kind.kernel_kind)
    np.testing.assert_array_equal(kernel.dense(expanded, K, d), matrices)
    shared = expanded.size // values.size
    np.testing.assert_allclose(kind.pool(expanded), shared * values, rtol=1e-15)


@each_type
def test_outer(name, d):
    kind = get_covariance_model(name)
    rng = np.random.default_rng(0)
    nk, a, b = rng.random(K), rng.normal(size=(K, d)), rng.normal(size=(K, d))
    product = nk[:, None, None] * a[:, :, None] * b[:, None, :]
    full = (product + product.swapaxes(1, 2)) / 2
    diag = np.diagonal(full, axis1=1, axis2=2)
    expected = {"full": full, "tied": full.sum(0), "diag": diag}.get(name, diag.sum(1))
    np.testing.assert_allclose(kind.outer(nk, a, b), expected, rtol=1e-13, atol=1e-15)


@each_type
def test_roots_draw_with_the_covariance(name, d):
    """For standard normals Z with exactly Z^T Z = m I, their draws have exactly the covariance."""
    kind, values, matrices = example(name, d)
    Z, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(20, d)))
    roots = kind.roots(values)
    for k in range(K):
        draws = np.full_like(Z, np.nan)
        kind.color(roots, k, Z, draws)
        np.testing.assert_allclose(draws.T @ draws, matrices[k], rtol=1e-12, atol=1e-13)


@each_type
def test_replace_keeps_the_masked(name, d):
    kind, values, _ = example(name, d)
    _, previous, _ = example(name, d, seed=1)
    masks = [[True], [False]] if name in SHARED else [[False, True, False, True]]
    for mask in np.array(masks):
        replaced = kind.replace(values, mask, previous)
        if name in SHARED:
            np.testing.assert_array_equal(replaced, previous if mask[0] else values)
        else:
            np.testing.assert_array_equal(replaced[mask], previous[mask])
            np.testing.assert_array_equal(replaced[~mask], values[~mask])


@each_type
def test_factor_tells_which_collapsed(name, d):
    kind, values, _ = example(name, d)
    expected = kind.precisions_cholesky(values)
    values = values.copy()
    bad = [0] if name in SHARED else [0, 2]
    if name in SHARED:
        values[...] = 0.0
    else:
        values[bad] = 0.0
    factors, collapsed = kind.factor(values)
    assert collapsed.dtype == bool
    assert kind.per_component == (name not in SHARED)
    np.testing.assert_array_equal(np.flatnonzero(collapsed), bad)
    if name not in SHARED:
        np.testing.assert_array_equal(factors[[1, 3]], expected[[1, 3]])


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan])
@each_type
def test_collapse_names_the_component(name, bad, d):
    kind, values, _ = example(name, d)
    if name == "full":
        values[2] = bad * np.eye(d)
    elif name == "tied":
        values = bad * np.eye(d)
    elif name == "diag":
        values[2, d - 1] = bad
    elif name == "tied-spherical":
        values = np.array(bad)
    else:
        values[2] = bad
    with pytest.raises(CollapseError, match="increase reg_covar") as caught:
        kind.precisions_cholesky(values)
    component = None if name in SHARED else 2
    assert caught.value.component == component
    where = "The tied covariance" if component is None else "Component 2"
    assert f"{where} is not positive definite." in str(caught.value)


@pytest.mark.parametrize(
    ("cause", "variance", "distance"),
    [
        ("singular", 0.0, 1.0),
        ("underflow", 1e-305, 1.0),
        ("unresolved", 1e-4, 1e15),
        ("unresolved", 1e-4, 1.7e308),
        ("unresolved", 1e-4, np.inf),
    ],
)
@each_type
def test_collapse_tells_its_cause(name, cause, variance, distance, d):
    kind, values, _ = example(name, d)
    at_fault = values if name in SHARED else values[2:3]
    at_fault[...] = variance * (np.eye(d) if kind.is_matrix else 1.0)
    distances = np.ones((K, d))
    distances[2] = distance
    with pytest.raises(CollapseError) as caught:
        kind.precisions_cholesky(values, distances)
    assert caught.value.cause == cause
    assert caught.value.component == (None if name in SHARED else 2)


@pytest.mark.parametrize("name", ["full", "tied"])
def test_a_small_covariance_beside_the_diagonal_is_no_small_variance(name, d):
    kind, values, _ = example(name, d)
    values[...] = np.diag([0.0, *[1.0] * (d - 1)]) + 1e-305 * (1.0 - np.eye(d))
    with pytest.raises(CollapseError) as caught:
        kind.precisions_cholesky(values)
    assert caught.value.cause == "singular"


@pytest.mark.parametrize("name", ["full", "tied"])
def test_singular_matrices_collapse(name, d):
    """A pivot that is rounding of its diagonal element is not a variance."""
    kind = get_covariance_model(name)
    for scale in (1e-200, 1e-12, 1.0, 1e12, 1e200):
        row = np.array([1.0, 1 / 3, 0.7])
        singular = scale * np.outer(row, row)
        values = np.stack([np.eye(3), singular]) if name == "full" else singular
        with pytest.raises(CollapseError) as caught:
            kind.precisions_cholesky(values)
        assert caught.value.component == (1 if name == "full" else None)


@each_type
def test_any_units_are_fine(name, d):
    kind, values, _ = example(name, d)
    for scale in (1e-200, 1e-30, 1e30, 1e200):
        factors = kind.precisions_cholesky(values * scale)
        expected = kind.precisions_cholesky(values) / np.sqrt(scale)
        np.testing.assert_allclose(factors, expected, rtol=1e-12)


@pytest.mark.parametrize("wrong", ["Full", "", None, 3, ["full"]])
def test_unknown_type(wrong, d):
    with pytest.raises(ValueError, match="covariance_type must be one of") as caught:
        get_covariance_model(wrong)
    assert str(caught.value).endswith(f"'diag', 'spherical', 'tied-spherical', got {wrong!r}.")


def test_registry(d):
    assert tuple(REGISTRY) == COVARIANCE_TYPES
