"""Whether arguments belong together: no index is tested further in."""

from ..._kernels._numba.jit import step


@step
def check_workspace(model, workspace):
    """Raise an error if a workspace is for models of another size."""
    if workspace.n_components != model.n_components or workspace.n_features != model.n_features:
        raise ValueError("workspace should be one that new_workspace returned for this model")


@step
def check_statistics(model, statistics):
    """Raise an error if statistics are of a model of another size."""
    if statistics.sums.size != model.n_sums:
        raise ValueError("statistics should be those that new_statistics returned for this model")


@step
def check_out(model, out):
    """Raise an error if there is not one number for each component."""
    if out.size != model.n_components:
        raise ValueError("out should hold as many numbers as the model has components")


@step
def check_table(model, out):
    """Raise an error if there is not one column for each component."""
    if out.shape[1] != model.n_components:
        raise ValueError("out should have as many columns as the model has components")


@step
def check_block(model, X, n_rows, workspace):
    """Raise an error if a block has another shape, or the workspace is not for it."""
    if X.shape[1] != model.n_features:
        raise ValueError("X should have as many columns as the model has features")
    if X.shape[0] != n_rows:
        raise ValueError("outputs and weights should have as many rows as X")
    check_workspace(model, workspace)
    if workspace.block.size == 0:
        raise ValueError("workspace is for one point; new_workspace(model) returns one for blocks")
