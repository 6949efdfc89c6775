"""GaussianMixtureDisplay: samples by component, ellipses, and regions of high density."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._kernels.layout import Array
from ..data.samples import Samples
from ..model.conditional import marginal
from ..model.prediction import best_components
from .axes import PANEL_SIZE, make_axes
from .features import choose_features, labels_with_units
from .panels import Artists, Shown, Style, draw_feature, draw_pair, legend_handles
from .subset import random_subset

KINDS = ("points", "ellipses", "density")
_PANEL = 2.3  # inches
# A component of a weight below this times 1 / K is not drawn.
_LEAST_WEIGHT = 0.01


class GaussianMixtureDisplay:
    r"""A picture of a mixture: samples by component, ellipses, and regions of high density.

    One feature is drawn as histogram and curves, two as one panel, more as a corner plot: a panel
    for each pair, and the densities of single features on the diagonal. Components are told apart
    by number, line style and marker, not by colour alone. Use `from_estimator` to make one.

    Parameters
    ----------
    weights : ndarray of shape (n_components,)
    means : ndarray of shape (n_components, n_shown)
        Of the features that are shown.
    covariances : ndarray of shape (n_components, n_shown, n_shown)
    feature_names : list of str
        Labels of the axes.
    X : ndarray of shape (n_drawn, n_shown), optional
        Samples that are drawn.
    labels : ndarray of shape (n_drawn,), optional
        The component of each.
    sample_weight : ndarray of shape (n_drawn,), optional
        For the histograms of single features.
    n_samples : int, optional
        Number of samples of which X is a subset.

    Attributes
    ----------
    ax_ : matplotlib Axes
        That the picture is drawn on; with three features and more it holds the panels.
    figure_ : matplotlib Figure
    axes_ : ndarray of shape (n_panels, n_panels)
        Axes of the panels: one, or in rows and columns by feature, None above the diagonal.
    artists_ : ndarray of shape (n_panels, n_panels)
        The artists of each panel: ``points``, ``ellipses``, ``contours``, ``lines`` and ``bars``.
    legend_ : matplotlib Legend

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastgmm import GaussianMixture, GaussianMixtureDisplay
    >>> X = load_iris(as_frame=True).data
    >>> model = GaussianMixture(n_components=3, random_state=0).fit(X)
    >>> display = GaussianMixtureDisplay.from_estimator(model, X)  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        weights: Array,
        means: Array,
        covariances: Array,
        feature_names: list[str],
        X: Array | None = None,
        labels: NDArray[np.int64] | None = None,
        sample_weight: Array | None = None,
        n_samples: int | None = None,
    ) -> None:
        self.weights = weights
        self.means = means
        self.covariances = covariances
        self.feature_names = feature_names
        self.X = X
        self.labels = labels
        self.sample_weight = sample_weight
        self.n_samples = n_samples

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        sample_weight: Any = None,
        features: Sequence[int | str] | None = None,
        feature_names: Sequence[str] | None = None,
        units: Mapping[str, str] | Sequence[str] | None = None,
        max_samples: int | None = 3000,
        random_state: int | None = 0,
        ax: Any = None,
        **plot_options: Any,
    ) -> "GaussianMixtureDisplay":
        """Draw a fitted mixture, and samples if they are given.

        Parameters
        ----------
        estimator : fitted GaussianMixture, BayesianGaussianMixture or SoftKMeans
        X : array-like or data frame of shape (n_samples, n_features), optional
            Samples. None: the mixture alone.
        sample_weight : array-like of shape (n_samples,) or number, optional
            Non-negative. A sample is drawn by its weight.
        features : int, str, slice or array-like, optional
            Features to show, by number from 0 or by name. Default: all, but of more than four the
            four whose means differ most between components, in units of their deviations.
        feature_names : sequence of str, optional
            Of all features of X. Default: those of the fit, or x0, x1, ...
        units : mapping of names to units or sequence of str, optional
            Units of the features, for the labels; a sequence has one for each feature of X.
        max_samples : int or None, default=3000
            More samples are replaced by a random subset of this size, so that a million take no
            longer; the legend says so. None draws all.
        random_state : int or None, default=0
            Seed of the subset.
        ax : matplotlib Axes, optional
            To draw on. Default: those of a new figure.
        **plot_options
            Further parameters of `plot`.

        Returns
        -------
        GaussianMixtureDisplay
            Drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X is not as in ``fit``, or another parameter is not valid.
        ImportError
            If Matplotlib is not installed.
        """
        parameters = estimator.to_parameters()
        names = estimator._names() if feature_names is None else list(feature_names)
        if len(names) != parameters.n_features:
            raise ValueError(
                f"feature_names should be {parameters.n_features}, one for each feature, "
                f"got {names}."
            )
        chosen = choose_features(parameters, names, features)
        labels = labels_with_units(names, units)
        shown = marginal(parameters, chosen)
        covariances = shown.covariance_model.dense(shown.covariances, *shown.means.shape)
        drawn: dict[str, Any] = {}
        if X is not None:
            samples, _, n_threads = estimator._checked("from_estimator", X, sample_weight)
            rows, weight = random_subset(samples, max_samples, random_state)
            some = Samples(rows, with_missing=samples.with_missing)
            found = best_components(some, parameters, n_threads)
            drawn = {"X": np.asarray(rows[:, chosen], np.float64), "labels": found}
            drawn |= {"sample_weight": weight, "n_samples": samples.n_samples}
        display = cls(
            weights=parameters.weights,
            means=shown.means,
            covariances=covariances,
            feature_names=[labels[j] for j in chosen],
            **drawn,
        )
        return display.plot(ax, **plot_options)

    @property
    def figure_size(self) -> tuple[float, float]:
        """Width and height, in inches, in which the picture is legible."""
        n = len(self.feature_names)
        return PANEL_SIZE if n < 3 else (_PANEL * n, _PANEL * n)

    def plot(
        self,
        ax: Any = None,
        *,
        kind: str | Sequence[str] = KINDS,
        coverage: float = 0.9,
        levels: Sequence[float] = (0.5, 0.9, 0.99),
        scatter_kw: dict[str, Any] | None = None,
        ellipse_kw: dict[str, Any] | None = None,
        contour_kw: dict[str, Any] | None = None,
        line_kw: dict[str, Any] | None = None,
    ) -> "GaussianMixtureDisplay":
        """Draw the picture.

        Components of a weight below 0.01 / K, such as those that a Bayesian mixture leaves empty,
        are not drawn.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            To draw on. Default: those of a new figure.
        kind : {'points', 'ellipses', 'density'} or sequence of them, default=all
            Of single features: the histogram, the curves of the components, that of the mixture.
        coverage : float, default=0.9
            Probability of a component in its ellipse, between 0 and 1.
        levels : sequence of float, default=(0.5, 0.9, 0.99)
            Probabilities of the filled contours: each region is the smallest that holds so much of
            the mixture.
        scatter_kw, ellipse_kw, contour_kw, line_kw : dict, optional
            For ``Axes.scatter``, ``patches.Polygon``, ``Axes.contourf`` and ``Axes.plot``.

        Returns
        -------
        GaussianMixtureDisplay
            self.

        Raises
        ------
        ValueError
            If a parameter is not valid, or ``ax`` has no place in a grid for panels.
        ImportError
            If Matplotlib is not installed.
        """
        kinds = _check_kind(kind)
        for name, values in (("coverage", [coverage]), ("levels", levels)):
            if not len(values) or not all(0.0 < value < 1.0 for value in values):
                raise ValueError(f"{name} should be between 0 and 1, got {values}.")
        keywords = (scatter_kw, ellipse_kw, contour_kw, line_kw)
        style = Style(kinds, coverage, levels, *(given or {} for given in keywords))
        self.ax_ = make_axes(self, ax, self.figure_size)
        self.figure_ = self.ax_.figure
        shown = self._shown()
        if len(self.feature_names) > 2:
            self._draw_corner(shown, style)
        else:
            self._draw_one(shown, style)
        self._draw_legend(shown, style)
        return self

    def _shown(self) -> Shown:
        order = np.argsort(self.weights, kind="stable")
        least = _LEAST_WEIGHT / len(self.weights)
        components = [int(k) for k in order if self.weights[k] >= least]
        mixture = self.weights, self.means, self.covariances
        return Shown(*mixture, components, self.X, self.labels, self.sample_weight)

    def _draw_one(self, shown: Shown, style: Style) -> None:
        self.axes_ = np.array([[self.ax_]], dtype=object)
        if len(self.feature_names) == 1:
            artists = draw_feature(self.ax_, shown, 0, style)
            self.ax_.set_ylabel("density")
        else:
            artists = draw_pair(self.ax_, shown, 1, 0, style)
            self.ax_.set_ylabel(self.feature_names[1])
        self.ax_.set_xlabel(self.feature_names[0])
        self.artists_ = np.array([[artists]], dtype=object)

    def _draw_corner(self, shown: Shown, style: Style) -> None:
        n = len(self.feature_names)
        place = self.ax_.get_subplotspec()
        if place is None:
            raise ValueError(
                "ax should be of a grid of subplots, got axes at a place of their own."
            )
        self.ax_.set_axis_off()
        grid = place.subgridspec(n, n)
        self.axes_, self.artists_ = np.full((2, n, n), None, dtype=object)
        for i in range(n):
            for j in range(i + 1):
                axes = self.figure_.add_subplot(grid[i, j])
                self.axes_[i, j] = axes
                self.artists_[i, j] = self._draw_panel(axes, shown, i, j, style)
                if i == n - 1:
                    axes.set_xlabel(self.feature_names[j])
                else:
                    axes.tick_params(labelbottom=False)
        self.figure_.align_ylabels(list(self.axes_[:, 0]))

    def _draw_panel(self, axes: Any, shown: Shown, i: int, j: int, style: Style) -> Artists:
        if i == j:
            artists = draw_feature(axes, shown, i, style)
            axes.set_yticks([])
            if i == 0:
                axes.set_ylabel("density")
            return artists
        artists = draw_pair(axes, shown, i, j, style)
        if j == 0:
            axes.set_ylabel(self.feature_names[i])
        else:
            axes.tick_params(labelleft=False)
        return artists

    def _draw_legend(self, shown: Shown, style: Style) -> None:
        handles = legend_handles(shown, style)
        place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "fontsize": 9}
        if len(self.feature_names) > 2:
            place = {"loc": "upper right", "fontsize": 8}
        self.legend_ = self.ax_.legend(
            handles=handles, title=self._notes(shown, style), title_fontsize=place["fontsize"],
            alignment="left", frameon=False, handlelength=4.0, **place,
        )  # fmt: skip

    def _notes(self, shown: Shown, style: Style) -> str:
        """Return what the picture shows, in words."""
        notes = []
        if shown.X is not None and "points" in style.kind and self.n_samples is not None:
            some, n = len(shown.X), self.n_samples
            notes.append(f"{n:,} samples" if some >= n else f"{some:,} of {n:,} samples")
        if len(self.feature_names) > 1 and "ellipses" in style.kind:
            notes.append(f"an ellipse holds {100 * style.coverage:g} %")
        n_components = len(self.weights)
        listed = len(shown.listed)
        what = "component" if listed == n_components else f"{listed} of {n_components} components"
        return "\n".join([*notes, f"{what} (weight):"])


def _check_kind(kind: str | Sequence[str]) -> tuple[str, ...]:
    kinds = (kind,) if isinstance(kind, str) else tuple(kind)
    if not kinds or not set(kinds) <= set(KINDS):
        raise ValueError(f"kind should be of {', '.join(KINDS)}, got {kind!r}.")
    return kinds
