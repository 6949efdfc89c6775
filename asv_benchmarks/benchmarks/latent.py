"""Monte Carlo EM of two example models, beside the same in NumPy and in one loop by hand.

Two dimensions of z, ten features, twenty steps of each chain in an iteration. The M step is the
same in all three, in NumPy: ``Draws`` compares what differs, ``MonteCarloEM`` whole iterations.
"""

import importlib.util
from functools import cache
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from fastgmm import em

from .sizes import REPEATS, parse, shapes

MODELS = Path(__file__).parents[2] / "examples" / "models"
N_STEPS = 20
SCALE = 2.4 / np.sqrt(2.0)
#: Draws that are summed up at a time: as many as in the library.
BLOCK = 2**17 // (2 * N_STEPS)


@cache
def _example(name):
    spec = importlib.util.spec_from_file_location(name, MODELS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _start(name, d):
    """Return a model to start from, and log p(x, z) of all samples in NumPy."""
    rng = np.random.default_rng(0)
    table, zeros = rng.normal(scale=0.1, size=(d, 2)), np.zeros(d)
    if name == "latent_trait":
        return _example(name).LatentTrait(table, zeros), _trait_in_numpy
    return _example(name).ProbabilisticPCA(table, zeros, 1.0), _pca_in_numpy


def _trait_in_numpy(model, X, Z):
    odds = Z @ model.slopes.T + model.intercepts
    softplus = np.maximum(odds, 0.0) + np.log1p(np.exp(-np.abs(odds)))
    return (X * odds - softplus).sum(axis=1) - 0.5 * (Z**2).sum(axis=1) - np.log(2.0 * np.pi)


def _pca_in_numpy(model, X, Z):
    errors = X - model.mean - Z @ model.loadings.T
    constant = -0.5 * X.shape[1] * np.log(2.0 * np.pi * model.variance) - np.log(2.0 * np.pi)
    squares = (errors**2).sum(axis=1) / model.variance + (Z**2).sum(axis=1)
    return constant - 0.5 * squares


@cache
def _loop_by_hand(log_joint):
    from numba import njit, prange

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

    return walk


class _Programs:
    """Three programs of one algorithm: each runs iterations, with an M step or with none."""

    def __init__(self, name, n, d):
        rng = np.random.default_rng(0)
        odds = rng.normal(size=(n, 2)) @ rng.normal(size=(2, d)) + rng.normal(size=d)
        noise = rng.logistic(size=(n, d))
        self.X = (odds > noise).astype(float) if name == "latent_trait" else odds + noise
        self.model, self.log_joints = _start(name, d)
        self.rng = rng

    def library(self, n_iter, with_update):
        model = self.model if with_update else self._without_update()
        em.fit(self.X, model, posterior=em.MCMCPosterior(N_STEPS, burn_in=0), max_iter=n_iter)

    def by_hand(self, n_iter, with_update):
        walk = _loop_by_hand(type(self.model).log_joint)

        def draw(model, state, draws):
            walk(self.X, model.theta, state, SCALE, draws)

        self._iterate(draw, n_iter, with_update)

    def in_numpy(self, n_iter, with_update):
        def draw(model, state, draws):
            current = self.log_joints(model, self.X, state)
            for t in range(N_STEPS):
                proposed = state + SCALE * self.rng.standard_normal(state.shape)
                value = self.log_joints(model, self.X, proposed)
                moves = np.log(self.rng.random(len(state))) < value - current
                state[moves], current[moves] = proposed[moves], value[moves]
                draws[:, t] = state

        self._iterate(draw, n_iter, with_update)

    def _without_update(self):
        class Still(type(self.model)):
            def summarize_draws(self, X, Z, weight):
                return {}

            def update(self, sums):
                return self

        still = object.__new__(Still)
        vars(still).update(vars(self.model))
        return still

    def _iterate(self, draw, n_iter, with_update):
        """Alternate draws and the M step, block after block of rows as the library does."""
        model, n = self.model, len(self.X)
        state, draws = np.zeros((n, 2)), np.empty((n, N_STEPS, 2))
        weight = np.ones(n)
        for _ in range(n_iter):
            draw(model, state, draws)
            if not with_update:
                continue
            total = None
            for first in range(0, n, BLOCK):
                rows = slice(first, first + BLOCK)
                values = model.summarize_draws(self.X[rows], draws[rows], weight[rows])
                part = em.Sums(0.0, weight[rows].sum(), values)
                total = part if total is None else total + part
            model = model.update(total)


class _Ratios:
    """Medians of rounds in which two programs take turns, three iterations each."""

    params = [["latent_trait", "probabilistic_pca"], shapes((100_000, 10, 2))]
    param_names = ["model", "n,d,L"]
    unit = "x"
    timeout = 600.0
    with_update = True

    def setup(self, model, shape):
        self.programs = _Programs(model, *parse(shape)[:2])
        for run in (self.programs.library, self.programs.by_hand):
            run(1, self.with_update)  # compiles

    def track_speedup_over_numpy(self, model, shape):
        return self._time(self.programs.in_numpy)

    def track_speedup_over_loop_by_hand(self, model, shape):
        return self._time(self.programs.by_hand)

    def _time(self, other):
        ratios = []
        for _ in range(REPEATS):
            times = []
            for run in (other, self.programs.library):
                start = perf_counter()
                run(3, self.with_update)
                times.append(perf_counter() - start)
            ratios.append(times[0] / times[1])
        return median(ratios)


class MonteCarloEM(_Ratios):
    """Whole iterations: draws, and an M step in NumPy that takes a good part of them."""


class Draws(_Ratios):
    """E steps alone."""

    with_update = False
