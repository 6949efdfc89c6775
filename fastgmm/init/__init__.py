"""Starting points, and the search for better ones."""

from .api import starting_parameters
from .centers import initial_centers
from .given import is_given
from .moves import split_components, splits
from .seeding import seeding_subsample
from .split_merge import SplitMerge
from .starting_points import (
    INIT_PARAMS,
    draw_parameters,
    draw_posterior,
    initial_parameters,
    initial_posterior,
    initial_statistics,
)

__all__ = [
    "INIT_PARAMS",
    "SplitMerge",
    "draw_parameters",
    "draw_posterior",
    "initial_centers",
    "initial_parameters",
    "initial_posterior",
    "initial_statistics",
    "is_given",
    "seeding_subsample",
    "split_components",
    "splits",
    "starting_parameters",
]
