"""Mixtures as values for compiled code: flat tuples of arrays, a type for each covariance type.

Flat, because Numba's parallel loops take no tuples within tuples.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..._kernels import layout
from ..._kernels._numba.jit import by_type, part
from ..._kernels.layout import Array, statistics_size
from ..mixture import lay_out


class Model(NamedTuple):
    """A mixture, ready for compiled code: arrays of float64 that are only read.

    Each covariance type has two types of its own: for one or two features, and for more. A function
    that takes a model is compiled anew for each type, but not for each size.
    The fields but for ``n_components``, ``n_features`` and ``means`` are a layout that may change.
    """

    n_components: int
    n_features: int
    means: Array  # (K, d): what statistics are about
    # as the kernels for blocks read it: see layout.Packed
    origin: Array
    coefficients: Array
    factors: Array
    shifts: Array
    squares: Array
    whitener: Array
    centers: Array
    leading: int
    # what takes the place of two of these to give the distances alone
    zeros: Array
    distance_shifts: Array
    # for one point at a time: see point_layout.py
    point_parameters: Array
    # how many numbers the sums of statistics take
    n_sums: int


class ModelFull(Model):
    """A mixture of full covariances."""

    __slots__ = ()


class ModelTied(Model):
    """A mixture of tied covariances."""

    __slots__ = ()


class ModelDiag(Model):
    """A mixture of diagonal covariances."""

    __slots__ = ()


class ModelSpherical(Model):
    """A mixture of spherical covariances."""

    __slots__ = ()


class ModelTiedSpherical(ModelSpherical):
    """A mixture of one variance for all components."""

    __slots__ = ()


class ModelFullPlane(ModelFull):
    """The same with one or two features."""

    __slots__ = ()


class ModelTiedPlane(ModelTied):
    """The same with one or two features."""

    __slots__ = ()


class ModelDiagPlane(ModelDiag):
    """The same with one or two features."""

    __slots__ = ()


class ModelSphericalPlane(ModelSpherical):
    """The same with one or two features."""

    __slots__ = ()


class ModelTiedSphericalPlane(ModelTiedSpherical):
    """The same with one or two features."""

    __slots__ = ()


#: By covariance type and layout.
_MODELS: dict[tuple[str, type[layout.Packed]], type[Model]] = {
    ("full", layout.PackedFull): ModelFull,
    ("tied", layout.PackedTied): ModelTied,
    ("diag", layout.PackedDiag): ModelDiag,
    ("spherical", layout.PackedSpherical): ModelSpherical,
    ("tied-spherical", layout.PackedSpherical): ModelTiedSpherical,
    ("full", layout.PackedFullPlane): ModelFullPlane,
    ("tied", layout.PackedTiedPlane): ModelTiedPlane,
    ("diag", layout.PackedDiagPlane): ModelDiagPlane,
    ("spherical", layout.PackedSphericalPlane): ModelSphericalPlane,
    ("tied-spherical", layout.PackedSphericalPlane): ModelTiedSphericalPlane,
}


def covariance_type_of(model: Model) -> str:
    """Return 'full', 'tied', 'diag', 'spherical' or 'tied-spherical'.

    Parameters
    ----------
    model : Model

    Returns
    -------
    str
    """
    return next(name for (name, _), kind in _MODELS.items() if type(model) is kind)


def by_model_type(
    *,
    full: Callable[..., Any],
    tied: Callable[..., Any],
    diag: Callable[..., Any],
    spherical: Callable[..., Any],
) -> Any:
    """Return a function that is one of these, by the type of its first argument, a model."""
    functions = {ModelFull: full, ModelTied: tied, ModelDiag: diag, ModelSpherical: spherical}
    return by_type(lambda cls: next(f for kind, f in functions.items() if issubclass(cls, kind)))


def _packer(packed_type: type[layout.Packed]) -> Any:
    @part
    def packer(model, coefficients, shifts):
        return packed_type(
            model.n_components, model.n_features, model.origin, coefficients, model.factors,
            shifts, model.squares, model.whitener, model.centers, model.leading,
            0.0, -np.inf, 0.0, np.inf,
        )  # fmt: skip

    return packer


_PACKERS = {model: _packer(packed) for (_, packed), model in _MODELS.items()}

#: Return a model as the kernels for blocks take it, with these coefficients and shifts.
packed_of = by_type(_PACKERS.__getitem__)


def to_numba(mixture: Any) -> Model:
    """Return a mixture as a value that compiled code can take.

    Parameters
    ----------
    mixture : GaussianMixture, BayesianGaussianMixture, SoftKMeans or MixtureParameters
        A fitted estimator, one of known parameters, or one loaded from a file; it has a method of
        the same name. Or parameters, as an M step returns them.

    Returns
    -------
    Model
        For the functions of `fastgmm.embed.numba`, called from Python or from ``@njit`` code.

    Raises
    ------
    TypeError
        If the argument is no mixture.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    ValueError
        If a parameter is not finite, or a mean too far away for the range of float64.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.embed.numba import log_density, new_workspace, to_numba
    >>> mixture = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [4.0]], [[1.0], [1.0]])
    >>> model = to_numba(mixture)
    >>> round(log_density(model, np.array([0.0]), new_workspace(model)), 6)
    -1.61175
    """
    laid_out = lay_out(mixture)
    packed = laid_out.packed
    K, d = laid_out.means.shape
    covariances = laid_out.covariance_model
    # a model of the user's own is known by its kernel
    kernel_model = _MODELS[covariances.kernel_kind, type(packed)]
    return _MODELS.get((covariances.name, type(packed)), kernel_model)(
        n_components=K,
        n_features=d,
        means=laid_out.means,
        origin=packed.origin,
        coefficients=laid_out.points.coefficients,
        factors=packed.factors,
        shifts=packed.shifts,
        squares=packed.squares,
        whitener=packed.whitener,
        centers=packed.centers,
        leading=packed.leading,
        zeros=np.zeros_like(laid_out.points.coefficients),
        distance_shifts=laid_out.distance_shifts,
        point_parameters=laid_out.points.parameters,
        n_sums=statistics_size(packed.kind, K, d) + 1,
    )
