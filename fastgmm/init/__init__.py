"""Starting points, and the search for better ones."""

from .api import starting_parameters
from .automatic import ScaledSeeding, in_order
from .centers import initial_centers
from .given import is_given
from .many_moves import ManySplitMerge
from .many_splits import splits_of_many
from .seed_statistics import statistics_of_seeds
from .seeding import Seeds, float64_rows, subsample, tree_seeds
from .split_merge import SplitMerge
from .splits import Split, split_components, splits
from .starting_points import (
    INIT_PARAMS,
    draw_parameters,
    initial_parameters,
    initial_statistics,
    parameters_from_seeds,
    parameters_from_statistics,
)
from .starting_posteriors import draw_posterior, initial_posterior

__all__ = [
    "INIT_PARAMS",
    "ManySplitMerge",
    "ScaledSeeding",
    "Seeds",
    "Split",
    "SplitMerge",
    "draw_parameters",
    "draw_posterior",
    "float64_rows",
    "in_order",
    "initial_centers",
    "initial_parameters",
    "initial_posterior",
    "initial_statistics",
    "is_given",
    "parameters_from_seeds",
    "parameters_from_statistics",
    "split_components",
    "splits",
    "splits_of_many",
    "starting_parameters",
    "statistics_of_seeds",
    "subsample",
    "tree_seeds",
]
