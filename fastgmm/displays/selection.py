"""SelectionDisplay: a criterion by number of components and covariance type."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._kernels.layout import Array
from ..selection.table import CRITERIA, Selection
from .axes import make_axes
from .style import line_style, marker_style


class SelectionDisplay:
    """A picture of a choice between models. Use `from_selection` to make one.

    Parameters
    ----------
    n_components : array-like of shape (n_candidates,)
    covariance_type : array-like of shape (n_candidates,)
    score : array-like of shape (n_candidates,)
        NaN or infinite where a candidate failed, which is not drawn.
    best_index : int, optional
        Row of the best candidate. Default: the first of the best score.
    criterion : str, default='BIC'
        For the axis.
    greater_is_better : bool, default=False

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : dict of str to matplotlib Line2D
        By covariance type.
    best_ : matplotlib Line2D
        The ring about the best candidate.

    Raises
    ------
    ValueError
        If ``best_index`` is not given, and no candidate has a score.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import SelectionDisplay, select
    >>> X = np.random.default_rng(0).normal(size=(200, 2)) + np.repeat([[0], [6]], 100, axis=0)
    >>> display = SelectionDisplay.from_selection(select(X, range(1, 4), random_state=0))
    >>> display.ax_.get_ylabel()
    'BIC (lower is better)'
    """

    def __init__(
        self,
        n_components: Any,
        covariance_type: Any,
        score: Any,
        *,
        best_index: int | None = None,
        criterion: str = "BIC",
        greater_is_better: bool = False,
    ) -> None:
        self.n_components: NDArray[np.int64] = np.asarray(n_components, dtype=np.int64)
        self.covariance_type: list[str] = [str(kind) for kind in covariance_type]
        self.score: Array = np.asarray(score, dtype=np.float64)
        self.criterion = criterion
        self.greater_is_better = greater_is_better
        self.best_index: int = self._first_best() if best_index is None else best_index

    @classmethod
    def from_selection(
        cls, selection: Selection, *, ax: Any = None, **plot_options: Any
    ) -> "SelectionDisplay":
        """Draw the candidates of a choice, by its criterion.

        Parameters
        ----------
        selection : Selection
            What `fastgmm.select` returned. Candidates with a fault leave a gap.
        ax : matplotlib Axes, optional
            To draw on. Default: those of a new figure.
        **plot_options
            Further parameters of `plot`.

        Returns
        -------
        SelectionDisplay
            Drawn.

        Raises
        ------
        ImportError
            If Matplotlib is not installed.
        """
        candidates = selection.candidates
        title, greater_is_better = CRITERIA[selection.criterion]
        display = cls(
            [candidate.n_components for candidate in candidates],
            [candidate.covariance_type for candidate in candidates],
            [
                np.nan if candidate.fault else candidate.value(selection.criterion)
                for candidate in candidates
            ],
            best_index=[c is selection.best for c in candidates].index(True),
            criterion=title,
            greater_is_better=greater_is_better,
        )
        return display.plot(ax, **plot_options)

    def plot(self, ax: Any = None, *, line_kw: dict[str, Any] | None = None) -> "SelectionDisplay":
        """Draw the picture: a line for each covariance type, and a ring about the best candidate.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            To draw on. Default: those of a new figure.
        line_kw : dict, optional
            For ``Axes.plot``.

        Returns
        -------
        SelectionDisplay
            self.

        Raises
        ------
        ImportError
            If Matplotlib is not installed.
        """
        best = self.best_index
        self.ax_ = make_axes(self, ax)
        self.figure_ = self.ax_.figure
        self.lines_ = {}
        for i, kind in enumerate(dict.fromkeys(self.covariance_type)):
            x, y = self._curve(kind)
            options = {**line_style(i), **marker_style(i), "lw": 1.5, "ms": 6, "label": kind}
            options |= {"markeredgewidth": 1.2}
            (self.lines_[kind],) = self.ax_.plot(x, y, **(options | (line_kw or {})))
        K, kind, score = self.n_components[best], self.covariance_type[best], self.score[best]
        label = f"best: {kind}, {K} ({score:,.6g})"
        ring = {"marker": "o", "ms": 15, "mfc": "none", "mec": "black", "mew": 1.5}
        (self.best_,) = self.ax_.plot([K], [score], linestyle="none", label=label, **ring)
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        self.ax_.set_xlabel("number of components")
        better = "higher" if self.greater_is_better else "lower"
        self.ax_.set_ylabel(f"{self.criterion} ({better} is better)")
        self.ax_.legend(frameon=False, fontsize=9, title="covariance type", title_fontsize=9)
        return self

    def _first_best(self) -> int:
        finite = np.isfinite(self.score)
        if not finite.any():
            raise ValueError("No candidate has a score.")
        sign = -1.0 if self.greater_is_better else 1.0
        return int(np.argmin(np.where(finite, sign * self.score, np.inf)))

    def _curve(self, kind: str) -> tuple[NDArray[np.int64], Array]:
        """Return the candidates of a covariance type by number of components; failures are gaps."""
        rows = [i for i, other in enumerate(self.covariance_type) if other == kind]
        rows = sorted(rows, key=lambda i: self.n_components[i])
        scores = self.score[rows]
        return self.n_components[rows], np.where(np.isfinite(scores), scores, np.nan)
