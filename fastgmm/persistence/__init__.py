"""Fitted models in files: saved at once or not at all, loaded without trust or pickle."""

from ..data.replaced_files import check_target, replacing
from .content import FORMAT
from .json_text import from_json, to_json
from .models import load, save

__all__ = ["FORMAT", "check_target", "from_json", "load", "replacing", "save", "to_json"]
