"""Build the source distribution and the wheels of both backends, and check what they hold.

    python -m pip install build && python .ci/check_dist.py

Works on a copy of the tracked files. The first thing wrong ends it, in one line.
"""

import os
import platform
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from email.parser import Parser
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NoReturn

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
VERSION = re.findall(r'^__version__ = "(.+)"$', (ROOT / "fastgmm/_versions.py").read_text(), re.M)[
    0
]
OLDEST = ROOT / ".ci" / "oldest.txt"
CONFIG = "fastgmm/_kernels/_build_config.py"
MODULES = "fastgmm/_kernels/_cython/passes_"
IS_X86 = platform.machine().lower() in ("x86_64", "amd64")
LEVELS = ["baseline", "v3", "v4"] if IS_X86 else ["baseline"]
ARTEFACTS = (".so", ".pyd", ".pyc", ".nbi", ".nbc", "_build_config.py")
IN_WHEELS = (".py", ".h", ".pxd", ".in")
INCLUDED = "fastgmm/_kernels/_cython/peak.pyx"
# what work in a checkout leaves behind
LITTER = [
    CONFIG,
    "fastgmm/_kernels/_cython/passes_litter.so",
    "fastgmm/_kernels/_cython/litter.c",
    "fastgmm/__pycache__/litter.pyc",
    "fastgmm/_kernels/_numba/__pycache__/litter.nbi",
    "tests/__pycache__/litter.pyc",
    "docs/auto_gallery/litter.rst",
    "docs/reference/generated/litter.rst",
]
BESIDE_THE_PACKAGE = [
    "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md",
    "pyproject.toml", "setup.py",
]  # fmt: skip
IN_SDISTS = ("docs", "examples", "fastgmm", "tests")


def fail(message: str) -> NoReturn:
    """End with one line."""
    raise SystemExit(f"check_dist: {message}")


def tracked_files() -> list[str]:
    """Return the files under version control; of a copy without history, all but artefacts."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0 and listed.stdout:
        return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
    files = []
    for top in IN_SDISTS:
        files += [path for path in (ROOT / top).rglob("*") if path.is_file()]
    files += [ROOT / name for name in (*BESIDE_THE_PACKAGE, "MANIFEST.in")]
    names = [path.relative_to(ROOT).as_posix() for path in files]
    return [name for name in names if not name.endswith(ARTEFACTS)]


def run(command: list[str], backend: str | None, **environment: str) -> subprocess.CompletedProcess:
    """Run a command in which setup.py sees this backend, or none, and keep what it prints."""
    env = {name: value for name, value in os.environ.items() if name != "FASTGMM_BACKEND"}
    if backend:
        env["FASTGMM_BACKEND"] = backend
    return subprocess.run(
        command,
        env={**env, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def build(kind: str, tree: Path, out: Path, backend: str | None = None, **environment: str) -> Path:
    """Return the distribution that ``python -m build`` makes of a tree."""
    print(f"building {out.name}", flush=True)
    command = [sys.executable, "-m", "build", f"--{kind}", "--outdir", str(out), str(tree)]
    outcome = run(command, backend, **environment)
    made = sorted(out.glob("*")) if out.exists() else []
    if outcome.returncode or len(made) != 1:
        fail(f"{out.name} was not built:\n{outcome.stdout[-4000:]}")
    return made[0]


def metadata(wheel: Path) -> Message:
    """Return a wheel's METADATA."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


def requirements(wheel: Path) -> list[str]:
    """Return what a wheel requires without extras."""
    lines = metadata(wheel).get_all("Requires-Dist", [])
    return sorted(line for line in lines if "extra ==" not in line)


def contents(wheel: Path) -> list[str]:
    """Return the names of a wheel's files."""
    with zipfile.ZipFile(wheel) as archive:
        return sorted(archive.namelist())


def check_sdist(sdist: Path, tracked: list[str]) -> None:
    """Check that a source distribution holds all sources and nothing that was made of them."""
    with tarfile.open(sdist) as archive:
        names = {m.name.split("/", 1)[1] for m in archive.getmembers() if m.isfile()}
    wanted = {name for name in tracked if name.split("/")[0] in IN_SDISTS}
    wanted |= set(BESIDE_THE_PACKAGE)
    if missing := sorted(wanted - names):
        fail(f"the sdist lacks {', '.join(missing)}")
    made_of_pyx = (name for name in names if name.startswith("fastgmm/") and name.endswith(".c"))
    if extra := sorted([*made_of_pyx, *(name for name in names if name.endswith(ARTEFACTS))]):
        fail(f"the sdist holds {', '.join(extra)}")


