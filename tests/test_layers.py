"""The folders of the library: imports point downward, and heavy ones stay where they belong."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import numpydoc.validate
import pytest
from backends import skip_without

import fastgmm
from fastgmm import em

pytestmark = pytest.mark.one_backend

PACKAGE = Path(fastgmm.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))

#: Who may import whom: each from those before it, and from itself.
ORDER = (
    "_kernels",
    "_versions",
    "data",
    "model",
    "em",
    "init",
    "estimators",
    "selection",
    "distributed",
    "displays",
    "embed",
    "benchmark",
    "persistence",
    "cli",
    "__main__",
)
#: Nothing imports these, but the command line, beyond which there is nothing.
EDGES = {"distributed", "displays", "embed", "benchmark", "persistence", "cli"}
COMMAND_LINE = {"cli", "__main__"}
#: Made inside a function, for those who ask for it: a result becomes an estimator, an estimator a
#: value for compiled code.
UPWARD = {
    ("fastgmm.em.mixture_result", "fastgmm.estimators.from_result.estimator_from"),
    ("fastgmm.estimators._held_mixture", "fastgmm.embed.numba.to_numba"),
}
MAX_LINES = 350
MAX_TOP_LEVEL = 8

TESTS = Path(__file__).parent
#: Tests of kernels, which alone import what begins with an underscore.
KERNEL_TESTS = {
    "backends",
    "kernel_cases",
    "test_backends",
    "test_benchmark",
    "test_blas",
    "test_candidate_kernels",
    "test_compile_ahead",
    "test_contract",
    "test_cython_kernels",
    "test_fast_compile",
    "test_float32",
    "test_kept_distances",
    "test_kernels",
    "test_latent_kernels",
    "test_listed_kernels",
    "test_matrices",
    "test_open_kernels",
    "test_parity",
    "test_partial_distance",
    "test_sampling",
    "test_statistics",
    "test_threads",
    "test_tree_kernels",
    "test_version",
}


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def piece(module: str) -> str:
    """Return the part of the package that a module belongs to; '' for the package itself."""
    return module.split(".")[1] if "." in module else ""


def place(module: str) -> int:
    """Return where a module stands in the order; the package's own front door stands last."""
    return ORDER.index(piece(module)) if piece(module) else len(ORDER)


def nodes(tree: ast.AST, skipped: tuple[type[ast.AST], ...]) -> Iterator[ast.AST]:
    """Yield all nodes but those of some types and those under ``if TYPE_CHECKING``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, skipped):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield from nodes(other, skipped)
            continue
        yield node
        yield from nodes(node, skipped)


def imports(path: Path, *skipped: type[ast.AST]) -> Iterator[str]:
    """Yield the full name of all that a file imports, also inside functions."""
    here = module_name(path).split(".") if path.is_relative_to(PACKAGE) else []
    package = here if path.name == "__init__.py" else here[:-1]
    for node in nodes(ast.parse(path.read_text()), skipped):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = [*base, *(node.module or "").split(".")] if node.module else base
            # a name may be a module of its own: "from .. import criteria"
            yield from (".".join([*base, alias.name]) for alias in node.names)


def imported_packages(path: Path, *skipped: type[ast.AST]) -> set[str]:
    return {name.split(".")[0] for name in imports(path, *skipped)}


def own_imports(path: Path) -> list[str]:
    return [name for name in imports(path) if name.split(".")[0] == "fastgmm"]


IDS = [str(path.relative_to(PACKAGE)) for path in SOURCES]
each_source = pytest.mark.parametrize("path", SOURCES, ids=IDS)


def test_every_folder_has_a_place():
    pieces = {piece(module_name(path)) for path in SOURCES} - {""}
    assert pieces <= set(ORDER)
    assert set(ORDER) == pieces


def test_few_modules_lie_at_the_top():
    assert len(list(PACKAGE.glob("*.py"))) <= MAX_TOP_LEVEL


@each_source
def test_imports_point_downward(path):
    """Front doors that name modules as strings load what users ask for, and import nothing."""
    here = module_name(path)
    own = own_imports(path)
    if not piece(here):
        assert own == ["fastgmm._versions.__version__"]
        return
    for name in own:
        assert place(name) <= place(here) or (here, name) in UPWARD, f"{here} imports {name}"


@each_source
def test_nothing_imports_an_edge(path):
    here = module_name(path)
    if piece(here) in COMMAND_LINE:
        return
    for name in own_imports(path):
        is_own = piece(name) == piece(here) or (here, name) in UPWARD
        assert is_own or piece(name) not in EDGES, f"{here} imports {name}"


def test_embed_stands_on_kernels_and_models_alone():
    for path in (PACKAGE / "embed").rglob("*.py"):
        allowed = {"embed", "_kernels", "_versions", "data", "model"}
        assert {piece(name) for name in own_imports(path)} <= allowed, path.name


@each_source
def test_scikit_learn_is_imported_by_upper_folders_only(path):
    """But inside functions that need it: its sample images are built-in data."""
    here = module_name(path)
    if "sklearn" in imported_packages(path, ast.FunctionDef):
        assert place(here) >= ORDER.index("init")
    elif "sklearn" in imported_packages(path):
        assert place(here) >= ORDER.index("init") or here == "fastgmm.data.sample_data"


@pytest.mark.parametrize("path", sorted(TESTS.glob("*.py")), ids=lambda path: path.stem)
def test_tests_import_public_names(path):
    for name in own_imports(path):
        private = [part for part in name.split(".") if re.match("_(?!_)", part)]
        if path.stem in KERNEL_TESTS and name.startswith("fastgmm._kernels"):
            continue
        assert not private, f"{path.name} imports {name}"


@each_source
def test_numba_is_imported_by_its_backend_and_its_door_only(path):
    if imported_packages(path) & {"numba", "llvmlite"}:
        # functions that users write for Numba are compiled by it in either backend
        homes = ("fastgmm._kernels._numba", "fastgmm.embed.numba", "fastgmm._kernels.callbacks")
        assert module_name(path).startswith(homes)


@each_source
def test_backends_know_nothing_of_each_other(path):
    for own, other in (("_numba", "_cython"), ("_cython", "_numba")):
        if module_name(path).startswith(f"fastgmm._kernels.{own}"):
            for name in imports(path):
                assert not name.startswith(f"fastgmm._kernels.{other}")


@each_source
def test_length_of_files(path):
    n_lines = len(path.read_text().splitlines())
    assert n_lines <= MAX_LINES, f"{path.name} has {n_lines} lines"


def test_import_is_light(run_python):
    script = """
