"""Starting points, and the search for better ones."""

from .api import starting_parameters
from .split_merge import SplitMerge
from .starting_points import (
    INIT_PARAMS,
    initial_parameters,
    initial_posterior,
    initial_statistics,
    seeding_subsample,
)

__all__ = [
    "INIT_PARAMS",
    "SplitMerge",
    "initial_parameters",
    "initial_posterior",
    "initial_statistics",
    "seeding_subsample",
    "starting_parameters",
]
