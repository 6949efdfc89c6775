"""Fitted models in files: saved at once or not at all, loaded without trust or pickle."""

from .files import check_target, replacing
from .models import FORMAT, load, save

__all__ = ["FORMAT", "check_target", "load", "replacing", "save"]
