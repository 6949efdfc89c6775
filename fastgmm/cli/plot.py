"""``fastgmm plot``: a picture of a model, with samples."""

import argparse
from collections.abc import Callable
from typing import Any

from .data_options import DATA, DataError, add_data_options, read_data
from .options import file_type, name, names, number
from .output_file import add_force
from .parser import did_you_mean
from .predict import MODEL

ABOUT = "draw a model: its components, how it converged, or which components share samples"
_KINDS = ("mixture", "convergence", "responsibility")


def add_options(add: Callable[..., object]) -> None:
    """Declare the options."""
    add("model", type=name, metavar="MODEL", help=MODEL)
    add("data", type=name, metavar="DATA", nargs="?", help=f"samples to draw: {DATA}")
    add(
        "--kind", choices=_KINDS, default="mixture", help="what is drawn; responsibility needs DATA"
    )
    features = "features to draw, of those of the model: names, or numbers from 1"
    add("--features", type=names, metavar="A,B,..", help=features)
    units = "units of features, for the labels"
    add("--units", type=names, default=[], metavar="A=UNIT,..", help=units)
    most = "samples to draw; of more, a random subset"
    add("--max-samples", type=number(int, 1), default=None, metavar="N", help=most)
    add_data_options(add)
    picture = file_type(".png", ".pdf", ".svg")
    add("-o", "--output", type=picture, required=True, metavar="FILE", help="the picture")
    add_force(add)


def run(args: argparse.Namespace) -> None:
    """Draw a model into a file."""
    from ..displays.axes import check_matplotlib
    from ..persistence import load

    check_matplotlib("fastgmm plot")
    if args.kind == "responsibility" and args.data is None:
        args.error("--kind responsibility needs DATA")
    if args.kind == "convergence" and args.data is not None:
        args.error("DATA does not go with --kind convergence")
    model: Any = load(args.model)
    X = None if args.data is None else read_data(args, model).X
    _draw(args, model, X)


def _draw(args: argparse.Namespace, model: Any, X: Any) -> None:
    from .. import displays
    from .picture import drawing

    some = {} if args.max_samples is None else {"max_samples": args.max_samples}
    with drawing(args.output) as ax:
        if args.kind == "convergence":
            displays.ConvergenceDisplay.from_estimator(model, ax=ax)
        elif args.kind == "responsibility":
            displays.ResponsibilityDisplay.from_estimator(model, X, ax=ax, **some)
        else:
            known = _feature_names(model)
            display = displays.GaussianMixtureDisplay.from_estimator(
                model,
                X,
                features=None if args.features is None else _find(args.features, known),
                feature_names=known,
                units=_units(args.units, known),
                ax=ax,
                **some,
            )
            ax.figure.set_size_inches(display.figure_size)


def _feature_names(model: Any) -> list[str]:
    """Return the names of the features, which are counted from 1 where they have none."""
    names = getattr(model, "feature_names_in_", None)
    if names is None:
        return [f"feature {i + 1}" for i in range(model.n_features_in_)]
    return [str(name) for name in names]


def _find(wanted: list[str], known: list[str]) -> list[int]:
    """Return the positions of features that are named, or numbered from 1."""
    found = []
    for text in wanted:
        if text in known:
            found.append(known.index(text))
        elif text.isdecimal() and 1 <= int(text) <= len(known):
            found.append(int(text) - 1)
        else:
            raise DataError(f"no feature {text!r}{did_you_mean(text, known)}")
    return found


def _units(texts: list[str], known: list[str]) -> dict[str, str]:
    """Return the unit of each feature that is given one, as A=UNIT."""
    units = {}
    for text in texts:
        wanted, _, unit = text.rpartition("=")
        if not wanted or not unit:
            raise DataError(f"--units: expected A=UNIT, got {text!r}")
        units[known[_find([wanted], known)[0]]] = unit
    return units
