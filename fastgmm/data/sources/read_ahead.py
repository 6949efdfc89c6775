"""Read the next part in the background while the kernels compute with this one."""

from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

_Item = TypeVar("_Item")
_END: Any = object()


def read_ahead(items: Generator[_Item, None, None]) -> Iterator[_Item]:
    """Yield what a generator yields; another thread makes the next item meanwhile.

    The generator runs in that thread, and is closed when the caller leaves. Its errors are raised
    where the item is asked for.

    Parameters
    ----------
    items : generator

    Yields
    ------
    object
    """
    reader = ThreadPoolExecutor(1, "fastgmm-reader")
    try:
        future: Future[_Item] = reader.submit(next, items, _END)
        while (item := future.result()) is not _END:
            future = reader.submit(next, items, _END)
            yield item
            del item
    finally:
        with suppress(RuntimeError):  # the interpreter ends
            reader.submit(items.close)
        reader.shutdown(wait=False)  # the garbage collector may run this in any thread
