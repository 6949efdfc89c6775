"""E-step policies: their interface, and a base class that works block by block."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from types import UnionType
from typing import ClassVar, Generic

import numpy as np

from ... import _kernels as kernels
from ..._kernels.layout import Array
from ..._kernels.threads import count_threads
from ...data.samples import Samples
from ...model.parameters import MixtureParameters
from ...model.statistics import SufficientStatistics
from ..latent_variable_model import LATENT_KINDS, LatentVariableModel, P, S, check_has

# How many responsibilities are formed at once: 1 MB.
_RESPONSIBILITIES = 2**17


class Posterior(ABC, Generic[P, S]):
    """Turns samples and parameters into sufficient statistics.

    Attributes
    ----------
    parameters_type : type
        Type of the parameters that it works with.
    latent : frozenset of str
        Kinds of latent variables that it works for: 'discrete', 'continuous'.
    objective : {'log-likelihood', 'elbo', 'estimate'}
        The kind of lower bound of its statistics. ``log-likelihood``: that of the parameters.
        ``elbo``: a bound below it, which does not fall from one iteration to the next where
        `settled`. ``estimate``: a number that fluctuates.
    takes_missing : bool
        Whether its statistics are those expected given what was observed, where values are missing.
    n_reseeded : int
        How many times it used a component elsewhere in this run.
    """

    parameters_type: ClassVar[type | UnionType] = object
    latent: ClassVar[frozenset[str]] = LATENT_KINDS
    objective: str = "log-likelihood"
    takes_missing: ClassVar[bool] = False
    n_reseeded: int = 0

    def start(self, samples: Samples, parameters: P) -> None:
        """Begin a run: check that the policy fits the data, and forget earlier runs.

        Parameters
        ----------
        samples : Samples
        parameters : object of ``parameters_type``
        """

    def check_model(self, model: LatentVariableModel) -> None:
        """Check that the policy works for a model that is no Gaussian mixture.

        Parameters
        ----------
        model : LatentVariableModel

        Raises
        ------
        TypeError
            If its latent variable is of another kind, or it lacks a method.
        """
        check_has(self, model, "latent")
        if model.latent not in self.latent:
            raise TypeError(
                f"posterior {type(self).__name__} needs a latent variable that is "
                f"{' or '.join(sorted(self.latent))}, but that of {type(model).__name__} is "
                f"{model.latent}."
            )

    @property
    def settled(self) -> bool:
        """Whether EM may stop; otherwise the stop rule is not asked."""
        return True

    @abstractmethod
    def summarize(self, samples: Samples, parameters: P) -> S:
        """Return the statistics of all samples.

        Parameters
        ----------
        samples : Samples
        parameters : object of ``parameters_type``

        Returns
        -------
        SufficientStatistics, Sums or another type that the update takes
            Those of a Gaussian mixture are about, or near, its means.
        """


class BlockwisePosterior(Posterior[MixtureParameters, SufficientStatistics]):
    """A distribution q over components that is a function of a sample's responsibilities.

    Responsibilities are formed for a few thousand samples at a time, restricted to q by the
    subclass, and summed up. The lower bound is the evidence lower bound,
    sum_i w_i [log p(x_i) - KL(q_i || p(k | x_i))].

    Parameters
    ----------
    n_jobs : int or None, default=None
        Number of threads; None: all cores.
    """

    parameters_type = MixtureParameters
    objective: str = "elbo"

    def __init__(self, n_jobs: int | None = None) -> None:
        self.n_threads = count_threads(n_jobs)

    @abstractmethod
    def restrict(self, resp: Array, rows: slice) -> tuple[Array, Array]:
        """Return q and its divergence from the posterior, in nats, for each of some rows.

        Parameters
        ----------
        resp : (m, K) array
            p(k | x_i); may be overwritten.
        rows : slice
            Which samples these are.

        Returns
        -------
        q : (m, K) array
            May be ``resp``, overwritten.
        divergence : (m,) array
            KL(q_i || p(k | x_i)), in nats.
        """

    def width(self, n_components: int) -> int:
        """Return how many numbers are formed for each row.

        Parameters
        ----------
        n_components : int

        Returns
        -------
        int
        """
        return n_components

    def summarize(self, samples: Samples, parameters: MixtureParameters) -> SufficientStatistics:
        """Return the statistics of all samples under q, about the means."""
        total = SufficientStatistics.zeros(parameters.covariance_model, parameters.means)
        components = parameters.components()
        bound = 0.0
        for rows in row_blocks(samples, self.width(parameters.n_components)):
            X, weight = samples.rows(rows), samples.weight(rows)
            log_prob_norm = np.empty(len(X))
            resp = np.empty((len(X), parameters.n_components))
            kernels.posterior(X, components, self.n_threads, log_prob_norm=log_prob_norm, resp=resp)
            q, divergence = self.restrict(resp, rows)
            total.add_moments(X, weight, q, self.n_threads)
            # a sample of weight 0 is left out, however far it lies
            bound += float(weight @ np.where(weight > 0, log_prob_norm - divergence, 0.0))
        return replace(total, log_likelihood=bound, weight=samples.total_weight)


def row_blocks(samples: Samples, width: int) -> Iterator[slice]:
    """Yield blocks of rows, so few that ``width`` numbers for each row stay in the cache."""
    step = max(_RESPONSIBILITIES // width, 256)
    for start in range(0, samples.n_samples, step):
        yield slice(start, min(start + step, samples.n_samples))
