"""Models with latent variables that are no Gaussian mixtures: what EM asks of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from .._kernels.layout import Array

LATENT_KINDS = frozenset({"discrete", "continuous"})

# Parameters, and the statistics from which an update makes others.
P = TypeVar("P")
S = TypeVar("S", bound="Statistics")
Model = TypeVar("Model", bound="LatentVariableModel")


class Statistics(Protocol):
    """What the loop asks of statistics."""

    @property
    def lower_bound(self) -> float:
        """The bound that the loop records, per unit of weight, in nats."""


@dataclass(frozen=True)
class Sums:
    """Sums over samples, by name: the sufficient statistics of a model of your own.

    Sums of two parts of the samples add to those of the whole with ``+``.

    Parameters
    ----------
    log_likelihood : float
        sum w log p(x), or a bound below it, in nats.
    weight : float
        sum w; without weights, the number of samples.
    values : dict of str to array

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import em
    >>> part = em.Sums(-1.5, 2.0, {"heads": np.array([1.0])})
    >>> (part + part)["heads"].tolist(), (part + part).lower_bound
    ([2.0], -0.75)
    """

    log_likelihood: float
    weight: float
    values: Mapping[str, Array]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))

    @property
    def lower_bound(self) -> float:
        """Mean log-likelihood per unit of weight, in nats."""
        return self.log_likelihood / self.weight

    def __getitem__(self, name: str) -> Array:
        return self.values[name]

    def __add__(self, other: "Sums") -> "Sums":
        if self.values.keys() != other.values.keys():
            raise ValueError(
                "Sums of the same names can be added, "
                f"got {sorted(self.values)} and {sorted(other.values)}."
            )
        return Sums(
            self.log_likelihood + other.log_likelihood,
            self.weight + other.weight,
            {name: value + other.values[name] for name, value in self.values.items()},
        )

    def scaled(self, factor: float) -> "Sums":
        """Return the sums of samples whose weights are ``factor`` times as large.

        Parameters
        ----------
        factor : float

        Returns
        -------
        Sums
        """
        return Sums(
            factor * self.log_likelihood,
            factor * self.weight,
            {name: factor * value for name, value in self.values.items()},
        )

    def with_log_likelihood(self, log_likelihood: float) -> "Sums":
        """Return the same sums beside another log-likelihood.

        Parameters
        ----------
        log_likelihood : float

        Returns
        -------
        Sums
        """
        return replace(self, log_likelihood=log_likelihood)


class LatentVariableModel(ABC):
    r"""A model :math:`p(x, z; \theta)` with latent z, at one value of its parameters.

    EM alternates `summarize`, the E step, and `update`, the M step:

    .. math:: s = \sum_i w_i \, E_{p(z \mid x_i; \theta)}[t(x_i, z)], \qquad
        \theta' = \arg\max_\theta E_{p(z \mid X; \theta_{old})}[\log p(X, z; \theta)]

    An object is a value: `update` returns another one. Where the posterior of z has no formula,
    `summarize_draws` takes the place of `summarize`. `MCMCPosterior` draws z by means of
    ``log_joint``, `GaussianPosterior` by means of ``log_joint_gradient``.

    Attributes
    ----------
    latent : {'discrete', 'continuous'}
        What z is.
    n_features : int or None
        Columns that X must have; None: any number.
    n_latent : int
        Elements of z.
    n_states : int
        Where z is discrete: each element is one of 0 to ``n_states`` - 1.
    theta : (p,) array
        The parameters as one array, for the two functions below.
    log_joint : function, compiled by `numba.njit` or in C
        ``log_joint(x, z, theta)`` returns log p(x, z). x, z and theta are arrays of float64. It
        must not raise an error: divide with ``njit(error_model="numpy")``. In C, by way of
        `ctypes`: ``double f(double *x, double *z, double *theta, size_t d, size_t L, size_t p)``
        with the lengths of the arrays.
    log_joint_gradient : function, compiled by `numba.njit` or in C
        ``log_joint_gradient(x, z, theta, gradient)`` returns log p(x, z), and writes its gradient
        by z. In C, ``double *gradient`` stands before the lengths.

    References
    ----------
    Dempster, Laird and Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm,
    J. R. Statist. Soc. B 39.

    Examples
    --------
    Bags with one of two coins each, of which n flips are seen:

    >>> import numpy as np
    >>> from scipy.stats import binom
    >>> from fastgmm import em
    >>> class Coins(em.LatentVariableModel):
    ...     latent = "discrete"
    ...     def __init__(self, heads):
    ...         self.heads = heads
    ...     def summarize(self, X, weight):
    ...         joint = 0.5 * binom.pmf(X[:, :1], X[:, 1:], self.heads)
    ...         evidence = joint.sum(axis=1)
    ...         r = (weight / evidence)[:, np.newaxis] * joint
    ...         sums = {"heads": X[:, 0] @ r, "flips": X[:, 1] @ r}
    ...         return em.Sums(weight @ np.log(evidence), weight.sum(), sums)
    ...     def update(self, sums):
    ...         return Coins(sums["heads"] / sums["flips"])
    >>> X = np.array([[5, 10], [9, 10], [8, 10], [4, 10], [7, 10]])  # heads, flips
    >>> em.fit(X, Coins(np.array([0.6, 0.5]))).parameters.heads.round(2).tolist()
    [0.8, 0.52]
    """

    latent: ClassVar[str]
    n_features: int | None = None
    n_latent: int | None = None
    n_states: int | None = None
    log_joint: ClassVar[Callable[..., float] | None] = None
    log_joint_gradient: ClassVar[Callable[..., float] | None] = None
    theta: Array | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if getattr(cls, "latent", "discrete") not in LATENT_KINDS:
            raise TypeError(
                f"{cls.__name__}.latent should be 'discrete' or 'continuous', got {cls.latent!r}."
            )

    def summarize(self, X: NDArray[Any], weight: Array) -> Any:
        """Return expected sums of some samples under the exact posterior of z.

        Parameters
        ----------
        X : (m, d) array of float64
        weight : (m,) array
            Each counts as that many copies of its sample.

        Returns
        -------
        Sums
            Any other type will do that has ``lower_bound``, ``log_likelihood``, ``weight`` and
            ``+``.
        """
        raise NotImplementedError

    def summarize_draws(self, X: Array, Z: Array, weight: Array) -> Mapping[str, Array]:
        """Return sums over samples of the mean over their draws of z.

        Parameters
        ----------
        X : (m, d) array
        Z : (m, S, L) array
            S draws for each sample. Do not keep it: its memory is used again.
        weight : (m,) array

        Returns
        -------
        dict of str to array
            The values of the `Sums` that `update` takes.
        """
        raise NotImplementedError

    @abstractmethod
    def update(self: Model, statistics: Any) -> Model:
        """Return the model of the next iteration.

        Parameters
        ----------
        statistics : Sums
            Of all samples.

        Returns
        -------
        LatentVariableModel
            Its expected complete log-likelihood should be the largest, or at least not lower.
        """


def check_has(posterior: object, model: LatentVariableModel, name: str) -> None:
    """Raise TypeError if a model lacks what a posterior needs of it."""
    default = getattr(LatentVariableModel, name, None)
    if getattr(type(model), name, None) is default and name not in vars(model):
        raise TypeError(
            f"posterior {type(posterior).__name__} needs a model with {name}, but "
            f"{type(model).__name__} has none."
        )


def sum_up(samples: Any, model: LatentVariableModel) -> Any:
    """Return the sums of all samples, block after block."""
    total = None
    for rows in samples.block_slices(_ROWS):
        X = np.asarray(samples.rows(rows), np.float64)
        part = model.summarize(X, samples.weight(rows))
        total = part if total is None else total + part
    assert total is not None
    check_bound(total.lower_bound, model, "summarize")
    if isinstance(total, Sums):
        check_values(total.values, model, "summarize")
    return total


def check_bound(bound: float, model: LatentVariableModel, name: str) -> None:
    """Raise ValueError if what a method of a model returned is no number."""
    if not np.isfinite(bound):
        raise ValueError(
            f"{name} of {type(model).__name__} should lead to a finite log-likelihood, got {bound}."
        )


def check_values(values: Mapping[str, Array], model: LatentVariableModel, name: str) -> None:
    """Raise ValueError if a sum that a method of a model returned is NaN."""
    for key, value in values.items():
        if np.isnan(value).any():
            raise ValueError(
                f"{name} of {type(model).__name__} should return sums that are numbers, "
                f"but {key!r} contains NaN."
            )


def check_update(updated: object, model: LatentVariableModel) -> None:
    """Raise an error if what ``update`` of a model returned is no model with parameters.

    Raises
    ------
    TypeError
        If it is no model.
    ValueError
        If its ``theta`` contains NaN.
    """
    name = type(model).__name__
    if not isinstance(updated, LatentVariableModel):
        raise TypeError(f"update of {name} should return a LatentVariableModel, got {updated!r}.")
    if updated.theta is not None and np.isnan(updated.theta).any():
        raise ValueError(f"update of {name} should return numbers, but theta contains NaN.")


# How many rows are summarised at a time.
_ROWS = 2**14
