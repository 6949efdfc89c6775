"""Choosing a mixture: the front door."""

import operator
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from .._kernels.blas import one_blas_thread
from .._kernels.floating_point import numpys_rules
from .._kernels.threads import count_threads, slot_bounds
from ..data.samples import Samples
from ..em.schedules import check_count
from ..estimators import GaussianMixture
from ..estimators._inputs import check_samples
from ..estimators._memory import check_memory
from ..estimators._posteriors import MANY
from ..model.covariance import COVARIANCE_MODELS
from ..model.regularization import added_to_samples
from ..model.validation import check_magnitude, check_observed
from .candidates import candidate_of, compare
from .held_out import held_out_likelihoods
from .race import Setting
from .search import Key, race_rows, search
from .table import CRITERIA, Candidate, Selection

# Each fit takes all threads, unless it has too few rows for these and works so long on each
# iteration, in rows times squared features, that Python's own time does not matter: Python runs on
# one thread. Then candidates are fitted side by side.
_SIDE_BY_SIDE = 2**21
# What the log-likelihood may still gain, in nats: 1/50 of a unit of BIC. It is divided by the sum
# of the weights, within bounds.
_TOL = 0.01
_SMALLEST_TOL, _LARGEST_TOL = 1e-7, 1e-4
# With more rows, so exact a fit takes long. There, a fit begins with a tolerance of ten units of
# BIC, or more if it lies far behind; it goes on only if it comes so near the best that this
# matters. Not so for ICL, whose entropy may change by hundreds while the likelihood gains a nat.
# Nor for the others: to them the largest candidates are near the best, whose likelihoods rise
# slowly, and may seem to have converged.
_FEW_ROWS = 4096
_ROUGH_TOL, _LARGEST_ROUGH_TOL = 5.0, 1e-3
# In nats per sample, for truncated EM, which loses more than that.
_TRUNCATED_TOL = 1e-3


