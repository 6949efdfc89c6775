"""Fast compilation and the disk cache of the Numba backend: the same bits, or else one warning."""

import ast
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from backends import skip_without
from marks import slow_alone

import fastgmm

PACKAGE = Path(fastgmm.__file__).parent
LAYER = PACKAGE / "_kernels" / "_numba" / "fast_compile.py"


@pytest.fixture(autouse=True)
def _numba():
    skip_without("numba")


@pytest.fixture
def run(run_python, tmp_path):
    """Run a script with Numba and a disk cache of its own; return the lines that it prints."""

    def run(*parts, **environment):
        variables = {
            "FASTGMM_BACKEND": "numba",
            "FASTGMM_FAST_COMPILE": None,
            "NUMBA_DISABLE_JIT": None,
            "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
            **environment,
        }
        return run_python("\n".join(parts), **variables).splitlines()

    return run


# normalises with the smallest kernel, and prints the warnings
NORMALIZE = """
import warnings
import numpy as np
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from fastgmm import _kernels
    for _ in range(2):
        resp, norm = np.zeros((600, 4)), np.full(600, np.nan)
        _kernels.normalize(resp, norm, 1)
        assert (resp == 0.25).all()
        assert np.allclose(norm, np.log(4.0), rtol=1e-15, atol=0.0)
for warning in caught:
    print(warning.category.__name__, warning.message)
"""

# fits one feature, and prints the warnings
FIT = """
import warnings
import numpy as np
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from fastgmm import GaussianMixture
    X = np.concatenate([np.linspace(-1.0, 1.0, 101), np.linspace(99.0, 101.0, 101)])[:, None]
    model = GaussianMixture(
        2, covariance_type="spherical", means_init=[[0.0], [100.0]], weights_init=[0.5, 0.5],
        precisions_init=[1.0, 1.0], reg_covar=0.0, n_jobs=2,
    ).fit(X)
    assert np.allclose(model.means_, [[0.0], [100.0]], rtol=0, atol=1e-12), model.means_
    assert np.allclose(model.covariances_, 0.34, rtol=1e-12), model.covariances_
    assert (model.predict(X) == np.repeat([0, 1], 101)).all()
for warning in caught:
    if issubclass(warning.category, RuntimeWarning):
        print(warning.category.__name__, warning.message)
"""

# The bits of kernels, in hexadecimal digits of a digest.
DIGEST = """
import hashlib, sys
sys.path.insert(0, {tests!r})
from kernel_cases import call, outputs, values
from fastgmm import _kernels as kernels

def digest(kernel, covariance_type, *shape, dtype="float64"):
    given = values(kernel, covariance_type, *shape, dtype=dtype)
    after = call(kernels, kernel, covariance_type, given)
    bits = b"".join(after[name].tobytes() for name in outputs(kernel))
    print(hashlib.sha256(bits).hexdigest())
""".replace("{tests!r}", repr(str(Path(__file__).parent)))


# with the layer and without


def same_bits(run, script):
    fast = run(DIGEST, script, NUMBA_CACHE_DIR="fast")
    slow = run(DIGEST, script, FASTGMM_FAST_COMPILE="0", NUMBA_CACHE_DIR="slow")
    assert fast
    assert fast == slow


@pytest.mark.slow
def test_the_layer_is_switched_off_in_silence(run):
    """And its results are the same bits."""
    script = """
import hashlib
from fastgmm._kernels._numba.switch import switch
resp, norm = np.random.default_rng(0).normal(size=(2100, 5)), np.full(2100, np.nan)
_kernels.normalize(resp, norm, 1)
print(hashlib.sha256(resp.tobytes() + norm.tobytes()).hexdigest(), switch.is_on)
"""
    (fast,) = run(NORMALIZE, script)
    (slow,) = run(NORMALIZE, script, FASTGMM_FAST_COMPILE="0")
    assert fast.split()[1] == "True"
    assert slow.split() == [fast.split()[0], "False"]


@pytest.mark.slow
def test_the_layer_changes_no_bit_of_one_feature(run):
    same_bits(run, "digest('accumulate', 'spherical', 1300, 1, 3)")


