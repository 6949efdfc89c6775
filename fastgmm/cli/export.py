"""``fastgmm export``: a model as source code that runs without Python."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .options import file_type, name
from .output_file import add_force, check_file, writing
from .predict import MODEL

ABOUT = "write a model as source code that scores samples without Python"
_PREFIX = "fastgmm_model"
_SOURCE_FILE = file_type(".c")


def add_options(add: Callable[..., object]) -> None:
    """Declare the options."""
    add("model", type=name, metavar="MODEL", help=MODEL)
    language = "C99, which is also C++17 and needs the C library and libm alone"
    add("--language", choices=("c",), default="c", help=language)
    prefix = "of all public names, a C identifier"
    add("--prefix", type=name, default=_PREFIX, metavar="NAME", help=prefix)
    output = "a .c file; the header is written beside it (default: PREFIX.c)"
    add("-o", "--output", type=_SOURCE_FILE, metavar="FILE", help=output)
    add_force(add)


def run(args: argparse.Namespace) -> None:
    """Write the header and the source file."""
    from ..embed.export_c import to_c
    from ..persistence import load

    source_file = Path(args.output or f"{args.prefix}.c")
    header_file = source_file.with_suffix(".h")
    for file in (source_file, header_file):
        check_file(str(file), args)
    model: Any = load(args.model)
    header, source = to_c(model, args.prefix, header_name=header_file.name)
    _write(header_file, header)
    try:
        _write(source_file, source)
    except OSError as error:
        reason = f"{error.strerror} (the header {header_file} has been written)"
        raise OSError(error.errno, reason, error.filename) from error


def _write(file: Path, text: str) -> None:
    from ..persistence import replacing

    with writing(str(file)), replacing(file) as out:
        out.write(text.encode())
