"""The mixture and its statistics as values, and the algebra of size K x d and K x d x d."""
