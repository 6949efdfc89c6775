"""Fitted models in .npz files, without pickle.

A model's file holds the fitted arrays, and a ``header``: one JSON string with the format version,
the class, the constructor parameters and the scalar attributes.
"""

import io
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..data.archive import (
    Archive,
    OtherFileError,
    ShortReads,
    one_line_errors,
    write_archive,
)
from ..data.replaced_files import PathLike, replacing
from .content import check_optional, parse, restore, to_content
from .json_text import from_text, is_json
from .layouts import ArrayField

if TYPE_CHECKING:
    from ..estimators._mixture import FittedMixture

# The header holds priors, which may be matrices. Their digits take up to 13 times the bytes of the
# numbers, which are stored as well.
_LARGEST_HEADER = 2**20
_HEADER_PER_BYTE = 16


def save(model: "FittedMixture", path: PathLike) -> None:
    """Write a fitted model to a file, replacing the file only once all is written.

    A file that is replaced keeps its permissions. Starting values (``weights_init``,
    ``means_init``, ``precisions_init``, an array as ``init``, an array or function as
    ``init_params``) and the record of other starts (``restarts_``) are not stored, and
    ``random_state`` only where it is an integer. Priors that are arrays are loaded as lists.

    Parameters
    ----------
    model : GaussianMixture, BayesianGaussianMixture or SoftKMeans
    path : str or path
        Taken as it is: no suffix is added.

    Raises
    ------
    NotFittedError
        If ``fit`` has not been called, or attributes were set by hand.
    TypeError
        If the model is not an estimator that this version can store.
    ValueError
        If the attributes do not belong together, so that ``load`` would refuse the file. If there
        is no such folder, it is read-only, or the path is that of a folder or device.
    OSError
        If the file cannot be written; an older file of that name is then unchanged.

    See Also
    --------
    load
    to_json : as readable text.
    """
    header, arrays = to_content(model, "saved")
    with replacing(path) as file:
        write_archive(file, {"header": np.array(header), **arrays})


def load(path: PathLike) -> Any:
    """Read a model that ``save`` or ``to_json`` wrote.

    Nothing in the file is executed, or used unchecked. Sizes are checked before anything is read,
    and all values before the model is made, so that a damaged file costs no more memory than the
    model that it should hold.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    GaussianMixture, BayesianGaussianMixture or SoftKMeans
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
    name = os.fspath(path)
    if Path(path).exists() and not (Path(path).is_file() or Path(path).is_dir()):
        raise ValueError(f"{name}: expected a model saved by fastgmm, found a device.")
    with ShortReads(io.FileIO(name)) as file, one_line_errors(name, "model file"):
        if not zipfile.is_zipfile(file):
            file.seek(0)
            if is_json(file.read()):
                return from_text(Path(path).read_bytes())
            raise OtherFileError(
                "a model saved by fastgmm", "a file that is not an .npz archive, or not all of one"
            )
        archive = Archive(file)
        header = _read_header(archive)
        return restore(header, lambda key, field: _read(archive, key, field))


def _read_header(archive: Archive) -> dict[str, Any]:
    names = archive.names
    if "header" not in names:
        raise OtherFileError(
            "a model saved by fastgmm", f"the arrays {', '.join(names) or '(none)'} and no header"
        )
    others = archive.n_bytes(name for name in names if name != "header")
    text = archive.read("header", (), "str", _LARGEST_HEADER + _HEADER_PER_BYTE * others)
    return parse(str(text))


def _read(archive: Archive, name: str, field: ArrayField) -> NDArray[Any] | None:
    if name not in archive.names:
        check_optional(name, field)
        return None
    return archive.read(name, field.shape, field.dtype, field.largest)