@pytest.mark.slow
@pytest.mark.numba_alone
@pytest.mark.parametrize(
    "kernel, covariance_type, dtypes",
    [
        ("accumulate", "full", ("float64", "float32")),
        ("posterior", "full", ("float64",)),
        ("moments", "full", ("float64",)),
        ("accumulate", "tied", ("float64",)),
    ],
)
def test_the_layer_changes_no_bit_of_any_type(run, kernel, covariance_type, dtypes):
    script = f"""
for dtype in {dtypes}:
    for d in (2, 5, 17):
        digest({kernel!r}, {covariance_type!r}, 2100, d, 7, dtype=dtype)
"""
    same_bits(run, script)


def test_a_switch_has_two_positions(run):
    script = """
try:
    from fastgmm import _kernels
    _kernels.backend_info()
except ImportError as error:
    print(error)
"""
    message = "FASTGMM_FAST_COMPILE must be 0 or 1, got '2'."
    assert run(script, FASTGMM_FAST_COMPILE="2") == [message]


@pytest.mark.slow
@pytest.mark.parametrize(
    "version", ["0.99.0", pytest.param("1.0.0rc1", marks=pytest.mark.numba_alone)]
)
def test_a_version_that_nobody_has_tested(run, version):
    script = f"import numba; numba.__version__ = {version!r}"
    (line,) = run(script, NORMALIZE)
    assert line.startswith("RuntimeWarning fastgmm compiles its kernels without its fast layer: ")
    assert f"it has not been tested with Numba {version}." in line


# what is private to Numba


def test_private_names_stand_in_one_file():
    """So that a new version of Numba can break nothing but speed."""
    undocumented = (
        "_dynfunc", "JITCodeLibrary", "_module_pass_manager", "global_compiler_lock", "_cache_file",
        "fndesc", "insert_user_function", "pipeline_class", "CompilerBase", "DefaultPassBuilder",
        "compiler_machinery", "typed_passes", "codegen._", "no_cpython_wrapper", "no_cfunc_wrapper",
        "_library_class", "set_env", "get_executable", "_source_stamp", "numba.core.lowering",
        "numba.core.compiler", "numba.core.codegen", "numba.core.caching", "no_compile",
    )  # fmt: skip
    for path in PACKAGE.rglob("*.py"):
        if path == LAYER:
            continue
        text = path.read_text()
        found = [name for name in undocumented if name in text]
        found += [name for name in imports_of(ast.parse(text)) if "._" in name]
        assert not found, f"{path.relative_to(PACKAGE)}: {found}"


