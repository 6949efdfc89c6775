"""Arguments for any kernel of the contract, and the call that takes them.

Nothing of ``fastgmm.benchmark``: commits may differ in that, and the gate compares any two.
"""

import inspect

import numpy as np

from fastgmm import _kernels as kernels
from fastgmm._kernels import contract
from fastgmm._kernels.layout import Components, Moments, second_shape


def identity_factors(covariance_type, d, K):
    """Return the factors of unit precisions."""
    factors = np.zeros(second_shape(covariance_type, K, d))
    factors[...] = np.eye(d) if covariance_type in ("full", "tied") else 1.0
    return factors


def input_values(covariance_type, shape, dtype):
    """Return what makes each input: components so close that all responsibilities count."""
    n, d, K = shape
    rng = np.random.default_rng(0)
    means = 0.05 * rng.standard_normal((K, d))
    return {
        "X": lambda: rng.standard_normal((n, d)).astype(dtype),
        "sample_weight": lambda: np.ones(n),
        "log_coefficients": lambda: np.full(K, -np.log(K)),
        "means": lambda: means,
        "precisions_cholesky": lambda: identity_factors(covariance_type, d, K),
        "resp": lambda: rng.dirichlet(np.ones(K), size=n),
        "centers": lambda: means,
        "log_prob": lambda: rng.normal(scale=3.0, size=(n, K)),
    }


def with_gaps(X):
    """Return X without a tenth of its values; rows with the same gaps are neighbours."""
    gone = np.random.default_rng(1).random(X.shape) < 0.1
    order = np.lexsort(np.packbits(gone, axis=1).T)
    return np.where(gone, X.dtype.type(np.nan), X)[order]


def make_arguments(kernel, covariance_type, shape, dtype):
    """Return a value for each argument that the contract lists; outputs hold zeros."""
    values = input_values(covariance_type, shape, dtype)
    if kernel.endswith("incomplete"):
        samples = values["X"]()
        values["X"] = lambda: with_gaps(samples)
    sizes = {**shape._asdict(), "1": 1}
    arguments = {}
    for argument in contract.KERNELS[kernel].arguments:
        if argument.direction in ("in", "inout"):
            arguments[argument.name] = values[argument.name]()
        elif argument.dimensions == ("*",):
            arguments[argument.name] = np.zeros(second_shape(covariance_type, shape.K, shape.d))
        else:
            dimensions = [sizes[size] for size in argument.dimensions]
            arguments[argument.name] = np.zeros(dimensions, argument.dtypes[0])
    return arguments


def bind(kernel, covariance_type, arguments, n_threads):
    """Return the kernel as a function of nothing."""
    available = {**arguments, "kind": covariance_type, "n_threads": n_threads}
    available["covariance_type"] = covariance_type  # what kind was called in earlier commits
    if "X" in arguments:
        available["float32_blocks"] = arguments["X"].dtype == np.float32
    if "means" in arguments:
        names = ("log_coefficients", "means", "precisions_cholesky")
        available["components"] = Components(covariance_type, *map(arguments.get, names))
    if "nk" in arguments:
        available["sums"] = Moments(*map(arguments.get, ("nk", "first", "second")))
    function = getattr(kernels, kernel)
    names = inspect.signature(function).parameters
    chosen = {name: available[name] for name in names if name in available}
    return lambda: function(**chosen)
