"""The client of Dask: which it is, and what its tasks return."""

from concurrent.futures import CancelledError
from typing import Any

from .partitions import Delayed

_LOST = "scheduler-connection-lost"


def results(client: Any, tasks: list[Delayed]) -> list[Any]:
    """Return the results of tasks; raise the error of the first that failed."""
    from distributed import wait

    futures = []
    try:
        futures = client.compute(tasks)
        wait(futures)
        for future in futures:
            if future.status == "error":
                future.result()
        return list(client.gather(futures))
    except (CancelledError, OSError) as error:
        if client.status == "running" and getattr(error, "reason", "") != _LOST:
            raise
        raise ConnectionError(
            "The connection to the scheduler of Dask was lost in the middle of a fit. Connect a "
            "client to a scheduler, and fit again."
        ) from error
    finally:
        for future in futures:  # now: an error keeps this frame alive
            future.release()


def current_client() -> Any:
    """Return the client of Dask that this program has; raise where it has none."""
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError(
            "fastgmm.distributed needs Dask: pip install 'fastgmm[distributed]'"
        ) from error
    try:
        client = Client.current()
    except ValueError as error:
        raise RuntimeError(
            "fastgmm.distributed needs a client of Dask. Create one first: "
            "client = dask.distributed.Client(...)."
        ) from error
    if client.asynchronous:
        raise RuntimeError("fastgmm.distributed needs a client of Dask with asynchronous=False.")
    return client
