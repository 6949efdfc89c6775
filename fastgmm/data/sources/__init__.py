"""Sources: samples that are read part by part, as often as a fit needs, and never all at once."""

from .array_files import ArrayFiles
from .arrow import Arrow
from .base import Part, Source
from .batches import Batches
from .opening import open_source
from .parquet import Parquet
from .zarr import Zarr

__all__ = ["ArrayFiles", "Arrow", "Batches", "Parquet", "Part", "Source", "Zarr", "open_source"]
