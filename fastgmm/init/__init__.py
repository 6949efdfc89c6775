"""Starting points, and the search for better ones."""

from .api import starting_parameters
from .automatic import in_order, scaled_seeds
from .centers import initial_centers
from .given import is_given
from .seeding import Seeds, subsample
from .split_merge import SplitMerge
from .splits import split_components, splits
from .starting_points import (
    INIT_PARAMS,
    draw_parameters,
    draw_posterior,
    initial_parameters,
    initial_posterior,
    initial_statistics,
    parameters_from_seeds,
)

__all__ = [
    "INIT_PARAMS",
    "Seeds",
    "SplitMerge",
    "draw_parameters",
    "draw_posterior",
    "in_order",
    "initial_centers",
    "initial_parameters",
    "initial_posterior",
    "initial_statistics",
    "is_given",
    "parameters_from_seeds",
    "scaled_seeds",
    "split_components",
    "splits",
    "starting_parameters",
    "subsample",
]
