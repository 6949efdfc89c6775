"""Axes to draw on, and the check that there is Matplotlib."""

from typing import Any

#: Width and height of a picture of one panel, in inches.
PANEL_SIZE = (6.0, 4.2)


def check_matplotlib(caller: str) -> None:
    """Raise where there is no Matplotlib.

    Parameters
    ----------
    caller : str
        What needs it, for the message.

    Raises
    ------
    ImportError
        If it cannot be imported.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise ImportError(f"{caller} needs matplotlib: pip install 'fastgmm[plot]'") from error


def make_axes(display: object, ax: Any, size: tuple[float, float] = PANEL_SIZE) -> Any:
    """Return axes to draw on: those that are given, or those of a new figure.

    Parameters
    ----------
    display : object
        That draws, for the message.
    ax : matplotlib Axes or None
    size : (float, float), optional
        Of a new figure, in inches.

    Raises
    ------
    ImportError
        If there is no Matplotlib.
    """
    check_matplotlib(f"{type(display).__name__}.plot")
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(figsize=size, layout="constrained")
    return ax
