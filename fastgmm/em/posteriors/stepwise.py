"""Stepwise (online) EM: statistics are a moving average over batches.

The batches are drawn from samples in memory, or come as a stream.
"""

from dataclasses import dataclass, replace

import numpy as np

from ..._kernels.layout import Moments
from ...data.samples import Samples
from ...model.parameters import MixtureParameters
from ...model.statistics import SufficientStatistics
from ..schedules import Counts
from ..step_sizes import StepSizes
from .base import Posterior
from .exact import ExactPosterior
from .minibatch import BatchPosterior


@dataclass(frozen=True)
class RunningAverage:
    r"""The statistics of stepwise EM, a moving average over batches.

    .. math:: s \leftarrow (1 - \gamma)\, s + \gamma\, s_{batch}

    Attributes
    ----------
    statistics : SufficientStatistics
        s. Their log-likelihood is that of the last batch.
    seen : float
        Total weight of all batches.
    remembered : float
        The same, where the weight of a sample fades with the half-life: what a prior is weighed
        against.
    """

    statistics: SufficientStatistics
    seen: float = 0.0
    remembered: float = 0.0

    def moved(
        self,
        batch: SufficientStatistics,
        weight: float,
        step_sizes: StepSizes,
        step: float | None = None,
    ) -> "RunningAverage":
        """Return the average moved towards a batch.

        Parameters
        ----------
        batch : SufficientStatistics
            Scaled as the statistics are.
        weight : float
            Of the batch, on which its step size depends.
        step_sizes : StepSizes
        step : float, optional
            Instead of the step size.
        """
        if step is None:
            step = step_sizes.of_batch(weight, self.seen)
        # in this order: the sum is about the centres of its first term
        total = batch.scaled(step) + self.statistics.scaled(1.0 - step)
        return RunningAverage(
            replace(total, log_likelihood=batch.lower_bound * total.weight),
            self.seen + weight,
            self.remembered * step_sizes.remaining(weight) + weight,
        )


class StreamPosterior(Posterior[MixtureParameters, SufficientStatistics]):
    """An E step for one batch of a stream, whose average goes on from that of earlier batches.

    Parameters
    ----------
    average : RunningAverage
        Of statistics of weight 1.
    step_sizes : StepSizes
    n_jobs : int or None

    Attributes
    ----------
    average : RunningAverage
        After the batch.
    """

    parameters_type = MixtureParameters
    objective: str = "estimate"
    takes_missing = True

    def __init__(
        self, average: RunningAverage, step_sizes: StepSizes, n_jobs: int | None = None
    ) -> None:
        self.average = average
        self._step_sizes = step_sizes
        self._exact = ExactPosterior(n_jobs)

    def summarize(self, samples: Samples, parameters: MixtureParameters) -> SufficientStatistics:
        """Move the average towards the samples; return it, of the weight that is remembered."""
        batch = self._exact.summarize(samples, parameters)
        weight = batch.weight
        self.average = self.average.moved(batch.scaled(1.0 / weight), weight, self._step_sizes)
        return self.average.statistics.scaled(self.average.remembered)


class StepwisePosterior(BatchPosterior):
    r"""Stepwise (online) EM: statistics follow those of small random batches.

    .. math:: s \leftarrow (1 - \gamma_t)\, s + \gamma_t \frac nm s_{batch}, \qquad
              \gamma_t = (t + t_0)^{-\alpha}, \quad t = 0, 1, \ldots

    The first statistics are those of the starting parameters, n w_k (1, mean_k, covariance_k). So a
    batch need not hold enough samples of every component. An epoch is a random order of the
    samples, cut into batches of equal size; samples of weight 0 are left out. With steps that
    shrink like this the parameters converge, at a rate of t^(-alpha/2). On large data one or two
    epochs come near to a maximum.

    A batch of all samples has no noise, and its step is 1: from there on this is EM. Batches that
    grow, as with `Growing`, end there, and a stop rule ends the run.

    The lower bound is the mean log-likelihood of the batch.

    Parameters
    ----------
    batch_size : int, sequence of int, or callable
        Largest number of samples in a batch; or one for each iteration, the last one repeating; or
        a function of the number of the iteration, counted from 1, such as `Growing`.
    exponent : float, default=0.6
        alpha, above 0.5 and at most 1. The larger it is, the sooner the noise fades, and the longer
        the start has influence.
    offset : float, default=2.0
        t_0, at least 1.
    seed : int, default=0
        From 0 to 2**64 - 1.
    n_jobs : int or None, default=None
        Number of threads; None: all cores.

    Raises
    ------
    ValueError
        If a batch size is not a positive integer, the exponent, offset or seed out of range.

    References
    ----------
    Cappé and Moulines (2009), On-line expectation-maximization algorithm for latent data models,
    J. R. Statist. Soc. B 71. Liang and Klein (2009), Online EM for unsupervised models, NAACL.
    """

    parameters_type = MixtureParameters

    def __init__(
        self,
        batch_size: Counts,
        exponent: float = 0.6,
        offset: float = 2.0,
        seed: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed, n_jobs)
        self._step_sizes = StepSizes(exponent, offset, step_weight=1.0)  # each batch is a step
        self.exponent = exponent
        self.offset = offset
        self._exact = ExactPosterior(self.n_threads)
        self._average: RunningAverage | None = None

    def start(self, samples: Samples, parameters: MixtureParameters) -> None:
        """Begin with statistics from which the M step gives the parameters."""
        super().start(samples, parameters)
        self._average = RunningAverage(implied_statistics(parameters, samples.total_weight))

    def summarize(self, samples: Samples, parameters: MixtureParameters) -> SufficientStatistics:
        """Move the statistics towards those of the next batch; return them, about the means."""
        assert self._average is not None
        batch = self._exact.summarize(self._batches.draw(), parameters)
        step = 1.0 if self._batches.n_whole > 0 else None
        self._average = self._average.moved(batch, 1.0, self._step_sizes, step)
        return self._average.statistics


def implied_statistics(parameters: MixtureParameters, weight: float) -> SufficientStatistics:
    """Return statistics of that weight from which `ClosedForm` would estimate the parameters."""
    nk = weight * parameters.weights
    safe = np.where(nk > 0, nk, np.finfo(float).tiny)
    model = parameters.covariance_model
    second = model.second_moments(parameters.covariances, safe, parameters.n_features)
    moments = Moments(nk, np.zeros_like(parameters.means), second)
    return SufficientStatistics(model, parameters.means, moments, weight=weight)
