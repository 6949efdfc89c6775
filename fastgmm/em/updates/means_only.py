"""Soft k-means: an M step that moves the means and nothing else."""

from dataclasses import replace

from ...model.parameters import MixtureParameters
from ...model.statistics import SufficientStatistics
from .base import Update, Updated


class MeansOnly(Update[MixtureParameters, SufficientStatistics]):
    r"""Move each mean to the centroid of its samples; keep weights and covariances.

    .. math:: \mu_k = \sum_i s_i r_{ik} x_i / \sum_i s_i r_{ik}

    A generalized EM step: the likelihood does not fall. From equal weights and one variance
    :math:`1 / (2 \beta)` (tied-spherical) it is soft k-means with stiffness beta. A component
    without samples keeps its mean.

    References
    ----------
    MacKay (2003), Information Theory, Inference, and Learning Algorithms, section 20.2.
    """

    parameters_type = MixtureParameters

    def __call__(
        self, statistics: SufficientStatistics, previous: MixtureParameters
    ) -> Updated[MixtureParameters]:
        """Return the same mixture with other means."""
        _, means, _ = statistics.central()
        return Updated(replace(previous, means=means))
