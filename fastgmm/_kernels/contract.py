"""The tables of kernels: arguments, shapes, types, directions and tolerances.

Tests and benchmarks are generated from it, for every backend.

Dimensions: n samples, d features, K components; ``*`` stands for the shape that belongs to the
covariance type. Direction: ``in``, ``out`` (overwritten), ``inout``, ``add`` (added to).
"""

from typing import NamedTuple


class Argument(NamedTuple):
    """One argument of a kernel."""

    name: str
    dimensions: tuple[str, ...]
    dtypes: tuple[str, ...]
    direction: str


class Kernel(NamedTuple):
    """One kernel: its arguments in order, and how closely it must agree with the reference."""

    arguments: tuple[Argument, ...]
    rtol: float
    reason: str


_FLOATS = ("float64", "float32")
_F8 = ("float64",)
_X = Argument("X", ("n", "d"), _FLOATS, "in")
_WEIGHT = Argument("sample_weight", ("n",), _F8, "in")
_LOG_PROB = Argument("log_prob", ("n", "K"), _F8, "out")
_NORM = Argument("log_prob_norm", ("n",), _F8, "out")
_RESP = Argument("resp", ("n", "K"), _F8, "out")
_LABELS = Argument("labels", ("n",), ("int64",), "out")
_COMPONENTS = (
    Argument("log_coefficients", ("K",), _F8, "in"),
    Argument("means", ("K", "d"), _F8, "in"),
    Argument("precisions_cholesky", ("*",), _F8, "in"),
)
_MOMENTS = (
    Argument("nk", ("K",), _F8, "add"),
    Argument("first", ("K", "d"), _F8, "add"),
    Argument("second", ("*",), _F8, "add"),
)

_STATISTICS_REASON = (
    "sums of at most 1e4 terms of one sign taken in another order, and exp to 1 ulp; first moments "
    "are compared on the scale of the sum of absolute values"
)

#: Tolerances are relative to the largest element of the output, in float64 for both dtypes of X:
#: float32 samples are converted exactly, block by block.
KERNELS: dict[str, Kernel] = {
    "mahalanobis": Kernel(
        (_X, *_COMPONENTS, Argument("distances", ("n", "K"), _F8, "out")),
        1e-12,
        "P x + shift is formed about an origin: about |P (mu - origin)| eps in each coordinate",
    ),
    "normalize": Kernel(
        (Argument("log_prob", ("n", "K"), _F8, "inout"), _NORM),
        1e-13,
        "log_prob - log_prob_norm of order 100 is rounded to 1e-14 in the reference, a relative "
        "error of as much in its exponential; up to 4096 terms are summed in order",
    ),
    "moments": Kernel(
        (
            _X,
            _WEIGHT,
            Argument("resp", ("n", "K"), _F8, "in"),
            Argument("centers", ("K", "d"), _F8, "in"),
            *_MOMENTS,
        ),
        1e-12,
        _STATISTICS_REASON,
    ),
    "posterior": Kernel(
        (_X, *_COMPONENTS, _LOG_PROB, _NORM, _RESP, _LABELS),
        1e-11,
        "an error of 1e-12 in a distance of order 10 is one of 1e-11 in a responsibility",
    ),
    "accumulate": Kernel(
        (
            _X,
            _WEIGHT,
            *_COMPONENTS,
            *_MOMENTS,
            Argument("log_likelihood", ("1",), _F8, "add"),
        ),
        1e-11,
        _STATISTICS_REASON + "; errors of responsibilities as in posterior",
    ),
    "accumulate_incomplete": Kernel(
        (
            _X,
            _WEIGHT,
            *_COMPONENTS,
            *_MOMENTS,
            Argument("log_likelihood", ("1",), _F8, "add"),
        ),
        1e-11,
        _STATISTICS_REASON + "; errors of responsibilities as in posterior",
    ),
    "posterior_incomplete": Kernel(
        (_X, *_COMPONENTS, _NORM, _RESP, _LABELS),
        1e-11,
        "as posterior; the reference factors other matrices",
    ),
}

_X_F8 = Argument("X", ("n", "d"), _F8, "in")
_LISTED = (_X_F8, _WEIGHT, Argument("rows", ("r",), ("int64",), "in"))
_NODES = Argument("nodes", ("m", "2"), ("int64",), "in")

