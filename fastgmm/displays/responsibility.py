"""ResponsibilityDisplay: which components share samples."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._kernels.layout import Array
from ..data.samples import Samples
from ..model.prediction import responsibilities
from .axes import make_axes
from .subset import random_subset

_ORDERS = ("label", "overlap")
_MOST_VALUES = 12
# Responsibilities that are computed at a time: 8 MB.
_AT_ONCE = 2**20
_DARK = 0.5


class ResponsibilityDisplay:
    r"""A picture of which components share samples. Use `from_estimator` to make one.

    .. math:: M_{kl} = \sum_i s_i r_{ik} r_{il} / \sum_i s_i r_{ik}

    The row of a component says where its samples belong: a cell is the mean responsibility of
    component l for the samples of component k. Rows sum to 1; a mixture whose components share no
    samples has the identity.

    Parameters
    ----------
    shares : ndarray of shape (n_components, n_components)
        M. NaN in the row of a component without samples.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    im_ : matplotlib AxesImage
    text_ : ndarray of shape (n_components, n_components) or None
        The numbers in the cells.
    order_ : ndarray of shape (n_components,)
        The component of each row and column of the picture.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastgmm import GaussianMixture, ResponsibilityDisplay
    >>> X = load_iris().data
    >>> model = GaussianMixture(n_components=3, random_state=0).fit(X)
    >>> display = ResponsibilityDisplay.from_estimator(model, X)  # doctest: +SKIP
    """

    def __init__(self, shares: Array) -> None:
        self.shares = shares

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        sample_weight: Any = None,
        max_samples: int | None = 50_000,
        random_state: int | None = 0,
        ax: Any = None,
        **plot_options: Any,
    ) -> "ResponsibilityDisplay":
        """Draw which components of a fitted mixture share the samples X.

        Parameters
        ----------
        estimator : fitted GaussianMixture, BayesianGaussianMixture or SoftKMeans
        X : array-like or data frame of shape (n_samples, n_features)
        sample_weight : array-like of shape (n_samples,) or number, optional
            Non-negative.
        max_samples : int or None, default=50000
            More samples are replaced by a random subset of this size; None takes all.
        random_state : int or None, default=0
            Seed of the subset.
        ax : matplotlib Axes, optional
            To draw on. Default: those of a new figure.
        **plot_options
            Further parameters of `plot`.

        Returns
        -------
        ResponsibilityDisplay
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
        samples, parameters, n_threads = estimator._checked("from_estimator", X, sample_weight)
        rows, weight = random_subset(samples, max_samples, random_state)
        K = parameters.n_components
        shared, size = np.zeros((K, K)), np.zeros(K)
        step = max(_AT_ONCE // K, 1)
        for start in range(0, len(rows), step):
            block = slice(start, start + step)
            some = Samples(rows[block], with_missing=samples.with_missing)
            resp = responsibilities(some, parameters, n_threads)
            shared += (weight[block, np.newaxis] * resp).T @ resp
            size += weight[block] @ resp
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = shared / size[:, np.newaxis]
        return cls(shares).plot(ax, **plot_options)

    def plot(
        self,
        ax: Any = None,
        *,
        order: str = "label",
        include_values: bool | None = None,
        values_format: str = ".0%",
        cmap: str = "Greys",
        colorbar: bool = True,
        im_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
    ) -> "ResponsibilityDisplay":
        """Draw the picture.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            To draw on. Default: those of a new figure.
        order : {'label', 'overlap'}, default='label'
            Of the components. ``overlap`` puts those that share samples next to one another, by
            average linkage.
        include_values : bool, optional
            Whether to write the shares into the cells, but those that round to 0. Default: up to
            12 components.
        values_format : str, default='.0%'
            Of these.
        cmap : str, default='Greys'
            Colour map.
        colorbar : bool, default=True
            Whether to draw the scale.
        im_kw, text_kw : dict, optional
            For ``Axes.imshow`` and ``Axes.text``.

        Returns
        -------
        ResponsibilityDisplay
            self.

        Raises
        ------
        ValueError
            If the order is not one of these.
        ImportError
            If Matplotlib is not installed.
        """
        if order not in _ORDERS:
            raise ValueError(f"order should be one of {', '.join(_ORDERS)}, got {order!r}.")
        K = len(self.shares)
        self.ax_ = make_axes(self, ax)
        self.figure_ = self.ax_.figure
        self.order_ = np.arange(K, dtype=np.int64) if order == "label" else _by_overlap(self.shares)
        from matplotlib.colors import PowerNorm

        cells = self.shares[np.ix_(self.order_, self.order_)]
        # a share of 5 % is to be seen: grey grows with the square root
        options = {"cmap": cmap, "norm": PowerNorm(0.5, 0.0, 1.0), "interpolation": "nearest"}
        self.im_ = self.ax_.imshow(cells, **(options | (im_kw or {})))
        self.text_: NDArray[Any] | None = None
        if K <= _MOST_VALUES if include_values is None else include_values:
            self.text_ = self._write(cells, values_format, text_kw or {})
        self._label(K)
        if colorbar:
            label = "mean responsibility"
            self.figure_.colorbar(self.im_, ax=self.ax_, label=label, format="{x:.0%}")
        return self

    def _write(self, cells: Array, values_format: str, text_kw: dict[str, Any]) -> NDArray[Any]:
        texts = np.empty(cells.shape, dtype=object)
        for (i, j), share in np.ndenumerate(cells):
            text = format(share, values_format) if np.isfinite(share) else "–"
            text = "" if text == format(0.0, values_format) else text
            is_dark = self.im_.norm(share) > _DARK if np.isfinite(share) else False
            own = {"ha": "center", "va": "center", "fontsize": 9}
            own |= {"color": "white" if is_dark else "black"}
            texts[i, j] = self.ax_.text(j, i, text, **(own | text_kw))
        return texts

    def _label(self, K: int) -> None:
        if K <= 2 * _MOST_VALUES:
            self.ax_.set_xticks(range(K), map(str, self.order_))
            self.ax_.set_yticks(range(K), map(str, self.order_))
        else:
            self._label_some(K)
        self.ax_.set_xlabel("component that shares them")
        self.ax_.set_ylabel("samples of component")

    def _label_some(self, K: int) -> None:
        places = range(0, K, -(-K // _MOST_VALUES))
        labels = [str(self.order_[place]) for place in places]
        self.ax_.set_xticks(places, labels)
        self.ax_.set_yticks(places, labels)


def _by_overlap(shares: Array) -> NDArray[np.int64]:
    """Return the components so that those which share samples are neighbours."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    if len(shares) < 3:
        return np.arange(len(shares), dtype=np.int64)
    overlap = np.nan_to_num(shares + shares.T) / 2.0
    distances = 1.0 - np.clip(overlap, 0.0, 1.0)
    np.fill_diagonal(distances, 0.0)
    return np.asarray(leaves_list(linkage(squareform(distances), "average")), dtype=np.int64)
