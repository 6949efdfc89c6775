"""Draws of a latent variable whose posterior has no formula: Markov chains, and Gaussian q."""

import math
from abc import abstractmethod
from numbers import Integral
from typing import Any, ClassVar

import numpy as np

from ... import _kernels as kernels
from ..._kernels.layout import Array
from ..._kernels.threads import count_threads
from ...data.samples import Samples
from ..latent_variable_model import LatentVariableModel, Sums, check_bound, check_has, check_values
from ..schedules import Counts, check_count, check_seed, counts
from ..step_sizes import StepSize, step_size_of
from .base import Posterior, row_blocks

# A random walk in L dimensions moves best with steps of 2.4 / sqrt(L) deviations (Gelman, Roberts
# and Gilks 1996), and is then accepted in 44 % (L = 1) to 23 % of its steps.
_STEP, _ACCEPTED = 2.4, 0.35
_ENTROPY_OF_NORMAL = 0.5 * math.log(2.0 * math.pi * math.e)


class _DrawnPosterior(Posterior[LatentVariableModel, Sums]):
    """Sums over draws of z, block after block."""

    parameters_type = LatentVariableModel
    function: ClassVar[str]  # of the model, which the draws need

    def __init__(self, n_draws: Counts, seed: int, n_jobs: int | None) -> None:
        self.n_draws = counts(n_draws, "n_draws")
        self.seed = check_seed(seed)
        self.n_threads = count_threads(n_jobs)
        self._iteration = 0

    def check_model(self, model: LatentVariableModel) -> None:
        """Check that a model has all that the draws need."""
        super().check_model(model)
        for name in ("n_latent", "theta", "summarize_draws", self.function):
            check_has(self, model, name)
        _check_integer(model.n_latent, f"n_latent of {type(model).__name__}", 1)

    def summarize(self, samples: Samples, parameters: LatentVariableModel) -> Sums:
        """Return the sums of all samples over new draws."""
        self._iteration += 1
        n_draws, n_latent = self._count_draws(), parameters.n_latent
        assert n_latent is not None
        theta = np.ascontiguousarray(parameters.theta, np.float64)
        total = None
        for rows in row_blocks(samples, n_draws * n_latent):
            X = np.ascontiguousarray(samples.rows(rows), np.float64)
            weight = samples.weight(rows)
            draws = np.empty((len(X), n_draws, n_latent))
            bounds = self._draw(parameters, theta, X, rows, draws)
            bound = float(weight @ np.where(weight > 0, bounds, 0.0))
            check_bound(bound, parameters, self.function)
            values = parameters.summarize_draws(X, draws, weight)
            check_values(values, parameters, "summarize_draws")
            part = Sums(bound, float(weight.sum()), values)
            total = part if total is None else total + part
        assert total is not None
        return total

    def _count_draws(self) -> int:
        return self.n_draws(self._iteration)

    def _function(self, model: LatentVariableModel) -> Any:
        """Return a function of a model, which a class may hold without ``staticmethod``."""
        return vars(model).get(self.function) or getattr(type(model), self.function)

    @abstractmethod
    def _draw(
        self, model: LatentVariableModel, theta: Array, X: Array, rows: slice, draws: Array
    ) -> Array:
        """Write draws for some rows; return the bound of each row."""


class MCMCPosterior(_DrawnPosterior):
    r"""Monte Carlo EM by a Metropolis chain for each sample, from log p(x, z) alone.

    .. math:: E[t(x_i, z)] \approx \frac 1S \sum_{s=1}^S t(x_i, z_{is}), \qquad
        z_{is} \to z' \text{ with probability } \min(1, p(x_i, z') / p(x_i, z_{is}))

    Continuous z moves by a normal step in all its elements. The length of the steps of each chain
    is adjusted after every iteration, by less and less, until about a third of them are accepted.
    For discrete z another state of one element is proposed. Chains go on from iteration to
    iteration, while the parameters move. All S states of an iteration count as draws.

    Random numbers depend on the seed, the iteration and the row alone. So the draws are the same
    for any number of threads.

    The lower bound is the mean of log p(x, z) over the draws: the expected complete log-likelihood
    under the posterior, without the entropy, which chains do not tell. It fluctuates.

    Parameters
    ----------
    n_draws : int, sequence of int, or callable
        S; or one for each iteration, the last one repeating; or a function of the number of the
        iteration, counted from 1, such as `Growing`.
    burn_in : int, default=100
        Steps before the first draws of the first iteration. Chains begin at 0.
    seed : int, default=0
        From 0 to 2**64 - 1.
    n_jobs : int or None, default=None
        Number of threads; None: all cores.

    Raises
    ------
    ValueError
        If a number of draws is not positive, ``burn_in`` negative or the seed out of range.

    References
    ----------
    Wei and Tanner (1990), A Monte Carlo implementation of the EM algorithm, J. Amer. Statist.
    Assoc. 85. Metropolis, Rosenbluth, Rosenbluth, Teller and Teller (1953), Equation of state
    calculations by fast computing machines, J. Chem. Phys. 21. Gelman, Roberts and Gilks (1996),
    Efficient Metropolis jumping rules, Bayesian Statistics 5.
    """

    objective: str = "estimate"
    function = "log_joint"

    def __init__(
        self, n_draws: Counts, *, burn_in: int = 100, seed: int = 0, n_jobs: int | None = None
    ) -> None:
        super().__init__(n_draws, seed, n_jobs)
        self.burn_in = _check_integer(burn_in, "burn_in", 0)

    def check_model(self, model: LatentVariableModel) -> None:
        """Check that a model has what the draws need, and ``n_states`` if z is discrete."""
        super().check_model(model)
        if model.latent == "discrete":
            check_has(self, model, "n_states")
            _check_integer(model.n_states, f"n_states of {type(model).__name__}", 2)

    def start(self, samples: Samples, parameters: LatentVariableModel) -> None:
        """Begin all chains at 0."""
        n_latent = parameters.n_latent
        assert n_latent is not None
        self._iteration = 0
        self._state = np.zeros((samples.n_samples, n_latent))
        self._scale = np.full(samples.n_samples, _STEP / math.sqrt(n_latent))

    def _draw(
        self, model: LatentVariableModel, theta: Array, X: Array, rows: slice, draws: Array
    ) -> Array:
        log_joints, accepted = np.empty((2, len(X)))
        kernels.metropolis(
            self._function(model),
            theta,
            X,
            rows.start,
            (self._iteration, self.seed),
            0 if model.latent == "continuous" else model.n_states or 0,
            self.burn_in if self._iteration == 1 else 0,
            self._state[rows],
            self._scale[rows],
            draws,
            log_joints,
            accepted,
            self.n_threads,
        )
        self._scale[rows] *= np.exp((accepted - _ACCEPTED) / math.sqrt(self._iteration))
        return log_joints


