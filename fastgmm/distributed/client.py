"""The client of Dask: which it is, and what its tasks return."""

from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any

from .partitions import Delayed

_LOST = "scheduler-connection-lost"


def results(client: Any, tasks: list[Delayed], n_fetched: int | None = None) -> list[Any]:
    """Return the results of tasks; raise the error of the first that failed.

    Parameters
    ----------
    client : Client
    tasks : list of Delayed
    n_fetched : int, optional
        Of the tasks after so many the workers keep the results; their futures are returned.

    Returns
    -------
    list
    """
    from distributed import wait

    futures = []
    try:
        with _named_loss(client):
            futures = client.compute(tasks)
            wait(futures)
            for future in futures:
                if future.status == "error":
                    future.result()
            values = list(client.gather(futures[:n_fetched]))
        kept, futures = futures[len(values) :], futures[: len(values)]
        return [*values, *kept]
    finally:
        for future in futures:  # now: an error keeps this frame alive
            future.release()


def scattered(client: Any, value: Any) -> Any:
    """Return the future of data that no task has made.

    When it is released, Dask forgets the tasks that needed it, and so how to repeat them.
    """
    with _named_loss(client):
        return client.scatter(value, hash=False)


@contextmanager
def _named_loss(client: Any) -> Iterator[None]:
    """Raise ConnectionError where the scheduler is lost."""
    try:
        yield
    except (CancelledError, OSError) as error:
        if client.status == "running" and getattr(error, "reason", "") != _LOST:
            raise
        raise ConnectionError(
            "The connection to the scheduler of Dask was lost in the middle of a fit. Connect a "
            "client to a scheduler, and fit again."
        ) from error


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
