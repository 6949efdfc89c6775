"""The two halves of an iteration over samples that lie in parts, on one machine or on many."""

from collections.abc import Iterable
from typing import Any, TypeVar, overload

from .._kernels.floating_point import numpys_rules
from ..data.checks import check_samples
from ..model.parameters import MixtureParameters
from ..model.statistics import SufficientStatistics
from .latent_variable_model import LatentVariableModel
from .posteriors.exact import ExactPosterior

T = TypeVar("T")


@overload
def summarize(
    X: Any,
    parameters: MixtureParameters,
    sample_weight: Any = None,
    *,
    n_jobs: int | None = None,
) -> SufficientStatistics: ...


@overload
def summarize(
    X: Any,
    parameters: LatentVariableModel,
    sample_weight: Any = None,
    *,
    n_jobs: int | None = None,
) -> Any: ...


@numpys_rules()
def summarize(
    X: Any,
    parameters: MixtureParameters | LatentVariableModel,
    sample_weight: Any = None,
    *,
    n_jobs: int | None = None,
) -> Any:
    r"""Return the sufficient statistics of one part of the samples: the E step there.

    .. math:: \sum_i w_i r_{ik}, \quad \sum_i w_i r_{ik} (x_i - c_k), \quad
        \sum_i w_i r_{ik} (x_i - c_k)(x_i - c_k)^T, \quad \sum_i w_i \log p(x_i)

    with the responsibilities r of `ExactPosterior` and c near the means. `merge` adds up those of
    all parts, and an update such as `ClosedForm` makes the next parameters of the sum.

    Parameters
    ----------
    X : array-like or data frame of shape (n_samples, n_features)
        It may have no rows, and its weights may all be 0, where the parameters are a mixture's.
    parameters : MixtureParameters or LatentVariableModel
    sample_weight : array-like of shape (n_samples,) or number, optional
        Non-negative; each counts as that many copies of its sample.
    n_jobs : int or None, default=None
        Number of threads; None: all cores. It changes no bit of the result.

    Returns
    -------
    SufficientStatistics
        Of a `LatentVariableModel` what its ``summarize`` returns. Pickle takes it to another
        process.

    Raises
    ------
    TypeError, ValueError
        If X, a weight or ``n_jobs`` is not valid, or the parameters are neither of the two.

    References
    ----------
    Chu et al. (2006), Map-reduce for machine learning on multicore, NIPS 19.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import em
    >>> X = np.array([[0.0], [0.1], [5.0], [5.1]])
    >>> parameters = em.starting_parameters(X, 2, random_state=0)
    >>> statistics = em.merge(em.summarize(part, parameters) for part in (X[:3], X[3:]))
    >>> em.ClosedForm()(statistics, parameters).parameters.means.round(3).tolist()
    [[0.05], [5.05]]
    """
    posterior = ExactPosterior(n_jobs)
    if isinstance(parameters, LatentVariableModel):
        posterior.check_model(parameters)
    elif not isinstance(parameters, MixtureParameters):
        raise TypeError(
            "parameters should be MixtureParameters or a LatentVariableModel, "
            f"but got {type(parameters).__name__}."
        )
    samples = check_samples(
        X,
        sample_weight,
        n_features=parameters.n_features,
        min_samples=0 if isinstance(parameters, MixtureParameters) else 1,
        may_be_absent=True,
    )
    return posterior.summarize(samples, parameters)


def merge(statistics: Iterable[T]) -> T:
    """Return the statistics of all parts: their sum, by a binary tree in the order of the parts.

    Neighbours are added, then neighbours of the sums, and so on. So the same parts give the same
    bits. The first 2, 4 or 8 parts, the next so many, and so on, may be merged before, each group
    elsewhere: no bit changes.

    Parameters
    ----------
    statistics : iterable
        One or more objects that can be added by ``+``, such as `SufficientStatistics` and `Sums`.

    Returns
    -------
    object
        Of the same type.

    Raises
    ------
    ValueError
        If there are none.

    Examples
    --------
    >>> from fastgmm import em
    >>> em.merge([1.0, 2.0, 3.0])
    6.0
    """
    sums = list(statistics)
    if not sums:
        raise ValueError("statistics should hold one object or more, but got none.")
    while len(sums) > 1:
        pairs: Any = zip(sums[::2], sums[1::2], strict=False)
        last = sums[len(sums) - len(sums) % 2 :]
        sums = [first + second for first, second in pairs] + last
    return sums[0]
