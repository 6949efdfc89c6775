"""Checkpoints: what a fit keeps in a file, and how it goes on from there."""
