"""Does the gate find a slowdown that was planted, and is it quiet about a comment?

Plants wrap functions at the end of the module by which all kernels are called: so they hold for
both backends, and whatever becomes of the kernels.
"""

import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import gate
import multicore

ROOT = gate.HERE.parent
SEAM = "fastgmm/_kernels/__init__.py"
PLANTED = "kernels.Normalize.time_call("

WRAP = """

def _plant(run):
    from functools import wraps
    from inspect import signature

    @wraps(run)
    def planted(*args, **options):
        given = signature(run).bind(*args, **options).arguments
{body}

    return planted


{function} = _plant({function})
"""
#: One kernel takes half as long again, also on one thread.
SLOWER = WRAP.format(
    function="normalize",
    body="""
        half = len(given["log_prob"]) // 2
        rows = {name: given[name][:half] for name in ("log_prob", "log_prob_norm")}
        run(**{**given, **rows})
        run(**given)""",
)
#: One thread makes the pass: a serial section of the iteration, and as much work as ever.
SERIAL = WRAP.format(
    function="accumulate",
    body="""
        run(**{**given, "n_threads": 1})""",
)
COMMENT = "# a comment\n"


def git(directory, *arguments):
    """Run git and return what it prints."""
    identity = ["-c", "user.name=gate", "-c", "user.email=gate@localhost"]
    command = ["git", "-C", str(directory), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(clone, text, message):
    """Commit a module that ends in a text, go back to HEAD, and return the commit."""
    with (clone / SEAM).open("a") as module:
        module.write(text)
    git(clone, "commit", "--all", "--quiet", f"--message={message}")
    made = git(clone, "rev-parse", "HEAD")
    git(clone, "branch", made[:12])
    git(clone, "reset", "--hard", "--quiet", "HEAD~1")
    return made


@contextmanager
def planted(text):
    """Yield a clone, its last commit, one that adds a text to that, and one that adds a comment."""
    with tempfile.TemporaryDirectory() as directory:
        clone = Path(directory, "fastgmm")
        git(ROOT, "clone", "--quiet", str(ROOT), str(clone))
        base = git(clone, "rev-parse", "HEAD")
        slow = commit(clone, text, "Plant a slowdown")
        same = commit(clone, COMMENT, "Add a comment")
        yield clone, base, slow, same


def on_one_thread(settings):
    """Plant a slower kernel; return 0 if it is found, and nothing else."""
    with planted(SLOWER) as (clone, *commits):
        base, slow, same = commits
        benchmarks = clone / gate.HERE.name
        found, _ = gate.find_slower(benchmarks, base, slow, settings)
        nothing, rows = gate.find_slower(benchmarks, base, same, settings)
    right = [row for row in found if row.name.startswith(PLANTED)]
    describe("planted", found)
    describe("comment", nothing, rows)
    return verdict(bool(right) and right == found and not nothing)


def on_all_cores(backend, factor):
    """Plant a serial section; return 0 if it is found in fits alone, and on all cores alone."""
    with planted(SERIAL) as (clone, *commits):
        base, slow, same = (
            multicore.install(clone, commit, backend, clone.parent) for commit in commits
        )
        found, rows = multicore.find_slower((base, slow), backend, factor)
        unseen, alone = multicore.find_slower((base, slow), backend, factor, n_threads=1)
        nothing, equal = multicore.find_slower((base, same), backend, factor)
    describe("planted", found, rows)
    describe("planted, on one thread", unseen, alone)
    describe("comment", nothing, equal)
    right = [row for row in found if row.case[0] == "fit"]
    return verdict(bool(right) and right == found and not unseen and not nothing)


def describe(title, slower, rows=()):
    """Print what was found slower, and within which ratios all lie."""
    names = ", ".join(f"{row.name} {row.ratio:.2f}" for row in slower) or "nothing"
    ratios = [row.ratio for row in rows]
    within = f"; all ratios {min(ratios):.2f} to {max(ratios):.2f}" if ratios else ""
    print(f"gate: {title}: slower: {names}{within}")


def verdict(passed):
    """Print the verdict and return the exit status."""
    print(f"gate: self-test {'passed' if passed else 'FAILED'}")
    return 0 if passed else 1