#: Kernels over parameters, plain numbers and lists of rows, with the names of their functions in
#: every backend. T stands for the 4 x 4 tiles of a lower triangle, m for nodes: in a list of r rows
#: they are ranges. In ``box_bounds`` m stands for boxes. P stands for the candidates of a sample, G
#: for the neighbours of a component. ``packed``, ``padded`` and ``search`` are of layout.py.
OTHER_KERNELS: dict[str, Kernel] = {
    "add_symmetric": Kernel(
        (
            Argument("tiles", ("m", "T", "4", "4"), _F8, "in"),
            Argument("out", ("m", "d", "d"), _F8, "add"),
        ),
        0.0,
        "one addition each",
    ),
    "pack_triangles": Kernel(
        (
            Argument("upper", ("K", "d", "d"), _F8, "in"),
            Argument("out", ("K", "d (d + 1) / 2"), _F8, "out"),
        ),
        0.0,
        "one multiplication each",
    ),
    "inverse_factors": Kernel(
        (
            Argument("covariances", ("m", "d", "d"), _F8, "in"),
            Argument("factors", ("m", "d", "d"), _F8, "out"),
            Argument("failed", ("m",), ("uint8",), "out"),
        ),
        1e-12,
        "LAPACK in another order of blocks, on well-conditioned matrices",
    ),
    "principal_cuts": Kernel(
        (
            *_LISTED,
            _NODES,
            Argument("directions", ("m", "d"), _F8, "inout"),
            Argument("shifts", ("m",), _F8, "in"),
            Argument("cuts", ("m",), _F8, "out"),
            Argument("costs", ("m", "2"), _F8, "out"),
        ),
        1e-12,
        "sums over at most 4096 rows in another order, on samples that lie on no cut",
    ),
    "sides": Kernel(
        (
            _X_F8,
            _LISTED[2],
            _NODES,
            Argument("directions", ("m", "d"), _F8, "in"),
            Argument("cuts", ("m",), _F8, "in"),
            Argument("above", ("r",), ("uint8",), "out"),
        ),
        0.0,
        "one comparison each, on samples that lie on no cut",
    ),
    "descend": Kernel(
        (
            _X_F8,
            Argument("directions", ("m", "d"), _F8, "in"),
            Argument("cuts", ("m",), _F8, "in"),
            Argument("children", ("m", "2"), ("int64",), "in"),
            Argument("found", ("n",), ("int64",), "out"),
        ),
        0.0,
        "one comparison for each cut on the way, on samples that lie on no cut",
    ),
    "group_moments": Kernel(
        (
            _X_F8,
            Argument("weight", ("n", "P"), _F8, "in"),
            Argument("entries", ("r",), ("int64",), "in"),
            Argument("bounds", ("K + 1",), ("int64",), "in"),
            Argument("centers", ("K", "d"), _F8, "in"),
            Argument("is_full", (), ("bool",), "in"),
            Argument("nk", ("K",), _F8, "add"),
            Argument("first", ("K", "d"), _F8, "add"),
            Argument("second", ("K", "d", "d"), _F8, "add"),
        ),
        1e-13,
        "sums of a few rows, those of both signs compared on the scale of their absolute values",
    ),
    "search_candidates": Kernel(
        (
            _X_F8,
            Argument("padded", (), ("PaddedComponents",), "in"),
            Argument("search", (), ("CandidateSearch",), "in"),
            Argument("candidates", ("n", "P"), ("int32",), "inout"),
            Argument("resp", ("n", "P"), _F8, "out"),
            _NORM,
            Argument("neighbors", ("K", "G"), ("int32",), "inout"),
        ),
        1e-12,
        "distances about each mean, and exp to 1 ulp of a difference of log-probabilities; which "
        "components are best is compared where no two are as good but for rounding",
    ),
    "box_bounds": Kernel(
        (
            Argument("centers", ("d", "m"), _F8, "in"),
            Argument("halves", ("d", "m"), _F8, "in"),
            Argument("padded", (), ("PaddedComponents",), "in"),
            Argument("bounds", ("K", "m"), _F8, "out"),
        ),
        1e-12,
        "sums of products in another order, on the scale of the largest bound",
    ),
    "posterior_listed": Kernel(
        (
            _X_F8,
            Argument("packed", (), ("Packed",), "in"),
            Argument("edges", ("blocks + 1",), ("int64",), "in"),
            Argument("listed", ("r",), ("int64",), "in"),
            Argument("slots", ("s",), ("int64",), "in"),
            _NORM,
            _LABELS,
        ),
        1e-12,
        "distances about an origin, exp to 1 ulp; the labels are compared where no two are as good",
    ),
    "gram": Kernel(
        (
            Argument("values", ("n",), _F8, "in"),
            Argument("stride", (), ("int64",), "in"),
            Argument("bounds", ("slots + 1",), ("int64",), "in"),
            Argument("n_repeats", (), ("int64",), "in"),
            Argument("slots", ("slots", "32"), _F8, "add"),
        ),
        1e-13,
        "sums of terms of both signs in another order",
    ),
    "normals": Kernel(
        (Argument("values", ("n",), _F8, "inout"),),
        1e-14,
        "polynomials for sine, cosine and logarithm to 1e-16",
    ),
}

