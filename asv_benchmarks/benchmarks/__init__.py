"""The ASV suite: a module for each question, and helpers that hold no benchmarks.

Lists of parameters are written out here and never taken from the fastgmm that is measured: asv
counts through them, and would compare unlike cases of two commits whose lists differ.
"""

import os
from pathlib import Path

# asv installs commit after commit in one place. Each has a Numba cache of its own: none runs
# another's code, and none is compiled again at every turn.
if "ASV_COMMIT" in os.environ:
    os.environ["NUMBA_CACHE_DIR"] = str(
        Path(os.environ["ASV_ENV_DIR"], "numba_cache", os.environ["ASV_COMMIT"])
    )
