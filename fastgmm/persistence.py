"""Fitted models in .npz files, without pickle.

A model's file holds the fitted arrays, and a ``header``: one JSON string with the format version,
the class, the constructor parameters and the scalar attributes.
"""

import json
import os
import secrets
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ._versions import __version__
from .data.containers import to_array
from .em.result import Iteration
from .estimators import BayesianGaussianMixture, GaussianMixture
from .estimators._fitting import IteratedMixture
from .model.covariance import get_covariance_model

FORMAT = 1

_Path = str | os.PathLike[str]


class _Layout(NamedTuple):
    """The attributes of an estimator that are stored."""

    estimator: type[IteratedMixture]
    parameters: tuple[str, ...]
    scalars: tuple[str, ...]
    arrays: tuple[str, ...]


_PARAMETERS = (
    *("n_components", "covariance_type", "tol", "reg_covar", "max_iter", "n_init"),
    *("init_params", "random_state", "warm_start", "verbose", "verbose_interval", "n_jobs"),
)
_SCALARS = ("n_features_in_", "converged_", "n_iter_", "lower_bound_")
_SAMPLES_DTYPES = {name: np.dtype(name) for name in ("float32", "float64")}
_ARRAYS = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")

_LAYOUTS = {
    "GaussianMixture": _Layout(
        GaussianMixture, (*_PARAMETERS, "acceleration", "stop_rule"), _SCALARS, _ARRAYS
    ),
    "BayesianGaussianMixture": _Layout(
        BayesianGaussianMixture,
        parameters=(
            *_PARAMETERS,
            *("weight_concentration_prior_type", "weight_concentration_prior", "mean_prior"),
            *("mean_precision_prior", "degrees_of_freedom_prior", "covariance_prior"),
        ),
        scalars=(
            *_SCALARS,
            *("weight_concentration_prior_", "mean_precision_prior_", "degrees_of_freedom_prior_"),
        ),
        arrays=(
            *_ARRAYS,
            *("weight_concentration_", "mean_precision_", "degrees_of_freedom_"),
            *("mean_prior_", "covariance_prior_"),
        ),
    ),
}


def save(model: IteratedMixture, path: _Path) -> None:
    """Write a fitted model to a file, replacing the file only once all is written.

    Starting values (``weights_init`` ...) are not stored, and ``random_state`` only where it is an
    integer. Priors that are arrays are loaded as lists.

    Parameters
    ----------
    model : GaussianMixture or BayesianGaussianMixture
    path : str or path
        Taken as it is: no suffix is added.

    Raises
    ------
    NotFittedError
        If ``fit`` has not been called, or attributes were set by hand.
    TypeError
        If the model is not an estimator that this version can store.
    ValueError
        If there is no such folder, it is read-only, or the path is that of a folder or device.
    OSError
        If the file cannot be written; an older file of that name is then unchanged.

    See Also
    --------
    load
    """
    name = type(model).__name__
    if name not in _LAYOUTS or type(model) is not _LAYOUTS[name].estimator:
        raise TypeError(f"model should be a fitted {_names()}, got {type(model).__name__}.")
    check_is_fitted(model)
    layout = _LAYOUTS[name]
    by_hand = "Attributes of this %(name)s were set by hand: use fit or from_parameters."
    check_is_fitted(model, [*layout.scalars, *layout.arrays], msg=by_hand)
    arrays: dict[str, Any] = {key: _stored(getattr(model, key), key) for key in layout.arrays}
    mixture = model._mixture()  # with factors of its covariances, also where these were edited
    arrays |= {key: getattr(mixture, key.rstrip("_")) for key in _ARRAYS}
    arrays["history_"] = np.array(model.history_, dtype=np.float64).reshape(-1, 4)
    if hasattr(model, "feature_names_in_"):
        arrays["feature_names_in_"] = np.asarray(model.feature_names_in_, dtype=np.str_)
    header = json.dumps(_header(model, name, layout), default=_plain)
    with replacing(path) as file:
        np.savez(file, header=np.array(header), **arrays)


def load(path: _Path) -> Any:
    """Read a model that ``save`` wrote. Nothing in the file is executed.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    GaussianMixture or BayesianGaussianMixture
        Fitted; its predictions are those of the saved model, bit for bit.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a model of fastgmm, is damaged, or has a newer format.

    See Also
    --------
    save
    """
    arrays = _read(path)
    header = _parse_header(path, arrays.pop("header"))
    layout = _LAYOUTS[header["class"]]
    try:
        model = layout.estimator(**{key: header["parameters"][key] for key in layout.parameters})
        model._validate_params()
        for key in layout.scalars:
            setattr(model, key, header["scalars"][key])
        for key in layout.arrays:
            setattr(model, key, _restored(key, arrays[key]))
        model._samples_dtype = _SAMPLES_DTYPES[header.get("samples_dtype", "float64")]
        model.history_ = [Iteration(int(row[0]), *row[1:]) for row in arrays["history_"].tolist()]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{os.fspath(path)}: damaged model file, found {error!r}.") from error
    model.lower_bounds_ = [iteration.lower_bound for iteration in model.history_]
    model.collapsed_ = {int(k): int(number) for k, number in header.get("collapsed", [])}
    if "feature_names_in_" in arrays:
        model.feature_names_in_ = arrays["feature_names_in_"].astype(object)
    _check_shapes(path, model)
    model._remember()
    return model