_MODEL = (
    Argument("theta", ("p",), _F8, "in"),
    Argument("X", ("n", "d"), _F8, "in"),
    Argument("first_row", (), ("int64",), "in"),
    Argument("draw", ("2",), ("uint64",), "in"),
)

#: Kernels that are compiled for a function of a model, with L latent variables and S draws.
MODEL_KERNELS: dict[str, Kernel] = {
    "metropolis": Kernel(
        (
            Argument("log_joint", (), ("function",), "in"),
            *_MODEL,
            Argument("n_states", (), ("int64",), "in"),
            Argument("n_skipped", (), ("int64",), "in"),
            Argument("state", ("n", "L"), _F8, "inout"),
            Argument("scale", ("n",), _F8, "in"),
            Argument("draws", ("n", "S", "L"), _F8, "out"),
            Argument("log_joints", ("n",), _F8, "out"),
            Argument("accepted", ("n",), _F8, "out"),
        ),
        1e-9,
        "a state is a sum of as many rounded steps as were accepted, as long as every step is "
        "decided alike",
    ),
    "mean_field": Kernel(
        (
            Argument("log_joint_gradient", (), ("function",), "in"),
            *_MODEL,
            Argument("n_steps", (), ("int64",), "in"),
            Argument("step_size", (), _F8, "in"),
            Argument("mean", ("n", "L"), _F8, "inout"),
            Argument("log_scale", ("n", "L"), _F8, "inout"),
            Argument("draws", ("n", "S", "L"), _F8, "out"),
            Argument("log_joints", ("n",), _F8, "out"),
        ),
        1e-9,
        "sums in another order, whose rounding errors each step hands on to the next",
    ),
}

_PACKED = (Argument("packed", (), ("Packed",), "in"), Argument("bounds", ("s",), ("int64",), "in"))
_PLAIN = (
    Argument("plain", (), ("PlainComponents",), "in"),
    Argument("bounds", ("s",), ("int64",), "in"),
)
# of a kernel that is compiled for a function: what follows the function
_ARGUMENTS = (Argument("arguments", (), ("tuple",), "in"),)

#: What a backend must offer: its functions and their arguments in order. All but ``normals`` take
#: n_threads after them. ``packed`` is a layout.Packed, ``slots`` is workspace. ``kept`` is
#: NOTHING_KEPT but for full covariances of more than two features.
BACKEND: dict[str, tuple[Argument, ...]] = {
    "accumulate": (
        _X,
        _WEIGHT,
        Argument("resp", ("n", "K"), _F8, "in"),
        _PACKED[0],
        Argument("kept", (), ("KeptDistances",), "inout"),
        _PACKED[1],
        Argument("todo", ("blocks",), ("uint8",), "inout"),
        Argument("slots", ("slots", "sums"), _F8, "out"),
        Argument("out", ("sums",), _F8, "add"),
    ),
    "posterior": (
        _X,
        *_PACKED,
        Argument("log_prob", ("n", "K"), _F8, "out"),
        _NORM,
        _RESP,
        _LABELS,
    ),
    "accumulate_incomplete": (
        _X_F8,
        _WEIGHT,
        *_PLAIN,
        Argument("slots", ("slots", "sums"), _F8, "out"),
        Argument("out", ("sums",), _F8, "add"),
    ),
    "posterior_incomplete": (_X_F8, *_PLAIN, _NORM, _RESP, _LABELS),
    "normalize": (
        *KERNELS["normalize"].arguments,
        Argument("bounds", ("s",), ("int64",), "in"),
    ),
    **{name: kernel.arguments for name, kernel in OTHER_KERNELS.items()},
    "metropolis": (MODEL_KERNELS["metropolis"].arguments[0], *_ARGUMENTS),
    "mean_field": (MODEL_KERNELS["mean_field"].arguments[0], *_ARGUMENTS),
}
