"""``fastgmm fit -K auto``: the number of components that BIC chooses."""

import argparse
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LARGEST = 9


def check_goes_with_auto(args: argparse.Namespace) -> None:
    """Report an option of ``fit`` that ``-K auto`` does not know."""
    given = {
        "--equal-weights": args.equal_weights,
        "--variance": args.variance is not None,
        "--init": args.init_params != "auto",
        "--distributed": args.distributed is not None,
    }
    for option in [option for option, is_given in given.items() if is_given]:
        args.error(f"-K auto does not go with {option}")


def choose(
    args: argparse.Namespace, X: "NDArray[Any]", sample_weight: "NDArray[Any] | None"
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Set the number of components; return what was tried, and the parameters to start from.

    Parameters
    ----------
    args : Namespace
        Its ``n_components`` becomes the chosen number.
    X : array
    sample_weight : array or None

    Returns
    -------
    selection, start : dict
    """
    from ..selection import select

    selection = select(
        X,
        range(1, _LARGEST + 1),
        args.covariance_type,
        sample_weight=sample_weight,
        reg_covar=args.reg_covar,
        n_init=args.n_init,
        missing=args.missing or "error",
        random_state=args.random_state,
        n_jobs=args.n_jobs,
    )
    args.n_components = selection.best.n_components
    if args.n_components == _LARGEST:
        warnings.warn(
            f"-K auto chose {_LARGEST}, the largest number that it tries: "
            "fastgmm select -K tries more",
            stacklevel=1,
        )
    parameters = selection.best_estimator.to_parameters()
    start = {
        "n_init": 1,
        "weights_init": parameters.weights,
        "means_init": parameters.means,
        "covariances_init": parameters.covariances,
    }
    return {"criterion": selection.criterion, "candidates": selection.to_records()}, start
