"""Monte Carlo EM of a latent trait model, beside the same in NumPy and in one loop by hand.

Two dimensions of z, ten binary features, twenty steps of each chain in an iteration. The M step, a
Newton step, is the same in all three: what is compared is how chains are run.
"""

from statistics import median
from time import perf_counter

import numpy as np

from fastgmm import em

from .sizes import REPEATS, parse, shapes

N_STEPS = 20


def _log_joint(x, z, theta):
    d, n_latent = len(x), len(z)
    total = -0.5 * n_latent * np.log(2.0 * np.pi)
    for k in range(n_latent):
        total -= 0.5 * z[k] * z[k]
    for j in range(d):
        odds = theta[d * n_latent + j]
        for k in range(n_latent):
            odds += theta[j * n_latent + k] * z[k]
        total += x[j] * odds - max(odds, 0.0) - np.log1p(np.exp(-abs(odds)))
    return total


def _log_joints(X, Z, theta):
    """Return log p(x, z) of all samples, in NumPy."""
    d = X.shape[1]
    odds = Z @ theta[: 2 * d].reshape(d, 2).T + theta[2 * d :]
    softplus = np.maximum(odds, 0.0) + np.log1p(np.exp(-np.abs(odds)))
    return (X * odds - softplus).sum(axis=1) - 0.5 * (Z**2).sum(axis=1) - np.log(2.0 * np.pi)


def _compile():
    """Return the log-density, and a loop over samples by hand, both compiled."""
    from numba import njit, prange

    log_joint = njit(error_model="numpy")(_log_joint)

    @njit(parallel=True, error_model="numpy")
    def walk(X, theta, state, scale, draws):
        n, n_steps, n_latent = draws.shape
        for i in prange(n):
            z, proposed = state[i], np.empty(n_latent)
            current = log_joint(X[i], z, theta)
            for t in range(n_steps):
                for k in range(n_latent):
                    proposed[k] = z[k] + scale * np.random.standard_normal()
                value = log_joint(X[i], proposed, theta)
                if np.log(np.random.random()) < value - current:
                    current = value
                    z[:] = proposed
                draws[i, t] = z

    return log_joint, walk


class _Trait(em.LatentVariableModel):
    """Slopes (d, 2) and intercepts (d,) of log-odds."""

    latent = "continuous"
    n_latent = 2

    def __init__(self, theta):
        self.theta = theta

    def summarize_draws(self, X, Z, weight):
        """Return the gradient and the information of slopes and intercepts."""
        d, n_draws = X.shape[1], Z.shape[1]
        ones = np.ones((*Z.shape[:2], 1))
        Z = np.concatenate([Z, ones], axis=2).reshape(-1, 3)
        table = np.column_stack([self.theta[: 2 * d].reshape(d, 2), self.theta[2 * d :]])
        p = 1.0 / (1.0 + np.exp(-Z @ table.T))
        share = np.repeat(weight / n_draws, n_draws)[:, np.newaxis]
        errors = share * (np.repeat(X, n_draws, axis=0) - p)
        products = (Z[:, :, np.newaxis] * Z[:, np.newaxis]).reshape(-1, 9)
        information = (share * p * (1.0 - p)).T @ products
        return {"gradient": errors.T @ Z, "information": information.reshape(d, 3, 3)}

    def update(self, sums):
        step = np.linalg.solve(sums["information"], sums["gradient"][..., np.newaxis])[..., 0]
        theta = self.theta + np.concatenate([step[:, :2].ravel(), step[:, 2]])
        return type(self)(theta)


def _samples(n, d):
    """Return binary answers, and a start."""
    rng = np.random.default_rng(0)
    slopes, intercepts = rng.normal(size=(d, 2)), rng.normal(size=d)
    odds = rng.normal(size=(n, 2)) @ slopes.T + intercepts
    X = (rng.random((n, d)) < 1.0 / (1.0 + np.exp(-odds))).astype(float)
    theta = np.concatenate([rng.normal(scale=0.1, size=2 * d), np.zeros(d)])
    return X, theta


class _Loops:
    """Three programs of the same algorithm: each runs ``n_iter`` iterations."""

    def __init__(self, n, d):
        self.X, theta = _samples(n, d)
        log_joint, self.walk = _compile()
        self.model = type("Trait", (_Trait,), {"log_joint": log_joint})(theta)
        for run in (self.library, self.by_hand):
            run(1)  # compiles

    def library(self, n_iter):
        posterior = em.MCMCPosterior(N_STEPS, burn_in=0)
        return em.fit(self.X, self.model, posterior=posterior, max_iter=n_iter).parameters

    def by_hand(self, n_iter):
        def draw(theta, state, draws):
            self.walk(self.X, theta, state, 2.4 / np.sqrt(2.0), draws)

        return self._iterate(draw, n_iter)

    def numpy(self, n_iter):
        rng = np.random.default_rng(0)

        def draw(theta, state, draws):
            current = _log_joints(self.X, state, theta)
            for t in range(N_STEPS):
                proposed = state + 2.4 / np.sqrt(2.0) * rng.normal(size=state.shape)
                value = _log_joints(self.X, proposed, theta)
                moves = np.log(rng.random(len(state))) < value - current
                state[moves], current[moves] = proposed[moves], value[moves]
                draws[:, t] = state

        return self._iterate(draw, n_iter)

    def _iterate(self, draw, n_iter):
        """Alternate draws and the M step, block after block of rows as the library."""
        model, n = self.model, len(self.X)
        state, draws = np.zeros((n, 2)), np.empty((n, N_STEPS, 2))
        weight, step = np.ones(n), 2**17 // (2 * N_STEPS)
        for _ in range(n_iter):
            draw(model.theta, state, draws)
            parts = [
                model.summarize_draws(self.X[rows], draws[rows], weight[rows])
                for rows in (slice(first, first + step) for first in range(0, n, step))
            ]
            model = model.update({name: sum(part[name] for part in parts) for name in parts[0]})
        return model


class MonteCarloEM:
    """Ratios of the time of an iteration, draws and M step, and of the draws alone."""

    params = [shapes((100_000, 10, 2))]
    param_names = ["n,d,L"]
    unit = "x"
    timeout = 600.0

    def setup(self, shape):
        self.loops = _Loops(*parse(shape)[:2])

    def track_speedup_over_numpy(self, shape):
        """At least 20 for the draws is what the library promises."""
        return self._ratio("numpy")

    def track_time_over_loop_by_hand(self, shape):
        """At most 1.5."""
        return 1.0 / self._ratio("by_hand")

    def _ratio(self, other, n_iter=3):
        ratios = []
        for _ in range(REPEATS):
            times = []
            for run in (getattr(self.loops, other), self.loops.library):
                start = perf_counter()
                run(n_iter)
                times.append(perf_counter() - start)
            ratios.append(times[0] / times[1])
        return median(ratios)
