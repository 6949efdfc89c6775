"""Accuracy by regime against 50-digit arithmetic; ``python tests/accuracy.py`` prints the tables.

A regime is a covariance type, a number of features, a condition number of the covariances, an
offset of the data and a dtype of X. Three components overlap in every direction. One deviation in
the direction in which the data are narrowest is at least ``QUANTA`` roundings of a sample, so that
the samples are not points of a lattice.
"""

import warnings
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from backends import available, using
from generators import DTYPES, KERNEL_KINDS, Array, symmetric
from mpmath import mp
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from sklearn.mixture import GaussianMixture as Peer

from fastgmm import em
from fastgmm.model.parameters import MixtureParameters

mp.dps = 50

FEATURES = (1, 2, 5, 20)
CONDITIONS = (1.0, 1e6, 1e12)
OFFSETS = (0.0, 1e4, 1e8)
QUANTITIES = ("log p(x)", "responsibilities", "weights", "means", "covariances")
K, N, QUANTA = 3, 64, 8

Exact = NDArray[np.object_]
exactly = np.frompyfunc(mp.mpf, 1, 1)
_exp, _log = np.frompyfunc(mp.exp, 1, 1), np.frompyfunc(mp.log, 1, 1)


class Regime(NamedTuple):
    """What makes a problem hard."""

    covariance_type: str
    d: int
    condition: float
    offset: float
    dtype: str


class Answer(NamedTuple):
    """Log-densities and responsibilities of a mixture, and its parameters after one EM step."""

    log_density: Any
    resp: Any
    weights: Any
    means: Any
    covariances: Any


def regimes(dtypes: tuple[str, ...] = DTYPES) -> Iterator[Regime]:
    """Yield all regimes; one feature, or one variance, has a condition number of 1."""
    for regime in product(KERNEL_KINDS, FEATURES, CONDITIONS, OFFSETS, dtypes):
        kind, d, condition, *_ = regime
        if condition == 1.0 or (d > 1 and kind != "spherical"):
            yield Regime(*regime)


def problem(regime: Regime) -> tuple[NDArray[Any], MixtureParameters]:
    """Return samples, and a mixture near the one that they come from."""
    kind, d, condition, offset, dtype = regime
    rng = np.random.default_rng([d, int(np.log10(condition))])
    scale = max(1.0, QUANTA * np.sqrt(condition) * float(np.finfo(dtype).eps) * (offset + 1.0))
    deviations = scale * np.geomspace(1.0, condition**-0.5, d)
    rotation = np.linalg.qr(rng.normal(size=(d, d)))[0] if kind in ("full", "tied") else np.eye(d)
    root = rotation * deviations  # of the covariances, but for factors of order 1
    whitened = _whitened_covariances(rng, kind, d)
    means = offset + rng.normal(size=(K, d)) @ root.T
    dense = root @ whitened @ root.T
    labels = np.arange(N) % K
    normals = rng.normal(size=(N, d))
    noise = np.einsum("nij,nj->ni", np.linalg.cholesky(whitened)[labels], normals)
    X = (means[labels] + noise @ root.T).astype(dtype)
    shaped = {
        "full": 0.5 * (dense + dense.swapaxes(1, 2)),
        "tied": 0.5 * (dense[0] + dense[0].T),
        "diag": np.diagonal(dense, axis1=1, axis2=2),
        "spherical": dense[:, 0, 0],
    }[kind]
    weights = np.array([0.5, 0.25, 0.25])
    return X, MixtureParameters.from_covariances(kind, weights, means, shaped.copy())


def _whitened_covariances(rng: np.random.Generator, kind: str, d: int) -> Array:
    if kind == "full":
        return symmetric(rng, K, d)
    if kind == "tied":
        return np.repeat(symmetric(rng, 1, d), K, axis=0)
    variances = rng.uniform(0.3, 2.0, (K, d if kind == "diag" else 1))
    return np.asarray(variances[:, :, np.newaxis] * np.eye(d))


def dense(covariances: Any, covariance_type: str, d: int) -> Any:
    """Return (K, d, d) matrices from covariances of any shape, float or exact."""
    if covariance_type == "full":
        return covariances
    if covariance_type == "tied":
        return np.broadcast_to(covariances, (K, d, d))
    return np.where(np.eye(d, dtype=bool), covariances.reshape(K, -1, 1), 0)


def log_joint(X: NDArray[Any], start: MixtureParameters) -> tuple[Exact, Exact]:
    """Return log w_k N(x | k) and |P_k (x - mu_k)|^2, both (n, K), in 50 digits."""
    d = start.n_features
    z = exactly(X)[:, np.newaxis] - exactly(start.means)
    matrices = dense(exactly(start.covariances), start.covariance_type, d)
    inverses, log_dets = [], []
    for matrix in matrices:
        entries = mp.matrix(matrix.tolist())
        inverses.append(np.array(mp.inverse(entries).tolist(), dtype=object))
        log_dets.append(mp.log(mp.det(entries)))
    distances = np.stack(
        [((z[:, k] @ inverses[k]) * z[:, k]).sum(axis=1) for k in range(K)], axis=1
    )
    constants = _log(exactly(start.weights)) - (np.array(log_dets) + d * mp.log(2 * mp.pi)) / 2
    return constants - distances / 2, distances


def truth(X: NDArray[Any], joint: Exact, covariance_type: str) -> Answer:
    """Return the answer in 50 digits, from log w_k N(x | k)."""
    largest = joint.max(axis=1, keepdims=True)
    exponentials = _exp(joint - largest)
    sums = exponentials.sum(axis=1, keepdims=True)
    resp = exponentials / sums
    nk = resp.sum(axis=0)
    means = (resp.T @ exactly(X)) / nk[:, np.newaxis]
    z = exactly(X)[:, np.newaxis] - means
    scatters = np.stack([(z[:, k].T * resp[:, k]) @ z[:, k] for k in range(K)])
    covariances = _shaped(scatters, nk, covariance_type)
    return Answer((_log(sums) + largest)[:, 0], resp, nk / len(X), means, covariances)


