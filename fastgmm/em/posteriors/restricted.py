"""Posteriors that are restricted, or smoothed: hard, truncated, tempered."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..._kernels.layout import Array, Components
from ..._kernels.threads import Workspace, count_threads
from ...data.samples import Samples
from ...model.parameters import MixtureParameters
from ...model.statistics import SufficientStatistics
from ..schedules import Schedule, check_count
from .base import BlockwisePosterior, Posterior
from .exact import add_up


class HardPosterior(BlockwisePosterior):
    r"""Assign each sample to its best component alone: classification EM.

    .. math:: q_i(k) = 1 \text{ for } k = \arg\max_j p(j \mid x_i), \text{ else } 0

    Of equally good components the first one is taken. The lower bound is the classification
    log-likelihood :math:`\sum_i w_i \max_k \log p(x_i, k)`; it does not fall, and is constant after
    finitely many iterations. Its maximum is not that of the likelihood: overlapping components come
    out too narrow and too far apart.

    Parameters
    ----------
    n_jobs : int or None, default=None
        Number of threads; None: all cores.

    References
    ----------
    Celeux and Govaert (1992), A classification EM algorithm for clustering and two stochastic
    versions, Comput. Statist. Data Anal. 14.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import em
    >>> X = np.array([[0.0], [0.2], [5.0], [5.2]])
    >>> start = em.MixtureParameters.from_covariances(
    ...     "spherical", np.array([0.5, 0.5]), np.array([[0.0], [3.0]]), np.ones(2)
    ... )
    >>> em.fit(X, start, posterior=em.HardPosterior()).parameters.means.round(3).tolist()
    [[0.1], [5.1]]
    """

    def restrict(self, resp: Array, rows: slice) -> tuple[Array, Array]:
        """Return one-hot rows, and -log of the largest responsibility.

        Parameters
        ----------
        resp : (m, K) array
            p(k | x_i), which is overwritten.
        rows : slice
            Which samples these are.

        Returns
        -------
        tuple of two arrays
            q (m, K) and its divergences (m,), in nats.
        """
        best = np.arange(len(resp)), resp.argmax(axis=1)
        divergence = -np.log(resp[best])
        resp[...] = 0.0
        resp[best] = 1.0
        return resp, divergence


class TruncatedPosterior(BlockwisePosterior):
    r"""The ``n_best`` best components of each sample, renormalised.

    .. math:: q_i(k) = p(k \mid x_i) / m_i \text{ for } k \in B_i, \qquad
              m_i = \sum_{k \in B_i} p(k \mid x_i)

    Its divergence from the posterior is :math:`-\log m_i`, the smallest of all q on ``n_best``
    components. So the lower bound :math:`\sum_i w_i \log \sum_{k \in B_i} p(x_i, k)` does not fall.
    Of equally good components the first ones are taken. With ``n_best`` = K this is the exact
    posterior.

    Parameters
    ----------
    n_best : int
    n_jobs : int or None, default=None
        Number of threads; None: all cores.

    Raises
    ------
    ValueError
        If ``n_best`` is not a positive integer.

    References
    ----------
    Lücke and Eggert (2010), Expectation truncation and the benefits of preselection in training
    generative models, J. Mach. Learn. Res. 11.
    """

    def __init__(self, n_best: int, n_jobs: int | None = None) -> None:
        super().__init__(n_jobs)
        self.n_best = check_count(n_best, "n_best")

    def restrict(self, resp: Array, rows: slice) -> tuple[Array, Array]:
        """Return the best responsibilities, renormalised, and -log of their sum.

        Parameters
        ----------
        resp : (m, K) array
            p(k | x_i), which is overwritten.
        rows : slice
            Which samples these are.

        Returns
        -------
        tuple of two arrays
            q (m, K) and its divergences (m,), in nats.
        """
        if self.n_best >= resp.shape[1]:
            return resp, np.zeros(len(resp))
        resp[~_are_best(resp, self.n_best)] = 0.0
        mass = resp.sum(axis=1)
        resp /= mass[:, np.newaxis]
        return resp, -np.log(mass)


def _are_best(values: Array, count: int) -> Any:
    """Return a mask of the largest values of each row; of equal ones, the first."""
    smallest = -np.partition(-values, count - 1, axis=1)[:, count - 1 : count]
    above = values > smallest
    equal = values == smallest
    places = count - above.sum(axis=1, keepdims=True)
    return above | (equal & (np.cumsum(equal, axis=1) <= places))


class TemperedPosterior(Posterior[MixtureParameters, SufficientStatistics]):
    r"""Deterministic annealing: the posterior at a temperature T.

    .. math:: q_i(k) \propto p(x_i, k)^{1/T}

    T > 1 makes responsibilities more equal and the likelihood smoother, T = 1 is EM, T -> 0 is
    `HardPosterior`. The lower bound is the free energy that this q maximises,

    .. math:: F_T = E_q \log p + T H(q) = T \sum_i w_i \log \sum_k p(x_i, k)^{1/T}

    which does not fall while T is constant. It is the log-likelihood for T = 1, below it for T < 1,
    and above it by up to (T - 1) log K for T > 1. F changes with T, so no stop rule is asked before
    two iterations at the last temperature.

    Above a critical temperature all means merge, and nothing separates them again. If all
    components have a fixed variance s^2, the critical temperature is the largest eigenvalue of
    cov(X) / s^2 (Rose 1998).

    It reads the samples once, as `ExactPosterior` does: the kernel takes log-coefficients / T and
    precision factors / sqrt(T).

    Parameters
    ----------
    temperature : float or sequence of float
        One for each iteration; the last one repeats. It should end at 1 for a maximum of
        the likelihood.
    n_jobs : int or None, default=None
        Number of threads; None: all cores.

    Raises
    ------
    ValueError
        If there is no temperature, or one is not positive and finite.

    References
    ----------
    Ueda and Nakano (1998), Deterministic annealing EM algorithm, Neural Networks 11. Rose (1998),
    Deterministic annealing for clustering, compression, classification, regression, and related
    optimization problems, Proc. IEEE 86.
    """

    parameters_type = MixtureParameters
    objective: str = "elbo"

    def __init__(self, temperature: float | Sequence[float], n_jobs: int | None = None) -> None:
        self.temperature = Schedule(temperature, "temperature", _check_temperature)
        self.n_threads = count_threads(n_jobs)
        self._workspace = Workspace()
        self._iteration = 0

    def start(self, samples: Samples, parameters: MixtureParameters) -> None:
        """Begin with the first temperature."""
        self._iteration = 0

    @property
    def settled(self) -> bool:
        """Whether the last two iterations were at the last temperature."""
        return self._iteration > len(self.temperature)

    def summarize(self, samples: Samples, parameters: MixtureParameters) -> SufficientStatistics:
        """Return the statistics of all samples at the temperature of this iteration."""
        self._iteration += 1
        T = self.temperature(self._iteration)
        wider = replace(
            parameters,
            covariances=parameters.covariances * T,
            precisions_cholesky=parameters.precisions_cholesky / math.sqrt(T),
        )
        statistics = add_up(
            samples, wider, _tempered(parameters, T), self.n_threads, self._workspace
        )
        return replace(statistics, log_likelihood=statistics.log_likelihood * T)


def _tempered(parameters: MixtureParameters, temperature: float) -> Components:
    """Return components whose log-density is log p(x, k) / T."""
    components = parameters.components()
    with np.errstate(over="ignore"):  # that of a component of weight 0
        coefficients = components.log_coefficients / temperature
    return components._replace(
        log_coefficients=np.maximum(coefficients, np.finfo(float).min),
        precisions_cholesky=components.precisions_cholesky / math.sqrt(temperature),
    )


def _check_temperature(value: Any, name: str) -> float:
    temperature = float(value)
    if not 0.0 < temperature < math.inf:
        raise ValueError(f"{name} should be positive and finite, got {temperature}.")
    return temperature
