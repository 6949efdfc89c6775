"""The version, here alone; a distribution of another build than the default adds its name."""

__version__ = "0.2.0.dev0"
