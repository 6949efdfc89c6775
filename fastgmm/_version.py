"""The version: here and nowhere else. A distribution of another build than the default adds +name."""

__version__ = "0.2.0.dev0"
