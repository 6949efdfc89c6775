"""Samples: a table with weights that kernels read block by block, and built-in tables."""
