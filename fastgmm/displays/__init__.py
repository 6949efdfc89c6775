"""Pictures of fitted mixtures, in scikit-learn's convention of displays.

``from_estimator`` computes what is shown and draws it. ``plot`` draws it again, with other options
or on other axes, and keeps the artists as attributes. Matplotlib is loaded for a drawing alone.
"""

from .axes import PANEL_SIZE
from .convergence import ConvergenceDisplay
from .mixture import GaussianMixtureDisplay
from .responsibility import ResponsibilityDisplay
from .selection import SelectionDisplay

__all__ = [
    "PANEL_SIZE",
    "ConvergenceDisplay",
    "GaussianMixtureDisplay",
    "ResponsibilityDisplay",
    "SelectionDisplay",
]