def _shaped(scatters: Exact, nk: Exact, covariance_type: str) -> Exact:
    """Return what the M step makes of scatters about the means."""
    if covariance_type == "tied":
        return np.asarray(scatters.sum(axis=0) / nk.sum())
    matrices = scatters / nk[:, np.newaxis, np.newaxis]
    if covariance_type == "full":
        return np.asarray(matrices)
    variances = np.diagonal(matrices, axis1=1, axis2=2)
    if covariance_type == "diag":
        return variances
    return np.asarray(variances.sum(axis=1) / variances.shape[1])


def fastgmm_answer(X: NDArray[Any], start: MixtureParameters) -> Answer:
    """Return the answer of the backend in use."""
    still, step = em.fit(X, start, max_iter=0), fastgmm_step(X, start).parameters
    answers = still.score_samples(X), still.predict_proba(X)
    return Answer(*answers, step.weights, step.means, step.covariances)


def fastgmm_step(X: NDArray[Any], start: MixtureParameters) -> em.EMResult:
    """Return the result of one iteration."""
    return em.fit(X, start, max_iter=1, update=em.ClosedForm(reg_covar=0.0))


def peer_answer(X: NDArray[Any], start: MixtureParameters) -> Answer:
    """Return scikit-learn's answer: one iteration of a warm start."""
    kind = start.covariance_type
    model = Peer(K, covariance_type=kind, reg_covar=0.0, max_iter=1, warm_start=True)
    model.weights_, model.means_, model.covariances_ = start.weights, start.means, start.covariances
    model.precisions_cholesky_ = _factors(start.covariances, kind)
    model.converged_, model.lower_bound_ = True, -np.inf
    answers = model.score_samples(X), model.predict_proba(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it did not converge in one iteration
        try:
            model.fit(X)
        except ValueError:  # it refuses the covariances
            return Answer(*answers, np.inf, np.inf, np.inf)
    return Answer(*answers, model.weights_, model.means_, model.covariances_)


def _factors(covariances: Array, covariance_type: str) -> Array:
    """Return upper triangles U with U U^T = inverse covariance, as scikit-learn computes them."""
    if covariance_type in ("diag", "spherical"):
        return 1.0 / np.sqrt(covariances)
    if covariance_type == "tied":
        return _factor(covariances)
    return np.stack([_factor(covariance) for covariance in covariances])


def _factor(covariance: Array) -> Array:
    lower = cholesky(covariance, lower=True)
    return np.asarray(solve_triangular(lower, np.eye(len(lower)), lower=True).T)


def errors(answer: Answer, exact: Answer, covariance_type: str) -> Answer:
    """Return absolute errors as floats: means and covariances are measured in deviations."""
    d = exact.means.shape[1]
    matrices = dense(exact.covariances, covariance_type, d)
    deviations = np.sqrt(np.diagonal(matrices, axis1=1, axis2=2).astype(np.float64))
    differences = Answer(
        *(
            abs(exactly(got) - want).astype(np.float64)
            for got, want in zip(answer, exact, strict=True)
        )
    )
    products = deviations[:, :, np.newaxis] * deviations[:, np.newaxis, :]
    return differences._replace(
        means=differences.means / deviations,
        covariances=dense(differences.covariances, covariance_type, d) / products,
    )


def largest_errors() -> dict[tuple[Any, ...], dict[str, Array]]:
    """Return the largest error of each quantity, by dtype, condition and offset, then by library.

    Largest over covariance types and numbers of features.
    """
    table: dict[tuple[Any, ...], dict[str, Array]] = {}
    # of the Cython kernels the best level
    backends = {"numba" if name == "numba" else "cython": name for name in available()}
    for regime in regimes():
        X, start = problem(regime)
        exact = truth(X, log_joint(X, start)[0], regime.covariance_type)
        answers = {"scikit-learn": peer_answer(X, start)}
        for backend, variant in backends.items():
            with using(variant):
                answers[backend] = fastgmm_answer(X, start)
        row = table.setdefault((regime.dtype, regime.condition, regime.offset), {})
        for name, answer in answers.items():
            found = errors(answer, exact, regime.covariance_type)
            largest = np.array([error.max() for error in found])
            row[name] = np.maximum(row.get(name, 0.0), largest)
    return table


def main() -> None:
    """Print the tables of docs/promises.md."""
    table = largest_errors()
    for quantities in (("log p(x)", "responsibilities"), ("weights", "means", "covariances")):
        print("\n| X | condition | offset | " + " | ".join(quantities) + " |")
        print("|---|--:|--:|" + "---|" * len(quantities))
        for (dtype, condition, offset), row in sorted(table.items(), key=_float64_first):
            cells = [_written(row, QUANTITIES.index(quantity)) for quantity in quantities]
            print(f"| {dtype} | {condition:.0g} | {offset:.0g} | " + " | ".join(cells) + " |")


def _float64_first(item: tuple[tuple[Any, ...], Any]) -> tuple[Any, ...]:
    dtype, *sizes = item[0]
    return (DTYPES.index(dtype), *sizes)


def _written(row: dict[str, Array], quantity: int) -> str:
    """Return errors of a quantity, of one library after the other."""
    errors = [row[name][quantity] for name in ("numba", "cython", "scikit-learn") if name in row]
    return " / ".join(f"{error:.0e}" if np.isfinite(error) else "refused" for error in errors)


if __name__ == "__main__":
    main()
