"""The C header: it compiles everywhere, and no structure changes without a new version."""

import ctypes
import re
import subprocess
import sysconfig
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest
from backends import skip_without
from compilers import skip_without_compiler, skip_without_extensions
from generators import mixture

from fastgmm.embed import CModel, addresses, c_functions, get_include

HEADER = Path(get_include()) / "fastgmm.h"
RECORDS = Path(__file__).parent / "data"
STRICT = ["-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only"]


#: the structures, and their bytes where pointers have 8
SIZES = {"fastgmm_model": 136, "fastgmm_integrand": 24, "fastgmm_api": 176}


def declarations():
    """Return constants, structures and functions of the header, without comments, one to a line."""
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.DOTALL)
    pattern = r"^enum \{.*?\};|^typedef struct \w+ \{.*?^\} \w+;|^static inline .*?\)$"
    found = re.findall(pattern, text, re.DOTALL | re.MULTILINE)
    return [" ".join(declaration.split()) for declaration in found]


def version():
    return int(re.search(r"#define FASTGMM_API_VERSION (\d+)", HEADER.read_text())[1])


def test_every_version_is_recorded():
    sizes = [f"{name} {size} bytes" for name, size in SIZES.items()]
    current = "\n".join(declarations() + sizes) + "\n"
    record = RECORDS / f"c_api_{version()}.txt"
    assert record.exists(), f"write to {record.name}:\n{current}"
    assert record.read_text() == current, "raise FASTGMM_API_VERSION: a structure has changed"


def test_all_structures_are_recorded():
    names = {re.search(r"(\w+);$", line)[1] for line in declarations() if "typedef" in line}
    assert names == set(SIZES)


def test_all_functions_are_recorded():
    text = HEADER.read_text()
    found = {re.search(r"(\w+)\(", line)[1] for line in declarations() if "inline" in line}
    assert found == set(re.findall(r"^static inline .*?(\w+)\(", text, re.MULTILINE))
    assert found == {"fastgmm_strerror", "fastgmm_import", "fastgmm_get_model"}


def test_ctypes_and_cython_declare_what_the_header_does():
    text = " ".join(declarations())
    pointers = re.findall(r"\(\*(\w+)\)", text)
    table = [field[0] for field in type(c_functions_or_skip())._fields_]
    assert table == ["version", "struct_size", *pointers]
    pxd = (Path(get_include()).parent / "__init__.pxd").read_text()
    assert re.findall(r"\(\*(\w+)\)", pxd) == pointers
    for name in re.findall(r"FASTGMM_[A-Z_]+(?= = -?\d)", text):
        assert name in pxd


def c_functions_or_skip():
    skip_without("cython")
    return c_functions()


def test_sizes_are_those_of_the_compiler(tmp_path):
    skip_without_compiler("gcc")
    source = tmp_path / "sizes.c"
    sizes = ", ".join(f"(int)sizeof({name})" for name in SIZES)
    source.write_text(
        '#include <stdio.h>\n#include "fastgmm.h"\nint main(void) {\n'
        f'printf("%d %d %d %d\\n", {sizes}, FASTGMM_API_VERSION); return 0; }}\n'
    )
    program = tmp_path / "sizes"
    command = ["gcc", "-I", get_include(), str(source), "-o", str(program)]
    subprocess.run(command, check=True)
    *sizes, number = map(int, subprocess.check_output([str(program)]).split())
    model, _, api = sizes
    if ctypes.sizeof(ctypes.c_void_p) == 8:
        assert sizes == list(SIZES.values())
    functions = c_functions_or_skip()
    assert (functions.version, functions.struct_size) == (number, api)
    assert ctypes.sizeof(functions) == api
    c_model = CModel(mixture("full", 2, 3))
    head = (ctypes.c_uint32 * 2).from_address(c_model.address)
    assert list(head) == [number, model]


MODULE = """
#include <Python.h>
#include "fastgmm.h"
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "compiled", NULL, -1, NULL, NULL, NULL,
                                    NULL, NULL};
PyMODINIT_FUNC PyInit_compiled(void)
{
    return fastgmm_import() == NULL ? NULL : PyModule_Create(&module);
}
"""


@pytest.mark.parametrize("later", [0, 1])
def test_a_module_for_another_version_is_refused(later, tmp_path):
    c_functions_or_skip()
    skip_without_extensions()
    line = "#define FASTGMM_API_VERSION {}\n".format
    header = HEADER.read_text().replace(line(version()), line(version() + later))
    (tmp_path / "fastgmm.h").write_text(header)
    (tmp_path / "compiled.c").write_text(MODULE)
    path = tmp_path / "compiled.so"
    includes = ["-I", str(tmp_path), "-I", sysconfig.get_path("include")]
    command = ["gcc", "-shared", "-fPIC", *includes, str(tmp_path / "compiled.c"), "-o", str(path)]
    subprocess.run(command, check=True)
    spec = spec_from_loader("compiled", ExtensionFileLoader("compiled", str(path)))
    if later:
        with pytest.raises(ImportError, match=f"version {version() + 1} of fastgmm.h, but the"):
            module_from_spec(spec)
    else:
        assert module_from_spec(spec).__name__ == "compiled"


def test_addresses_are_those_of_the_table():
    table = c_functions_or_skip()
    found = addresses()
    assert found["api"] == ctypes.addressof(table)
    assert len(set(found.values())) == len(type(table)._fields_) - 1
    pointers = (ctypes.c_void_p * (len(found) - 1)).from_address(found["api"] + 8)
    assert list(pointers) == list(found.values())[1:]


@pytest.mark.parametrize("python", [False, True])
@pytest.mark.parametrize(
    "compiler, options",
    [("gcc", "-std=c99"), ("clang", "-std=c99"), ("g++", "-std=c++17"), ("clang++", "-std=c++17")],
)
def test_header_compiles_without_warnings(compiler, options, python, tmp_path):
    skip_without_compiler(compiler, options)
    before, includes = "", ["-I", get_include()]
    if python:
        skip_without_extensions()
        before = "#include <Python.h>\n"
        includes += ["-isystem", sysconfig.get_path("include")]  # without its warnings
    language = "c++" if "++" in compiler else "c"
    source = tmp_path / "source.txt"
    source.write_text(f'{before}#include "fastgmm.h"\n#include "fastgmm.h"\nint fastgmm_nothing;\n')
    command = [compiler, options, *STRICT, *includes, "-x", language, str(source)]
    outcome = subprocess.run(command, capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stderr