@numpys_rules()
def select(
    X: Any,
    n_components: int | Iterable[int] = range(1, 10),
    covariance_type: str | Iterable[str] | None = None,
    criterion: str = "bic",
    *,
    sample_weight: Any = None,
    reg_covar: float | Literal["auto"] = "auto",
    tol: float | Literal["auto"] = "auto",
    max_iter: int = 1000,
    n_init: int = 1,
    cv: int = 5,
    missing: str = "error",
    posterior: str = "auto",
    random_state: Any = None,
    n_jobs: int | None = None,
) -> Selection:
    r"""Choose the number of components and the covariance type.

    All candidates are fitted by EM and compared by one criterion. With p free parameters,
    log-likelihood :math:`\log L` and n the sum of the weights:

    .. math::

        \mathrm{BIC} = p \log n - 2 \log L, \qquad
        \mathrm{ICL} = \mathrm{BIC} - 2 \sum_i w_i \log \max_k p(k \mid x_i), \qquad
        \mathrm{AIC} = 2 p - 2 \log L

    A candidate has fresh starts and, where a smaller one has been fitted, starts from that one with
    components split in two. The best end is kept. Starts, regularisation and stop rule do not
    depend on the units of the features; nor does the choice, unless it is among spherical types.
    The number of threads changes no bit of the result.

    A candidate is not compared if its fit failed, or if its maximum is spurious: a component has
    fewer than 2 (d + 1) samples for a matrix of its own, or 6 for variances of its own, or in some
    direction a variance of which ``reg_covar`` is more than half (what ``auto`` would be, if it
    is 0). The likelihood of such mixtures has no upper bound. The table tells why.

    Parameters
    ----------
    X : array-like or data frame of shape (n_samples, n_features)
        float64 and float32 arrays are read in place, in any memory order.
    n_components : int or iterable of int, default=range(1, 10)
        Numbers of components to try.
    covariance_type : str or iterable of str, optional
        One or more of 'full', 'tied', 'diag', 'spherical', 'tied-spherical'. Default: those that
        do not depend on units, which are full, tied and diag; of one feature full and tied, since
        the others are the same.
    criterion : {'bic', 'icl', 'aic', 'held-out'}, default='bic'
        ``bic`` finds the density; ``icl`` prefers clusters that lie apart; ``aic`` takes more
        components; ``held-out`` is the mean log-likelihood of samples that a fit has not seen, by
        cross-validation.
    sample_weight : array-like of shape (n_samples,) or number, optional
        Non-negative; each counts as that many copies of its sample.
    reg_covar : float or 'auto', default='auto'
        Added to the variances, in squared units of X. ``auto`` is 1e-6 times the variance of each
        feature.
    tol : float or 'auto', default='auto'
        A fit stops when it is expected to gain less in all further iterations, in nats per sample.
        ``auto``: 0.01 nats in total, but between 1e-7 and 1e-4 per sample. With more than 4,096
        rows, candidates behind the best by ``bic`` may still gain about a tenth of the distance.
        For truncated EM 1e-3 per sample.
    max_iter : int, default=1000
        Largest number of iterations of a fit.
    n_init : int, default=1
        Number of fresh starts of each candidate in each of three scalings of the features.
    cv : int, default=5
        Number of folds for ``criterion="held-out"``: of each fold, the fits to the others are
        evaluated.
    missing : {'error', 'marginalize'}, default='error'
        What NaN and nulls in X mean, as in `GaussianMixture`. Criteria are those of the values that
        are there.
    posterior : {'exact', 'truncated', 'auto'}, default='auto'
        The E step, as in `GaussianMixture`. ``auto``: truncated from 256 components on, but where
        values are missing. Then starts are trees; one component in twenty may be spurious, all with
        ``criterion="held-out"``. Criteria are those of the exact likelihood.
    random_state : int, RandomState instance or None, default=None
        The same integer gives the same result. Every candidate's fresh starts draw from the same
        seed.
    n_jobs : int or None, default=None
        Number of threads. None, -1: all cores that affinity and cgroup quota allow. Where X is
        small, candidates are fitted side by side; where it is large, each fit takes all threads.

    Returns
    -------
    Selection
        ``best_estimator``, a fitted `GaussianMixture`; ``best`` and ``candidates``; ``to_frame()``.
        It prints as a table.

    Raises
    ------
    ValueError, TypeError
        If X, a weight or a parameter is not valid, or if no candidate can be compared.

    References
    ----------
    Schwarz (1978), Estimating the dimension of a model, Annals of Statistics 6. Fraley and Raftery
    (2002), Model-based clustering, discriminant analysis, and density estimation, J. Am. Statist.
    Assoc. 97. Biernacki, Celeux and Govaert (2000), IEEE Trans. Pattern Analysis and Machine
    Intelligence 22. Ueda, Nakano, Ghahramani and Hinton (2000), Neural Computation 12, on splits.

    Examples
    --------
    >>> import numpy as np
    >>> import fastgmm
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (200, 2)), rng.normal(6, 1, (300, 2))])
    >>> selection = fastgmm.select(X, range(1, 5), random_state=0)
    >>> selection.best.n_components, selection.best.covariance_type
    (2, 'tied')
    >>> selection.best_estimator.weights_.round(2).tolist()
    [0.4, 0.6]
    """
    if not isinstance(criterion, str) or criterion not in CRITERIA:
        allowed = ", ".join(map(repr, CRITERIA))
        raise ValueError(f"criterion must be one of {allowed}, got {criterion!r}.")
    sizes, n_folds = _check_sizes(n_components), check_count(cv, "cv")
    template, samples = _prepare(
        X,
        sample_weight,
        tol=tol,
        reg_covar=reg_covar,
        max_iter=max_iter,
        n_init=n_init,
        missing=missing,
        posterior=posterior,
        random_state=random_state,
        n_jobs=n_jobs,
    )
    names = _check_types(covariance_type, samples)
    largest = max(sizes)
    is_truncated = largest >= _many(template)
    for name in names:
        check_memory(X, largest, name, is_truncated=is_truncated, start_rows=race_rows(largest))
    keys = [Key(name, K) for name in names for K in sizes]
    setting = _setting(template, samples, tol, criterion)
    template.posterior = "exact"  # but of those that are truncated
    with one_blas_thread(), warnings.catch_warnings():
        # of k-means, where rows are equal
        warnings.simplefilter("ignore", ConvergenceWarning)
        fits = search(samples, keys, setting)
        held_out = dict.fromkeys(keys, np.nan)
        if criterion == "held-out":
            _check_folds(n_folds, samples)
            held_out = held_out_likelihoods(samples, keys, setting, n_folds)
        table = compare(
            fits,
            lambda key, fit: candidate_of(template, X, samples, key, fit, held_out[key], setting),
            samples,
            criterion,
            setting,
        )
    table = [_without_value(candidate, criterion) for candidate in table]
    _check_any(table)
    return Selection(table, criterion, samples.n_samples, samples.n_features)


def _prepare(X: Any, sample_weight: Any, **options: Any) -> tuple[GaussianMixture, Samples]:
    """Return an estimator with checked options, of which candidates are copies, and the samples."""
    is_automatic = isinstance(options["tol"], str) and options["tol"] == "auto"
    if is_automatic:
        options["tol"] = _LARGEST_TOL
    template = GaussianMixture(acceleration="quasi-newton", stop_rule="remaining-gain", **options)
    template._validate_params()
    if template.posterior == "truncated" and template.missing != "error":
        raise ValueError(f"posterior='truncated' needs missing='error', got {template.missing!r}.")
    samples = check_samples(template, X, sample_weight, reset=True, min_samples=2)
    check_observed(samples)
    check_magnitude(samples)
    if is_automatic:
        template.tol = float(np.clip(_TOL / samples.total_weight, _SMALLEST_TOL, _LARGEST_TOL))
    return template, samples