def check_wheel(wheel: Path, tracked: list[str], backend: str, levels: list[str]) -> None:
    """Check a wheel's files, recorded configuration, licence and requirements."""
    names = contents(wheel)
    package = {name for name in names if ".dist-info/" not in name}
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    sources = (name for name in tracked if name.startswith("fastgmm/"))
    wanted = {name for name in sources if name.endswith(IN_WHEELS)}
    kinds = [f"{level}_{precision}" for level in levels for precision in ("float64", "float32")]
    wanted |= {CONFIG, "fastgmm/py.typed"} | {f"{MODULES}{kind}{suffix}" for kind in kinds}
    if missing := sorted(wanted - package):
        fail(f"the {backend} wheel lacks {', '.join(missing)}")
    if extra := sorted(package - wanted):
        fail(f"the {backend} wheel holds {', '.join(extra)}")
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in names):
        fail(f"the {backend} wheel lacks LICENSE")
    version = VERSION if backend == "numba" else f"{VERSION}+{backend}"
    if (found := metadata(wheel)["Version"]) != version or f"-{version}-" not in wheel.name:
        fail(f"the {backend} wheel {wheel.name} has the version {found}, not {version}")
    with zipfile.ZipFile(wheel) as archive:
        modules = [name for name in names if name.endswith(str(suffix))]
        debug = [name for name in modules if b".debug_" in archive.read(name)]
        config: dict[str, object] = {}
        exec(archive.read(CONFIG), config)
    if debug:
        fail(f"the {backend} wheel has debug information in {', '.join(debug)}")
    if config["BACKEND"] != backend:
        fail(f"the {backend} wheel records BACKEND = {config['BACKEND']!r}")
    if list(config["LEVELS"]) != levels:  # type: ignore[call-overload]
        fail(f"the {backend} wheel records LEVELS = {config['LEVELS']!r}, not {levels}")
    if bool(config["MISSING"]) == bool(levels):
        fail(f"the {backend} wheel records MISSING = {config['MISSING']!r} beside {levels}")
    requires_numba = any(line.startswith("numba") for line in requirements(wheel))
    if requires_numba != (backend == "numba"):
        fail(f"the {backend} wheel requires {', '.join(requirements(wheel))}")
    print(f"  {backend} wheel: {len(names)} files, {wheel.stat().st_size:,} bytes")


def check_oldest(wheel: Path) -> None:
    """Check that the lower bounds of the requirements are the versions of .ci/oldest.txt."""
    lines = (line for line in OLDEST.read_text().splitlines() if not line.startswith("#"))
    pins = dict(line.split("==") for line in lines)
    bounds = {}
    for requirement in map(Requirement, metadata(wheel).get_all("Requires-Dist", [])):
        extras = ("", "progress", "cli", "plot", "test")
        applies = [
            requirement.marker is None or requirement.marker.evaluate({"extra": e}) for e in extras
        ]
        if any(applies) and requirement.name != "fastgmm":
            (bound,) = (s.version for s in requirement.specifier if s.operator == ">=")
            bounds[requirement.name] = bound
    if missing := sorted(bounds.keys() - pins.keys()):
        fail(f"{OLDEST.name} does not pin {', '.join(missing)}")
    for name, bound in bounds.items():
        if not f"{pins[name]}.".startswith(f"{bound}."):
            fail(f"{OLDEST.name} pins {name} to {pins[name]}, not to the lower bound {bound}")


def quick_compiler(work: Path) -> str:
    """Return a compiler that hardly optimises: for builds of which no module is kept or run."""
    compiler = os.environ.get("CC") or str(sysconfig.get_config_var("CC"))
    program = work / "quick_cc"
    program.write_text(f'#!/bin/sh\nexec {compiler} "$@" -O1\n')
    program.chmod(0o755)
    return str(program)


def check_rebuild(tree: Path, work: Path, compiler: str) -> None:
    """Check that modules are built again if and only if something changed that they include.

    This compiler has built them before.
    """
    built = sorted(tree.glob(f"build/lib*/{MODULES}*"))
    before = [path.stat().st_mtime_ns for path in built]
    build("wheel", tree, work / "wheel of what has not changed", CC=compiler)
    if not built or [path.stat().st_mtime_ns for path in built] != before:
        fail(f"{len(built)} modules were built again, and nothing had changed")
    old = [path.read_bytes() for path in built]
    with (tree / INCLUDED).open("a") as source:
        source.write("\nCHANGED = 1\n")
    build("wheel", tree, work / "wheel of what has changed", CC=compiler)
    if any(path.read_bytes() == content for path, content in zip(built, old, strict=True)):
        fail(f"{INCLUDED} changed, and a module was not built again")


