"""When float32 samples may be added up in float32 arithmetic."""

import numpy as np

from ..data.samples import Samples
from ..model.parameters import MixtureParameters

#: In passes over fewer samples, fewer rounding errors average out, and little time can be saved.
SMALLEST_PASS = 2**14
# Multiply-adds of a pass that takes some milliseconds.
_MUCH_WORK = 2**28
#: Root mean square error of a log-probability, in nats, from rounding in float32.
LARGEST_ERROR = 1e-4
# Squares of deviations, distances and precision factors up to this stay in the range of float32.
_LARGEST_MAGNITUDE = 1e12
_ROUNDING = float(np.finfo(np.float32).eps) / 2


def allows_float32(samples: Samples, parameters: MixtureParameters) -> bool:
    """Return whether a pass over the samples may compute in float32.

    With deviations s and the origin o of the kernels, y = P (x - mu) is a sum of terms of at most S
    = max_ki sum_j |P_kij| (|mu_kj - o_j| + s_kj), each rounded by u = 2^-24. The log-probability,
    |y|^2 / 2 with d numbers of order 1, is then wrong by about u S sqrt(d). For samples that are
    not centred, changing the last bit of each sample has an effect of the same size. With fewer
    than ``SMALLEST_PASS`` samples fewer of these errors average out, so they must be smaller.
    """
    if samples.dtype != np.float32 or not parameters.allows_float32_blocks:
        return False
    if samples.gaps is not None:  # conditional means are of the size of the others' rounding errors
        return False
    model = parameters.covariance_model
    n, (K, d) = samples.n_samples, parameters.means.shape
    if n < min(SMALLEST_PASS, _MUCH_WORK / (K * d * (d if model.is_matrix else 1))):
        return False
    deviations = np.sqrt(model.variances(parameters.covariances, K, d))
    lengths = np.abs(parameters.means - parameters.means.mean(axis=0)) + deviations
    largest = model.largest_whitened(parameters.precisions_cholesky, lengths).max()
    # no element of a factor is larger than ``largest`` / shortest length
    if not max(lengths.max(), largest / lengths.min()) <= _LARGEST_MAGNITUDE:
        return False
    allowed = LARGEST_ERROR * min(1.0, np.sqrt(n / SMALLEST_PASS))
    return bool(_ROUNDING * largest * np.sqrt(d) <= allowed)