class GaussianPosterior(_DrawnPosterior):
    r"""Variational EM with a Gaussian of its own for each sample, by reparameterised gradients.

    .. math:: q_i(z) = \prod_j N(z_j \mid \mu_{ij}, \sigma_{ij}^2), \qquad
        L_i = E_{q_i}[\log p(x_i, z)] + \textstyle\sum_j \log \sigma_{ij} + \tfrac L2 \log 2 \pi e

    With :math:`z = \mu_i + \sigma_i \epsilon` and :math:`g = \nabla_z \log p(x_i, z)`, a step is

    .. math:: \mu_i \leftarrow \mu_i + \eta \, \sigma_i^2 E[g], \qquad
        \log \sigma_i \leftarrow \log \sigma_i + \tfrac \eta 2 (\sigma_i E[g \epsilon] + 1)

    These are natural gradients. The expectations are means over ``n_draws`` of :math:`\epsilon`,
    half of which are the negatives of the others. Each q goes on from iteration to iteration.

    Many steps in an iteration, and a model whose ``update`` maximises, alternate between q and the
    parameters. One step, and a model whose ``update`` takes a gradient step, move both at once.

    The lower bound is an estimate of the mean of :math:`L_i`, which is below the log-likelihood.

    Parameters
    ----------
    n_draws : int, sequence of int, or callable, default=8
        An odd number is rounded up; or one for each iteration, the last one repeating; or a
        function of the number of the iteration, counted from 1, such as `Growing`.
    n_steps : int, default=10
        Steps of each q in an iteration.
    step_size : float or callable, default=0.5
        :math:`\eta`, or a function of the iteration, counted from 0, such as `Decaying`.
    seed : int, default=0
        From 0 to 2**64 - 1.
    n_jobs : int or None, default=None
        Number of threads; None: all cores.

    Attributes
    ----------
    mean : (n, L) array
        :math:`\mu`, after a run.
    scale : (n, L) array
        :math:`\sigma`, after a run.

    Raises
    ------
    ValueError
        If a number of draws, ``n_steps`` or ``step_size`` is not positive, or the seed out of
        range.

    References
    ----------
    Kingma and Welling (2014), Auto-encoding variational Bayes, ICLR. Titsias and Lazaro-Gredilla
    (2014), Doubly stochastic variational Bayes for non-conjugate inference, ICML. Amari (1998),
    Natural gradient works efficiently in learning, Neural Computation 10.
    """

    latent: ClassVar[frozenset[str]] = frozenset({"continuous"})
    objective: str = "estimate"
    function = "log_joint_gradient"

    def __init__(
        self,
        n_draws: Counts = 8,
        n_steps: int = 10,
        step_size: StepSize = 0.5,
        *,
        seed: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(n_draws, seed, n_jobs)
        self.n_steps = check_count(n_steps, "n_steps")
        self.step_size = step_size
        self._schedule = step_size_of(step_size)

    def start(self, samples: Samples, parameters: LatentVariableModel) -> None:
        """Begin with standard normals."""
        assert parameters.n_latent is not None
        self._iteration = 0
        self.mean = np.zeros((samples.n_samples, parameters.n_latent))
        self._log_scale = np.zeros_like(self.mean)

    @property
    def scale(self) -> Array:
        """Standard deviations of each q."""
        return np.exp(self._log_scale)

    def _count_draws(self) -> int:
        n_draws = super()._count_draws()
        return n_draws + n_draws % 2

    def _draw(
        self, model: LatentVariableModel, theta: Array, X: Array, rows: slice, draws: Array
    ) -> Array:
        log_joints = np.empty(len(X))
        kernels.mean_field(
            self._function(model),
            theta,
            X,
            rows.start,
            (self._iteration, self.seed),
            self.n_steps,
            self._schedule(self._iteration - 1),
            self.mean[rows],
            self._log_scale[rows],
            draws,
            log_joints,
            self.n_threads,
        )
        entropy = self._log_scale[rows].sum(axis=1) + draws.shape[2] * _ENTROPY_OF_NORMAL
        bound: Array = log_joints + entropy
        return bound


def _check_integer(value: object, name: str, least: int) -> int:
    """Return an integer that is large enough.

    Raises
    ------
    ValueError
        If it is not.
    """
    if not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} should be an integer of at least {least}, got {value!r}.")
    return int(value)
