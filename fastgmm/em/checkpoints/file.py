"""The file of a checkpoint: arrays and a header in JSON, in the archive that models have, too."""

import contextlib
import io
import json
import os
import zipfile
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._versions import __version__
from ...data.archive import Archive, OtherFileError, ShortReads, one_line_errors, write_archive
from ...data.replaced_files import replacing
from ..result import Iteration
from .encoding import Encoded

KIND = "checkpoint"
FORMAT = 1


class StoredRun(NamedTuple):
    """A run of EM as it is stored.

    Parameters
    ----------
    policies : dict of str to str
        What tells them, by role.
    state : Encoded
        After some iterations.
    history : list of Iteration
        Which may have grown since.
    n_iter : int
        How many of them belong to the state.
    """

    policies: dict[str, str]
    state: Encoded
    history: list[Iteration]
    n_iter: int


class Content(NamedTuple):
    """What a checkpoint holds.

    Parameters
    ----------
    fit : dict of str to str
        What tells the fit: its samples and settings.
    stream : Encoded or None
        The state of the random numbers at the beginning, where the fit draws any.
    runs : list of StoredRun
        The runs of EM on all samples, in order. All but the last one have ended.
    """

    fit: dict[str, str]
    stream: Encoded | None
    runs: list[StoredRun]


def write(path: str, content: Content) -> None:
    """Write a checkpoint at once, or not at all.

    Raises
    ------
    ValueError, OSError
        As ``replacing``.
    """
    with replacing(path) as file:
        write_archive(file, _arrays(content))


def check_writable(path: str, content: Content) -> None:
    """Raise what `write` would raise, and write nothing.

    Raises
    ------
    ValueError, OSError
        As ``replacing``.
    """
    with contextlib.suppress(_Discard), replacing(path) as file:
        write_archive(file, _arrays(content))
        raise _Discard


class _Discard(Exception):  # noqa: N818
    """Ends a write before it replaces anything."""


def _arrays(content: Content) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}

    def trees(name: str, encoded: Encoded) -> dict[str, Any]:
        arrays.update({f"{name}.{i}": array for i, array in enumerate(encoded.arrays)})
        return encoded.trees

    header = {
        "format": FORMAT,
        "fastgmm": __version__,
        "fit": content.fit,
        "stream": content.stream and trees("stream", content.stream),
        "runs": [
            {"policies": run.policies, "state": trees(f"run{number}", run.state)}
            for number, run in enumerate(content.runs)
        ],
    }
    for number, run in enumerate(content.runs):
        arrays[f"history{number}"] = np.array(run.history[: run.n_iter], float).reshape(-1, 4)
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    return arrays


def read(path: str) -> Content | None:
    """Read a checkpoint, of which no more is believed than of a model; None if there is no file.

    Raises
    ------
    ValueError
        If the file is no checkpoint, is damaged, or has a newer format.
    OSError
        If it cannot be read.
    """
    if not os.path.isfile(path):  # noqa: PTH113
        return None
    with ShortReads(io.FileIO(path)) as file, one_line_errors(path, KIND):
        if not zipfile.is_zipfile(file):
            found = "a file that is not an .npz archive, or not all of one"
            raise OtherFileError("a checkpoint of fastgmm", found)
        archive = Archive(file)
        if "header" not in archive.names:
            raise OtherFileError("a checkpoint of fastgmm", f"the arrays {archive.names}")
        return _content(archive)


def _content(archive: Archive) -> Content:
    try:
        header = json.loads(bytes(archive.read("header", (None,), "uint8")))
    except ValueError as error:  # that of a model is a text
        raise OtherFileError("a checkpoint of fastgmm", str(error)) from error
    version = header["format"]
    if version != FORMAT:
        written = f"format {version!r}, written by fastgmm {header['fastgmm']}"
        raise OtherFileError(f"a checkpoint of format {FORMAT}", written)

    def encoded(name: str, trees: dict[str, Any]) -> Encoded:
        n_arrays = sum(other.startswith(f"{name}.") for other in archive.names)
        numbers = range(n_arrays)
        return Encoded(
            dict(trees), [archive.read(f"{name}.{i}", (None,), "uint8") for i in numbers]
        )

    runs = []
    for number, run in enumerate(header["runs"]):
        rows = archive.read(f"history{number}", (None, 4), "float64").tolist()
        history = [Iteration(int(row[0]), *row[1:]) for row in rows]
        state = encoded(f"run{number}", run["state"])
        runs.append(StoredRun(dict(run["policies"]), state, history, len(history)))
    stream = header["stream"]
    return Content(dict(header["fit"]), stream and encoded("stream", stream), runs)
