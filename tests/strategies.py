"""What people hand in, as strategies of hypothesis, and what may come of it."""

import contextlib
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from generators import memory_orders
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastgmm.cli.main import main
from fastgmm.em import CollapseError

#: What errors call samples that are wrong: their array, its samples and values.
OF_X = ("X", "array", "sample(s)", "samples", "feature(s)", "n_samples", "data", "dtype", "string")
#: What a call may raise for what it cannot take; CollapseError and LinAlgError are ValueErrors.
DOCUMENTED = (ValueError, TypeError)

numbers = st.one_of(
    st.integers(-3, 12),
    st.floats(0.0, 10.0),
    st.sampled_from([-1, 0, 0.5, 2.5, 1e-300, 1e300, -0.0, float("nan"), float("inf"), 1j]),
    st.sampled_from([10**30, -(10**400), 2**63, 2**32, np.float32(0.5), np.int8(3), np.True_]),
)
#: Any value at all, but none that asks for hours of work.
anything = st.one_of(
    numbers,
    st.none(),
    st.booleans(),
    st.text(max_size=5),
    st.binary(max_size=3),
    st.lists(numbers, max_size=4),
    st.lists(st.lists(numbers, max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=2), numbers, max_size=2),
    st.builds(object),
    st.sampled_from([np.zeros(0), np.eye(2), np.ones((2, 2, 2)), np.array("a"), np.array(None)]),
    st.sampled_from([str, len, ..., range(3), np.random.RandomState(0)]),
)

dtypes = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?"),
    hnp.complex_number_dtypes(),
    hnp.byte_string_dtypes(max_len=4),
    hnp.unicode_string_dtypes(max_len=4),
    hnp.datetime64_dtypes(),
    hnp.timedelta64_dtypes(),
    hnp.array_dtypes(max_size=2),
    st.just(np.dtype(object)),
)
real_dtypes = st.one_of(
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?"),
)


def _elements(dtype: np.dtype[Any]) -> Any:
    return st.one_of(st.none(), numbers, st.text(max_size=2)) if dtype.hasobject else None


#: Arrays of every dtype, byte order and shape, the empty ones included.
any_arrays = dtypes.flatmap(
    lambda dtype: hnp.arrays(
        dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0), elements=_elements(dtype)
    )
)


@st.composite
def tables(draw: Any, min_rows: int = 2, columns: int | None = None) -> Any:
    """Arrays of (n_samples, n_features): repeated, large, tiny and missing values among them."""
    columns = draw(st.integers(1, 5)) if columns is None else columns
    shape = (draw(st.integers(min_rows, 30)), columns)
    dtype = draw(real_dtypes)
    if draw(st.booleans()):
        return draw(hnp.arrays(dtype, shape))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = 10.0 ** draw(st.integers(-200, 200) if dtype.itemsize >= 8 else st.integers(-3, 3))
    values = rng.normal(size=shape) * scale + draw(st.sampled_from([0.0, 1.0, 1e6])) * scale
    if draw(st.booleans()):
        values = np.round(values / scale) * scale  # with repeated rows
    if dtype.kind in "iu":
        values = np.clip(values, 0, 100)
    with np.errstate(all="ignore"):
        return values.astype(dtype)


@st.composite
def stored(draw: Any, array: Any) -> Any:
    """The same values in another kind of memory."""
    kinds = dict(memory_orders(array)) if array.dtype.kind == "f" else {}
    kinds["byte order"] = array.astype(array.dtype.newbyteorder())
    kinds["list"] = array.tolist()
    kinds["F"] = np.asfortranarray(array)
    kinds["view"] = array[::-1][::-1]
    return kinds[draw(st.sampled_from(sorted(kinds)))]


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Ignore what ``verbose`` prints, and warnings for users; those of arithmetic are errors."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        for category in (UserWarning, DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", category)
        # scikit-learn adds up infinities of both signs before it refuses them
        warnings.filterwarnings("ignore", "invalid value encountered in reduce")
        yield


def assert_names(error: BaseException, names: Sequence[str]) -> None:
    """Check that a message names what was wrong by the name that was typed."""
    message = str(error)
    if isinstance(error, CollapseError):  # of the data as much as of any parameter
        names = ("Component", "The tied covariance")
    if "too large for float64" in message:  # in iterations: of all that they began with
        return
    pattern = "|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in names)
    assert re.search(pattern, message), f"{type(error).__name__} names none of {names}: {message}"


UNCHECKED = ("history_", "lower_bounds_", "restarts_", "feature_names_in_")


def assert_finite(model: Any) -> None:
    """Check every number that a fit leaves behind."""
    for name, value in vars(model).items():
        if not name.endswith("_") or name in UNCHECKED:
            continue
        if name == "lower_bound_" and not model.history_:
            continue
        array = np.asarray(value)
        if array.dtype.kind in "fc":
            assert np.isfinite(array).all(), f"{name} = {value}"
    for iteration in model.history_:
        assert np.isfinite(iteration.lower_bound), iteration


def run_command(arguments: Sequence[str]) -> tuple[int, str, str]:
    """Run a command; check that it says at most one error, in one line, with its exit code."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(arguments))
    lines = err.getvalue().splitlines()
    errors = [line for line in lines if line.startswith("fastgmm: error: ")]
    assert code in (0, 1, 2), code
    assert len(errors) == (code != 0), err.getvalue()
    assert all(line.startswith("fastgmm: ") for line in lines), err.getvalue()
    assert not any(line.startswith(("fastgmm: error: :", "fastgmm: error:  ")) for line in lines)
    return code, out.getvalue(), err.getvalue()
