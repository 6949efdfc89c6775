"""The definition of each kernel, in NumPy; every backend is tested against it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from .groups import box_bounds, group_moments, posterior_listed, search_candidates
from .incomplete import accumulate_incomplete, posterior_incomplete
from .kept_distances import LARGEST_CODE, NOTHING_KEPT, KeptDistances
from .layout import CUT, SMALLEST_BLOCK, TILE, Array, Components, Moments, first_rows
from .packing import float32_centers
from .threads import Workspace
from .tree import descend, principal_cuts, sides

#: Defined beside.
__all__ = [
    "accumulate_incomplete",
    "box_bounds",
    "descend",
    "group_moments",
    "posterior_incomplete",
    "posterior_listed",
    "principal_cuts",
    "search_candidates",
    "sides",
]


def _whitened(X: NDArray[Any], components: Components) -> Array:
    """Return (n, K, d): P_k (x - mu_k)."""
    z = X.astype(np.float64)[:, np.newaxis, :] - components.means
    U = components.precisions_cholesky
    if components.kind == "full":
        return np.asarray(np.einsum("nkj,kji->nki", z, U))
    if components.kind == "tied":
        return np.asarray(z @ U)
    return np.asarray(z * U.reshape(len(U), -1))


def mahalanobis(
    X: NDArray[Any], components: Components, distances: Array, n_threads: int = 1
) -> None:
    """Write |P_k (x - mu_k)|^2."""
    distances[...] = (_whitened(X, components) ** 2).sum(axis=2)


def _log_prob(X: NDArray[Any], components: Components) -> Array:
    distances = np.empty((len(X), len(components.means)))
    mahalanobis(X, components, distances)
    return components.log_coefficients - distances / 2


def normalize(log_prob: Array, log_prob_norm: Array, n_threads: int = 1) -> None:
    """Write log p = log sum_k exp(log_prob), and exp(log_prob - log p) in place."""
    log_prob_norm[...] = logsumexp(log_prob, axis=1)
    log_prob[...] = np.exp(log_prob - log_prob_norm[:, np.newaxis])


def posterior(
    X: NDArray[Any],
    components: Components,
    n_threads: int = 1,
    *,
    log_prob: Array | None = None,
    log_prob_norm: Array | None = None,
    resp: Array | None = None,
    labels: NDArray[np.int64] | None = None,
) -> None:
    """Write log p(x, k), log p(x), p(k | x) and argmax_k p(k | x)."""
    joint = _log_prob(X, components)
    if labels is not None:
        labels[...] = joint.argmax(axis=1)
    if log_prob is not None:
        log_prob[...] = joint
    norm = np.empty(len(X))
    normalize(joint, norm)
    if log_prob_norm is not None:
        log_prob_norm[...] = norm
    if resp is not None:
        resp[...] = joint


def moments(
    X: NDArray[Any],
    sample_weight: Array,
    resp: Array,
    kind: str,
    centers: Array,
    sums: Moments,
    n_threads: int = 1,
) -> None:
    """Add sum w r, sum w r z and sum w r z z^T with z = x - centre."""
    r = resp * sample_weight[:, np.newaxis]
    z = X.astype(np.float64)[:, np.newaxis, :] - centers
    sums.nk[...] += r.sum(axis=0)
    sums.first[...] += np.einsum("nk,nkd->kd", r, z)
    subscripts = {
        "full": "nk,nkd,nke->kde",
        "tied": "nk,nkd,nke->de",
        "diag": "nk,nkd,nkd->kd",
        "spherical": "nk,nkd,nkd->k",
    }[kind]
    sums.second[...] += np.einsum(subscripts, r, z, z)


def accumulate(
    X: NDArray[Any],
    sample_weight: Array,
    components: Components,
    sums: Moments,
    log_likelihood: Array,
    n_threads: int = 1,
    float32_blocks: bool = False,
    workspace: Workspace | None = None,
    kept: KeptDistances = NOTHING_KEPT,
) -> None:
    """Add moments about the means (or near them) under the posterior, and sum w log p(x).

    Write codes where this is the pass that does.
    """
    resp = np.empty((len(X), len(components.means)))
    norm = np.empty(len(X))
    posterior(X, components, log_prob_norm=norm, resp=resp)
    means = components.means
    centers = float32_centers(means) if float32_blocks else means
    moments(X, sample_weight, resp, components.kind, centers, sums)
    log_likelihood += sample_weight @ norm
    if kept.codes.size > 0 and kept.upper.size == 0:
        _write_codes(X, components, kept)


def _write_codes(X: NDArray[Any], components: Components, kept: KeptDistances) -> None:
    """Write how many whole steps each distance takes, and whether the component matters.

    Of a component that does not, a backend may write less.
    """
    joint = _log_prob(X, components)
    steps = np.sqrt(np.maximum(components.log_coefficients - joint, 0.0)) / kept.steps
    codes = np.minimum(steps, LARGEST_CODE).astype(np.uint8)
    matters = joint >= joint.max(axis=1, keepdims=True) - CUT
    codes[matters & (codes < LARGEST_CODE)] += LARGEST_CODE + 1
    units = kept.codes.reshape(-1, len(components.means), SMALLEST_BLOCK)
    for i, code in enumerate(codes):
        units[i // SMALLEST_BLOCK, :, i % SMALLEST_BLOCK] = code


def gram(
    values: Array,
    stride: int,
    bounds: NDArray[np.int64],
    n_repeats: int,
    products: Array,
    n_threads: int = 1,
) -> None:
    """Add ``n_repeats`` times the upper triangle of R R^T, R_ij = values[i stride + j]."""
    columns = np.arange(bounds[0], bounds[-1])
    rows = values[stride * np.arange(4)[:, np.newaxis] + columns]
    products += n_repeats * (rows @ rows.T)[np.triu_indices(4)]


def philox(counter: NDArray[np.uint64], key: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return four numbers of 32 bits for each counter of four: Philox4x32-10."""
    c, k = counter.astype(np.uint64), key.astype(np.uint64)
    low, shift = np.uint64(2**32 - 1), np.uint64(32)
    factors, steps = np.array([[0xD2511F53, 0xCD9E8D57], [0x9E3779B9, 0xBB67AE85]], np.uint64)
    for _ in range(10):
        product = factors * c[..., ::2]
        c[..., ::2] = (product[..., ::-1] >> shift) ^ c[..., 1::2] ^ k
        c[..., 1::2] = product[..., ::-1] & low
        k = (k + steps) & low
    return c


