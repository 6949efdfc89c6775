"""The EM loop for users: any posterior with any update, on plain arrays."""

from typing import Any, overload

from .._kernels.floating_point import numpys_rules
from ..data.checks import check_samples
from ..model.parameters import MixtureParameters
from ..model.validation import check_observed
from .acceleration import Acceleration, NoAcceleration
from .checkpoints.current import CheckpointLike, checkpointing
from .convergence import Convergence, LowerBoundChange, Never
from .latent_variable_model import P
from .loop import run
from .mixture_result import MixtureResult
from .policies import Policies
from .posteriors.base import Posterior
from .posteriors.exact import ExactPosterior
from .result import Callback, EMResult, passing_on
from .schedules import check_not_negative
from .time_limit import check_max_time, time_limit
from .updates.base import Update
from .updates.closed_form import ClosedForm


@overload
def fit(
    X: Any,
    parameters: MixtureParameters,
    *,
    sample_weight: Any = None,
    posterior: Posterior[Any, Any] | None = None,
    update: Update[Any, Any] | None = None,
    acceleration: Acceleration[Any, Any] | None = None,
    convergence: Convergence | None = None,
    max_iter: int = 100,
    max_time: float | None = None,
    missing: str = "error",
    callback: Callback | None = None,
    checkpoint: CheckpointLike | None = None,
) -> MixtureResult: ...


@overload
def fit(
    X: Any,
    parameters: P,
    *,
    sample_weight: Any = None,
    posterior: Posterior[Any, Any] | None = None,
    update: Update[Any, Any] | None = None,
    acceleration: Acceleration[Any, Any] | None = None,
    convergence: Convergence | None = None,
    max_iter: int = 100,
    max_time: float | None = None,
    missing: str = "error",
    callback: Callback | None = None,
    checkpoint: CheckpointLike | None = None,
) -> EMResult[P]: ...


@numpys_rules()
def fit(
    X: Any,
    parameters: Any,
    *,
    sample_weight: Any = None,
    posterior: Posterior[Any, Any] | None = None,
    update: Update[Any, Any] | None = None,
    acceleration: Acceleration[Any, Any] | None = None,
    convergence: Convergence | None = None,
    max_iter: int = 100,
    max_time: float | None = None,
    missing: str = "error",
    callback: Callback | None = None,
    checkpoint: CheckpointLike | None = None,
) -> EMResult[Any]:
    r"""Run EM, or a variant of it, from given parameters.

    A variant is a choice of four policies. The posterior turns samples and parameters into
    sufficient statistics (the E step), the update turns these into parameters (the M step), the
    acceleration may replace the step by a better one, and the convergence decides when to stop.

    Parameters
    ----------
    X : array-like or data frame of shape (n_samples, n_features)
        float64 and float32 arrays are read in place, in any memory order.
    parameters : MixtureParameters or LatentVariableModel
        Where to start.
    sample_weight : array-like of shape (n_samples,) or number, optional
        Non-negative; each counts as that many copies of its sample.
    posterior : Posterior, optional
        ``ExactPosterior()`` by default.
    update : Update, optional
        ``ClosedForm()`` by default.
    acceleration : Acceleration, optional
        None by default.
    convergence : Convergence, optional
        ``LowerBoundChange(1e-3)`` by default; ``Never()`` where the lower bound fluctuates.
    max_iter : int, default=100
        Largest number of iterations; 0 returns the start.
    max_time : float, optional
        Seconds after which no further iteration begins. ``out_of_time`` of the result tells that
        the run ended so.
    missing : {'error', 'marginalize'}, default='error'
        What NaN and nulls in X mean. ``marginalize``: values that are missing at random, for
        ``ExactPosterior`` and ``MixtureParameters``.
    callback : callable, optional
        Called with an Iteration (number, lower_bound, change, seconds) after each iteration, whose
        `Iteration.partial` is the result so far. If it returns True, the run ends there, with the
        parameters of that iteration.
    checkpoint : str, path or Checkpoint, optional
        File that keeps the state of the run, by default once a minute. The same call goes on from
        there to the same bits; see `Checkpoint`.

    Returns
    -------
    EMResult
        Parameters, converged, lower_bound, history, collapsed, stopped, out_of_time, n_reseeded.
        For a Gaussian mixture a `MixtureResult`, which can predict and score, and become an
        estimator.

    Raises
    ------
    ValueError
        If X, a weight, ``max_iter`` or ``max_time`` is not valid, or if one policy needs what
        another does not offer. The policies are checked before the data is read. If ``checkpoint``
        is damaged or belongs to another run, or cannot be written.
    TypeError
        If a policy works with other parameters, or its state cannot be kept by ``checkpoint``.

    References
    ----------
    Neal and Hinton (1998), A view of the EM algorithm that justifies incremental, sparse, and
    other variants.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import em
    >>> X = np.array([[0.0], [0.1], [5.0], [5.1]])
    >>> start = em.MixtureParameters.from_covariances(
    ...     "spherical", np.array([0.5, 0.5]), np.array([[0.0], [1.0]]), np.ones(2)
    ... )
    >>> em.fit(X, start).parameters.means.round(3).tolist()
    [[0.05], [5.05]]
    """
    posterior = ExactPosterior() if posterior is None else posterior
    if convergence is None:
        estimates = getattr(posterior, "objective", None) == "estimate"
        convergence = Never() if estimates else LowerBoundChange()
    policies = Policies(
        posterior,
        ClosedForm() if update is None else update,
        convergence,
        NoAcceleration() if acceleration is None else acceleration,
    )
    policies.check(parameters)
    max_iter, max_time = check_not_negative(max_iter, "max_iter"), check_max_time(max_time)
    if missing not in ("error", "marginalize"):
        raise ValueError(f"missing should be 'error' or 'marginalize', got {missing!r}.")
    with_missing = missing == "marginalize"
    if with_missing:
        policies.check_missing(parameters)
    n_features = getattr(parameters, "n_features", None)
    samples = check_samples(X, sample_weight, n_features=n_features, with_missing=with_missing)
    check_observed(samples)

    def complete(result: EMResult[Any]) -> EMResult[Any]:
        return _mixture_result(result, missing)

    def settings() -> dict[str, Any]:
        return {"parameters": parameters, "max_iter": max_iter, "missing": missing}

    with time_limit(max_time), checkpointing(checkpoint, samples, settings):
        return complete(
            run(
                samples,
                parameters,
                **policies._asdict(),
                max_iter=max_iter,
                callback=passing_on(callback, complete),
            )
        )


def _mixture_result(result: EMResult[Any], missing: str) -> EMResult[Any]:
    """Return the result of a Gaussian mixture as one that can predict."""
    is_mixture = isinstance(result.parameters, MixtureParameters)
    return MixtureResult(**vars(result), missing=missing) if is_mixture else result
