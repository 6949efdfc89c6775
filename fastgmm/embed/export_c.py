"""A fitted mixture as C99 source that needs nothing but the C library and libm."""

import math
import re
from collections.abc import Iterable, Iterator
from decimal import MAX_EMAX, MIN_EMIN, Decimal, localcontext
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np

from .._kernels.layout import Array
from .._versions import __version__
from ..model.parameters import MixtureParameters
from .mixture import parameters_of

#: Changes with the functions, types and macros of the header.
FORMAT = 1
#: Parameters of the largest model that is exported: 100 MB of text. gcc 12 takes 17 s and 1.2 GB
#: for it.
MAX_NUMBERS = 2**22

# C99, C++17, and what they allow compilers to define
_KEYWORD = re.compile(
    r"alignas|alignof|and|and_eq|asm|auto|bitand|bitor|bool|break|case|catch|char|"
    r"char16_t|char32_t|class|compl|const|const_cast|constexpr|continue|decltype|default|"
    r"delete|do|double|dynamic_cast|else|enum|explicit|export|extern|false|float|for|"
    r"friend|goto|if|inline|int|long|mutable|namespace|new|noexcept|not|not_eq|"
    r"nullptr|operator|or|or_eq|private|protected|public|register|reinterpret_cast|"
    r"restrict|return|short|signed|sizeof|static|static_assert|static_cast|struct|switch|"
    r"template|this|thread_local|throw|true|try|typedef|typeid|typename|typeof|union|"
    r"unsigned|using|virtual|void|volatile|wchar_t|while|xor|xor_eq"
)
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*")
_REALS = {"f64": "double", "f32": "float"}
_LANES = 32
_NUMBERS_PER_LINE = 4
# second moments in the statistics
_SECOND_MEANING = {
    "full": "the lower triangles of sum w r z z^T, row by row",
    "tied": "the lower triangle of sum w r z z^T over all k, row by row",
    "diag": "sum w r z^2",
    "spherical": "sum w r |z|^2",
}


def to_c(
    mixture: Any, prefix: str = "fastgmm_model", header_name: str | None = None
) -> tuple[str, str]:
    r"""Write a mixture as a C header and a C99 source file, which are also C++17.

    The functions compute what the estimator predicts, for points of type double (``_f64``) and
    float (``_f32``), in double precision:

    .. math:: \log p(x) = \log \sum_k w_k \, N(x \mid \mu_k, \Sigma_k)

    ``<prefix>_log_density``, ``_log_joint``, ``_responsibilities``, ``_mahalanobis`` (squared
    distances), ``_component`` and ``_accumulate`` (the sums of an E step). The header documents
    them. They allocate nothing and keep no state.

    The text depends on the numbers of the model, the names and the version of fastgmm alone, not
    on the machine. (For a `BayesianGaussianMixture` the last bit of its expected logarithms may.)

    Parameters
    ----------
    mixture : fitted GaussianMixture, BayesianGaussianMixture or SoftKMeans, or MixtureParameters
    prefix : str, default='fastgmm_model'
        Of all public names: a C identifier that begins with a letter and has no two underscores in
        a row, which C++ reserves.
    header_name : str, optional
        Under which name the source includes the header; default: the prefix and '.h'.

    Returns
    -------
    header : str
    source : str

    Raises
    ------
    NotFittedError
        If ``fit`` has not been called.
    TypeError
        If ``mixture`` is none.
    ValueError
        If a parameter is not finite, the model has more than 2^22 numbers, or ``prefix`` is no
        identifier or a keyword of C or C++, or ``header_name`` cannot be included.

    Examples
    --------
    >>> from fastgmm import GaussianMixture
    >>> from fastgmm.embed.export_c import to_c
    >>> model = GaussianMixture.from_parameters([0.25, 0.75], [[0.0], [10.0]], [[1.0], [4.0]])
    >>> header, source = to_c(model, prefix="queue")
    >>> "int queue_log_density_f64(" in header
    True
    """
    _check_prefix(prefix)
    header_name = f"{prefix}.h" if header_name is None else header_name
    if not re.fullmatch(r'[^"\\\r\n]+', header_name):
        raise ValueError(
            "header_name should be the name of a file without quotes, backslashes and line ends, "
            f"got {header_name!r}."
        )
    parameters = parameters_of(mixture)
    _check_size(parameters)
    kind = parameters.covariance_model.kernel_kind
    K, d = parameters.means.shape
    names = {
        "prefix": prefix,
        "PREFIX": prefix.upper(),
        "n_components": K,
        "n_features": d,
        "kind": kind,
        "version": __version__,
        "format": FORMAT,
        "lanes": _LANES,
        "header": header_name,
    }

    def render(name: str, **more: Any) -> str:
        text = files(__package__).joinpath("c", name).read_text(encoding="utf-8")
        return Template(text).substitute(names, **more)

    def render_each_type(name: str) -> str:
        return "".join(render(name, suffix=s, real=real) for s, real in _REALS.items())

    header = render(
        "header.h.in",
        second_shape="".join(f"[{size}]" for size in _packed_shape(kind, K, d)),
        second_meaning=_SECOND_MEANING[kind],
        declarations=render_each_type("declarations.h.in"),
    )
    source = render(
        "source.c.in",
        parameters="\n".join(_arrays(parameters, kind)),
        kernel=render(f"{kind}.c.in"),
        points=render_each_type("points.c.in"),
    )
    return header, source


