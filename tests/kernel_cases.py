"""Arguments for every kernel of the contract, and how two results are compared."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from generators import KERNEL_KINDS, draw, mixture, sample_weights

from fastgmm._kernels import reference
from fastgmm._kernels.contract import KERNELS
from fastgmm._kernels.layout import Components, Moments, second_shape
from fastgmm._kernels.threads import slot_bounds

KERNELS_WITH_X = [name for name in KERNELS if name != "normalize"]
KERNELS_AND_TYPES = [
    *[(name, covariance_type) for name in KERNELS_WITH_X for covariance_type in KERNEL_KINDS],
    ("normalize", "full"),  # knows of no covariances
]

EDGES = sorted({int(edge) + i for edge in slot_bounds(5000)[1:-1] for i in (-1, 0, 1)})
SHAPES = [
    *[(n, 3, 5) for n in (1, 2, 255, 256, 257, 1023, 1024, 1025, 2047, 2048, 2049, 5000, *EDGES)],
    *[(300, d, 5) for d in (1, 2, 4, 5, 7, 8, 9, 16, 17, 33)],
    *[(300, 5, K) for K in (1, 2, 3, 4, 8, 9, 33)],
    *[(257, d, K) for d in (1, 3, 8) for K in (1, 4, 9)],
    *[(260, 33, 33), (1, 33, 33), (2, 1, 33), (5, 9, 33), (3, 4, 8)],
    (131_073, 1, 2),  # the largest number of slots, and a last slot that is not full
    (90, 65, 2),
    (600, 17, 120),  # the waiting room is smaller than a block
    (270, 9, 3000),  # and as small as it gets
]


def values(
    kernel: str,
    covariance_type: str,
    n: int,
    d: int,
    K: int,
    *,
    dtype: str = "float64",
    scenario: str = "touching",
) -> dict[str, Any]:
    """Return a value for each argument of a kernel; outputs hold what must vanish or remain."""
    rng = np.random.default_rng([n, d, K])
    parameters = mixture(covariance_type, K, d, scenario=scenario)
    components = parameters.components()
    inputs: dict[str, Callable[[], Any]] = {
        "X": lambda: with_gaps(draw(parameters, n, dtype), kernel),
        "sample_weight": lambda: sample_weights(n),
        "log_coefficients": lambda: components.log_coefficients,
        "means": lambda: components.means,
        "precisions_cholesky": lambda: components.precisions_cholesky,
        "resp": lambda: rng.dirichlet(np.full(K, 0.3), size=n) * (rng.random((n, K)) > 0.4),
        "centers": lambda: components.means,
        "log_prob": lambda: rng.normal(scale=10.0, size=(n, K)),
    }
    sizes = {"n": n, "d": d, "K": K, "1": 1}
    chosen = {}
    for argument in KERNELS[kernel].arguments:
        shape = tuple(sizes[size] for size in argument.dimensions if size != "*")
        if argument.dimensions == ("*",):
            shape = second_shape(covariance_type, K, d)
        if argument.direction in ("in", "inout"):
            value = chosen[argument.name] = inputs[argument.name]()
            assert value.shape == shape
            assert value.dtype in argument.dtypes
        elif argument.direction == "add":
            chosen[argument.name] = rng.normal(size=shape)
        else:
            (name,) = argument.dtypes
            chosen[argument.name] = np.full(shape, -1 if name == "int64" else np.nan, name)
    return chosen


def shape_for(kernel: str, shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return a shape of fewer rows where the reference inverts K matrices for almost each row."""
    n, d, K = shape
    return (-(-n // 8), d, K) if kernel.endswith("incomplete") and (d > 4 or K > 100) else shape


def dtypes_of(kernel: str, shape: tuple[int, int, int]) -> tuple[str, ...]:
    """Return the types of X: one where the kernel knows one, or there are many components."""
    return ("float64",) if kernel == "normalize" or shape[2] >= 1000 else ("float64", "float32")


def with_gaps(X: Any, kernel: str) -> Any:
    """Return X; for kernels of incomplete rows with gaps, in most rows in a third of the values."""
    if not kernel.endswith("incomplete"):
        return X
    rng = np.random.default_rng(len(X))
    gone = rng.random(X.shape) < 0.3 * (rng.random((len(X), 1)) < 0.8)
    return np.where(gone, X.dtype.type(np.nan), X)


def has_gaps(given: dict[str, Any]) -> bool:
    return bool(np.isnan(given["X"]).any())


def call(
    module: Any, kernel: str, covariance_type: str, given: dict[str, Any], *, n_threads: int = 2
) -> dict[str, Any]:
    """Call a kernel on copies of its outputs; return all arguments after the call."""
    directions = {argument.name: argument.direction for argument in KERNELS[kernel].arguments}
    after = {
        name: value if directions[name] == "in" else value.copy() for name, value in given.items()
    }
    available = {**after, "kind": covariance_type, "n_threads": n_threads}
    if "means" in after:
        names = ("log_coefficients", "means", "precisions_cholesky")
        available["components"] = Components(covariance_type, *(after[name] for name in names))
    if "nk" in after:
        available["sums"] = Moments(after["nk"], after["first"], after["second"])
    function = getattr(module, kernel)
    function(**{name: available[name] for name in inspect.signature(function).parameters
                if name in available})  # fmt: skip
    return after


def outputs(kernel: str) -> list[str]:
    return [a.name for a in KERNELS[kernel].arguments if a.direction != "in"]


def cancelling_scales(given: dict[str, Any], covariance_type: str) -> dict[str, float]:
    """Return the sums of absolute values behind the sums that may cancel."""
    if "sample_weight" not in given:
        return {}
    resp = given.get("resp")
    scales = {}
    if resp is None:
        K = len(given["means"])
        norm, resp = np.empty(len(given["X"])), np.empty((len(given["X"]), K))
        names = ("log_coefficients", "means", "precisions_cholesky")
        components = Components(covariance_type, *(given[name] for name in names))
        evaluate = reference.posterior_incomplete if has_gaps(given) else reference.posterior
        evaluate(given["X"], components, log_prob_norm=norm, resp=resp)
        scales["log_likelihood"] = given["sample_weight"] @ np.abs(norm)
    centers = given["means"] if "means" in given else given["centers"]
    z = np.abs(np.nan_to_num(given["X"].astype(np.float64)[:, None] - centers))
    scales["first"] = np.einsum("n,nk,nkd->kd", given["sample_weight"], resp, z).max()
    return scales


def tolerances(kernel: str) -> dict[str, float]:
    """Return the contract's tolerance for each output."""
    return dict.fromkeys(outputs(kernel), KERNELS[kernel].rtol)


def assert_close(
    covariance_type: str,
    given: dict[str, Any],
    actual: dict[str, Any],
    expected: dict[str, Any],
    scales: dict[str, float],
    rtol: dict[str, float],
    what: str = "",
) -> None:
    """Compare the outputs that ``rtol`` names, on the scale of the largest element or sum."""
    for name, tolerance in rtol.items():
        if name == "labels":
            assert_best(actual[name], covariance_type, given, tolerance)
            continue
        scale = max(np.abs(expected[name]).max(), scales.get(name, 0.0))
        difference = np.abs(actual[name] - expected[name]).max()
        assert difference <= tolerance * scale, f"{what}{name}: {difference / scale:.2e}"


def assert_best(labels: Any, covariance_type: str, given: dict[str, Any], rtol: float) -> None:
    """No component may be more likely than the chosen one, but for rounding."""
    names = ("log_coefficients", "means", "precisions_cholesky")
    components = Components(covariance_type, *(given[name] for name in names))
    distances = np.empty((len(labels), len(components.means)))
    if has_gaps(given):
        resp = distances
        reference.posterior_incomplete(given["X"], components, resp=resp)
        chosen = resp[np.arange(len(labels)), labels]
        assert (chosen >= resp.max(axis=1) - rtol).all()
        return
    reference.mahalanobis(given["X"], components, distances)
    log_prob = components.log_coefficients - distances / 2
    chosen = log_prob[np.arange(len(labels)), labels]
    assert (chosen >= log_prob.max(axis=1) - rtol * np.abs(log_prob).max()).all()
