"""A pytest plugin: tests of one covariance type run in one process.

With ``--dist loadgroup``. Each type has kernels of its own, so that no two processes compile the
same ones.
"""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Name the group of each test that has a covariance type."""
    for item in items:
        parameters = getattr(item, "callspec", None)
        kind = parameters.params.get("covariance_type") if parameters else None
        if kind is not None:
            item.add_marker(pytest.mark.xdist_group(str(kind)))
