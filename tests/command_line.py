"""What ``fastgmm fit`` does, done with the library."""

from typing import Any

from fastgmm import GaussianMixture
from fastgmm.cli.fit import PARAMETERS
from fastgmm.cli.main import parse


def mixture(n_components: int, **parameters: Any) -> GaussianMixture:
    """Return an estimator with the defaults of the command line."""
    args = vars(parse(["fit", "DATA", "-K", str(n_components)]))
    return GaussianMixture(**{name: args[name] for name in PARAMETERS} | parameters)
