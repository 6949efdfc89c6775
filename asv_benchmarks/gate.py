"""Did a commit make a kernel slower? Prints a table, and exits with 1 if it did.

    python asv_benchmarks/gate.py [BASE [HEAD]]    by default the parent of HEAD, and HEAD
    python asv_benchmarks/gate.py --multicore [BASE [HEAD]]
    python asv_benchmarks/gate.py [--multicore] --self-test

``--multicore`` times iterations on all cores, by the clock on the wall: see multicore.py. The
self-test finds a planted slowdown, and nothing else. The rest is about kernels on one thread.

``asv continuous`` builds both commits and measures them in one environment, in turns: round by
round, each benchmark in a process of its own, one thread, the processor's time. Slower is what is
significant (Mann-Whitney over all rounds, p < 0.002) and beyond the factor, twice: what the first
run reports is measured afresh. Changes that are not committed take no part, but for those of
the benchmarks, which are the same for both commits.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import multicore

HERE = Path(__file__).resolve().parent
#: Every kernel and covariance type at one shape, and the fused pass at every shape.
BENCHMARKS = [
    r"^kernels\.\w+\.time_call\('\w+', 'float64', '16384,16,16'\)$",
    r"^kernels\.Accumulate\.time_call\('\w+', 'float64'",
    r"^kernels\.Accumulate\.time_call\('full', 'float32', '16384,16,16'\)$",
    r"^kernels\.Normalize\.time_call",
]
ROW = re.compile(r"^\| (?P<change>.) +\|[^|]*\|[^|]*\| +(?P<ratio>[~\d.]+) +\| (?P<name>.*\S) +\|$")
#: Tables of one commit, and what was not measured.
NOISE = re.compile(r"^ {4}|^\[ *[\d.]+%\] ··· =|^\|  +\| n/a|^$")
#: The two could not be compared; a benchmark that fails in one of them counts as that.
FAILED = 2


class Settings(NamedTuple):
    """How to measure: ``rounds`` turns of each commit."""

    backend: str
    factor: float
    rounds: int


class Row(NamedTuple):
    """A line of asv's table."""

    is_slower: bool
    ratio: float
    name: str


def environment_name(backend):
    """Return asv's name for the environment of a backend."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return f"virtualenv-py{version}-FASTGMM_BACKEND{backend}"


def environment():
    """Return the variables for both commits: problems of full size, and BLAS on one thread."""
    kept = {name: value for name, value in os.environ.items() if name != "FASTGMM_BENCH"}
    return {**kept, "OPENBLAS_NUM_THREADS": "1"}


def run_asv(directory, *arguments):
    """Run asv, show its progress and its last table, and return all that it prints."""
    lines = []
    command = [sys.executable, "-m", "asv", *arguments]
    with subprocess.Popen(
        command,
        cwd=directory,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for line in process.stdout:
            lines.append(line.rstrip())
            if not NOISE.match(lines[-1]):
                print(lines[-1], flush=True)
    return lines


def parse(lines):
    """Return the rows of the table that asv prints."""
    matches = filter(None, map(ROW.match, lines))
    return [Row(m["change"] == "+", float(m["ratio"].lstrip("~")), m["name"]) for m in matches]


def measure(directory, base, head, benchmarks, settings):
    """Return asv's comparison of two commits."""
    bench = [f"--bench={pattern}" for pattern in benchmarks]
    lines = run_asv(
        directory,
        "continuous",
        base,
        head,
        f"--environment={environment_name(settings.backend)}",
        f"--factor={settings.factor}",
        f"--attribute=rounds={settings.rounds}",
        "--interleave-rounds",
        "--no-only-changed",
        "--show-stderr",
        *bench,
    )
    rows = parse(lines)
    if not rows:
        print("\n".join(["gate: asv compared nothing:", *lines]), file=sys.stderr)
        raise SystemExit(FAILED)
    return rows


def find_slower(directory, base, head, settings):
    """Return the rows of the benchmarks that are slower in two runs, and all rows of the first."""
    rows = measure(directory, base, head, BENCHMARKS, settings)
    suspects = [row.name for row in rows if row.is_slower]
    if not suspects:
        return [], rows
    print(f"gate: measuring again what got slower: {', '.join(suspects)}", flush=True)
    patterns = [f"^{re.escape(name)}$" for name in suspects]
    again = measure(directory, base, head, patterns, settings)
    return [row for row in again if row.is_slower and row.name in suspects], rows


def report(slower):
    """Print the verdict and return the exit status."""
    for row in slower:
        print(f"gate: slower by a factor of {row.ratio:.2f}: {row.name}")
    print(f"gate: {'something' if slower else 'nothing'} got slower")
    return 1 if slower else 0


def ensure_machine():
    """Describe this machine to asv, which otherwise asks."""
    if not Path("~/.asv-machine.json").expanduser().exists():
        subprocess.run([sys.executable, "-m", "asv", "machine", "--yes"], cwd=HERE, check=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base", nargs="?", default="HEAD~1")
    parser.add_argument("head", nargs="?", default="HEAD")
    parser.add_argument("--backend", choices=["numba", "cython"], default="numba")
    parser.add_argument("--factor", type=float, default=1.15)
    parser.add_argument("--rounds", type=int, default=6, help="turns of each, on one thread")
    parser.add_argument("--multicore", action="store_true", help="on all cores, not on one")
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.multicore:
        return run_multicore(arguments)
    return run_on_one_thread(arguments)


def run_on_one_thread(arguments):
    """Compare on one thread and return the exit status."""
    settings = Settings(arguments.backend, arguments.factor, arguments.rounds)
    ensure_machine()
    if arguments.self_test:
        from gate_self_test import on_one_thread

        return on_one_thread(settings)
    slower, _ = find_slower(HERE, arguments.base, arguments.head, settings)
    return report(slower)


def run_multicore(arguments):
    """Compare on all cores and return the exit status."""
    try:
        if arguments.self_test:
            from gate_self_test import on_all_cores

            return on_all_cores(arguments.backend, arguments.factor)
        with tempfile.TemporaryDirectory() as directory:
            sites = [
                multicore.install(HERE.parent, commit, arguments.backend, directory)
                for commit in (arguments.base, arguments.head)
            ]
            slower, _ = multicore.find_slower(sites, arguments.backend, arguments.factor)
    except multicore.ComparisonError as error:
        print(f"gate: {error}", file=sys.stderr)
        return FAILED
    return report(slower)


if __name__ == "__main__":
    sys.exit(main())
