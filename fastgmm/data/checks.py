"""Checks of samples and their weights, for every door: estimators and functions alike."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._kernels.layout import Array
from .containers import column_label, to_array, to_table
from .finite import LARGEST_ABSENT, not_finite
from .samples import Samples
from .source_samples import SourceSamples
from .sources.base import Source

# Numbers that are checked at a time: 8 MB.
_CHECKED_ELEMENTS = 2**20


def check_samples(
    X: Any,
    sample_weight: Any = None,
    *,
    n_features: int | None = None,
    min_samples: int = 1,
    finite: bool = True,
    with_missing: bool = False,
    may_be_absent: bool = False,
) -> Samples:
    """Return samples and weights that are valid, from any container, without a copy of all.

    A row of weight 0 is an absent row and may hold anything. Only where such a row holds NaN, or
    more than 1e100, the other rows are copied.

    Parameters
    ----------
    X : array-like or data frame of shape (n_samples, n_features)
    sample_weight : array-like of shape (n_samples,), number or None
        A number is the weight of every sample.
    n_features : int, optional
        How many features there should be.
    min_samples : int, default=1
    finite : bool, default=True
        Whether to check that X is finite.
    with_missing : bool, default=False
        Whether NaN stands for a missing value; else it is refused.
    may_be_absent : bool, default=False
        Whether all weights may be 0.

    Raises
    ------
    TypeError, ValueError
        If X or the weights are not real and finite numbers in memory, or have another shape.
    """
    if isinstance(X, Source):
        return _check_source(X, sample_weight, n_features, min_samples, with_missing)
    table = to_table(X)
    _check_shape(table.shape, n_features, min_samples)
    weight = check_sample_weight(sample_weight, table.shape[0], may_be_absent)
    samples = Samples(table, weight, with_missing)
    if finite and not samples.is_integer:
        _check_finite(samples, X)
        if _absent_rows_disturb(samples):
            return samples.without_absent()
    return samples


def check_sample_weight(
    sample_weight: Any, n_samples: int, may_be_absent: bool = False
) -> Array | None:
    """Return weights as a float64 array of shape (n_samples,); None stays None.

    Raises
    ------
    ValueError
        If a weight is negative, not a number or infinite, or if the shape differs. If all are zero,
        unless ``may_be_absent``.
    """
    if sample_weight is None:
        return None
    with np.errstate(over="ignore"):
        weight: Array = np.asarray(to_array(sample_weight, "sample_weight"), np.float64, order="C")
    if weight.ndim == 0:
        weight = np.full(n_samples, weight)
    if weight.shape != (n_samples,):
        raise ValueError(
            f"sample_weight should be one number or have the shape of ({n_samples},), "
            f"but got {weight.shape}."
        )
    bad = np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)))
    if len(bad):
        raise ValueError(
            "sample_weight should be finite and non-negative, "
            f"but got {weight[bad[0]]} for sample {bad[0]}."
        )
    if not (may_be_absent or weight.any()):
        raise ValueError("sample_weight should have a positive weight, but all are zero.")
    with np.errstate(over="ignore"):
        total = weight.sum()
    if total == np.inf:
        raise ValueError(
            "sample_weight should have a finite sum, but it overflows: "
            f"the largest weight is {weight.max()}."
        )
    return weight


def _check_source(
    source: Source,
    sample_weight: Any,
    n_features: int | None,
    min_samples: int,
    with_missing: bool,
) -> SourceSamples:
    """Return the samples of a source, which is read once for it.

    A source is always looked through: it may change between two fits, and counts its rows.
    """
    if sample_weight is not None:
        raise ValueError(
            "sample_weight should be None for samples from a source, which brings its own weights."
        )
    if with_missing:
        raise ValueError("missing='marginalize' needs samples in memory, got a source.")
    if n_features not in (None, source.n_features):
        raise ValueError(f"X has {source.n_features} features, but {n_features} are expected.")
    samples = SourceSamples(source)
    _check_shape((samples.n_samples, samples.n_features), n_features, min_samples)
    return samples


def _check_shape(shape: tuple[int, ...], n_features: int | None, min_samples: int) -> None:
    """Raise ValueError unless there is a row for each sample and a column for each feature."""
    if len(shape) < 2:
        got = "1D array" if shape else "scalar array"
        raise ValueError(
            f"Expected 2D array, got {got} instead: X has the shape {shape}. Reshape your data: "
            "with X.reshape(-1, 1) if it has one feature (a Series: X.to_frame()), or "
            "X.reshape(1, -1) if it is one sample."
        )
    if len(shape) > 2:
        raise ValueError(
            f"Found array with dim {len(shape)}: X should have the shape (n_samples, n_features), "
            f"but got {shape}."
        )
    for size, least, what in ((shape[0], min_samples, "sample"), (shape[1], 1, "feature")):
        if size < least:
            raise ValueError(
                f"Found array with {size} {what}(s) (shape={shape}) while a minimum of {least} is "
                "required."
            )
    if n_features not in (None, shape[1]):
        raise ValueError(f"X has {shape[1]} features, but {n_features} are expected.")


def _check_finite(samples: Samples, X: Any) -> None:
    """Raise ValueError with the place of the first number that counts and is not finite."""
    for rows in samples.block_slices(_CHECKED_ELEMENTS // samples.n_features):
        block = samples.rows(rows)
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(block.sum()):
                continue
        counts = samples.sample_weight[rows, np.newaxis] > 0
        allowed = np.isfinite(block)
        if samples.with_missing:
            allowed |= np.isnan(block)
        bad = np.argwhere(~allowed & counts)
        if len(bad):
            row, column = (int(i) for i in bad[0])
            where = f"in row {rows.start + row}, {column_label(X, column)}"
            raise not_finite(block[row, column], where)


def _absent_rows_disturb(samples: Samples) -> bool:
    """Return whether a row of weight 0 holds NaN or a number that kernels cannot square."""
    if not samples.is_weighted:
        return False
    absent = np.flatnonzero(samples.sample_weight == 0)
    step = max(_CHECKED_ELEMENTS // samples.n_features, 1)
    starts = range(0, len(absent), step)
    blocks = (samples.rows(absent[start : start + step]) for start in starts)
    return any(_disturbs(block, samples.with_missing) for block in blocks)


def _disturbs(block: NDArray[Any], with_missing: bool) -> bool:
    harmless = np.abs(block) <= np.float64(LARGEST_ABSENT)
    if with_missing:
        harmless |= np.isnan(block)
    return not harmless.all()
