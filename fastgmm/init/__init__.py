"""Floor 3: starting points."""

from .starting_points import INIT_PARAMS, initial_parameters

__all__ = ["INIT_PARAMS", "initial_parameters"]
