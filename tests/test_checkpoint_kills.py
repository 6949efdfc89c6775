"""Processes that are killed at any moment of a fit: the next one goes on to the same bits."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import kept_fits
import pytest

import fastgmm
from fastgmm.em.checkpoints.file import read

pytestmark = [
    pytest.mark.slow,
    pytest.mark.one_backend,
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]

#: How often processes of one kind are killed (10 makes 100 in all), and the kinds: a fit, and where
#: its samples lie.
N_KILLS = int(os.environ.get("FASTGMM_KILLS", "1"))
KINDS = [
    *(("GaussianMixture", "in memory"), ("starts", "in memory"), ("quasi-newton", "out of core")),
    *(("split-merge", "in memory"), ("split-merge, starts", "mapped"), ("Bayesian", "out of core")),
    *(("em: incremental", "mapped"), ("em: mini-batch, weighted", "in memory")),
    *(("em: sampled", "out of core"), ("em: Metropolis", "in memory")),
]


def begin(name, place, folder):
    """Start a process that fits, and keeps each iteration; its first line is ``begun``."""
    paths = [Path(fastgmm.__file__).parent.parent, kept_fits.HERE]
    process = subprocess.Popen(
        [sys.executable, kept_fits.__file__, name, place, folder, folder / "fit"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "begun\n"
    return process


def kill(process, moments):
    """Kill a process after some iterations and a moment; return the digest if it had ended."""
    n_lines = moments.randint(0, 4)
    lines = [process.stdout.readline() for _ in range(n_lines)]
    time.sleep(moments.expovariate(100.0))
    process.send_signal(signal.SIGKILL)
    lines.extend(process.stdout)
    process.stdout.close()
    process.wait()
    last = lines[-1].strip() if lines else ""
    return last if len(last) == 64 else None


@pytest.mark.parametrize(("name", "place"), KINDS)
def test_kills(name, place, tmp_path):
    """Each process goes on where the one before was killed; after one that ends, all begins anew.

    A kill that came too late, after the last line, does not count.
    """
    expected = kept_fits.digest(kept_fits.fit(name, place, tmp_path))
    moments = random.Random(f"{name} {place}")
    path = tmp_path / "fit"
    n_kills = 0
    while n_kills < N_KILLS:
        found = kill(begin(name, place, tmp_path), moments)
        read(str(path))  # raises where it is damaged
        if found is None:
            n_kills += 1
            continue
        assert found == expected
        path.unlink()
    process = begin(name, place, tmp_path)
    out, _ = process.communicate()
    assert out.split()[-1] == expected
    read(str(path))
    left = {entry.name for entry in tmp_path.iterdir()} - {"fit", "X.npy"}
    assert not left
