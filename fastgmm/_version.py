"""The version: here and nowhere else. A build that is not the default adds its name."""

__version__ = "0.2.0.dev0"
