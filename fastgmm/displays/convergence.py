"""ConvergenceDisplay: the lower bound of each iteration, or its change."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._kernels.layout import Array
from .axes import make_axes
from .style import GREY, line_style

QUANTITIES = ("lower_bound", "change")


class ConvergenceDisplay:
    """A picture of how a fit converged. Use `from_estimator` to make one.

    Parameters
    ----------
    lower_bounds : array-like of shape (n_iter,)
        Of each iteration, in nats.
    converged : bool
    tol : float or None
        What the stop rule compared with.
    stop_rule : str
        That of the fit.
    name : str
        For the legend.
    bound_name, unit : str
        What the lower bound is, for the axis.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D
        The lower bounds, or changes.
    end_ : matplotlib Line2D
        The last iteration: a disk where the fit converged, else a cross.
    tol_line_ : matplotlib Line2D or None
        With changes: ``tol``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastgmm import ConvergenceDisplay, GaussianMixture
    >>> model = GaussianMixture(n_components=3, random_state=0).fit(load_iris().data)
    >>> display = ConvergenceDisplay.from_estimator(model)  # doctest: +SKIP
    """

    def __init__(
        self,
        lower_bounds: Any,
        *,
        converged: bool,
        tol: float | None = None,
        stop_rule: str = "last-change",
        name: str = "fit",
        bound_name: str = "mean log-likelihood",
        unit: str = "nats per sample",
    ) -> None:
        self.lower_bounds: Array = np.asarray(lower_bounds, dtype=np.float64)
        self.converged = converged
        self.tol = tol
        self.stop_rule = stop_rule
        self.name = name
        self.bound_name = bound_name
        self.unit = unit

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str | None = None, ax: Any = None, **plot_options: Any
    ) -> "ConvergenceDisplay":
        """Draw how a fit converged; several fits may share axes.

        Parameters
        ----------
        estimator : fitted GaussianMixture, BayesianGaussianMixture or SoftKMeans
        name : str, optional
            For the legend. Default: that of the class.
        ax : matplotlib Axes, optional
            To draw on. Default: those of a new figure.
        **plot_options
            Further parameters of `plot`.

        Returns
        -------
        ConvergenceDisplay
            Drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the fit has no iterations, as after ``from_parameters``.
        ImportError
            If Matplotlib is not installed.
        """
        estimator.to_parameters()
        if not estimator.history_:
            raise ValueError("The fit has no iterations to show.")
        is_variational = hasattr(estimator, "weight_concentration_")
        bound = {"bound_name": "bound of the log-evidence", "unit": "nats"}
        display = cls(
            estimator.lower_bounds_,
            converged=bool(estimator.converged_),
            tol=estimator.tol,
            stop_rule=getattr(estimator, "stop_rule", "last-change"),
            name=type(estimator).__name__ if name is None else name,
            **(bound if is_variational else {}),
        )
        return display.plot(ax, **plot_options)

    def plot(
        self,
        ax: Any = None,
        *,
        quantity: str = "lower_bound",
        line_kw: dict[str, Any] | None = None,
    ) -> "ConvergenceDisplay":
        """Draw the picture.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            To draw on; each fit on it has a line style of its own. Default: those of a new figure.
        quantity : {'lower_bound', 'change'}, default='lower_bound'
            ``change``: what each iteration gained, on a logarithmic axis, and ``tol``. A change
            that is not positive leaves a gap.
        line_kw : dict, optional
            For ``Axes.plot``.

        Returns
        -------
        ConvergenceDisplay
            self.

        Raises
        ------
        ValueError
            If the quantity is not one of these.
        ImportError
            If Matplotlib is not installed.
        """
        if quantity not in QUANTITIES:
            raise ValueError(
                f"quantity should be one of {', '.join(QUANTITIES)}, got {quantity!r}."
            )
        self.ax_ = make_axes(self, ax)
        self.figure_ = self.ax_.figure
        x, y = self._points(quantity)
        fits = [line for line in self.ax_.lines if line.get_gid() == "fit"]
        n_iter = len(self.lower_bounds)
        state = "converged" if self.converged else "not converged"
        label = f"{self.name}: {state} after {n_iter} iteration{'' if n_iter == 1 else 's'}"
        options = {**line_style(len(fits)), "lw": 1.8, "label": label, "gid": "fit"}
        (self.line_,) = self.ax_.plot(x, y, **(options | (line_kw or {})))
        marker = {"marker": "o" if self.converged else "X", "ms": 7, "zorder": 3}
        (self.end_,) = self.ax_.plot(x[-1:], y[-1:], color=self.line_.get_color(), **marker)
        self.tol_line_ = self._draw_tol() if quantity == "change" else None
        self.ax_.set_xlabel("iteration")
        what = self.bound_name if quantity == "lower_bound" else "gain of an iteration"
        self.ax_.set_ylabel(f"{what} ({self.unit})")
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        self.ax_.legend(frameon=False, fontsize=9)
        return self

    def _points(self, quantity: str) -> tuple[NDArray[np.int64], Array]:
        n_iter = len(self.lower_bounds)
        if quantity == "lower_bound":
            return np.arange(1, n_iter + 1, dtype=np.int64), self.lower_bounds
        changes = np.diff(self.lower_bounds)
        return np.arange(2, n_iter + 1, dtype=np.int64), np.where(changes > 0.0, changes, np.nan)

    def _draw_tol(self) -> Any:
        self.ax_.set_yscale("log")
        if not self.tol:
            return None
        bounds = "" if self.stop_rule == "last-change" else " (of all that remains)"
        label = f"tol = {self.tol:g}{bounds}"
        known = [line for line in self.ax_.lines if line.get_label() == label]
        style = {"color": GREY, "lw": 1.0, "linestyle": ":", "label": label}
        return known[0] if known else self.ax_.axhline(self.tol, **style)