def uniforms(start: int, n: int, sample: int, draw: tuple[int, int]) -> Array:
    """Return (2, n) numbers in [0, 1): those of the places ``start`` on in the stream of a sample.

    ``draw`` is (iteration, seed). Each number has 53 bits: 27 of one number of Philox, 26 of the
    next.
    """
    iteration, seed = (int(number) for number in draw)
    counter = np.empty((n, 4), np.uint64)
    counter[:, 0] = np.arange(start, start + n)
    counter[:, 1:] = [sample % 2**32, sample >> 32, iteration]
    words = philox(counter, np.array([seed % 2**32, seed >> 32], np.uint64)).T
    high, low = words[::2] >> np.uint64(5), words[1::2] >> np.uint64(6)
    return np.asarray((high * 2.0**26 + low) * 2.0**-53)


def metropolis(
    log_joint: Any,
    theta: Array,
    X: Array,
    first_row: int,
    draw: tuple[int, int],
    n_states: int,
    n_skipped: int,
    state: Array,
    scale: Array,
    draws: Array,
    log_joints: Array,
    accepted: Array,
    n_threads: int = 1,
) -> None:
    """Move each state by Metropolis steps; write those after ``n_skipped`` and their mean log p.

    A proposal adds ``scale`` times normals, or puts one element into another of its states. It is
    accepted if log(1 - u) is below the change of log p(x, z).
    """
    n_kept, n_latent = draws.shape[1:]
    n_steps = n_skipped + n_kept
    half = -(-n_steps * (1 if n_states else n_latent) // 2)
    for i, x in enumerate(X):
        moves = uniforms(0, half, first_row + i, draw).ravel()
        chances = np.log1p(-uniforms(half, -(-n_steps // 2), first_row + i, draw).ravel())
        if not n_states:
            normals(moves)
        z = state[i].copy()
        current, n_accepted, values = log_joint(x, z, theta), 0, []
        for t in range(n_steps):
            proposed = z.copy()
            if n_states:
                j, other = divmod(int(moves[t] * (n_latent * (n_states - 1))), n_states - 1)
                proposed[j] = other if other < z[j] else other + 1
            else:
                proposed += scale[i] * moves[t * n_latent : (t + 1) * n_latent]
            value = log_joint(x, proposed, theta)
            if chances[t] < value - current:
                z, current, n_accepted = proposed, value, n_accepted + 1
            if t >= n_skipped:
                draws[i, t - n_skipped] = z
                values.append(current)
        state[i], log_joints[i], accepted[i] = z, np.mean(values), n_accepted / n_steps


def mean_field(
    log_joint_gradient: Any,
    theta: Array,
    X: Array,
    first_row: int,
    draw: tuple[int, int],
    n_steps: int,
    step_size: float,
    mean: Array,
    log_scale: Array,
    draws: Array,
    log_joints: Array,
    n_threads: int = 1,
) -> None:
    """Take natural gradient steps of q(z) = N(mean, scale^2); write draws and their mean log p.

    With z = mean + scale e and g the gradient of log p(x, z): mean += step_size scale^2 E[g] and
    log_scale += step_size / 2 (scale E[g e] + 1), of at most 1 deviation, or 1. Draws come in pairs
    of e and -e.
    """
    n_draws, n_latent = draws.shape[1:]
    half = -(-n_draws // 2 * n_latent // 2)
    for i, x in enumerate(X):
        for step in range(n_steps + 1):
            values = uniforms(step * half, half, first_row + i, draw).ravel()
            normals(values)
            one_sign = values[: n_draws // 2 * n_latent].reshape(-1, n_latent)
            e = np.stack([one_sign, -one_sign], axis=1).reshape(n_draws, n_latent)
            scale = np.exp(log_scale[i])
            draws[i] = mean[i] + scale * e
            gradients = np.empty_like(e)
            log_joints[i] = np.mean(
                [log_joint_gradient(x, draws[i, s], theta, gradients[s]) for s in range(n_draws)]
            )
            if step < n_steps:
                slope = step_size * scale * gradients.mean(axis=0)
                mean[i] += scale * np.clip(slope, -1.0, 1.0)
                change = 0.5 * step_size * (scale * (gradients * e).mean(axis=0) + 1.0)
                log_scale[i] += np.clip(change, -1.0, 1.0)


def normals(values: Array) -> None:
    """Turn pairs of uniforms u, v into sqrt(-2 log(1 - u)) times cos 2 pi v and sin 2 pi v."""
    first, second = np.split(values, 2)
    radius, angle = np.sqrt(-2.0 * np.log1p(-first)), 2.0 * np.pi * second
    first[...], second[...] = radius * np.cos(angle), radius * np.sin(angle)


def add_symmetric(tiles: Array, out: Array, n_threads: int = 1) -> None:
    """Add symmetric matrices, given by the lower triangle of their 4 x 4 tiles."""
    d = out.shape[1]
    rows = -(-d // TILE)
    whole = np.zeros((len(out), rows, TILE, rows, TILE))
    tile_row, tile_column = np.tril_indices(rows)
    own = tiles.reshape(len(out), len(tile_row), TILE, TILE)
    whole[:, tile_row, :, tile_column, :] = own.swapaxes(0, 1)
    lower = np.tril(whole.reshape(len(out), rows * TILE, rows * TILE))[:, :d, :d]
    out += lower + np.tril(lower, -1).swapaxes(1, 2)


def pack_triangles(upper: Array, out: Array, n_threads: int = 1) -> None:
    """Write the transposes of triangles / sqrt(2) in bands of four rows, the first of 1 to 4.

    A band is written column by column, except the triangle at its end, which is written row by row.
    """
    d = upper.shape[1]
    order, first = [], 0
    for stop in range(first_rows(d), d + 1, TILE):
        rows = range(first, stop)
        order += [(i, j) for j in range(first) for i in rows]
        order += [(i, j) for i in rows for j in range(first, i + 1)]
        first = stop
    i, j = np.array(order).T
    out[...] = upper[:, j, i] * np.sqrt(0.5)


def inverse_factors(
    covariances: Array, factors: Array, failed: NDArray[np.uint8], n_threads: int = 1
) -> None:
    """Write U = R^-1 for covariances R^T R; mark those without R. Read upper triangles only."""
    for k, covariance in enumerate(covariances):
        upper = np.triu(covariance)
        try:
            root = np.linalg.cholesky(upper + np.triu(upper, 1).T, upper=True)
        except np.linalg.LinAlgError:
            failed[k] = True
        else:
            factors[k] = np.triu(np.linalg.inv(root))
