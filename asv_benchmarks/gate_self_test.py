"""Does the gate find a kernel that got 30 % slower, and is it quiet about a comment?"""

import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

import gate

ROOT = gate.HERE.parent
KERNELS = "fastgmm/_kernels"
PLANTED = "kernels.Normalize.time_call("


class Edit(NamedTuple):
    """A piece of a file, and what replaces it."""

    path: str
    old: str
    new: str


# Half of the blocks are loaded and summed up twice: that is about half of the kernel's time.
SLOWER = {
    "numba": Edit(
        f"{KERNELS}/_numba/passes.py",
        """
        normalize_block(scratch, K, 0.0, np.inf)
""",
        """
        normalize_block(scratch, K, 0.0, np.inf)
        if first // BLOCK % U(2) == U(0):
            for k in range(K):
                for b in range(count):
                    values[k * STRIDE + b] = log_prob[first + b, k]
            find_maximum(values, K, scratch.maximum)
            normalize_block(scratch, K, 0.0, np.inf)
""",
    ),
    "cython": Edit(
        f"{KERNELS}/_cython/passes.pyx",
        """
        normalize_block(&scratch, n_components, 0.0, INFINITE)
""",
        """
        normalize_block(&scratch, n_components, 0.0, INFINITE)
        if first // BLOCK % 2 == 0:
            for k in range(n_components):
                for b in range(count):
                    scratch.values[k * STRIDE + b] = log_prob[(first + b) * n_components + k]
            find_maximum(scratch.values, n_components, scratch.maximum)
            normalize_block(&scratch, n_components, 0.0, INFINITE)
""",
    ),
}


def git(directory, *arguments):
    """Run git and return what it prints."""
    identity = ["-c", "user.name=gate", "-c", "user.email=gate@localhost"]
    command = ["git", "-C", str(directory), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(clone, edit, message):
    """Commit an edit on top of HEAD, go back to HEAD, and return the commit."""
    path = clone / edit.path
    source = path.read_text()
    if source.count(edit.old) != 1:
        raise SystemExit(f"gate: {edit.path} has changed: cannot plant the slowdown in it")
    path.write_text(source.replace(edit.old, edit.new))
    git(clone, "commit", "--all", "--quiet", f"--message={message}")
    made = git(clone, "rev-parse", "HEAD")
    git(clone, "branch", made[:12])
    git(clone, "reset", "--hard", "--quiet", "HEAD~1")
    return made


def comment(clone, path):
    """Return an edit that adds a comment to a file."""
    source = (clone / path).read_text()
    return Edit(path, source, source + "# a comment\n")


def self_test(settings):
    """Try the gate on a clone of the last commit; return 0 if it told the two apart."""
    with tempfile.TemporaryDirectory() as directory:
        clone = Path(directory, "fastgmm")
        git(ROOT, "clone", "--quiet", str(ROOT), str(clone))
        base = git(clone, "rev-parse", "HEAD")
        edit = SLOWER[settings.backend]
        slow = commit(clone, edit, "Plant a slowdown")
        same = commit(clone, comment(clone, edit.path), "Add a comment")
        benchmarks = clone / gate.HERE.name
        found, _ = gate.find_slower(benchmarks, base, slow, settings)
        nothing, rows = gate.find_slower(benchmarks, base, same, settings)
    right = [row for row in found if row.name.startswith(PLANTED)]
    ratios = [row.ratio for row in rows]
    print(f"gate: planted: {', '.join(f'{row.name} {row.ratio}' for row in found) or 'not found'}")
    print(f"gate: comment: ratios {min(ratios)} to {max(ratios)}, slower: {nothing or 'none'}")
    passed = bool(right) and right == found and not nothing
    print(f"gate: self-test {'passed' if passed else 'FAILED'}")
    return 0 if passed else 1
