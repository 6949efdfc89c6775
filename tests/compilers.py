"""Which C compilers can be used here: each is tried with an empty program."""

import subprocess
import sysconfig
import tempfile
from functools import cache
from pathlib import Path

import pytest

_EMPTY = "int main(void) { return 0; }\n"


@cache
def is_usable(compiler: str, *options: str, include: str = "") -> bool:
    """Return whether an empty program builds with these options, and runs."""
    with tempfile.TemporaryDirectory() as folder:
        suffix = "cpp" if "++" in compiler else "c"
        source, program = Path(folder, f"empty.{suffix}"), Path(folder, "empty")
        source.write_text(f"{include}\n{_EMPTY}")
        commands = [[compiler, *options, str(source), "-o", str(program)], [str(program)]]
        try:
            for command in commands:
                subprocess.run(command, capture_output=True, check=True, timeout=60)
        except (OSError, subprocess.SubprocessError):
            return False
    return True


def skip_without_compiler(compiler: str, *options: str) -> None:
    """Skip the test that calls this unless a compiler makes programs that run."""
    if not is_usable(compiler, *options):
        pytest.skip(f"{' '.join([compiler, *options])} makes no program that runs here")


def skip_without_extensions() -> None:
    """Skip the test that calls this unless gcc finds the headers of Python."""
    skip_without_compiler("gcc")
    if not is_usable("gcc", f"-I{sysconfig.get_path('include')}", include="#include <Python.h>"):
        pytest.skip("gcc finds no Python.h")
