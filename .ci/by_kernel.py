"""A pytest plugin: tests of one kernel for one covariance type run in one process.

Each type has kernels of its own, so that no two processes compile the same ones. The groups of
pytest-xdist 3.8 have no effect with pytest 9.2, hence a scheduler.
"""

import re

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

KINDS = {"full", "tied", "diag", "spherical"}
#: Passes that are the kernel of another one.
SAME = {"mahalanobis": "posterior", "moments": "accumulate"}
KERNELS = {"accumulate", "posterior", "normalize", "accumulate_incomplete", "posterior_incomplete"}


class ByKernel(LoadScopeScheduling):
    """Give the tests of one scope to one process."""

    def _split_scope(self, nodeid: str) -> str:
        """Return the kernel, or else the file, and the covariance type of a test that has one."""
        words = re.split(r"[\[\]-]", nodeid)
        kinds = [word for word in words if word in KINDS]
        kernels = [SAME.get(word, word) for word in words if word in KERNELS or word in SAME]
        if not kinds:
            return nodeid
        return f"{kernels[0] if kernels else nodeid.split('::')[0]} {kinds[0]}"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByKernel:
    """Take this scheduler."""
    return ByKernel(config, log)
