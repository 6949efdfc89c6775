"""Starting points for users, from plain arrays."""

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from .._kernels.floating_point import numpys_rules
from .._kernels.threads import count_threads
from ..data.checks import check_samples
from ..em.schedules import check_count
from ..model.covariance import get_covariance_model
from ..model.covariance_model import CovarianceModel
from ..model.parameters import MixtureParameters
from ..model.regularization import RegCovar, added_to_samples, check_reg_covar
from ..model.validation import check_enough, check_magnitude
from .given import is_given
from .starting_points import INIT_PARAMS, initial_parameters


@numpys_rules()
def starting_parameters(
    X: Any,
    n_components: int,
    *,
    covariance_type: str | CovarianceModel = "full",
    init_params: Any = "auto",
    reg_covar: RegCovar = "auto",
    sample_weight: Any = None,
    random_state: Any = None,
    n_jobs: int | None = None,
) -> MixtureParameters:
    """Return the parameters from which `GaussianMixture` starts, as a start for `fit`.

    Parameters
    ----------
    X : array-like or data frame of shape (n_samples, n_features)
        If X is large, only a random subsample is used.
    n_components : int
        Number of components, K.
    covariance_type : {'full', 'tied', 'diag', 'spherical', 'tied-spherical'} or CovarianceModel
        A matrix for each component (the default); one matrix for all; a variance for each component
        and feature; a variance for each component; one variance for all.
    init_params : {'auto', 'tree', 'kmeans', 'k-means++', 'random', 'random_from_data'}, array or\
            callable, default='auto'
        ``auto``: the start of scikit-learn's default, or clusters of k-means on scaled features,
        which do not depend on units, whichever EM leads to the higher likelihood; after these
        iterations. From 256 components on, ``tree``: the leaves of a tree that cuts the samples in
        two, again and again, in a time that hardly grows with K. ``kmeans``: clusters of k-means.
        ``k-means++``: clusters about samples that are far apart. ``random_from_data``: clusters
        about random samples. ``random``: random responsibilities. Or labels of shape (n_samples,),
        responsibilities of shape (n_samples, n_components), or a function of (X, n_components,
        random_state) that returns labels, responsibilities or parameters.
    reg_covar : float, array-like of shape (n_features,) or 'auto', default='auto'
        Added to the variances, in squared units of X: one number, or one for each feature. ``auto``
        is 1e-6 times the variance of each feature.
    sample_weight : array-like of shape (n_samples,) or number, optional
        Non-negative; each counts as that many copies of its sample.
    random_state : int, RandomState instance or None, default=None
        The same integer gives the same start.
    n_jobs : int or None, default=None
        Number of threads; None: all cores.

    Returns
    -------
    MixtureParameters

    Raises
    ------
    ValueError
        If X, a weight or a parameter is not valid, or there are fewer samples than components.
    CollapseError
        If not even the covariance of all the samples is positive definite.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import em
    >>> X = np.array([[0.0], [0.1], [5.0], [5.1]])
    >>> start = em.starting_parameters(X, 2, covariance_type="diag", random_state=0)
    >>> sorted(start.means.ravel().round(3).tolist())
    [0.05, 5.05]
    """
    n_components = check_count(n_components, "n_components")
    if not is_given(init_params) and init_params not in INIT_PARAMS:
        allowed = ", ".join(map(repr, INIT_PARAMS))
        raise ValueError(f"init_params must be one of {allowed}, got {init_params!r}.")
    samples = check_samples(X, sample_weight)
    check_enough(samples, n_components)
    check_magnitude(samples)
    n_threads = count_threads(n_jobs)
    return initial_parameters(
        samples,
        n_components=n_components,
        covariance_model=get_covariance_model(covariance_type),
        init_params=init_params,
        reg_covar=added_to_samples(check_reg_covar(reg_covar), samples, n_threads),
        random_state=_random_state(random_state),
        n_threads=n_threads,
    )


def _random_state(seed: Any) -> np.random.RandomState:
    try:
        random_state: np.random.RandomState = check_random_state(seed)
    except (ValueError, TypeError) as error:
        raise ValueError(
            "random_state should be an integer from 0 to 2**32 - 1, a RandomState instance or "
            f"None, got {seed!r}."
        ) from error
    return random_state
