"""How components and curves look: told apart by shape and line, and not by colour alone.

The colours are those of Okabe and Ito (2008), which colour-blind readers tell apart, without the
yellow that is too light on white. In greyscale some of them agree, so markers, fillings, line
styles and numbers say the same.
"""

from typing import Any

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#404040")
MARKERS = ("o", "^", "s", "v", "D", "P", "X", "*")
LINES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)))
GREY = "#555555"


def color(k: int) -> str:
    """Return the colour of component or curve k."""
    return COLORS[k % len(COLORS)]


def line_style(k: int) -> dict[str, Any]:
    """Return colour and line style of component or curve k, for ``Axes.plot`` and patches."""
    return {"color": color(k), "linestyle": LINES[k % len(LINES)]}


def marker_style(k: int) -> dict[str, Any]:
    """Return marker, colour and filling of component k, for ``Line2D``; odd ones are hollow."""
    face = color(k) if k % 2 == 0 else "none"
    return {
        "marker": MARKERS[k % len(MARKERS)],
        "markerfacecolor": face,
        "markeredgecolor": color(k),
        "markeredgewidth": 0.7,
    }
