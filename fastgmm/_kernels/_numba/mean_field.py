"""Gradient steps of q(z) = prod_j N(z_j; mu_j, sigma_j^2) for each sample, by reparameterisation.

The kernel is compiled for the gradient that a model hands in.
"""

from functools import cache

import numpy as np
from numba import njit, prange

from .box_muller import _pairs
from .jit import U, part, slot_function
from .philox import fill_uniforms

# Largest change in one step, of a mean in standard deviations or a log standard deviation.
_LARGEST = 1.0


@slot_function
def _fill_normals(pairs, place, sample, iteration, seed):
    """Write standard normals of a sample's stream from a place on.

    pairs  OUT  (2, half)
    """
    half = U(pairs.shape[1])
    fill_uniforms(pairs[0], pairs[1], place, half, sample, iteration, seed)
    _pairs(pairs[0], pairs[1], half)


@part
def _clipped(step):
    return min(max(step, -_LARGEST), _LARGEST)


def _ascend_with(log_joint_gradient):
    def ascend(
        X, theta, first_row, iteration, seed, n_steps, step_size, mean, log_scale, draws, bounds,
        n_parts,
    ):  # fmt: skip
        n, n_latent = mean.shape
        n_draws = draws.shape[1]  # even: each normal is taken with either sign
        n_normals = n_draws // 2 * n_latent
        for p in prange(n_parts):
            pairs = np.empty((2, (n_normals + 1) // 2))
            normals = pairs.reshape(-1)
            gradient, slope, curvature = np.empty(n_latent), np.empty(n_latent), np.empty(n_latent)
            for i in range(p * n // n_parts, (p + 1) * n // n_parts):
                mu, log_sigma = mean[i], log_scale[i]
                for step in range(n_steps + 1):
                    place = U(step * pairs.shape[1])
                    _fill_normals(pairs, place, U(first_row + i), iteration, seed)
                    slope[:] = 0.0
                    curvature[:] = 0.0
                    total = 0.0
                    for s in range(n_draws):
                        sign = 1.0 if s % 2 == 0 else -1.0
                        z, at = draws[i, s], s // 2 * n_latent
                        for j in range(n_latent):
                            z[j] = mu[j] + np.exp(log_sigma[j]) * sign * normals[at + j]
                        total += log_joint_gradient(X[i], z, theta, gradient)
                        for j in range(n_latent):
                            slope[j] += gradient[j]
                            curvature[j] += gradient[j] * sign * normals[at + j]
                    if step == n_steps:  # these draws are of the q that is returned
                        bounds[i] = total / n_draws
                        break
                    for j in range(n_latent):
                        sigma = np.exp(log_sigma[j])
                        # natural gradients: times sigma^2, and times 1/2
                        mu[j] += sigma * _clipped(step_size * sigma * slope[j] / n_draws)
                        change = 0.5 * step_size * (sigma * curvature[j] / n_draws + 1.0)
                        log_sigma[j] += _clipped(change)

    return ascend


@cache
def mean_field(log_joint_gradient, in_order):
    """Return the kernel for a gradient, on all threads or on the calling one.

    It takes these arguments::

        X           IN      (m, d)
        theta       IN      (p,)
        first_row   IN      of X among all samples
        iteration   IN      uint64
        seed        IN      uint64
        n_steps     IN
        step_size   IN      a step of 1 is Newton's where log p is quadratic
        mean        IN OUT  (m, L)
        log_scale   IN OUT  (m, L)
        draws       OUT     (m, S, L)
        bounds      OUT     (m,)      mean of log p(x, z) over the draws
        n_parts     IN      does not change the result
    """
    ascend = _ascend_with(log_joint_gradient)
    return njit(error_model="numpy", nogil=True, parallel=not in_order)(ascend)
