"""Compile the Cython kernels; all metadata but the version and what is required: pyproject.toml.

``FASTGMM_BACKEND`` (numba or cython) chooses the backend of a build from a checkout. A cython
build needs a C compiler and does not require numba. A numba build compiles the Cython kernels
too where it finds a compiler; otherwise it records why it has none.

A build that is not the default has a version of its own, as 0.2.0+cython. A source distribution
makes the default alone: pip keeps the wheel of a link, and does not look at variables when it
takes that wheel again.
"""

import hashlib
import os
import platform
import re
import runpy
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.metadata import version
from itertools import product
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError, CompileError, LinkError, PlatformError

# Numba 0.63 has no wheels for Intel Macs
IS_INTEL_MAC = sys.platform == "darwin" and platform.machine() == "x86_64"
DEFAULT_BACKEND = "cython" if IS_INTEL_MAC else "numba"
BACKEND = os.environ.get("FASTGMM_BACKEND", DEFAULT_BACKEND)
VERSION = re.findall(r'^__version__ = "(.+)"$', Path("fastgmm/_versions.py").read_text(), re.M)[0]
KERNELS = Path("fastgmm", "_kernels")
EMBED = Path("fastgmm", "embed")  # fastgmm.h, which the kernels implement
PACKAGE = "fastgmm._kernels._cython"

# Tried with 0.63 and 0.68; an unknown minor version compiles Numba's own way, and one such is
# allowed. To raise the bound: run the tests with the newest, in its own way and in ours.
NUMBA = "numba>=0.63,<0.70"
DEPENDENCIES = [
    "numpy>=2.0",
    "scipy>=1.13",
    "scikit-learn>=1.6",
    "joblib>=1.3",
    "threadpoolctl>=3.5",
]

