"""The two backends have the same files, and in each the same functions."""

import ast
import re
from pathlib import Path

import pytest

import fastgmm

KERNELS = Path(fastgmm.__file__).parent / "_kernels"
SOURCES = Path(__file__).parent.parent / "fastgmm" / "_kernels"

#: Files without a counterpart.
ALONE = {
    "__init__": "a package",
    "arguments": "structures and pointers of Python objects, which Numba unpacks itself",
    "backend": "Python functions in both; compared below",
    "fast_compile": "Numba's private parts",
    "jit": "compile flags; those of Cython stand in setup.py",
    "levels": "which instruction set runs; Numba compiles for the processor at hand",
    "launch": "threads, which Cython's prange takes by itself",
    "primitives": "LLVM code for what C has as an operator or a function",
    "switch": "whether fast_compile is used",
    "c_api": "the functions of fastgmm.h",
    "c_calls": "the functions of fastgmm.h",
    "c_statistics": "the functions of fastgmm.h",
    "lanes": "vectors of eight components, for point",
    "point": "single points, for the functions of fastgmm.h",
    "cpu": "which instruction sets the processor has, for levels",
}
#: Functions without a counterpart, but for those that Numba chooses by the type of ``packed``.
NUMBA_ALONE = {
    "chains": {"_walk_with": "a loop that is compiled for a log-density"},
    "listed": {
        "_constructor": "a constructor for each type of packed components",
    },
    "mean_field": {"_ascend_with": "a loop that is compiled for a gradient"},
    "load": {"_load_contiguous": "C takes the address of a row; Numba needs a flat array"},
    "layout": {"_second_stride": "an offset, chosen by type"},
    "moments": {"_tile_row": "an offset, chosen by type"},
    "scratch": {
        "_advance": "a part cannot return an array; in C _take does it",
        "new_scratch": "for users: scratch that owns its memory",
    },
}
CYTHON_ALONE = {
    "chains": {"_walk": "the loop of _walk_with, for a log-density by its address"},
    "incomplete": {
        "_lay_out": "memory, which Numba's slots divide themselves",
    },
    "mean_field": {
        "_ascend": "the loop of _ascend_with, for a gradient by its address",
        "_estimate": "a part of that loop",
    },
    "passes": {"constants": "checked against layout.py by a test"},
    "sums": {"_add_half_tile": "a smaller tile for 16 vector registers, LLVM's own choice"},
}
CHOOSERS = {"by_covariance_type", "by_dimension", "by_precision"}
DEFINITION = re.compile(
    r"^(?:cdef|cpdef|def)\s+(?:public\s+|inline\s+)*(?:[\w*\s]+?[\s*])?(\w+)\(", re.MULTILINE
)


def cython_functions(path: Path) -> set[str]:
    names = DEFINITION.findall(path.read_text())
    return {name.removeprefix("fastgmm_") for name in names}


def is_choice(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and getattr(value.func, "id", "") in CHOOSERS


def numba_functions(path: Path) -> tuple[set[str], set[str]]:
    """Return the functions of a file, and those that one of them stands for, by type."""
    names, chosen = set(), set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign) and is_choice(node.value):
            names.add(node.targets[0].id)
            chosen |= {keyword.value.id for keyword in node.value.keywords}
    return names, chosen


def stems(backend: str, ending: str) -> set[str]:
    return {path.stem for path in (SOURCES / backend).glob(f"*.{ending}")} - set(ALONE)


@pytest.fixture(autouse=True)
def has_sources() -> None:
    if not (SOURCES / "_cython" / "passes.pyx").exists():
        pytest.skip("no sources of the Cython kernels beside these tests")


def test_files_are_the_same():
    assert stems("_numba", "py") == stems("_cython", "pyx")


def test_exceptions_are_of_files_that_exist():
    files = {path.stem for path in (*SOURCES.glob("*/*.py"), *SOURCES.glob("*/*.pyx"))}
    assert {*ALONE, *NUMBA_ALONE, *CYTHON_ALONE} <= files


FILES = sorted(path.stem for path in (KERNELS / "_numba").glob("*.py") if path.stem not in ALONE)


@pytest.mark.parametrize("name", FILES)
def test_functions_are_the_same(name):
    numba, chosen = numba_functions(SOURCES / "_numba" / f"{name}.py")
    cython = cython_functions(SOURCES / "_cython" / f"{name}.pyx")
    assert numba - cython - chosen == set(NUMBA_ALONE.get(name, ()))
    assert cython - numba == set(CYTHON_ALONE.get(name, ()))


#: Arguments that are no arrays: numbers, and functions.
NUMBERS = {
    *(
        "at",
        "c2",
        "cls",
        "c3",
        "high",
        "in_order",
        "iteration",
        "k0",
        "k1",
        "log_joint",
        "low",
        "n",
    ),
    *("log_joint_gradient", "n_states", "place", "sample", "scale", "seed"),
    *("K", "b", "band", "c0", "c1", "coefficient", "count", "cut", "d", "first", "groups", "k"),
    *("kind", "largest", "like", "lowest", "m", "mean", "most", "n_bytes", "n_components"),
    *("n_features", "n_repeats", "offset", "order", "p0", "s0", "seen", "selected", "size"),
    *(
        "half",
        "capacity",
        "chunk",
        "is_full",
        "shift",
        "smallest",
        "start",
        "step",
        "stop",
        "stride",
        "t",
        "used",
        "value",
        "room",
    ),
    *("height", "last", "n_some", "score", "with_moments", "width", "x"),
}
#: The same, by file, where others have arrays of these names.
NUMBERS_OF = {"candidates": {"block", "w"}, "groups": {"w"}}
SCRATCH = {"rows", "values", "words", "weight", "waiting"}
DIRECTION = re.compile(r"^\s*([\w, ]+?)\s{2,}(?:IN OUT|IN|OUT|ADDS TO)\b", re.MULTILINE)


@pytest.mark.parametrize("name", FILES)
def test_arguments_are_few_and_have_directions(name):
    """What is chosen by type is described where it is chosen."""
    path = SOURCES / "_numba" / f"{name}.py"
    _, chosen = numba_functions(path)
    for node in ast.parse(path.read_text()).body:
        if not isinstance(node, ast.FunctionDef) or node.name in chosen:
            continue
        arguments = {argument.arg for argument in node.args.args}
        assert len(arguments) <= 10, node.name
        text = ast.get_docstring(node) or ""
        named = set(re.findall(r"\w+", " ".join(DIRECTION.findall(text))))
        if named & SCRATCH or "of the scratch" in text:
            named.add("scratch")
        arrays = arguments - NUMBERS - NUMBERS_OF.get(name, set())
        assert arrays <= named, f"{node.name}: {sorted(arrays - named)}"
