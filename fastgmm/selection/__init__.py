"""Choosing the number of components and the covariance type."""

from .api import select
from .table import Candidate, Selection

__all__ = ["Candidate", "Selection", "select"]