# One module for each instruction set and type of blocks, from the same source; the import chooses.
IS_X86 = platform.machine().lower() in ("x86_64", "amd64") and sys.maxsize > 2**32
LEVELS = ["baseline", "v3", "v4"] if IS_X86 else ["baseline"]
# None of these assumes away NaN or infinity, and none is on the link line.
UNIX_FLAGS = ["-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
UNIX_FLAGS += ["-fvisibility=hidden"]
# sysconfig's flags ask for debug information: four of five bytes of a module
UNIX_NO_DEBUG = [] if "-g" in os.environ.get("CFLAGS", "").split() else ["-g0"]
UNIX_LEVEL_FLAGS = {
    "baseline": [],
    "v3": ["-march=x86-64-v3"],
    # the compilers' default is 256 bits
    "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
}
MSVC_LEVEL_FLAGS = {"baseline": [], "v3": ["/arch:AVX2"], "v4": ["/arch:AVX512"]}
# macros, by the type of the blocks
PRECISIONS = {"float64": [], "float32": [("FASTGMM_FLOAT32", "1")]}
# for sums.pyx alone: a sum may keep partial sums in vector lanes
UNIX_REASSOCIATE = ["-fassociative-math", "-fno-signed-zeros"]
# compile flags, link flags
UNIX_OPENMP = [
    (["-fopenmp"], ["-fopenmp"]),
    (["-Xpreprocessor", "-fopenmp"], ["-lomp"]),  # Apple's clang
]
PROGRAM = "int main(void) { return 0; }\n"
OPENMP_PROGRAM = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"


def module_name(level, precision):
    """Return the name of one module of kernels."""
    return f"passes_{level}_{precision}"


class BuildKernels(build_ext):
    """Build every level, record what was built, and fail only if a cython build cannot work."""

    def run(self):
        """Build what is not up to date, and write _build_config.py."""
        nothing = {"BACKEND": BACKEND, "LEVELS": {}, "MISSING": "", "COMPILER": "", "OPENMP": ""}
        config = nothing.copy()
        try:
            self._set_up_compiler()
            openmp = self._find_openmp()
            levels = [level for level in LEVELS if self._accepts(level)]
            config["LEVELS"] = {level: " ".join(self._flags(level)) for level in levels}
            config["COMPILER"] = self._compiler_version()
            config["OPENMP"] = " ".join(openmp[0]) if openmp else ""
            config["FINGERPRINT"] = self._fingerprint(config)
            if self.force or not self._is_built(levels, config["FINGERPRINT"]):
                self._config_path().unlink(missing_ok=True)  # until all of it is built
                self._build_all(levels, openmp)
        except (BaseError, CCompilerError, OSError) as error:
            reason = self._shorten(error)
            if BACKEND == "cython":
                message = f"FASTGMM_BACKEND=cython needs a working C compiler: {reason}"
                raise PlatformError(message) from error
            missing = f"no working C compiler when fastgmm was built: {reason}"
            config = {**nothing, "MISSING": missing}
            for extension in self.extensions:  # of an earlier build, or of this one
                Path(self.get_ext_fullpath(extension.name)).unlink(missing_ok=True)
            print(f"fastgmm: built without the Cython kernels, {missing}", file=sys.stderr)
        self._record(config)

    def _build_all(self, levels, openmp):
        if openmp is None:
            print("fastgmm: no OpenMP found, the Cython kernels are serial", file=sys.stderr)
        for level in set(LEVELS).difference(levels):
            print(f"fastgmm: this compiler knows no {level}", file=sys.stderr)
        sources = {name: self._translate(name) for name in ("passes", "sums")}
        modules = list(product(levels, PRECISIONS))
        n_jobs = self.parallel or os.cpu_count() or 1  # build_ext --parallel
        with ThreadPoolExecutor(n_jobs) as pool:
            list(pool.map(lambda module: self._build(*module, sources, openmp), modules))

    def _fingerprint(self, config):
        """Return a digest of all that the modules are made of."""
        made_of = [version("cython"), sysconfig.get_config_var("EXT_SUFFIX")]
        made_of += [config[name] for name in ("LEVELS", "COMPILER", "OPENMP")]
        made_of += [self.compiler.compiler_type, getattr(self.compiler, "compiler_so", "")]
        made_of += [getattr(self.compiler, "linker_so", "")]
        digest = hashlib.sha256(repr(made_of).encode())
        sources = [*(KERNELS / "_cython").glob("*.pyx"), *EMBED.rglob("*.pxd"), *EMBED.rglob("*.h")]
        for path in sorted([Path("setup.py"), *sources]):
            digest.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}".encode())
        return digest.hexdigest()

    def _is_built(self, levels, fingerprint):
        """Return whether every module is there, made of the same."""
        path = self._config_path()
        names = [
            f"{PACKAGE}.{module_name(level, precision)}"
            for level in levels
            for precision in PRECISIONS
        ]
        return (
            path.exists()
            and runpy.run_path(str(path)).get("FINGERPRINT") == fingerprint
            and all(Path(self.get_ext_fullpath(name)).exists() for name in names)
        )

    def _config_path(self):
        root = Path() if self.inplace else Path(self.build_lib)
        return root / KERNELS / "_build_config.py"

    def _set_up_compiler(self):
        # not setuptools._distutils, whose errors are not those of setuptools.errors
        from distutils.ccompiler import new_compiler
        from distutils.sysconfig import customize_compiler

        self.compiler = new_compiler(compiler=self.compiler, force=True)
        customize_compiler(self.compiler)
        if self.include_dirs:
            self.compiler.set_include_dirs(self.include_dirs)
        if self.library_dirs:
            self.compiler.set_library_dirs(self.library_dirs)
        self.is_msvc = self.compiler.compiler_type == "msvc"
        self._try(PROGRAM, [], [])

    def _shorten(self, error):
        """Return what failed, without the arguments that it was called with."""
        if isinstance(error, CCompilerError) and not self.is_msvc:
            return f"{self.compiler.compiler_so[0]} failed"
        return str(error)

    def _try(self, program, compile_flags, link_flags):
        """Raise unless the program compiles, and links as a module does (with LDFLAGS)."""
        with tempfile.TemporaryDirectory() as directory:
            source = Path(directory, "try.c")
            source.write_text(program)
            objects = self.compiler.compile(
                [str(source)], output_dir=directory, extra_postargs=compile_flags
            )
            target = str(Path(directory, "try.module"))
            self.compiler.link_shared_object(
                objects, target, extra_postargs=link_flags, build_temp=directory
            )

    def _find_openmp(self):
        for flags in [(["/openmp"], [])] if self.is_msvc else UNIX_OPENMP:
            with suppress(CompileError, LinkError):
                self._try(OPENMP_PROGRAM, *flags)
                return flags
        return None

    def _accepts(self, level):
        flags = (MSVC_LEVEL_FLAGS if self.is_msvc else UNIX_LEVEL_FLAGS)[level]
        with suppress(CompileError, LinkError):
            self._try(PROGRAM, flags, [])
            return True
        return False

    def _translate(self, name):
        """Translate to C, once for all levels."""
        target = Path(self.build_temp, f"{name}.c")
        target.parent.mkdir(parents=True, exist_ok=True)
        source = KERNELS / "_cython" / f"{name}.pyx"
        command = [sys.executable, "-m", "cython", "-3", str(source), "-o", str(target)]
        subprocess.run(command, check=True)
        return str(target)

    def _flags(self, level):
        if self.is_msvc:
            return ["/O2", *MSVC_LEVEL_FLAGS[level]]
        return [*UNIX_FLAGS, *UNIX_NO_DEBUG, *UNIX_LEVEL_FLAGS[level]]

    def _build(self, level, precision, sources, openmp):
        """Build one module."""
        openmp_compile, openmp_link = openmp or ([], [])
        flags = self._flags(level)
        reassociate = ["/fp:fast"] if self.is_msvc else UNIX_REASSOCIATE
        module = module_name(level, precision)
        (extension,) = (e for e in self.extensions if e.name == f"{PACKAGE}.{module}")
        objects = []
        for name, extra in (("passes", openmp_compile), ("sums", reassociate)):
            objects += self.compiler.compile(
                [sources[name]],
                output_dir=str(Path(self.build_temp, module)),
                macros=[("PyInit_passes", f"PyInit_{module}"), *PRECISIONS[precision]],
                include_dirs=[str(EMBED / "include")],
                extra_postargs=[*flags, *extra],
            )
        target = Path(self.get_ext_fullpath(extension.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        self.compiler.link_shared_object(
            objects,
            str(target),
            libraries=self.get_libraries(extension),
            export_symbols=[f"PyInit_{module}"],
            extra_postargs=openmp_link,
            build_temp=self.build_temp,
        )

    def _compiler_version(self):
        if self.is_msvc:
            return "msvc"
        command = [*self.compiler.compiler_so[:1], "--version"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split(
            "\n"
        )[0]

    def _record(self, config):
        """Write _build_config.py."""
        path = self._config_path()
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = ['"""How this copy of fastgmm was built; written by setup.py."""', ""]
        lines += [f"{name} = {value!r}" for name, value in config.items()]
        path.write_text("\n".join(lines) + "\n")


if BACKEND not in ("numba", "cython"):
    raise SystemExit(f"FASTGMM_BACKEND must be 'numba' or 'cython', got {BACKEND!r}.")
IS_DEFAULT = BACKEND == DEFAULT_BACKEND
if Path("PKG-INFO").exists() and not IS_DEFAULT:  # which source distributions hold
    raise SystemExit(
        f"FASTGMM_BACKEND must be {DEFAULT_BACKEND!r} or unset for a build from a source "
        f"distribution, got {BACKEND!r}. A checkout builds either."
    )

setup(
    version=VERSION if IS_DEFAULT else f"{VERSION}+{BACKEND}",
    install_requires=[*([NUMBA] if BACKEND == "numba" else []), *DEPENDENCIES],
    ext_modules=[
        Extension(f"{PACKAGE}.{module_name(level, precision)}", [], optional=True)
        for level in LEVELS
        for precision in PRECISIONS
    ],
    cmdclass={"build_ext": BuildKernels},
)
