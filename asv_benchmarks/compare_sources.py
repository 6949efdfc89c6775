"""Time per EM iteration and peak of memory of the same rows: in memory, mapped, and in Parquet.

    python asv_benchmarks/compare_sources.py --folder /somewhere/with/space

Each fit has a process of its own, and all take turns. The files are read once before they are
timed, so that they are in the system's cache if it holds them. To see that a fit stays below a
limit, give the whole command a cgroup of its own, for example
``systemd-run --scope -p MemoryMax=1G``, once the files are there (--keep). Linux only.
"""

import argparse
import hashlib
import json
import re
import subprocess
import sys
import warnings
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastgmm import GaussianMixture, sources

KINDS = {
    "memory": ("x.npy", np.load),
    "npy": ("x.npy", sources.ArrayFiles),
    "parquet": ("x.parquet", sources.Parquet),
}
CHUNK = 1_000_000


def write(folder, n, d, K):
    """Write K clusters to a .npy file and to a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    means = rng.normal(scale=3.0, size=(K, d))
    names = [f"x{j}" for j in range(d)]
    X = np.lib.format.open_memmap(folder / "x.npy", "w+", np.float64, (n, d))
    with pq.ParquetWriter(
        folder / "x.parquet", pa.schema([(name, pa.float64()) for name in names])
    ) as file:
        for start in range(0, n, CHUNK):
            some = X[start : start + CHUNK]
            some[:] = means[rng.integers(K, size=len(some))] + rng.normal(size=some.shape)
            file.write_table(pa.table(dict(zip(names, some.T.copy(), strict=True))))
    X.flush()


def measure(folder, kind, K, iterations):
    """Return the seconds of an iteration, the peak in MB, and a digest of the parameters."""
    name, read = KINDS[kind]
    path = folder / name
    model = GaussianMixture(
        K, tol=0.0, max_iter=iterations + 1, init_params="random_from_data", random_state=0
    ).fit(read(path))
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    parameters = model.means_.tobytes() + model.covariances_.tobytes()
    return {
        "seconds": median(iteration.seconds for iteration in model.history_[1:]),
        "peak": int(peak[1]) / 1000,
        "digest": hashlib.sha256(parameters).hexdigest(),
    }


def compare(folder, arguments):
    """Print a row for each fit, and the ratios of the speeds."""
    seconds = {kind: [] for kind in KINDS}
    digests = set()
    for number in range(arguments.rounds):
        for kind, (name, _) in KINDS.items():
            with (folder / name).open("rb") as file:
                while file.read(2**24):
                    pass
            own = [f"--folder={folder}", f"--kind={kind}", f"--components={arguments.components}"]
            command = [sys.executable, __file__, *own, f"--iterations={arguments.iterations}"]
            result = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            seconds[kind].append(result["seconds"])
            digests.add(result["digest"])
            print(
                f"round {number}: {kind:8} {result['seconds']:7.3f} s an iteration, "
                f"peak {result['peak']:6.0f} MB",
                flush=True,
            )
    for kind in ("npy", "parquet"):
        pairs = zip(seconds["memory"], seconds[kind], strict=True)
        speed = median(memory / other for memory, other in pairs)
        print(f"{kind}: {speed:.2f} times the speed in memory (median)")
    print("the same bits" if len(digests) == 1 else "OTHER BITS")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="for the files: 270 bytes a row of 16 numbers")
    parser.add_argument(
        "--keep", action="store_true", help="leave the files there, and take those that are there"
    )
    parser.add_argument("--samples", type=int, default=16_000_000)
    parser.add_argument("--features", type=int, default=16)
    parser.add_argument("--components", type=int, default=32)
    parser.add_argument("--iterations", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.keep and arguments.folder is None:
        parser.error("--keep goes with --folder alone")
    warnings.simplefilter("ignore", ConvergenceWarning)
    if arguments.kind:
        K, iterations = arguments.components, arguments.iterations
        print(json.dumps(measure(arguments.folder, arguments.kind, K, iterations)))
        return
    with TemporaryDirectory(dir=arguments.folder) as temporary:
        folder = arguments.folder if arguments.keep else Path(temporary)
        if not all((folder / name).exists() for name, _ in KINDS.values()):
            write(folder, arguments.samples, arguments.features, arguments.components)
        compare(folder, arguments)


if __name__ == "__main__":
    main()