@contextmanager
def replacing(path: _Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside ``path``, and move it there if all goes well.

    Raises
    ------
    ValueError
        If there is no such folder, it is read-only, or the path is that of a folder or device.
    OSError
        If the file cannot be written.
    """
    check_target(path)
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def check_target(path: _Path) -> None:
    """Raise where ``replacing`` could not write.

    Raises
    ------
    ValueError
        If there is no such folder, it is read-only, or the path is that of a folder or device.
    """
    target = Path(os.path.realpath(path))
    name = os.fspath(path)
    if not target.parent.is_dir():
        raise ValueError(f"{name}: expected a file in a folder that exists, got {target.parent}.")
    if not os.access(target.parent, os.W_OK):
        raise ValueError(f"{name}: expected a folder that is writable, got {target.parent}.")
    if target.exists() and not target.is_file():
        raise ValueError(f"{name}: expected the name of a file, got a folder or a device.")


def _names() -> str:
    return " or ".join(_LAYOUTS)


def _header(model: Any, name: str, layout: _Layout) -> dict[str, Any]:
    parameters = {key: getattr(model, key) for key in layout.parameters}
    seed = parameters["random_state"]
    parameters["random_state"] = seed if isinstance(seed, Integral) else None
    return {
        "format": FORMAT,
        "class": name,
        "fastgmm": __version__,
        "parameters": parameters,
        "scalars": {key: getattr(model, key) for key in layout.scalars},
        "collapsed": list(model.collapsed_.items()),
        "samples_dtype": model._samples_dtype.name,
    }


def _plain(value: Any) -> Any:
    """Turn NumPy's scalars and arrays into Python's own."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"expected a number, a string or None, got {value!r}.")


def _stored(value: Any, key: str) -> NDArray[Any]:
    """Return an attribute as an array of NumPy, whatever library it is of."""
    parts = [to_array(part, key) for part in (value if isinstance(value, tuple) else [value])]
    return np.asarray(parts) if isinstance(value, tuple) else parts[0]


def _restored(key: str, array: NDArray[Any]) -> Any:
    """Return an attribute as the estimator has it: a pair as a tuple, a number as a number."""
    return tuple(array) if key == "weight_concentration_" and array.ndim == 2 else array[()]


def _read(path: _Path) -> dict[str, NDArray[Any]]:
    """Return all arrays of a file that has a header."""
    with Path(path).open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(
                f"{os.fspath(path)}: expected a model saved by fastgmm, found a file that is not "
                "an .npz archive, or not all of one."
            )
        file.seek(0)
        try:
            arrays = dict(np.load(file, allow_pickle=False))
        except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
            reason = str(error).partition("\n")[0]
            raise ValueError(f"{os.fspath(path)}: damaged file, found {reason!r}.") from error
    if "header" not in arrays:
        raise ValueError(
            f"{os.fspath(path)}: expected a model saved by fastgmm, found the arrays "
            f"{', '.join(sorted(arrays)) or '(none)'} and no header."
        )
    return arrays


def _parse_header(path: _Path, text: NDArray[Any]) -> dict[str, Any]:
    try:
        header = json.loads(str(text))
        version, name = header["format"], header["class"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{os.fspath(path)}: expected a model saved by fastgmm, found the header "
            f"{str(text)[:60]!r}."
        ) from error
    if not isinstance(version, int) or not 1 <= version <= FORMAT:
        raise ValueError(
            f"{os.fspath(path)}: expected format {FORMAT}, found format {version!r}, written by "
            f"fastgmm {header.get('fastgmm')}. This is fastgmm {__version__}."
        )
    if name not in _LAYOUTS:
        raise ValueError(f"{os.fspath(path)}: expected a {_names()}, found class {name!r}.")
    return dict(header)


def _check_shapes(path: _Path, model: Any) -> None:
    K, d = model.n_components, model.n_features_in_
    covariance_model = get_covariance_model(model.covariance_type)
    shape = covariance_model.shape(K, d)
    is_process = getattr(model, "weight_concentration_prior_type", "") == "dirichlet_process"
    expected = {
        "weights_": (K,),
        "means_": (K, d),
        **dict.fromkeys(("covariances_", "precisions_", "precisions_cholesky_"), shape),
        "feature_names_in_": (d,),
        "weight_concentration_": (2, K) if is_process else (K,),
        "mean_precision_": (K,),
        "degrees_of_freedom_": (K,) if covariance_model.per_component else (),
        "mean_prior_": (d,),
        "covariance_prior_": shape[1:] if covariance_model.per_component else shape,
    }
    for key, want in expected.items():
        if not hasattr(model, key):
            continue
        array = np.asarray(getattr(model, key))
        if array.shape != want or array.dtype not in (np.float64, object):
            raise ValueError(
                f"{os.fspath(path)}: damaged model file, expected {key} of shape {want} and "
                f"float64, found {array.shape} and {array.dtype}."
            )