import sys
import fastgmm
assert sorted(fastgmm.__all__) == dir(fastgmm)
print(sorted({"numba", "sklearn", "scipy", "joblib", "pandas"} & set(sys.modules)))
"""
    assert run_python(script).strip() == "[]"


def test_unknown_name():
    with pytest.raises(
        AttributeError, match="module 'fastgmm' has no attribute 'GaussianMixtures'"
    ):
        fastgmm.GaussianMixtures  # noqa: B018


def test_every_public_name_loads():
    for module in (fastgmm, em):
        for name in module.__all__:
            assert getattr(module, name) is not None


def public_objects() -> Iterator[str]:
    """Yield the import path of public functions, classes, and methods defined in this package."""
    for module in (fastgmm, em):
        for name in module.__all__:
            try:
                value = getattr(module, name)
            except ImportError:  # test_every_public_name_loads reports it
                continue
            if not callable(value):
                continue
            yield f"{module.__name__}.{name}"
            if inspect.isclass(value):
                for method, function in inspect.getmembers(value, inspect.isfunction):
                    if not method.startswith("_") and function.__module__.startswith("fastgmm"):
                        yield f"{module.__name__}.{name}.{method}"


# missing docstring or summary; undocumented, unknown, misordered or untyped parameters; no returns
FAULTS = {"GL08", "SS01", "SS03", "SS04", "SS05", "SS06", "PR01", "PR02", "PR03", "PR04", "RT01"}


# what a method that overrides another need not say again
INHERITED = {"PR01", "RT01"}


def faults(name: str) -> set[str]:
    return {error[0] for error in numpydoc.validate.validate(name)["errors"]} & FAULTS


def overridden(name: str) -> Iterator[str]:
    """Yield the import paths of the methods of this package that a method overrides."""
    parent, method = name.rsplit(".", 1)
    module, _, class_name = parent.rpartition(".")
    value = getattr(importlib.import_module(module), class_name, None) if module else None
    for base in value.__mro__[1:] if inspect.isclass(value) else ():
        if method in vars(base) and base.__module__.startswith("fastgmm"):
            yield f"{base.__module__}.{base.__qualname__}.{method}"


@pytest.mark.parametrize("name", list(public_objects()))
def test_public_docstrings(name):
    found = faults(name)
    for base in overridden(name) if found & INHERITED else ():
        found -= INHERITED - faults(base)
    assert not found


@each_source
def test_everything_public_has_a_docstring(path):
    name = module_name(path)
    if "__main__" in path.name or name.startswith("fastgmm._kernels._numba"):
        return
    if name.startswith("fastgmm.embed.numba"):
        skip_without("numba")
    if name.startswith("fastgmm._kernels._cython"):
        skip_without("cython")
    module = importlib.import_module(name)
    assert module.__doc__
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(value) or inspect.isclass(value):
            assert inspect.getdoc(value), f"{module.__name__}.{name}"
