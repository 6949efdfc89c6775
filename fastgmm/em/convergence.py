"""When to stop."""

from abc import ABC, abstractmethod
from typing import ClassVar

EVERY_OBJECTIVE = frozenset({"log-likelihood", "elbo", "estimate"})


class Convergence(ABC):
    """Decides after each iteration.

    Attributes
    ----------
    objectives : frozenset of str
        The kinds of lower bound that it works with; see `Posterior`.
    """

    objectives: ClassVar[frozenset[str]] = EVERY_OBJECTIVE

    def start(self) -> None:  # noqa: B027
        """Begin a run: forget earlier ones."""

    @abstractmethod
    def __call__(self, change: float, remaining: float = 0.0) -> bool:
        """Return whether EM has converged.

        Parameters
        ----------
        change : float
            Of the lower bound since the last iteration; infinite in the first.
        remaining : float
            What the acceleration still expects to gain; 0 if unknown.
        """


class LowerBoundChange(Convergence):
    """Stop when the mean log-likelihood changes by less than ``tol`` (scikit-learn's rule).

    Parameters
    ----------
    tol : float
        In nats per unit of weight.
    """

    objectives: ClassVar[frozenset[str]] = EVERY_OBJECTIVE - {"estimate"}

    def __init__(self, tol: float = 1e-3) -> None:
        self.tol = tol

    def __call__(self, change: float, remaining: float = 0.0) -> bool:
        """Return whether |change| and what remains are less than tol."""
        return abs(change) < self.tol and remaining < self.tol


class RemainingGain(Convergence):
    r"""Stop when the lower bound is expected to gain less than ``tol`` in all further iterations.

    EM converges linearly: its gains g_t shrink by a factor that tends to a constant
    :math:`\rho = g_t / g_{t-1}`. The gain that remains is then :math:`g_t \rho / (1 - \rho)`. The
    rule stops when this estimate is below ``tol`` in three iterations in a row. A single estimate
    may be low by chance while the factor still rises.

    Parameters
    ----------
    tol : float
        In nats per unit of weight.

    References
    ----------
    Boehning, Dietz, Schaub, Schlattmann and Lindsay (1994), The distribution of the likelihood
    ratio for mixtures of densities from the one-parameter exponential family, Ann. Inst. Statist.
    Math. 46, on Aitken's acceleration as a stop rule.
    """

    objectives: ClassVar[frozenset[str]] = EVERY_OBJECTIVE - {"estimate"}
    _IN_A_ROW = 3

    def __init__(self, tol: float = 1e-3) -> None:
        self.tol = tol
        self.start()

    def start(self) -> None:
        """Forget earlier gains."""
        self._last = float("inf")
        self._in_a_row = 0

    def __call__(self, change: float, remaining: float = 0.0) -> bool:
        """Return whether the gain that remains is less than tol."""
        expected = max(remaining, self._expected(change))  # NaN if ``remaining`` is NaN
        self._in_a_row = self._in_a_row + self._count(expected) if expected < self.tol else 0
        return self._in_a_row >= self._IN_A_ROW

    def _expected(self, change: float) -> float:
        """Return the gain that remains by this change and the last, and keep this one."""
        last, self._last = self._last, change
        if not 0.0 < last < float("inf"):
            return abs(change)
        if change >= last:
            return float("inf")
        factor = max(change, 0.0) / last
        return abs(change) * max(factor / (1.0 - factor), 1.0)

    def _count(self, expected: float) -> int:
        """Return as how many an estimate below tol counts."""
        return 1


class Never(Convergence):
    """Run ``max_iter`` iterations."""

    def __call__(self, change: float, remaining: float = 0.0) -> bool:
        """Return False."""
        return False


STOP_RULES: dict[str, type[LowerBoundChange] | type[RemainingGain]] = {
    "last-change": LowerBoundChange,
    "remaining-gain": RemainingGain,
}
