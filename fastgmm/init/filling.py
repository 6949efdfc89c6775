"""Samples without gaps, for starting points: k-means and its kind need all values."""

import numpy as np

from .._kernels.layout import Array
from ..data.samples import Samples
from ..em.convergence import LowerBoundChange
from ..em.loop import run
from ..em.posteriors.exact import ExactPosterior
from ..em.updates.closed_form import ClosedForm
from ..model.covariance import Diag
from ..model.imputation import impute
from ..model.parameters import MixtureParameters
from ..model.regularization import added_variances
from ..model.statistics import sample_moments

_TOL = 1e-3
_MAX_ITER = 20


def filled_rows(samples: Samples) -> Array:
    """Return all rows in float64, with conditional means where values are missing.

    They are those of one Gaussian with a full covariance, which EM fits to what was observed. A
    feature is thus predicted from all others, by a regression that is the same for all clusters.
    The mean of the feature instead would draw its rows together, and make clusters of them.

    Parameters
    ----------
    samples : Samples
    """
    mean, variances = sample_moments(samples, Diag(), 1)
    mean, variances = mean[np.newaxis], variances[np.newaxis]
    variances = variances + added_variances("auto", np.ones(1), mean, variances)
    diagonal = variances[:, :, np.newaxis] * np.eye(samples.n_features)
    start = MixtureParameters.from_covariances("full", np.ones(1), mean, diagonal)
    # on one thread: the pass is short
    result = run(
        samples,
        start,
        posterior=ExactPosterior(1),
        update=ClosedForm(n_jobs=1),
        convergence=LowerBoundChange(_TOL),
        max_iter=_MAX_ITER,
    )
    return impute(samples, result.parameters)
