"""One panel of a picture of a mixture: one feature, or two."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._kernels.layout import Array
from .._kernels.threads import count_threads
from ..data.samples import Samples
from ..model.conditional import marginal
from ..model.parameters import MixtureParameters
from ..model.prediction import log_density
from .regions import ellipse, log_levels
from .style import color, line_style, marker_style

_CURVE_POINTS, _GRID = 400, 120
_MOST_BINS = 60
_MOST_LISTED = 12
_REACH = 3.0  # standard deviations of a component that the axes show
_MARGIN = 0.03
# below the lowest level, so that clipped values draw no line; in nats
_CLIP = 20.0
_MOST_POINTS_OF_FULL_SIZE, _FULL_SIZE, _LEAST_SIZE = 500, 14.0, 5.0
DENSITY_LINE: dict[str, Any] = {"color": "#8a8a8a", "linestyle": "-", "lw": 3.5}


class Shown(NamedTuple):
    """What all panels of a picture show.

    Attributes
    ----------
    weights : (K,) array
    means : (K, d) array
    covariances : (K, d, d) array
    components : list of int
        Those that are drawn, by rising weight.
    X : (n, d) array or None
    labels : (n,) array of int or None
        The component of each sample.
    sample_weight : (n,) array or None
    """

    weights: Array
    means: Array
    covariances: Array
    components: list[int]
    X: Array | None
    labels: NDArray[np.int64] | None
    sample_weight: Array | None

    @property
    def listed(self) -> list[int]:
        """The heaviest components, which have numbers, strong lines and a place in the legend."""
        return self.components[-_MOST_LISTED:]

    def is_listed(self, k: int) -> bool:
        """Return whether a component is one of the heaviest."""
        return k in self.listed

    def marginal(self, features: list[int]) -> MixtureParameters:
        """Return the mixture of one or two of the features."""
        mixture = MixtureParameters.from_covariances(
            "full", self.weights, self.means, self.covariances
        )
        return marginal(mixture, np.array(features))

    def limits(self, j: int) -> tuple[float, float]:
        """Return the range of a feature: that of the samples, and what components reach."""
        k = self.components
        reach = _REACH * np.sqrt(self.covariances[k, j, j])
        ends = [self.means[k, j] - reach, self.means[k, j] + reach]
        if self.X is not None:
            ends.append(self.X[:, j][np.isfinite(self.X[:, j])])
        low, high = (float(f(np.concatenate(ends))) for f in (np.min, np.max))
        margin = _MARGIN * (high - low)
        return low - margin, high + margin


@dataclass
class Artists:
    """The artists of one panel, for those who change their style.

    Attributes
    ----------
    points : list of PathCollection
        One for each component that has samples.
    ellipses : list of Polygon
        One for each component that is drawn.
    contours : ContourSet or None
        Regions of highest density, filled; their levels are log-densities.
    lines : list of Line2D
        Of one feature: the density, then weight times density of each component.
    bars : BarContainer or None
        Of one feature: the histogram of the samples.
    """

    points: list[Any] = field(default_factory=list)
    ellipses: list[Any] = field(default_factory=list)
    contours: Any = None
    lines: list[Any] = field(default_factory=list)
    bars: Any = None


class Style(NamedTuple):
    """What is drawn, and how.

    Attributes
    ----------
    kind : collection of {'points', 'ellipses', 'density'}
    coverage : float
        Probability in an ellipse.
    levels : sequence of float
        Probabilities in the contours of the density.
    scatter_kw, ellipse_kw, contour_kw, line_kw : dict
        For the artists.
    """

    kind: Sequence[str]
    coverage: float
    levels: Sequence[float]
    scatter_kw: dict[str, Any]
    ellipse_kw: dict[str, Any]
    contour_kw: dict[str, Any]
    line_kw: dict[str, Any]


def draw_feature(axes: Any, shown: Shown, j: int, style: Style) -> Artists:
    """Draw the histogram of a feature, its density and those of the components."""
    artists = Artists()
    limits = shown.limits(j)
    if shown.X is not None and "points" in style.kind:
        *_, artists.bars = axes.hist(
            shown.X[:, j], bins=_n_bins(len(shown.X)), range=limits, density=True,
            weights=shown.sample_weight, color="#dddddd", zorder=1,
        )  # fmt: skip
    x = np.linspace(*limits, _CURVE_POINTS)
    if "density" in style.kind:
        y = np.exp(_log_density(shown.marginal([j]), x[:, np.newaxis]))
        artists.lines += axes.plot(x, y, **({**DENSITY_LINE, "zorder": 2} | style.line_kw))
    if "ellipses" in style.kind:
        for k in shown.components:
            y = shown.weights[k] * _normal(x, shown.means[k, j], shown.covariances[k, j, j])
            options = {**line_style(k), "lw": 1.5 if shown.is_listed(k) else 0.6, "zorder": 3}
            artists.lines += axes.plot(x, y, **(options | style.line_kw))
    axes.set_xlim(limits)
    axes.set_ylim(bottom=0.0)
    return artists


def draw_pair(axes: Any, shown: Shown, i: int, j: int, style: Style) -> Artists:
    """Draw feature i against feature j: samples, contours of the density, ellipses."""
    artists = Artists()
    axes.set_xlim(shown.limits(j))
    axes.set_ylim(shown.limits(i))
    if shown.X is not None and "points" in style.kind:
        artists.points = _scatter(axes, shown, i, j, style.scatter_kw)
    if "density" in style.kind:
        artists.contours = _contours(axes, shown, i, j, style)
    if "ellipses" in style.kind:
        artists.ellipses = _ellipses(axes, shown, i, j, style)
    return artists


def _n_bins(n_samples: int) -> int:
    return min(max(int(np.sqrt(n_samples)), 1), _MOST_BINS)


def _point_size(n_points: int) -> float:
    """Return the area of a marker: smaller where there are many."""
    share = min(_MOST_POINTS_OF_FULL_SIZE / n_points, 1.0)
    return max(_FULL_SIZE * math.sqrt(share), _LEAST_SIZE)


def _normal(x: Array, mean: float, variance: float) -> Array:
    z = (x - mean) / np.sqrt(variance)
    return np.asarray(np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi * variance))


def _scatter(axes: Any, shown: Shown, i: int, j: int, options: dict[str, Any]) -> list[Any]:
    """Draw the samples of each component; in vector formats they are one image."""
    assert shown.X is not None
    assert shown.labels is not None
    collections, size = [], _point_size(len(shown.X))
    for k in np.unique(shown.labels[shown.labels >= 0]):
        X, marker = shown.X[shown.labels == k], marker_style(k)
        own = {
            "s": size,
            "marker": marker["marker"],
            "linewidths": marker["markeredgewidth"],
            "facecolors": marker["markerfacecolor"],
            "edgecolors": marker["markeredgecolor"],
            "alpha": 0.6,
            "zorder": 1,
            "rasterized": True,
        }
        collections.append(axes.scatter(X[:, j], X[:, i], **(own | options)))
    return collections


def _log_density(mixture: MixtureParameters, points: Array) -> Array:
    return np.asarray(log_density(Samples(points), mixture, count_threads(None)))


def _contours(axes: Any, shown: Shown, i: int, j: int, style: Style) -> Any:
    mixture = shown.marginal([j, i])
    (x, y) = (np.linspace(low, high, _GRID) for low, high in (axes.get_xlim(), axes.get_ylim()))
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    levels = np.unique(log_levels(mixture, np.array(style.levels, dtype=np.float64)))
    z = np.maximum(_log_density(mixture, points), levels[0] - _CLIP).reshape(_GRID, _GRID)
    options: dict[str, Any] = {"colors": region_greys(len(levels)), "zorder": 0.5}
    if "cmap" in style.contour_kw:
        del options["colors"]
    return axes.contourf(x, y, z, levels=levels, extend="max", **(options | style.contour_kw))


def _ellipses(axes: Any, shown: Shown, i: int, j: int, style: Style) -> list[Any]:
    from matplotlib.patches import Polygon
    from matplotlib.patheffects import withStroke

    pair, patches = np.array([j, i]), []
    halo = [withStroke(linewidth=3.5, foreground="white")]
    for k in shown.components:
        covariance = shown.covariances[k][np.ix_(pair, pair)]
        points = ellipse(shown.means[k, pair], covariance, style.coverage)
        options = {**line_style(k), "fill": False, "lw": 0.6, "zorder": 2}
        if shown.is_listed(k):
            options |= {"lw": 1.8, "path_effects": halo, "zorder": 3}
        patches.append(axes.add_patch(Polygon(points, closed=True, **(options | style.ellipse_kw))))
    for k in shown.listed:
        box = {"boxstyle": "circle,pad=0.12", "fc": "white", "ec": color(k), "lw": 1.2}
        axes.text(
            *shown.means[k, pair], str(k), ha="center", va="center", fontsize=7.5, color="black",
            weight="bold", bbox=box, zorder=4, clip_on=True,
        )  # fmt: skip
    return patches


def legend_handles(shown: Shown, style: Style) -> list[Any]:
    """Return a handle for each of the heaviest components, for the density and its regions.

    Parameters
    ----------
    shown : Shown
    style : Style
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    n_features = shown.means.shape[1]
    handles: list[Any] = []
    for k in shown.listed[::-1]:
        look = line_style(k) if "ellipses" in style.kind else {"linestyle": "none"}
        if shown.X is not None and "points" in style.kind and n_features > 1:
            look |= marker_style(k)
        handles.append(Line2D([], [], lw=1.8, label=f"{k} ({shown.weights[k]:.1%})", **look))
    if "density" in style.kind and n_features != 2:
        handles.append(Line2D([], [], label="density", **DENSITY_LINE))
    if "density" in style.kind and n_features > 1 and "cmap" not in style.contour_kw:
        levels = sorted(style.levels, reverse=True)
        for level, grey in zip(levels, region_greys(len(levels)), strict=True):
            handles.append(Patch(color=grey, label=f"densest {100 * level:g} %"))
    return handles


def region_greys(n: int) -> list[str]:
    """Return the greys of n regions of high density, from the largest to the densest."""
    return [str(grey) for grey in np.linspace(0.93, 0.72, n).round(3)] if n > 1 else ["0.85"]