@contextmanager
def serving(directory: Path) -> Iterator[str]:
    """Serve a directory on this machine alone, and yield its address."""
    handler = partial(QuietHandler, directory=str(directory))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class QuietHandler(SimpleHTTPRequestHandler):
    """Keep no log."""

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def check_index(sdist: Path, work: Path) -> None:
    """Check that pip, which keeps the wheels it builds of an index, never takes one for another."""
    page = work / "index" / "fastgmm"
    page.mkdir(parents=True)
    shutil.copy2(sdist, page)
    out = work / "wheel from an index"
    with serving(page.parent) as address:
        command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(out)]
        command += ["--cache-dir", str(work / "cache"), "--extra-index-url", address]
        command += [f"fastgmm=={VERSION}"]
        print("building cython from an index", flush=True)
        outcome = run(command, "cython")
        check_failure(outcome, "FASTGMM_BACKEND must be 'numba' or unset for a build from a source")
        print(f"building {out.name}", flush=True)
        compiler = shutil.which("false") or fail("found no program 'false' to stand for a compiler")
        outcome = run(command, None, CC=compiler)
    if outcome.returncode:
        fail(f"{out.name} was not built:\n{outcome.stdout[-4000:]}")
    (wheel,) = out.iterdir()
    if not any(line.startswith("numba") for line in requirements(wheel)):
        fail(f"{wheel.name} from an index requires {requirements(wheel)}: no numba")


def check_without_compiler(tree: Path, work: Path, tracked: list[str]) -> None:
    """Check that a default build records what is missing, and that a cython build says why not."""
    compiler = shutil.which("false") or fail("found no program 'false' to stand for a compiler")
    wheel = build("wheel", tree, work / "wheel without compiler", CC=compiler)
    check_wheel(wheel, tracked, "numba", [])
    site = work / "site"
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(site)]
    outcome = run([*install, str(wheel)], None)
    if outcome.returncode:
        fail(f"the wheel without Cython kernels does not install:\n{outcome.stdout[-2000:]}")
    missing = runpy.run_path(str(site / CONFIG))["MISSING"]
    if "no working C compiler" not in missing:
        fail(f"a build without a compiler records MISSING = {missing!r}")
    print(f"  MISSING: {missing}")
    print("building cython without compiler", flush=True)
    outcome = run([*install, str(tree)], "cython", CC=compiler)
    check_failure(outcome, "FASTGMM_BACKEND=cython needs a working C compiler: ")
    outcome = run([*install, str(tree)], "fortran")
    check_failure(outcome, "FASTGMM_BACKEND must be 'numba' or 'cython', got 'fortran'.")


def check_failure(outcome: subprocess.CompletedProcess, message: str) -> None:
    """Check that a build failed with one clear message."""
    if outcome.returncode == 0:
        fail(f"a build that should say {message!r} succeeded")
    lines = [line.strip() for line in outcome.stdout.splitlines() if message in line]
    if len(lines) != 1 or "Traceback" in outcome.stdout:
        fail(f"a build should say {message!r} once and show no traceback:\n{outcome.stdout}")
    print(f"  {lines[0]}")


def main() -> None:
    """Build and check everything in a temporary directory."""
    tracked = tracked_files()
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        tree = work / "tree"
        for name in tracked:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
        numba = build("wheel", tree, work / "wheel numba")
        check_wheel(numba, tracked, "numba", LEVELS)
        check_oldest(numba)
        for name in LITTER:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text("BACKEND = 'litter'\n")
        cython = build("wheel", tree, work / "wheel cython", "cython")
        check_wheel(cython, tracked, "cython", LEVELS)
        without_numba = [line for line in requirements(numba) if not line.startswith("numba")]
        if requirements(cython) != without_numba:
            fail(f"the cython wheel requires {requirements(cython)}, not {without_numba}")
        sdist = build("sdist", tree, work / "sdist")
        check_sdist(sdist, tracked)
        with tarfile.open(sdist) as archive:
            if hasattr(tarfile, "data_filter"):
                archive.extractall(work / "unpacked", filter="data")
            else:
                archive.extractall(work / "unpacked")
        (unpacked,) = (work / "unpacked").iterdir()
        quick = quick_compiler(work)
        again = build("wheel", unpacked, work / "wheel numba from sdist", CC=quick)
        if contents(again) != contents(numba) or requirements(again) != requirements(numba):
            difference = sorted(set(contents(again)) ^ set(contents(numba)))
            fail(f"the wheels from the tree and from the sdist differ: {difference}")
        check_index(sdist, work)
        check_rebuild(unpacked, work, quick)
        check_without_compiler(tree, work, tracked)
    print("the distributions are as they should be")


if __name__ == "__main__":
    main()
