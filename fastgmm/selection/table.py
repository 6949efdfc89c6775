"""The table of candidates: what was tried, what came of it, and which is best."""

from typing import Any, NamedTuple

import numpy as np

from ..estimators import GaussianMixture

#: What each criterion is called in print, and whether a higher value is better.
CRITERIA = {
    "bic": ("BIC", False),
    "icl": ("ICL", False),
    "aic": ("AIC", False),
    "held-out": ("mean held-out log-likelihood", True),
}
# Criteria that differ by less, relatively, are equal but for rounding.
_TIE = 1e-10


class Candidate(NamedTuple):
    """A mixture that was tried.

    Parameters
    ----------
    covariance_type : str
    n_components : int
    n_parameters : int
        Number of free parameters.
    log_likelihood : float
        Of all samples, in nats; NaN, as the criteria, where the fit failed.
    bic, icl, aic : float
        Lower is better.
    held_out : float
        Mean log-likelihood of samples that the fit had not seen, in nats per sample; higher is
        better. NaN unless it was asked for.
    start : str
        Where the fit began: ``fresh``, or ``split``, a smaller mixture with components split.
    converged : bool
    n_iter : int
    fault : str or None
        Why this candidate cannot be chosen: the fit failed, or its maximum is spurious.
    estimator : GaussianMixture or None
        Fitted; None where the fit failed.
    """

    covariance_type: str
    n_components: int
    n_parameters: int
    log_likelihood: float = np.nan
    bic: float = np.nan
    icl: float = np.nan
    aic: float = np.nan
    held_out: float = np.nan
    start: str = ""
    converged: bool = False
    n_iter: int = 0
    fault: str | None = None
    estimator: GaussianMixture | None = None

    def value(self, criterion: str) -> float:
        """Return the value of a criterion.

        Parameters
        ----------
        criterion : {'bic', 'icl', 'aic', 'held-out'}

        Returns
        -------
        float
        """
        value: float = getattr(self, criterion.replace("-", "_"))
        return value

    @property
    def name(self) -> str:
        """What the candidate is called in print."""
        return f"{self.covariance_type}, K = {self.n_components}"


class Selection:
    """What `select` found: a table of candidates, which prints, and the best of them.

    Parameters
    ----------
    candidates : list of Candidate
        At least one without a fault.
    criterion : {'bic', 'icl', 'aic', 'held-out'}
    n_samples, n_features : int

    Attributes
    ----------
    candidates : list of Candidate
        All that were tried: covariance types in the order that was asked for, each with rising
        numbers of components.
    criterion : str
        By which `best` was chosen.
    best : Candidate
        Of those without a fault. Where several are equal, that of the fewest parameters, then the
        first.
    n_samples, n_features : int
    """

    def __init__(
        self, candidates: list[Candidate], criterion: str, n_samples: int, n_features: int
    ) -> None:
        self.candidates = candidates
        self.criterion = criterion
        self.n_samples = n_samples
        self.n_features = n_features
        self.best = self._best()

    @property
    def best_estimator(self) -> GaussianMixture:
        """The best candidate as a fitted estimator."""
        estimator = self.best.estimator
        assert estimator is not None
        return estimator

    def _best(self) -> Candidate:
        sign = -1.0 if CRITERIA[self.criterion][1] else 1.0
        chosen = [
            (sign * candidate.value(self.criterion), candidate)
            for candidate in self.candidates
            if candidate.fault is None
        ]
        least = min(value for value, _ in chosen)
        tied = [
            candidate for value, candidate in chosen if value <= least + _TIE * max(abs(least), 1.0)
        ]
        return min(tied, key=lambda candidate: candidate.n_parameters)

    def to_frame(self) -> Any:
        """Return a row for each candidate, without the estimators.

        Returns
        -------
        pandas.DataFrame
            Its columns are the other attributes of `Candidate`.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        from pandas import DataFrame

        return DataFrame.from_records(self.to_records())

    def to_records(self) -> list[dict[str, Any]]:
        """Return a dictionary for each candidate, without the estimators.

        Returns
        -------
        list of dict
        """
        rows = [candidate._asdict() for candidate in self.candidates]
        return [{name: row[name] for name in row if name != "estimator"} for row in rows]

    def __repr__(self) -> str:
        return "\n".join([*self._heading(), "", *self._grid(), *self._notes()])

    def _heading(self) -> list[str]:
        title, is_higher_better = CRITERIA[self.criterion]
        better = "higher" if is_higher_better else "lower"
        data = f"{self.n_samples:,} samples x {self.n_features:,} features"
        best = f"{self.best.name}, {title} {self._format(self.best)}"
        return [f"{title} of {data} ({better} is better)", f"best: {best}"]

    def _format(self, candidate: Candidate) -> str:
        if candidate.fault is not None:
            return "-"
        return f"{candidate.value(self.criterion):.{5 if self.criterion == 'held-out' else 2}f}"

    def _grid(self) -> list[str]:
        """Return a line for each number of components, and a column for each covariance type."""
        types = list(dict.fromkeys(candidate.covariance_type for candidate in self.candidates))
        sizes = sorted({candidate.n_components for candidate in self.candidates})
        cells = {
            candidate[:2]: self._format(candidate) + ("*" if candidate is self.best else " ")
            for candidate in self.candidates
        }
        columns = [["K", *map(str, sizes)]]
        columns += [[f"{kind} ", *(cells[kind, K] for K in sizes)] for kind in types]
        widths = [max(map(len, column)) for column in columns]
        rows = zip(*columns, strict=True)
        return [
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]

    def _notes(self) -> list[str]:
        faults = [f"{each.name}: {each.fault}" for each in self.candidates if each.fault]
        unfinished = [
            each.name for each in self.candidates if not each.fault and not each.converged
        ]
        notes = ["", "not compared:", *faults] if faults else []
        if unfinished:
            notes += ["", f"not converged: {'; '.join(unfinished)}"]
        sizes = {each.n_components for each in self.candidates}
        if len(sizes) > 1 and self.best.n_components == max(sizes):
            notes += ["", "The best has the largest number of components that was tried: try more."]
        return notes
