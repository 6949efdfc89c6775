"""Did a commit make an iteration slower on all cores? The part of the gate that asv cannot do.

Both commits are installed beside one another, without dependencies: they run on the libraries of
the environment that runs the gate. A process of each waits while that of the other works; they
take turns, by the clock on the wall, and every turn gives one ratio. New processes begin each
round.
"""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import NamedTuple

from scipy.stats import wilcoxon

HERE = Path(__file__).resolve().parent
#: operation, covariance type, dtype, samples, features, components
CASES = [
    ("fit", "full", "float64", 400_000, 2, 8),
    ("fit", "full", "float64", 50_000, 16, 32),
    ("fit", "full", "float64", 20_000, 64, 16),
    ("fit", "full", "float32", 100_000, 16, 32),
    ("fit", "tied", "float64", 100_000, 16, 32),
    ("fit", "diag", "float64", 100_000, 16, 32),
    ("fit", "spherical", "float64", 100_000, 16, 32),
    ("predict_proba", "full", "float64", 50_000, 16, 32),
]
ROUNDS = 3
TURNS = 6
#: Of the test that ratios lie beyond 1; asv's for its own.
SIGNIFICANT = 0.002


class ComparisonError(Exception):
    """The commits could not be compared."""


class Row(NamedTuple):
    """One case of two commits: the median of each one's turns, in seconds, and of their ratios."""

    case: tuple
    base: float
    head: float
    ratio: float
    is_slower: bool

    @property
    def name(self):
        """What was timed."""
        operation, covariance_type, dtype, *shape = self.case
        return f"{operation} {covariance_type} {dtype} {','.join(map(str, shape))}"


def install(repository, commit, backend, directory):
    """Install a commit into a new directory within this one and return that."""
    home = Path(tempfile.mkdtemp(dir=directory))
    tree, site = home / "tree", home / "site"
    archive = subprocess.run(
        ["git", "-C", str(repository), "archive", "--format=tar", commit],
        capture_output=True,
        check=False,
    )
    if archive.returncode:
        raise ComparisonError(archive.stderr.decode().strip())
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
        files.extractall(tree)
    print(f"gate: building {commit}", flush=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site)]
    environment = {**os.environ, "FASTGMM_BACKEND": backend}
    built = subprocess.run(
        [*pip, str(tree)], env=environment, capture_output=True, text=True, check=False
    )
    if built.returncode:
        raise ComparisonError(f"{commit} was not built:\n{built.stdout}{built.stderr}")
    return site


class Worker:
    """A process in which an installed commit is timed."""

    def __init__(self, site, backend):
        environment = {name: value for name, value in os.environ.items() if name != "FASTGMM_BENCH"}
        environment |= {"PYTHONPATH": str(site), "FASTGMM_BACKEND": backend}
        environment["NUMBA_CACHE_DIR"] = str(site.parent / "numba_cache")
        # threads that wait must sleep: beside other jobs they would hold up those that work
        environment["OMP_WAIT_POLICY"] = "passive"
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "multicore_worker.py"), str(site)],
            cwd=site.parent,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def seconds(self, case, n_threads):
        """Return the quickest iteration or call of a turn: others' processes only add to it."""
        try:
            print(json.dumps([case, n_threads]), file=self._process.stdin, flush=True)
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise ComparisonError(f"{case} does not run in {self._process.args[-1]}")
        return min(json.loads(answer))


def take_turns(workers, case, n_threads):
    """Return pairs of seconds; the first of two changes from turn to turn."""
    for worker in workers:  # loads the kernels
        worker.seconds(case, n_threads)
    pairs = []
    for turn in range(TURNS):
        order = (0, 1) if turn % 2 == 0 else (1, 0)
        taken = {which: workers[which].seconds(case, n_threads) for which in order}
        pairs.append((taken[0], taken[1]))
    return pairs


def compare(case, pairs, factor):
    """Return a row: slower is what is significant and beyond the factor."""
    ratios = [head / base for base, head in pairs]
    ratio = median(ratios)
    p = wilcoxon([r - 1 for r in ratios], alternative="greater").pvalue if ratio > factor else 1.0
    base, head = (median(seconds) for seconds in zip(*pairs, strict=True))
    return Row(case, base, head, ratio, bool(p < SIGNIFICANT))


def measure(sites, cases, backend, factor, n_threads):
    """Return a row for each case."""
    pairs = {case: [] for case in cases}
    for _ in range(ROUNDS):
        with ExitStack() as stack:
            workers = [stack.enter_context(Worker(site, backend)) for site in sites]
            for case in cases:
                pairs[case] += take_turns(workers, case, n_threads)
    rows = [compare(case, pairs[case], factor) for case in cases]
    print("    base ms    head ms   ratio")
    for row in rows:
        mark = "+" if row.is_slower else " "
        print(
            f"{mark} {1e3 * row.base:9.2f}  {1e3 * row.head:9.2f}  {row.ratio:6.2f}   {row.name}",
            flush=True,
        )
    return rows


def find_slower(sites, backend, factor, n_threads=0):
    """Return the rows of the cases that are slower in two runs, and all rows of the first.

    ``sites`` are where ``install`` put two commits; 0 threads are all.
    """
    rows = measure(sites, CASES, backend, factor, n_threads)
    suspects = [row.case for row in rows if row.is_slower]
    if not suspects:
        return [], rows
    print("gate: measuring again what got slower", flush=True)
    again = measure(sites, suspects, backend, factor, n_threads)
    return [row for row in again if row.is_slower], rows
