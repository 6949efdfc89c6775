"""Degenerate data: finite attributes and predictions, or an error that is true."""

import pytest
from degenerate import cases, estimators, find_fault, in_type
from generators import COVARIANCE_TYPES, DTYPES

CASES = cases()
#: One of each kind; the others are slow together.
QUICK = {
    "all 0",
    "K = n",
    "an outlier of 1e+10",
}


SLOW = [pytest.mark.slow, pytest.mark.one_backend]


def test_there_are_97_data_sets():
    assert len(CASES) >= 97
    assert set(CASES) >= QUICK


def problems():
    """Yield each data set with two values of reg_covar, a quick one with three."""
    for name in CASES:
        for reg_covar in ("auto", 1e-6, 0.0) if name in QUICK else ("auto", 0.0):
            yield pytest.param(name, reg_covar, marks=() if name in QUICK else SLOW)


@pytest.mark.parametrize("name, reg_covar", list(problems()))
def test_finite_or_a_true_error(name, reg_covar):
    """Every estimator and covariance type, and by default every dtype."""
    for dtype in DTYPES if reg_covar == "auto" else DTYPES[:1]:
        case = in_type(CASES[name], dtype)
        for what, model in estimators(case, reg_covar, COVARIANCE_TYPES):
            fault = find_fault(model, case)
            assert not fault, f"{what}, {dtype}: {fault}"