def _check_sizes(n_components: Any) -> list[int]:
    """Return different numbers of components, in ascending order."""
    sizes: list[int] = []
    is_valid = True
    try:
        values = n_components if isinstance(n_components, Iterable) else [n_components]
        sizes = sorted({operator.index(value) for value in values})
    except TypeError:
        is_valid = False
    if not is_valid or not sizes or sizes[0] < 1:
        raise ValueError(
            "n_components should be an integer of at least 1, or several such as range(1, 10), "
            f"got {n_components!r}."
        )
    return sizes


def _check_types(covariance_type: Any, samples: Samples) -> list[str]:
    """Return different covariance types, in the order in which they were given."""
    if covariance_type is None:
        return ["full", "tied", "diag"] if samples.n_features > 1 else ["full", "tied"]
    names = [covariance_type] if isinstance(covariance_type, str) else covariance_type
    is_valid = isinstance(names, Iterable)
    names = list(names) if is_valid else []
    if not names or not all(isinstance(name, str) and name in COVARIANCE_MODELS for name in names):
        allowed = ", ".join(map(repr, COVARIANCE_MODELS))
        raise ValueError(
            f"covariance_type should be one or more of {allowed}, got {covariance_type!r}."
        )
    return list(dict.fromkeys(names))


def _check_folds(n_folds: int, samples: Samples) -> None:
    if not samples.in_memory:
        raise ValueError("criterion='held-out' needs samples in memory, got a source.")
    n_samples = samples.n_present
    if not 2 <= n_folds <= n_samples:
        raise ValueError(
            "cv should be an integer from 2 to the number of samples of positive weight, which is "
            f"{n_samples}, got {n_folds}."
        )


def _setting(
    template: GaussianMixture, samples: Samples, tol: float | str, criterion: str
) -> Setting:
    rough_tol = template.tol
    is_rough = isinstance(tol, str) and samples.n_samples > _FEW_ROWS and criterion == "bic"
    if is_rough:
        rough_tol = _ROUGH_TOL / samples.total_weight
        rough_tol = float(np.clip(rough_tol, template.tol, _LARGEST_ROUGH_TOL))
    n_threads = count_threads(template.n_jobs)
    has_few_rows = len(slot_bounds(samples.n_samples)) - 1 < n_threads
    work = samples.n_samples * samples.n_features**2
    side_by_side = has_few_rows and work >= _SIDE_BY_SIDE and samples.in_memory
    reg_covar = added_to_samples(template.reg_covar, samples, n_threads)
    is_added = isinstance(reg_covar, np.ndarray) or reg_covar > 0.0
    return Setting(
        reg_covar=reg_covar,
        collapsed=reg_covar if is_added else added_to_samples("auto", samples, n_threads),
        rough_tol=rough_tol,
        tol=template.tol,
        is_rough=is_rough,
        truncated_tol=_TRUNCATED_TOL if isinstance(tol, str) else template.tol,
        max_iter=template.max_iter,
        n_init=template.n_init,
        seed=_seed(template.random_state),
        n_threads=1 if side_by_side else n_threads,
        n_workers=n_threads if side_by_side else 1,
        many=_many(template),
        is_held_out=criterion == "held-out",
    )


def _many(template: GaussianMixture) -> float:
    """Return from how many components on EM is truncated."""
    if template.posterior == "auto":
        return MANY if template.missing == "error" else np.inf
    return 1.0 if template.posterior == "truncated" else np.inf


def _seed(random_state: Any) -> int:
    """Return an integer as it is, so that a fresh start is that of the estimator."""
    try:
        return operator.index(random_state)
    except TypeError:
        return int(check_random_state(random_state).randint(2**31))


def _without_value(candidate: Candidate, criterion: str) -> Candidate:
    """Return a candidate with a fault where its criterion is not a number."""
    if candidate.fault is None and np.isnan(candidate.value(criterion)):
        return candidate._replace(fault="the fit to all folds but one failed")
    return candidate


def _check_any(candidates: Sequence[Candidate]) -> None:
    if all(candidate.fault is not None for candidate in candidates):
        first = candidates[0]
        raise ValueError(
            f"None of {len(candidates)} candidates can be compared. The first, {first.name}: "
            f"{first.fault}"
        )
