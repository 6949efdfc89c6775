"""E steps: how the posterior over components is formed and summed up."""
