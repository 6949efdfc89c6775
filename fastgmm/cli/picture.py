"""A picture in a file."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .output_file import writing

_DPI = 150


@contextmanager
def drawing(output: str) -> Iterator[Any]:
    """Yield axes to draw on, whose figure is then written.

    Parameters
    ----------
    output : str
        Its suffix is the format.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    from matplotlib.figure import Figure

    from ..displays import PANEL_SIZE

    figure = Figure(figsize=PANEL_SIZE, layout="constrained")
    yield figure.subplots()
    with writing(output):
        figure.savefig(output, dpi=_DPI)
