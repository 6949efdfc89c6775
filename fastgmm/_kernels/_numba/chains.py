"""Metropolis chains over latent variables, one for each sample (Metropolis et al. 1953).

The kernel is compiled for the log-density that a model hands in, a function of one sample, one
value of its latent variable, and the parameters.
"""

from functools import cache

import numpy as np
from numba import njit, prange

from .box_muller import _pairs
from .jit import U, part, slot_function
from .philox import fill_uniforms
from .posterior import log


@slot_function
def _fill_steps(numbers, chances, n_states, sample, iteration, seed):
    """Write what a chain draws: normals, or uniforms where states are discrete, and log-chances.

    numbers  OUT  (2, half)   a pair in each column
    chances  OUT  (2, half')
    """
    half = U(numbers.shape[1])
    fill_uniforms(numbers[0], numbers[1], U(0), half, sample, iteration, seed)
    if n_states == 0:
        _pairs(numbers[0], numbers[1], half)
    fill_uniforms(chances[0], chances[1], half, U(chances.shape[1]), sample, iteration, seed)
    for row in range(2):
        for i in range(chances.shape[1]):
            chances[row, i] = log(1.0 - chances[row, i])


@part
def _propose(z, numbers, at, scale, n_states, proposed):
    """Write a proposal: z moved by normals, or one element in another of its states.

    z, numbers  IN
    proposed    OUT
    """
    n_latent = len(z)
    if n_states > 0:
        for j in range(n_latent):
            proposed[j] = z[j]
        place = int(numbers[at] * (n_latent * (n_states - 1)))
        j, state = place // (n_states - 1), place % (n_states - 1)
        proposed[j] = state if state < z[j] else state + 1
    else:
        for j in range(n_latent):
            proposed[j] = z[j] + scale * numbers[at + j]


def _walk_with(log_joint):
    def walk(
        X, theta, first_row, iteration, seed, n_states, n_skipped,
        state, scale, draws, log_joints, accepted, n_parts,
    ):  # fmt: skip
        n, n_latent = state.shape
        n_kept = draws.shape[1]
        n_steps = n_skipped + n_kept
        per_step = 1 if n_states > 0 else n_latent
        for p in prange(n_parts):
            numbers = np.empty((2, (n_steps * per_step + 1) // 2))
            chances = np.empty((2, (n_steps + 1) // 2))
            flat, chance = numbers.reshape(-1), chances.reshape(-1)
            proposed = np.empty(n_latent)
            for i in range(p * n // n_parts, (p + 1) * n // n_parts):
                _fill_steps(numbers, chances, n_states, U(first_row + i), iteration, seed)
                z = state[i]
                current = log_joint(X[i], z, theta)
                total, moves = 0.0, 0
                for t in range(n_steps):
                    _propose(z, flat, t * per_step, scale[i], n_states, proposed)
                    value = log_joint(X[i], proposed, theta)
                    if chance[t] < value - current:
                        current = value
                        moves += 1
                        for j in range(n_latent):
                            z[j] = proposed[j]
                    if t >= n_skipped:
                        total += current
                        for j in range(n_latent):
                            draws[i, t - n_skipped, j] = z[j]
                log_joints[i] = total / n_kept
                accepted[i] = moves / n_steps

    return walk


@cache
def metropolis(log_joint, in_order):
    """Return the kernel for a log-density, on all threads or on the calling one.

    It takes these arguments::

        X           IN      (m, d)
        theta       IN      (p,)
        first_row   IN      of X among all samples
        iteration   IN      uint64
        seed        IN      uint64
        n_states    IN      of each element of z; 0 if they are continuous
        n_skipped   IN      steps before the first draw
        state       IN OUT  (m, L)   where each chain is
        scale       IN      (m,)     of the steps
        draws       OUT     (m, S, L)
        log_joints  OUT     (m,)     mean over the draws
        accepted    OUT     (m,)     share of the steps
        n_parts     IN      does not change the result
    """
    walk = _walk_with(log_joint)
    return njit(error_model="numpy", nogil=True, parallel=not in_order)(walk)
