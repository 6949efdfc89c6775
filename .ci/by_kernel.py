"""A pytest plugin: tests of one kernel for one covariance type run in one process.

With ``--dist loadgroup``. Each type has kernels of its own, so that no two processes compile the
same ones.
"""

import pytest

#: Passes that are the kernel of another one.
SAME = {"mahalanobis": "posterior", "moments": "accumulate"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Name the group of each test that has a covariance type."""
    for item in items:
        call = getattr(item, "callspec", None)
        kind = call.params.get("covariance_type") if call else None
        if kind is not None:
            kernel = call.params.get("kernel", "accumulate")
            item.add_marker(pytest.mark.xdist_group(f"{SAME.get(kernel, kernel)} {kind}"))