def _check_prefix(prefix: str) -> None:
    if not isinstance(prefix, str) or not _IDENTIFIER.fullmatch(prefix):
        raise ValueError(
            "prefix should be a C identifier that begins with a letter and has no two underscores "
            f"in a row or at its end, got {prefix!r}."
        )
    if _KEYWORD.fullmatch(prefix):
        raise ValueError(f"prefix should be no keyword of C or C++, got {prefix!r}.")


def _check_size(parameters: MixtureParameters) -> None:
    K, d = parameters.means.shape
    kind = parameters.covariance_model.kernel_kind
    n_numbers = K * (d + 1) + math.prod(_packed_shape(kind, K, d))
    if n_numbers > MAX_NUMBERS:
        raise ValueError(
            f"mixture should have at most {MAX_NUMBERS:,} parameters, which compilers can take, "
            f"got {n_numbers:,} (n_components={K}, n_features={d}, "
            f"covariance_type={parameters.covariance_type!r})."
        )


def _packed_shape(kind: str, K: int, d: int) -> tuple[int, ...]:
    """Return the shape of factors and of second moments, of matrices the lower triangles."""
    triangle = d * (d + 1) // 2
    return {"full": (K, triangle), "tied": (triangle,), "diag": (K, d), "spherical": (K,)}[kind]


def _arrays(parameters: MixtureParameters, kind: str) -> Iterator[str]:
    """Yield the definitions of the arrays that the code of a covariance type reads."""
    means, factors = parameters.means, parameters.components().precisions_cholesky
    yield _define("log_coefficient[K]", _log_coefficients(parameters))
    yield _define("mean[K][D]", means)
    rows, columns = np.tril_indices(means.shape[1])
    if kind == "full":
        yield _define("factor[K][D * (D + 1) / 2]", factors[:, columns, rows])
    elif kind == "tied":
        origin = np.array([math.fsum(column) / len(means) for column in means.T])
        yield _define("factor[D * (D + 1) / 2]", factors[columns, rows])
        yield _define("origin[D]", origin)
        yield _define("whitened_mean[K][D]", _whitened(means - origin, factors))
    else:
        yield _define("factor[K][D]" if kind == "diag" else "factor[K]", factors)


def _whitened(locations: Array, factor: Array) -> Array:
    """Return P (mean - origin), added up in a fixed order; a matrix product has its machine's."""
    total = np.zeros_like(locations)
    for j, row in enumerate(factor):
        total += locations[:, j : j + 1] * row
    return total


def _log_coefficients(parameters: MixtureParameters) -> Array:
    """Return log w + log det U - d/2 log 2 pi, rounded correctly; NumPy's log is its machine's."""
    components = parameters.components()
    if type(parameters) is not MixtureParameters:
        return components.log_coefficients
    K, d = parameters.means.shape
    U = components.precisions_cholesky
    if parameters.covariance_model.is_matrix:
        U = np.diagonal(U, axis1=-2, axis2=-1)
    elif U.ndim == 1:
        U = U[:, np.newaxis]
    diagonals = np.broadcast_to(U, (K, d))
    coefficients = components.log_coefficients.copy()  # of weights of 0
    with localcontext(prec=50, Emax=MAX_EMAX, Emin=MIN_EMIN):
        constant = Decimal(d) / 2 * (2 * Decimal(_PI)).ln()
        for k in np.flatnonzero(parameters.weights):
            density = math.prod(map(Decimal, diagonals[k]), start=Decimal(parameters.weights[k]))
            coefficients[k] = float(density.ln() - constant)
    return coefficients


_PI = "3.14159265358979323846264338327950288419716939937510582097494"


def _define(declarator: str, values: Array) -> str:
    """Return the definition of a constant array, in hexadecimal, which is exact."""
    if values.ndim == 1:
        return f"static const double {declarator} = {{\n{_numbers(values)}\n}};"
    rows = ",\n".join(f"    {{\n{_numbers(row)}\n    }}" for row in values)
    return f"static const double {declarator} = {{\n{rows}\n}};"


def _numbers(values: Iterable[float]) -> str:
    numbers = [float(value).hex() for value in values]
    starts = range(0, len(numbers), _NUMBERS_PER_LINE)
    return ",\n".join("        " + ", ".join(numbers[i : i + _NUMBERS_PER_LINE]) for i in starts)
