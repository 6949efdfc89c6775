"""NumPy's own rules for floating-point errors, whatever rules the caller has set."""

import numpy as np


def numpys_rules() -> np.errstate:
    """Return a decorator under which arithmetic warns as in a fresh process, and never raises.

    Formulas of mixtures underflow as a matter of course: a responsibility of 1e-400 is 0.
    """
    return np.errstate(divide="warn", over="warn", under="ignore", invalid="warn")