def imports_of(tree: ast.AST) -> Iterator[str]:
    """Yield what is imported from Numba and llvmlite, by its full name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] in ("numba", "llvmlite"))


#: Attributes in the layer that belong to Python, to what it imports from there, and to itself.
OWN_ATTRIBUTES = {
    "PyErr_NoMemory", "__class__", "__eq__", "__init__", "__name__", "_place", "_replace",
    "_report", "c_void_p", "cast", "digest", "extend", "from_bytes", "get", "items", "name",
    "needs", "parent", "pop", "pythonapi", "read_bytes", "register_at_fork", "replaced", "rglob",
    "run", "sha256", "twin", "update", "value",
}  # fmt: skip

#: What the layer uses of Numba and llvmlite that is private or undocumented, by its owner.
USED = {
    "llvmlite.binding": ["Linkage", "create_pass_builder", "create_pipeline_tuning_options"],
    "llvmlite.binding, what it returns": [
        "clone", "external", "functions", "getModulePassManager", "is_declaration", "link_in",
        "linkage", "loop_unrolling", "loop_vectorization", "verify",
    ],
    "numba": ["_dynfunc", "types"],
    "numba._dynfunc": ["make_function"],
    "numba.core": ["config", "lowering"],
    "numba.core.config": ["LOOP_VECTORIZE", "OPT"],
    "numba.core.types": [
        "Array", "Float", "Integer", "IntegerLiteral", "dtype", "layout", "literal_value", "ndim",
        "uint64",
    ],
    "numba.core.codegen": ["JITCPUCodegen", "JITCodeLibrary"],
    "numba.core.codegen.JITCodeLibrary": [
        "_codegen", "_ensure_finalized", "_final_module", "_finalize_dynamic_globals",
        "_finalize_final_module", "_finalized", "_get_module_for_linking", "_linking_libraries",
        "_optimize_final_module", "_raise_if_finalized", "_reload_init", "_shared_module",
        "enable_object_caching", "finalize", "get_pointer_to_function",
    ],
    "numba.core.codegen.CPUCodegen": ["_library_class", "_tm", "set_env"],
    "numba.core.compiler": ["CompilerBase", "DefaultPassBuilder", "Flags"],
    "numba.core.compiler.CompilerBase": ["define_pipelines", "state"],
    "numba.core.compiler.DefaultPassBuilder": ["define_nopython_pipeline", "passes"],
    "numba.core.compiler.Flags": [
        "_values", "no_cfunc_wrapper", "no_compile", "no_cpython_wrapper", "nrt",
    ],
    "numba.core.compiler.StateDict": [
        "env", "flags", "fndesc", "func_id", "func_qualname", "library", "lookup_module",
        "qualname", "reload_init", "targetctx",
    ],
    "numba.core.compiler_lock": ["acquire", "global_compiler_lock", "release"],
    "numba.core.compiler_machinery": ["register_pass"],
    "numba.core.cpu.CPUContext": [
        "codegen", "data_model_manager", "get_constant", "get_executable", "get_field_position",
        "insert_user_function",
    ],
    "numba.core.registry": ["CPUDispatcher"],
    "numba.core.registry.CPUDispatcher": ["_cache"],
    "numba.core.caching": ["_cache_file", "_source_stamp", "load_overload", "save_overload"],
    "numba.core.lowering": ["Lower"],
    "numba.core.lowering.Lower": [
        "builder", "context", "extract_value", "gep", "load", "loadvar", "lower_getitem",
        "lower_setitem", "store", "typeof",
    ],
    "numba.core.typed_passes": ["NativeLowering", "NativeParforLowering"],
    "numba.core.typed_passes.NativeLowering": ["lowering_class", "run_pass"],
}  # fmt: skip

# Reads the layer as it would be if nobody but itself knew a name: run first in a process.
TAKE_AWAY = """
import ast, importlib.machinery, importlib.util, sys

MISSING = {name!r}

class Renamer(ast.NodeTransformer):
    def generic_visit(self, node):
        super().generic_visit(node)
        for field in ("attr", "name"):
            if getattr(node, field, None) == MISSING and not isinstance(node, ast.ClassDef):
                if isinstance(node, ast.alias):
                    node.asname = node.asname or MISSING
                setattr(node, field, MISSING + "_is_gone")
        if isinstance(node, ast.Constant) and node.value == MISSING:
            node.value = MISSING + "_is_gone"
        return node

class Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname):
        tree = Renamer().visit(ast.parse(self.get_data(self.path)))
        return compile(ast.fix_missing_locations(tree), self.path, "exec")

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.endswith("._numba.fast_compile"):
            return importlib.util.spec_from_loader(name, Loader(name, path[0] + "/fast_compile.py"))

sys.meta_path.insert(0, Finder())
"""


def take_away(name):
    return TAKE_AWAY.replace("{name!r}", repr(name))


def used():
    return sorted({(owner, name) for owner, names in USED.items() for name in names})


def test_all_that_the_layer_uses_is_known():
    tree = ast.parse(LAYER.read_text())
    listed = {f"{owner}.{name}" for owner, name in used()}
    imported = set(imports_of(tree))
    assert not imported - listed - {"llvmlite.binding"}
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names = {name for _, name in used()}
    assert not attributes - OWN_ATTRIBUTES - names, "used, but not listed"
    assert not names & OWN_ATTRIBUTES
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    aliases = {name.split(".")[-1] for name in imported}
    assert not names - attributes - strings - functions - aliases, "listed, but not used"


@pytest.mark.slow
@pytest.mark.numba_alone
@pytest.mark.parametrize("name", sorted({name for _, name in used()}))
def test_without_a_name_the_result_is_right(run, name):
    """Numba compiles as usual, or does without the cache on disk, and says what is missing."""
    lines = run(take_away(name), NORMALIZE)
    assert len(lines) <= 1
    for line in lines:
        assert line.startswith("RuntimeWarning ")
        assert name in line


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["make_function", pytest.param("_tm", marks=pytest.mark.numba_alone)]
)
def test_a_name_that_the_layer_misses(run, name):
    (line,) = run(take_away(name), NORMALIZE)
    assert line.startswith("RuntimeWarning fastgmm compiles its kernels without its fast layer: ")
    assert name in line


@pytest.mark.slow
@pytest.mark.parametrize(
    "gone, warning",
    [
        pytest.param(
            "from numba.core import codegen; del codegen.JITCodeLibrary",
            "'JITCodeLibrary'",
            marks=pytest.mark.slow,
        ),
        (
            """
