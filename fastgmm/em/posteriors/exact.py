"""The exact posterior, in one read of the samples."""

from typing import Any, overload

import numpy as np

from ... import _kernels as kernels
from ..._kernels.layout import Components, empty_moments
from ..._kernels.threads import Workspace, count_threads
from ...data.samples import Samples
from ...model.parameters import MixtureParameters
from ...model.statistics import SufficientStatistics
from ..float32 import allows_float32
from ..kept_distances import DistanceKeeper
from ..latent_variable_model import LatentVariableModel, check_has, sum_up
from .base import Posterior


class ExactPosterior(Posterior[Any, Any]):
    """Responsibilities by Bayes' theorem, p(k | x) = w_k N(x | k) / p(x).

    One read of the samples; no responsibilities of size n x K are formed. Blocks of float32 samples
    are computed in float32 where ``allows_float32`` finds this safe, and added up in float64.

    From `start` on, passes over many samples in memory keep a byte for each sample and component,
    if covariances are full and these are at most 32 MiB. Later passes know from it which components
    cannot matter to a sample. This changes no bit of a result, as long as the samples stay as they
    are; where they change, call `start` again.

    Where samples have missing values, x is what was observed, and the statistics are those that are
    expected given that: exact EM if values are missing at random.

    A `LatentVariableModel` computes its own, by its method ``summarize``.

    Parameters
    ----------
    n_jobs : int or None, default=None
        Number of threads; None: all cores.
    """

    parameters_type = MixtureParameters | LatentVariableModel
    takes_missing = True

    def __init__(self, n_jobs: int | None = None) -> None:
        self.n_threads = count_threads(n_jobs)
        self._workspace = Workspace()
        self._keeper = DistanceKeeper()

    def start(self, samples: Samples, parameters: MixtureParameters | LatentVariableModel) -> None:
        """Begin a run over samples that do not change: keep nothing of earlier ones."""
        self._keeper.start()

    def check_model(self, model: LatentVariableModel) -> None:
        """Check that a model has the method ``summarize``."""
        super().check_model(model)
        check_has(self, model, "summarize")

    @overload
    def summarize(
        self, samples: Samples, parameters: MixtureParameters
    ) -> SufficientStatistics: ...

    @overload
    def summarize(self, samples: Samples, parameters: LatentVariableModel) -> Any: ...

    def summarize(
        self, samples: Samples, parameters: MixtureParameters | LatentVariableModel
    ) -> Any:
        """Return the statistics of all samples, about the means (rounded to float32 if needed)."""
        arguments = parameters, self._workspace, self._keeper
        return samples.sum(_summarize, *arguments, n_threads=self.n_threads)


def _summarize(
    samples: Samples,
    parameters: MixtureParameters | LatentVariableModel,
    workspace: Workspace,
    keeper: DistanceKeeper,
    n_threads: int,
) -> Any:
    if isinstance(parameters, LatentVariableModel):
        return sum_up(samples, parameters)
    return add_up(samples, parameters, parameters.components(), n_threads, workspace, keeper)


def add_up(
    samples: Samples,
    parameters: MixtureParameters,
    components: Components,
    n_threads: int,
    workspace: Workspace,
    keeper: DistanceKeeper | None = None,
) -> SufficientStatistics:
    """Return statistics under responsibilities in proportion to exp(log_coefficient_k - |y_k|^2/2).

    The parameters give the centres of the moments, and decide whether float32 may be used. One read
    of the samples.
    """
    float32_blocks = allows_float32(samples, parameters)
    means = parameters.means
    centers = kernels.float32_centers(means) if float32_blocks else means
    model = parameters.covariance_model
    moments = empty_moments(model.kernel_kind, *centers.shape)
    log_likelihood = np.zeros(1)
    sums = moments, log_likelihood
    if samples.gaps is None:
        for X, weight, kept in (keeper or DistanceKeeper()).blocks(samples, components):
            kernels.accumulate(
                X, weight, components, *sums, n_threads, float32_blocks, workspace, kept
            )
    else:
        for rows, is_complete in samples.gaps.parts():
            X, weight = samples.rows(rows), samples.weight(rows)
            if is_complete:
                kernels.accumulate(X, weight, components, *sums, n_threads, workspace=workspace)
            else:
                kernels.accumulate_incomplete(X, weight, components, *sums, n_threads)
    total = float(log_likelihood[0])
    return SufficientStatistics(model, centers, moments, total, samples.total_weight)