from numba.core.caching import IndexDataCacheFile as File
old = File.__init__
def new(self, *arguments, **named):
    old(self, *arguments, **named)
    del self._source_stamp
File.__init__ = new
""",
            "Numba cannot use its cache on disk: IndexDataCacheFile has no _source_stamp.",
        ),
    ],
    ids=["JITCodeLibrary", "_source_stamp"],
)
def test_a_name_that_numba_has_lost(run, gone, warning):
    (line,) = run(gone, NORMALIZE)
    assert warning in line


# the cache on disk

# how often a function was found on disk, and how often it was compiled
COUNT = """
from fastgmm._kernels._numba import passes
stats = passes.normalize.stats
print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


def cached_files(tmp_path, ending):
    return sorted((tmp_path / "cache").rglob(f"*{ending}"))


def test_the_second_process_finds_the_kernels_on_disk(run):
    assert run(NORMALIZE, COUNT) == ["0 1"]
    assert run(NORMALIZE, COUNT) == ["1 0"]


@pytest.mark.slow
def test_the_layer_has_a_cache_of_its_own(run):
    assert run(NORMALIZE, COUNT) == ["0 1"]
    assert run(NORMALIZE, COUNT, FASTGMM_FAST_COMPILE="0") == ["0 1"]
    assert run(NORMALIZE, COUNT, FASTGMM_FAST_COMPILE="0") == ["1 0"]


def only_the_cache_is_missed(lines):
    (line,) = lines
    assert line.startswith("RuntimeWarning Numba cannot use its cache on disk: ")
    assert "set NUMBA_CACHE_DIR to a folder that can be written" in line


@pytest.mark.slow
def test_no_locator(run):
    """As in a frozen application: Numba knows of no place for a cache."""
    script = "from numba.core import caching; caching.CacheImpl._locator_classes = []"
    only_the_cache_is_missed(run(script, NORMALIZE))


# root may write anywhere, unless it gives up its right to override permissions
WITHOUT_RIGHTS = """
import ctypes, os, sys
if os.getuid() == 0:
    libc = ctypes.CDLL(None)
    drop, override, read_all, owner = 24, 1, 2, 3
    for right in (override, read_all, owner):
        assert libc.prctl(drop, right, 0, 0, 0) == 0
os.execv(sys.executable, [sys.executable, "-c", {script!r}])
"""


@pytest.fixture
def read_only_package(tmp_path):
    """Return a folder with a copy of the package; neither can be written to."""
    folder = tmp_path / "package"
    shutil.copytree(PACKAGE, folder / "fastgmm", ignore=shutil.ignore_patterns("__pycache__"))
    paths = [folder, *folder.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in paths:
        path.chmod(0o755)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other rights of root")
@pytest.mark.parametrize("script", [NORMALIZE, pytest.param(FIT, marks=pytest.mark.slow)])
def test_an_account_without_a_home(run, read_only_package, script):
    """The package lies where this account may read, and not write."""
    first = f"import sys; sys.path.insert(0, {str(read_only_package)!r})\n"
    last = "\nimport fastgmm; print(fastgmm.__file__)"
    *lines, path = run(
        WITHOUT_RIGHTS.replace("{script!r}", repr(first + script + last)),
        HOME=str(read_only_package),
        XDG_CACHE_HOME=None,
        PYTHONDONTWRITEBYTECODE="1",
        NUMBA_CACHE_DIR=None,
    )
    assert path == str(read_only_package / "fastgmm" / "__init__.py")
    only_the_cache_is_missed(lines)


FULL_DISK = """
import errno
from numba.core import caching
def save(*_):
    raise OSError(errno.ENOSPC, "No space left on device")
caching.IndexDataCacheFile.save = save
"""


@pytest.mark.slow
def test_full_disk(run):
    (line,) = run(FULL_DISK, NORMALIZE)
    assert "No space left on device" in line
    only_the_cache_is_missed([line])


READ_ONLY = """
import errno
from numba.core import caching
def refuse(self, *_):
    raise PermissionError(errno.EACCES, "Permission denied")
caching.IndexDataCacheFile._open_for_write = refuse
"""


@pytest.mark.slow
def test_read_only_cache(run):
    """What was kept is used, and what was not is compiled again."""
    only_the_cache_is_missed(run(READ_ONLY, NORMALIZE))
    assert run(NORMALIZE, COUNT) == ["0 1"]
    assert run(READ_ONLY, NORMALIZE, COUNT) == ["1 0"]


DAMAGES = {
    "cut short": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "garbage": lambda content: bytes(range(256)) * (len(content) // 256 + 1),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage, ending",
    [
        ("cut short", ".nbi"),
        ("garbage", ".nbc"),
        *slow_alone(
            ("empty", ".nbi"), ("garbage", ".nbi"), ("cut short", ".nbc"), ("empty", ".nbc")
        ),
    ],
)
def test_damaged_cache(run, tmp_path, damage, ending):
    run(NORMALIZE)
    paths = [path for path in cached_files(tmp_path, ending) if "normalize" in path.name]
    assert paths
    for path in paths:
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    lines = run(NORMALIZE)
    assert len(lines) <= 1
    if lines:
        only_the_cache_is_missed(lines)
    # a later process has a cache that works, here or in another folder
    later = str(tmp_path / "new") if lines else str(tmp_path / "cache")
    assert run(NORMALIZE, COUNT, NUMBA_CACHE_DIR=later) in (["0 1"], ["1 0"])


@pytest.mark.slow
def test_a_changed_callee_is_compiled_anew(run, tmp_path):
    """Also where the time and the size of its file stay: Python's own cache goes by these."""
    folder = tmp_path / "package"
    shutil.copytree(PACKAGE, folder / "fastgmm", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    first = f"import sys; sys.path.insert(0, {str(folder)!r})"
    assert run(first, NORMALIZE, COUNT, **environment) == ["0 1"]
    assert run(first, NORMALIZE, COUNT, **environment) == ["1 0"]
    path = folder / "fastgmm" / "_kernels" / "_numba" / "posterior.py"
    before, text = path.stat(), path.read_text()
    changed = text.replace("log_prob_norm[b] = offset + (", "log_prob_norm[b] = offset - (")
    assert changed != text
    path.write_text(changed)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    script = """
import numpy as np
from fastgmm import _kernels
resp, norm = np.zeros((600, 4)), np.full(600, np.nan)
_kernels.normalize(resp, norm, 1)
print(np.allclose(norm, -np.log(4.0)))
"""
    assert run(first, script, COUNT, **environment) == ["True", "0 1"]


# forks

FORK_AND_COMPILE = """
import os
import numpy as np
from fastgmm import _kernels

def normalize():
    log_prob = np.random.default_rng(0).normal(size=(20_000, 4))
    norm = np.full(20_000, np.nan)
    _kernels.normalize(log_prob, norm, 2)
    return log_prob.tobytes() + norm.tobytes()

before = normalize()
child = os.fork()
if child == 0:
    from fastgmm._kernels._numba import launch
    ran = []
    find = launch._find
    launch._find = lambda *what: ran.append(what) or find(*what)
    os._exit(0 if normalize() == before and ran == [("passes.normalize", True)] else 3)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status), normalize() == before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("fast", ["1", "0"])
def test_forked_child_compiles_a_pass_in_order(run, fast):
    assert run(FORK_AND_COMPILE, FASTGMM_FAST_COMPILE=fast) == ["0 True"]
